# Uploads: who may send a body, where it goes, who is told what.
#
# The files role and the api role are played by the test.  Without this file
# nginx could take ten megabytes from somebody who may not send them, keep them
# in memory, leave half a file behind when a client goes, lose one that was
# handed over, or answer with a page of HTML.

use lib 't/lib';
use Test::Nginx::Writeen;

spool_dir();

run_tests();

__DATA__

=== TEST 1: the body lands in the spool, the entry says what it is, 201 comes back
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
metric writeen_uploads_total mark
metric writeen_uploads_spooled_total mark
metric writeen_uploads_bytes_total mark
metric writeen_uploads_refused_total mark
worker UPLOAD room1 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED room1 201 {"success":true,"message":"File uploaded successfully","data":{"upload":{"status":"completed"}}}
token t sub=u1 role=tutor name="Ani \u00dc" avatar=https://cdn.example/a.png
h request POST /api/conversations/room1/upload token=$t form=100000 header="User-Agent: Phone \"7\""
h response 201 data.upload.status=completed header.content-type~^application/json header.x-content-type-options=nosniff
call UPLOAD room1 q=100000 u.sub=u1 b= r~^wrt:reply: i~^[0-9a-f]{24}$
call SPOOLED room1 i=@id
call SPOOLED room1 i=$id p=$id c=room1 t="multipart/form-data; boundary=b0undary" u.sub=u1 u.role=tutor u.name~Ani u.avatar=https://cdn.example/a.png r~^wrt:reply: d~^\d{13}$ x.deviceInfo~Phone x.ipAddress=127.0.0.1 q! b!
spooled $id h mode=660
spooled = 1
redis XLEN wrt:files:$spool_id = 1
metric writeen_uploads_total +1
metric writeen_uploads_spooled_total +1
metric writeen_uploads_bytes_total +100000
metric writeen_uploads_refused_total +0
metric writeen_uploads_reading = 0
metric writeen_uploads_waiting = 0


=== TEST 2: every answer of the files role is passed on
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD * 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED again 200 {"success":true,"data":{"message":{"id":"m1"}}}
worker SPOOLED bad 422 {"success":false,"message":"m","error":{"code":"infected"}}
worker SPOOLED type 415 {"success":false,"message":"m","error":{"code":"unsupported_type","field":"file"}}
worker SPOOLED busy 503 retry=7 {"success":false,"message":"m","error":{"code":"unavailable"}}
h request POST /api/conversations/again/upload token=u1 form=300 keep=1
h response 200 data.message.id=m1
h request POST /api/conversations/bad/upload token=u1 form=300 same=1
h response 422 error.code=infected
h request POST /api/conversations/type/upload token=u1 form=30000 same=1
h response 415 error.code=unsupported_type error.field=file
h request POST /api/conversations/busy/upload token=u1 form=300000 same=1
h response 503 error.code=unavailable header.retry-after=7
h request POST /api/conversations/again/upload token=u1 form=200 same=1
h response 200 data.message.id=m1
# the files are the role's now, whatever it said
spooled = 5


