"""Catching up: join with afterSeq, &resume=1, the log, the store, resync.

Promise 2.  A hole or a repeat here is a message that a student never sees or
sees twice after the train left the tunnel.
"""

import asyncio
import json
import random
import time

from harness import net, rpc, tokens
from harness.cast import Cast
from harness.client import ChatClient
from harness.scene import (fill, join, message, received, send, seqs, texts,
                           unique, uniques)
from harness.ws import Closed, Ws


async def two_members(stack, server="main"):
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    sender = await Ws.hello(stack.ws(server=server), ann)
    sender.ignore.add("message_received")
    return ann, bob, room, sender


async def long_room(stack, sender, room, n):
    """n messages, and a log that begins well after the first: it keeps what
    the store does not have yet, so the store must have most of them."""
    await fill(sender, room, n - 64)
    await asyncio.to_thread(stack.wait_applied)
    await fill(sender, room, 64, start=n - 63)


async def test_rooms_reach_without_join(stack):
    _, bob, room, sender = await two_members(stack)
    ws = await Ws.hello(stack.ws(1), bob)
    await send(sender, room, "unasked")
    assert texts(await received(ws, 1)) == ["unasked"]
    await sender.close()
    await ws.close()


async def test_join_says_where_the_room_stands(stack):
    _, bob, room, sender = await two_members(stack)
    ws = await Ws.hello(stack.ws(), bob)
    joined = await join(ws, room)
    assert joined["seq"] == 0
    assert joined["missed"] == 0
    assert isinstance(joined["recovered"], bool)
    assert isinstance(joined["online"], list)
    assert isinstance(joined["cursors"], list)
    await fill(sender, room, 5)
    await received(ws, 5)
    joined = await join(ws, room)
    assert joined["seq"] == 5
    await ws.quiet(0.2)         # nothing was asked for, nothing is sent
    await sender.close()
    await ws.close()


async def test_join_with_after_seq(stack):
    _, bob, room, sender = await two_members(stack)
    await fill(sender, room, 20)
    for n, after in enumerate((0, 1, 7, 19, 20)):
        top = 20 + n
        ws = await Ws.hello(stack.ws(), bob)
        ws.send("join_conversation", {"conversationId": room,
                                      "afterSeq": after})
        joined = (await ws.recv())["data"]      # it comes first
        assert joined["conversationId"] == room
        assert joined["seq"] == top
        assert joined["recovered"] is True
        assert joined["missed"] == top - after
        assert not joined.get("compact")
        got = await received(ws, top - after)
        assert seqs(got) == list(range(after + 1, top + 1))
        await ws.quiet(0.1)
        await send(sender, room, "live")
        assert seqs(await received(ws, 1)) == [top + 1]
        await ws.close()
    await sender.close()


async def test_resume_holds_until_told(stack):
    """&resume=1: not one event of a room before `resume` came."""
    ann, bob, room, sender = await two_members(stack)
    room2 = stack.make_room(ann, bob)
    await fill(sender, room, 5)
    await fill(sender, room2, 3)
    ws = await Ws.hello(stack.ws(), bob, resume=True)
    assert ws.connected["resume"] is True
    await send(sender, room, "while held")
    await ws.quiet(0.5)
    ws.send("resume", {"conversations": {room: 2, room2: 3}}, id="r")
    joined, got = {}, {room: [], room2: []}
    while len(joined) < 2 or len(got[room]) < 4:
        e = await ws.recv()
        data = e["data"]
        if e["event"] == "conversation_joined":
            assert not got[data["conversationId"]]
            joined[data["conversationId"]] = data
        elif e["event"] == "message_received":
            got[data["conversationId"]].append(data)
        else:
            assert e["event"] == "ack" and data["id"] == "r", e
    assert joined[room]["seq"] == 6 and joined[room]["missed"] == 4
    assert joined[room2]["seq"] == 3 and joined[room2]["missed"] == 0
    assert seqs(got[room]) == [3, 4, 5, 6]
    assert got[room2] == []
    await ws.quiet(0.2, "ack")
    await send(sender, room2, "live")
    assert seqs(await received(ws, 1)) == [4]
    await sender.close()
    await ws.close()


