# The REST front door: what nginx itself decides before and after the worker.
#
# The routes' own behaviour is tested with the whole stack.  Here the worker is
# played by the test, so that what it never says by itself can be said: no
# answer, a late one, an odd one.  Without this file a caller could wait for
# ever, a browser could get an answer without CORS headers, or a body of any
# size could go through Redis.

use lib 't/lib';
use Test::Nginx::Writeen;

run_tests();

__DATA__

=== TEST 1: a call goes to the worker as it came, and its answer back
--- steps
token t sub=u7 role=tutor name="Ani \u00dc" avatar=https://cdn.example/a.png
worker PATCH /api/conversations/room1 200 {"success":true,"data":{"x":[1,"\u00e9"]}}
h request PATCH /api/conversations/room1?a=1&b=%20c token=$t body={"title":"New \u00e9","n":null}
h response 200 body={"success":true,"data":{"x":[1,"\u00e9"]}} header.content-type~^application/json header.content-length~^\d+$
call PATCH /api/conversations/room1 q=a=1&b=%20c b.title~New b="{\"title\":\"New \\u00e9\",\"n\":null}" u.sub=u7 u.role=tutor u.avatar=https://cdn.example/a.png i~^[0-9a-f]{24}$ r~^wrt:reply: d~^\d{13}$


=== TEST 2: every status of the worker is passed on
--- steps
worker GET /api/s400 400 {"success":false,"message":"m","error":{"code":"invalid_request","field":"f"}}
worker GET /api/s403 403 {"success":false,"message":"m","error":{"code":"forbidden"}}
worker GET /api/s404 404 {"success":false,"message":"m","error":{"code":"not_found"}}
worker GET /api/s409 409 {"success":false,"message":"m","error":{"code":"conflict"}}
worker GET /api/s422 422 {"success":false,"message":"m","error":{"code":"infected"}}
worker GET /api/s425 425 {"success":false,"message":"m","error":{"code":"scan_pending"}}
worker GET /api/s429 429 retry=7 {"success":false,"message":"m","error":{"code":"rate_limited"}}
worker GET /api/s503 503 retry=2 {"success":false,"message":"m","error":{"code":"unavailable"}}
worker POST /api/s201 201 {"success":true}
h request GET /api/s400 token=u1
h response 400 error.code=invalid_request error.field=f
h request GET /api/s403 token=u1
h response 403 error.code=forbidden
h request GET /api/s404 token=u1
h response 404 error.code=not_found
h request GET /api/s409 token=u1
h response 409 error.code=conflict
h request GET /api/s422 token=u1
h response 422 error.code=infected
h request GET /api/s425 token=u1
h response 425 error.code=scan_pending
h request GET /api/s429 token=u1
h response 429 error.code=rate_limited header.retry-after=7
h request GET /api/s503 token=u1
h response 503 error.code=unavailable header.retry-after=2
h request POST /api/s201 token=u1 body={}
h response 201 success==true


=== TEST 3: no answer: 503 in time; a late one does no harm
--- with
writeen_api_timeout 3s;
--- steps
worker GET /api/silent 0
worker GET /api/late 0
worker GET /api/good 200 {"success":true,"data":"good"}
h request GET /api/silent token=u1
g request GET /api/late token=u1
h response 503 success==false error.code=unavailable header.retry-after~^[1-9]\d*$ message~.
g response 503 error.code=unavailable
call GET /api/late r=@reply i=@id
redis PUBLISH $reply 'R $id 200 -\n{"success":true,"data":"late"}'
h request GET /api/good token=u1
h response 200 data=good


=== TEST 4: answers that nobody asked for
--- steps
worker GET /api/good 200 {"success":true,"data":"good"}
h request GET /api/good token=u1
h response 200 data=good
call GET /api/good r=@reply i=@id
redis PUBLISH $reply 'R $id 200 -\n{"success":true,"data":"again"}'
redis PUBLISH $reply 'R 0123456789abcdef01234567 200 -\n{}'
redis PUBLISH $reply 'R x y z'
redis PUBLISH $reply 'nonsense'
redis PUBLISH $reply ''
h request GET /api/good token=u1
h response 200 data=good


