# The directives: where they may stand, what they take, what they refuse.
#
# An administrator's mistake must be found by `nginx -t`, with a message that
# says which directive and what would be right.  Without this file a value
# could be taken that means nothing (a rate of 0x40, an origin with a path),
# and the server would start and quietly do something else.

use lib 't/lib';
use Test::Nginx::Writeen;

key_pair('rsa1', 'rsa');
key_pair('ec1', 'ec');
both_in('two.pub', 'RSA1', 'EC1');

run_tests();


# A file with two public keys, which is one too many.
sub both_in {
    my ($name, @keys) = @_;
    my @paths = map { $ENV{"TEST_NGINX_KEY_$_"} } @keys;
    my $dir = $paths[0] =~ s{[^/]+$}{}r;

    system("cat @paths > $dir$name") == 0 or die "$dir$name: $!\n";
}


__DATA__

=== TEST 1: everything at once, as an administrator would write it
--- http_config
writeen_redis $TEST_NGINX_REDIS_MAIN;
writeen_shards 16;
writeen_redis_gather off;
writeen_drain 10s;
writeen_rate 60 burst=120 user=240;
writeen_rate_kind change 20 burst=60 user=80;
writeen_rate_zone 8m;
--- config
writeen_jwt_key HS256 $TEST_NGINX_SECRET;
writeen_jwt_key RS256 file:$TEST_NGINX_KEY_RSA1 kid=rs;
writeen_jwt_issuer writeen;
writeen_jwt_audience chat mobile;
writeen_jwt_leeway 5s;
writeen_origin https://app.example http://localhost:3000;
location = /ws {
    writeen_websocket on;
    writeen_ping_interval 25s;
    writeen_max_message 64k;
    writeen_max_text 16k;
    writeen_send_queue 256k;
    writeen_user_connections 1000;
    writeen_ack log;
    writeen_resume_wait 5s;
}
location /api/ { writeen_api on; writeen_api_timeout 5s; }
location = /healthz { writeen_health on; }
location = /metrics { writeen_metrics on; }
--- steps
room room1 u1
token t iss=writeen aud=mobile
a connect $t
a send send_message {"conversationId":"room1","content":{"text":"x"}}
a find message_status data.durability=log
a find message_received


=== TEST 2: nothing but what is needed
--- http_config
writeen_redis $TEST_NGINX_REDIS_MAIN;
--- config
writeen_jwt_key HS256 $TEST_NGINX_SECRET;
location = /ws { writeen_websocket on; }
location = /healthz { writeen_health on; }
--- steps
user u1
a connect u1
a send ping
a expect pong


=== TEST 3: an nginx that does not use the module
--- http_config
--- config
location = /x { return 200 "$args"; }
--- no_wait
--- steps
h request GET /x?token=a.b.c
h response 200 body=token=a.b.c


=== TEST 4: inside an if, and switched off below
--- config
writeen_jwt_key HS256 $TEST_NGINX_SECRET;
location = /ws { writeen_websocket on; }
location /off { writeen_websocket on; location /off/inner { writeen_websocket off; } }
location = /healthz { writeen_health on; }
--- steps
user u1
a connect u1
h request GET /off/inner
h response 404


