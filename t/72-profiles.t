# What users are called: by a service, where one has said it, else by their token.
#
# Without this file a tutor whom the university calls "Dr. Smith" would be
# "smith85" on everybody's screen until they load the history, by one door or the
# other, or again after his phone has reconnected.

use lib 't/lib';
use Test::Nginx::Writeen;

run_tests();

__DATA__

=== TEST 1: set before he connects, by all doors
--- steps
room room1 u1 u2
redis HSET wrt:u:u1:convs @ '{"name":"Dr. One","avatar":"https://a/1.png","role":"tutor"}' = 1
b connect u2
# by REST without a socket: Redis is asked
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"a"}}
h response 201 data.message.sender=={"name":"Dr.\x20One","avatar":"https://a/1.png"}
b expect message_received data.message.content.text=a data.message.sender=={"name":"Dr.\x20One","avatar":"https://a/1.png"}
a connect u1
a send send_message {"conversationId":"room1","content":{"text":"b"}}
b expect message_received data.message.content.text=b data.message.sender=={"name":"Dr.\x20One","avatar":"https://a/1.png"}
a find message_received data.message.sender.name="Dr. One"
a find message_status
# and with one
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"c"}}
h response 201 data.message.sender.name="Dr. One"
b expect message_received data.message.sender.name="Dr. One"
a find message_received data.seq==3
a send typing {"conversationId":"room1","isTyping":true}
b expect user_typing data.userName="Dr. One" data.isTyping==true
# others are called what their token says
b send send_message {"conversationId":"room1","content":{"text":"d"}}
a expect message_received data.message.sender=={"name":"Name\x20of\x20u2","avatar":null}
b find message_status
b find message_received
h request POST /api/conversations/room1/messages token=u2 body={"content":{"text":"e"}}
h response 201 data.message.sender.name="Name of u2"
a ignore
b ignore


=== TEST 2: set while he is here, on all of his sockets, and set again
--- steps
room room1 u1 u2
a connect u1
a2 connect u1
b connect u2
a send send_message {"conversationId":"room1","content":{"text":"a"}}
b expect message_received data.message.sender.name="Name of u1"
redis PUBLISH wrt:u:u1 'u - - -\n{"name":"One","avatar":"https://a/1.png","role":"student"}' = 1
redis PUBLISH wrt:u:u1 'e - - -\n{"event":"x","data":{}}' = 1
a find x
a send send_message {"conversationId":"room1","content":{"text":"b"}}
b expect message_received data.message.sender=={"name":"One","avatar":"https://a/1.png"}
a2 find x
a2 send send_message {"conversationId":"room1","content":{"text":"c"}}
b expect message_received data.message.sender.name=One
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"d"}}
h response 201 data.message.sender.name=One
b expect message_received data.message.sender.name=One
# what is none changes nothing
redis PUBLISH wrt:u:u1 'u - - -\n{"name":5}' = 1
redis PUBLISH wrt:u:u1 'u - - -\nx' = 1
redis PUBLISH wrt:u:u1 'u - - -\n' = 1
redis PUBLISH wrt:u:u1 'u - - -\n{"name":"Other","avatar":5}' = 1
redis PUBLISH wrt:u:u1 'e - - -\n{"event":"y","data":{}}' = 1
a find y
a send send_message {"conversationId":"room1","content":{"text":"e"}}
b expect message_received data.message.sender=={"name":"One","avatar":"https://a/1.png"}
redis PUBLISH wrt:u:u1 'u - - -\n{"name":"Two","avatar":null,"role":"student"}' = 1
redis PUBLISH wrt:u:u1 'e - - -\n{"event":"z","data":{}}' = 1
a find z
# a new token says nothing about it
token t sub=u1 name="Third"
a send refresh_token {"token":"$t"} id=r1
a find ack data.id=r1
a send send_message {"conversationId":"room1","content":{"text":"f"}}
b expect message_received data.message.sender=={"name":"Two","avatar":null}
a ignore
a2 ignore


=== TEST 3: a change while the bus was away is found when it is back
--- steps
room room1 u1 u2
a connect u1
b connect u2
redis HSET wrt:u:u1:convs @ '{"name":"One","avatar":null,"role":"student"}' = 1
redis CLIENT KILL TYPE pubsub
until redis XREVRANGE %log(room1) + - COUNT 1 ~ "name":"One" \
    else a send send_message {"conversationId":"room1","content":{"text":"x"}}
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"y"}}
h response 201 data.message.sender.name=One
a ignore
b ignore


=== TEST 4: Redis does not know him: the worker pool is asked, once
--- steps
room room1 u1 u2 lists=0
user u2 room1
b connect u2
worker USER u1 200 then user u1 room1
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"a"}}
h response 201 data.message.sender.name="Name of u1"
b expect message_received data.message.sender.name="Name of u1"
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"b"}}
h response 201 data.message.sender.name="Name of u1"
b expect message_received
calls USER u1 = 1


=== TEST 5: nor does the pool answer: chat goes on with what the token says
--- steps
room room1 u1 u2 lists=0
user u2 room1
b connect u2
worker USER u1 503
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"a"}}
h response 201 data.message.sender.name="Name of u1"
b expect message_received data.message.sender.name="Name of u1"
worker USER u1 0
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"b"}}
h response 201 within=5 data.message.sender.name="Name of u1"
b expect message_received data.seq==2


=== TEST 6: the client goes while it is asked for
--- steps
room room1 u1 u2 lists=0
user u2 room1
b connect u2
worker USER u1 200 delay=0.5
h request POST /api/conversations/room1/messages token=u1 body={"content":{"text":"a"}}
call USER u1
h drop
b quiet 0.7
redis XLEN %log(room1) = 0

