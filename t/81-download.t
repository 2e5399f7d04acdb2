# Downloads: who is asked, where the bytes come from, and what is said of them.
#
# The worker is played by the test, and S3 by another server of this nginx, so
# that both can say what they should not.  Without this file a file could be
# read by its address alone, a token or a signature could end in a log or at a
# storage, or a storage's name, error or cookie in an answer; a page could make
# a browser run what somebody has uploaded; and half of a file could pass for
# all of it.

use lib 't/lib';
use File::Path qw(make_path);
use File::Temp ();
use Test::Nginx::Writeen;

# What is stored: 26 bytes, of Sun, 09 Sep 2001 01:46:40 GMT; a large one; a
# link to the outside.
my $dir = File::Temp->newdir('writeen-t-files-XXXXXX', TMPDIR => 1);
chmod 0755, $dir;
$ENV{TEST_NGINX_FILES} = "$dir";
make_path("$dir/ab/cd", "$dir/bucket");

sub store {
    my ($name, $bytes) = @_;

    open my $fh, '>', "$dir/$name" or die "$dir/$name: $!";
    print $fh $bytes;
    close $fh;
    utime 1000000000, 1000000000, "$dir/$name";
}

store('ab/cd/abcd', join '', 'a' .. 'z');
store('ab/cd/large', 'x' x 3000000);
store('bucket/key', join '', 'a' .. 'z');
store('bucket/large', 'x' x 3000000);
symlink '/etc/hostname', "$dir/ab/cd/outside";

# The location as tools/nginx.conf.in has it for a directory, and for S3.
our $Local = <<'EOC';
writeen_files /writeen-files/;
location /writeen-files/ {
    internal;
    alias $TEST_NGINX_FILES/;
    disable_symlinks on from=$TEST_NGINX_FILES;
    sendfile on;
    max_ranges 16;
    add_header X-Of-Location yes;
}
EOC

our $Remote = <<'EOC';
writeen_files /writeen-files/;
location /writeen-files/ {
    internal;
    proxy_pass http://writeen_s3/;
    proxy_http_version 1.1;
    proxy_method GET;
    proxy_pass_request_headers off;
    proxy_pass_request_body off;
    proxy_set_header Host "s3.example:9000";
    proxy_set_header Connection "";
    proxy_set_header Content-Length "";
    proxy_set_header Range $http_range;
    proxy_set_header If-Modified-Since $http_if_modified_since;
    proxy_set_header If-Unmodified-Since $http_if_unmodified_since;
    proxy_max_temp_file_size 0;
    proxy_redirect off;
    proxy_connect_timeout 2s;
    proxy_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate
                         X-Accel-Charset X-Accel-Buffering Set-Cookie;
}
EOC

our $S3 = <<'EOC';
upstream writeen_s3 {
    server unix:$TEST_NGINX_SERVER_ROOT/s3.sock;
    keepalive 4;
}

