# Commands: events that are REST routes by another name.
#
# The worker is played by the test.  Without this file the socket could say
# something else than REST does for the same wish, lose who it was that wished
# it, pass on what a client smuggled in, or show the first of two edits as the
# last.

use lib 't/lib';
use Test::Nginx::Writeen;

run_tests();

__DATA__

=== TEST 1: an edit goes to the worker as the route, with the session's identity
--- steps
token t sub=u7 role=tutor name="Ani \u00dc" avatar=https://cdn.example/a.png
room room1 u7
worker PATCH /api/conversations/room1/messages/m1 200 {"success":true,"data":{"message":{"id":"m1"}}}
a handshake token=$t
a response 101
a expect connected data.userId=u7
a send edit_message {"conversationId":"room1","messageId":"m1","content":{"text":"new \u00e9","html":"<b>"},"senderId":"u1"} id=e1
a expect ack data.id=e1 data.event=edit_message
call PATCH /api/conversations/room1/messages/m1 b~^\{"content":\{"text":"new\x20\xc3\xa9"\}\}$ u.sub=u7 u.role=tutor u.name="Ani \u00dc" u.avatar=https://cdn.example/a.png i~^[0-9a-f]{24}$ r~^wrt:reply: d~^\d{13}$
metric writeen_commands_total > 0


