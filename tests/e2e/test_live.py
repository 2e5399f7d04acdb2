"""Rooms that are made while people are connected."""

import asyncio

from harness import tokens
from harness.scene import join, received, send, seqs, texts, uniques
from harness.ws import Ws


async def test_new_room_reaches_connected_members(stack):
    """conversation_created comes to all their sockets, on both nodes, and
    then the room's messages, without a join."""
    ann, bob, eve = uniques("ann", "bob", "eve")
    socks = [await Ws.hello(stack.ws(i % 2), u)
             for i, u in enumerate([ann, bob, bob])]
    stranger = await Ws.hello(stack.ws(), eve)
    room = stack.make_room(ann, bob, title="New")
    for ws in socks:
        e = await ws.recv()
        assert e["event"] == "conversation_created", e
        assert e["data"]["conversationId"] == room
        assert e["data"]["seq"] == 0
        c = e["data"]["conversation"]
        assert c["id"] == room
        assert c["title"] == "New"
        assert {p["userId"] for p in c["participants"]} >= {ann, bob}
    await send(socks[0], room, "hello")
    for ws in socks[1:]:
        assert texts(await received(ws, 1)) == ["hello"]
    await stranger.quiet(0.3)
    for ws in (*socks, stranger):
        await ws.close()


async def test_first_messages_are_not_lost(stack):
    """Messages right after the creation reach those who were connected
    before it, all of them, in order: 25 rooms, sender on the other node."""
    ann, bob = uniques("ann", "bob")
    sender = await Ws.hello(stack.ws(0, "bulk"), ann)
    ws = await Ws.hello(stack.ws(1), bob)
    rest = stack.rest(tokens.token("svc", role="service"))
    for i in range(25):
        made = await rest.acall("POST", "/api/conversations", {
            "type": "group", "title": f"r{i}",
            "participantIds": [ann, bob]})
        room = made.data["conversation"]["id"]
        for n in range(3):
            sender.send("send_message", {
                "conversationId": room, "type": "text",
                "content": {"text": f"{n}"}, "clientMessageId": f"c{n}"})
        created = await ws.wait("conversation_created")
        assert created["data"]["conversationId"] == room
        got = await received(ws, 3)
        assert seqs(got) == [1, 2, 3]
        assert {e["conversationId"] for e in got} == {room}
    await ws.quiet(0.2)
    await sender.close()
    await ws.close()


async def test_send_at_once_after_creation(stack):
    """The creator sends before anybody heard of the room; a member that
    connects in between has it, too."""
    for i in range(10):
        ann, bob = uniques("ann", "bob")
        ws = await Ws.hello(stack.ws(), ann)
        made = await stack.rest(tokens.token(ann)).acall(
            "POST", "/api/conversations",
            {"type": "direct", "participantIds": [bob]})
        room = made.data["conversation"]["id"]
        sending = asyncio.create_task(send(ws, room, "first"))
        late = await Ws.hello(stack.ws(1), bob)
        assert (await sending)["seq"] == 1
        await join(late, room, 0)
        assert seqs(await received(late, 1)) == [1]
        await late.quiet(0.05, "conversation_created")
        await ws.close()
        await late.close()


async def test_room_made_twice_is_announced_once(stack):
    ann, bob = uniques("ann", "bob")
    ws = await Ws.hello(stack.ws(), bob)
    rest = stack.rest(tokens.token(ann))
    for want in (201, 200, 200):
        r = await rest.acall("POST", "/api/conversations",
                             {"type": "direct", "participantIds": [bob]})
        assert r.status == want, r
    assert (await ws.recv())["event"] == "conversation_created"
    await ws.quiet(0.3)
    await ws.close()