=== TEST 5: a big answer
--- steps
worker GET /api/big 200 "{\"success\":true,\"data\":\"$big\"}"
h request GET /api/big token=u1
h response 200 data=$big
--- vars
big x*1000000


=== TEST 6: a client that goes away while the worker thinks
--- steps
worker GET /api/slow 200 delay=0.5 {"success":true}
worker GET /api/good 200 {"success":true,"data":"good"}
h request GET /api/slow token=u1
until call GET /api/slow
h drop
sleep 0.8
h request GET /api/good token=u1
h response 200 data=good


=== TEST 7: many calls at once, answered in another order
--- steps
worker GET /api/a 200 delay=0.3 {"success":true,"data":"a"}
worker GET /api/b 200 delay=0.2 {"success":true,"data":"b"}
worker GET /api/c 200 delay=0.1 {"success":true,"data":"c"}
a request GET /api/a token=u1
b request GET /api/b token=u1
c request GET /api/c token=u1
c response 200 data=c
b response 200 data=b
a response 200 data=a


=== TEST 8: methods
--- steps
h request TRACE /api/conversations token=u1
h response 405
h request PROPFIND /api/conversations token=u1
h response 405 success==false error.code~. header.allow="GET, HEAD, POST, PUT, PATCH, DELETE"
h request LOAD /api/room1 token=u1
h response 405
h request OPTIONS /api/conversations token=u1
h response 405 header.allow~^GET
# which ones a path has the worker pool says; what it names and nginx does not
# know is in no header
worker PUT /api/one 405 allow=GET,POST {"success":false}
h request PUT /api/one token=u1
h response 405 success==false header.allow="GET, POST" header.retry-after!
worker PUT /api/two 405 allow=DELETE,LOAD,,GE,GET {"success":false}
h request PUT /api/two token=u1
h response 405 header.allow="GET, DELETE"
worker PUT /api/three 405 {"success":false}
h request PUT /api/three token=u1
h response 405 header.allow!
# nginx's own calls can not be made from outside
calls LOAD room1 = 0
calls LOAD /api/room1 = 0
calls PROPFIND /api/conversations = 0


=== TEST 9: bodies: type and size
--- steps
worker POST /api/conversations 201 {"success":true}
h request POST /api/conversations token=u1 type=text/plain body={}
h response 415 success==false error.code=unsupported_type
h request POST /api/conversations token=u1 type=application/x-www-form-urlencoded body=a=1
h response 415 error.code=unsupported_type
h request POST /api/conversations token=u1 type=- body={}
h response 415 error.code=unsupported_type
h request POST /api/conversations token=u1 type="application/json; charset=utf-8" body={}
h response 201
h request POST /api/conversations token=u1 type=APPLICATION/JSON body={}
h response 201
h request POST /api/conversations token=u1 type=application/jsonp body={}
h response 415
h request POST /api/conversations token=u1 chunked=1 body={"type":"direct"}
h response 201
call POST /api/conversations b={"type":"direct"}
h request POST /api/conversations token=u1 size=200000
h response 413 success==false error.code=too_large
h request POST /api/conversations token=u1 length=32000000 header="Content-Type: application/json"
h response 413 error.code=too_large


=== TEST 10: bodies that are no JSON object
--- steps
room room1 u1
h request POST /api/conversations/room1/messages token=u1 body="not json"
h response 400 success==false error.code=invalid_request
h request POST /api/conversations/room1/messages token=u1 body="[1]"
h response 400 error.code=invalid_request
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"x"},"content":{"text":"y"}}
h response 400 error.code=invalid_request
h request POST /api/conversations/room1/messages token=u1 body="{\"content\":{\"text\":\"\xff\"}}"
h response 400 error.code=invalid_request
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"x"}}x
h response 400 error.code=invalid_request
h request POST /api/conversations/room1/messages token=u1
h response 400 error.code=invalid_request
redis HGET %conv(room1) seq = 0
# other routes are the worker's to judge, which gets every byte as it came
worker POST /api/conversations 400 {"success":false,"message":"m","error":{"code":"invalid_request"}}
h request POST /api/conversations token=u1 body={"a":1,"a":2}x
h response 400 error.code=invalid_request
call POST /api/conversations b={"a":1,"a":2}x


