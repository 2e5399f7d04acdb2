# What clients say and what they are answered: the events of
# docs/api/asyncapi.yaml.
#
# The stack tests show that a good client gets along.  Here each event is also
# sent wrongly, and the answer must say so with the right code, for the right
# event, without leaking whether a room exists, and without ending the
# connection before the tenth mistake.  Redis is looked at behind the server's
# back: what was acknowledged must be in the log and in the projector's queue,
# what was refused must not.

use lib 't/lib';
use Test::Nginx::Writeen;

run_tests();

__DATA__

=== TEST 1: connected counts the rooms
--- steps
room room1 u1 u2
room room2 u1
a connect u2
a handshake token=u1
a response 101
a expect connected data.userId=u1 data.conversations==2 data.resume==false


=== TEST 2: send: ack to the sender, the message to all
--- steps
room room1 u1 u2
a connect u1
b connect u2
a send send_message {"conversationId":"room1","type":"text","content":{"text":"Hello there!"},"clientMessageId":"client_123"} id=x1
a find message_status data.id=x1 data.conversationId=room1 data.clientMessageId=client_123 data.seq==1 data.status=sent data.durability=log data.messageId=@mid data.createdAt=@at data.createdAt~^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$
a find message_received data.message.id=$mid data.clientMessageId=client_123 data.seq==1
b expect message_received data.conversationId=room1 data.seq==1 data.clientMessageId=client_123 data.message.id=$mid data.message.conversationId=room1 data.message.senderId=u1 data.message.sender.name="Name of u1" data.message.sender.avatar==null data.message.type=text data.message.content=={"text":"Hello\x20there!"} data.message.status=sent data.message.readBy==[] data.message.reactions==[] data.message.replyTo==null data.message.clientMessageId=client_123 data.message.createdAt=$at data.message.seq==1
a find ack data.id=x1 data.event=send_message
redis XLEN %log(room1) = 1
redis XLEN %ingest(room1) ~ ^[1-9]
redis HGET %conv(room1) seq = 1
redis XREVRANGE %ingest(room1) + - COUNT 1 ~ "ipAddress":"127\.0\.0\.1"


=== TEST 3: what a client smuggles in does not come out
--- steps
room room1 u1 u2
a connect u1
b connect u2
a send send_message {"conversationId":"room1","senderId":"u2","seq":77,"id":"mine","createdAt":"1999","sender":{"name":"admin"},"status":"read","content":{"text":"x","html":"<b>","fileInfo":{}},"metadata":{"ipAddress":"1.2.3.4"},"extra":[1,2,3]}
a find message_status
a find message_received
b expect message_received data.seq==1 data.message.senderId=u1 data.message.sender.name="Name of u1" data.message.status=sent data.message.content=={"text":"x"} data.message.id~^[0-9a-f]{24}$ data.message.createdAt~^20[2-9] data.extra! data.message.extra! data.message.metadata!
redis XREVRANGE %ingest(room1) + - COUNT 1 !~ 1\.2\.3\.4


=== TEST 4: text comes out as it went in
--- steps
room room1 u1 u2
a connect u1
b connect u2
a text {"event":"send_message","data":{"conversationId":"room1","content":{"text":"\u00e9 \ud83d\ude00 \"\\\/\b\f\n\r\t\u0001\u2028 m 1 u1 -\n{}"}}}
b expect message_received data.message.content=={"text":"\u00e9\u0020\ud83d\ude00\u0020\"\\/\b\f\n\r\t\u0001\u2028\u0020m\u00201\u0020u1\u0020-\n{}"}
a find message_status
a find message_received


=== TEST 5: a retry gets the first ack again and is not shown twice
--- steps
room room1 u1 u2
a connect u1
a2 connect u1
b connect u2
a send send_message {"conversationId":"room1","content":{"text":"once"},"clientMessageId":"c1"}
a find message_status data.messageId=@mid data.createdAt=@at data.seq==1
a find message_received
a2 expect message_received data.seq==1
b expect message_received data.seq==1
a send send_message {"conversationId":"room1","content":{"text":"once"},"clientMessageId":"c1"}
a expect message_status data.messageId=$mid data.createdAt=$at data.seq==1 data.status=sent data.clientMessageId=c1
# also from another device, with another text
a2 send send_message {"conversationId":"room1","content":{"text":"other"},"clientMessageId":"c1"} id=i2
a2 find message_status data.id=i2 data.messageId=$mid data.seq==1
a2 find ack data.id=i2
# another sender's id is another id
b send send_message {"conversationId":"room1","content":{"text":"mine"},"clientMessageId":"c1"}
b find message_status data.messageId!=$mid data.seq==2
b find message_received data.seq==2
a expect message_received data.seq==2
a2 expect message_received data.seq==2
redis XLEN %log(room1) = 2