=== TEST 5: writeen_redis
--- no_wait
--- steps
good http: writeen_redis redis://127.0.0.1;
good http: writeen_redis redis://127.0.0.1:6380/3;
good http: writeen_redis redis://user:pass@127.0.0.1:6380;
good http: writeen_redis redis://:p%40ss@127.0.0.1;
good http: writeen_redis redis://[::1]:6379;
good http: writeen_redis redis://localhost:6379;
good http: writeen_redis unix:/run/redis.sock;
good http: writeen_redis unix:/run/redis.sock?db=3&password=x;
good http: writeen_redis redis://127.0.0.1:6379 redis://127.0.0.1:6380 unix:/run/redis.sock;
bad http: writeen_redis; ~ invalid number of arguments in "writeen_redis"
bad http: writeen_redis 127.0.0.1:6379; ~ "writeen_redis".*redis://
bad http: writeen_redis http://127.0.0.1; ~ "writeen_redis".*redis://
bad http: writeen_redis redis://; ~ writeen_redis
bad http: writeen_redis redis://127.0.0.1:0; ~ writeen_redis.*1.*65535
bad http: writeen_redis redis://127.0.0.1:65536; ~ writeen_redis.*1.*65535
bad http: writeen_redis redis://127.0.0.1:x; ~ writeen_redis.*1.*65535
bad http: writeen_redis redis://127.0.0.1/db; ~ writeen_redis
bad http: writeen_redis redis://127.0.0.1/99999; ~ writeen_redis
bad http: writeen_redis unix:; ~ writeen_redis
bad http: writeen_redis unix:relative.sock; ~ writeen_redis
bad http: writeen_redis unix:/x?what=1; ~ writeen_redis
bad http: writeen_redis redis://no-such-host.invalid; ~ host not found.*"writeen_redis"
bad http: writeen_redis redis://127.0.0.1; writeen_redis redis://127.0.0.1; ~ "writeen_redis" directive is duplicate
good http: writeen_redis redis://127.0.0.1 redis://127.0.0.2 redis://[::1] redis://127.0.0.1:6380 redis://localhost;
bad http: writeen_redis redis://127.0.0.1:6379 redis://127.0.0.1; ~ invalid server 2 in "writeen_redis": it is server 1 again; name each server once
bad http: writeen_redis redis://127.0.0.1 redis://127.0.0.2 redis://[::1] redis://:top-secret@127.0.0.2:6379/3; ~ (?s)^(?!.*top-secret).*invalid server 4 in "writeen_redis": it is server 2 again
bad http: writeen_redis redis://[fe80::a] redis://[FE80::A]:6379; ~ server 2 in "writeen_redis": it is server 1 again
bad http: writeen_redis redis://localhost redis://LocalHost; ~ server 2 in "writeen_redis": it is server 1 again
bad http: writeen_redis unix:/run/redis.sock unix:///run/redis.sock?db=1; ~ server 2 in "writeen_redis": it is server 1 again
bad http: writeen_redis $many; ~ writeen_redis.*16
bad server: writeen_redis redis://127.0.0.1; ~ "writeen_redis" directive is not allowed here
bad location: writeen_redis redis://127.0.0.1; ~ "writeen_redis" directive is not allowed here
bad main: writeen_redis redis://127.0.0.1; ~ "writeen_redis" directive is not allowed here
--- vars
many "redis://1.0.0.1\x20redis://1.0.0.2\x20redis://1.0.0.3\x20redis://1.0.0.4\x20redis://1.0.0.5\x20redis://1.0.0.6\x20redis://1.0.0.7\x20redis://1.0.0.8\x20redis://1.0.0.9\x20redis://1.0.1.1\x20redis://1.0.1.2\x20redis://1.0.1.3\x20redis://1.0.1.4\x20redis://1.0.1.5\x20redis://1.0.1.6\x20redis://1.0.1.7\x20redis://1.0.1.8"


=== TEST 6: a password in a URL that is wrong is not repeated
--- no_wait
--- steps
bad http: writeen_redis redis://:top-secret@127.0.0.1:99999; ~ (?s)^(?!.*top-secret).*writeen_redis
bad http: writeen_redis redis://:top-secret@; ~ (?s)^(?!.*top-secret).*writeen_redis
bad http: writeen_redis redis://:top-secret@no-such-host.invalid; ~ (?s)^(?!.*top-secret).*writeen_redis


