# permessage-deflate (RFC 7692), from the wire.
#
# The codec has unit tests and a fuzzer, and the conformance suite sends it
# what is right.  Here it is what a chat makes of it: a message that many get
# is compressed once, and only for those who asked; and a client whose few
# bytes stand for a gigabyte, or for nothing that can be read, is closed without
# the others, who share zlib's state with it, noticing.

use lib 't/lib';
use Test::Nginx::Writeen;

run_tests();

__DATA__

=== TEST 1: only where it is switched on
--- steps
user u1
a handshake token=u1 header="Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
a response 101 header.sec-websocket-extensions!
a expect connected
a frame text deflate=1 "{\"event\":\"ping\"}"
a expect_close 1002


=== TEST 2: what is agreed on
--- with
writeen_deflate on;
--- steps
user u1
a handshake token=u1
a response 101 header.sec-websocket-extensions!
a expect connected
a frame text deflate=1 "{\"event\":\"ping\"}"
a expect_close 1002
a handshake token=u1 header="Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
a response 101 header.sec-websocket-extensions="permessage-deflate; server_no_context_takeover; client_no_context_takeover"
a expect connected
a handshake token=u1 header="Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15"
a response 101 header.sec-websocket-extensions="permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15"
a expect connected
a handshake token=u1 header="Sec-WebSocket-Extensions: x-odd, permessage-deflate; server_max_window_bits=8" header="Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12"
a response 101 header.sec-websocket-extensions="permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9"
a expect connected
a handshake token=u1 header="Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8"
a response 101 header.sec-websocket-extensions!
a expect connected
a handshake token=u1 header="Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=\"15"
a response 101 header.sec-websocket-extensions!
a expect connected


=== TEST 3: what clients send
--- with
writeen_deflate on;
--- steps
user u1
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
a frame text deflate=1 "{\"event\":\"ping\"}"
a expect pong
# not each message has to be compressed
a send ping
a expect pong
# in pieces, with a Ping in between: RSV1 stands on the first
a frame text rsv=4 fin=0 hex:aa564a2d4bcd2b51b2
a frame ping "x"
a expect_frame pong "x"
a frame cont fin=0
a frame cont slow=1 hex:522ac8cc4b57aa0500
a expect pong
a frame text deflate=1 slow=1 "{\"event\":\"ping\"}"
a expect pong
# an empty one is no event, and no error of the protocol
a frame text rsv=4 hex:00
a expect error data.code=invalid_request
a frame text rsv=4
a expect error data.code=invalid_request
a frame text fin=0 "{"
a frame cont rsv=4 hex:00
a expect_close 1002
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
a frame ping rsv=4
a expect_close 1002
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
a frame text rsv=2 hex:00
a expect_close 1002
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
a frame binary rsv=4 hex:00
a expect_close 1003


=== TEST 4: what is sent is compressed for those who agreed
--- with
writeen_deflate on;
--- steps
room room1 u1 u2
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
b connect u2 header="Sec-WebSocket-Extensions: permessage-deflate"
c connect u2 header="Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9"
d connect u2
a compressed = 0
post room1 u1 this_is_it_this_is_it_this_is_it_this_is_it_this_is_it_this_is_it
a expect message_received data.message.content.text~^this_is_it
b expect message_received data.message.content.text~^this_is_it
c expect message_received data.message.content.text~^this_is_it
d expect message_received data.message.content.text~^this_is_it
a compressed = 1
b compressed = 1
c compressed = 1
d compressed = 0
# short ones stay as they are
a send ping
a expect pong
a compressed = 1
# and what is read again from the log is like what came live
e connect u2 header="Sec-WebSocket-Extensions: permessage-deflate"
e send join_conversation {"conversationId":"room1","afterSeq":0}
e expect conversation_joined
e expect message_received data.message.content.text~^this_is_it
e compressed > 0


=== TEST 5: a little that becomes a lot
--- with
writeen_deflate on;
--- steps
room room1 u1 u2
b connect u2 header="Sec-WebSocket-Extensions: permessage-deflate"
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
# 64k is the limit, for what it is when inflated
a frame text deflate=1 x*65536
a expect error data.code=invalid_request
a frame text deflate=1 x*65537
a expect_close 1009
nginx memory mark
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
a frame text deflate=1 x*20000000
a expect_close 1009
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
a frame text deflate=1 x*40000000
a expect_close 1009
nginx memory < 2000
# who shares the process has seen nothing of it
b frame text deflate=1 "{\"event\":\"ping\"}"
b expect pong
b quiet 0.02


=== TEST 6: what can not be inflated
--- with
writeen_deflate on;
--- steps
user u1
user u2
b connect u2 header="Sec-WebSocket-Extensions: permessage-deflate"
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
a frame text rsv=4 hex:07
a expect_close 1007
b frame text deflate=1 "{\"event\":\"ping\"}"
b expect pong
# the end is missing
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
a frame text rsv=4 hex:aa564a2d4bcd2b51b2
a expect_close 1007
# data after the last block
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
a frame text rsv=4 hex:03000000
a expect_close 1007
# no UTF-8 inside
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
a frame text deflate=1 "\xff\xfe"
a expect_close 1007
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
a frame text deflate=1 "\xe2\x9c"
a expect_close 1007
b frame text deflate=1 "{\"event\":\"ping\"}"
b expect pong
