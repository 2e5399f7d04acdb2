# Reload and stop with open sockets.
#
# Without this file a reload could cut everybody off without a word, keep an
# old worker alive for ever (its sockets never close by themselves), or leave
# an [alert] about open sockets that nobody reads.  Clients must hear 1012, be
# able to come back, and the process must end.

use lib 't/lib';
use Test::Nginx::Writeen;

run_tests();

__DATA__

=== TEST 1: reload: 1012, and the old worker ends
--- http_with
writeen_drain 1s;
--- steps
room room1 u1 u2
a connect u1
b connect u2
nginx reload
a expect_close 1012 within=8
b expect_close 1012 within=8
nginx old-gone 15
a connect u1
post room1 u2 hello
a expect message_received data.seq==1


=== TEST 2: new connections are taken while old ones are drained
--- http_with
writeen_drain 3s;
--- steps
room room1 u2
user u1
crowd a 20 u1
nginx reload
b connect u2
b send send_message {"conversationId":"room1","content":{"text":"in between"}}
b find message_status data.seq==1
b find message_received
all a expect_close 1012
nginx old-gone 15


=== TEST 3: drain is spread over its time
--- http_with
writeen_drain 4s;
--- steps
user u1
crowd a 80 u1
nginx hup
# some are closed, not all
until crowd-open a < 80
sleep 0.6
crowd-open a > 0
all a expect_close 1012
nginx old-gone 15


=== TEST 4: clients that never answer the Close hold nobody up
--- http_with
writeen_drain 1s;
--- steps
user u1
a connect u1 noclose=1
b connect u1
b pause
nginx reload
a expect_frame close
a expect_eof
nginx old-gone 15
b ignore


=== TEST 5: quit
--- http_with
writeen_drain 1s;
--- steps
user u1
crowd a 5 u1
nginx quit
all a expect_close 1012 within=8
nginx gone 15
log !~ open socket


=== TEST 6: quit with nobody there
--- steps
nginx quit
# not when all could have been drained
nginx gone 8


=== TEST 7: quit while Redis is away
--- http_with
writeen_drain 1s;
--- steps
user u1
a connect u1
server main kill
sleep 0.3
nginx quit
a expect_close 1012 within=8
nginx gone 15


=== TEST 8: quit while Redis hangs
--- http_with
writeen_drain 1s;
--- steps
user u1
a connect u1
server main pause
a send join_conversation {"conversationId":"room1"}
nginx quit
a expect_close 1012 within=8 any=1
nginx gone 15


=== TEST 9: quit with a call to the worker pool under way
--- http_with
writeen_drain 1s;
writeen_api_timeout 2s;
--- steps
worker GET *conversations 0
h request GET /api/conversations token=u1
until call GET /api/conversations
nginx quit
h response 503
nginx gone 15


=== TEST 10: terminate: at once
--- steps
room room1 u1
a connect u1
b connect u1
nginx term
nginx gone 8
a eof-or-close 5
b eof-or-close 5
log !~ open socket


=== TEST 11: a client that comes back after a reload misses nothing
--- http_with
writeen_drain 1s;
--- steps
room room1 u1 u2
a connect u1
post room1 u2 one
a expect message_received data.seq==1
nginx reload
a expect_close 1012 within=8
post room1 u2 two
post room1 u2 three
a handshake token=u1 resume=1
a response 101
a expect connected data.resume==true
a send resume {"conversations":{"room1":1}} id=r
a find conversation_joined data.missed==2
a find ack data.id=r
a expect message_received data.seq==2
a expect message_received data.seq==3
post room1 u2 four
a expect message_received data.seq==4
nginx old-gone 15


=== TEST 12: several reloads, one after the other
--- http_with
writeen_drain 1s;
--- steps
user u1
a connect u1
nginx reload
b connect u1
nginx reload
c connect u1
nginx reload
d connect u1
a expect_close 1012 within=8
b expect_close 1012 within=8
c expect_close 1012 within=8
nginx old-gone 15
nginx workers = 1
d send ping
d expect pong


=== TEST 13: a message sent right before the reload is answered
--- http_with
writeen_drain 1s;
--- steps
room room1 u1 u2
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"last"},"clientMessageId":"c1"}
nginx reload
a find message_status data.seq==1
a find message_received data.seq==1
a expect_close 1012 within=8
nginx old-gone 15


=== TEST 14: many come, and many go, in one turn
--- steps
room room1 u1 u2 u3
crowd d 100 u1 u2 u3
repeat 60 c$i handshake token=u1 late=1
b connect u2
until metric writeen_connections = 101
nginx hold
all d drop
all c more
b send send_message {"conversationId":"room1","content":{"text":"hi"}}
nginx go
b find message_status data.seq==1
b find message_received data.seq==1
all c response 101
all c find connected
until metric writeen_connections = 61
post room1 u3 two
all c find message_received data.seq==2
b find message_received data.seq==2


=== TEST 15: and the worker is told to quit in it
--- http_with
writeen_drain 1s;
--- steps
room room1 u1 u2 u3
crowd d 100 u1 u2 u3
repeat 60 c$i handshake token=u1 late=1
nginx hold
all d drop
all c more
nginx quit
nginx go
nginx gone 15
all c eof-or-close 5
log !~ open socket