async def test_resume_that_never_comes(stack):
    """After writeen_resume_wait the rooms go live by themselves."""
    _, bob, room, sender = await two_members(stack)
    await fill(sender, room, 3)
    start = time.monotonic()
    ws = await Ws.hello(stack.ws(server="quick"), bob, resume=True)
    n, live = 0, None
    while live is None:
        n += 1
        assert time.monotonic() - start < net.patience(5)
        await send(sender, room, f"live {n}")
        try:
            live = (await ws.recv(0.1))
        except AssertionError:
            continue
    assert time.monotonic() - start > 0.7
    assert live["event"] == "message_received"
    # from there on without a hole
    at = live["data"]["seq"]
    await fill(sender, room, 5)
    got = await received(ws, 3 + n + 5 - at)
    assert seqs(got) == list(range(at + 1, 3 + n + 5 + 1))
    await sender.close()
    await ws.close()


async def test_resume_names_only_some_rooms(stack):
    """A room that the resume does not name goes live; one that is not there
    or not the user's is answered with not_found and does no harm."""
    ann, bob, room, sender = await two_members(stack)
    room2 = stack.make_room(ann, bob)
    foreign = stack.make_room(ann, unique("cho"))
    await fill(sender, room, 3)
    await fill(sender, room2, 3)
    ws = await Ws.hello(stack.ws(), bob, resume=True)
    ws.send("resume", {"conversations": {room: 1, foreign: 0,
                                         "nowhere": 5}})
    seen = [await ws.recv() for _ in range(5)]
    names = sorted(e["event"] for e in seen)
    assert names == ["conversation_joined", "error", "error",
                     "message_received", "message_received"]
    errors = [e["data"] for e in seen if e["event"] == "error"]
    assert {e["code"] for e in errors} == {"not_found"}
    assert {e["conversationId"] for e in errors} == {foreign, "nowhere"}
    await send(sender, room2, "live")
    assert seqs(await received(ws, 1)) == [4]
    await sender.close()
    await ws.close()


async def test_older_than_the_log(stack):
    """The log keeps about 128 events; older ones come from the store in
    compact form, and end in the same state."""
    _, bob, room, sender = await two_members(stack, "bulk")
    await long_room(stack, sender, room, 400)
    ws = await Ws.hello(stack.ws(), bob, resume=True)
    ws.send("resume", {"conversations": {room: 10}})
    joined = (await ws.wait("conversation_joined"))["data"]
    assert joined["recovered"] is True
    assert joined["compact"] is True
    assert joined["seq"] == 400
    assert joined["missed"] == 390
    got = await received(ws, 390)
    assert seqs(got) == list(range(11, 401))
    assert texts(got) == [f"m {i}" for i in range(11, 401)]
    # the same shape as live ones
    await send(sender, room, "live")
    live = (await received(ws, 1))[0]
    assert live["seq"] == 401
    assert set(got[0]["message"]) >= set(live["message"]) - {
        "clientMessageId"}
    assert got[5]["clientMessageId"] == got[5]["message"][
        "clientMessageId"]
    await ws.quiet(0.2)
    await sender.close()
    await ws.close()


async def test_compact_while_messages_come(stack):
    """The hand-over from store to live, under traffic, many times."""
    _, bob, room, sender = await two_members(stack, "bulk")
    await long_room(stack, sender, room, 400)
    stop, top = asyncio.Event(), [400]

    async def traffic():
        while not stop.is_set():
            await send(sender, room, f"m {top[0] + 1}")
            top[0] += 1
            await asyncio.sleep(0.002)

    task = asyncio.create_task(traffic())
    compact = 0
    for i in range(12):
        ws = await Ws.hello(stack.ws(i % 2), bob, resume=True)
        after = top[0] - 350
        await asyncio.to_thread(
            net.wait_until, lambda a=after: stack.log_begins(room) > a + 1,
            15, "the log to be shorter than that")
        ws.send("resume", {"conversations": {room: after}})
        joined = (await ws.wait("conversation_joined"))["data"]
        assert joined["recovered"] is True
        compact += joined.get("compact", False)
        got = await received(ws, 400)
        assert seqs(got) == list(range(after + 1, after + 401))
        await ws.close()
    assert compact >= 6
    stop.set()
    await task                      # the sender was not disturbed
    await sender.close()


async def test_more_than_a_thousand_is_resync(stack):
    _, bob, room, sender = await two_members(stack, "bulk")
    await fill(sender, room, 1105)
    ws = await Ws.hello(stack.ws(), bob, resume=True)
    ws.send("resume", {"conversations": {room: 100}})
    e = await ws.wait("resync_required")
    assert e["data"]["conversationId"] == room
    await ws.close()
    # 1,000 can be done
    ws = await Ws.hello(stack.ws(), bob, resume=True)
    ws.send("resume", {"conversations": {room: 105}})
    joined = (await ws.wait("conversation_joined"))["data"]
    assert joined["missed"] == 1000
    assert seqs(await received(ws, 1000)) == list(range(106, 1106))
    await ws.close()
    # and what the client then does ends in the same state
    client = ChatClient(bob, [(stack.ws(), "127.0.0.1", stack.port())],
                        [room])
    client.rooms[room].joined = True
    client.rooms[room].last = 0
    client.start()
    await client.wait_seq(room, 1105, 20)
    assert client.stats["resyncs"] == 1
    assert sorted(client.rooms[room].got) == list(range(1, 1106))
    await send(sender, room, "live")
    await client.wait_seq(room, 1106, 5)
    await client.stop()
    assert client.violations == []
    await sender.close()