=== TEST 3: refused before the body is asked for, by what the headers say
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
metric writeen_uploads_refused_total mark
h request POST /api/conversations/room1/upload form=5000 part=0
h response 401 error.code=unauthorized
h request POST /api/conversations/room1/upload token=u1 form=5000 part=0 type=application/json keep=1
h response 415 success==false error.code=unsupported_type header.connection=close
h request POST /api/conversations/room1/upload token=u1 form=5000 part=0 type=-
h response 415 error.code=unsupported_type
h request POST /api/conversations/room1/upload token=u1 form=5000 part=0 type=multipart/form-dataX
h response 415 error.code=unsupported_type
h request POST /api/conversations/room1/upload token=u1 form=5000 part=0 type=multipart/form-data
h response 400 error.code=invalid_request error.field=Content-Type
h request POST /api/conversations/room1/upload token=u1 form=5000 part=0 type="multipart/form-data; boundary="
h response 400 error.field=Content-Type
h request POST /api/conversations/room1/upload token=u1 form=5000 part=0 type="multipart/form-data; boundary=\"\""
h response 400 error.field=Content-Type
h request POST /api/conversations/room1/upload token=u1 form=5000 part=0 type="multipart/form-data; boundary=\"open"
h response 400 error.field=Content-Type
h request POST /api/conversations/room1/upload token=u1 form=5000 part=0 type="multipart/form-data; xboundary=a; charset=\"; boundary=b\""
h response 400 error.field=Content-Type
h request POST /api/conversations/room1/upload token=u1 form=5000 part=0 type="multipart/form-data; charset=\"a\\\"; boundary=b\""
h response 400 error.field=Content-Type
h request POST /api/conversations/room1/upload token=u1 form=5000 part=0 type="multipart/form-data; boundary=$long71"
h response 400 error.field=Content-Type
h request POST /api/conversations/room1/upload token=u1 form=5000 part=0 type="multipart/form-data; boundary=a; x=$long"
h response 400 error.field=Content-Type
h request POST /api/conversations/room1/upload token=u1 length=0 header="Content-Type: multipart/form-data; boundary=a"
h response 400 error.code=invalid_request error.field=file
h request POST /api/conversations/room1/upload token=u1 header="Content-Type: multipart/form-data; boundary=a"
h response 400 error.code=invalid_request error.field=file
h request POST /api/conversations/room1/upload token=u1 length=10551297 header="Content-Type: multipart/form-data; boundary=a"
h response 413 error.code=too_large
h request POST /api/conversations/room1/upload token=u1 length=99999999999 header="Content-Type: multipart/form-data; boundary=a" header="Expect: 100-continue"
h response 413 error.code=too_large continued=0
h request POST /api/conversations/a.b/upload token=u1 form=5000 part=0
h response 404 error.code=not_found
h request PUT /api/conversations/room1/upload token=u1 form=5000 part=0
h response 415
calls UPLOAD * = 0
spooled = 0
metric writeen_uploads_refused_total +16
--- vars
long71 b*71
long b*1024


=== TEST 4: a boundary in any legal form
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD * 200 {"success":true,"data":{"maxFileSize":1000}}
worker SPOOLED * 201 {}
h request POST /api/conversations/room1/upload token=u1 form=300 type="Multipart/Form-Data;BOUNDARY=$long70"
h response 201
h request POST /api/conversations/room1/upload token=u1 form=300 type="multipart/form-data; charset=utf-8 ; boundary=\"a b;c\"; x=y"
h response 201
call SPOOLED room1 t="multipart/form-data; charset=utf-8 ; boundary=\"a b;c\"; x=y"
h request POST /api/conversations/room1/upload token=u1 form=300 type="multipart/form-data ; x=\"a\\\";b\" ; boundary=c"
h response 201
--- vars
long70 b*70


=== TEST 5: the worker pool says no: nothing is read, and its answer is the client's
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD r403 403 {"success":false,"message":"m","error":{"code":"forbidden"}}
worker UPLOAD r404 404 {"success":false,"message":"m","error":{"code":"not_found"}}
worker UPLOAD r409 409 {"success":false,"message":"m","error":{"code":"conversation_archived"}}
worker UPLOAD r413 413 {"success":false,"message":"m","error":{"code":"too_large","field":"file"}}
worker UPLOAD r503 503 retry=3 {"success":false,"message":"m","error":{"code":"unavailable"}}
worker UPLOAD odd 200 {"success":true,"data":{}}
worker UPLOAD small 200 {"success":true,"data":{"maxFileSize":1000}}
h request POST /api/conversations/r403/upload token=u1 form=5000 part=0 keep=1 header="Expect: 100-continue"
h response 403 error.code=forbidden continued=0 header.connection=close header.x-content-type-options=nosniff
h request POST /api/conversations/r404/upload token=u1 form=5000 part=100
h response 404 error.code=not_found continued=0
h request POST /api/conversations/r409/upload token=u1 form=5000 part=0 chunked=1000 header="Expect: 100-continue"
h response 409 error.code=conversation_archived continued=0
call UPLOAD r409 q=-
h request POST /api/conversations/r413/upload token=u1 form=5000
h response 413 error.code=too_large error.field=file
h request POST /api/conversations/r503/upload token=u1 form=5000000
h response 503 error.code=unavailable header.retry-after=3
h request POST /api/conversations/odd/upload token=u1 form=5000 part=0
h response 503 error.code=unavailable
log ~ says no maxFileSize
# a room's own limit, when the pool forgot to look at the size
h request POST /api/conversations/small/upload token=u1 form=66537 part=0 header="Expect: 100-continue"
h response 413 error.code=too_large continued=0
spooled = 0
redis EXISTS wrt:files:$spool_id = 0