=== TEST 7: writeen_shards
--- no_wait
--- steps
good http: writeen_shards 1;
good http: writeen_shards 1024;
bad http: writeen_shards 0; ~ writeen_shards.*1.*1024
bad http: writeen_shards 1025; ~ writeen_shards.*1.*1024
bad http: writeen_shards -1; ~ writeen_shards
bad http: writeen_shards many; ~ writeen_shards
bad http: writeen_shards 16 16; ~ invalid number of arguments in "writeen_shards"
bad http: writeen_shards 4; writeen_shards 4; ~ "writeen_shards" directive is duplicate
bad server: writeen_shards 16; ~ "writeen_shards" directive is not allowed here


=== TEST 8: writeen_redis_gather
--- no_wait
--- steps
good http: writeen_redis_gather on;
good http: writeen_redis_gather off;
bad http: writeen_redis_gather 1ms; ~ writeen_redis_gather.*"on" or "off"
bad http: writeen_redis_gather; ~ invalid number of arguments in "writeen_redis_gather"
bad http: writeen_redis_gather on; writeen_redis_gather on; ~ "writeen_redis_gather" directive is duplicate
bad server: writeen_redis_gather on; ~ "writeen_redis_gather" directive is not allowed here


=== TEST 9: writeen_drain
--- no_wait
--- steps
good http: writeen_drain 500ms;
good http: writeen_drain 0;
good http: writeen_drain 1h;
good main: worker_shutdown_timeout 11s; ~ (?s)^(?!.*warn)
good main: worker_shutdown_timeout 10s; ~ \[warn\].*"worker_shutdown_timeout" is 10000ms and not longer than "writeen_drain" with 10000ms.*make it longer
good behind: worker_shutdown_timeout 9s; ~ \[warn\].*"worker_shutdown_timeout" is 9000ms and not longer
bad http: writeen_drain 3601s; ~ writeen_drain.*0 to 1h
bad http: writeen_drain soon; ~ writeen_drain
bad http: writeen_drain; ~ invalid number of arguments in "writeen_drain"
bad http: writeen_drain 1s; writeen_drain 1s; ~ "writeen_drain" directive is duplicate
bad location: writeen_drain 1s; ~ "writeen_drain" directive is not allowed here


=== TEST 10: writeen_jwt_key: algorithms and secrets
--- no_wait
--- steps
good http: writeen_jwt_key HS256 0123456789abcdef0123456789abcdef;
good server: writeen_jwt_key HS384 0123456789abcdef0123456789abcdef0123456789abcdef;
good location: writeen_jwt_key HS512 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef; writeen_websocket on;
good server: writeen_jwt_key HS256 0123456789abcdef; ~ writeen_jwt_key HS256.*16 bytes, 32 or more are advised
good server: writeen_jwt_key HS256 file:/proc/version;
good server: writeen_jwt_key HS256 0123456789abcdef0123456789abcdef kid=a; writeen_jwt_key HS256 0123456789abcdef0123456789abcdeX kid=b;
bad server: writeen_jwt_key HS256; ~ invalid number of arguments in "writeen_jwt_key"
bad server: writeen_jwt_key HS1 0123456789abcdef0123456789abcdef; ~ "HS1" in "writeen_jwt_key".*HS256.*RS256.*ES256
bad server: writeen_jwt_key none 0123456789abcdef0123456789abcdef; ~ "none" in "writeen_jwt_key".*HS256
bad server: writeen_jwt_key hs256 0123456789abcdef0123456789abcdef; ~ "hs256" in "writeen_jwt_key"
bad server: writeen_jwt_key HS256 ""; ~ "writeen_jwt_key HS256" is empty
bad server: writeen_jwt_key HS256 0123456789abcde; ~ "writeen_jwt_key HS256" is a secret of less than 16 bytes
bad server: writeen_jwt_key HS256 0123456789abcdef0123456789abcdef key=1; ~ "key=1" in "writeen_jwt_key".*kid=
bad server: writeen_jwt_key HS256 0123456789abcdef0123456789abcdef kid=; ~ "kid=" in "writeen_jwt_key".*kid=
bad server: writeen_jwt_key HS256 0123456789abcdef0123456789abcdef kid=a; writeen_jwt_key HS256 0123456789abcdef0123456789abcdef kid=a; ~ duplicate kid "a" in "writeen_jwt_key"
bad server: writeen_jwt_key HS256 file:/no/such/file; ~ "/no/such/file" of "writeen_jwt_key" failed
bad server: writeen_jwt_key HS256 file:; ~ no file.*"writeen_jwt_key"
bad server: writeen_jwt_key HS256 $key_rsa1; ~ "writeen_jwt_key HS256" is the name of a file; write "file:"
good server: writeen_jwt_key HS256 /no/such/file+but+a+secret+of+Base64=;
bad server: writeen_jwt_key HS256 "$JWT_SECRET_THAT_NOBODY_FILLED_IN"; ~ "writeen_jwt_key HS256" is the name of a variable
bad server: writeen_jwt_key HS256 "${JWT_SECRET_THAT_NOBODY_FILLED_IN}"; ~ "writeen_jwt_key HS256" is the name of a variable
good server: writeen_jwt_key HS256 "$2y$10$0123456789abcdef0123456789abcdef";
bad server: writeen_jwt_key HS256 file:/dev/zero; ~ "/dev/zero" of "writeen_jwt_key" is too big
bad main: writeen_jwt_key HS256 0123456789abcdef0123456789abcdef; ~ "writeen_jwt_key" directive is not allowed here