=== TEST 11: send by REST: 201, then 200 with the first message
--- steps
room room1 u1 u2
a connect u1
b connect u2
h request POST /api/conversations/room1/messages token=u1 body={"type":"text","content":{"text":"by REST"},"clientMessageId":"c1"}
h response 201 success==true message~. data.message.id=@mid data.message.conversationId=room1 data.message.senderId=u1 data.message.type=text data.message.content.text="by REST" data.message.status=sent data.message.seq==1 data.message.clientMessageId=c1 data.message.createdAt=@at data.message.sender.name="Name of u1"
a expect message_received data.seq==1 data.message.id=$mid data.clientMessageId=c1
b expect message_received data.seq==1 data.message.id=$mid
worker MESSAGE room1/$mid 200 {"success":true,"data":{"message":{"id":"$mid","seq":1,"content":{"text":"by REST"}}}}
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"other"},"clientMessageId":"c1"}
h response 200 success==true data.message.id=$mid data.message.seq==1
# and by WebSocket it is the same
a send send_message {"conversationId":"room1","content":{"text":"x"},"clientMessageId":"c1"}
a expect message_status data.messageId=$mid data.seq==1 data.createdAt=$at
redis XLEN %log(room1) = 1


=== TEST 12: send by REST: refusals
--- steps
room room1 u1 u3:r
room old u1 state=archived
worker LOAD nowhere 404
h request POST /api/conversations/room1/messages token=u2 body={"content":{"text":"x"}}
h response 404 success==false error.code=not_found message=@m
h request POST /api/conversations/nowhere/messages token=u1 body={"content":{"text":"x"}}
h response 404 error.code=not_found message="$m"
h request POST /api/conversations/room1/messages token=u3 body={"content":{"text":"x"}}
h response 403 error.code=forbidden
h request POST /api/conversations/old/messages token=u1 body={"content":{"text":"x"}}
h response 409 error.code=conversation_archived
h request POST /api/conversations/room1/messages token=u1 body={"content":{}}
h response 400 error.code=invalid_request error.field=content.text
h request POST /api/conversations/room1/messages token=u1 body={"type":"system","content":{"text":"x"}}
h response 400 error.code=invalid_request error.field=type
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"$long"}}
h response 413 error.code=too_large error.field=content.text
h request POST /api/conversations/room1/messages body={"content":{"text":"x"}}
h response 401 error.code=unauthorized
redis HGET %conv(room1) seq = 0
--- vars
long x*16385


=== TEST 13: send by REST: a room that is not in Redis; Redis away
--- steps
worker LOAD room9 200 then room room9 u1 seq=3
h request POST /api/conversations/room9/messages token=u1 body={"content":{"text":"x"}}
h response 201 data.message.seq==4
server main kill
h request POST /api/conversations/room9/messages token=u1 body={"content":{"text":"y"}}
h response 503 error.code=unavailable header.retry-after~^[1-9]
server main start


=== TEST 14: send by REST: no worker that could load the room
--- with
writeen_api_timeout 1s;
--- steps
worker LOAD room9 0
h request POST /api/conversations/room9/messages token=u1 body={"content":{"text":"x"}}
h response 503 error.code=unavailable header.retry-after~^[1-9]