=== TEST 6: who asks first is told to go on when he may
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD room1 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED room1 201 {"success":true}
h request POST /api/conversations/room1/upload token=u1 form=200000 part=0 header="Expect: 100-continue"
h continue
h silent 0.1
h more
h response 201 continued=1
call SPOOLED room1 i=@id
spooled $id h


=== TEST 7: the largest that passes, and a byte more, by Content-Length
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD room1 200 {"success":true,"data":{"maxFileSize":10485760}}
worker UPLOAD small 200 {"success":true,"data":{"maxFileSize":1000}}
worker SPOOLED * 201 {"success":true}
h request POST /api/conversations/room1/upload token=u1 form=10551296
h response 201 within=60
call SPOOLED room1 i=@id
spooled $id h mode=660
h request POST /api/conversations/room1/upload token=u1 form=10551297
h response 413 within=60 error.code=too_large
h request POST /api/conversations/small/upload token=u1 form=66536
h response 201
h request POST /api/conversations/small/upload token=u1 form=66537
h response 413 error.code=too_large
spooled = 2


=== TEST 8: the same in chunks, which do not say how much will come
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD room1 200 {"success":true,"data":{"maxFileSize":10485760}}
worker UPLOAD small 200 {"success":true,"data":{"maxFileSize":1000}}
worker SPOOLED * 201 {"success":true}
h request POST /api/conversations/small/upload token=u1 form=66536 chunked=1000 keep=1
h response 201
call SPOOLED small i=@id
spooled $id h
h request POST /api/conversations/small/upload token=u1 form=300 chunked=7 same=1
h response 201
call SPOOLED small i=@id
spooled $id h
h request POST /api/conversations/small/upload token=u1 form=66537 chunked=1000 same=1
h response 413 success==false error.code=too_large header.content-type~^application/json
# who sent it to its end may go on
h request POST /api/conversations/small/upload token=u1 form=300 chunked=70 same=1
h response 201
h request POST /api/conversations/small/upload token=u1 form=66537 chunked=1
h response 413 success==false error.code=too_large header.content-type~^application/json
# it is over as soon as the limit is passed, whatever would still come
h request POST /api/conversations/small/upload token=u1 form=5000000 chunked=100000 part=300000 keep=1
h response 413 error.code=too_large header.connection=close
h request POST /api/conversations/room1/upload token=u1 form=10551296 chunked=65536
h response 201 within=60
call SPOOLED room1 i=@id
spooled $id h
h request POST /api/conversations/room1/upload token=u1 form=12000000 chunked=65536
h response 413 within=60 error.code=too_large
spooled = 4


=== TEST 9: a body that is not chunked as it says
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD room1 200 {"success":true,"data":{"maxFileSize":1000}}
h request POST /api/conversations/room1/upload token=u1 keep=1 header="Content-Type: multipart/form-data; boundary=a" header="Transfer-Encoding: chunked" version=1.1
until call UPLOAD room1
h bytes 58580d0a4745540d0a0d0a
h response 400 success==false error.code=invalid_request header.content-type~^application/json header.connection=close
spooled = 0


=== TEST 10: no answer in time: 202 with what is known, and a late one does no harm
--- with
writeen_spool $TEST_NGINX_SPOOL;
writeen_upload_wait 3s;
--- steps
spool $spool
worker UPLOAD * 200 {"success":true,"data":{"maxFileSize":1000}}
worker SPOOLED none 0
worker SPOOLED late 0
worker GET /api/good 200 {"success":true,"data":"good"}
h request POST /api/conversations/none/upload token=u1 form=300
h response 202 success==true message="File is being processed" data.upload.id=@id data.upload.status=processing data.upload.progress==0
call SPOOLED none i=$id
spooled $id h
redis HGET wrt:upload:$id owner = u1
redis HGET wrt:upload:$id shown ~ "id":"$id","conversationId":"none","status":"processing","stage":"received","progress":0,"fileName":null
redis TTL wrt:upload:$id ~ ^(86400|863\d\d)$
h request POST /api/conversations/late/upload token=u1 form=300 keep=1
call SPOOLED late i=@late r=@reply
redis HSET wrt:upload:$late owner u1 shown {"id":"$late","status":"processing","stage":"scanning","progress":30}
h response 202 data.upload.id=$late data.upload.status=processing data.upload.stage=scanning data.upload.progress==30
redis HGET wrt:upload:$late shown ~ scanning
redis PUBLISH $reply 'R $late 201 -\n{"success":true,"data":"late"}'
h request GET /api/good token=u1 same=1
h response 200 data=good
metric writeen_uploads_waiting = 0


