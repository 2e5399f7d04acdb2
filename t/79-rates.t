# Rates: how much one may ask for, by kind, by connection and by user.
#
# Without this file one client could keep the worker pool or a whole class
# busy with edits or typing, a user could multiply what he may have by opening
# more sockets or by going through REST, or a limit meant for floods could hit
# who does nothing unusual.

use lib 't/lib';
use Test::Nginx::Writeen;

# Each block has users of its own: where blocks are reloads the zone stays.

with_workers(2);
run_tests();

__DATA__

=== TEST 1: each kind has its own rate, the others go on
--- with
writeen_rate_kind typing 1 burst=2;
writeen_rate_kind change 1 burst=2;
writeen_rate_kind presence 1 burst=1;
--- steps
worker PUT * 200 {"success":true}
worker DELETE * 200 {"success":true}
room room1 ua1 ua2
metric writeen_rate_refused_total{kind="typing"} mark
metric writeen_rate_refused_total{kind="change"} mark
metric writeen_rate_refused_total{kind="presence"} mark
metric writeen_rate_refused_total{kind="message"} mark
metric writeen_rate_events_total{kind="change"} mark
metric writeen_rate_events_total{kind="message"} mark
metric writeen_rate_limited_total mark
a connect ua1
# one more a second: what is too much has to come at once
nginx hold
a send typing {"conversationId":"room1","isTyping":true} id=t1
a send typing {"conversationId":"room1","isTyping":false} id=t2
a send typing {"conversationId":"room1","isTyping":true} id=t3
nginx go
a find ack data.id=t1
a find ack data.id=t2
a find error data.id=t3 data.event=typing data.code=rate_limited data.conversationId=room1 data.retryable==true data.retryAfterMs~^[1-9]\d*$
# all changes are one kind
nginx hold
a send delete_message {"conversationId":"room1","messageId":"m1"} id=c1
a send add_reaction {"conversationId":"room1","messageId":"m2","emoji":"\u2764"} id=c2
a send remove_reaction {"conversationId":"room1","messageId":"m3","emoji":"\u2764"} id=c3
nginx go
a find ack data.id=c1
a find ack data.id=c2
a find error data.id=c3 data.event=remove_reaction data.code=rate_limited data.retryAfterMs~^[1-9]\d*$
nginx hold
a send set_presence {"status":"away"} id=p1
a send set_presence {"status":"busy"} id=p2
nginx go
a find ack data.id=p1
a find error data.id=p2 data.event=set_presence data.code=rate_limited
calls DELETE * = 1
a send ping
a find pong
a send send_message {"conversationId":"room1","content":{"text":"x"}} id=s1
a find ack data.id=s1
a ignore
metric writeen_rate_refused_total{kind="typing"} +1
metric writeen_rate_refused_total{kind="change"} +1
metric writeen_rate_refused_total{kind="presence"} +1
metric writeen_rate_refused_total{kind="message"} +0
metric writeen_rate_events_total{kind="change"} +3
metric writeen_rate_events_total{kind="message"} +1
metric writeen_rate_limited_total +3


=== TEST 2: messages, receipts, joins
--- with
writeen_rate_kind message 1 burst=1;
writeen_rate_kind receipt 1 burst=2;
writeen_rate_kind join 1 burst=2;
--- steps
room room1 ub1
post room1 ub1 one
set one $posted
a connect ub1
nginx hold
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c1"} id=s1
a send send_message {"conversationId":"room1","content":{"text":"y"},"clientMessageId":"c2"} id=s2
nginx go
a find ack data.id=s1
a find message_received data.seq==2
a find error data.id=s2 data.code=rate_limited data.clientMessageId=c2 data.conversationId=room1
redis HGET %conv(room1) seq = 2
nginx hold
a send mark_delivered {"conversationId":"room1","messageId":"$one"} id=r1
a send mark_read {"conversationId":"room1","messageId":"$one"} id=r2
a send mark_read {"conversationId":"room1","messageId":"$one"} id=r3
nginx go
a find ack data.id=r1
a find ack data.id=r2
a find error data.id=r3 data.event=mark_read data.code=rate_limited
nginx hold
a send leave_conversation {"conversationId":"room1"} id=j1
a send join_conversation {"conversationId":"room1"} id=j2
a send join_conversation {"conversationId":"room1"} id=j3
a send resume {"conversations":{"room1":0}} id=j4
nginx go
a find ack data.id=j1
a find conversation_joined data.id=j2
a find error data.id=j3 data.event=join_conversation data.code=rate_limited
a find error data.id=j4 data.event=resume data.code=rate_limited
a ignore


=== TEST 3: what is no event is of the kind other
--- with
writeen_rate_kind other 1 burst=3;
--- steps
user uc1
a connect uc1
nginx hold
a send ping
a text {"event":"nothing"}
a text no JSON
a send ping id=p4
a text no JSON
nginx go
a expect pong
a expect error data.code=invalid_request data.field=event
a expect error data.code=invalid_request
a expect error data.id=p4 data.code=rate_limited
a expect error data.code=rate_limited data.id! data.event!


