# Redis goes away and comes back.
#
# Chat servers are tested with a Redis that is there.  Without this file a lost
# connection could drop sockets, lose what was sent meanwhile by others, give
# it twice, or leave a client without an answer for ever, and it would first be
# seen on the day that Redis is restarted.  No step waits for more than a few
# seconds: the server has to find back by itself.

use lib 't/lib';
use Test::Nginx::Writeen;

redis_server('second');

run_tests();

__DATA__

=== TEST 1: killed and started again: sockets stay, sends are told
--- steps
room room1 u1 u2
a connect u1
b connect u2
a send send_message {"conversationId":"room1","content":{"text":"before"}}
a find message_status data.seq==1
a find message_received
b expect message_received data.seq==1
server main kill
sleep 0.2
a send send_message {"conversationId":"room1","content":{"text":"lost"},"clientMessageId":"c2"} id=s2
a expect error data.id=s2 data.event=send_message data.code=unavailable data.retryable==true data.clientMessageId=c2 data.conversationId=room1
h request GET /healthz
h response 503 status=down
a send ping
a expect pong
b quiet 0.1
server main start
until h connect u1
h drop
a send send_message {"conversationId":"room1","content":{"text":"again"},"clientMessageId":"c2"}
a find message_status data.seq==2 data.clientMessageId=c2
a find message_received data.seq==2
b expect message_received data.seq==2 data.message.content.text=again
until h request GET /healthz
h response 200


=== TEST 2: what others sent while the connection was lost is filled in
--- steps
room room1 u1 u2
a connect u1
post room1 u2 one
a expect message_received data.seq==1
redis CLIENT KILL TYPE pubsub
post room1 u2 two
post room1 u2 three
redis CLIENT KILL TYPE pubsub
post room1 u2 four
a expect message_received data.seq==2
a expect message_received data.seq==3
a expect message_received data.seq==4
post room1 u2 five
a expect message_received data.seq==5
a quiet


=== TEST 3: both connections lost, again and again
--- steps
room room1 u1 u2
a connect u1
b connect u2
redis CLIENT KILL TYPE pubsub
redis CLIENT KILL TYPE normal SKIPME yes
post room1 u2 one
redis CLIENT KILL TYPE pubsub
redis CLIENT KILL TYPE normal SKIPME yes
post room1 u2 two
redis CLIENT KILL TYPE pubsub
redis CLIENT KILL TYPE normal SKIPME yes
post room1 u2 three
redis CLIENT KILL TYPE pubsub
redis CLIENT KILL TYPE normal SKIPME yes
post room1 u2 four
redis CLIENT KILL TYPE pubsub
redis CLIENT KILL TYPE normal SKIPME yes
post room1 u2 five
a run room1 1 5
b run room1 1 5


=== TEST 4: a hole in what comes is filled before anything later is given
--- steps
room room1 u1 u2
a connect u1
post room1 u2 one
a expect message_received data.seq==1
# numbers 2 and 3 get into the log behind the channel's back
redis XADD %log(room1) 2-0 p 'm 2 u2 -\n{"event":"message_received","data":{"conversationId":"room1","seq":2,"message":{"id":"x2","seq":2}}}'
redis XADD %log(room1) 3-0 p 'm 3 u2 -\n{"event":"message_received","data":{"conversationId":"room1","seq":3,"message":{"id":"x3","seq":3}}}'
redis HSET %conv(room1) seq 3
post room1 u2 four
a expect message_received data.seq==2
a expect message_received data.seq==3
a expect message_received data.seq==4 data.message.content.text=four
a quiet


=== TEST 5: a number that the log does not have any more was redacted
--- steps
room room1 u1 u2
a connect u1
post room1 u2 one
a expect message_received data.seq==1
redis HSET %conv(room1) seq 2
post room1 u2 three
a expect message_received data.seq==3
a quiet


=== TEST 6: a repeat on the channel is not given twice
--- steps
room room1 u1 u2
a connect u1
post room1 u2 one
a expect message_received data.seq==1
redis XRANGE %log(room1) 1-0 1-0 -> entry
redis PUBLISH %chan(room1) 'm 1 u2 -\n{"event":"message_received","data":{"conversationId":"room1","seq":1,"message":{"id":"again"}}}'
a quiet
post room1 u2 two
a expect message_received data.seq==2


