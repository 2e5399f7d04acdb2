# writeen_ack store: an ack that means "in the database".
#
# Without this file the setting could be read and forgotten: the ack would
# come as early as with "log", and nothing but a power failure would show it.
# Here the projector is played by the test, so the moment when the store has
# a message is known exactly.

use lib 't/lib';
use Test::Nginx::Writeen;

run_tests();

__DATA__

=== TEST 1: no ack before it is applied; the message itself is not held up
--- with
writeen_ack store;
--- steps
room room1 u1 u2
a connect u1
b connect u2
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c1"} id=s1
b expect message_received data.seq==1
a expect message_received data.seq==1
a quiet 0.4
applied room1 1
a find message_status data.id=s1 data.seq==1 data.status=sent data.durability=store data.clientMessageId=c1
a find ack data.id=s1


=== TEST 2: several acks by one step of the watermark
--- with
writeen_ack store;
--- steps
room room1 u1
a connect u1
repeat 5 a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c$i"}
a run room1 1 5
a quiet 0.2
applied room1 3
a find message_status data.seq==1
a find message_status data.seq==2
a find message_status data.seq==3
a quiet 0.2
applied room1 5
a find message_status data.seq==4
a find message_status data.seq==5


=== TEST 3: another room's watermark is another room's
--- with
writeen_ack store;
--- steps
room room1 u1
room room2 u1
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"x"}}
a expect message_received
applied room2 1
a quiet 0.3
applied room1 1
a expect message_status data.conversationId=room1 data.durability=store


=== TEST 4: applied before nginx could wait for it
--- with
writeen_ack store;
--- steps
room room1 u1
a connect u1
redis HSET %conv(room1) applied 1
a send send_message {"conversationId":"room1","content":{"text":"x"}}
# two connections to Redis: either of the two may come first
a find message_received
a find message_status data.seq==1 data.durability=store


=== TEST 5: a message on the applied channel that was lost
--- with
writeen_ack store;
--- steps
room room1 u1
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"x"}}
a expect message_received
# the watermark moves, nobody says so
redis HSET %conv(room1) applied 1
a expect message_status data.seq==1 data.durability=store


=== TEST 6: a retry while the first is still waiting
--- with
writeen_ack store;
--- steps
room room1 u1
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c1"} id=s1
a expect message_received
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c1"} id=s2
a quiet 0.3
applied room1 1
a find message_status data.id=s1 data.seq==1 data.durability=store
a find message_status data.id=s2 data.seq==1 data.durability=store
a find ack data.id=s1
a find ack data.id=s2
redis XLEN %log(room1) = 1


=== TEST 7: a retry of what is in the store already
--- with
writeen_ack store;
--- steps
room room1 u1
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c1"}
a expect message_received
applied room1 1
a expect message_status data.durability=store
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c1"} id=s2
a find message_status data.id=s2 data.seq==1 data.durability=store
a find ack data.id=s2


=== TEST 8: a store that is slow to come: the ack comes when it does
--- with
writeen_ack store;
--- steps
room room1 u1
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c1"}
a expect message_received
a quiet 3
a send ping
a expect pong
applied room1 1
a expect message_status data.seq==1 data.durability=store


=== TEST 9: by REST
--- with
writeen_ack store;
--- steps
room room1 u1
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"x"}}
until redis HGET %conv(room1) seq = 1
h silent 0.3
applied room1 1
h response 201 data.message.seq==1


=== TEST 10: by REST: a store that does not come: 503 in time, not silence
--- with
writeen_ack store;
writeen_api_timeout 3s;
--- steps
room room1 u1
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"x"},"clientMessageId":"c1"}
h response 503 error.code=unavailable header.retry-after~^[1-9]
# the retry then tells the truth
applied room1 1
redis HGET %conv(room1) seq = 1
redis KEYS %once(room1,u1,c1) ~ once


=== TEST 11: who is gone when the store says yes
--- with
writeen_ack store;
--- steps
room room1 u1 u2
a connect u1
b connect u2
a send send_message {"conversationId":"room1","content":{"text":"x"}}
b expect message_received
a drop
applied room1 1
b send ping
b expect pong


=== TEST 12: log stays the default, and may be said
--- with
writeen_ack log;
--- steps
room room1 u1
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"x"}}
a find message_status data.durability=log
a find message_received


=== TEST 13: one location waits, another does not
--- config
writeen_jwt_key HS256 $TEST_NGINX_SECRET;
location = /ws { writeen_websocket on; }
location = /safe { writeen_ack store; writeen_websocket on; }
location = /healthz { writeen_health on; }
--- steps
room room1 u1
a connect u1
b connect u1 path=/safe
a send send_message {"conversationId":"room1","content":{"text":"x"}}
a find message_status data.durability=log data.seq==1
a find message_received data.seq==1
b expect message_received data.seq==1
b send send_message {"conversationId":"room1","content":{"text":"y"}}
b expect message_received data.seq==2
a expect message_received data.seq==2
b quiet 0.3
applied room1 2
b expect message_status data.seq==2 data.durability=store