=== TEST 6: without a clientMessageId each is a new one
--- steps
room room1 u1
a connect u1
repeat 3 a send send_message {"conversationId":"room1","content":{"text":"same"}}
a find message_status data.seq==1 data.clientMessageId!
a find message_status data.seq==2
a find message_status data.seq==3
a expect message_received data.seq==1 data.clientMessageId!
a expect message_received data.seq==2
a expect message_received data.seq==3


=== TEST 7: a reply and a sticker
--- steps
room room1 u1
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"q"}}
a find message_status data.messageId=@mid
a find message_received
a send send_message {"conversationId":"room1","content":{"text":"a"},"replyTo":"$mid"}
a find message_status
a find message_received data.message.replyTo=$mid
a send send_message {"conversationId":"room1","type":"sticker","content":{"sticker":{"pack":"cats","id":"wave_1"}}}
a find message_status
a find message_received data.message.type=sticker data.message.content=={"sticker":{"id":"wave_1","pack":"cats"}}


=== TEST 8: send_message that is wrong: fields and types
--- steps
room room1 u1
a connect u1
a send send_message {} id=w1
a expect error data.id=w1 data.event=send_message data.code=invalid_request data.field=conversationId data.retryable==false data.message~.
a send send_message {"conversationId":17,"content":{"text":"x"}} id=w2
a expect error data.id=w2 data.code=invalid_request data.field=conversationId
a send send_message {"conversationId":"a b","content":{"text":"x"}} id=w3
a expect error data.id=w3 data.code=invalid_request data.field=conversationId
a send send_message {"conversationId":"room1"} id=w4
a expect error data.id=w4 data.code=invalid_request data.field=content
a send send_message {"conversationId":"room1","content":"x"} id=w5
a expect error data.id=w5 data.code=invalid_request data.field=content
a send send_message {"conversationId":"room1","content":{}} id=w6
a expect error data.id=w6 data.code=invalid_request data.field=content.text
a send send_message {"conversationId":"room1","content":{"text":["x"]}} id=w7
a expect error data.id=w7 data.code=invalid_request data.field=content.text
a send send_message {"conversationId":"room1","content":{"text":""}} id=w8
a expect error data.id=w8 data.code=invalid_request data.field=content.text
a send send_message {"conversationId":"room1","content":{"text":" \n\t "}} id=w9
a expect error data.id=w9 data.code=invalid_request data.field=content.text
redis HGET %conv(room1) seq = 0


=== TEST 9: send_message that is wrong: more
--- steps
room room1 u1
a connect u1
a send send_message {"conversationId":"room1","type":"system","content":{"text":"x"}} id=w1
a expect error data.id=w1 data.code=invalid_request data.field=type
a send send_message {"conversationId":"room1","type":"file","content":{"text":"x"}} id=w2
a expect error data.id=w2 data.code=invalid_request data.field=type
a send send_message {"conversationId":"room1","type":"sticker","content":{"text":"x"}} id=w3
a expect error data.id=w3 data.code=invalid_request data.field=content.sticker
a send send_message {"conversationId":"room1","content":{"text":"x"},"replyTo":"no id!"} id=w4
a expect error data.id=w4 data.code=invalid_request data.field=replyTo
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"has blank"} id=w5
a expect error data.id=w5 data.code=invalid_request data.field=clientMessageId
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":5} id=w6
a expect error data.id=w6 data.code=invalid_request data.field=clientMessageId
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"$long"} id=w7
a expect error data.id=w7 data.code=invalid_request data.field=clientMessageId
redis HGET %conv(room1) seq = 0
--- vars
long c*129


