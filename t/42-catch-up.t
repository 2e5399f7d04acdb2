# Catching up: a client says what it knows, and gets the rest once, in order.
#
# What it is given here it does not ask for again, and what it is not given it
# never hears of: a hole shows only when somebody compares two screens.  So
# each block looks at a way on which events could fall between what is read and
# what comes live, or come by both: a log or a store that gives out in between,
# a client that stops reading, a room that Redis does not have.

use lib 't/lib';
use Test::Nginx::Writeen;

redis_server('second');

run_tests();

__DATA__

=== TEST 1: the store gives out after the first page: that is said
--- steps
room room1 u1 u2 seq=500
worker CHANGES room1 200 "501 2 503\n{}\nm 501 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":501,\"message\":{\"id\":\"a\",\"seq\":501}}}\n" then worker CHANGES room1 413
post room1 u2 one
post room1 u2 two
post room1 u2 three
a connect u1
a send join_conversation {"conversationId":"room1","afterSeq":399} id=j1
a expect ack data.id=j1
a expect conversation_joined data.id=j1 data.seq==503 data.compact==true data.missed==2
a expect message_received data.seq==501
a expect conversation_joined data.seq==503 data.recovered==false data.missed==0 data.compact! data.id! data.online=["u1"] data.cursors.length=2
a expect resync_required data.conversationId=room1 data.seq==503
calls CHANGES room1 = 2
post room1 u2 live
a expect message_received data.seq==504
a quiet


=== TEST 2: or does not answer any more
--- steps
room room1 u1 u2 seq=500
worker CHANGES room1 200 "501 2 503\n{}\nm 501 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":501,\"message\":{\"id\":\"a\",\"seq\":501}}}\n" then worker CHANGES room1 503
post room1 u2 one
post room1 u2 two
post room1 u2 three
a connect u1
a send join_conversation {"conversationId":"room1","afterSeq":399}
a expect conversation_joined data.seq==503 data.compact==true data.missed==2
a expect message_received data.seq==501
a expect conversation_joined within=40 data.seq==503 data.recovered==false data.missed==0
a expect resync_required data.conversationId=room1 data.seq==503
post room1 u2 live
a expect message_received data.seq==504
a quiet


=== TEST 3: the log gives out while a slow client is at its first pages
--- sndbuf: 16k
--- with
writeen_max_message 16k;
writeen_max_text 8k;
writeen_send_queue 32k;
--- steps
room room1 u1 u2
worker CHANGES room1 413
repeat 40 post room1 u2 $i$long
a connect u1
a pause
a send join_conversation {"conversationId":"room1","afterSeq":0}
until metric writeen_catchups_total > 1
redis DEL %log(room1)
a resume
a expect conversation_joined data.seq==40 data.recovered==true data.missed==40
a find conversation_joined data.seq==40 data.recovered==false data.missed==0
a find resync_required data.conversationId=room1 data.seq==40
post room1 u2 live
a find message_received data.seq==41
a times 1 "seq":1,
a ignore
--- vars
long x*8000


=== TEST 4: a room that Redis did not have: what was before is asked for
--- steps
user u1 room1
worker CHANGES room1 200 "6 2 6\n{}\nm 4 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":4,\"message\":{\"id\":\"a\",\"seq\":4}}}\nm 5 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":5,\"message\":{\"id\":\"b\",\"seq\":5}}}\n"
a connect u1
room room1 u1 u2 seq=5 lists=0
post room1 u2 six
a expect message_received data.seq==6
a send join_conversation {"conversationId":"room1","afterSeq":3}
a expect conversation_joined data.seq==6 data.missed==2 data.compact==true
a expect message_received data.seq==4
a expect message_received data.seq==5
call CHANGES room1 q~^3.3\b
a send join_conversation {"conversationId":"room1","afterSeq":3}
a expect conversation_joined data.missed==0
post room1 u2 seven
a expect message_received data.seq==7
a quiet


=== TEST 5: a join that could not be done leaves out nothing for the next
--- with
writeen_resume_wait 30s;
--- steps
room room1 u1 u2 seq=10
worker LOAD room1 503
a handshake token=u1 resume=1
a response 101
a expect connected data.resume==true
post room1 u2 eleven
redis RENAME %conv(room1) away
a send resume {"conversations":{"room1":10}} id=r
a find error data.conversationId=room1 data.code=unavailable
a find ack data.id=r
redis RENAME away %conv(room1)
post room1 u2 twelve
a expect message_received data.seq==12
a send join_conversation {"conversationId":"room1","afterSeq":10}
a expect conversation_joined data.seq==12 data.missed==1
a expect message_received data.seq==11
a quiet


