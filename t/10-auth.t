# Who may come in.
#
# Without this file a server could accept a token that nobody signed, and no
# other test would notice: good tokens work either way.  So every way in which
# a token can be wrong has its line here, for the WebSocket and for REST, with
# the reason that the server notes (a token refused for another reason than
# the one meant would hide a hole).  That no part of any token gets into a log
# is checked after each block, here and in all other files.

use lib 't/lib';
use Test::Nginx::Writeen;

key_pair('rsa1', 'rsa');
key_pair('rsa2', 'rsa');
key_pair('ec1', 'ec');

run_tests();

__DATA__

=== TEST 1: a good token by header, by query and by subprotocol
--- steps
user u1
token t
a handshake token=$t as=header
a response 101 header.sec-websocket-protocol!
a expect connected data.userId=u1 data.role=student
a handshake token=$t as=query
a response 101 header.sec-websocket-protocol!
a expect connected data.userId=u1
a handshake token=$t as=protocol
a response 101 header.sec-websocket-protocol=writeen.v1
a expect connected data.userId=u1
access ~ "GET /ws.* 101
access !~ eyJ
log !~ eyJ


=== TEST 2: a good token for REST, by header only
--- steps
worker GET *conversations 200 {"success":true,"data":{"n":7}}
h request GET /api/conversations token=u1
h response 200 data.n==7
token t
h request GET /api/conversations?token=$t
h response 401 error.code=unauthorized success==false
h request GET /api/conversations header="Sec-WebSocket-Protocol: writeen.v1, bearer.$t"
h response 401 error.code=unauthorized
access !~ eyJ


=== TEST 3: the scheme's name is not case sensitive, others are not Bearer
--- steps
user u1
token t
a handshake header="Authorization: bEARER $t"
a response 101
a expect connected data.userId=u1
a handshake header="Authorization: Basic $t"
a response 401 error.code=unauthorized
a handshake header="Authorization: Bearer"
a response 401
a handshake header="Authorization: Bearer$t"
a response 401


=== TEST 4: no token
--- steps
a handshake
a response 401 success==false error.code=unauthorized header.content-type~^application/json message~.
a handshake query=token=
a response 401
a handshake protocol=writeen.v1
a response 401
a handshake protocol="writeen.v1, bearer."
a response 401
h request GET /api/conversations
h response 401 success==false error.code=unauthorized header.content-type~^application/json message="a valid token is required" header.www-authenticate=Bearer
# of another secret: who made it is told so, at both doors
token t key=another-secret-0123456789abcdef
h request GET /api/conversations token=$t
h response 401 message~signature.is.wrong header.www-authenticate~signature.is.wrong
a handshake token=$t
a response 401 message~signature.is.wrong header.www-authenticate~signature.is.wrong


=== TEST 5: identity and claims
--- steps
user u1
token t sub=u1 role=tutor name="Dr. Jane" avatar=https://cdn.example/j.jpg
a handshake token=$t
a response 101
a expect connected data.userId=u1 data.role=tutor data.connectionId~^[0-9a-f]{24}$ data.serverTime~^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$ data.resume==false data.conversations==0
token t -role
a handshake token=$t
a response 101
a expect connected data.role=student
token t sub=aZ0_-9
user aZ0_-9
a handshake token=$t
a response 101
a expect connected data.userId=aZ0_-9
repeat 2 token t role=admin
a handshake token=$t
a response 101
a expect connected data.role=admin
token t role=service
a handshake token=$t
a response 101
a expect connected data.role=service


=== TEST 6: tokens that are refused: time
--- steps
user u1
token t exp=-6
refused $t ~ token has expired
token t -exp
refused $t ~ token has no exp
token t claims={"exp":"2099-01-01"}
refused $t ~ token has no exp
token t claims={"exp":null}
refused $t ~ token has no exp
token t claims={"exp":-1}
refused $t ~ token has expired
# as far back as a date can lie ahead
token t claims={"exp":-9999999999}
refused $t ~ token has expired
token t nbf=+60
refused $t ~ token is not valid yet
token t claims={"nbf":"soon"}
refused $t ~ token has an odd nbf
# the leeway of 5 s, both ways
token t exp=-2
a connect $t
token t nbf=+3
a connect $t
token t nbf=-10 iat=+1000
a connect $t