=== TEST 10: text that is too long
--- with
writeen_max_text 100;
--- steps
room room1 u1
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"$long"}}
a find message_status data.seq==1
a find message_received
a send send_message {"conversationId":"room1","content":{"text":"$long."},"clientMessageId":"c9"} id=w1
a expect error data.id=w1 data.event=send_message data.code=too_large data.field=content.text data.clientMessageId=c9 data.retryable==false
# bytes count, not characters
a send send_message {"conversationId":"room1","content":{"text":"$long98\u00e9"}}
a find message_status data.seq==2
a find message_received
a send send_message {"conversationId":"room1","content":{"text":"$long98\u20ac"}} id=w2
a expect error data.id=w2 data.code=too_large
--- vars
long x*100
long98 x*98


=== TEST 11: the default limit of 16 KB of text
--- steps
room room1 u1
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"$long"}}
a find message_status data.seq==1
a find message_received data.message.content.text=$long
a send send_message {"conversationId":"room1","content":{"text":"$long."}} id=w1
a expect error data.id=w1 data.code=too_large
--- vars
long x*16384


=== TEST 12: a room of others and a room that is not: the same answer
--- steps
room room1 u1
user u9
worker LOAD nowhere 404
worker MESSAGE * 404
a connect u9
a send send_message {"conversationId":"room1","content":{"text":"x"}} id=s
a expect error data.id=s data.event=send_message data.code=not_found data.conversationId=room1 data.retryable==false data.message=@m1
a send send_message {"conversationId":"nowhere","content":{"text":"x"}} id=s
a expect error data.id=s data.event=send_message data.code=not_found data.conversationId=nowhere data.message="$m1"
a send join_conversation {"conversationId":"room1"} id=j
a expect error data.id=j data.event=join_conversation data.code=not_found data.conversationId=room1 data.message=@m2
a send join_conversation {"conversationId":"nowhere"} id=j
a expect error data.id=j data.event=join_conversation data.code=not_found data.conversationId=nowhere data.message="$m2"
a send join_conversation {"conversationId":"room1","afterSeq":0} id=j
a expect error data.id=j data.code=not_found
a send leave_conversation {"conversationId":"room1"} id=l
a find error data.id=l data.code=not_found data.message=@m3
a send leave_conversation {"conversationId":"nowhere"} id=l
a find error data.id=l data.code=not_found data.message="$m3"
redis HGET %conv(room1) seq = 0


=== TEST 13: permissions
--- steps
room room1 u1 u2:r u3:rw
a connect u2
b connect u3
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c"} id=s
a expect error data.id=s data.code=forbidden data.clientMessageId=c data.retryable==false
b send send_message {"conversationId":"room1","content":{"text":"x"}}
b find message_status data.seq==1
b find message_received
a expect message_received data.seq==1


=== TEST 14: an archived room can be read, not written to
--- steps
room room1 u1 seq=0 state=archived
a connect u1
a send join_conversation {"conversationId":"room1"}
a expect conversation_joined data.seq==0
a send send_message {"conversationId":"room1","content":{"text":"x"}} id=s
a expect error data.id=s data.code=conversation_archived data.retryable==false


=== TEST 15: join: where the room stands
--- steps
room room1 u1 u2
post room1 u2 one
post room1 u2 two
redis HSET %conv(room1) r:u2 '2 2026-01-01T00:00:00.000Z' d:u2 '2 2026-01-01T00:00:00.000Z' d:u1 '1 2026-01-01T00:00:00.000Z'
a connect u1
a send join_conversation {"conversationId":"room1"} id=j1
a find ack data.id=j1 data.event=join_conversation
a expect conversation_joined data.id=j1 data.conversationId=room1 data.seq==2 data.recovered==true data.missed==0 data.online=["u1"] data.cursors~userId.:.u2 data.cursors.length=2 data.compact!
a quiet
a send join_conversation {"conversationId":"room1","afterSeq":0} id=j2
a find ack data.id=j2
a expect conversation_joined data.id=j2 data.seq==2 data.recovered==true data.missed==2
a expect message_received data.seq==1 data.message.content.text=one
a expect message_received data.seq==2 data.message.content.text=two
# what this connection was given once it is not given again
a send join_conversation {"conversationId":"room1","afterSeq":1}
a expect conversation_joined data.missed==0 data.id!
a quiet
a send join_conversation {"conversationId":"room1","afterSeq":2}
a expect conversation_joined data.missed==0 data.seq==2
a quiet