server {
    listen unix:$TEST_NGINX_SERVER_ROOT/s3.sock;
    root $TEST_NGINX_FILES;
    default_type binary/octet-stream;
    access_log off;
    add_header x-amz-request-id SECRET always;
    add_header x-amz-meta-name SECRET always;
    add_header X-Minio-Deployment SECRET always;
    add_header Set-Cookie SECRET always;
    add_header Cache-Control "public, max-age=SECRET" always;
    add_header Content-Disposition "inline; filename=SECRET" always;
    add_header Content-Security-Policy SECRET always;
    add_header X-Accel-Redirect /metrics always;
    add_header WWW-Authenticate SECRET always;

    location = /bucket/echo {
        set $client "a=$http_authorization c=$http_cookie t=$http_x_test";
        set $client "$client u=$http_user_agent n=$http_if_none_match";
        set $client "$client r=$http_range l=$http_content_length";
        return 200 "$request_method h=$http_host $client q=$args";
    }
    location = /bucket/none    { return 404 "<Code>SECRET</Code>"; }
    location = /bucket/gone    { return 410 "<Code>SECRET</Code>"; }
    location = /bucket/denied  { return 403 "<Code>SECRET</Code>"; }
    location = /bucket/odd     { return 418 "<Code>SECRET</Code>"; }
    location = /bucket/moved   { return 301 http://SECRET/; }
    location = /bucket/other   { return 307 http://SECRET/; }
    location = /bucket/broken  { return 500 "<Code>SECRET</Code>"; }
    location = /bucket/busy    { return 503 "<Code>SECRET</Code>"; }
    location = /bucket/empty   { return 204; }
    location = /bucket/login   { return 401 "<Code>SECRET</Code>"; }
    location = /bucket/nothing { return 444; }
}
EOC

# What the worker says.
sub says {
    my ($tail, $type, $disposition, $size) = @_;

    return '{"success":true,"data":{"tail":"' . $tail . '","contentType":"'
           . $type . '","disposition":"' . $disposition
           . '","etag":"h1","scanStatus":"clean","size":' . $size . '}}';
}

our $Answers = join '', map { "$_\n" }
    'local ' . says('/ab/cd/abcd', 'image/png',
                    'inline; filename=\"a.png\"', 26),
    'large ' . says('/ab/cd/large', 'application/pdf',
                    'attachment; filename=\"a.pdf\"', 3000000),
    'none ' . says('/ab/cd/none', 'image/png', 'inline', 26),
    'outside ' . says('/ab/cd/outside', 'image/png', 'inline', 26),
    'folder ' . says('/ab/cd', 'image/png', 'inline', 26),
    (map { "s3$_ " . says("/bucket/$_?X-Amz-Signature=0123abcd&x=%2F",
                          'image/jpeg', 'inline; filename=\"b.jpg\"', 26) }
         qw(key large echo none gone denied odd moved other broken busy empty
            login nothing));

run_tests();

__DATA__

=== TEST 1: a file, whole, and what is said of it
--- with eval: $::Local
--- vars eval: $::Answers
--- steps
worker FILE f1/original 200 $local
h request GET /api/files/f1/download token=u1
h response 200 body=abcdefghijklmnopqrstuvwxyz header.content-type=image/png header.content-length=26 header.content-disposition="inline; filename=\"a.png\"" header.x-file-scan-status=clean header.x-content-type-options=nosniff header.content-security-policy="default-src 'none'; sandbox" header.cache-control=private header.etag="\"h1\"" header.last-modified="Sun, 09 Sep 2001 01:46:40 GMT" header.accept-ranges=bytes header.vary~Origin header.retry-after!
call FILE f1/original q=first& b= u.sub=u1 r~^wrt:reply:
# what the administrator adds to the location is his business
h response 200 header.x-of-location=yes
access ~ "GET /api/files/f1/download HTTP
access !~ writeen-files


=== TEST 2: HEAD
--- with eval: $::Local
--- vars eval: $::Answers
--- steps
worker FILE * 200 $local
h request HEAD /api/files/f1/download token=u1
h response 200 body= header.content-length=26 header.content-type=image/png header.etag="\"h1\"" header.accept-ranges=bytes header.x-file-scan-status=clean
call FILE f1/original q=
h request HEAD /api/files/f1/download token=u1 header="Range: bytes=2-3"
h response 206 body= header.content-length=2 header.content-range="bytes 2-3/26"
h request HEAD /api/files/f1/download
h response 401 body= header.content-type~json


=== TEST 3: thumbnails, and what is no file's route
--- with eval: $::Local
--- vars eval: $::Answers
--- steps
worker FILE * 200 $local
worker GET * 404 {"success":false,"message":"m","error":{"code":"not_found"}}
worker HEAD * 404 {"success":false,"message":"m","error":{"code":"not_found"}}
h request GET /api/files/f1/thumbnails/small token=u1
h response 200 body=abcdefghijklmnopqrstuvwxyz
call FILE f1/small q=
h request GET /api/files/f1/thumbnails/medium token=u1
h response 200
call FILE f1/medium q=
h request GET /api/files/0123456789abcdef01234567/thumbnails/large token=u1
h response 200
call FILE 0123456789abcdef01234567/large q=
calls FILE * = 3
h request GET /api/files/f1/thumbnails/huge token=u1
h response 404 error.code=not_found
h request GET /api/files/f1/download/ token=u1
h response 404
h request GET /api/files/f1/download/x token=u1
h response 404
h request GET /api/files//download token=u1
h response 404
h request GET /api/files/f%201/download token=u1
h response 404
h request GET /api/files/f1/Download token=u1
h response 404
h request GET /api/files/f1 token=u1
h response 404
h request HEAD /api/files/f1 token=u1
h response 404
worker POST * 405 {"success":false,"message":"m","error":{"code":"method_not_allowed"}}
h request POST /api/files/f1/download token=u1 body={}
h response 405 error.code=method_not_allowed
call POST /api/files/f1/download
calls FILE * = 3


=== TEST 4: ranges
--- with eval: $::Local
--- vars eval: $::Answers
--- steps
worker FILE * 200 $local
h request GET /api/files/f1/download token=u1 header="Range: bytes=0-3"
h response 206 body=abcd header.content-range="bytes 0-3/26" header.content-length=4 header.content-type=image/png header.content-disposition~a.png header.x-file-scan-status=clean header.etag="\"h1\""
h request GET /api/files/f1/download token=u1 header="Range: bytes=23-"
h response 206 body=xyz header.content-range="bytes 23-25/26"
h request GET /api/files/f1/download token=u1 header="Range: bytes=-2"
h response 206 body=yz header.content-range="bytes 24-25/26"
h request GET /api/files/f1/download token=u1 header="Range: bytes=20-9999"
h response 206 body=uvwxyz
h request GET /api/files/f1/download token=u1 header="Range: bytes=0-1,24-25"
h response 206 header.content-type~^multipart/byteranges body~(?s)image/png\r\nContent-Range:\x20bytes\x200-1/26\r\n\r\nab\r\n.*bytes\x2024-25/26\r\n\r\nyz\r\n
h request GET /api/files/f1/download token=u1 header="Range: bytes=26-"
h response 416 header.content-range="bytes */26" header.content-type~json header.cache-control=no-store header.content-disposition! header.x-file-scan-status! success==false error.code=invalid_request error.field=Range
h request HEAD /api/files/f1/download token=u1 header="Range: bytes=99-"
h response 416 body= header.content-range="bytes */26"
h request GET /api/files/f1/download token=u1 header="Range: lines=1-2"
h response 200 body=abcdefghijklmnopqrstuvwxyz
h request GET /api/files/f1/download token=u1 header="Range: bytes=0-0" keep=1
h response 206 body=a
h request GET /api/files/f1/download token=u1 header="Range: bytes=26-" same=1
h response 416
h request GET /api/files/f1/download token=u1 header="Range: bytes=25-" same=1
h response 206 body=z


=== TEST 5: conditions
--- with eval: $::Local
--- vars eval: $::Answers
--- steps
worker FILE * 200 $local
h request GET /api/files/f1/download token=u1 header="If-None-Match: \"h1\""
h response 304 body= header.etag="\"h1\"" header.cache-control=private header.x-file-scan-status=clean header.vary~Origin header.content-length!
h request GET /api/files/f1/download token=u1 header="If-None-Match: \"a\", W/\"h1\""
h response 304
h request GET /api/files/f1/download token=u1 header="If-None-Match: *"
h response 304
h request HEAD /api/files/f1/download token=u1 header="If-None-Match: \"h1\""
h response 304
# the date does not count beside it
h request GET /api/files/f1/download token=u1 header="If-None-Match: \"h2\"" header="If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"
h response 200 body~^abc
h request GET /api/files/f1/download token=u1 header="If-None-Match: h1"
h response 200
h request GET /api/files/f1/download token=u1 header="If-None-Match: \"h1"
h response 200
h request GET /api/files/f1/download token=u1 header="If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"
h response 304 body= header.x-file-scan-status=clean header.etag="\"h1\""
h request GET /api/files/f1/download token=u1 header="If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT"
h response 200
h request GET /api/files/f1/download token=u1 header="If-Match: \"h1\""
h response 200
h request GET /api/files/f1/download token=u1 header="If-Match: W/\"h1\""
h response 412 error.code=conflict header.content-disposition!
h request GET /api/files/f1/download token=u1 header="If-Match: \"h2\", \"h3\""
h response 412 success==false error.code=conflict error.field=If-Match
h request GET /api/files/f1/download token=u1 header="If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT"
h response 412 error.code=conflict header.content-disposition! header.content-type~json
h request GET /api/files/f1/download token=u1 header="If-Unmodified-Since: Sun, 09 Sep 2001 01:46:40 GMT"
h response 200
# an interrupted download goes on, if it is the same file
h request GET /api/files/f1/download token=u1 header="If-Range: \"h1\"" header="Range: bytes=24-"
h response 206 body=yz
h request GET /api/files/f1/download token=u1 header="If-Range: \"h2\"" header="Range: bytes=24-"
h response 200 body=abcdefghijklmnopqrstuvwxyz
h request GET /api/files/f1/download token=u1 header="If-Range: W/\"h1\"" header="Range: bytes=24-"
h response 200
h request GET /api/files/f1/download token=u1 header="If-Range: Sun, 09 Sep 2001 01:46:40 GMT" header="Range: bytes=24-"
h response 206 body=yz
h request GET /api/files/f1/download token=u1 header="If-Range: Sun, 09 Sep 2001 01:46:41 GMT" header="Range: bytes=24-"
h response 200


=== TEST 6: what is counted as a download
--- with eval: $::Local
--- vars eval: $::Answers
--- steps
worker FILE * 200 $local
h request GET /api/files/f1/download?first token=u1 header="Range: bytes=5-9"
h response 206
call FILE f1/original q=
h request GET /api/files/f1/download token=u1 header="Range: bytes=0-4"
h response 206
call FILE f1/original q=first&
h request GET /api/files/f1/download token=u1 header="Range: bytes=-5"
h response 206
call FILE f1/original q=
h request GET /api/files/f1/download token=u1 header="Range: bytes=10-19"
h response 206
call FILE f1/original q=
h request GET /api/files/f1/download token=u1 header="Range: nonsense"
h response 200
call FILE f1/original q=first&
h request GET /api/files/f1/download token=u1 header="If-None-Match: \"h1\""
h response 304
call FILE f1/original q=
h request GET /api/files/f1/download?first&u=u2&token=x token=u1
h response 200
call FILE f1/original q=first& u.sub=u1


=== TEST 7: a signed link
--- with eval: $::Local
--- steps
worker FILE * 200 $local
h request GET /api/files/f1/download?u=u1&e=1790000000&s=00ffaa11c0ffee
h response 200 body=abcdefghijklmnopqrstuvwxyz header.www-authenticate!
call FILE f1/original q=first&u=u1&e=1790000000&s=00ffaa11c0ffee u=
h request GET /api/files/f1/thumbnails/small?x=1&s=00ffaa11c0ffee&first&e=1790000000&u=u1&s=00FFAA11C0FFEE
h response 200
call FILE f1/small q=u=u1&e=1790000000&s=00ffaa11c0ffee u=
worker FILE * 403 {"success":false,"message":"m","error":{"code":"forbidden"}}
h request HEAD /api/files/f1/download?u=u1&e=1&s=00ffaa11c0ffee
h response 403 body=
call FILE f1/original q=u=u1&e=1&s=00ffaa11c0ffee u=
# whoever reads a log has no key
log !~ (?i)00ffaa11c0ffee
access !~ (?i)00ffaa11c0ffee
calls FILE * = 3
# what is not quite one is nothing
h request GET /api/files/f1/download?u=u1&e=1790000000
h response 401 error.code=unauthorized header.www-authenticate=Bearer
h request GET /api/files/f1/download?u=&e=1&s=aa
h response 401
h request GET /api/files/f1/download?u=u%201&e=1&s=aa
h response 401
h request GET /api/files/f1/download?u=u1&e=x&s=aa
h response 401
h request GET /api/files/f1/download?u=u1&e=1&s=xyz
h response 401
h request GET /api/files/f1/download?u=u1&e=1&s=
h response 401
h request GET /api/files/f1?u=u1&e=1&s=00ffaa11c0ffee
h response 401
h request GET /api/files/f1/download?s=00ffaa11c0ffee&$long
h response 400 error.code=invalid_request
calls FILE * = 3
# with a token it is the token that counts
worker FILE * 200 $local
h request GET /api/files/f1/download?u=u1&e=1790000000&s=00ffaa11c0ffee token=u2
h response 200
call FILE f1/original q=first& u.sub=u2
h request GET /api/files/f1/download?u=u1&e=1790000000&s=00ffaa11c0ffee token=raw:a.b.c
h response 401
h request OPTIONS /api/files/f1/download?u=u1&e=1790000000&s=00ffaa11c0ffee header="Origin: https://evil.example"
h response 403
log !~ (?i)00ffaa11c0ffee
access !~ (?i)00ffaa11c0ffee
# and a token in the query is for sockets
h request GET /api/files/f1/download?token=a.b.c
h response 401
--- vars eval: $::Answers . "long q*3000\n"


=== TEST 8: links: nobody uses up what belongs to another
--- with eval: $::Local . "writeen_rate_kind read 1 burst=3;"
--- vars eval: $::Answers . 'plain ' . ::says('/ab/cd/abcd', 'image/png', 'inline', 26) . qq(\nbad {"success":false,"message":"m","error":{"code":"forbidden"}}\n)
--- steps
worker FILE good/original 200 $local
worker FILE a*/original 0
a1 request GET /api/files/a1/download?u=u1&e=1&s=aa
a2 request GET /api/files/a2/download?u=u1&e=1&s=aa
a3 request GET /api/files/a3/download?u=u1&e=1&s=aa
call FILE a1/original r=@reply i=@i1
call FILE a2/original i=@i2
call FILE a3/original i=@i3
# counted when it is known whose they were, and one more a second would pass: it
# is known, and then there is more, at once
nginx hold
redis PUBLISH $reply 'R $i1 200 -\n$plain'
redis PUBLISH $reply 'R $i2 200 -\n$plain'
redis PUBLISH $reply 'R $i3 200 -\n$plain'
h request GET /api/files/good/download?u=u1&e=1&s=aa
g request GET /api/files/good/download token=u1
o request GET /api/files/good/download?u=u2&e=1&s=aa
nginx go
all a response 200
h response 429 error.code=rate_limited header.retry-after=1
g response 429
o response 200
# others to the address, not to whom they name
b1 request GET /api/files/a4/download?u=u3&e=1&s=aa
b2 request GET /api/files/a5/download?u=u3&e=1&s=aa
b3 request GET /api/files/a6/download?u=u4&e=1&s=aa
call FILE a4/original i=@i1
call FILE a5/original i=@i2
call FILE a6/original i=@i3
nginx hold
redis PUBLISH $reply 'R $i1 403 -\n$bad'
redis PUBLISH $reply 'R $i2 403 -\n$bad'
redis PUBLISH $reply 'R $i3 403 -\n$bad'
h request GET /api/files/good/download?u=u5&e=1&s=aa
g request GET /api/files/good/download token=u3
nginx go
all b response 403
h response 429
g response 200


=== TEST 9: what the worker refuses
--- with eval: $::Local
--- steps
worker FILE f404/original 404 {"success":false,"message":"m","error":{"code":"not_found"}}
worker FILE f403/original 403 {"success":false,"message":"m","error":{"code":"forbidden"}}
worker FILE f422/original 422 {"success":false,"message":"m","error":{"code":"infected"}}
worker FILE f425/original 425 retry=2 {"success":false,"message":"m","error":{"code":"scan_pending"}}
h request GET /api/files/f404/download token=u1
h response 404 error.code=not_found header.cache-control=no-store header.content-type~json header.x-content-type-options=nosniff header.content-disposition!
h request GET /api/files/f403/download token=u1 header="Range: bytes=0-1"
h response 403 error.code=forbidden
h request GET /api/files/f422/download token=u1 header="If-None-Match: *"
h response 422 error.code=infected
h request GET /api/files/f425/download token=u1
h response 425 error.code=scan_pending header.retry-after=2
h request HEAD /api/files/f422/download token=u1
h response 422 body=


=== TEST 10: no answer; a client that goes; Redis away
--- with eval: $::Local . "writeen_api_timeout 3s;"
--- vars eval: $::Answers
--- steps
worker FILE silent/original 0
worker FILE slow/original 200 delay=0.3 $local
worker FILE good/original 200 $local
h request GET /api/files/silent/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] header.cache-control=no-store
h request GET /api/files/slow/download token=u1
until call FILE slow/original
h drop
sleep 0.5
h request GET /api/files/good/download?u=u1&e=1&s=aa
h response 200
server main kill
h request GET /api/files/good/download token=u1
h response 503 error.code=unavailable
h request GET /api/files/good/download?u=u1&e=1&s=aa
h response 503 error.code=unavailable
server main start


=== TEST 11: nginx ends while a link waits
--- with eval: $::Local . "writeen_api_timeout 10s;"
--- steps
worker FILE silent/original 0
h request GET /api/files/silent/download?u=u1&e=1&s=aa
until call FILE silent/original
nginx term
nginx gone 8
h expect_eof


=== TEST 12: bytes that are not there
--- with eval: $::Local
--- vars eval: $::Answers
--- steps
worker FILE none/original 200 $none
worker FILE outside/original 200 $outside
worker FILE folder/original 200 $folder
h request GET /api/files/none/download token=u1
h response 404 error.code=not_found message~. header.content-type~json header.cache-control=no-store header.content-disposition! header.x-file-scan-status! header.etag! header.x-content-type-options=nosniff body!~cd
log ~ the storage has answered 404 for file none/original
access ~ "GET /api/files/none/download HTTP
h request HEAD /api/files/none/download token=u1
h response 404 body=
h request GET /api/files/none/download token=u1 header="Range: bytes=0-1"
h response 404
h request GET /api/files/outside/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] body!~html
h request GET /api/files/folder/download token=u1
h response 503 error.code=unavailable header.location!