=== TEST 11: a client that leaves in the middle leaves no file
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD * 200 {"success":true,"data":{"maxFileSize":10485760}}
h request POST /api/conversations/room1/upload token=u1 form=1000000 part=400000
until spooled = 1
until metric writeen_uploads_reading = 1
h drop
until spooled = 0
until metric writeen_uploads_reading = 0
h request POST /api/conversations/room1/upload token=u1 form=1000000 chunked=9999 part=400000
until spooled = 1
h drop
until spooled = 0
# and who never began neither
h request POST /api/conversations/room2/upload token=u1 form=1000000 part=0
until call UPLOAD room2
until spooled = 1
h drop
until spooled = 0
redis EXISTS wrt:files:$spool_id = 0


=== TEST 12: a client that leaves before the pool has said that he may
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD room1 200 delay=0.3 {"success":true,"data":{"maxFileSize":10485760}}
h request POST /api/conversations/room1/upload token=u1 form=1000 part=500
until call UPLOAD room1
h drop
sleep 0.4
spooled = 0
redis EXISTS wrt:files:$spool_id = 0


=== TEST 13: a client that leaves when all is sent: the file goes its way
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD room1 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED room1 0
worker GET /api/good 200 {"success":true,"data":"good"}
h request POST /api/conversations/room1/upload token=u1 form=100000
until metric writeen_uploads_waiting = 1
call SPOOLED room1 i=@id r=@reply
spooled $id h
h drop
until metric writeen_uploads_waiting = 0
redis PUBLISH $reply 'R $id 201 -\n{"success":true}'
spooled = 1
h request GET /api/good token=u1
h response 200 data=good


=== TEST 14: silence ends it, slowness does not
--- with
writeen_spool $TEST_NGINX_SPOOL;
client_body_timeout 5s;
--- steps
spool $spool
worker UPLOAD * 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED * 201 {"success":true}
a request POST /api/conversations/room1/upload token=u1 form=1000 part=500
until spooled = 1
b request POST /api/conversations/room1/upload token=u1 form=1000 part=600 keep=1
until spooled = 2
b more 100 slow=1
sleep 1.8
b more 100 slow=1
sleep 1.8
b more 100 slow=1
sleep 1.8
b more slow=1
b response 201
call SPOOLED room1 i=@id
spooled $id b
a expect_eof
until spooled = 1
spooled $id b


=== TEST 15: a trickle ends too
--- with
writeen_spool $TEST_NGINX_SPOOL;
writeen_upload_time 5s;
--- steps
spool $spool
worker UPLOAD * 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED * 201 {"success":true}
a request POST /api/conversations/room1/upload token=u1 form=9000 part=500
until spooled = 1
until spooled = 0 else a more 1
a expect_eof
log ~ an upload took too long
b request POST /api/conversations/room1/upload token=u1 form=3000000
b response 201


=== TEST 16: Redis away before, and while the body comes
--- with
writeen_spool $TEST_NGINX_SPOOL;
writeen_api_timeout 4s;
--- steps
spool $spool
worker UPLOAD room1 200 {"success":true,"data":{"maxFileSize":10485760}}
h request POST /api/conversations/room1/upload token=u1 form=1000000 part=300000
until spooled = 1
server main kill
h more
h response 503 success==false error.code=unavailable header.retry-after~^[1-9]
spooled = 0
h request POST /api/conversations/room1/upload token=u1 form=5000 part=0 header="Expect: 100-continue"
h response 503 error.code=unavailable continued=0
spooled = 0
server main start


=== TEST 17: Redis does not answer
--- with
writeen_spool $TEST_NGINX_SPOOL;
writeen_api_timeout 3s;
--- steps
spool $spool
worker UPLOAD room1 200 {"success":true,"data":{"maxFileSize":10485760}}
h request POST /api/conversations/room1/upload token=u1 form=1000000 part=300000
until spooled = 1
server main pause
h more
h response 503 error.code=unavailable
spooled = 0
server main resume


