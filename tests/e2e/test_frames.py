"""RFC 6455 on the wire: what a broken or hostile client sends.

The close code tells the client whose fault it was; a wrong one makes apps
reconnect for ever, a missing one leaves sockets hanging.
"""

import asyncio
import json

import pytest
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory)

from harness import tokens
from harness.scene import received, send, unique
from harness.ws import Ws, raw_frame

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
PING_EVENT = b'{"event":"ping"}'


async def closed_after(stack, *raw, **kw):
    ws = await Ws.hello(stack.ws(), unique("ann"), **kw)
    for data in raw:
        ws.send_raw(data)
    return (await ws.wait_closed(5))[0]


BROKEN = {
    "binary": (1003, [raw_frame(BINARY, b"\x01\x02")]),
    "empty binary": (1003, [raw_frame(BINARY, b"")]),
    "not UTF-8": (1007, [raw_frame(TEXT, b'{"event":"\xff"}')]),
    "surrogate in UTF-8": (1007, [raw_frame(TEXT, b"\xed\xa0\x80")]),
    "overlong UTF-8": (1007, [raw_frame(TEXT, b"\xc0\xaf")]),
    "UTF-8 cut at the end": (1007, [raw_frame(TEXT, b"\xe2\x82")]),
    "not UTF-8 over fragments": (1007, [
        raw_frame(TEXT, b"\xe2\x82", fin=False), raw_frame(0, b"\x41")]),
    "not masked": (1002, [raw_frame(TEXT, PING_EVENT, masked=False)]),
    "reserved bit": (1002, [raw_frame(TEXT, PING_EVENT, rsv=1)]),
    "reserved bit of deflate": (1002, [raw_frame(TEXT, b"x", rsv=4)]),
    "opcode 3": (1002, [raw_frame(3, b"")]),
    "opcode 11": (1002, [raw_frame(11, b"")]),
    "long ping": (1002, [raw_frame(PING, b"x" * 126)]),
    "fragmented ping": (1002, [raw_frame(PING, b"x", fin=False)]),
    "continuation of nothing": (1002, [raw_frame(0, PING_EVENT)]),
    "text inside a message": (1002, [
        raw_frame(TEXT, b"{", fin=False), raw_frame(TEXT, b"}")]),
    "64k and more": (1009, [raw_frame(TEXT, b"x" * 65537)]),
    "announces 2^63": (1002, [raw_frame(TEXT, b"", length=1 << 63)]),
    "announces 1 TB": (1009, [raw_frame(TEXT, b"", length=1 << 40)]),
    "64k in fragments": (1009, [
        raw_frame(TEXT, b"x" * 40000, fin=False),
        raw_frame(0, b"x" * 40000)]),
    "endless fragments": (1009, [
        raw_frame(TEXT, b"", fin=False),
        *[raw_frame(0, b"x" * 1000, fin=False)] * 66]),
    "close of one byte": (1002, [raw_frame(CLOSE, b"\x03")]),
    "close 1005": (1002, [raw_frame(CLOSE, (1005).to_bytes(2, "big"))]),
    "close 999": (1002, [raw_frame(CLOSE, (999).to_bytes(2, "big"))]),
    "close reason not UTF-8": (1007, [
        raw_frame(CLOSE, (1000).to_bytes(2, "big") + b"\xff")]),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_broken_frame(stack, what):
    code, raw = BROKEN[what]
    assert await closed_after(stack, *raw) == code


async def test_length_in_more_bytes_than_needed(stack):
    """RFC 6455 5.2: the minimal number of bytes must be used."""
    short = bytes([0x81, 0x80 | 126, 0, 5]) + b"\0\0\0\0hello"
    assert await closed_after(stack, short) == 1002


async def test_fragments_and_pings_between(stack):
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(), ann)
    body = json.dumps({"event": "send_message", "data": {
        "conversationId": room, "type": "text",
        "content": {"text": "ünïcödé €"}, "clientMessageId": "c1"}},
        ensure_ascii=False).encode()
    # byte by byte: characters are cut, too; pings in between
    parts = [body[i:i + 1] for i in range(len(body))]
    ws.send_raw(raw_frame(TEXT, parts[0], fin=False))
    for i, part in enumerate(parts[1:]):
        if i % 20 == 0:
            ws.send_raw(raw_frame(PING, b"p%d" % i))
            assert await ws.pongs.get() == b"p%d" % i
        ws.send_raw(raw_frame(0, part, fin=False))
    ws.send_raw(raw_frame(0, b""))
    data = (await received(ws, 1))[0]
    assert data["message"]["content"]["text"] == "ünïcödé €"
    await ws.close()


