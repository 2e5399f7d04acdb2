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
a response 101 header.sec-websocket-extensions="permessage-deflate; client_no_context_takeover"
a expect connected
a handshake token=u1 header="Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"
a response 101 header.sec-websocket-extensions="permessage-deflate; client_no_context_takeover; server_no_context_takeover"
a expect connected
a handshake token=u1 header="Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=15"
a response 101 header.sec-websocket-extensions="permessage-deflate; client_no_context_takeover; server_max_window_bits=15"
a expect connected
a handshake token=u1 header="Sec-WebSocket-Extensions: x-odd, permessage-deflate; server_max_window_bits=8" header="Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12"
a response 101 header.sec-websocket-extensions="permessage-deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=9"
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


=== TEST 7: an event is compressed on the one before it, for those who had that last
--- with
writeen_deflate on;
--- steps
room room1 u1 u2 u3 u4 u5 u6 u7 u8
room room2 u1 u2
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
b connect u2 header="Sec-WebSocket-Extensions: permessage-deflate"
c connect u2 header="Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"
d connect u2 header="Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9"
post room1 u1 the first of them
a expect message_received data.seq==1 data.message.content.text="the first of them"
a packed > 200
b expect message_received data.seq==1
post room1 u2 and another one
a expect message_received data.seq==2 data.message.content.text="and another one"
b expect message_received data.seq==2 data.message.content.text="and another one"
c find message_received data.seq==2 data.message.content.text="and another one"
d find message_received data.seq==2 data.message.content.text="and another one"
a packed < 120
b packed < 120
c packed > 200
d packed > 200
# who comes now has nothing yet
e connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
post room1 u2 a third
a expect message_received data.seq==3
e expect message_received data.seq==3 data.message.content.text="a third"
a packed < 120
e packed > 200
post room1 u2 a fourth
e expect message_received data.seq==4 data.message.content.text="a fourth"
e packed < 120
a expect message_received data.seq==4
b expect message_received data.seq==3
b expect message_received data.seq==4
# something else in between, for one of them
b send join_conversation {"conversationId":"room1"}
b find conversation_joined
b packed > 120
post room1 u1 a fifth
a expect message_received data.seq==5 data.message.content.text="a fifth"
b expect message_received data.seq==5 data.message.content.text="a fifth"
a packed < 120
b packed > 200
# another room's
post room2 u1 elsewhere
a find message_received data.conversationId=room2 data.message.content.text=elsewhere
b find message_received data.conversationId=room2
a packed > 200
b packed > 200
post room1 u1 here again
a expect message_received data.seq==6 data.message.content.text="here again"
a packed > 200
post room1 u1 and here
a expect message_received data.seq==7 data.message.content.text="and here"
b find message_received data.seq==7 data.message.content.text="and here"
a packed < 120
b packed < 120
# short ones, in plain, do no harm
a send ping
a expect pong
post room1 u1 the last
a expect message_received data.seq==8 data.message.content.text="the last"
a packed < 120
b ignore
c ignore
d ignore
e ignore


=== TEST 8: a long one is not kept for the next
--- with
writeen_deflate on;
writeen_max_text 16k;
--- vars
long x*6000
--- steps
room room1 u1 u2
a connect u1 header="Sec-WebSocket-Extensions: permessage-deflate"
post room1 u2 one
a expect message_received data.seq==1
post room1 u2 $long
a expect message_received data.seq==2
post room1 u2 two
a expect message_received data.seq==3 data.message.content.text=two
a packed > 200
post room1 u2 three
a expect message_received data.seq==4 data.message.content.text=three
a packed < 120
# what is read again from the log is not what the others had
b connect u1 resume=1 header="Sec-WebSocket-Extensions: permessage-deflate"
b send resume {"conversations":{"room1":2}}
b find message_received data.seq==3
b find message_received data.seq==4
b packed > 200
post room1 u2 four
b find message_received data.seq==5 data.message.content.text=four
b packed > 200
a expect message_received data.seq==5 data.message.content.text=four
a packed < 120
post room1 u2 five
b find message_received data.seq==6 data.message.content.text=five
b packed < 120
b ignore
a ignore