async def test_each_page_of_the_store_says_how_the_room_stands(stack):
    """What is done to the room between two pages stands in no message of the
    second one."""
    cast = await Cast.group(stack, "ann", "bob", title="Before")
    for n in range(3):
        r = await cast.do("ann", "POST", "/messages", {
            "type": "text", "content": {"text": f"m {n}"}})
        assert r.status == 201, r

    async def page(after):
        r = await rpc.acall(stack, "CHANGES", cast.room, f"{after} 0 1")
        assert r.status == 200, r
        head, doc, _, event = r.raw.decode().splitlines()
        following, left, upto = map(int, head.split())
        doc, event = json.loads(doc), json.loads(event)
        assert doc["seq"] == upto
        assert event["data"]["seq"] == following or left == 1
        return following, left, upto, doc["title"], event["event"]

    first = await page(0)
    assert first == (1, 3, 3, "Before", "message_received")
    r = await cast.do("ann", "PATCH", "", {"title": "After"})
    assert r.status == 200, r
    second = await page(1)
    assert second == (2, 2, 4, "After", "message_received")
    assert await page(2) == (4, 1, 4, "After", "message_received")
    await cast.close()


async def test_client_that_knows_more(stack):
    """A client that has seen more than the server knows (Redis lost its last
    second) must not miss what comes: the numbers go on above its own."""
    ann, bob, room, sender = await two_members(stack)
    await fill(sender, room, 3)
    ws = await Ws.hello(stack.ws(), bob, resume=True)
    ws.send("resume", {"conversations": {room: 50}})
    joined = (await ws.wait("conversation_joined"))["data"]
    assert joined["seq"] == 50
    ack = await send(sender, room, "after the fence")
    assert ack["seq"] == 51
    assert seqs(await received(ws, 1)) == [51]
    # the same of a connection that is live already
    live = await Ws.hello(stack.ws(1), bob)
    await join(live, room, 70)
    ack = await send(sender, room, "after another")
    assert ack["seq"] == 71
    for w in (ws, live):
        assert seqs(await received(w, 1)) == [71]
    # far above is no honest client, and bounded
    liar = await Ws.hello(stack.ws(), bob)
    liar.send("join_conversation", {"conversationId": room,
                                    "afterSeq": 2 ** 52})
    e = await liar.recv()
    assert e["event"] in ("resync_required", "error",
                          "conversation_joined"), e
    assert (await send(sender, room, "x"))["seq"] == 72
    rows = stack.rest(tokens.token(ann)).history(room)
    assert [m["seq"] for m in rows] == [1, 2, 3, 51, 71, 72]
    # the holes are no events: one who comes from far behind gets six
    late = await Ws.hello(stack.ws(), bob)
    assert (await join(late, room, 0))["seq"] == 72
    assert seqs(await received(late, 6)) == [1, 2, 3, 51, 71, 72]
    # nor do thousands of them make anybody read the room anew
    await join(live, room, 72 + 5000)
    again = await Ws.hello(stack.ws(1), bob)
    assert (await join(again, room, 3))["seq"] == 5072
    assert seqs(await received(again, 3)) == [51, 71, 72]
    assert (await send(sender, room, "y"))["seq"] == 5073
    assert seqs(await received(again, 1)) == [5073]
    for w in (sender, ws, live, liar, late, again):
        await w.close()


