# Typing: seen by the others, for as long as it is true.
#
# Without this file somebody whose phone died would type for ever on all other
# screens; who types would see himself, or a stranger see him; and a key held
# down would be told thirty times a second to a whole class.

use lib 't/lib';
use Test::Nginx::Writeen;

run_tests();

__DATA__

=== TEST 1: to the others only, and it stops when he says so
--- steps
room room1 u1 u2 u3
user u4
a connect u1
a2 connect u1
b connect u2
c connect u3
d connect u4
a send typing {"conversationId":"room1","isTyping":true}
b expect user_typing data=={"conversationId":"room1","userId":"u1","userName":"Name\x20of\x20u1","isTyping":true}
c expect user_typing data.userId=u1 data.isTyping==true
a send typing {"conversationId":"room1","isTyping":false} id=t1
a expect ack data.id=t1 data.event=typing
b expect user_typing data=={"conversationId":"room1","userId":"u1","userName":"Name\x20of\x20u1","isTyping":false}
c expect user_typing data.isTyping==false
a quiet
a2 quiet 0.02
b quiet 0.02
d quiet 0.02
# nothing of it is kept
redis XLEN %log(room1) = 0
redis XLEN %ingest(room1) = 0
metric writeen_typing_total > 0


=== TEST 2: a second of keys is one word; what was held back comes
--- steps
room room1 u1 u2
a connect u1
a2 connect u1
b connect u2
# all within the second, whatever that takes here: at once, and a message
# behind it, as b's own eyes need not be that quick
nginx hold
repeat 20 a send typing {"conversationId":"room1","isTyping":true} id=t$i
b send send_message {"conversationId":"room1","content":{"text":"one"}}
nginx go
b find user_typing data.isTyping==true
a2 send typing {"conversationId":"room1","isTyping":true} id=x
b send send_message {"conversationId":"room1","content":{"text":"two"}}
b find message_status data.seq==1
b find message_status data.seq==2
b expect message_received data.seq==1
b expect message_received data.seq==2
a find ack data.id=t20
a2 find ack data.id=x
# the last of them still counts, one second later
b expect user_typing data.isTyping==true
a ignore
a2 ignore


=== TEST 3: silence ends it, though nobody says so
--- steps
room room1 u1 u2
metric writeen_typing_expired_total mark
a connect u1
b connect u2
a send typing {"conversationId":"room1","isTyping":true}
b expect user_typing data.isTyping==true
b expect user_typing data.isTyping==false data.userId=u1 data.userName="Name of u1" data.conversationId=room1
metric writeen_typing_expired_total +1
# it is over: there is nothing to end
a send typing {"conversationId":"room1","isTyping":false} id=t2
a expect ack data.id=t2
b quiet


=== TEST 4: it was said by a node that died: it ends all the same
--- steps
room room1 u1 u2
b connect u2
redis PUBLISH %chan(room1) 't 0 u1 -\n{"event":"user_typing","data":{"conversationId":"room1","userId":"u1","userName":"x","isTyping":true}}'
b expect user_typing data.isTyping==true
b expect user_typing data=={"conversationId":"room1","userId":"u1","userName":"x","isTyping":false}


=== TEST 5: a message ends it, after the message; and he may type on at once
--- steps
room room1 u1 u2
a connect u1
b connect u2
a send typing {"conversationId":"room1","isTyping":true}
b expect user_typing data.isTyping==true
a send send_message {"conversationId":"room1","content":{"text":"x"}}
b expect message_received data.seq==1
b expect user_typing data.isTyping==false
a find message_status
a find message_received
a send typing {"conversationId":"room1","isTyping":true} id=t2
a expect ack data.id=t2
b expect user_typing data.isTyping==true
# another's message is none of his
post room1 u2 y
b expect message_received data.seq==2
a expect message_received data.seq==2
b quiet


=== TEST 6: the socket goes, politely or not
--- steps
room room1 u1 u2
a connect u1
b connect u2
c connect u1
a send typing {"conversationId":"room1","isTyping":true}
b expect user_typing data.isTyping==true
a drop
b expect user_typing data.isTyping==false
c send typing {"conversationId":"room1","isTyping":true}
b expect user_typing data.isTyping==true
c close 1000
c expect_close 1000
b expect user_typing data.isTyping==false