=== TEST 7: Redis that hangs: clients are told, and it goes on afterwards
--- steps
room room1 u1 u2
a connect u1
b connect u2
server main pause
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c1"} id=s1
a expect error data.id=s1 data.code=unavailable data.retryable==true
a send ping
a expect pong
server main resume
until h connect u1
h drop
# whether the first try got through nobody knows: the retry makes it sure
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c1"} id=s2
a find message_status data.clientMessageId=c1 data.seq==1 data.id=s2
a find ack data.id=s2
a find message_received data.seq==1
b expect message_received data.seq==1
b quiet


=== TEST 8: numbers are never given twice, even if Redis forgot the last
--- steps
room room1 u1 u2
a connect u1
b connect u2
post room1 u2 one
post room1 u2 two
a expect message_received data.seq==1
a expect message_received data.seq==2
b expect message_received data.seq==1
b expect message_received data.seq==2
# a lost second: number 2 is gone, as after a power failure
server main stop
server main start
redis HSET %conv(room1) seq 1
redis XDEL %log(room1) 2-0
redis CLIENT KILL TYPE normal SKIPME yes
redis CLIENT KILL TYPE pubsub
until h connect u1
h drop
a send send_message {"conversationId":"room1","content":{"text":"three"}}
a find message_status data.seq==3
a find message_received data.seq==3
b expect message_received data.seq==3 data.message.content.text=three


=== TEST 9: opening while Redis goes away ends in an answer
--- steps
user u1
server main pause
a handshake token=u1
a eof-or-close 25
server main resume
until b connect u1


=== TEST 10: one of two servers gone: rooms of the other go on
--- redis: main second
--- steps
# shard k is on server k % 2: room1 and room2 differ
room $even u1 u2
room $odd u1 u2
a connect u1
b connect u2
server second kill
sleep 0.2
a send send_message {"conversationId":"$even","content":{"text":"x"}}
a find message_status data.seq==1
a find message_received data.seq==1
b expect message_received data.conversationId=$even
a send send_message {"conversationId":"$odd","content":{"text":"x"}} id=o1
a expect error data.id=o1 data.code=unavailable data.retryable==true
server second start
until h connect u1
h drop
until metric writeen_connections = 2
until a try-send $odd
a find message_received data.conversationId=$odd data.seq==1
b expect message_received data.conversationId=$odd data.seq==1


=== TEST 11: shards set otherwise: it refuses to work and says so
--- shards: 32
--- no_wait
--- steps
user u1
a handshake token=u1
a response 503 error.code=unavailable
until log ~ shards.*32
redis HSET wrt:config shards 16
until a connect u1

=== TEST 12: what the log has let go of comes from the store, and is said to
--- steps
room room1 u1 u2
worker CHANGES room1 200 "4 2 4\n{\"id\":\"room1\",\"title\":\"T\"}\nm 3 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":3,\"message\":{\"id\":\"a\",\"seq\":2}}}\nm 4 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":4,\"message\":{\"id\":\"b\",\"seq\":4}}}\n"
a connect u1
a2 connect u1
post room1 u2 one
a expect message_received data.seq==1
a2 expect message_received data.seq==1
# 2 and 3 were here, and have gone
redis HSET %conv(room1) seq 3
redis HSET %conv(room1) r:u2 '3 2026-11-28T10:00:00.000Z'
redis DEL %log(room1)
post room1 u2 four
a expect conversation_joined data.seq==4 data.recovered==true data.compact==true data.missed==2 data.conversation.title=T data.online=["u1"] data.cursors~readSeq.:3,.userId.:.u2 data.cursors.length=2 data.id!
a expect message_received data.seq==3 data.message.seq==2
a expect message_received data.seq==4
a2 expect conversation_joined data.missed==2
a2 expect message_received data.seq==3
a2 expect message_received data.seq==4
call CHANGES room1 q~^1.1\b
post room1 u2 five
a expect message_received data.seq==5 data.message.content.text=five
a2 expect message_received data.seq==5
a quiet


=== TEST 13: who was taken out in such a hole hears nothing more
--- steps
room room1 u1 u2 u3
worker CHANGES room1 200 "4 1 4\n{\"id\":\"room1\"}\nm 4 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":4,\"message\":{\"id\":\"b\",\"seq\":4}}}\n"
a connect u1
c connect u3
post room1 u2 one
a expect message_received data.seq==1
c expect message_received data.seq==1
redis HSET %conv(room1) seq 3
redis HDEL %conv(room1) m:u3
redis DEL %log(room1)
post room1 u2 four
a expect conversation_joined data.missed==1
a expect message_received data.seq==4
c expect resync_required data.conversationId=room1 data.afterSeq==1
post room1 u2 five
a expect message_received data.seq==5
c quiet 0.3
c send ping
c expect pong