=== TEST 13: the internal location
--- with eval: $::Local
--- vars eval: $::Answers
--- steps
worker FILE * 200 $local
h request GET /writeen-files/ab/cd/abcd token=u1
h response 404
h request GET /writeen-files/ab/cd/abcd
h response 404
h request GET /api/../writeen-files/ab/cd/abcd token=u1
h response 404
h request GET /api/files/f1/download token=u1
h response 200


=== TEST 14: one that is not internal, none at all, and none said
--- with
location /open/ {
    writeen_files /open-files/;
    rewrite ^/open(/.*) $1 break;
    writeen_api on;
}
location /none/ {
    writeen_files /no-files/;
    rewrite ^/none(/.*) $1 break;
    writeen_api on;
}
location /self/ {
    writeen_files /api/x/;
    rewrite ^/self(/.*) $1 break;
    writeen_api on;
}
location /open-files/ { alias $TEST_NGINX_FILES/; }
location /no-files { return 200 "wrong"; }
--- vars eval: $::Answers
--- steps
worker FILE * 200 $local
h request GET /open/api/files/f1/download token=u1
h response 503 error.code=unavailable header.content-disposition!
log ~ "writeen_files /open-files/" leads to "/open-files/ab/cd/abcd", which is in no location with "internal"
h request GET /none/api/files/f1/download token=u1
h response 503 error.code=unavailable
log ~ "writeen_files /no-files/" leads to "/no-files/ab/cd/abcd", which is in no location with "internal"
h request GET /self/api/files/f1/download token=u1
h response 503 error.code=unavailable
log ~ "writeen_files /api/x/" leads to
h request GET /api/files/f1/download token=u1
h response 503 error.code=unavailable
log ~ there is no "writeen_files"
# nobody can fill the log who has no token
h request GET /api/files/f1/download
h response 401