=== TEST 11: writeen_jwt_key: public keys
--- no_wait
--- steps
good server: writeen_jwt_key RS256 file:$key_rsa1;
good server: writeen_jwt_key RS512 file:$key_rsa1;
good server: writeen_jwt_key ES256 file:$key_ec1 kid=a;
bad server: writeen_jwt_key HS256 file:$key_rsa1; ~ "writeen_jwt_key HS256" is in PEM form
bad server: writeen_jwt_key RS256 0123456789abcdef0123456789abcdef; ~ "writeen_jwt_key RS256" is no public key
bad server: writeen_jwt_key RS256 file:$key_ec1; ~ "writeen_jwt_key RS256" is no RSA key
bad server: writeen_jwt_key ES256 file:$key_rsa1; ~ "writeen_jwt_key ES256" is no EC key
bad server: writeen_jwt_key ES384 file:$key_ec1; ~ "writeen_jwt_key ES384" is on another curve.*P-384
bad server: writeen_jwt_key RS256 file:$private_rsa1; ~ "writeen_jwt_key RS256" is a private key.*pubout
bad server: writeen_jwt_key RS256 $key_rsa1; ~ "writeen_jwt_key RS256" is the name of a file; write "file:"
bad server: writeen_jwt_key RS256 file:$temp/two.pub; ~ "writeen_jwt_key RS256" is more than one public key
bad server: writeen_jwt_key RS256 file:/etc/hostname; ~ "writeen_jwt_key RS256" is no public key


=== TEST 12: issuer, audience, leeway
--- no_wait
--- steps
good http: writeen_jwt_issuer https://auth.example;
good location: writeen_jwt_issuer x; writeen_api on;
bad server: writeen_jwt_issuer ""; ~ invalid value "" in "writeen_jwt_issuer": a name is allowed
bad server: writeen_jwt_audience a ""; ~ invalid value "" in "writeen_jwt_audience": a name is allowed
bad server: writeen_jwt_issuer; ~ invalid number of arguments in "writeen_jwt_issuer"
bad server: writeen_jwt_issuer a b; ~ invalid number of arguments in "writeen_jwt_issuer"
bad server: writeen_jwt_issuer a; writeen_jwt_issuer b; ~ "writeen_jwt_issuer" directive is duplicate
good http: writeen_jwt_audience a;
good server: writeen_jwt_audience a b c;
bad server: writeen_jwt_audience; ~ invalid number of arguments in "writeen_jwt_audience"
good server: writeen_jwt_leeway 0;
good http: writeen_jwt_leeway 1m;
good server: writeen_jwt_leeway 5m;
bad server: writeen_jwt_leeway 301; ~ "301" in "writeen_jwt_leeway": 0 to 5m is allowed
bad server: writeen_jwt_leeway 100d; ~ "100d" in "writeen_jwt_leeway": 0 to 5m is allowed
bad server: writeen_jwt_leeway x; ~ "x" in "writeen_jwt_leeway": 0 to 5m is allowed
bad server: writeen_jwt_leeway 5s; writeen_jwt_leeway 5s; ~ "writeen_jwt_leeway" directive is duplicate