=== TEST 14: nor when it is too much for the store to tell
--- steps
room room1 u1 u2 u3
worker CHANGES room1 413
a connect u1
c connect u3
post room1 u2 one
a expect message_received data.seq==1
c expect message_received data.seq==1
redis HSET %conv(room1) seq 3
redis HDEL %conv(room1) m:u3
redis DEL %log(room1)
post room1 u2 four
a expect resync_required data.conversationId=room1 data.seq==4 data.afterSeq==1
c expect resync_required data.conversationId=room1
post room1 u2 five
a expect message_received data.seq==5
c quiet 0.3


=== TEST 15: nor when the numbers went too far ahead
--- steps
room room1 u1 u2 u3
a connect u1
c connect u3
post room1 u2 one
a expect message_received data.seq==1
c expect message_received data.seq==1
redis HSET %conv(room1) seq 3000
redis HDEL %conv(room1) m:u3
post room1 u2 far
a expect resync_required data.conversationId=room1 data.seq==3001 data.afterSeq==1
c expect resync_required data.conversationId=room1
post room1 u2 further
a expect message_received data.seq==3002
c quiet 0.3


=== TEST 16: a resume that does not name the room is told likewise
--- with
writeen_resume_wait 30s;
--- steps
room room1 u1 u2
room room2 u1 u2
worker CHANGES room1 200 "4 1 4\n{\"id\":\"room1\",\"title\":\"T\"}\nm 4 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":4,\"message\":{\"id\":\"b\",\"seq\":4}}}\n"
post room1 u2 one
a handshake token=u1 resume=1
a response 101
a expect connected data.resume==true
redis HSET %conv(room1) seq 3
redis DEL %log(room1)
post room1 u2 four
a send resume {"conversations":{"room2":0}} id=r
a find conversation_joined data.conversationId=room2
a find ack data.id=r
a find conversation_joined data.conversationId=room1 data.compact==true data.missed==1 data.conversation.title=T
a expect message_received data.conversationId=room1 data.seq==4
post room1 u2 five
a expect message_received data.seq==5
a quiet


=== TEST 17: with the store away, too, those who are here go on talking
--- steps
room room1 u1 u2 u3
worker CHANGES room1 503
a connect u1
c connect u3
post room1 u2 one
a expect message_received data.seq==1
c expect message_received data.seq==1
redis HSET %conv(room1) seq 3
redis DEL %log(room1)
post room1 u2 four
redis HDEL %conv(room1) m:u3
a expect resync_required data.conversationId=room1 data.seq==4 data.afterSeq==1
c expect resync_required data.conversationId=room1
post room1 u2 five
a expect message_received data.seq==5
c quiet 0.3


=== TEST 18: a room that two open at once knows where it stands
--- steps
room room1 u1 u2 u3
worker CHANGES room1 200 "3 1 3\n{\"id\":\"room1\"}\nm 3 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":3,\"message\":{\"id\":\"b\",\"seq\":3}}}\n"
nginx hold
a handshake token=u1
c handshake token=u3
nginx go
a response 101
c response 101
a expect connected
c expect connected
redis HSET %conv(room1) seq 3
redis HDEL %conv(room1) m:u3
redis DEL %log(room1)
redis CLIENT KILL TYPE pubsub
a expect conversation_joined data.missed==1
a expect message_received data.seq==3
call CHANGES room1 q~^0.0\b
c expect resync_required data.conversationId=room1 data.afterSeq==0
post room1 u2 four
a expect message_received data.seq==4
c quiet 0.3


=== TEST 19: and that Redis has lost some of it
--- steps
room room1 u1 u2 u3 seq=5
nginx hold
a handshake token=u1
c handshake token=u3
nginx go
a response 101
c response 101
a expect connected
c expect connected
redis HSET %conv(room1) seq 3
redis CLIENT KILL TYPE pubsub
until redis HGET %conv(room1) seq = 5
post room1 u2 six
a expect message_received data.seq==6
c expect message_received data.seq==6


