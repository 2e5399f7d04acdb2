# Frames, RFC 6455 sections 5 to 8, from the wire.
#
# The codec has unit tests; here it is what nginx's read handler makes of it:
# frames that come in pieces or several at once, errors that must end the
# connection with their close code and nothing else, and limits that hold
# before memory is taken.  A client library never sends any of this; a hostile
# client sends nothing else.

use lib 't/lib';
use Test::Nginx::Writeen;

run_tests();

__DATA__

=== TEST 1: ping and pong
--- steps
user u1
a connect u1
a frame ping
a expect_frame pong ""
a frame ping "hello"
a expect_frame pong "hello"
a frame ping a*125
a expect_frame pong a*125
a frame ping hex:00ff80fe
a expect_frame pong hex:00ff80fe
# a pong that nobody asked for is nothing
a frame pong
a frame pong "whatever"
a quiet
a send ping
a expect pong


=== TEST 2: closing, from the client
--- steps
user u1
a connect u1
a close 1000
a expect_close 1000
a connect u1
a close 1001 "going home"
a expect_close 1001
a connect u1
a close
a expect_close 1005
a connect u1
a close 3000
a expect_close 3000
a connect u1
a close 4999
a expect_close 4999
a connect u1
a close 1014
a expect_close 1014
a connect u1
a frame close hex:03e8e29c93
a expect_close 1000


=== TEST 3: close codes that must not be on the wire
--- steps
user u1
a connect u1
a close 0
a expect_close 1002
a connect u1
a close 999
a expect_close 1002
a connect u1
a close 1004
a expect_close 1002
a connect u1
a close 1005
a expect_close 1002
a connect u1
a close 1006
a expect_close 1002
a connect u1
a close 1015
a expect_close 1002
a connect u1
a close 1016
a expect_close 1002
a connect u1
a close 2999
a expect_close 1002
a connect u1
a close 5000
a expect_close 1002
a connect u1
a close 65535
a expect_close 1002


=== TEST 4: bad close payloads
--- steps
user u1
a connect u1
a frame close "x"
a expect_close 1002
a connect u1
a frame close hex:03e8ff
a expect_close 1007
a connect u1
a frame close hex:03e8ce
a expect_close 1007
a connect u1
a frame close len16=1 a*126
a expect_close 1002


=== TEST 5: after a Close nothing counts any more
--- steps
room room1 u1 u2
a connect u1
b connect u2
a close 1000
a send send_message {"conversationId":"room1","content":{"text":"late"}}
a frame ping "late"
a expect_close 1000
b quiet
redis HGET %conv(room1) seq = 0


=== TEST 6: no mask
--- steps
user u1
a connect u1
a frame text mask=0 "{}"
a expect_close 1002
a connect u1
a frame ping mask=0
a expect_close 1002
a connect u1
a frame close mask=0 hex:03e8
a expect_close 1002


=== TEST 7: reserved bits
--- steps
user u1
a connect u1
a frame text rsv=1 "{}"
a expect_close 1002
a connect u1
a frame text rsv=2 "{}"
a expect_close 1002
a connect u1
a frame text rsv=4 "{}"
a expect_close 1002
a connect u1
a frame ping rsv=4
a expect_close 1002
a connect u1
a frame close rsv=1 hex:03e8
a expect_close 1002
a connect u1
a frame text fin=0 "{"
a frame cont rsv=4 "}"
a expect_close 1002


=== TEST 8: reserved opcodes
--- steps
user u1
a connect u1
a frame 3 "x"
a expect_close 1002
a connect u1
a frame 4
a expect_close 1002
a connect u1
a frame 5 "x"
a expect_close 1002
a connect u1
a frame 6 "x"
a expect_close 1002
a connect u1
a frame 7 "x"
a expect_close 1002
a connect u1
a frame 11 "x"
a expect_close 1002
a connect u1
a frame 12
a expect_close 1002
a connect u1
a frame 13 "x"
a expect_close 1002
a connect u1
a frame 14 "x"
a expect_close 1002
a connect u1
a frame 15 "x"
a expect_close 1002