=== TEST 7: tokens that are refused: algorithm and signature
--- steps
token t alg=none sign=none
refused $t ~ token is malformed
token t alg=none sign=HS256
refused $t ~ another algorithm
token t alg=None sign=HS256
refused $t ~ another algorithm
token t alg=hs256 sign=HS256
refused $t ~ another algorithm
token t alg=HS384
refused $t ~ another algorithm
token t alg=HS512
refused $t ~ another algorithm
token t alg=HS256 sign=HS512
refused $t ~ signature is wrong
token t key=another-secret-of-32-bytes-or-so
refused $t ~ signature is wrong
token t alg=RS256 key=rsa1
refused $t ~ another algorithm
token t kid=unknown
refused $t ~ no key has the token's kid


=== TEST 8: tokens that are refused: who
--- steps
token t -sub
refused $t ~ no sub that is an id
token t sub=
refused $t ~ no sub that is an id
token t sub=-
refused $t ~ no sub that is an id
token t sub="u 1"
refused $t ~ no sub that is an id
token t sub=u:1
refused $t ~ no sub that is an id
token t sub=u*
refused $t ~ no sub that is an id
token t sub=aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggg
refused $t ~ no sub that is an id
token t claims={"sub":17}
refused $t ~ no sub that is an id
token t claims={"sub":"u1\u0000x"}
refused $t ~ .
token t role=root
refused $t ~ unknown role
token t role=Student
refused $t ~ unknown role
token t claims={"role":["admin"]}
refused $t ~ unknown role
token t claims={"name":{"x":1}}
refused $t ~ odd name
token t claims={"avatar":[]}
refused $t ~ odd avatar


=== TEST 9: what is no token at all
--- steps
token t
refused x.y ~ token is malformed
refused raw:x ~ token is malformed|no token
refused ... ~ token is malformed
refused ..x ~ token is malformed
refused $t.x ~ token is malformed
refused $t. ~ token is malformed
refused .$t ~ token is malformed
refused %$t ~ token is malformed
refused e30.e30.e30 ~ no algorithm
refused W10.e30.e30 ~ header is malformed
refused bnVsbA.e30.e30 ~ header is malformed
refused eyJhbGciOiJIUzI1NiIsImFsZyI6Im5vbmUifQ.e30.e30 ~ header is malformed


=== TEST 10: a token that is too big
--- http_with
large_client_header_buffers 4 32k;
--- steps
token t claims={"name":"$long"}
refused $t ~ token is too long
--- vars
long a*8192


=== TEST 11: critical extensions that we do not know
--- steps
token t crit=["exp"]
refused $t ~ critical extensions
token t claims={"crit":["exp"]}
user u1
a connect $t


=== TEST 12: RS256
--- with
writeen_jwt_key RS256 file:$TEST_NGINX_KEY_RSA1;
--- steps
user u1
token t alg=RS256 key=rsa1
a connect $t
worker GET *conversations 200 {"success":true}
h request GET /api/conversations token=$t
h response 200 success==true
token t alg=RS256 key=rsa2
refused $t ~ signature is wrong
# the public key is public: it must not work as a secret
token t alg=HS256 key=@$key_rsa1
refused $t ~ another algorithm
token t alg=RS256 sign=HS256 key=@$key_rsa1
refused $t ~ signature is wrong
token t
refused $t ~ another algorithm
token t alg=ES256 key=ec1
refused $t ~ another algorithm
token t alg=RS256 sign=ES256 key=ec1
refused $t ~ signature is wrong
token t alg=none sign=none
refused $t ~ token is malformed