async def test_no_hole_while_joining_under_fire(stack):
    """Connections come and go while messages flow as fast as they can: what
    each sees goes on where the one before it ended."""
    _, bob, room, sender = await two_members(stack, "bulk")
    rng = random.Random(7)
    stop = asyncio.Event()

    async def traffic():
        n = 0
        while not stop.is_set():
            if n - last > 600:
                # more than 1,000 behind is resync_required, another test
                await asyncio.sleep(0.005)
                continue
            for _ in range(5):
                n += 1
                sender.send("send_message", message(room, f"m {n}",
                                                    f"c{n}"))
            for _ in range(5):
                await sender.wait("message_status")
        return n

    last = 0
    task = asyncio.create_task(traffic())
    for i in range(30):
        ws = await Ws.hello(stack.ws(i % 2), bob, resume=True)
        if rng.random() < 0.5:
            await asyncio.sleep(rng.random() / 20)
        ws.send("resume", {"conversations": {room: last}})
        joined = (await ws.wait("conversation_joined"))["data"]
        # the sender pauses at 600: more than that does not come by itself
        n = joined["missed"] + rng.randint(0, 30)
        n = min(n, max(600, joined["missed"]))
        got = seqs(await received(ws, n))
        # some come and go without a word
        if rng.random() < 0.5:
            ws.abort()
        else:
            await ws.close()
        try:
            while True:
                e = await ws.recv(0.1)
                if e["event"] == "message_received":
                    got.append(e["data"]["seq"])
        except Closed:
            pass
        assert got == list(range(last + 1, last + 1 + len(got)))
        last += len(got)
    stop.set()
    assert await task >= last
    await sender.close()


async def test_join_again_repeats_nothing(stack):
    """A live connection that joins with afterSeq again and again (the app
    goes from screen to screen) sees no event twice."""
    _, bob, room, sender = await two_members(stack, "bulk")
    ws = await Ws.hello(stack.ws(), bob)
    await join(ws, room, 0)
    stop = asyncio.Event()

    async def traffic():
        n = 0
        while not stop.is_set():
            n += 1
            await send(sender, room, f"m {n}")
        return n

    task = asyncio.create_task(traffic())
    got, joins = [], 0
    end = time.monotonic() + 2
    while time.monotonic() < end or joins <= 20:
        ws.send("join_conversation", {
            "conversationId": room, "afterSeq": got[-1] if got else 0})
        while True:
            e = await ws.recv()
            if e["event"] == "conversation_joined":
                joins += 1
                break
            assert e["event"] == "message_received", e
            got.append(e["data"]["seq"])
        await asyncio.sleep(0.02)
    stop.set()
    total = await task
    while got[-1] < total:
        got.append((await received(ws, 1))[0]["seq"])
    assert got == list(range(1, total + 1))
    assert joins > 20
    await sender.close()
    await ws.close()


async def test_many_rooms_in_one_resume(stack):
    ann, bob = uniques("ann", "bob")
    rooms = [stack.make_room(ann, bob) for _ in range(60)]
    sender = await Ws.hello(stack.ws(server="bulk"), ann)
    assert sender.connected["conversations"] == 60
    for i, room in enumerate(rooms):
        await fill(sender, room, i % 4)
    ws = await Ws.hello(stack.ws(1), bob, resume=True)
    ws.send("resume", {"conversations": {
        r: min(1, i % 4) for i, r in enumerate(rooms)}})
    want = sum(max(0, i % 4 - 1) for i in range(60))
    joined, got = set(), []
    while len(joined) < 60 or len(got) < want:
        e = await ws.recv()
        if e["event"] == "conversation_joined":
            joined.add(e["data"]["conversationId"])
        elif e["event"] == "message_received":
            assert e["data"]["conversationId"] in joined
            got.append(e["data"])
    assert joined == set(rooms)
    for i, room in enumerate(rooms):
        own = [e["seq"] for e in got if e["conversationId"] == room]
        assert own == list(range(2, i % 4 + 1))
    await sender.close()
    await ws.close()


async def test_a_silent_room_may_be_forgotten(stack):
    """All of it is stored and nobody says anything: Redis lets go of it, and
    it comes back from the store, where it was."""
    ann, bob, room, sender = await two_members(stack)
    await send(sender, room, "one")
    await asyncio.to_thread(stack.wait_applied)
    conv, tag = stack.conversation_key(room)
    log = f"{tag}:log:{room}"
    with stack.redis_of_room(room) as c:
        assert (c.ttl(conv), c.ttl(log)) == (-1, -1)
        assert c.sismember(f"{tag}:awake", room)
        # silent for long
        c.hset(conv, "at", "2026-01-01T00:00:00.000Z")
        await asyncio.to_thread(
            net.wait_until, lambda: c.ttl(conv) > 0, 60, "its time to live")
        assert 0 < c.ttl(log) <= 600
        assert not c.sismember(f"{tag}:awake", room)
        c.delete(conv, log)
        assert (await send(sender, room, "two"))["seq"] == 2
        await asyncio.to_thread(stack.wait_applied)
        assert c.ttl(conv) == -1
    ws = await Ws.hello(stack.ws(), bob)
    await join(ws, room, 0)
    assert texts(await received(ws, 2)) == ["one", "two"]
    await sender.close()
    await ws.close()