=== TEST 4: refilled after the time that was said
--- with
writeen_rate_kind presence 4 burst=1;
--- steps
worker PUT /api/presence 200 {"success":true}
user ud1
a connect ud1
nginx hold
a send set_presence {"status":"away"} id=p1
a send set_presence {"status":"busy"} id=p2
nginx go
a find ack data.id=p1
a find error data.id=p2 data.code=rate_limited data.retryAfterMs~^([1-9]|\d\d|1\d\d|2[0-4]\d|250)$
sleep 0.3
a send set_presence {"status":"busy"} id=p3
a expect ack data.id=p3


=== TEST 5: one that is refused takes nothing
--- with
writeen_rate 20 burst=3 user=20;
writeen_rate_kind presence 1 burst=1;
--- steps
worker PUT /api/presence 200 {"success":true}
user ue1
a connect ue1
nginx hold
a send set_presence {"status":"away"} id=p1
repeat 20 a send set_presence {"status":"busy"}
a send ping
nginx go
a find ack data.id=p1
repeat 20 a find error data.event=set_presence data.code=rate_limited
a find pong
a ignore


=== TEST 6: a user has one rate over all nginx workers
--- with
writeen_rate 100 burst=100 user=100;
writeen_rate_kind presence 50 burst=50 user=1;
--- steps
worker PUT /api/presence 200 {"success":true}
user uf1
user uf2
metric writeen_rate_refused_total{kind="presence"} mark
crowd c 12 uf1
nginx spread
d connect uf2
# twice the rate, then no more, whatever worker it is
nginx hold
all c send set_presence {"status":"away"} id=p
nginx go
until metric writeen_rate_refused_total{kind="presence"} +10
until calls PUT /api/presence = 2
d send set_presence {"status":"away"} id=p
d expect ack data.id=p
all c ignore


=== TEST 7: off is off, for one kind and for all
--- with
writeen_rate_kind presence off;
--- steps
worker PUT /api/presence 200 {"success":true}
user ug1
a connect ug1
repeat 30 a send set_presence {"status":"away"} id=p$i
a find ack data.id=p30
repeat 30 a send set_presence {"status":"away"} id=q$i
a find ack data.id=q30
a never rate_limited
a ignore


=== TEST 8: no rates at all
--- with
writeen_rate off;
writeen_rate_kind typing 1 burst=1;
writeen_rate_kind read 1 burst=1;
--- steps
worker GET /api/x 200 {"success":true}
room room1 uh1
a connect uh1
repeat 20 a send typing {"conversationId":"room1","isTyping":true} id=t$i
a find ack data.id=t20
a never rate_limited
a ignore
repeat 3 h request GET /api/x token=uh1
h response 200


=== TEST 9: kinds go with writeen_rate unless they are named
--- with
writeen_rate 6 burst=12 user=24;
writeen_rate_kind receipt 60;
--- steps
worker PUT /api/presence 200 {"success":true}
user ui1
a connect ui1
# a tenth of 40
nginx hold
repeat 5 a send set_presence {"status":"away"} id=p$i
nginx go
a find ack data.id=p4
a find error data.id=p5 data.code=rate_limited
a ignore


=== TEST 10: REST: by user and kind, 429 with Retry-After, also for browsers
--- with
writeen_origin https://app.example;
writeen_rate_kind read 1 burst=2;
writeen_rate_kind change 50 burst=50 user=1;
--- steps
metric writeen_rate_refused_total{kind="change"} mark
metric writeen_rate_refused_total{kind="read"} mark
worker GET /api/conversations 200 {"success":true}
worker PATCH /api/conversations/room1/messages/m1 200 {"success":true}
worker DELETE /api/conversations/room1/messages/m1 200 {"success":true}
worker PUT /api/conversations/room1/messages/m1/reactions/x 200 {"success":true}
# all at once: one more a second would pass, and which of them do the two
# workers decide
nginx hold
repeat 5 h$i request GET /api/conversations token=uj1
nginx go
all h response 200|429
calls GET /api/conversations = 2
until metric writeen_rate_refused_total{kind="read"} +3
h request GET /api/conversations token=uj1 origin=https://app.example
until h response 429 success==false error.code=rate_limited error.field! message~. header.retry-after=1 header.access-control-allow-origin=https://app.example header.access-control-expose-headers~(?i)retry-after header.content-type~^application/json else h request GET /api/conversations token=uj1 origin=https://app.example
h request HEAD /api/conversations token=uj1
h response 405|429
# another user, and another kind
h request GET /api/conversations token=uj2
h response 200
repeat 2 h request PATCH /api/conversations/room1/messages/m1 token=uj1 body={"content":{"text":"x"}}
h response 200
# one more a second: not for long, however slow this machine is
h request DELETE /api/conversations/room1/messages/m1 token=uj1
until h response 429 error.code=rate_limited else h request DELETE /api/conversations/room1/messages/m1 token=uj1
h request PUT /api/conversations/room1/messages/m1/reactions/x token=uj1
until h response 429 error.code=rate_limited else h request PUT /api/conversations/room1/messages/m1/reactions/x token=uj1
sleep 1.1
h request GET /api/conversations token=uj1
h response 200
metric writeen_rate_refused_total{kind="change"} +2