=== TEST 20: a number that one of them alone has heard of is not given again
--- steps
room room1 u1 u2 u3 seq=5
worker CHANGES room1 200 "8 0 8\n{\"id\":\"room1\"}\n"
a connect u1
redis HSET %conv(room1) seq 8
c connect u3
redis HSET %conv(room1) seq 6
redis CLIENT KILL TYPE pubsub
until redis HGET %conv(room1) seq = 8
a expect conversation_joined data.seq==8
c expect conversation_joined data.seq==8
post room1 u2 nine
a expect message_received data.seq==9
c expect message_received data.seq==9


=== TEST 21: who was taken out in a hole and put in again goes on hearing
--- steps
room room1 u1 u2
a connect u1
b connect u2
post room1 u2 one
a expect message_received data.seq==1
b expect message_received data.seq==1
redis XADD %log(room1) 2-0 p 'l 2 u2 u1\n{"event":"message_received","data":{"conversationId":"room1","seq":2,"message":{"id":"x2","seq":2}}}'
redis XADD %log(room1) 3-0 p 'j 3 u2 u1\n{"event":"message_received","data":{"conversationId":"room1","seq":3,"message":{"id":"x3","seq":3}}}'
redis HSET %conv(room1) seq 3
post room1 u2 four
b run room1 2 4
a run room1 2 4
post room1 u2 five
a expect message_received data.seq==5
b expect message_received data.seq==5
a quiet


=== TEST 22: nor does it take him out who came after
--- steps
room room1 u1 u2
b connect u2
post room1 u2 one
b expect message_received data.seq==1
redis XADD %log(room1) 2-0 p 'l 2 u2 u1\n{"event":"message_received","data":{"conversationId":"room1","seq":2,"message":{"id":"x2","seq":2}}}'
redis XADD %log(room1) 3-0 p 'j 3 u2 u1\n{"event":"message_received","data":{"conversationId":"room1","seq":3,"message":{"id":"x3","seq":3}}}'
redis HSET %conv(room1) seq 3
a connect u1
post room1 u2 four
b run room1 2 4
a expect message_received data.seq==4
post room1 u2 five
a expect message_received data.seq==5
b expect message_received data.seq==5
a quiet


=== TEST 23: and the room has gone on between two pages of the store
--- steps
room room1 u1 u2
worker CHANGES room1 200 "3 2 4\n{\"id\":\"room1\",\"title\":\"old\"}\nm 3 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":3,\"message\":{\"id\":\"a\",\"seq\":3}}}\n" then worker CHANGES room1 200 "5 2 5\n{\"id\":\"room1\",\"title\":\"new\"}\nm 4 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":4,\"message\":{\"id\":\"b\",\"seq\":4}}}\nm 5 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":5,\"message\":{\"id\":\"c\",\"seq\":5}}}\n"
a connect u1
post room1 u2 one
a expect message_received data.seq==1
redis HSET %conv(room1) seq 4
redis DEL %log(room1)
post room1 u2 five
a expect conversation_joined data.seq==4 data.compact==true data.missed==2 data.conversation.title=old data.cursors.length=2
a expect message_received data.seq==3
a expect conversation_joined data.seq==5 data.compact==true data.missed==2 data.conversation.title=new
a expect message_received data.seq==4
a expect message_received data.seq==5
call CHANGES room1 q~^3.1\b
post room1 u2 six
a expect message_received data.seq==6
a quiet


=== TEST 24: more comes meanwhile than a room holds: the log brings the rest
--- with
writeen_max_message 32k;
--- steps
room room1 u1 u2
worker CHANGES room1 503 then worker CHANGES room1 200 "4 1 4\n{\"id\":\"room1\"}\nm 4 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":4,\"message\":{\"id\":\"b\",\"seq\":4}}}\n"
a connect u1
post room1 u2 one
a expect message_received data.seq==1
redis HSET %conv(room1) seq 3
redis DEL %log(room1)
post room1 u2 four
repeat 60 post room1 u2 $i$long
a find conversation_joined data.seq==4 data.compact==true
a run room1 4 64
post room1 u2 last
a expect message_received data.seq==65
a quiet
--- vars
long x*16000


=== TEST 25: a number that was heard of behind a hole is not given again
--- steps
room room1 u1 u2
a connect u1
post room1 u2 one
a expect message_received data.seq==1
# 2 to 4 were there, and have gone with Redis's last second
redis PUBLISH %chan(room1) 'm 4 u2 -\n{"event":"message_received","data":{"conversationId":"room1","seq":4,"message":{"id":"x4","seq":4}}}'
until redis HGET %conv(room1) seq = 4
post room1 u2 five
a expect message_received data.seq==5
a quiet


