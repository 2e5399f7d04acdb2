"""What clients may say, and what they are told when they say it wrong."""

import asyncio
import time

import pytest

from harness import tokens
from harness.net import patience
from harness.scene import (join, message, received, send,
                           unique)
from harness.ws import Ws

BAD = {
    "not JSON": "hello",
    "cut JSON": '{"event":"ping"',
    "two values": '{"event":"ping"}{"event":"ping"}',
    "a list": "[]",
    "a number": "7",
    "null": "null",
    "empty": "",
    "no event": '{"data":{}}',
    "event a number": '{"event":7}',
    "event empty": '{"event":""}',
    "unknown event": '{"event":"no_such_event","data":{}}',
    "server's event": '{"event":"message_received","data":{}}',
    "data a list": '{"event":"ping","data":[]}',
    "data a text": '{"event":"typing","data":"x"}',
    "id a number": '{"event":"ping","id":5}',
    "id too long": '{"event":"ping","id":"%s"}' % ("x" * 65),
    "duplicate member": '{"event":"ping","event":"ping"}',
    "NUL": '{"event":"ping","data":{"a":"\\u0000"}}',
    "lone surrogate": '{"event":"ping","data":{"a":"\\ud800"}}',
    "too deep": '{"event":"ping","data":%s%s}' % ('{"a":' * 20 + "1",
                                                  "}" * 20),
    "join without room": '{"event":"join_conversation","data":{}}',
    "join without data": '{"event":"join_conversation"}',
    "room a number": '{"event":"join_conversation",'
                     '"data":{"conversationId":1}}',
    "room no id": '{"event":"join_conversation",'
                  '"data":{"conversationId":"a b"}}',
    "room too long": '{"event":"join_conversation",'
                     '"data":{"conversationId":"%s"}}' % ("r" * 65),
    "room with key": '{"event":"join_conversation",'
                     '"data":{"conversationId":"x:y"}}',
    "afterSeq a text": '{"event":"join_conversation","data":'
                       '{"conversationId":"r","afterSeq":"1"}}',
    "afterSeq negative": '{"event":"join_conversation","data":'
                         '{"conversationId":"r","afterSeq":-1}}',
    "afterSeq a fraction": '{"event":"join_conversation","data":'
                           '{"conversationId":"r","afterSeq":1.5}}',
    "resume a list": '{"event":"resume","data":{"conversations":[]}}',
    "resume of texts": '{"event":"resume","data":'
                       '{"conversations":{"r":"1"}}}',
    "refresh without token": '{"event":"refresh_token","data":{}}',
}

BAD_SENDS = {
    "no content": {"type": "text"},
    "content a text": {"type": "text", "content": "x"},
    "no text": {"type": "text", "content": {}},
    "text a number": {"type": "text", "content": {"text": 5}},
    "text empty": {"type": "text", "content": {"text": ""}},
    "only white space": {"type": "text", "content": {"text": " \n\t "}},
    "type a number": {"type": 1, "content": {"text": "x"}},
    "type unknown": {"type": "video", "content": {"text": "x"}},
    "type system": {"type": "system", "content": {"text": "x"}},
    "type file": {"type": "file", "content": {"fileInfo": {}}},
    "cmid a number": {"type": "text", "content": {"text": "x"},
                      "clientMessageId": 5},
    "cmid too long": {"type": "text", "content": {"text": "x"},
                      "clientMessageId": "c" * 129},
    "cmid with space": {"type": "text", "content": {"text": "x"},
                        "clientMessageId": "a b"},
    "replyTo a number": {"type": "text", "content": {"text": "x"},
                         "replyTo": 5},
    "sticker without id": {"type": "sticker",
                           "content": {"sticker": {"pack": "p"}}},
    "sticker bad id": {"type": "sticker", "content": {
        "sticker": {"pack": "p", "id": "../../etc"}}},
}


def check_error(event, code="invalid_request"):
    assert event["event"] == "error", event
    data = event["data"]
    assert data["code"] == code, event
    assert isinstance(data["message"], str) and data["message"]
    assert data["retryable"] is False, event
    return data


@pytest.mark.parametrize("what", BAD)
async def test_bad_event(stack, what):
    """An error, and the connection goes on."""
    ws = await Ws.hello(stack.ws(), unique("ann"))
    ws.send_text(BAD[what])
    check_error(await ws.recv())
    ws.send("ping", id="p")
    assert (await ws.recv())["event"] in ("pong", "ack")
    await ws.close()


@pytest.mark.parametrize("what", BAD_SENDS)
async def test_bad_send(stack, what):
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(), ann)
    data = {"conversationId": room, "clientMessageId": "c1",
            **BAD_SENDS[what]}
    ws.send("send_message", data, id="i1")
    error = check_error(await ws.recv())
    assert error["id"] == "i1"
    assert error["event"] == "send_message"
    if data["clientMessageId"] == "c1":
        assert error["clientMessageId"] == "c1"
    ack = await send(ws, room, "good")
    assert ack["seq"] == 1          # the bad one took no number
    await ws.close()


async def test_bad_sends_by_rest_name_the_field(stack):
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    rest = stack.rest(tokens.token(ann))
    for what, body in BAD_SENDS.items():
        reply = await rest.acall(
            "POST", f"/api/conversations/{room}/messages", body)
        error = reply.refused(400, "invalid_request")
        assert error["field"], what
    assert rest.history(room) == []