=== TEST 13: times
--- no_wait
--- steps
good http: writeen_ping_interval 1s;
good server: writeen_ping_interval 1h;
good location: writeen_ping_interval 1m; writeen_websocket on;
bad server: writeen_ping_interval often; ~ "often" in "writeen_ping_interval": 1s to 1h is allowed
bad server: writeen_ping_interval 0; ~ writeen_ping_interval.*1s to 1h
bad server: writeen_ping_interval 999ms; ~ writeen_ping_interval.*1s to 1h
bad server: writeen_ping_interval 3601s; ~ writeen_ping_interval.*1s to 1h
bad server: writeen_ping_interval 1s; writeen_ping_interval 1s; ~ "writeen_ping_interval" directive is duplicate
good server: writeen_resume_wait 100ms;
good server: writeen_resume_wait 60s;
bad server: writeen_resume_wait 99ms; ~ writeen_resume_wait.*100ms to 60s
bad server: writeen_resume_wait 61s; ~ writeen_resume_wait.*100ms to 60s
bad server: writeen_resume_wait x; ~ "x" in "writeen_resume_wait": 100ms to 60s is allowed
good server: writeen_api_timeout 30s;
bad server: writeen_api_timeout x; ~ "x" in "writeen_api_timeout": 100ms to 60s is allowed
bad server: writeen_api_timeout 0; ~ writeen_api_timeout.*100ms to 60s
bad main: writeen_api_timeout 1s; ~ "writeen_api_timeout" directive is not allowed here


=== TEST 14: sizes
--- no_wait
--- steps
good http: writeen_max_message 1m; writeen_send_queue 2m;
good server: writeen_max_message 1024; writeen_max_text 512;
bad server: writeen_max_message 1023; writeen_max_text 512; ~ writeen_max_message.*1k to 1m
bad server: writeen_max_message 1025k; ~ writeen_max_message.*1k to 1m
bad server: writeen_max_message big; ~ "big" in "writeen_max_message": 1k to 1m is allowed
bad server: writeen_max_message 0; ~ writeen_max_message.*1k to 1m
bad server: writeen_max_message 10g; ~ "10g" in "writeen_max_message": 1k to 1m is allowed
good http: writeen_user_connections 1;
good location: writeen_user_connections 1000000; writeen_websocket on;
bad server: writeen_user_connections 0; ~ writeen_user_connections.*1 to 1000000
bad server: writeen_user_connections 1000001; ~ writeen_user_connections.*1 to 1000000
bad server: writeen_user_connections many; ~ "many" in "writeen_user_connections": 1 to 1000000 is allowed
good http: writeen_max_text 1k;
good http: writeen_max_text 1;
good http: writeen_max_text 256k; writeen_max_message 300k; writeen_send_queue 1m;
bad server: writeen_max_text 0; ~ writeen_max_text.*1 to 256k
bad server: writeen_max_text 257k; writeen_max_message 300k; writeen_send_queue 1m; ~ writeen_max_text.*1 to 256k
bad server: writeen_max_text 64k; ~ "writeen_max_text" must be less than "writeen_max_message"
bad server: writeen_max_text -1; ~ "-1" in "writeen_max_text": 1 to 256k is allowed
bad location: writeen_max_text 64k; writeen_max_message 32k; writeen_api on; ~ "writeen_max_text" must be less than "writeen_max_message"
good http: writeen_send_queue 1m;
good http: writeen_send_queue 64m;
bad http: writeen_send_queue 65m; ~ writeen_send_queue.*16k to 64m
bad http: writeen_send_queue 100k; ~ "writeen_send_queue" must be at least twice "writeen_max_message"
bad server: writeen_send_queue x; ~ "x" in "writeen_send_queue": 16k to 64m is allowed
bad server: writeen_send_queue 0; ~ writeen_send_queue.*16k to 64m