=== TEST 6: what came because no resume did does not come again with it
--- with
writeen_resume_wait 300ms;
--- steps
room room1 u1 u2
post room1 u2 one
a handshake token=u1 resume=1
a response 101
a expect connected data.resume==true
post room1 u2 two
a expect message_received data.seq==2
a send resume {"conversations":{"room1":1}}
a expect conversation_joined data.seq==2 data.missed==0
a quiet
post room1 u2 three
a expect message_received data.seq==3
a send join_conversation {"conversationId":"room1","afterSeq":1}
a expect conversation_joined data.seq==3 data.missed==0
a quiet
# what was before `connected` does
a send join_conversation {"conversationId":"room1","afterSeq":0}
a expect conversation_joined data.seq==3 data.missed==1
a expect message_received data.seq==1
a quiet


=== TEST 7: nor with a resume that does not name the room
--- with
writeen_resume_wait 30s;
--- steps
user u1 room1
room room2 u1 u2
a handshake token=u1 resume=1
a response 101
a expect connected data.resume==true
room room1 u1 u2 lists=0
post room1 u2 one
post room2 u2 one
a send resume {"conversations":{}}
a find message_received data.conversationId=room1 data.seq==1
a find message_received data.conversationId=room2 data.seq==1
a send join_conversation {"conversationId":"room1","afterSeq":0}
a expect conversation_joined data.seq==1 data.missed==0
a send join_conversation {"conversationId":"room2","afterSeq":0}
a expect conversation_joined data.seq==1 data.missed==0
a quiet


=== TEST 8: who stops reading while he catches up keeps nobody else from it
--- sndbuf: 16k
--- with
writeen_max_message 16k;
writeen_max_text 8k;
writeen_send_queue 32k;
--- steps
room room1 u1 u2 u3
repeat 40 post room1 u2 $i$long
a connect u1 rcvbuf=4096
a pause
a send join_conversation {"conversationId":"room1","afterSeq":0}
until metric writeen_queue_bytes > 8192
sleep 0.3
# more than the room keeps for him
redis EVAL 'for n=41,4240 do local p="m "..n..[[ u2 -\n{"event":"message_received","data":{"conversationId":"room1","seq":]]..n.."}}" redis.call("XADD",KEYS[1],n.."-0","p",p) redis.call("PUBLISH",KEYS[3],p) end return redis.call("HSET",KEYS[2],"seq",4240)' 3 %log(room1) %conv(room1) %chan(room1)
until metric writeen_bus_messages_total > 4199
b connect u3
b send join_conversation {"conversationId":"room1","afterSeq":4237}
b expect conversation_joined data.seq==4240 data.missed==3
b expect message_received data.seq==4238
b expect message_received data.seq==4239
b expect message_received data.seq==4240
post room1 u2 live
b expect message_received data.seq==4241
redis PUBLISH %chan(room1) 't 0 u2 -\n{"event":"user_typing","data":{"conversationId":"room1","userId":"u2","isTyping":true}}'
b expect user_typing
a ignore
--- vars
long x*8000


=== TEST 9: nor does he miss what the room kept no longer
--- sndbuf: 16k
--- with
writeen_max_message 32k;
writeen_send_queue 64k;
--- steps
room room1 u1 u2
repeat 40 post room1 u2 $i$long
a connect u1 rcvbuf=4096
a pause
a send join_conversation {"conversationId":"room1","afterSeq":0}
until metric writeen_queue_bytes > 8192
sleep 0.3
repeat 40 post room1 u2 $i$long
until metric writeen_bus_messages_total > 39
a resume
a caught-up room1 80
post room1 u2 live
a expect message_received data.seq==81
--- vars
long x*16000


=== TEST 10: a room that is left, of which only a mark was heard, stands nowhere
--- steps
user u1 room1
a connect u1
a drop
until metric writeen_connections = 0
redis PUBLISH %chan(room1) 's 0 - -\n{"event":"message_status","data":{}}'
until metric writeen_bus_messages_total > 0
room room1 u1 u2 seq=5 lists=0
b connect u1
post room1 u2 six
b expect message_received data.seq==6
b quiet