=== TEST 15: settings of the location do not get in between
--- with
writeen_files /writeen-files/;
error_page 404 503 /page;
location = /page { internal; return 200 "page"; }
location /writeen-files/ {
    internal;
    error_page 404 /page;
    alias $TEST_NGINX_FILES/;
}
--- vars eval: $::Answers
--- steps
worker FILE none/original 200 $none
worker FILE good/original 200 $local
h request GET /api/files/none/download token=u1
h response 404 error.code=not_found
h request GET /api/files/good/download token=u1
h response 200


=== TEST 16: answers that can not be used
--- with eval: $::Local
--- steps
worker FILE a/original 200 {"success":true}
worker FILE b/original 200 "nonsense"
worker FILE c/original 200 {"success":true,"data":{"tail":"","contentType":"a/b","disposition":"inline","etag":"h1","scanStatus":"clean","size":26}}
worker FILE d/original 200 {"success":true,"data":{"tail":"/../ab/cd/abcd","contentType":"a/b","disposition":"inline","etag":"h1","scanStatus":"clean","size":26}}
worker FILE e/original 200 {"success":true,"data":{"tail":"/ab/../ab/cd/abcd","contentType":"a/b","disposition":"inline","etag":"h1","scanStatus":"clean","size":26}}
worker FILE f/original 200 {"success":true,"data":{"tail":"//host/ab","contentType":"a/b","disposition":"inline","etag":"h1","scanStatus":"clean","size":26}}
worker FILE g/original 200 {"success":true,"data":{"tail":"/ab/cd/abcd","contentType":"a/b\r\nX-Evil: 1","disposition":"inline","etag":"h1","scanStatus":"clean","size":26}}
worker FILE h/original 200 {"success":true,"data":{"tail":"/ab/cd/abcd","contentType":"a/b","disposition":"inline\nX-Evil: 1","etag":"h1","scanStatus":"clean","size":26}}
worker FILE i/original 200 {"success":true,"data":{"tail":"/ab/cd/abcd","contentType":"a/b","disposition":"inline","etag":"h\" 1","scanStatus":"clean","size":26}}
worker FILE j/original 200 {"success":true,"data":{"tail":"/ab/cd/abcd","contentType":"a/b","disposition":"inline","etag":"h1","scanStatus":"clean","size":"26"}}
worker FILE k/original 200 {"success":true,"data":{"tail":"/ab/cd/abcd","contentType":null,"disposition":"inline","etag":"h1","scanStatus":"clean","size":26}}
worker FILE l/original 200 {"success":true,"data":{"tail":"/ab%2fcd","contentType":"a/b","disposition":"inline","etag":"h1","scanStatus":"clean","size":26}}
worker FILE m/original 200 {"success":true,"data":{"tail":"/$long","contentType":"a/b","disposition":"inline","etag":"h1","scanStatus":"clean","size":26}}
worker FILE n/original 200 {"success":true,"data":{"tail":"/ab/cd/abcd?a b","contentType":"a/b","disposition":"inline","etag":"h1","scanStatus":"clean","size":26}}
h request GET /api/files/a/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/b/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/c/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/d/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/e/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/f/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/g/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/h/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/i/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/j/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/k/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/l/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/m/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
h request GET /api/files/n/download token=u1
h response 503 error.code=unavailable header.x-evil! body!~html
log ~ the worker pool's answer about file a/original can not be used
--- vars
long x*8192