=== TEST 15: rates
--- no_wait
--- steps
good http: writeen_rate 60;
good server: writeen_rate 60 burst=120;
good location: writeen_rate 60 burst=120 user=240; writeen_websocket on;
good server: writeen_rate 60 user=240;
good server: writeen_rate off;
bad server: writeen_rate; ~ invalid number of arguments in "writeen_rate"
bad server: writeen_rate x; ~ writeen_rate
bad server: writeen_rate -1; ~ writeen_rate
bad server: writeen_rate 0x40; ~ writeen_rate
bad server: writeen_rate 60 burst=x; ~ "burst=x" in "writeen_rate".*1000000
bad server: writeen_rate 60 burst=0; ~ "burst=0" in "writeen_rate".*1 to 1000000
bad server: writeen_rate 60 user=; ~ "user=" in "writeen_rate"
bad server: writeen_rate 60 speed=1; ~ "speed=1" in "writeen_rate".*"burst=" and "user="
bad server: writeen_rate 60; writeen_rate 60; ~ "writeen_rate" directive is duplicate
good http: writeen_rate_kind message 30;
good server: writeen_rate_kind change 20 burst=60 user=80;
good location: writeen_rate_kind typing off; writeen_websocket on;
good server: writeen_rate_kind read 50 burst=100;
good server: writeen_rate_kind join 1; writeen_rate_kind other 1; writeen_rate_kind receipt 1; writeen_rate_kind presence 1;
good server: writeen_rate off; writeen_rate_kind read 50;
bad server: writeen_rate_kind; ~ invalid number of arguments in "writeen_rate_kind"
bad server: writeen_rate_kind message; ~ invalid number of arguments in "writeen_rate_kind"
bad server: writeen_rate_kind messages 30; ~ invalid kind "messages" in "writeen_rate_kind".*"message", "change".*"read" is allowed
bad server: writeen_rate_kind all 30; ~ invalid kind "all"
bad server: writeen_rate_kind message x; ~ "x" in "writeen_rate_kind".*1 to 1000000
bad server: writeen_rate_kind message 0; ~ "0" in "writeen_rate_kind".*"off"
bad server: writeen_rate_kind message 30 burst=; ~ "burst=" in "writeen_rate_kind"
bad server: writeen_rate_kind message 30 speed=1; ~ "speed=1" in "writeen_rate_kind".*"burst=" and "user="
bad server: writeen_rate_kind read 50 user=10; ~ "user=10" in "writeen_rate_kind".*with "burst=", each
bad server: writeen_rate_kind message off burst=1; ~ "off" in "writeen_rate_kind"
bad server: writeen_rate_kind message 30; writeen_rate_kind message 30; ~ duplicate kind "message" in "writeen_rate_kind"
good http: writeen_rate_zone 64k;
good http: writeen_rate_zone 1024m;
bad http: writeen_rate_zone 32k; ~ invalid value "32k" in "writeen_rate_zone": 64k to 1024m is allowed
bad http: writeen_rate_zone 2g; ~ "2g" in "writeen_rate_zone": 64k to 1024m is allowed
bad http: writeen_rate_zone x; ~ "x" in "writeen_rate_zone": 64k to 1024m is allowed
bad http: writeen_rate_zone 8m; writeen_rate_zone 8m; ~ "writeen_rate_zone" directive is duplicate
bad server: writeen_rate_zone 8m; ~ "writeen_rate_zone" directive is not allowed here