=== TEST 16: cursors
--- steps
room room1 u1 u2
post room1 u2 one
redis HSET %conv(room1) r:u2 '1 2026-01-01T00:00:00.000Z'
a connect u1
a send join_conversation {"conversationId":"room1"}
a expect conversation_joined data.cursors~readSeq.:1 data.cursors~deliveredSeq.:\d data.cursors.0.userId~^u[12]$
redis HSET %conv(room1) m:gone 'x' r:gone '1 x'
redis HDEL %conv(room1) m:gone
redis ZADD wrt:online 9999999999999 gone
a send join_conversation {"conversationId":"room1"}
a expect conversation_joined data.cursors.length=3 data.cursors.2.userId=gone data.cursors.2.readSeq==1 data.online=["u1"]


=== TEST 17: join that is wrong
--- steps
room room1 u1
a connect u1
a send join_conversation {} id=w1
a expect error data.id=w1 data.event=join_conversation data.code=invalid_request data.field=conversationId
a send join_conversation {"conversationId":"room1","afterSeq":"2"} id=w2
a expect error data.id=w2 data.code=invalid_request data.field=afterSeq
a send join_conversation {"conversationId":"room1","afterSeq":-1} id=w3
a expect error data.id=w3 data.code=invalid_request data.field=afterSeq
a send join_conversation {"conversationId":"room1","afterSeq":1.5} id=w4
a expect error data.id=w4 data.code=invalid_request data.field=afterSeq
a send join_conversation {"conversationId":"room1","afterSeq":9007199254740993} id=w5
a expect error data.id=w5 data.code=invalid_request data.field=afterSeq
a send join_conversation {"conversationId":["room1"]} id=w6
a expect error data.id=w6 data.code=invalid_request data.field=conversationId


=== TEST 18: leave: the room's events go on to all of a user's sockets
--- steps
room room1 u1 u2
a connect u1
a send join_conversation {"conversationId":"room1"}
a expect conversation_joined
a send leave_conversation {"conversationId":"room1"} id=l1
a expect ack data.id=l1 data.event=leave_conversation
post room1 u2 hello
a expect message_received data.seq==1


