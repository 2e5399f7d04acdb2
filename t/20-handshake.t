# The upgrade, RFC 6455 section 4.2.
#
# Without this file a server could upgrade requests that are no WebSocket
# handshakes (another site's form, a proxy's retry), lose a frame that comes in
# one packet with the handshake, or answer a browser from a foreign page.
# Clients' libraries never send such things, so only tests that write the
# request byte by byte find it.  A refusal is always the REST error envelope.

use lib 't/lib';
use Test::Nginx::Writeen;

run_tests();

__DATA__

=== TEST 1: the example of RFC 6455
--- steps
user u1
a handshake token=u1 key=dGhlIHNhbXBsZSBub25jZQ==
a response 101 header.sec-websocket-accept=s3pPLMBiTxaQ9kYGzzhZRbK+xOo= header.sec-websocket-extensions! header.content-length! header.transfer-encoding!
a expect connected


=== TEST 2: headers in other spellings that mean the same
--- steps
user u1
a handshake token=u1 upgrade=WebSocket
a response 101
a expect connected
a handshake token=u1 upgrade=WEBSOCKET connection=upgrade
a response 101
a expect connected
a handshake token=u1 connection="keep-alive, Upgrade"
a response 101
a expect connected
a handshake token=u1 connection="Upgrade,HTTP2-Settings"
a response 101
a expect connected
a handshake token=u1 upgrade="h2c, websocket"
a response 101
a expect connected
a handshake token=u1 connection=keep-alive header="Connection: Upgrade"
a response 101
a expect connected


=== TEST 3: what is no handshake
--- steps
user u1
a handshake token=u1 upgrade=-
a response 426 error.code=invalid_request success==false header.upgrade~(?i)websocket
a handshake token=u1 connection=-
a response 426 error.code=invalid_request header.upgrade~(?i)websocket
a handshake token=u1 connection=keep-alive
a response 426 error.code=invalid_request
a handshake token=u1 connection="keep-alive, Upgraded"
a response 426 error.code=invalid_request
a handshake token=u1 upgrade=h2c
a response 426 error.code=invalid_request
a handshake token=u1 upgrade=websockets
a response 426 error.code=invalid_request
a handshake token=u1 method=POST body=x
a response 405 success==false error.code~. header.allow=GET
a handshake token=u1 method=POST
a response 405 header.allow=GET
a handshake token=u1 method=HEAD
a response 405
a handshake token=u1 method=PUT
a response 405
a handshake token=u1 method=OPTIONS
a response 405
a handshake token=u1 version=1.0
a response 426 error.code=invalid_request
a handshake token=u1 body=hello
a response 400 error.code=invalid_request
a handshake token=u1 body=
a response 101
a expect connected


=== TEST 4: versions: the answer names the one that we speak
--- steps
user u1
a handshake token=u1 wsversion=8
a response 426 error.code=invalid_request header.sec-websocket-version=13
a handshake token=u1 wsversion=14
a response 426 header.sec-websocket-version=13
a handshake token=u1 wsversion=013
a response 426 header.sec-websocket-version=13
a handshake token=u1 wsversion=-
a response 426 header.sec-websocket-version=13
a handshake token=u1 wsversion="13, 8"
a response 426 header.sec-websocket-version=13


=== TEST 5: keys
--- steps
user u1
a handshake token=u1 key=-
a response 400 error.code=invalid_request
a handshake token=u1 key=c2hvcnQ=
a response 400 error.code=invalid_request
a handshake token=u1 key=dGhlIHNhbXBsZSBub25jZSBhbmQgbW9yZQ==
a response 400 error.code=invalid_request
a handshake token=u1 key=dGhlIHNhbXBsZSBub25j!Q==
a response 400 error.code=invalid_request
a handshake token=u1 key=dGhlIHNhbXBsZSBub25jZQ
a response 400 error.code=invalid_request
a handshake token=u1 key=
a response 400 error.code=invalid_request
a handshake token=u1 header="Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
a response 400 error.code=invalid_request


=== TEST 6: subprotocols: ours is answered, others are not
--- steps
user u1
a handshake token=u1 protocol=writeen.v1
a response 101 header.sec-websocket-protocol=writeen.v1
a expect connected
a handshake token=u1 protocol="chat, writeen.v1, superchat"
a response 101 header.sec-websocket-protocol=writeen.v1
a expect connected
a handshake token=u1 protocol=chat
a response 101 header.sec-websocket-protocol!
a expect connected
a handshake token=u1 protocol=Writeen.V1
a response 101 header.sec-websocket-protocol!
a expect connected
token t
a handshake header="Sec-WebSocket-Protocol: writeen.v1" header="Sec-WebSocket-Protocol: bearer.$t"
a response 101 header.sec-websocket-protocol=writeen.v1
a expect connected
a handshake protocol="bearer.$t, writeen.v1"
a response 101 header.sec-websocket-protocol=writeen.v1
a expect connected