=== TEST 13: ES256
--- with
writeen_jwt_key ES256 file:$TEST_NGINX_KEY_EC1;
--- steps
user u1
token t alg=ES256 key=ec1
a connect $t
token t alg=HS256 key=@$key_ec1
refused $t ~ another algorithm
token t alg=ES256 sign=HS256 key=@$key_ec1
refused $t ~ signature is wrong
token t alg=RS256 key=rsa1
refused $t ~ another algorithm
token t alg=ES256 sign=RS256 key=rsa1
refused $t ~ signature is wrong


=== TEST 14: several keys by kid, for rotation
--- with
writeen_jwt_key HS256 first-secret-0123456789abcdef01234567 kid=k1;
writeen_jwt_key HS256 second-secret-0123456789abcdef0123456 kid=k2;
writeen_jwt_key RS256 file:$TEST_NGINX_KEY_RSA1 kid=rs;
writeen_jwt_key HS256 a-secret-of-the-tests-0123456789abcdef;
--- steps
user u1
token t key=first-secret-0123456789abcdef01234567 kid=k1
a connect $t
token t key=second-secret-0123456789abcdef0123456 kid=k2
a connect $t
token t alg=RS256 key=rsa1 kid=rs
a connect $t
token t
a connect $t
token t key=first-secret-0123456789abcdef01234567 kid=k2
refused $t ~ signature is wrong
token t key=first-secret-0123456789abcdef01234567
refused $t ~ signature is wrong
token t kid=k3
refused $t ~ no key has the token's kid
token t alg=HS256 key=@$key_rsa1 kid=rs
refused $t ~ another algorithm
token t alg=RS256 key=rsa1 kid=k1
refused $t ~ another algorithm


=== TEST 15: issuer and audience
--- with
writeen_jwt_issuer https://auth.example;
writeen_jwt_audience chat writeen;
--- steps
user u1
token t iss=https://auth.example aud=chat
a connect $t
token t claims={"iss":"https://auth.example","aud":["other","writeen"]}
a connect $t
token t aud=chat
refused $t ~ another issuer
token t iss=https://auth.example.evil aud=chat
refused $t ~ another issuer
token t claims={"iss":["https://auth.example"],"aud":"chat"}
refused $t ~ another issuer
token t iss=https://auth.example
refused $t ~ another audience
token t iss=https://auth.example aud=chatter
refused $t ~ another audience
token t claims={"iss":"https://auth.example","aud":["cha"]}
refused $t ~ another audience
token t claims={"iss":"https://auth.example","aud":{"chat":1}}
refused $t ~ another audience


=== TEST 16: a leeway of nothing
--- with
writeen_jwt_leeway 0;
--- steps
user u1
token t exp=-1
refused $t ~ token has expired
token t nbf=+30
refused $t ~ token is not valid yet
token t nbf=-1 exp=+30
a connect $t


=== TEST 17: a location's keys replace those above it
--- config
writeen_jwt_key HS256 $TEST_NGINX_SECRET;
location = /ws { writeen_websocket on; }
location = /ws2 {
    writeen_jwt_key HS256 another-secret-0123456789abcdef01234;
    writeen_websocket on;
}
location = /healthz { writeen_health on; }
--- steps
user u1
token t1
token t2 key=another-secret-0123456789abcdef01234
a connect $t1
a connect $t2 path=/ws2
a handshake token=$t1 path=/ws2
a response 401 error.code=unauthorized
a handshake token=$t2
a response 401 error.code=unauthorized


=== TEST 18: the log of a mistyped address has no token either
--- steps
token t
h request GET /wss?token=$t
h response 404
h request GET /ws/?x=1&token=$t&y=2
h response 404
h request GET /api/conversations?token=$t
h response 401
a handshake token=$t path=/nothing
a response 404
access ~ "GET /wss
access !~ eyJ
log !~ eyJ