=== TEST 2: delete, reactions, presence
--- steps
room room1 u1
worker DELETE /api/conversations/room1/messages/m1 200 {"success":true}
worker PUT /api/conversations/room1/messages/m1/reactions/* 200 {"success":true}
worker DELETE /api/conversations/room1/messages/m1/reactions/* 200 {"success":true}
worker PUT /api/presence 200 {"success":true}
a connect u1
a send delete_message {"conversationId":"room1","messageId":"m1"} id=c1
a expect ack data.id=c1 data.event=delete_message
call DELETE /api/conversations/room1/messages/m1 b= u.sub=u1
a send add_reaction {"conversationId":"room1","messageId":"m1","emoji":"\ud83d\udc4d"} id=c2
a expect ack data.id=c2 data.event=add_reaction
call PUT * p~^/api/conversations/room1/messages/m1/reactions/\xf0\x9f\x91\x8d$ b= u.sub=u1
a send remove_reaction {"conversationId":"room1","messageId":"m1","emoji":"1\ufe0f\u20e3"} id=c3
a expect ack data.id=c3 data.event=remove_reaction
call DELETE * p~^/api/conversations/room1/messages/m1/reactions/1\xef\xb8\x8f\xe2\x83\xa3$
a send set_presence {"status":"away","x":1} id=c4
a expect ack data.id=c4 data.event=set_presence
call PUT /api/presence b={"status":"away"} u.sub=u1


=== TEST 3: without an id there is no ack
--- steps
worker PUT /api/presence 200 {"success":true}
user u1
a connect u1
a send set_presence {"status":"busy"}
until call PUT /api/presence b={"status":"busy"}
a quiet


=== TEST 4: what the worker refuses is told with its words
--- steps
worker PATCH /api/conversations/room1/messages/s400 400 {"success":false,"message":"the \"text\" \u00e9","error":{"code":"invalid_request","field":"content.text"}}
worker PATCH /api/conversations/room1/messages/s403 403 {"success":false,"message":"m3","error":{"code":"forbidden"}}
worker PATCH /api/conversations/room1/messages/s404 404 {"success":false,"message":"m4","error":{"code":"not_found"}}
worker PATCH /api/conversations/room1/messages/s409 409 {"success":false,"message":"m9","error":{"code":"conversation_archived"}}
worker PATCH /api/conversations/room1/messages/s413 413 {"success":false,"message":"m13","error":{"code":"too_large","field":"content.text"}}
worker PATCH /api/conversations/room1/messages/s429 429 retry=7 {"success":false,"message":"m29","error":{"code":"rate_limited"}}
worker PATCH /api/conversations/room1/messages/s503 503 retry=2 {"success":false,"message":"m53","error":{"code":"unavailable"}}
user u1
a connect u1
a send edit_message {"conversationId":"room1","messageId":"s400","content":{"text":"x"}} id=e1
a expect error data.id=e1 data.event=edit_message data.code=invalid_request data.field=content.text data.message~^the\x20"text"\x20[^a-z]{1,2}$ data.conversationId=room1 data.retryable==false data.retryAfterMs!
a send edit_message {"conversationId":"room1","messageId":"s403","content":{"text":"x"}} id=e2
a expect error data.id=e2 data.code=forbidden data.field! data.message=m3 data.retryable==false
a send edit_message {"conversationId":"room1","messageId":"s404","content":{"text":"x"}} id=e3
a expect error data.id=e3 data.code=not_found data.retryable==false
a send edit_message {"conversationId":"room1","messageId":"s409","content":{"text":"x"}} id=e4
a expect error data.id=e4 data.code=conversation_archived data.retryable==false
a send edit_message {"conversationId":"room1","messageId":"s413","content":{"text":"x"}} id=e5
a expect error data.id=e5 data.code=too_large data.field=content.text data.retryable==false
a send edit_message {"conversationId":"room1","messageId":"s429","content":{"text":"x"}} id=e6
a expect error data.id=e6 data.code=rate_limited data.retryable==true data.retryAfterMs==7000
a send edit_message {"conversationId":"room1","messageId":"s503","content":{"text":"x"}} id=e7
a expect error data.id=e7 data.code=unavailable data.retryable==true data.retryAfterMs==2000
# without an id, too: who asked must know
a send edit_message {"conversationId":"room1","messageId":"s403","content":{"text":"x"}}
a expect error data.id! data.event=edit_message data.code=forbidden


=== TEST 5: odd answers
--- steps
worker DELETE /api/conversations/room1/messages/empty 403 "{}"
worker DELETE /api/conversations/room1/messages/text 500 "no JSON"
worker DELETE /api/conversations/room1/messages/list 404 [1]
worker DELETE /api/conversations/room1/messages/type 404 {"success":false,"message":5,"error":{"code":"not_found","field":["x"]}}
worker DELETE /api/conversations/room1/messages/code 404 {"success":false,"message":"m","error":{"code":"not found\",\"x\":\""}}
worker DELETE /api/conversations/room1/messages/field 400 {"success":false,"message":"m","error":{"code":"invalid_request","field":"a\"b"}}
worker DELETE /api/conversations/room1/messages/long 400 "{\"success\":false,\"message\":\"$long\",\"error\":{\"code\":\"invalid_request\"}}"
user u1
a connect u1
a send delete_message {"conversationId":"room1","messageId":"empty"} id=o1
a expect error data.id=o1 data.code=unavailable data.retryable==true data.message~.
a send delete_message {"conversationId":"room1","messageId":"text"} id=o2
a expect error data.id=o2 data.code=unavailable
a send delete_message {"conversationId":"room1","messageId":"list"} id=o3
a expect error data.id=o3 data.code=unavailable
a send delete_message {"conversationId":"room1","messageId":"type"} id=o4
a expect error data.id=o4 data.code=not_found data.field! data.message~.
a send delete_message {"conversationId":"room1","messageId":"code"} id=o5
a expect error data.id=o5 data.code=unavailable data.x!
a send delete_message {"conversationId":"room1","messageId":"field"} id=o6
a expect error data.id=o6 data.code=invalid_request data.field!
a send delete_message {"conversationId":"room1","messageId":"long"} id=o7
a expect error data.id=o7 data.code=invalid_request data.message~^m{255}$
--- vars
long m*5000


=== TEST 6: commands that are wrong go nowhere
--- steps
user u1
a connect u1
a send edit_message {} id=w1
a expect error data.id=w1 data.event=edit_message data.code=invalid_request data.field=conversationId
a send edit_message {"conversationId":"room1"} id=w2
a expect error data.id=w2 data.code=invalid_request data.field=messageId
a send edit_message {"conversationId":"room1","messageId":"m1"} id=w3
a expect error data.id=w3 data.code=invalid_request data.field=content
a send edit_message {"conversationId":"room1","messageId":"m1","content":{"text":"  "}} id=w4
a expect error data.id=w4 data.code=invalid_request data.field=content.text
a send delete_message {"conversationId":"room1","messageId":"../x"} id=w5
a expect error data.id=w5 data.code=invalid_request data.field=messageId
a send add_reaction {"conversationId":"room1","messageId":"m1"} id=w6
a expect error data.id=w6 data.code=invalid_request data.field=emoji
a send add_reaction {"conversationId":"room1","messageId":"m1","emoji":"a/b"} id=w7
a expect error data.id=w7 data.code=invalid_request data.field=emoji data.message~slash
a send add_reaction {"conversationId":"room1","messageId":"m1","emoji":"\n"} id=w8
a expect error data.id=w8 data.code=invalid_request data.field=emoji
a send set_presence {"status":5} id=w9
a expect error data.id=w9 data.event=set_presence data.code=invalid_request data.field=status
calls PATCH * = 0
calls DELETE * = 0
calls PUT * = 0


=== TEST 7: more wrong ones; a text beyond the limit
--- steps
user u1
a connect u1
a send remove_reaction {"conversationId":"room1","messageId":"m1","emoji":""} id=w1
a expect error data.id=w1 data.code=invalid_request data.field=emoji
a send remove_reaction {"conversationId":"room1","messageId":"m1","emoji":"\u0085"} id=w2
a expect error data.id=w2 data.code=invalid_request data.field=emoji
a send remove_reaction {"conversationId":"room1","messageId":"m1","emoji":"$emoji"} id=w3
a expect error data.id=w3 data.code=invalid_request data.field=emoji data.message~64
a send set_presence {} id=w4
a expect error data.id=w4 data.code=invalid_request data.field=status
a send edit_message {"conversationId":"room1","messageId":"m1","content":{"text":"$long"}} id=w5
a expect error data.id=w5 data.code=too_large data.field=content.text
calls PATCH * = 0
calls DELETE * = 0
calls PUT * = 0
--- vars
emoji e*65
long x*16385


=== TEST 8: no answer in time
--- with
writeen_api_timeout 300ms;
--- steps
worker PATCH /api/conversations/room1/messages/m1 0
user u1
a connect u1
a send edit_message {"conversationId":"room1","messageId":"m1","content":{"text":"x"}} id=e1
a expect error data.id=e1 data.event=edit_message data.code=unavailable data.conversationId=room1 data.retryable==true data.retryAfterMs~^[1-9]


=== TEST 9: Redis is away
--- steps
user u1
a connect u1
server main kill
a send set_presence {"status":"away"} id=c1
a expect error data.id=c1 data.event=set_presence data.code=unavailable data.conversationId! data.retryable==true data.retryAfterMs~^[1-9]


=== TEST 10: for one message one after the other, for others side by side
--- steps
worker PUT /api/conversations/room1/messages/m1/reactions/* 0
worker DELETE /api/conversations/room1/messages/m1/reactions/* 200 {"success":true}
worker DELETE /api/conversations/room1/messages/m2 200 {"success":true}
user u1
a connect u1
a send add_reaction {"conversationId":"room1","messageId":"m1","emoji":"\u2764"} id=c1
a send remove_reaction {"conversationId":"room1","messageId":"m1","emoji":"\u2764"} id=c2
a send delete_message {"conversationId":"room1","messageId":"m2"} id=c3
a expect ack data.id=c3
call PUT * r=@reply i=@id
redis PUBLISH $reply 'R $id 200 -\n{"success":true}'
a expect ack data.id=c1
a expect ack data.id=c2


=== TEST 11: behind one without an answer nothing is tried
--- with
writeen_api_timeout 3s;
--- steps
worker PATCH /api/conversations/room1/messages/m1 0
worker DELETE /api/conversations/room1/messages/m1 200 {"success":true}
user u1
a connect u1
a send edit_message {"conversationId":"room1","messageId":"m1","content":{"text":"x"}} id=c1
a send delete_message {"conversationId":"room1","messageId":"m1"} id=c2
a send delete_message {"conversationId":"room1","messageId":"m1"} id=c3
a expect error data.id=c1 data.code=unavailable
a expect error data.id=c2 data.code=unavailable data.event=delete_message
a expect error data.id=c3 data.code=unavailable
calls DELETE /api/conversations/room1/messages/m1 = 0
# and then all is as before
a send delete_message {"conversationId":"room1","messageId":"m1"} id=c4
a expect ack data.id=c4


=== TEST 12: so many at a time and no more
--- steps
worker PUT /api/presence 0
user u1
user u2
a connect u1
b connect u2
repeat 32 a send set_presence {"status":"away"} id=c$i
a send set_presence {"status":"away"} id=c33
a expect error data.id=c33 data.event=set_presence data.code=rate_limited data.retryable==true data.retryAfterMs~^[1-9]
call PUT /api/presence u.sub=u1 r=@reply i=@id
# others have their own
worker PUT /api/presence 200 {"success":true}
b send set_presence {"status":"busy"} id=b1
b expect ack data.id=b1
redis PUBLISH $reply 'R $id 200 -\n{"success":true}'
a expect ack data.id=c1
a send set_presence {"status":"away"} id=c34
a ignore


=== TEST 13: the session goes first
--- steps
worker PUT /api/presence 200 delay=0.2 {"success":true}
worker GET /api/good 200 {"success":true,"data":"good"}
user u1
a connect u1
a send set_presence {"status":"away"} id=c1
a send set_presence {"status":"busy"} id=c2
until call PUT /api/presence
a drop
sleep 0.4
calls PUT /api/presence = 1
h request GET /api/good token=u1
h response 200 data=good


=== TEST 14: the process ends with commands under way
--- http_with
writeen_drain 1s;
--- steps
worker PUT /api/presence 0
user u1
a connect u1
repeat 5 a send set_presence {"status":"away"}
until call PUT /api/presence
nginx term
nginx gone 8
a ignore