=== TEST 17: names of files
--- with eval: $::Local
--- steps
worker FILE win/original 200 {"success":true,"data":{"tail":"/ab/cd/abcd","contentType":"text/plain; charset=utf-8","disposition":"attachment; filename=\"C__Users_Ani_CON.txt\"; filename*=UTF-8''C%3A%5CUsers%5CAni%5CCON.txt","etag":"\"h1\"","scanStatus":"clean","size":26}}
worker FILE long/original 200 {"success":true,"data":{"tail":"/ab/cd/abcd","contentType":"a/b","disposition":"attachment; filename=\"_\"; filename*=UTF-8''$name","etag":"h1","scanStatus":"clean","size":26}}
h request GET /api/files/win/download token=u1
h response 200 header.content-type="text/plain; charset=utf-8" header.etag="\"h1\"" header.content-disposition="attachment; filename=\"C__Users_Ani_CON.txt\"; filename*=UTF-8''C%3A%5CUsers%5CAni%5CCON.txt"
h request GET /api/files/long/download token=u1
h response 200 body~^abc header.content-disposition="attachment; filename=\"_\"; filename*=UTF-8''$name"
--- vars
name %E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93%E2%9C%93


=== TEST 18: a large one, and several on one connection
--- with eval: $::Local
--- vars eval: $::Answers . "all x*3000000\n"
--- steps
worker FILE large/original 200 $large
worker FILE f1/original 200 $local
worker FILE none/original 200 $none
h request GET /api/files/large/download token=u1 keep=1
h response 200 body=$all header.content-type=application/pdf
h request GET /api/files/none/download token=u1 same=1
h response 404
h request GET /api/files/f1/download token=u1 same=1
h response 200 body=abcdefghijklmnopqrstuvwxyz
h request GET /api/files/f1/download token=u1 same=1 header="If-None-Match: \"h1\""
h response 304
h request GET /api/files/large/download token=u1 same=1 header="Range: bytes=2999990-"
h response 206 body=xxxxxxxxxx
h request GET /api/files/f1/download token=u1 same=1 body=abc type=text/plain
h response 200 body=abcdefghijklmnopqrstuvwxyz
h request HEAD /api/files/f1/download token=u1 same=1
h response 200 body=
h request GET /api/files/f1/download same=1
h response 401