=== TEST 9: control frames that are long or in pieces
--- steps
user u1
a connect u1
a frame ping a*126
a expect_close 1002
a connect u1
a frame pong a*126
a expect_close 1002
a connect u1
a frame ping a*70000
a expect_close 1002
a connect u1
a frame ping fin=0 "x"
a expect_close 1002
a connect u1
a frame pong fin=0 "x"
a expect_close 1002
a connect u1
a frame close fin=0 hex:03e8
a expect_close 1002


=== TEST 10: lengths that are not written in the shortest way
--- steps
user u1
a connect u1
a frame text len16=1 "{}"
a expect_close 1002
a connect u1
a frame text len64=1 "{}"
a expect_close 1002
a connect u1
a frame text len64=1 a*65535
a expect_close 1002
a connect u1
a frame ping len16=1 "x"
a expect_close 1002
a connect u1
# the top bit of a 64-bit length
a bytes 81ff800000000000000100000000
a expect_close 1002


=== TEST 11: sizes at every border of the length field
--- with
writeen_max_message 128k;
--- steps
user u1
a connect u1
# messages of 125, 126, 65535 and 65536 bytes
a text {"event":"ping","data":{"p":"$to_125"}}
a expect pong
a text {"event":"ping","data":{"p":"$to_126"}}
a expect pong
a text {"event":"ping","data":{"p":"$to_65535"}}
a expect pong
a text {"event":"ping","data":{"p":"$to_65536"}}
a expect pong
--- vars
to_125 x*93
to_126 x*94
to_65535 x*65503
to_65536 x*65504


=== TEST 12: messages that are too big
--- with
writeen_max_message 1k;
writeen_max_text 512;
--- steps
user u1
a connect u1
# 1024 bytes are just right
a text {"event":"ping","data":{"p":"$pad"}}
a expect pong
a text {"event":"ping","data":{"p":"$pad."}}
a expect_close 1009
# it is the announced length that counts: no byte of it is waited for
a connect u1
a bytes 81fe040100000000
a expect_close 1009
a connect u1
a bytes 81ff7fffffffffffffff00000000
a expect_close 1009
# and the sum of fragments
a connect u1
a frame text fin=0 x*1000
a frame cont fin=0 x*24
a frame cont "x"
a expect_close 1009
a connect u1
a frame text fin=0 x*1000
a bytes 80fe001900000000
a expect_close 1002
a connect u1
a frame text fin=0 x*900
a bytes 80fe007e00000000
a expect_close 1009
--- vars
pad x*992


=== TEST 13: the default limit of 64 KB
--- steps
user u1
a connect u1
a text {"event":"ping","data":{"p":"$pad"}}
a expect pong
a text {"event":"ping","data":{"p":"$pad."}}
a expect_close 1009
--- vars
pad x*65504


=== TEST 14: binary messages are not for us
--- steps
user u1
a connect u1
a frame binary "{}"
a expect_close 1003
a connect u1
a frame binary fin=0 "{"
a expect_close 1003


=== TEST 15: fragments
--- steps
user u1
a connect u1
a frame text fin=0 "{\"event\""
a frame cont fin=0 ":\"pi"
a frame cont "ng\"}"
a expect pong
a frame text fin=0
a frame cont fin=0
a frame cont "{\"event\":\"ping\"}"
a expect pong
a frame text fin=0 "{\"event\":\"ping\"}"
a frame cont
a expect pong
# control frames may come in between, and are answered at once
a frame text fin=0 "{\"event\":"
a frame ping "between"
a expect_frame pong "between"
a frame pong "between"
a frame cont fin=0 "\"ping"
a frame ping "again"
a expect_frame pong "again"
a frame cont "\"}"
a expect pong


=== TEST 16: many tiny fragments
--- steps
user u1
a connect u1
a frame text fin=0 "{\"event\":\"ping\",\"data\":{\"p\":\""
repeat 1000 a frame cont fin=0 "x"
a frame cont "\"}}"
a expect pong


=== TEST 17: continuations that continue nothing, and messages in messages
--- steps
user u1
a connect u1
a frame cont "x"
a expect_close 1002
a connect u1
a frame cont fin=0 "x"
a expect_close 1002
a connect u1
a frame text fin=0 "{"
a frame text "{}"
a expect_close 1002
a connect u1
a frame text fin=0 "{"
a frame binary "x"
a expect_close 1002
a connect u1
a send ping
a expect pong
a frame cont "x"
a expect_close 1002