=== TEST 16: origins
--- no_wait
--- steps
good http: writeen_origin *;
good server: writeen_origin https://a.example http://localhost:3000;
good location: writeen_origin https://a.example; writeen_api on;
good server: writeen_origin http://a.example:1 https://a.example:65535 http://[::1] http://[::1]:3000 app-x://abc;
bad server: writeen_origin https://a.example:99999; ~ invalid port in origin "https://a\.example:99999" in "writeen_origin": a number from 1 to 65535
bad server: writeen_origin https://a.example:65536; ~ port.*"writeen_origin".*1 to 65535
bad server: writeen_origin https://a.example https://b.example:0; ~ port.*"https://b\.example:0".*1 to 65535
bad server: writeen_origin https://a.example:; ~ port.*"writeen_origin".*1 to 65535
bad server: writeen_origin https://a.example:http; ~ port.*"writeen_origin".*1 to 65535
bad server: writeen_origin https://a.example:-1; ~ port.*"writeen_origin".*1 to 65535
bad server: writeen_origin https://a.example:18446744073709551617; ~ port.*"writeen_origin".*1 to 65535
bad server: writeen_origin http://[::1]:99999; ~ port.*"writeen_origin".*1 to 65535
bad server: writeen_origin http://::1; ~ port.*"writeen_origin".*1 to 65535
bad server: writeen_origin; ~ invalid number of arguments in "writeen_origin"
bad server: writeen_origin a.example; ~ "a\.example".*"writeen_origin".*://
bad server: writeen_origin https://a.example/; ~ "https://a\.example/".*"writeen_origin"
bad server: writeen_origin https://a.example/path; ~ "writeen_origin"
bad server: writeen_origin https://; ~ "writeen_origin"
bad server: writeen_origin https://*.example; ~ "https://\*\.example" in "writeen_origin".*by its whole name, or "\*" alone
bad server: writeen_origin https://ann@a.example; ~ "writeen_origin".*without user
bad server: writeen_origin https://a.example?b; ~ "writeen_origin".*query
bad server: writeen_origin https://a.example:443; ~ "https://a\.example:443" in "writeen_origin" would never be met.*leave it out
bad server: writeen_origin http://a.example HTTP://[::1]:80; ~ "HTTP://\[::1\]:80" in "writeen_origin" would never be met
good server: writeen_origin http://a.example:443 https://a.example:80 https://a.example:1443 capacitor://localhost;


=== TEST 17: acks
--- no_wait
--- steps
good http: writeen_ack log;
good server: writeen_ack store;
good location: writeen_ack store; writeen_api on;
bad server: writeen_ack maybe; ~ "maybe" in "writeen_ack".*log.*store
bad server: writeen_ack; ~ invalid number of arguments in "writeen_ack"
bad server: writeen_ack log; writeen_ack log; ~ "writeen_ack" directive is duplicate


=== TEST 18: what makes a location one of ours
--- no_wait
--- steps
good location: writeen_websocket on;
good location: writeen_websocket off;
good location: writeen_api on;
good location: writeen_health on;
good location: writeen_metrics on;
bad location: writeen_websocket yes; ~ invalid value "yes" in "writeen_websocket".*"on" or "off"
bad location: writeen_api 1; ~ "writeen_api".*"on" or "off"
bad location: writeen_health; ~ invalid number of arguments in "writeen_health"
bad location: writeen_metrics x; ~ "writeen_metrics".*"on" or "off"
bad server: writeen_websocket on; ~ "writeen_websocket" directive is not allowed here
bad server: writeen_api on; ~ "writeen_api" directive is not allowed here
bad http: writeen_health on; ~ "writeen_health" directive is not allowed here
bad http: writeen_metrics on; ~ "writeen_metrics" directive is not allowed here
bad location: writeen_websocket on; writeen_api on; ~ "writeen_api": a location can be only one of "writeen_websocket"


=== TEST 19: what is missing
--- no_wait
--- steps
bad none: writeen_health on; ~ "writeen_redis" is required
bad nokey: writeen_websocket on; ~ writeen_jwt_key
bad nokey: writeen_api on; ~ writeen_jwt_key
good nokey: writeen_health on;
