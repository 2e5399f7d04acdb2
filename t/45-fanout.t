# One message to many, with two nginx workers: who shares a room shares it
# wherever his connection is.
#
# Without this file a message could reach only the connections of the worker
# that took it, or come in another order to some, or twice to one who is both
# sender and member; a single process never shows it.  Connections are spread
# by the kernel (reuseport), which is checked, not hoped for.

use lib 't/lib';
use Test::Nginx::Writeen;

with_workers(2);

run_tests();

__DATA__

=== TEST 1: everybody gets it once, whatever worker he is on
--- steps
nginx workers = 2
room room1 u1 u2 u3
crowd c 12 u1 u2 u3
nginx spread
c1 send send_message {"conversationId":"room1","content":{"text":"to all"}}
c1 find message_status data.seq==1
all c expect message_received data.seq==1 data.message.content.text="to all"
all c quiet 0.02
redis XLEN %log(room1) = 1


=== TEST 2: one order for all, with everybody talking at once
--- steps
room room1 u1 u2 u3
crowd c 9 u1 u2 u3
nginx spread
repeat 20 all c send send_message {"conversationId":"room1","content":{"text":"$i"}}
all c run room1 1 180
redis HGET %conv(room1) seq = 180


=== TEST 3: rooms do not mix
--- steps
room room1 u1 u2
room room2 u1 u3
room room3 u3
crowd a 4 u1
crowd b 4 u2
crowd c 4 u3
post room1 u1 first
post room2 u1 second
post room3 u3 third
all a find message_received data.conversationId=room1 data.seq==1
all a find message_received data.conversationId=room2 data.seq==1
all b expect message_received data.conversationId=room1
all c find message_received data.conversationId=room2
all c find message_received data.conversationId=room3
all a quiet 0.02
all b quiet 0.02
all c quiet 0.02


=== TEST 4: joins while others talk: no hole, no repeat
--- steps
room room1 u1 u2
crowd s 4 u1
crowd c 8 u2
nginx spread
repeat 10 all s send send_message {"conversationId":"room1","content":{"text":"$i"}}
all c send join_conversation {"conversationId":"room1","afterSeq":0}
repeat 10 all s send send_message {"conversationId":"room1","content":{"text":"$i"}}
crowd late 4 u2
all late send join_conversation {"conversationId":"room1","afterSeq":0}
all s run room1 1 80
all late caught-up room1 80
all c caught-up room1 80


=== TEST 5: a room with more members than one slice of the walk
--- steps
room room1 u1
crowd c 100 u1
nginx spread
post room1 u1 one
post room1 u1 two
all c expect message_received data.seq==1
all c expect message_received data.seq==2


=== TEST 6: who connects last starts where the room stands
--- steps
room room1 u1 u2
crowd a 3 u1
post room1 u1 one
all a expect message_received data.seq==1
crowd b 6 u2
post room1 u1 two
all b expect message_received data.seq==2
all a expect message_received data.seq==2


=== TEST 7: a worker that is killed takes only its own connections along
--- expected_alarm
exited on signal 9
--- steps
room room1 u1
crowd c 12 u1
nginx spread
nginx kill-worker
until nginx workers = 2
nginx ready
crowd d 4 u1
post room1 u1 after
all d expect message_received data.seq==1
all c eof-or message_received data.seq==1
# and it can come back to where it was
crowd e 4 u1
all e send join_conversation {"conversationId":"room1","afterSeq":0}
all e expect conversation_joined data.missed==1
all e expect message_received data.seq==1


=== TEST 8: who does not read is let go of, and holds nobody up
--- with
writeen_max_message 32k;
writeen_send_queue 64k;
--- steps
room room1 u1 u2 u3
metric writeen_slow_closed_total mark
a connect u1 rcvbuf=4096
b connect u2
c connect u3
a pause
repeat 25 post room1 u3 $long
b run room1 1 25
c run room1 1 25
repeat 25 post room1 u3 $long
b run room1 26 50
c run room1 26 50
repeat 25 post room1 u3 $long
b run room1 51 75
c run room1 51 75
repeat 25 post room1 u3 $long
b run room1 76 100
c run room1 76 100
repeat 25 post room1 u3 $long
b run room1 101 125
c run room1 101 125
repeat 25 post room1 u3 $long
b run room1 126 150
c run room1 126 150
repeat 25 post room1 u3 $long
b run room1 151 175
c run room1 151 175
repeat 25 post room1 u3 $long
b run room1 176 200
c run room1 176 200
repeat 25 post room1 u3 $long
b run room1 201 225
c run room1 201 225
repeat 25 post room1 u3 $long
b run room1 226 250
c run room1 226 250
repeat 25 post room1 u3 $long
b run room1 251 275
c run room1 251 275
repeat 25 post room1 u3 $long
b run room1 276 300
c run room1 276 300
until metric writeen_slow_closed_total +1
until metric writeen_queue_bytes = 0
a resume
a eof-or-close 5
--- vars
long x*16000


=== TEST 9: who is there is known on all workers, and told once to each
--- steps
room room1 u1 u2
room room2 u1 u2
crowd b 12 u2
nginx spread
crowd a 6 u1
all b find user_presence data.userId=u1 data.status=online
all b times 1 "userId":"u1","status"
all a send join_conversation {"conversationId":"room1"}
all a expect conversation_joined data.online~u1 data.online~u2
redis ZCARD wrt:online = 2


=== TEST 10: typing reaches the others wherever they are, and ends there
--- steps
room room1 u1 u2
crowd b 12 u2
nginx spread
a connect u1
a send typing {"conversationId":"room1","isTyping":true}
all b expect user_typing data.isTyping==true
a drop
all b expect user_typing data.isTyping==false


=== TEST 11: a worker that is killed leaves nobody online who is not
--- expected_alarm
exited on signal 9
--- steps
room room1 u1 u2
crowd c 8 u1
nginx spread
nginx kill-worker
until nginx workers = 2
nginx ready
# the other worker still has some of his: he is where he was
redis FCALL wrt_left 5 wrt:online wrt:hidden wrt:u:u1:conns wrt:u:u1:presence wrt:u:u1:convs wrt:presence u1 = ok 0
redis HGET wrt:u:u1:presence shown = online
all c ignore