=== TEST 26: a room that nobody was in when Redis came back goes on
--- steps
room room1 u1 u2
a connect u1
post room1 u2 one
a expect message_received data.seq==1
redis FUNCTION DELETE writeen
redis CLIENT KILL TYPE normal SKIPME yes
until healthz 503 down
# a hole, and nobody who can be asked about it
redis EVAL 'local p for n=2,3 do p="m "..n..[[ u2 -\n{"event":"message_received","data":{"conversationId":"room1","seq":]]..n.."}}" redis.call("XADD",KEYS[1],n.."-0","p",p) end redis.call("HSET",KEYS[2],"seq",3) return redis.call("PUBLISH",KEYS[3],p)' 3 %log(room1) %conv(room1) %chan(room1)
until metric writeen_bus_gaps_total = 1
server main stop
sleep 1.5
a drop
until metric writeen_connections = 0
server main start
server main load
until b connect u1
post room1 u2 four
b expect message_received data.seq==4
b quiet


=== TEST 27: what the store has begun and does not end is read anew
--- steps
room room1 u1 u2
worker CHANGES room1 200 "4 2 5\n{\"id\":\"room1\"}\nm 4 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":4,\"message\":{\"id\":\"b\",\"seq\":4}}}\n" then worker CHANGES room1 413
a connect u1
post room1 u2 one
a expect message_received data.seq==1
redis HSET %conv(room1) seq 4
redis DEL %log(room1)
post room1 u2 five
a expect conversation_joined data.seq==5 data.compact==true data.missed==2
a expect message_received data.seq==4
# that the log reaches back to 4 says nothing of what was on the next page
a expect resync_required data.conversationId=room1 data.seq==5 data.afterSeq==4
post room1 u2 six
a expect message_received data.seq==6
a quiet


=== TEST 28: who is taken out while the store tells hears nothing after that
--- steps
room room1 u1 u2 u3
worker CHANGES room1 200 "3 2 5\n{\"id\":\"room1\"}\nm 3 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":3,\"message\":{\"id\":\"a\",\"seq\":3}}}\n" then worker CHANGES room1 200 delay=1 "6 2 6\n{\"id\":\"room1\"}\nm 5 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":5,\"message\":{\"id\":\"b\",\"seq\":5}}}\nm 6 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":6,\"message\":{\"id\":\"c\",\"seq\":6}}}\n"
a connect u1
c connect u3
post room1 u2 one
a expect message_received data.seq==1
c expect message_received data.seq==1
redis HSET %conv(room1) seq 4
redis DEL %log(room1)
post room1 u2 five
a expect conversation_joined data.seq==5
a expect message_received data.seq==3
c expect conversation_joined data.seq==5
c expect message_received data.seq==3
until calls CHANGES room1 = 2
# of which his own channel says nothing: it was lost with the hub
emit room1 l u2 u3 {"event":"message_received","data":{"conversationId":"room1","seq":@SEQ@,"message":{"id":"c","seq":@SEQ@}}} ops=D m:u3
a expect conversation_joined data.seq==6
a expect message_received data.seq==5
a expect message_received data.seq==6
c expect conversation_joined data.seq==6
c expect message_received data.seq==5
c expect message_received data.seq==6
c expect resync_required data.conversationId=room1 data.afterSeq==6
post room1 u2 seven
a expect message_received data.seq==7
a quiet
c quiet 0.3


=== TEST 29: who is put in again while his connection opens goes on hearing, too
--- redis: main second
--- steps
room $even u1 u2
room $odd u1 u2
post $even u2 one
server second pause
a handshake token=u1
a response 101
until redis PUBSUB NUMSUB %chan($even) ~ 1
sleep 0.2
redis XADD %log($even) 2-0 p 'l 2 u2 u1\n{"event":"message_received","data":{"conversationId":"$even","seq":2,"message":{"id":"x2","seq":2}}}'
redis XADD %log($even) 3-0 p 'j 3 u2 u1\n{"event":"message_received","data":{"conversationId":"$even","seq":3,"message":{"id":"x3","seq":3}}}'
redis HSET %conv($even) seq 3
redis HSET wrt:u:u1:convs $even 3
post $even u2 four
sleep 0.2
server second resume
a expect connected
a expect message_received data.conversationId=$even data.seq==4
post $even u2 five
a expect message_received data.conversationId=$even data.seq==5
a quiet
