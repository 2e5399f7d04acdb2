# Ways to reach Redis: a password, a database, a unix socket, two servers.
#
# All other files use one server on a port with database 0, and so would a
# developer.  Pub/sub ignores databases, so two systems on one Redis would
# hear each other's rooms; a shard looked for on the wrong server looks like
# an empty one.  Neither says an error.

use lib 't/lib';
use Test::Nginx::Writeen;

redis_server('locked', password => 'se:cr@t/%');
redis_server('db3', db => 3);
redis_server('sock', unix => 1);
redis_server('sockdb', unix => 1, db => 5, password => 'p&w=d?');
redis_server('second');
redis_server('third');

run_tests();

__DATA__

=== TEST 1: a password
--- redis: locked
--- steps
room room1 u1 u2
a connect u1
b connect u2
a send send_message {"conversationId":"room1","content":{"text":"x"}}
a find message_status data.seq==1
a find message_received
b expect message_received data.seq==1
server locked kill
server locked start
until h connect u1
h drop
b send send_message {"conversationId":"room1","content":{"text":"y"}}
b find message_status data.seq==2
b find message_received
a expect message_received data.seq==2
log !~ se:cr


=== TEST 2: a wrong password: not ready, said in the log, never shown
--- no_wait
--- http_config
writeen_redis redis://:wrong-pass-word@127.0.0.1:$TEST_NGINX_PORT_LOCKED;
--- steps
a handshake token=u1
a response 503 error.code=unavailable
until log ~ (?i)redis.*(WRONGPASS|password|AUTH)
log !~ wrong-pass-word


=== TEST 3: a password that is missing
--- no_wait
--- http_config
writeen_redis redis://127.0.0.1:$TEST_NGINX_PORT_LOCKED;
--- steps
a handshake token=u1
a response 503 error.code=unavailable
until log ~ NOAUTH


=== TEST 4: a database: keys and channels of its own
--- redis: db3
--- steps
room room1 u1 u2
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"x"}}
a find message_status data.seq==1
a find message_received
redis XLEN %log(room1) = 1
# the same room of another system on the same server
redis PUBLISH wrt:{%shard(room1)}:room:room1 'm 2 u2 -\n{"event":"message_received","data":{"conversationId":"room1","seq":2,"message":{"id":"foreign"}}}'
redis PUBLISH wrt@4:{%shard(room1)}:room:room1 'm 2 u2 -\n{"event":"message_received","data":{"conversationId":"room1","seq":2,"message":{"id":"foreign"}}}'
a quiet
post room1 u2 ours
a expect message_received data.seq==2 data.message.content.text=ours
redis PUBLISH wrt@3:u:u1 'e - - -\n{"event":"upload_progress","data":{}}'
a expect upload_progress


=== TEST 5: calls to the worker pool, in a database
--- redis: db3
--- steps
worker GET *conversations 200 {"success":true,"data":5}
h request GET /api/conversations token=u1
h response 200 data==5
call GET /api/conversations r~^wrt@3:reply:


=== TEST 6: a unix socket
--- redis: sock
--- steps
room room1 u1 u2
a connect u1
b connect u2
a send send_message {"conversationId":"room1","content":{"text":"x"}}
a find message_status data.seq==1
a find message_received
b expect message_received data.seq==1
server sock kill
server sock start
until h connect u1
h drop
post room1 u2 y
a expect message_received data.seq==2
b expect message_received data.seq==2


=== TEST 7: a unix socket with database and password
--- redis: sockdb
--- steps
room room1 u1
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"x"}}
a find message_status data.seq==1
a find message_received
redis XLEN %log(room1) = 1


=== TEST 8: two servers: each shard on its own
--- redis: main second
--- steps
room $even u1 u2
room $odd u1 u2
a connect u1
b connect u2
a send send_message {"conversationId":"$even","content":{"text":"x"}}
a find message_status data.conversationId=$even data.seq==1
a find message_received data.conversationId=$even
a send send_message {"conversationId":"$odd","content":{"text":"x"}}
a find message_status data.conversationId=$odd data.seq==1
a find message_received data.conversationId=$odd
b find message_received data.conversationId=$even
b find message_received data.conversationId=$odd
redis@main EXISTS %log($even) %log($odd) = 1
redis@second EXISTS %log($even) %log($odd) = 1
redis@main EXISTS %log($even) = 1
redis@second EXISTS %log($odd) = 1
redis@main EXISTS wrt:u:u1:convs = 1
redis@second EXISTS wrt:u:u1:convs = 0


=== TEST 9: three servers
--- redis: main second third
--- steps
room r1 u1
room r2 u1
room r3 u1
room r4 u1
room r5 u1
room r6 u1
a handshake token=u1
a response 101
a expect connected data.conversations==6
repeat 6 a send send_message {"conversationId":"r$i","content":{"text":"x"}}
a find message_received data.conversationId=r1 data.seq==1
a find message_received data.conversationId=r2 data.seq==1
a find message_received data.conversationId=r3 data.seq==1
a find message_received data.conversationId=r4 data.seq==1
a find message_received data.conversationId=r5 data.seq==1
a find message_received data.conversationId=r6 data.seq==1
a ignore


=== TEST 10: many commands, which leave together once a millisecond
--- http_with
writeen_redis_gather on;
--- with
writeen_rate 100000 burst=100000 user=100000;
--- steps
room room1 u1 u2
a connect u1
b connect u2
repeat 100 a send send_message {"conversationId":"room1","content":{"text":"m$i"}}
repeat 100 a find message_status data.seq==$i
repeat 100 b expect message_received data.seq==$i data.message.content.text=m$i
a ignore


=== TEST 11: many commands, each turn of the loop on its own
--- http_with
writeen_redis_gather off;
--- with
writeen_rate 100000 burst=100000 user=100000;
--- steps
room room1 u1 u2
a connect u1
b connect u2
repeat 100 a send send_message {"conversationId":"room1","content":{"text":"m$i"}}
repeat 100 a find message_status data.seq==$i
repeat 100 b expect message_received data.seq==$i data.message.content.text=m$i
a ignore


=== TEST 12: a library that is missing: not ready until the worker loads it
--- no_wait
--- no_library
--- steps
user u1
a handshake token=u1
a response 503 error.code=unavailable
until log ~ (?i)writeen\.lua|function|library
server main load
until a connect u1


=== TEST 13: a library of another version
--- no_wait
--- no_library
--- steps
user u1
redis FUNCTION LOAD '#!lua name=writeen\nredis.register_function("wrt_version", function() return "0" end)'
a handshake token=u1
a response 503 error.code=unavailable
until log ~ (?i)version
server main load
until a connect u1


=== TEST 14: the library is replaced by another version while nginx is connected
--- steps
room room1 u1 u2
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"x"}} id=s1
a find ack data.id=s1
redis FUNCTION LOAD REPLACE '#!lua name=writeen\nredis.register_function("wrt_version", function() return "9" end)\nredis.register_function("wrt_send_9", function() return {"ok", 7} end)'
a send send_message {"conversationId":"room1","content":{"text":"y"}} id=s2
a find error data.id=s2 data.code=unavailable data.retryable==true
until log ~ no function library of version
b handshake token=u2
b response 503 error.code=unavailable
redis HGET %conv(room1) seq = 1
server main load
until b connect u2
post room1 u2 later
a find message_received data.seq==2
b expect message_received data.seq==2
a ignore