=== TEST 18: Redis takes no entry: the file goes; no answer to it: the file stays
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD * 200 {"success":true,"data":{"maxFileSize":10485760}}
h request POST /api/conversations/room1/upload token=u1 form=1000000 part=300000
until spooled = 1
redis CONFIG SET maxmemory 1
h more
h response 503 error.code=unavailable
spooled = 0
redis CONFIG SET maxmemory 0
redis ACL SETUSER default -xadd
h request POST /api/conversations/room1/upload token=u1 form=1000 part=0
h response 503 error.code=unavailable
redis ACL SETUSER default +xadd
spooled = 0
# Redis has the command, and nobody knows what became of it
h request POST /api/conversations/room2/upload token=u1 form=1000000 part=300000
until spooled = 1
redis CLIENT PAUSE 60000 WRITE
h more
until metric writeen_uploads_waiting = 1
server main kill
h response 503 error.code=unavailable
spooled = 1
server main start


=== TEST 19: too many wait in the spool
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD room1 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED room1 201 {}
h request POST /api/conversations/room1/upload token=u1 form=1000000 part=300000
until spooled = 1
repeat 998 redis XADD wrt:files:$spool_id * i x
a request POST /api/conversations/room1/upload token=u1 form=1000
a response 201
redis XLEN wrt:files:$spool_id = 999
# who is on his way counts, too; he himself is asked again at the end
b request POST /api/conversations/room1/upload token=u1 form=1000 part=0 header="Expect: 100-continue"
b response 503 error.code=unavailable header.retry-after~^[1-9] continued=0
log ~ an upload is refused, 1000 are under way
redis XADD wrt:files:$spool_id * i x
h more
h response 503 error.code=unavailable header.retry-after~^[1-9]
spooled = 1
redis XTRIM wrt:files:$spool_id MAXLEN 999
b request POST /api/conversations/room1/upload token=u1 form=1000
b response 201


=== TEST 20: memory does not grow with bodies
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD * 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED * 201 {"success":true}
# once, so that what is needed at all is there
crowd-upload a 16 4000000 3500000
all a more
all a response 201 within=60
nginx memory mark
crowd-upload a 16 4000000 3500000
# 56 MB of bodies are in the middle of their way
until spooled = 32
nginx memory < 4096
all a more
all a response 201 within=60
nginx memory < 4096
spooled = 32


=== TEST 21: memory does not grow with the pieces of a body
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD * 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED * 201 {"success":true}
a request POST /api/conversations/room1/upload token=u1 form=40000 chunked=3 part=100 keep=1
until spooled = 1
nginx memory mark
a more 8000 slow=1
nginx memory < 64
a more
a response 201
call SPOOLED room1 i=@id
spooled $id a


=== TEST 22: a reload while bodies come and while an answer is awaited
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD * 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED room1 201 {"success":true,"data":"room1"}
worker SPOOLED room2 0
a request POST /api/conversations/room1/upload token=u1 form=1000000 part=400000
until spooled = 1
b request POST /api/conversations/room2/upload token=u1 form=1000
call SPOOLED room2 i=@id2 r=@reply
nginx reload
a silent 0.1
a more
a response 201 data=room1
redis PUBLISH $reply 'R $id2 201 -\n{"success":true,"data":"room2"}'
b response 201 data=room2
call SPOOLED room1 i=@id1
spooled $id1 a
spooled $id2 b
nginx old-gone 15
# the spool is the same one
h request POST /api/conversations/room1/upload token=u1 form=1000
h response 201
redis XLEN wrt:files:$spool_id = 3


=== TEST 23: without a spool
--- steps
h request POST /api/conversations/room1/upload token=u1 form=1000 part=0
h response 503 error.code=unavailable
log ~ \[error\].*no upload is possible without "writeen_spool"


=== TEST 24: a spool that went away
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- expected_alarm: open\(\) ".*/spool/\d{10}" failed
--- steps
spool $spool
worker UPLOAD room1 200 {"success":true,"data":{"maxFileSize":10485760}}
rename $spool $temp/elsewhere
h request POST /api/conversations/room1/upload token=u1 form=1000 part=0
h response 503 error.code=unavailable
rename $temp/elsewhere $spool
worker SPOOLED room1 201 {}
h request POST /api/conversations/room1/upload token=u1 form=1000
h response 201


=== TEST 25: uploads count as messages, and have no rate of their own
--- with
writeen_spool $TEST_NGINX_SPOOL;
writeen_rate_kind message 1 burst=1 user=1;
--- steps
spool $spool
worker UPLOAD room1 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED room1 201 {}
# all at once: one more a second would pass
nginx hold
a request POST /api/conversations/room1/upload token=u1 form=1000
b request POST /api/conversations/room1/upload token=u1 form=1000
h request POST /api/conversations/room1/upload token=u1 form=1000 part=0 header="Expect: 100-continue"
nginx go
a response 201
b response 201
h response 429 error.code=rate_limited header.retry-after=1 continued=0
# another one is not concerned
h request POST /api/conversations/room1/upload token=u2 form=1000
h response 201
spooled = 3