=== TEST 19: pages of other origins
--- config
writeen_jwt_key HS256 $TEST_NGINX_SECRET;
location /api/ {
    writeen_api on;
    writeen_files /writeen-files/;
    writeen_origin https://app.example;
}
location = /healthz { writeen_health on; }
location /writeen-files/ { internal; alias $TEST_NGINX_FILES/; }
--- vars eval: $::Answers
--- steps
worker FILE good/original 200 $local
worker FILE none/original 200 $none
h request GET /api/files/good/download token=u1 origin=https://app.example
h response 200 header.access-control-allow-origin=https://app.example header.access-control-expose-headers~Content-Disposition header.access-control-expose-headers~X-File-Scan-Status header.vary~Origin
h request GET /api/files/good/download token=u1 origin=https://app.example header="If-None-Match: *"
h response 304 header.access-control-allow-origin=https://app.example
h request GET /api/files/none/download token=u1 origin=https://app.example
h response 404 header.access-control-allow-origin=https://app.example header.vary=Origin
h request GET /api/files/good/download token=u1 origin=https://app.example header="Range: bytes=99-"
h response 416 header.access-control-allow-origin=https://app.example header.access-control-expose-headers~Content-Range
h request GET /api/files/good/download token=u1 origin=https://evil.example
h response 200 header.access-control-allow-origin!
h request OPTIONS /api/files/good/download origin=https://app.example header="Access-Control-Request-Method: GET" header="Access-Control-Request-Headers: authorization,range"
h response 204 header.access-control-allow-headers~Authorization header.access-control-allow-headers~Range