=== TEST 19: what is no event at all
--- steps
user u1
a connect u1
a text not json
a expect error data.code=invalid_request data.retryable==false data.message~. data.id! data.event!
a text [1,2]
a expect error data.code=invalid_request
a text "ping"
a expect error data.code=invalid_request
a text {"event":"ping"
a expect error data.code=invalid_request
a text {"event":"ping"}{"event":"ping"}
a expect error data.code=invalid_request
a text {"data":{}}
a expect error data.code=invalid_request data.field=event
a text {"event":17}
a expect error data.code=invalid_request data.field=event
a text {"event":"ping","data":[]}
a expect error data.code=invalid_request data.field=data
a frame text
a expect error data.code=invalid_request


=== TEST 20: what is hardly an event
--- steps
user u1
a connect u1
a text {"event":"ping","event":"ping","id":"d"}
a expect error data.code=invalid_request
a text {"event":"ping","id":"deep","data":{"a":[[[[[[[[[1]]]]]]]]]}}
a expect error data.code=invalid_request data.id=deep data.event=ping
a text {"event":"ping","id":17}
a expect error data.code=invalid_request data.field=id
a text {"event":"ping","id":"$long"}
a expect error data.code=invalid_request data.field=id
a send no_such_event {} id=n
a expect error data.code=invalid_request data.id=n data.event=no_such_event
a send PING
a expect error data.code=invalid_request
a text {"event":"ping","data":null}
a expect pong
a text {"event":"ping","id":null}
a expect pong
--- vars
long x*65


=== TEST 21: ping and pong
--- steps
user u1
a connect u1
a send ping
a expect pong
a send ping {} id=p1
a expect pong data.id=p1
a quiet


=== TEST 22: the tenth bad event ends the connection
--- steps
user u1
a connect u1
repeat 9 a text {"event":"nonsense"}
a expect error
a expect error
a expect error
a expect error
a expect error
a expect error
a expect error
a expect error
a expect error
a send ping
a expect pong
a text {"event":"nonsense"}
a expect_close 4400 any=1


=== TEST 23: refusals that are no malformed events do not end the connection
--- steps
room room1 u1 state=archived
a connect u1
repeat 12 a send send_message {"conversationId":"room1","content":{"text":"x"}} id=s$i
a find error data.id=s12 data.code=conversation_archived
a send ping
a find pong
a ignore


=== TEST 24: rate limit of a connection
--- with
writeen_rate 2 burst=4;
--- steps
room room1 u1
a connect u1
a2 connect u1
# at once: two come back in a second
nginx hold
repeat 4 a send ping
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c5"} id=s5
nginx go
repeat 4 a expect pong
a expect error data.id=s5 data.event=send_message data.code=rate_limited data.clientMessageId=c5 data.retryable==true data.retryAfterMs~^[1-9]\d*$
redis HGET %conv(room1) seq = 0
# another connection has its own
a2 send ping
a2 expect pong
# and it is refilled
sleep 0.6
a send ping
a expect pong


=== TEST 25: rate limit of a user, over all connections
--- with
writeen_rate 100 burst=100 user=5;
--- steps
user u1
user u2
a connect u1
a2 connect u1
b connect u2
# twice the rate at once, then no more
nginx hold
repeat 10 a send ping id=p$i
repeat 5 a2 send ping id=p$i
nginx go
a find pong data.id=p10
a2 find error data.code=rate_limited data.retryAfterMs~^[1-9]
b send ping
b expect pong
a ignore
a2 ignore


=== TEST 26: who does not stop flooding is thrown out
--- with
writeen_rate 1 burst=1;
--- steps
user u1
user u2
a connect u1
b connect u2
repeat 5100 a send ping
a expect_close 4429 within=40 any=1
b send ping
b expect pong
log !~ \[error\]


=== TEST 27: a room that is not in Redis is loaded on first use
--- steps
user u1 room1
user u2 room1
worker LOAD room1 200 then room room1 u1 u2 seq=7 lists=0
a connect u1
b connect u2
a send send_message {"conversationId":"room1","content":{"text":"hi"}}
a find message_status data.seq==8
a find message_received data.seq==8
b expect message_received data.seq==8
calls LOAD room1 = 1


=== TEST 28: a user whose list is not whole is looked up
--- steps
room room1 u1 u2 lists=0
worker USER u1 200 then user u1 room1
a handshake token=u1
a response 101
a expect connected data.conversations==1
calls USER u1 = 1
post room1 u2 hello
a expect message_received data.seq==1


=== TEST 29: a user whose list nobody can tell is not left waiting for ever
--- steps
worker USER u1 0
a handshake token=u1
a response 101
a expect_close 1011 within=25
calls USER u1 = 2


=== TEST 30: invited while connected
--- steps
user u1
a connect u1
room room1 u1 u2
redis PUBLISH wrt:u:u1 'j room1 0 -\n{"event":"conversation_created","data":{"conversationId":"room1","seq":0,"conversation":{"id":"room1"}}}'
a expect conversation_created data.conversationId=room1 data.seq==0
post room1 u2 welcome
a expect message_received data.seq==1
a send send_message {"conversationId":"room1","content":{"text":"thanks"}}
a find message_status data.seq==2
a find message_received data.seq==2


=== TEST 31: who left a room hears nothing of it any more
--- steps
room room1 u1 u2
a connect u1
b connect u2
emit room1 l u2 u1 {"event":"message_received","data":{"conversationId":"room1","seq":@SEQ@,"message":{"id":"0123456789abcdef01234567","type":"system","createdAt":"@AT@"}}} ops=D m:u1
b expect message_received data.seq==1
redis PUBLISH wrt:u:u1 'l room1 - -\n'
post room1 u2 secret
b expect message_received data.seq==2
a ignore
a send send_message {"conversationId":"room1","content":{"text":"x"}} id=s
a find error data.id=s data.code=not_found
a never secret


=== TEST 32: events for one user, and revoked access
--- steps
user u1
user u2
a connect u1
a2 connect u1
b connect u2
redis PUBLISH wrt:u:u1 'e - - -\n{"event":"upload_progress","data":{"progress":50}}'
a expect upload_progress data.progress==50
a2 expect upload_progress
redis PUBLISH wrt:u:u1 'k - - -\n'
a expect_close 4403
a2 expect_close 4403
b quiet
b send ping
b expect pong


=== TEST 33: nonsense on the bus does no harm
--- steps
room room1 u1 u2
a connect u1
redis PUBLISH %chan(room1) x
redis PUBLISH %chan(room1) 'm one u2 -\n{}'
redis PUBLISH %chan(room1) 'm 5'
redis PUBLISH %chan(room1) '\n\n\n'
redis PUBLISH wrt:u:u1 'zzz'
redis PUBLISH wrt:u:u1 'q - - -\n{}'
redis PUBLISH wrt:{99}:room:room1 'm 1 u2 -\n{}'
post room1 u2 fine
a expect message_received data.seq==1 data.message.content.text=fine


=== TEST 34: resume: nothing before, everything after
--- with
writeen_resume_wait 30s;
--- steps
room room1 u1 u2
room room2 u1 u2
post room1 u2 r1-1
post room1 u2 r1-2
post room2 u2 r2-1
a handshake token=u1 resume=1
a response 101
a expect connected data.resume==true data.conversations==2
post room1 u2 r1-3
post room2 u2 r2-2
a quiet 0.5
a send resume {"conversations":{"room1":1,"room2":2}} id=r1
a find conversation_joined data.conversationId=room1 data.seq==3 data.missed==2
a find conversation_joined data.conversationId=room2 data.seq==2 data.missed==0
a find ack data.id=r1 data.event=resume
a expect message_received data.conversationId=room1 data.seq==2
a expect message_received data.conversationId=room1 data.seq==3
a quiet
post room2 u2 r2-3
a expect message_received data.conversationId=room2 data.seq==3


=== TEST 35: resume that never comes: after writeen_resume_wait all is sent
--- with
writeen_resume_wait 4s;
--- steps
room room1 u1 u2
a handshake token=u1 resume=1
a response 101
a expect connected data.resume==true
post room1 u2 early
a quiet 0.5
a expect message_received data.seq==1 data.message.content.text=early
post room1 u2 late
a expect message_received data.seq==2 data.message.content.text=late


=== TEST 36: resume that is wrong
--- steps
room room1 u1
a handshake token=u1 resume=1
a response 101
a expect connected
a send resume {} id=w1
a expect error data.id=w1 data.event=resume data.code=invalid_request data.field=conversations
a send resume {"conversations":["room1"]} id=w2
a expect error data.id=w2 data.code=invalid_request data.field=conversations
a send resume {"conversations":{"room1":"1"}} id=w3
a expect error data.id=w3 data.code=invalid_request
a send resume {"conversations":{"bad id":1}} id=w4
a expect error data.id=w4 data.code=invalid_request
a send resume {"conversations":{"room1":0}} id=r
a find conversation_joined data.conversationId=room1
a find ack data.id=r


=== TEST 37: resume of a room that he is not in
--- steps
room room1 u1
room room2 u2
worker LOAD nowhere 404
a handshake token=u1 resume=1
a response 101
a expect connected
a send resume {"conversations":{"room2":0,"nowhere":3,"room1":0}} id=r
a find error data.conversationId=room2 data.code=not_found
a find error data.conversationId=nowhere data.code=not_found
a find conversation_joined data.conversationId=room1
a find ack data.id=r


=== TEST 38: a catch-up older than the log comes from the store
--- steps
room room1 u1 u2 seq=500
worker CHANGES room1 200 "500 2 500\n{\"id\":\"room1\",\"title\":\"T\"}\nm 400 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":400,\"message\":{\"id\":\"a\",\"seq\":400}}}\ne 500 u2 -\n{\"event\":\"message_updated\",\"data\":{\"conversationId\":\"room1\",\"seq\":500}}\n"
a connect u1
a send join_conversation {"conversationId":"room1","afterSeq":399}
a expect conversation_joined data.seq==500 data.compact==true data.recovered==true data.missed==2 data.conversation.title=T
a expect message_received data.seq==400
a expect message_updated data.seq==500
call CHANGES room1 q~^399\b
post room1 u2 live
a expect message_received data.seq==501


=== TEST 39: more than the store will tell: resync_required
--- steps
room room1 u1 u2 seq=5000
worker CHANGES room1 413
a connect u1
a send join_conversation {"conversationId":"room1","afterSeq":1}
a expect conversation_joined data.seq==5000 data.recovered==false
a expect resync_required data.conversationId=room1 data.seq==5000
post room1 u2 live
a expect message_received data.seq==5001


=== TEST 40: a client that knows more than Redis raises its number
--- steps
room room1 u1 u2 seq=10
a connect u1
b connect u2
a send join_conversation {"conversationId":"room1","afterSeq":15}
a expect conversation_joined data.seq==15
redis HGET %conv(room1) seq = 15
b send send_message {"conversationId":"room1","content":{"text":"x"}}
b find message_status data.seq==16
b find message_received data.seq==16
a expect message_received data.seq==16


=== TEST 41: but not without bound
--- steps
room room1 u1 u2 seq=10
a connect u1
a send join_conversation {"conversationId":"room1","afterSeq":900000}
a find conversation_joined data.seq==10
redis HGET %conv(room1) seq = 10
a ignore


=== TEST 42: profile: a user's name gets to the store when he connects
--- steps
user u1
token t sub=u1 role=tutor name="Ani W." avatar=https://cdn.example/a.png
a handshake token=$t
a response 101
a expect connected
until redis XREVRANGE wrt:{%shard(u1)}:ingest + - COUNT 1 ~ u 0 u1 -\n\{.*Ani W\..*tutor
a drop
redis XLEN wrt:{%shard(u1)}:ingest -> n
a handshake token=$t
a response 101
a expect connected
redis XLEN wrt:{%shard(u1)}:ingest = $n


=== TEST 43: a room that can not be loaded does not keep the others waiting
--- steps
room room1 u1 u2
user u1 room1 gone
worker LOAD gone 0
a handshake token=u1
a response 101
a expect connected
post room1 u2 hello
a expect message_received data.conversationId=room1 data.seq==1
a send send_message {"conversationId":"room1","content":{"text":"hi"}}
a find message_status data.seq==2
a find message_received data.seq==2


=== TEST 44: a room in the list that is in no store
--- steps
room room1 u1
user u1 room1 gone
worker LOAD gone 404
a connect u1
post room1 u1 hello
a expect message_received data.conversationId=room1 data.seq==1


=== TEST 45: what the store begins it ends, whatever the log reaches back to
--- steps
room room1 u1 u2 seq=500
post room1 u2 one
post room1 u2 two
post room1 u2 three
worker CHANGES room1 200 "501 2 503\n{}\nm 501 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":501,\"message\":{\"id\":\"a\",\"seq\":501}}}\n" then worker CHANGES room1 200 "503 1 503\n{}\ne 503 u2 -\n{\"event\":\"message_updated\",\"data\":{\"conversationId\":\"room1\",\"seq\":503}}\n"
a connect u1
a send join_conversation {"conversationId":"room1","afterSeq":399}
a expect conversation_joined data.seq==503 data.compact==true data.missed==2
a expect message_received data.seq==501
a expect message_updated data.seq==503
call CHANGES room1 q~^501.399\b
post room1 u2 live
a expect message_received data.seq==504


=== TEST 46: nor does it help to be let through now and then
--- with
writeen_rate_kind message 1 burst=1;
--- steps
room room1 u1
a connect u1
repeat 2700 a send send_message {"conversationId":"room1","content":{"text":"x"}}
a send ping
a find pong
repeat 2700 a send send_message {"conversationId":"room1","content":{"text":"x"}}
a expect_close 4429 within=40 any=1


=== TEST 47: behind a proxy the message has the client's address
--- with
set_real_ip_from 127.0.0.1;
real_ip_header X-Real-IP;
--- steps
room room1 u1
a handshake token=u1 header="X-Real-IP: 203.0.113.9"
a response 101
a expect connected
a send send_message {"conversationId":"room1","content":{"text":"x"}} id=s1
a find ack data.id=s1
redis XREVRANGE %ingest(room1) + - COUNT 1 ~ "ipAddress":"203\.0\.113\.9"
a ignore


=== TEST 48: a resume of rooms that are none takes few of the pool's places
--- steps
worker LOAD * 0
user u1
a connect u1
a send resume {"conversations":{"none1":0,"none2":0,"none3":0,"none4":0,"none5":0,"none6":0,"none7":0,"none8":0,"none9":0,"none10":0,"none11":0,"none12":0,"none13":0,"none14":0,"none15":0,"none16":0,"none17":0,"none18":0,"none19":0,"none20":0,"none21":0,"none22":0,"none23":0,"none24":0,"none25":0,"none26":0,"none27":0,"none28":0,"none29":0,"none30":0,"none31":0,"none32":0,"none33":0,"none34":0,"none35":0,"none36":0,"none37":0,"none38":0,"none39":0,"none40":0}} id=r
repeat 8 a expect error data.code=rate_limited data.event=join_conversation data.retryable==true
until calls LOAD * = 32
a ignore