=== TEST 26: a page of another origin may read the answer
--- with
writeen_spool $TEST_NGINX_SPOOL;
writeen_origin https://app.example;
--- steps
spool $spool
worker UPLOAD room1 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED room1 201 {"success":true}
h request POST /api/conversations/room1/upload token=u1 form=1000 origin=https://app.example
h response 201 header.access-control-allow-origin=https://app.example
h request POST /api/conversations/room1/upload token=u1 form=1000 origin=https://app.example type=text/plain part=0
h response 415 header.access-control-allow-origin=https://app.example


=== TEST 27: many at once, none gets another one's answer or file
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD * 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED * 201 delay=0.1 {"success":true}
crowd-upload a 60 20000 10000
all a more
all a response 201 within=60
spooled = 60
redis XLEN wrt:files:$spool_id = 60


=== TEST 28: writeen_spool and writeen_upload_wait
--- no_wait
--- steps
good http: writeen_spool $temp/s1;
good server: writeen_spool $temp/s1/;
good location: writeen_websocket on; writeen_spool relative;
spool $temp/relative
spool $temp/s1
good http: writeen_spool $temp/s1;
bad http: writeen_spool; ~ invalid number of arguments in "writeen_spool"
bad http: writeen_spool ""; ~ invalid value "" in "writeen_spool"
bad http: writeen_spool $dollar{x}; ~ "writeen_spool".*without variables
bad http: writeen_spool $temp/s1; writeen_spool $temp/s2; ~ "writeen_spool" directive is duplicate
bad http: writeen_spool $temp/no/such; ~ "$temp/no/such" of "writeen_spool" can not be made; make it.*install -d
bad http: writeen_spool $temp/s1/id; ~ "$temp/s1/id" of "writeen_spool" is not a directory
bad main: writeen_spool $temp/s1; ~ "writeen_spool" directive is not allowed here
# only root sees in there
bad http as daemon: writeen_spool $temp/s1; ~ the user "daemon" .* can not get through "$temp"
good http: writeen_upload_time 1s;
good location: writeen_websocket on; writeen_upload_time 1d;
bad http: writeen_upload_time 999ms; ~ writeen_upload_time.*1s to 1d
bad http: writeen_upload_time 2d; ~ writeen_upload_time.*1s to 1d
good http: writeen_upload_wait 100ms;
good location: writeen_websocket on; writeen_upload_wait 5m;
bad http: writeen_upload_wait 50ms; ~ writeen_upload_wait.*100ms to 5m
bad http: writeen_upload_wait 301s; ~ writeen_upload_wait.*100ms to 5m
bad http: writeen_upload_wait soon; ~ writeen_upload_wait
--- vars
dollar "\x24"


=== TEST 29: the id of a spool is made once and must be one
--- no_wait
--- steps
good http: writeen_spool $temp/s3;
spool $temp/s3
set first $spool_id
good http: writeen_spool $temp/s3;
spool $temp/s3
spool $temp/s3 = $first
write $temp/s3/id "0123456789abcdef01234567\n"
good http: writeen_spool $temp/s3;
write $temp/s3/id nonsense
bad http: writeen_spool $temp/s3; ~ "$temp/s3/id", which names.*does not hold 24 hexadecimal
write $temp/s3/id ""
bad http: writeen_spool $temp/s3; ~ does not hold 24 hexadecimal


=== TEST 30: nobody's uploads are in the way of all others'
--- with
writeen_spool $TEST_NGINX_SPOOL;
--- steps
spool $spool
worker UPLOAD * 200 {"success":true,"data":{"maxFileSize":10485760}}
worker SPOOLED * 201 {"success":true}
token s sub=u1 role=service
crowd-upload a 100 100000 50000 u1
until spooled = 100
h request POST /api/conversations/room1/upload token=u1 form=1000 part=0 header="Expect: 100-continue"
h response 429 success==false error.code=rate_limited header.retry-after~^[1-9] continued=0
spooled = 100
h request POST /api/conversations/room1/upload token=u2 form=1000
h response 201
h request POST /api/conversations/room1/upload token=raw:$s form=1000
h response 201
# those that end make room, however they do
a1 drop
until spooled = 101
h request POST /api/conversations/room1/upload token=u1 form=1000
h response 201
