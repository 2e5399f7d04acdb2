# Receipts: what a member has read or received, told to the others.
#
# Without this file a cursor could go back, a reader's other devices keep a
# message unread, or a class that reads one message at the same moment send a
# thousand times a thousand events.  Nobody would see an error: only wrong
# numbers, or a slow server.

use lib 't/lib';
use Test::Nginx::Writeen;

run_tests();

__DATA__

=== TEST 1: read: told to all members, also to the reader's other devices
--- steps
room room1 u1 u2 u3
post room1 u1 one
set one $posted
a connect u1
b connect u2
b2 connect u2
c connect u3
b send mark_read {"conversationId":"room1","messageId":"$one"} id=r1
b find ack data.id=r1 data.event=mark_read
b find message_status data.status=read data.messageId=$one data.conversationId=room1 data.seq==1 data.readBy.0.userId=u2 data.readBy.0.readAt~^20.*Z$ data.readBy.length=1
b2 expect message_status data.status=read data.readBy.0.userId=u2
a expect message_status data.status=read data.messageId=$one
c expect message_status data.status=read
# reading delivers
redis HGET %conv(room1) r:u2 ~ ^1 20
redis HGET %conv(room1) d:u2 ~ ^1 20
redis HGET %conv(room1) r:u1 = (nil)
# and the store is told once
redis XLEN %ingest(room1) = 2
metric writeen_receipts_total > 0


=== TEST 2: delivered
--- steps
room room1 u1 u2
post room1 u1 one
set one $posted
a connect u1
b connect u2
b send mark_delivered {"conversationId":"room1","messageId":"$one"} id=d1
b find ack data.id=d1 data.event=mark_delivered
b find message_status data.status=delivered data.deliveredTo.0.userId=u2 data.readBy=[]
a expect message_status data.status=delivered data.messageId=$one data.seq==1 data.deliveredTo.0.deliveredAt~^20
redis HGET %conv(room1) d:u2 ~ ^1 20
redis HGET %conv(room1) r:u2 = (nil)


=== TEST 3: never backwards
--- steps
room room1 u1 u2
post room1 u1 one
set one $posted
post room1 u1 two
set two $posted
a connect u1
b connect u2
b send mark_read {"conversationId":"room1","messageId":"$two"} id=r1
b find ack data.id=r1
b find message_status data.seq==2
a expect message_status data.seq==2
b send mark_read {"conversationId":"room1","messageId":"$one"} id=r2
b expect ack data.id=r2
b send mark_read {"conversationId":"room1","messageId":"$two"} id=r3
b expect ack data.id=r3
b send mark_delivered {"conversationId":"room1","messageId":"$two"} id=r4
b expect ack data.id=r4
b send mark_delivered {"conversationId":"room1","messageId":"$one"} id=r5
b expect ack data.id=r5
a quiet
redis HGET %conv(room1) r:u2 ~ ^2 20
redis XLEN %ingest(room1) = 3


=== TEST 4: without an id there is no ack
--- steps
room room1 u1
post room1 u1 one
set one $posted
a connect u1
a send mark_read {"conversationId":"room1","messageId":"$one"}
a expect message_status data.status=read
a quiet


=== TEST 5: who may not, and what there is not: the same answer
--- steps
room room1 u1
room room2 u2
post room1 u1 one
set one $posted
worker LOAD nowhere 404
worker POST *read 404 {"success":false,"message":"x","error":{"code":"not_found"}}
b connect u2
b send mark_read {"conversationId":"room1","messageId":"$one"} id=r1
b expect error data.id=r1 data.event=mark_read data.code=not_found data.conversationId=room1 data.retryable==false data.message=@said
b send mark_delivered {"conversationId":"room1","messageId":"$one"} id=r2
b expect error data.id=r2 data.event=mark_delivered data.code=not_found data.message="$said"
b send mark_read {"conversationId":"nowhere","messageId":"$one"} id=r3
b expect error data.id=r3 data.code=not_found data.message="$said"
b send mark_read {"conversationId":"room2","messageId":"$one"} id=r4
b expect error data.id=r4 data.code=not_found data.message="$said"
redis HKEYS %conv(room1) !~ r:u2
redis HKEYS %conv(room1) !~ d:u2


=== TEST 6: a member who may not read
--- steps
room room1 u1 u2:w
post room1 u1 one
set one $posted
b connect u2
b send mark_read {"conversationId":"room1","messageId":"$one"} id=r1
b expect error data.id=r1 data.code=not_found


=== TEST 7: marks that are wrong
--- steps
room room1 u1
a connect u1
a send mark_read {} id=w1
a expect error data.id=w1 data.event=mark_read data.code=invalid_request data.field=conversationId data.message~.
a send mark_read {"conversationId":"room1"} id=w2
a expect error data.id=w2 data.code=invalid_request data.field=messageId
a send mark_read {"conversationId":"room1","messageId":5} id=w3
a expect error data.id=w3 data.code=invalid_request data.field=messageId
a send mark_delivered {"conversationId":"a b","messageId":"x"} id=w4
a expect error data.id=w4 data.event=mark_delivered data.code=invalid_request data.field=conversationId
a send mark_delivered {"conversationId":"room1","messageId":"a b"} id=w5
a expect error data.id=w5 data.code=invalid_request data.field=messageId