=== TEST 11: nothing of a room comes before `connected`
--- redis: main second
--- steps
# shard k is on server k % 2
room $even u1 u2
room $odd u1 u2
server second pause
a handshake token=u1
a response 101
until redis PUBSUB NUMSUB %chan($even) ~ 1
sleep 0.2
post $even u2 one
redis PUBLISH %chan($even) 's 0 - -\n{"event":"message_status","data":{}}'
a quiet 0.3
server second resume
a expect connected data.conversations==2
a expect message_received data.conversationId=$even data.seq==1
post $even u2 two
a expect message_received data.conversationId=$even data.seq==2
post $odd u2 one
a expect message_received data.conversationId=$odd data.seq==1
a send join_conversation {"conversationId":"$even","afterSeq":0}
a expect conversation_joined data.seq==2 data.missed==0
a quiet


=== TEST 12: connecting to rooms in which nothing happens reads nothing of them
--- steps
room room1 u1 u2
room room2 u1 u2
post room1 u2 one
redis CONFIG RESETSTAT
a connect u1
b connect u2
# which is what wrt_catch begins with
redis INFO commandstats !~ cmdstat_xrange
redis INFO commandstats ~ cmdstat_hmget
post room1 u2 two
a expect message_received data.seq==2
b expect message_received data.seq==2


=== TEST 13: two joins at once of a room that was not known as his
--- steps
user u1
a connect u1
room room1 u1 u2 lists=0
post room1 u2 one
nginx hold
a send join_conversation {"conversationId":"room1"} id=j1
a send join_conversation {"conversationId":"room1","afterSeq":0} id=j2
nginx go
a expect ack data.id=j1
a expect conversation_joined data.id=j1 data.seq==1 data.missed==0
a expect ack data.id=j2
a expect conversation_joined data.id=j2 data.seq==1 data.missed==1
a expect message_received data.seq==1
post room1 u2 two
a expect message_received data.seq==2
a quiet


=== TEST 14: rooms whose members alone are more than a queue can be joined
--- sndbuf: 16k
--- with
writeen_max_message 8k;
writeen_max_text 4k;
writeen_send_queue 16k;
--- steps
room room1 u1 u2
room room2 u1 u2
redis EVAL 'for k=1,2 do for n=1,200 do local v="0 2026-01-01T00:00:00.000Z" redis.call("HSET",KEYS[k],"m:member"..n,"rw|student|0","r:member"..n,v,"d:member"..n,v) end end' 2 %conv(room1) %conv(room2)
a connect u1
nginx hold
a send join_conversation {"conversationId":"room1"} id=j1
a send join_conversation {"conversationId":"room2"} id=j2
a send join_conversation {"conversationId":"room1"} id=j3
a send join_conversation {"conversationId":"room2","afterSeq":0} id=j4
nginx go
a find conversation_joined data.id=j1 data.cursors.length=202
a find conversation_joined data.id=j2 data.cursors.length=202
a find conversation_joined data.id=j3 data.cursors.length=202
a find conversation_joined data.id=j4 data.cursors.length=202
a find ack data.id=j1
a find ack data.id=j2
a find ack data.id=j3
a find ack data.id=j4
post room1 u2 one
a expect message_received data.conversationId=room1 data.seq==1
post room2 u2 one
a expect message_received data.conversationId=room2 data.seq==1
a quiet


=== TEST 15: the room goes on between two pages of the store: how it stands is said again
--- steps
room room1 u1 u2 seq=500
post room1 u2 one
post room1 u2 two
post room1 u2 three
worker CHANGES room1 200 "501 3 503\n{\"id\":\"room1\",\"title\":\"old\"}\nm 501 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":501,\"message\":{\"id\":\"a\",\"seq\":501}}}\n" then worker CHANGES room1 200 "502 3 504\n{\"id\":\"room1\",\"title\":\"new\"}\nm 502 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":502,\"message\":{\"id\":\"b\",\"seq\":502}}}\n" then worker CHANGES room1 200 "504 2 504\n{\"id\":\"room1\",\"title\":\"new\"}\nm 503 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":503,\"message\":{\"id\":\"c\",\"seq\":503}}}\nm 504 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":504,\"message\":{\"id\":\"d\",\"seq\":504}}}\n"
a connect u1
a send join_conversation {"conversationId":"room1","afterSeq":399} id=j1
a expect ack data.id=j1
a expect conversation_joined data.id=j1 data.seq==503 data.compact==true data.missed==3 data.conversation.title=old
a expect message_received data.seq==501
a expect conversation_joined data.id! data.seq==504 data.compact==true data.missed==3 data.recovered==true data.conversation.title=new data.cursors.length=2 data.online=["u1"]
a expect message_received data.seq==502
a expect message_received data.seq==503
a expect message_received data.seq==504
calls CHANGES room1 = 3
redis HSET %conv(room1) seq 504
post room1 u2 live
a expect message_received data.seq==505
a quiet