=== TEST 7: an extension that we do not know is not accepted
--- steps
user u1
a handshake token=u1 header="Sec-WebSocket-Extensions: x-webkit-deflate-frame, foo; bar=1"
a response 101 header.sec-websocket-extensions!
a expect connected


=== TEST 8: origins: our own pages, unless more is allowed
--- steps
user u1
a handshake token=u1 host=chat.example:$port origin=http://chat.example:$port
a response 101
a expect connected
a handshake token=u1 host=chat.example:$port
a response 101
a expect connected
a handshake token=u1 host=chat.example:$port origin=http://evil.example
a response 403 success==false error.code=forbidden header.content-type~^application/json
a handshake token=u1 host=chat.example:$port origin=http://chat.example.evil.example:$port
a response 403 error.code=forbidden
a handshake token=u1 host=chat.example:$port origin=http://evil.example/chat.example:$port
a response 403
a handshake token=u1 host=chat.example:$port origin=null
a response 403
# a foreign page learns nothing about tokens either
a handshake origin=http://evil.example
a response 403


=== TEST 9: origins that are listed
--- with
writeen_origin https://app.example https://b.example:8443;
--- steps
user u1
a handshake token=u1 origin=https://app.example
a response 101
a expect connected
a handshake token=u1 origin=https://b.example:8443
a response 101
a expect connected
a handshake token=u1
a response 101
a expect connected
a handshake token=u1 origin=http://app.example
a response 403
a handshake token=u1 origin=https://b.example
a response 403
a handshake token=u1 origin=https://app.example.evil.example
a response 403
a handshake token=u1 origin=https://app.example:444
a response 403


=== TEST 10: any origin
--- with
writeen_origin *;
--- steps
user u1
a handshake token=u1 origin=https://whoever.example
a response 101
a expect connected
a handshake token=u1 origin=null
a response 101
a expect connected


=== TEST 11: frames in one packet with the handshake are not lost
--- steps
user u1
# a ping "x", the text {"event":"ping"} and half of a ping "yz", masks of 0
a handshake token=u1 early=898100000000788190000000007b226576656e74223a2270696e67227d8982000000
a response 101
a find connected
a expect_frame pong "x"
a expect pong
a bytes 00797a
a expect_frame pong "yz"


=== TEST 12: a broken frame in one packet with the handshake
--- steps
user u1
a handshake token=u1 early=810178
a response 101
a expect_close 1002 any=1


=== TEST 13: over TLS, with frames of every size
--- tls
--- http_config
writeen_redis $TEST_NGINX_REDIS_MAIN;
server {
    listen 127.0.0.1:$TEST_NGINX_TLS_PORT ssl;
    ssl_certificate $TEST_NGINX_CRT;
    ssl_certificate_key $TEST_NGINX_KEY;
    writeen_jwt_key HS256 $TEST_NGINX_SECRET;
    location = /ws { writeen_websocket on; }
}
--- steps
room room1 u1 u2
a connect u1 tls=1
b connect u2
a frame ping "hello"
a expect_frame pong "hello"
a send send_message {"conversationId":"room1","content":{"text":"over TLS"}}
b expect message_received data.message.content.text="over TLS"
a find message_status data.status=sent
a find message_received data.seq=1
b send send_message {"conversationId":"room1","content":{"text":"$long"}}
a expect message_received data.message.content.text=$long data.seq=2
b find message_status
b find message_received data.seq=2
a send send_message {"conversationId":"room1","content":{"text":"$long"}}
b expect message_received data.message.content.text=$long data.seq=3
a find message_status
a find message_received data.seq=3
a frame ping slow=1 "slowly"
a expect_frame pong "slowly"
a close 1000
a expect_close 1000
--- vars
long x*16000


=== TEST 14: 503 while Redis is away, and it comes back by itself
--- steps
user u1
a connect u1
server main kill
b handshake token=u1
b response 503 success==false error.code=unavailable header.retry-after~^[1-9]\d*$
h request GET /api/conversations token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9]\d*$
# a bad token is a bad token all the same
b handshake token=x.y.z
b response 401
server main start
until b connect u1
a send ping
a expect pong


=== TEST 15: an nginx that starts without Redis
--- no_wait
--- http_config
writeen_redis unix:$TEST_NGINX_SERVER_ROOT/nothing.sock;
--- steps
a handshake token=u1
a response 503 error.code=unavailable
h request GET /healthz
h response 503 status=down redis~.


=== TEST 16: a request per connection: what follows a refusal is read anew
--- steps
user u1
a handshake wsversion=8 token=u1
a response 426
a request GET /healthz same=1
a response 200


=== TEST 17: in one single process
--- single
--- steps
room room1 u1
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"one"}}
a find message_status data.seq==1
a find message_received data.seq==1


=== TEST 18: a user has so many connections and no more
--- with
writeen_user_connections 2;
--- steps
room room1 u1 u2
a connect u1
b connect u1
c handshake token=u1
c response 429 success==false error.code=rate_limited header.retry-after=30
d connect u2
b drop
until c connect u1
post room1 u2 hello
a expect message_received data.seq==1
c expect message_received data.seq==1
d expect message_received data.seq==1