=== TEST 18: closing in the middle of a message
--- steps
user u1
a connect u1
a frame text fin=0 "{"
a close 1000
a expect_close 1000


=== TEST 19: byte by byte
--- steps
user u1
a connect u1
a frame text slow=1 "{\"event\":\"ping\",\"id\":\"slow\"}"
a expect pong
a frame text fin=0 slow=1 "{\"event\":\"pi"
a frame ping slow=1 "hello"
a expect_frame pong "hello"
a frame cont slow=1 "ng\"}"
a expect pong
a frame text slow=1 "{\"event\":\"ping\",\"data\":{\"p\":\"$pad\"}}"
a expect pong
a frame close slow=1 hex:03e8
a expect_close 1000
--- vars
pad x*200


=== TEST 20: many frames in one packet, the last not whole
--- steps
user u1
a connect u1
a bytes 898000000000 898100000000 41 8190000000007b226576656e74223a2270696e67227d 8982000000
a expect_frame pong ""
a expect_frame pong "A"
a expect pong
a quiet
a bytes 004243
a expect_frame pong "BC"


=== TEST 21: text that is not UTF-8
--- steps
user u1
a connect u1
a frame text hex:ff
a expect_close 1007
a connect u1
# overlong, surrogate, above U+10FFFF, cut off, a stray continuation byte
a frame text hex:c0af
a expect_close 1007
a connect u1
a frame text hex:eda080
a expect_close 1007
a connect u1
a frame text hex:f4908080
a expect_close 1007
a connect u1
a frame text hex:cebae1bdb9cf
a expect_close 1007
a connect u1
a frame text hex:80
a expect_close 1007
a connect u1
a frame text fin=0 hex:ce
a frame cont
a expect_close 1007


=== TEST 22: a character may be cut by a fragment
--- steps
user u1
a connect u1
a frame text fin=0 hex:7b226576656e74223a2270696e67222c226964223a22f09f
a frame cont fin=0 hex:98
a frame ping "between"
a expect_frame pong "between"
a frame cont hex:80227d
a expect pong


=== TEST 23: bad text is refused at once, not when the message ends
--- steps
user u1
a connect u1
a frame text fin=0 hex:22ff
a expect_close 1007
a connect u1
a frame text fin=0 "\"fine"
a frame cont fin=0 hex:c328
a expect_close 1007
# inside a frame of which most is still to come
a connect u1
a bytes 81fe100000000000 22666966ff
a expect_close 1007


=== TEST 24: a client that says nothing more after its handshake is pinged
--- with
writeen_ping_interval 2s;
--- steps
user u1
a connect u1 nopong=1
a expect_frame ping
# before there is another one
a frame pong
a expect_frame ping
a expect_frame ping
a expect_eof
log !~ \[(error|alert|crit)\]


=== TEST 25: a client that answers pings stays
--- with
writeen_ping_interval 2s;
--- steps
user u1
a connect u1
# three of them without an answer would have been the end
a quiet 7
a send ping
a expect pong


=== TEST 26: a client that vanishes in the middle of a frame
--- steps
room room1 u1 u2
a connect u1
b connect u2
a bytes 81fe0100
a drop
a connect u1
a frame text fin=0 "{"
a drop
a connect u1
a drop
until metric writeen_connections = 1
b send ping
b expect pong


=== TEST 27: a client that never answers our Close is cut off
--- steps
user u1
a connect u1 noclose=1
a frame 3 "x"
a expect_frame close
a expect_eof 8


=== TEST 28: who does nothing but ping is thrown out, the others go on
--- steps
user u1
user u2
a connect u1
b connect u2
repeat 100 a frame ping "x"
repeat 100 a expect_frame pong "x"
# in one piece, so that they come within one second
a bytes 898000000000*3000
a expect_close 4429 any=1
b frame ping "still"
b expect_frame pong "still"
metric writeen_flood_closed_total = 1


=== TEST 29: and so is who sends fragments of nothing
--- steps
user u1
a connect u1
a frame text fin=0 "{"
a bytes 008000000000*3000
a expect_close 4429 any=1