=== TEST 20: from S3
--- http_with eval: $::S3
--- with eval: $::Remote
--- vars eval: $::Answers . "all x*3000000\n"
--- steps
worker FILE key/original 200 $s3key
worker FILE large/original 200 $s3large
h request GET /api/files/key/download token=u1
h response 200 body=abcdefghijklmnopqrstuvwxyz header.content-type=image/jpeg header.content-length=26 header.content-disposition="inline; filename=\"b.jpg\"" header.x-file-scan-status=clean header.x-content-type-options=nosniff header.content-security-policy="default-src 'none'; sandbox" header.cache-control=private header.etag="\"h1\"" header.last-modified="Sun, 09 Sep 2001 01:46:40 GMT" header.accept-ranges=bytes header.set-cookie! header.x-amz-request-id! header.x-amz-meta-name! header.x-minio-deployment! header.x-accel-redirect! header.www-authenticate!
access ~ "GET /api/files/key/download HTTP
access !~ X-Amz
h request HEAD /api/files/key/download token=u1
h response 200 body= header.content-length=26 header.etag="\"h1\""
h request GET /api/files/key/download token=u1 header="Range: bytes=24-"
h response 206 body=yz header.content-range="bytes 24-25/26" header.content-type=image/jpeg header.content-disposition~b.jpg header.x-amz-request-id!
h request GET /api/files/key/download token=u1 header="Range: bytes=-3"
h response 206 body=xyz
# several at once are not for S3: it is whole
h request GET /api/files/key/download token=u1 header="Range: bytes=0-1,4-5"
h response 200 body=abcdefghijklmnopqrstuvwxyz
h request GET /api/files/key/download token=u1 header="Range: bytes=26-"
h response 416 header.content-range="bytes */26" error.field=Range header.content-type~json header.x-amz-request-id!
h request GET /api/files/key/download token=u1 header="If-None-Match: \"h1\""
h response 304 header.etag="\"h1\"" header.x-amz-request-id!
h request GET /api/files/key/download token=u1 header="If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"
h response 304 header.etag="\"h1\"" header.x-file-scan-status=clean header.x-amz-request-id! header.set-cookie!
h request GET /api/files/key/download token=u1 header="If-Range: \"h1\"" header="Range: bytes=24-"
h response 206 body=yz
h request GET /api/files/key/download token=u1 header="If-Range: \"h2\"" header="Range: bytes=24-"
h response 200 body~^abc
h request GET /api/files/key/download token=u1 header="If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT"
h response 412 error.code=conflict header.x-amz-request-id! body!~SECRET
h request GET /api/files/large/download token=u1 keep=1
h response 200 body=$all
h request GET /api/files/key/download token=u1 same=1
h response 200 body=abcdefghijklmnopqrstuvwxyz