async def test_ten_bad_events_close(stack):
    ws = await Ws.hello(stack.ws(), unique("ann"))
    for i in range(9):
        ws.send_text("bad")
        check_error(await ws.recv())
    ws.send("ping")
    await ws.wait("pong")           # nine are forgiven
    ws.send_text("bad")
    ws.send_text("bad")
    code, _ = await ws.wait_closed(5)
    assert code == 4400


async def test_refusals_are_not_bad_events(stack):
    """To ask for a room that is not there is no protocol error."""
    ws = await Ws.hello(stack.ws(), unique("ann"))
    for i in range(30):
        ws.send("join_conversation", {"conversationId": f"nowhere-{i}"})
        check_error(await ws.recv(), "not_found")
    ws.send("ping")
    await ws.wait("pong")
    await ws.close()


async def test_ping_pong_and_id(stack):
    ws = await Ws.hello(stack.ws(), unique("ann"))
    ws.send("ping")
    assert (await ws.recv())["event"] == "pong"
    for id in ("1", "x" * 64, "é\"\\"):
        ws.send("ping", id=id)
        answer = await ws.recv()
        assert answer["event"] in ("pong", "ack")
        assert answer["data"]["id"] == id
    await ws.close()


async def test_ack_to_events_with_id(stack):
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(), ann)
    ws.send("join_conversation", {"conversationId": room}, id="j1")
    got = [await ws.recv(), await ws.recv()]
    names = {e["event"]: e["data"] for e in got}
    assert "conversation_joined" in names
    assert names["ack"]["id"] == "j1"
    assert names["ack"]["event"] == "join_conversation"
    ws.send("leave_conversation", {"conversationId": room}, id="l1")
    assert (await ws.recv()) == {
        "event": "ack", "data": {"id": "l1",
                                 "event": "leave_conversation"}}
    ws.send("join_conversation", {"conversationId": "nowhere"}, id="j2")
    error = check_error(await ws.recv(), "not_found")
    assert error["id"] == "j2" and error["event"] == "join_conversation"
    await ws.close()


async def test_leave_conversation_changes_no_membership(stack):
    """Leaving is about the screen: the user's rooms still reach him."""
    ann, bob = unique("ann"), unique("bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    other = await Ws.hello(stack.ws(), bob)
    await join(ws, room)
    ws.send("leave_conversation", {"conversationId": room}, id="l1")
    await ws.wait("ack")
    await send(other, room, "still there?")
    got = await received(ws, 1)
    assert got[0]["seq"] == 1
    await ws.close()
    await other.close()


async def test_text_limit(stack):
    """16 KiB of text, counted in bytes; one more is refused."""
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(), ann)
    for text in ("x" * 16384, "é" * 8192, "\n" * 16383 + "x"):
        await send(ws, room, text)
    for text in ("x" * 16385, "é" * 8192 + "x"):
        ws.send("send_message", message(room, text, "c9"), id="big")
        error = (await ws.wait("error"))["data"]
        assert error["code"] == "too_large", error
        assert error["id"] == "big"
        assert error["clientMessageId"] == "c9"
        assert error["retryable"] is False
    assert (await send(ws, room, "small"))["seq"] == 4
    await ws.close()


async def test_burst_is_limited_and_others_are_not(stack):
    """1,000 sends at once: some pass, the rest is told when to come again;
    meanwhile others are served, and nothing is stored that was refused."""
    ann, bob = unique("ann"), unique("bob")
    room = stack.make_room(ann, bob)
    quiet = stack.make_room(bob, unique("cho"))
    ws = await Ws.hello(stack.ws(), ann)
    other = await Ws.hello(stack.ws(), bob)
    start = time.monotonic()
    for i in range(1000):
        ws.send("send_message", message(room, f"m {i}", f"c{i}"))
    slowest = 0
    for i in range(20):
        before = time.monotonic()
        await send(other, quiet, f"q {i}")
        slowest = max(slowest, time.monotonic() - before)
    # the thousand at their rate would be a quarter of a minute
    assert slowest < patience(1)
    acked, limited = {}, {}
    while len(acked) + len(limited) < 1000:
        e = await ws.recv()
        if e["event"] == "message_status":
            acked[e["data"]["clientMessageId"]] = e["data"]
        elif e["event"] == "error":
            data = e["data"]
            assert data["code"] == "rate_limited", data
            assert data["retryable"] is True
            assert 0 < data["retryAfterMs"] <= 10000
            limited[data["clientMessageId"]] = data
    assert set(acked) | set(limited) == {f"c{i}" for i in range(1000)}
    took = time.monotonic() - start
    assert 120 <= len(acked) <= 120 + 60 * (took + 1), len(acked)
    # who waits as told gets through
    cmid, refusal = list(limited.items())[-1]
    await asyncio.sleep(refusal["retryAfterMs"] / 1000)
    await send(ws, room, "m", cmid)
    rows = stack.rest(tokens.token(bob)).history(room)
    assert {m["clientMessageId"] for m in rows} == {*acked, cmid}
    await ws.close()
    await other.close()