=== TEST 7: another room: here he types no more
--- steps
room room1 u1 u2
room room2 u1 u3
a connect u1
b connect u2
c connect u3
a send typing {"conversationId":"room1","isTyping":true}
b expect user_typing data.isTyping==true
a send typing {"conversationId":"room2","isTyping":true}
b expect user_typing data.isTyping==false
c expect user_typing data.conversationId=room2 data.isTyping==true
# looking at another one
a send join_conversation {"conversationId":"room1"}
a expect conversation_joined
c expect user_typing data.isTyping==false


=== TEST 8: he leaves the screen, he is taken out of the room
--- steps
room room1 u1 u2
room room2 u1 u2
a connect u1
b connect u2
a send typing {"conversationId":"room1","isTyping":true}
b expect user_typing data.isTyping==true
a send leave_conversation {"conversationId":"room1"}
b expect user_typing data.isTyping==false
a send typing {"conversationId":"room2","isTyping":true}
b expect user_typing data.conversationId=room2 data.isTyping==true
emit room2 l u2 u1 {"event":"message_received","data":{"conversationId":"room2","seq":@SEQ@,"message":{"id":"s1","createdAt":"@AT@"}}} ops=D m:u1
b expect message_received data.seq==1
b expect user_typing data.conversationId=room2 data.isTyping==false
a expect message_received
a send typing {"conversationId":"room2","isTyping":true} id=t3
a expect error data.id=t3 data.code=not_found
b quiet


=== TEST 9: who may not
--- steps
room room1 u1 u2:r
room room2 u1 u2 state=archived
room room3 u1
a connect u1
b connect u2
b send typing {"conversationId":"room1","isTyping":true} id=t1
b expect error data.id=t1 data.event=typing data.code=forbidden data.conversationId=room1 data.retryable==false
b send typing {"conversationId":"room2","isTyping":true} id=t2
b expect error data.id=t2 data.code=conversation_archived
b send typing {"conversationId":"room3","isTyping":true} id=t3
b expect error data.id=t3 data.code=not_found data.message=@said
b send typing {"conversationId":"nowhere","isTyping":true} id=t4
b expect error data.id=t4 data.code=not_found data.message="$said"
a quiet


=== TEST 10: typing that is wrong
--- steps
room room1 u1
a connect u1
a send typing {"isTyping":true} id=w1
a expect error data.id=w1 data.event=typing data.code=invalid_request data.field=conversationId
a send typing {"conversationId":"room1"} id=w2
a expect error data.id=w2 data.code=invalid_request data.field=isTyping
a send typing {"conversationId":"room1","isTyping":"yes"} id=w3
a expect error data.id=w3 data.code=invalid_request data.field=isTyping
a send typing {"conversationId":5,"isTyping":true} id=w4
a expect error data.id=w4 data.code=invalid_request data.field=conversationId


=== TEST 11: who comes while somebody types sees it; a catch-up does not have it
--- steps
room room1 u1 u2
a connect u1
b connect u2
a send typing {"conversationId":"room1","isTyping":true}
b expect user_typing data.isTyping==true
post room1 u2 one
b expect message_received
a expect message_received
b handshake token=u2 resume=1
b response 101
b expect connected
b send resume {"conversations":{"room1":0}}
b expect conversation_joined data.missed==1
b expect message_received data.seq==1
b expect user_typing data.isTyping==true data.userId=u1
a send typing {"conversationId":"room1","isTyping":false}
b expect user_typing data.isTyping==false
b send join_conversation {"conversationId":"room1","afterSeq":0}
b expect conversation_joined
b quiet


=== TEST 12: more than a room can keep in mind: nothing is said of them
--- steps
room room1 u1
a connect u1
repeat 40 redis PUBLISH %chan(room1) 't 0 x$i -\n{"event":"user_typing","data":{"userId":"x$i","isTyping":true}}'
a find user_typing data.userId=x32 data.isTyping==true
a send ping
a find pong
a never x33
a never x40
redis PUBLISH %chan(room1) 't 0 x33 -\n{"event":"user_typing","data":{"userId":"x33","isTyping":false}}'
redis PUBLISH %chan(room1) 't 0 x1 -\n{"event":"user_typing","data":{"userId":"x1","isTyping":false}}'
a find user_typing data.userId=x1 data.isTyping==false
a never x33
a ignore