=== TEST 21: what S3 gets to see
--- http_with eval: $::S3
--- with eval: $::Remote
--- vars eval: $::Answers
--- steps
worker FILE * 200 $s3echo
h request GET /api/files/f1/download?u=u1&e=1&s=aa header="Cookie: c" header="X-Test: x" header="User-Agent: me" header="If-None-Match: \"x\""
h response 200 body="GET h=s3.example:9000 a= c= t= u= n= r= l= q=X-Amz-Signature=0123abcd&x=%2F"
h request GET /api/files/f1/download?a=b token=u1 header="Range: bytes=2-" header="Transfer: x" body=abc type=text/plain
h response 200 body="GET h=s3.example:9000 a= c= t= u= n= r=bytes=2- l= q=X-Amz-Signature=0123abcd&x=%2F"
h request GET /api/files/f1/download token=u1 header="If-Range: \"x\"" header="Range: bytes=2-"
h response 200 body~\x20r=\x20
h request HEAD /api/files/f1/download token=u1
h response 200 body=


=== TEST 22: S3's errors are not told
--- http_with eval: $::S3
--- with eval: $::Remote
--- vars eval: $::Answers
--- steps
worker FILE none/original 200 $s3none
worker FILE gone/original 200 $s3gone
worker FILE denied/original 200 $s3denied
worker FILE odd/original 200 $s3odd
worker FILE moved/original 200 $s3moved
worker FILE other/original 200 $s3other
worker FILE broken/original 200 $s3broken
worker FILE busy/original 200 $s3busy
worker FILE empty/original 200 $s3empty
worker FILE login/original 200 $s3login
worker FILE nothing/original 200 $s3nothing
h request GET /api/files/none/download token=u1
h response 404 error.code=not_found header.content-type~json header.cache-control=no-store header.x-amz-request-id! header.set-cookie! header.content-disposition! header.content-security-policy! body!~SECRET
h request HEAD /api/files/none/download token=u1
h response 404 body= header.x-amz-request-id!
h request GET /api/files/gone/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] header.content-type~json header.x-amz-request-id! header.set-cookie! header.location! header.www-authenticate! body!~SECRET
h request GET /api/files/denied/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] header.content-type~json header.x-amz-request-id! header.set-cookie! header.location! header.www-authenticate! body!~SECRET
h request GET /api/files/odd/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] header.content-type~json header.x-amz-request-id! header.set-cookie! header.location! header.www-authenticate! body!~SECRET
h request GET /api/files/moved/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] header.content-type~json header.x-amz-request-id! header.set-cookie! header.location! header.www-authenticate! body!~SECRET
h request GET /api/files/other/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] header.content-type~json header.x-amz-request-id! header.set-cookie! header.location! header.www-authenticate! body!~SECRET
h request GET /api/files/broken/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] header.content-type~json header.x-amz-request-id! header.set-cookie! header.location! header.www-authenticate! body!~SECRET
h request GET /api/files/busy/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] header.content-type~json header.x-amz-request-id! header.set-cookie! header.location! header.www-authenticate! body!~SECRET
h request GET /api/files/empty/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] header.content-type~json header.x-amz-request-id! header.set-cookie! header.location! header.www-authenticate! body!~SECRET
h request GET /api/files/login/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] header.content-type~json header.x-amz-request-id! header.set-cookie! header.location! header.www-authenticate! body!~SECRET
h request GET /api/files/nothing/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] header.content-type~json header.x-amz-request-id! header.set-cookie! header.location! header.www-authenticate! body!~SECRET

=== TEST 23: S3 is away
--- http_with
upstream writeen_s3 { server 127.0.0.1:1; }
--- with eval: $::Remote
--- vars eval: $::Answers
--- steps
worker FILE * 200 $s3key
h request GET /api/files/f1/download token=u1
h response 503 error.code=unavailable header.retry-after~^[1-9] header.content-disposition! body!~html
log ~ the storage has answered 502 for file f1/original
h request HEAD /api/files/f1/download token=u1
h response 503 body=


=== TEST 24: writeen_files
--- no_wait
--- steps
good http: writeen_files /writeen-files/;
good server: writeen_files /writeen-files/;
good location: writeen_api on; writeen_files /a/b-c_d.e/;
bad http: writeen_files; ~ invalid number of arguments in "writeen_files"
bad http: writeen_files writeen-files/; ~ "writeen_files".*begins and ends with a slash
bad http: writeen_files /writeen-files; ~ "writeen_files".*begins and ends with a slash
bad http: writeen_files /; ~ "writeen_files".*begins and ends with a slash
bad http: writeen_files //; ~ "writeen_files"
bad http: writeen_files /a/../b/; ~ "writeen_files"
bad http: writeen_files /a//b/; ~ "writeen_files"
bad http: writeen_files /$HOST/; ~ "writeen_files"
bad http: writeen_files "/a b/"; ~ "writeen_files"
bad http: writeen_files /a?b/; ~ "writeen_files"
bad http: writeen_files /a/; writeen_files /b/; ~ "writeen_files" directive is duplicate
bad main: writeen_files /a/; ~ "writeen_files" directive is not allowed here