=== TEST 15: paths and queries
--- steps
worker GET * 200 {"success":true}
h request GET /api/conversations/a%2Fb%20c token=u1
h response 200
call GET * p="/api/conversations/a/b c"
h request GET /api/x?q=%22\n%20%ff token=u1
h response 200
call GET /api/x q~^q=%22.*%ff$
h request GET /api/conversations/%00 token=u1
h response 400
h request GET /api/conversations/%ff token=u1
h response 400 error.code=invalid_request
h request GET /api/x?$long token=u1
h response 400 error.code=invalid_request
# a path with dots stays below /api/
h request GET /api/a/../../metrics token=u1
h response 200 body~writeen_
h request GET /api/../../metrics token=u1
h response 400
--- vars
long q*3000


=== TEST 16: CORS: a listed origin
--- with
writeen_origin https://app.example;
--- steps
worker GET /api/conversations 200 {"success":true}
h request GET /api/conversations token=u1 origin=https://app.example
h response 200 header.access-control-allow-origin=https://app.example header.vary~Origin
h request OPTIONS /api/conversations origin=https://app.example header="Access-Control-Request-Method: PATCH" header="Access-Control-Request-Headers: authorization,content-type"
h response 204 header.access-control-allow-origin=https://app.example header.access-control-allow-methods~PATCH header.access-control-allow-methods~DELETE header.access-control-allow-headers~(?i)authorization header.access-control-allow-headers~(?i)content-type header.access-control-max-age~^\d+$ header.vary~Origin
# an error must be readable by the page, too
h request GET /api/conversations origin=https://app.example
h response 401 header.access-control-allow-origin=https://app.example
h request POST /api/conversations token=u1 origin=https://app.example type=text/plain body=x
h response 415 header.access-control-allow-origin=https://app.example header.access-control-expose-headers~(?i)retry-after


=== TEST 17: CORS: other origins
--- with
writeen_origin https://app.example;
--- steps
worker GET /api/conversations 200 {"success":true}
h request GET /api/conversations token=u1 origin=https://evil.example
h response 200|403 header.access-control-allow-origin! header.vary~Origin
h request OPTIONS /api/conversations origin=https://evil.example header="Access-Control-Request-Method: GET"
h response 204|403 header.access-control-allow-origin! header.access-control-allow-methods!
h request GET /api/conversations token=u1
h response 200 header.access-control-allow-origin!