=== TEST 11: REST: messages, receipts, presence
--- with
writeen_rate_kind message 50 burst=50 user=1;
writeen_rate_kind receipt 50 burst=50 user=1;
writeen_rate_kind presence 50 burst=50 user=1;
--- steps
worker POST * 200 {"success":true}
worker PUT * 200 {"success":true}
room room1 uk1
metric writeen_rate_refused_total{kind="message"} mark
metric writeen_rate_refused_total{kind="receipt"} mark
metric writeen_rate_refused_total{kind="presence"} mark
a connect uk1
# both doors, one rate; all at once, as one more a second would pass
nginx hold
repeat 3 m$i request POST /api/conversations/room1/messages token=uk1 body={"content":{"text":"a"}}
repeat 3 a send send_message {"conversationId":"room1","content":{"text":"d"}} id=s$i
r1 request POST /api/conversations/room1/read token=uk1 body={"messageId":"m1"}
r2 request POST /api/conversations/room1/delivered token=uk1 body={"messageId":"m1"}
r3 request POST /api/conversations/room1/read token=uk1 body={"messageId":"m1"}
repeat 3 p$i request PUT /api/presence token=uk1 body={"status":"away"}
nginx go
# at most two of these three have passed
a find error data.id~^s[123]$ data.code=rate_limited
all m response 201|429
all r response 200|429
all p response 200|429
until metric writeen_rate_refused_total{kind="message"} +4
until redis HGET %conv(room1) seq = 2
calls POST * = 2
metric writeen_rate_refused_total{kind="receipt"} +1
calls PUT * = 2
metric writeen_rate_refused_total{kind="presence"} +1
h request POST /api/conversations/room1/messages token=uk1 body={"content":{"text":"c"}}
until h response 429 error.code=rate_limited header.retry-after~^[1-9] else h request POST /api/conversations/room1/messages token=uk1 body={"content":{"text":"c"}}
a ignore


=== TEST 12: REST: who acts for many is not limited
--- with
writeen_rate_kind read 1 burst=1;
--- steps
worker GET /api/conversations 200 {"success":true}
token s sub=svc role=service name=S
token d sub=adm role=admin name=A
token t sub=tut role=tutor name=T
repeat 3 h request GET /api/conversations token=$s
h response 200
repeat 3 h request GET /api/conversations token=$d
h response 200
h request GET /api/conversations token=$t
h response 200
h request GET /api/conversations token=$t
until h response 429 else h request GET /api/conversations token=$t


=== TEST 13: more users than the zone holds: the oldest is forgotten
--- http_with
writeen_rate_zone 64k;
--- with
writeen_rate_kind change 1 burst=1 user=1;
--- steps
h request POST /api/x token=first type=text/plain body=x
h response 415
h request POST /api/x token=first type=text/plain body=x
h response 415
# one more a second passes
h request POST /api/x token=first type=text/plain body=x
until h response 429 else h request POST /api/x token=first type=text/plain body=x
repeat 400 g request POST /api/x token=user$i type=text/plain body=x
g response 415
metric writeen_rate_forgotten_total > 0
metric writeen_rate_forgotten_total mark
h request POST /api/x token=first type=text/plain body=x
h response 415
# another one had to go for him
metric writeen_rate_forgotten_total +1
# the one that was last is not forgotten
g request POST /api/x token=user400 type=text/plain body=x
g response 415
g request POST /api/x token=user400 type=text/plain body=x
until g response 429 else g request POST /api/x token=user400 type=text/plain body=x
metric writeen_rate_forgotten_total +1


=== TEST 14: rates stay over a reload
--- with
writeen_rate_kind read 1 burst=60;
--- steps
worker GET /api/x 200 {"success":true}
repeat 60 h request GET /api/x token=un1
h response 200
nginx reload
# though a reload may take a while
repeat 59 h request GET /api/x token=un1
h response 429


=== TEST 15: what a client usually does is far from any limit
--- steps
metric writeen_rate_limited_total mark
worker PUT * 200 {"success":true}
worker GET /api/conversations/room1/messages 200 {"success":true}
room room1 uo1 uo2
a connect uo1
a send join_conversation {"conversationId":"room1"} id=j
repeat 20 a send typing {"conversationId":"room1","isTyping":true}
repeat 30 a send send_message {"conversationId":"room1","content":{"text":"m$i"}} id=s$i
repeat 20 a send add_reaction {"conversationId":"room1","messageId":"m$i","emoji":"\u2764"} id=c$i
a find ack data.id=c20
repeat 30 h request GET /api/conversations/room1/messages token=uo1
h response 200
a never rate_limited
metric writeen_rate_limited_total +0
a ignore