=== TEST 16: what comes before it can be asked for does not come twice
--- steps
room room1 u1 u2
post room1 u2 one
a connect u1
redis FUNCTION DELETE writeen
redis CLIENT KILL TYPE normal SKIPME yes
until healthz 503 down
a send join_conversation {"conversationId":"room1","afterSeq":0}
a send ping
a expect pong
redis EVAL 'local p=[[m 2 u2 -\n{"event":"message_received","data":{"conversationId":"room1","seq":2}}]] redis.call("XADD",KEYS[1],"2-0","p",p) redis.call("HSET",KEYS[2],"seq",2) return redis.call("PUBLISH",KEYS[3],p)' 3 %log(room1) %conv(room1) %chan(room1)
sleep 0.2
server main load
a expect conversation_joined data.seq==2 data.missed==2
a expect message_received data.seq==1
a expect message_received data.seq==2
post room1 u2 three
a expect message_received data.seq==3
a quiet


=== TEST 17: nor what a room fills that was lost with the bus
--- steps
room room1 u1 u2
post room1 u2 one
a connect u1
server main kill
until healthz 503 down
a send join_conversation {"conversationId":"room1","afterSeq":0}
server main start
post room1 u2 two
a caught-up room1 2
post room1 u2 three
a expect message_received data.seq==3
a quiet


=== TEST 18: who left and came back while he was away hears all of it
--- steps
room room1 u1 u2
post room1 u2 one
emit room1 l u2 u1 {"event":"message_received","data":{"conversationId":"room1","seq":@SEQ@,"message":{"id":"x2","seq":@SEQ@}}}
emit room1 j u2 u1 {"event":"message_received","data":{"conversationId":"room1","seq":@SEQ@,"message":{"id":"x3","seq":@SEQ@}}}
post room1 u2 four
a connect u1
a send join_conversation {"conversationId":"room1","afterSeq":1}
a expect conversation_joined data.seq==4 data.missed==3
a expect message_received data.seq==2
a expect message_received data.seq==3
a expect message_received data.seq==4
post room1 u2 five
a expect message_received data.seq==5
# and so does who was here before
b connect u1
post room1 u2 six
a expect message_received data.seq==6
b expect message_received data.seq==6
b send join_conversation {"conversationId":"room1","afterSeq":1}
b expect conversation_joined data.seq==6 data.missed==4
b expect message_received data.seq==2
b expect message_received data.seq==3
b expect message_received data.seq==4
b expect message_received data.seq==5
post room1 u2 seven
a expect message_received data.seq==7
b expect message_received data.seq==7
a quiet
b quiet


=== TEST 19: one server away: rooms of the other are caught up with
--- redis: main second
--- steps
room $even u1 u2
room $odd u1 u2
post $even u2 one
post $odd u2 one
a connect u1
server second pause
a send join_conversation {"conversationId":"$odd","afterSeq":0}
a send join_conversation {"conversationId":"$even","afterSeq":0}
sleep 0.2
server second kill
a expect conversation_joined data.conversationId=$even data.missed==1
a expect message_received data.conversationId=$even data.seq==1
post $even u2 two
a expect message_received data.conversationId=$even data.seq==2
server second start
a expect conversation_joined data.conversationId=$odd data.missed==1
a expect message_received data.conversationId=$odd data.seq==1
a quiet


=== TEST 20: joins of rooms that he is taken out of meanwhile count no longer
--- steps
user u1
repeat 33 room r$i u1 u2 seq=500 lists=0
worker CHANGES r* 0
a connect u1
repeat 32 a send join_conversation {"conversationId":"r$i","afterSeq":399}
until metric writeen_rooms = 32
call CHANGES r1 q~^399
repeat 32 emit r$i l u2 u1 {"event":"message_received","data":{"conversationId":"r$i","seq":@SEQ@,"message":{"id":"x","seq":@SEQ@}}} ops=D m:u1
repeat 32 a expect error data.conversationId=r$i data.code=not_found
a send join_conversation {"conversationId":"r33"}
a expect conversation_joined data.conversationId=r33 data.seq==500
a quiet