=== TEST 19: requests that end before any location is found: access log
--- log_level: error
--- http_with
client_header_timeout 3s;
--- steps
token t
# a header that is none, a host that is none, a line that is too long
h request GET /ws?token=$t header="bad header"
h response 400
h request GET /ws?token=$t host=-bad-/
h response 400
h request GET /ws?token=$t&x=$long
h response 414
# headers that do not end, and a client that goes before they do
a unfinished GET /ws?token=$t HTTP/1.1
b unfinished GET /ws?token=$t HTTP/1.1
b drop
a expect_eof
until access ~ " 408
access ~ " 414
access !~ eyJ
--- vars
long y*9000


=== TEST 20: others' arguments reach others as they came
--- config
writeen_jwt_key HS256 $TEST_NGINX_SECRET;
location = /ws { writeen_websocket on; }
location = /healthz { writeen_health on; }
location = /page { add_header X-Args $args always; add_header X-Arg $arg_token always; }
location = /proxy { proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/page; }
location = /reset { return 302 https://other.example$request_uri; }
location = /old { rewrite ^ /page last; }
--- steps
h request GET /page?token=abc.def.ghi&x=1
h response 404 header.x-args="token=abc.def.ghi&x=1" header.x-arg=abc.def.ghi
h request GET /proxy?token=abc.def.ghi
h response 404 header.x-args="token=abc.def.ghi"
h request GET /old?token=abc.def.ghi&x=2
h response 404 header.x-args="token=abc.def.ghi&x=2"
h request GET /reset?token=abc.def.ghi
h response 302 header.location="https://other.example/reset?token=abc.def.ghi"


=== TEST 21: expiry of an open connection
--- with
writeen_jwt_leeway 0;
--- steps
user u1
token t exp=+6
a handshake token=$t
a response 101
a expect connected
a expect token_expiring data.expiresIn~^[1-6]$
a expect_close 4401 within=12


=== TEST 22: a new token in time keeps it open
--- with
writeen_jwt_leeway 0;
--- steps
user u1
token t exp=+6
token t2 exp=+3600
a handshake token=$t
a response 101
a expect connected
a expect token_expiring
a send refresh_token {"token":"$t2"} id=r1
a expect ack data.id=r1 data.event=refresh_token
a quiet 7
a send ping
a expect pong


=== TEST 23: another user's, an expired or a forged token refreshes nothing
--- with
writeen_jwt_leeway 0;
--- steps
user u1
# all of it has to be said before it expires
token t exp=+8
a handshake token=$t
a response 101
a expect connected
a expect token_expiring
token t2 sub=u2
a send refresh_token {"token":"$t2"} id=r1
a expect error data.id=r1 data.event=refresh_token data.code=unauthorized data.retryable==false
token t3 exp=-1
a send refresh_token {"token":"$t3"} id=r2
a expect error data.id=r2 data.code=unauthorized
token t4 key=another-secret-0123456789abcdef01234
a send refresh_token {"token":"$t4"} id=r3
a expect error data.id=r3 data.code=unauthorized
a send refresh_token {"token":17} id=r4
a expect error data.id=r4 data.code=invalid_request
a send refresh_token {} id=r5
a expect error data.id=r5 data.code=invalid_request
a expect_close 4401 within=15


=== TEST 24: other servers' arguments, before there is a location
--- log_level: error
--- http_with
server {
    listen $TEST_NGINX_SERVER_PORT;
    server_name other.example;
    return 301 https://other.example$request_uri;
}
server {
    listen $TEST_NGINX_SERVER_PORT;
    server_name php.example;
    location / { try_files $uri /index?$args; }
    location = /index { return 200 $args; }
}
--- steps
token t
h request GET /reset?token=abc.def.ghi host=other.example
h response 301 header.location="https://other.example/reset?token=abc.def.ghi"
access ~ token=abc\.def\.ghi
# a JWT may be one of ours; it is not in the log
h request GET /ws?token=$t&x=1 host=other.example
h response 301 header.location="https://other.example/ws?token=$t&x=1"
h request GET /reset?token=$t host=php.example
h response 200 body="token=$t"
access !~ eyJ