=== TEST 13: what is not ours is not passed on
--- steps
room room1 u1
a connect u1
redis PUBLISH %chan(room1) 't 0 u2 -\n{"event":"user_typing","data":{"isTyping":true},"x":1}'
redis PUBLISH %chan(room1) 't 0 u2 -\nx'
a quiet


=== TEST 14: a conversation that has gone from Redis meanwhile
--- steps
room room1 u1 u2
a connect u1
b connect u2
worker LOAD room1 200 then room room1 u1 u2 lists=0
redis DEL %conv(room1)
a send typing {"conversationId":"room1","isTyping":true} id=t1
a expect ack data.id=t1
b expect user_typing data.isTyping==true
calls LOAD room1 = 1


=== TEST 15: Redis is away
--- steps
room room1 u1 u2
a connect u1
b connect u2
a send typing {"conversationId":"room1","isTyping":true} id=t1
a find ack data.id=t1
b expect user_typing data.isTyping==true
server main kill
a send typing {"conversationId":"room1","isTyping":false} id=t2
a expect error data.id=t2 data.code=unavailable data.retryable==true
a send typing {"conversationId":"room1","isTyping":true}
# the others are not left with it
b expect user_typing data.isTyping==false
a quiet


=== TEST 16: a client that does not read: typing is left out, messages are not
--- sndbuf: 16k
--- with
writeen_max_message 32k;
writeen_send_queue 64k;
--- steps
room room1 u1 u2
a connect u1
a pause
# the kernel may still take some of it; all of it is a's, for b is not here yet
until metric writeen_queue_bytes > 40000 else post room1 u2 $long
b connect u2
repeat 5 redis PUBLISH %chan(room1) 't 0 x$i -\n{"event":"user_typing","data":{"userId":"x$i","isTyping":true}}'
b find user_typing data.userId=x5
a resume
until metric writeen_queue_bytes = 0
post room1 u2 last
a find message_received data.message.content.text=last
a never user_typing
a ignore
b ignore
--- vars
long x*16000


=== TEST 17: refused again, however soon it is said again
--- steps
room room1 u1 u2:r
room room2 u1 u2 state=archived
a connect u1
b connect u2
b2 connect u2
b send typing {"conversationId":"room1","isTyping":true} id=t1
b expect error data.id=t1 data.code=forbidden
b send typing {"conversationId":"room1","isTyping":true} id=t2
b expect error data.id=t2 data.code=forbidden
b2 send typing {"conversationId":"room1","isTyping":true} id=t3
b2 expect error data.id=t3 data.code=forbidden
# also those that come while the first one is on its way
repeat 5 b send typing {"conversationId":"room2","isTyping":true} id=u$i
b expect error data.id=u1 data.code=conversation_archived
b expect error data.id=u2 data.code=conversation_archived
b expect error data.id=u3 data.code=conversation_archived
b expect error data.id=u4 data.code=conversation_archived
b expect error data.id=u5 data.code=conversation_archived
a quiet
# nothing holds back the first one that is allowed
redis HSET %conv(room2) state active = 0
b send typing {"conversationId":"room2","isTyping":true} id=v1
b expect ack data.id=v1
a expect user_typing data.conversationId=room2 data.isTyping==true
a ignore


=== TEST 18: it was allowed, and is not any more
--- steps
room room1 u1 u2
a connect u1
b connect u2
metric writeen_typing_total mark
# the second one is held back for a second: until then it has to be archived
nginx hold
a send typing {"conversationId":"room1","isTyping":true} id=t1
a send typing {"conversationId":"room1","isTyping":true} id=t2
nginx go
a find ack data.id=t1
redis HSET %conv(room1) state archived = 0
a expect ack data.id=t2
b expect user_typing data.isTyping==true
# what was held back is tried, and refused
until metric writeen_typing_total +2
a send typing {"conversationId":"room1","isTyping":true} id=t3
a expect error data.id=t3 data.code=conversation_archived
a send typing {"conversationId":"room1","isTyping":true} id=t4
a expect error data.id=t4 data.code=conversation_archived
b expect user_typing data.isTyping==false


=== TEST 19: the socket goes while the answer is on its way
--- steps
room room1 u1 u2
a connect u1
b connect u2
worker LOAD room1 0
redis DEL %conv(room1)
repeat 5 a send typing {"conversationId":"room1","isTyping":true} id=t$i
a drop
b send ping
b expect pong