=== TEST 8: a message that the log does not have any more: the store knows it
--- steps
room room1 u1 u2 seq=500
a connect u1
worker POST /api/conversations/room1/read 200 {"success":true,"data":{}}
worker POST /api/conversations/room1/delivered 404 {"success":false,"error":{"code":"not_found"}}
a send mark_read {"conversationId":"room1","messageId":"old1"} id=r1
a expect ack data.id=r1 data.event=mark_read
call POST /api/conversations/room1/read b.messageId=old1 u.sub=u1 u.name="Name of u1"
a send mark_delivered {"conversationId":"room1","messageId":"old2"} id=r2
a expect error data.id=r2 data.code=not_found data.event=mark_delivered
calls POST /api/conversations/room1/delivered = 1


=== TEST 9: a store that does not answer; a session that does not wait for it
--- with
writeen_api_timeout 2s;
--- steps
room room1 u1 u2 seq=500
a connect u1
b connect u2
worker POST /api/conversations/room1/read 0
a send mark_read {"conversationId":"room1","messageId":"old1"} id=r1
b send mark_read {"conversationId":"room1","messageId":"old1"} id=r2
until call POST /api/conversations/room1/read u.sub=u2
b drop
a expect error data.id=r1 data.code=unavailable data.retryable==true data.retryAfterMs~^[1-9]
a send ping
a expect pong


=== TEST 10: a conversation that is not in Redis is loaded, once for all
--- steps
user u1 room9
user u2 room9
a connect u1
b connect u2
worker LOAD room9 200 delay=0.2 then room room9 u1 u2 seq=1 lists=0
worker POST *read 200 {"success":true,"data":{}}
a send mark_read {"conversationId":"room9","messageId":"old"} id=r1
b send mark_read {"conversationId":"room9","messageId":"old"} id=r2
a expect ack data.id=r1
b expect ack data.id=r2
calls LOAD room9 = 1


=== TEST 11: the projector is too far behind, Redis is away
--- steps
room room1 u1
post room1 u1 one
set one $posted
a connect u1
a send mark_read {"conversationId":"room1","messageId":"$one"} id=r1
a find ack data.id=r1
a find message_status
server main kill
a send mark_read {"conversationId":"room1","messageId":"$one"} id=r2
a expect error data.id=r2 data.code=unavailable data.retryable==true data.retryAfterMs~^[1-9]


=== TEST 12: one who marks one after the other is told of with the last
--- steps
room room1 u1 u2
a connect u1
b connect u2
crowd c 8 u1
post room1 u1 m1
set m1 $posted
post room1 u1 m2
set m2 $posted
post room1 u1 m3
set m3 $posted
b run room1 1 3
server main pause
b send mark_read {"conversationId":"room1","messageId":"$m1"} id=r1
b send mark_read {"conversationId":"room1","messageId":"$m1"} id=r2
b send mark_read {"conversationId":"room1","messageId":"$m2"} id=r3
b send mark_read {"conversationId":"room1","messageId":"$m3"} id=r4
b send ping
b find pong
server main resume
b find ack data.id=r4
b find ack data.id=r3
b find ack data.id=r2
b find ack data.id=r1
b find message_status data.seq==1
b find message_status data.seq==3
b quiet
redis HGET %conv(room1) r:u2 ~ ^3 20
a ignore
all c ignore


=== TEST 13: a hundred read one message at once: few events, nobody left out
--- steps
room room1 $members
crowd c 100 $members
metric writeen_receipts_total mark
post room1 u1 hello
set one $posted
# really at once, however long it takes to say it
nginx hold
all c send mark_read {"conversationId":"room1","messageId":"$one"} id=r
nginx go
all c find ack data.id=r
all c find message_received
all c readers 100 20
metric writeen_receipts_total +100
--- vars
members u1 u2 u3 u4 u5 u6 u7 u8 u9 u10 u11 u12 u13 u14 u15 u16 u17 u18 u19 u20 u21 u22 u23 u24 u25 u26 u27 u28 u29 u30 u31 u32 u33 u34 u35 u36 u37 u38 u39 u40 u41 u42 u43 u44 u45 u46 u47 u48 u49 u50 u51 u52 u53 u54 u55 u56 u57 u58 u59 u60 u61 u62 u63 u64 u65 u66 u67 u68 u69 u70 u71 u72 u73 u74 u75 u76 u77 u78 u79 u80 u81 u82 u83 u84 u85 u86 u87 u88 u89 u90 u91 u92 u93 u94 u95 u96 u97 u98 u99 u100


=== TEST 14: the reader goes right after it
--- steps
room room1 u1 u2
post room1 u1 one
set one $posted
a connect u1
b connect u2
server main pause
b send mark_read {"conversationId":"room1","messageId":"$one"}
b send ping
b expect pong
b drop
server main resume
a expect message_status data.status=read data.readBy.0.userId=u2


=== TEST 15: the process ends with marks under way
--- http_with
writeen_drain 1s;
--- steps
room room1 u1
post room1 u1 one
set one $posted
a connect u1
server main pause
repeat 5 a send mark_read {"conversationId":"room1","messageId":"$one"}
a send ping
a find pong
nginx term
nginx gone 8
a ignore