async def test_frames_in_pieces_and_in_heaps(stack):
    """TCP knows no frames: bytes may come one by one or many at once."""
    ann = unique("ann")
    ws = await Ws.hello(stack.ws(), ann)
    frame = raw_frame(TEXT, PING_EVENT)
    for i in range(len(frame)):
        ws.send_raw(frame[i:i + 1])
        if i % 3 == 0:
            await asyncio.sleep(0.005)
    await ws.wait("pong")
    ws.send_raw(frame * 50)
    for _ in range(50):
        await ws.wait("pong")
    await ws.close()


async def test_message_of_exactly_the_limit(stack):
    ws = await Ws.hello(stack.ws(), unique("ann"))
    head, tail = b'{"event":"ping","data":{"x":"', b'"}}'
    pad = b"x" * (65536 - len(head) - len(tail))
    ws.send_raw(raw_frame(TEXT, head + pad + tail))
    await ws.wait("pong")
    await ws.close()


async def test_ping_payload_comes_back(stack):
    ws = await Ws.hello(stack.ws(), unique("ann"))
    for payload in (b"", b"x", bytes(range(125))):
        ws.ping(payload)
        assert await ws.pongs.get() == payload
    ws.send_raw(raw_frame(PONG, b"nobody asked"))
    ws.send("ping")
    await ws.wait("pong")
    await ws.close()


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_close_is_answered(stack, code):
    ws = await Ws.hello(stack.ws(), unique("ann"))
    assert await ws.close(code) == code


async def test_close_without_a_code(stack):
    ws = await Ws.hello(stack.ws(), unique("ann"))
    ws.send_raw(raw_frame(CLOSE, b""))
    code, _ = await ws.wait_closed(5)
    assert code in (1000, 1005)


async def test_first_frames_with_the_handshake(stack):
    """Bytes that come in one packet with the request are not lost."""
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    url = stack.ws()
    early = raw_frame(TEXT, json.dumps({
        "event": "send_message", "data": {
            "conversationId": room, "type": "text",
            "content": {"text": "early"},
            "clientMessageId": "c1"}}).encode())
    ws = await Ws.connect(url, tokens.token(ann), early=early)
    assert (await ws.recv())["event"] == "connected"
    got = await received(ws, 1)
    assert got[0]["message"]["content"]["text"] == "early"
    await send(ws, room, "later")
    await ws.close()


async def test_compressed_and_not(stack):
    """Who offers permessage-deflate gets the same as who does not, in fewer
    bytes, live and from the log; and is understood."""
    offer = [ClientPerMessageDeflateFactory(compress_settings={"level": 9})]
    ann, bob = unique("ann"), unique("bob")
    room = stack.make_room(ann, bob)
    url = stack.ws()
    packed = await Ws.hello(url, ann, extensions=offer)
    plain = await Ws.hello(url, bob)
    assert [e.name for e in packed.machine.extensions] == [
        "permessage-deflate"]
    assert not plain.machine.extensions
    text = "Selamat pagi, mari kita mulai dengan bab dua. " * 40
    await send(packed, room, text)
    assert (await received(packed, 1)) == (await received(plain, 1))
    await send(plain, room, text.upper())
    assert (await received(packed, 1)) == (await received(plain, 1))
    back = await Ws.hello(url, ann, extensions=offer)
    back.send("join_conversation", {"conversationId": room, "afterSeq": 0})
    got = await received(back, 2)
    assert [m["message"]["content"]["text"] for m in got] == [
        text, text.upper()]
    for ws in (packed, plain, back):
        await ws.close()


async def test_silent_client_is_closed(stack):
    """Two pings without a pong; one that answers stays."""
    url = stack.ws(server="quick")
    # the one that answers is there first, and so has as many pings at least
    live = await Ws.hello(url, unique("bob"))
    dead = await Ws.hello(url, unique("ann"), auto_pong=False)
    await dead.wait_closed(6)
    assert 2 <= dead.pings <= 3
    await live.quiet(0.5)
    assert live.pings >= 2
    await live.close()
