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
worker CHANGES room1 200 "501 2\n{}\nm 501 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":501,\"message\":{\"id\":\"a\",\"seq\":501}}}\n" then worker CHANGES room1 413
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
worker CHANGES room1 200 "501 2\n{}\nm 501 u2 -\n{\"event\":\"message_received\",\"data\":{\"conversationId\":\"room1\",\"seq\":501,\"message\":{\"id\":\"a\",\"seq\":501}}}\n" then worker CHANGES room1 503
post room1 u2 one
post room1 u2 two
post room1 u2 three
a connect u1
a send join_conversation {"conversationId":"room1","afterSeq":399}
a expect conversation_joined data.seq==503 data.compact==true data.missed==2
a expect message_received data.seq==501
a expect conversation_joined within=15 data.seq==503 data.recovered==false data.missed==0
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