=== TEST 18: CORS: any origin; none configured
--- with
writeen_origin *;
--- steps
worker GET /api/conversations 200 {"success":true}
h request GET /api/conversations token=u1 origin=https://whoever.example
h response 200 header.access-control-allow-origin~^(\*|https://whoever\.example)$ header.access-control-allow-credentials!


=== TEST 19: keep-alive: one connection, many requests
--- steps
worker GET /api/good 200 {"success":true,"data":"good"}
h request GET /api/good token=u1 keep=1
h response 200 data=good
h request GET /api/good token=u1 same=1
h response 200 data=good
h request GET /api/good same=1
h response 401
h request POST /api/good same=1 token=u1 type=text/plain body=xyz
h response 415
h request GET /api/good token=u1 same=1
h response 200 data=good
worker POST /api/good 201 {"success":true}
h request POST /api/good token=u1 same=1 chunked=1 body={"a":1}
h response 201
h request GET /api/good token=u1 same=1
h response 200 data=good


=== TEST 20: HEAD has no body
--- steps
worker GET /api/good 200 {"success":true}
worker HEAD /api/good 200 {"success":true}
h request HEAD /api/good token=u1
h response 200 body= header.content-length=16
call HEAD /api/good
h request HEAD /healthz
h response 200 body=


=== TEST 21: healthz: without a worker, with one, with a store that is away
--- steps
h request GET /healthz
h response 200 status=degraded redis=ok header.content-type~^application/json header.cache-control~no-store
worker up
until healthz 200 ok
h request GET /healthz
h response 200 status=ok redis=ok bus=ok worker=ok store=ok
worker store-down
until healthz 200 degraded
h request GET /healthz
h response 200 status=degraded redis=ok bus=ok worker=ok store!=ok
worker up
until healthz 200 ok
redis DEL wrt:hb:api wrt:hb:projector
until healthz 200 degraded
h request GET /healthz
h response 200 status=degraded worker!=ok
server main kill
until healthz 503 down
h request GET /healthz
h response 503 status=down redis!=ok
server main start
until healthz 200 degraded


=== TEST 22: healthz: the bus is silent though Redis answers
--- steps
worker up
until healthz 200 ok
redis ACL SETUSER default resetchannels
redis CLIENT KILL TYPE pubsub
until healthz 503 down
redis ACL SETUSER default allchannels
until healthz 200 ok


=== TEST 23: healthz and metrics need no token and take GET only
--- steps
h request POST /healthz body={}
h response 405 error.code=method_not_allowed header.allow="GET, HEAD"
h request POST /metrics body={}
h response 405 error.code=method_not_allowed header.allow="GET, HEAD"
h request GET /metrics
h response 200 header.content-type~^text/plain


=== TEST 24: metrics: Prometheus text that counts
--- steps
room room1 u1 u2
metric writeen_connections = 0
metric writeen_accepted_total mark
metric writeen_messages_sent_total mark
metric writeen_events_in_total mark
metric writeen_events_bad_total mark
metric writeen_auth_failures_total mark
metric writeen_refused_total mark
a connect u1
b connect u2
metric writeen_connections = 2
metric writeen_accepted_total +2
metric writeen_messages_sent_total +0
a send send_message {"conversationId":"room1","content":{"text":"x"}}
a find message_status
a find message_received
b expect message_received
metric writeen_messages_sent_total +1
metric writeen_events_in_total +1
metric writeen_rooms > 0
metric writeen_users = 2
a text nonsense
a expect error
metric writeen_events_bad_total +1
a drop
until metric writeen_connections = 1
# a refused token is counted once
h handshake token=raw:a.b.c
h response 401
metric writeen_auth_failures_total +1
metric writeen_refused_total +1
h request GET /metrics
h response 200 body~(?m)^#\x20TYPE\x20writeen_connections\x20gauge$ body~(?m)^#\x20HELP\x20writeen_connections\x20\S body~(?m)^#\x20TYPE\x20writeen_messages_sent_total\x20counter$


=== TEST 25: metrics: the workers' figures are in it
--- steps
redis HSET wrt:metrics node1 '$now\n# HELP writeen_projected_total x\n# TYPE writeen_projected_total counter\nwriteen_projected_total{node="node1"} 42\n'
until metric writeen_projected_total{node="node1"} = 42


=== TEST 26: metrics: 10-second-old counts are the living workers' only
--- steps
redis HSET wrt:metrics gone '1000000000\nwriteen_projected_total{node="gone"} 42\n'
redis HSET wrt:metrics node1 '$now\nwriteen_projected_total{node="node1"} 42\n'
until metric writeen_projected_total{node="node1"} = 42
h request GET /metrics
h response 200 body!~node="gone"


=== TEST 27: "if" and "limit_except" in the location
--- with
location /api/conversations/room1/ {
    writeen_api on;
    if ($arg_x) { set $seen 1; }
    limit_except GET POST { deny all; }
}
--- steps
room room1 u1
worker GET * 200 {"success":true}
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"a"}}
h response 201 data.message.seq==1
h request POST /api/conversations/room1/messages?x=1 token=u1 body={"content":{"text":"b"}}
h response 201 data.message.seq==2 data.message.content.text=b
h request GET /api/conversations/room1/messages token=u1
h response 200
h request GET /api/conversations/room1/messages?x=1 token=u1
h response 200
h request PUT /api/conversations/room1/settings token=u1 body={}
h response 403


=== TEST 28: the methods that "limit_except" lets through are answered by it
--- with
location /api/conversations/room1/ {
    writeen_api on;
    limit_except GET { allow 127.0.0.1; deny all; }
}
--- steps
room room1 u1
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"a"}}
h response 201 data.message.seq==1