=== TEST 21: the store is away for some seconds: it is waited for
--- steps
room room1 u1 u2 seq=500
worker CHANGES room1 503
post room1 u2 one
a connect u1
a send join_conversation {"conversationId":"room1","afterSeq":399}
sleep 6
worker CHANGES room1 200 "501 1 501\n{}\nm 501 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":501,\"message\":{\"id\":\"a\",\"seq\":501}}}\n"
a expect conversation_joined data.seq==501 data.compact==true data.recovered==true data.missed==1
a expect message_received data.seq==501
post room1 u2 live
a expect message_received data.seq==502
a quiet


=== TEST 22: it is away for longer: given up once, not once for each room
--- steps
room room1 u1 u2 seq=500
room room2 u1 u2 seq=500
room room3 u1 u2 seq=500
room room4 u1 u2 seq=500
room room5 u1 u2 seq=500
worker CHANGES * 0
a handshake token=u1 resume=1
a expect connected
a send resume {"conversations":{"room1":1,"room2":1,"room3":1,"room4":1,"room5":1}}
a find resync_required within=60 data.seq==500
repeat 4 a find resync_required within=2
a times 5 resync_required
post room5 u2 live
a find message_received data.conversationId=room5 data.seq==501
# somebody tries it, a second later: it is back
sleep 1.2
worker CHANGES * 200 "500 0 500\n{}\n"
a send join_conversation {"conversationId":"room1","afterSeq":1} id=j1
a find conversation_joined data.id=j1 data.compact==true data.recovered==true
a ignore


=== TEST 23: a room is awake until all of it is stored and it is silent
--- steps
room room1 u1 u2
redis TTL %conv(room1) ~ ^(3600|359\d)$
post room1 u2 one
redis TTL %conv(room1) = -1
redis TTL %log(room1) = -1
redis SMEMBERS %awake(room1) = room1
# not all of it is stored
redis FCALL wrt_rest 3 %awake(room1) %conv(room1) %log(room1) 2099-01-01T00:00:00.000Z room1
redis TTL %conv(room1) = -1
applied room1 1
redis TTL %conv(room1) = -1
# it is not silent
redis FCALL wrt_rest 3 %awake(room1) %conv(room1) %log(room1) 2020-01-01T00:00:00.000Z room1
redis TTL %conv(room1) = -1
redis SMEMBERS %awake(room1) = room1
redis FCALL wrt_rest 3 %awake(room1) %conv(room1) %log(room1) 2099-01-01T00:00:00.000Z room1
redis TTL %conv(room1) ~ ^(3600|359\d)$
redis TTL %log(room1) ~ ^(600|59\d)$
redis EXISTS %awake(room1) = 0
post room1 u2 two
redis TTL %conv(room1) = -1
redis TTL %log(room1) = -1
redis SMEMBERS %awake(room1) = room1
# the store has more than Redis, which lost its last second
applied room1 3
redis FCALL wrt_rest 3 %awake(room1) %conv(room1) %log(room1) 2099-01-01T00:00:00.000Z room1
redis TTL %conv(room1) ~ ^(3600|359\d)$
post room1 u2 three
redis TTL %conv(room1) = -1
# one that Redis does not have any more
redis DEL %conv(room1)
redis FCALL wrt_rest 3 %awake(room1) %conv(room1) %log(room1) 2099-01-01T00:00:00.000Z room1
redis EXISTS %awake(room1) = 0


=== TEST 24: written to by an older version, which had no such set
--- steps
room room1 u1 u2
post room1 u2 one
redis HDEL %conv(room1) awake
redis SREM %awake(room1) room1
applied room1 1
redis TTL %conv(room1) ~ ^(3600|359\d)$
redis TTL %log(room1) ~ ^(600|59\d)$
post room1 u2 two
redis TTL %conv(room1) = -1
redis TTL %log(room1) = -1
redis SMEMBERS %awake(room1) = room1


=== TEST 25: so many joins of a room wait for one another, and no more
--- steps
room room1 u1 u2
post room1 u2 one
a connect u1
nginx hold
repeat 12 a send join_conversation {"conversationId":"room1"} id=j$i
nginx go
# those that were not taken are told at once, the others in their order
a expect error data.id=j10 data.event=join_conversation data.conversationId=room1 data.code=rate_limited data.retryable==true
a expect error data.id=j11 data.code=rate_limited
a expect error data.id=j12 data.code=rate_limited
repeat 9 a find conversation_joined data.id=j$i data.seq==1
repeat 9 a find ack data.id=j$i data.event=join_conversation
a send join_conversation {"conversationId":"room1"} id=j13
a expect ack data.id=j13
a expect conversation_joined data.id=j13
a quiet
