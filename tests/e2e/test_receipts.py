"""Delivered and read: cursors of members, told live and shown in history."""

import asyncio
import re

from harness import tokens, upload
from harness.scene import (TIME, fill, join, received, send, unique,
                           uniques)
from harness.ws import Ws

READERS = 200
FRAMES_MAX = 60         # of READERS moves of one kind, for each socket


def rest_of(stack, user, nginx=0):
    return stack.rest(tokens.token(user), nginx, "bulk")


async def mark(ws, kind, room, mid):
    """mark_read or mark_delivered; returns the answer."""
    id = unique("m")
    ws.send("mark_" + kind, {"conversationId": room, "messageId": mid},
            id=id)
    e = await ws.wait("ack", where=lambda e: e["data"]["id"] == id)
    assert e["data"]["event"] == "mark_" + kind
    return e["data"]


async def told(ws, status, timeout=10):
    """The next receipt."""
    e = await ws.wait("message_status", timeout, where=lambda e: e["data"][
        "status"] in ("read", "delivered"))
    assert e["data"]["status"] == status, e
    return e["data"]


async def cast(stack, n=2, **kw):
    """A room, and a socket of each of its members, on both nodes."""
    users = uniques(*[f"u{i}" for i in range(n)])
    room = stack.make_room(*users)
    socks = [await Ws.hello(stack.ws(i % 2, "bulk"), u, **kw)
             for i, u in enumerate(users)]
    return users, room, socks


async def unread(stack, user, node=0):
    """By both routes, which must agree; room -> how many."""
    rest = rest_of(stack, user, node)
    data = (await rest.aget("/api/unread")).data
    listed = (await rest.aget("/api/conversations")).data["conversations"]
    have = {c["conversationId"]: c["unreadCount"]
            for c in data["conversations"]}
    assert all(have.values()), data
    assert data["total"] == sum(have.values())
    assert have == {c["id"]: c["unreadCount"] for c in listed
                    if c["unreadCount"]}
    return have


async def close(*socks):
    for ws in socks:
        await ws.close()


async def test_read_is_told_and_clears_the_other_devices(stack):
    (ann, bob, _), room, (a, b, c) = await cast(stack, 3)
    tablet = await Ws.hello(stack.ws(0, "bulk"), bob)
    stranger = await Ws.hello(stack.ws(1, "bulk"), unique("eve"))
    acks = await fill(a, room, 5)
    assert await unread(stack, bob) == {room: 5}
    mid = acks[3]["messageId"]
    await mark(b, "read", room, mid)
    for ws in (a, b, c, tablet):
        data = await told(ws, "read")
        assert data["conversationId"] == room
        assert data["messageId"] == mid
        assert data["seq"] == 4
        (reader,) = data["readBy"]
        assert reader["userId"] == bob
        assert re.match(TIME, reader["readAt"])
    assert await unread(stack, bob, 1) == {room: 1}
    rows = rest_of(stack, ann).history(room)
    for m in rows[:4]:
        assert m["status"] == "read"
        assert m["readBy"] == [reader], m
    assert rows[4]["status"] == "sent" and rows[4]["readBy"] == []
    joined = await join(c, room)
    mine = [x for x in joined["cursors"] if x["userId"] == bob]
    assert mine[0]["readSeq"] == mine[0]["deliveredSeq"] == 4
    await mark(tablet, "read", room, acks[4]["messageId"])
    assert (await told(b, "read"))["seq"] == 5
    assert await unread(stack, bob) == {}
    await stranger.quiet(0.1)
    await close(a, b, c, tablet, stranger)


async def test_a_compact_catch_up_tells_it_by_cursors(stack):
    """As the log does: a list of a thousand readers with each message is
    nothing that a client needs twice."""
    (ann, bob), room, (a, b) = await cast(stack)
    acks = await fill(a, room, 3)
    await mark(b, "read", room, acks[2]["messageId"])
    r = await rest_of(stack, ann).acall(
        "PATCH", f"/api/conversations/{room}/messages/"
        + acks[0]["messageId"], {"content": {"text": "m one"}})
    assert r.status == 200, r
    await asyncio.to_thread(stack.wait_applied)
    stack.drop_log(room)
    late = await Ws.hello(stack.ws(1, "bulk"), bob, resume=True)
    late.send("resume", {"conversations": {room: 1}})
    joined = (await late.wait("conversation_joined"))["data"]
    assert joined["compact"]
    assert [x["readSeq"] for x in joined["cursors"]
            if x["userId"] == bob] == [3]
    for _ in range(2):
        m = (await late.wait("message_received"))["data"]["message"]
        assert (m["status"], m["readBy"]) == ("sent", [])
    m = (await late.wait("message_updated"))["data"]["message"]
    assert "status" not in m and "readBy" not in m
    assert rest_of(stack, ann).history(room)[0]["status"] == "read"
    await close(a, b, late)


async def test_each_message_has_the_time_at_which_it_was_read(stack):
    """And of a later move only what that added."""
    (ann, bob), room, (a, b) = await cast(stack)
    acks = await fill(a, room, 6)
    at = {}
    for n in (2, 3, 6):
        await mark(b, "read", room, acks[n - 1]["messageId"])
        at[n] = (await told(a, "read"))["readBy"][0]["readAt"]
        await asyncio.sleep(0.005)      # times are in milliseconds
    assert len(set(at.values())) == 3
    for node in (0, 1):
        rows = rest_of(stack, ann, node).history(room)
        assert [m["readBy"] for m in rows] == [
            [{"userId": bob, "readAt": at[n]}] for n in (2, 2, 3, 6, 6, 6)]
    await close(a, b)


async def test_never_backwards(stack):
    """Older, repeated and overtaken marks move nothing, tell nothing."""
    (ann, bob), room, (a, b) = await cast(stack)
    acks = await fill(a, room, 8)
    ids = [x["messageId"] for x in acks]
    await mark(b, "read", room, ids[4])
    assert (await told(a, "read"))["seq"] == 5
    before = rest_of(stack, ann).history(room)
    for kind, n in [("read", 5), ("read", 1), ("delivered", 5),
                    ("delivered", 2)]:
        await mark(b, kind, room, ids[n - 1])
        for door in ("read", "delivered"):
            r = await rest_of(stack, bob).acall(
                "POST", f"/api/conversations/{room}/{door}",
                {"messageId": ids[n - 1]})
            assert r.data[door + "Seq"] == 5, r
            assert r.data["unreadCount"] == 3, r
    await send(a, room, "last")
    e = await a.wait("message_received", where=lambda e: e["data"][
        "seq"] == 9)
    assert e and not [x for x in a.pending() if x["event"] ==
                      "message_status" and x["data"]["status"] != "sent"]
    assert rest_of(stack, ann).history(room)[:8] == before
    await close(a, b)


async def test_sent_delivered_read(stack):
    """In this order, and each told once."""
    (ann, bob, cho), room, (a, b, c) = await cast(stack, 3)
    ack = await send(a, room, "x")
    mid = ack["messageId"]

    def status():
        m = rest_of(stack, ann).history(room)[0]
        return m["status"], [r["userId"] for r in m["readBy"]]

    assert status() == ("sent", [])
    await mark(b, "delivered", room, mid)
    data = await told(a, "delivered")
    assert data["readBy"] == []
    assert [d["userId"] for d in data["deliveredTo"]] == [bob]
    assert status() == ("delivered", [])
    await mark(b, "read", room, mid)
    assert [r["userId"] for r in (await told(a, "read"))["readBy"]] == [bob]
    assert status() == ("read", [bob])
    # who reads at once was delivered to, too
    await mark(c, "read", room, mid)
    assert [r["userId"] for r in (await told(a, "read"))["readBy"]] == [cho]
    assert status()[0] == "read" and set(status()[1]) == {bob, cho}
    cursors = {x["userId"]: (x["readSeq"], x["deliveredSeq"])
               for x in (await join(a, room))["cursors"]}
    assert cursors[bob] == cursors[cho] == (1, 1)
    await mark(c, "delivered", room, mid)
    await a.quiet(0.2, "message_received", "ack")
    await close(a, b, c)


async def test_own_messages_are_not_read_by_oneself(stack):
    (ann, bob), room, (a, b) = await cast(stack)
    first = await send(a, room, "mine")
    await mark(a, "read", room, first["messageId"])
    m = rest_of(stack, bob).history(room)[0]
    assert (m["status"], m["readBy"]) == ("sent", [])
    assert await unread(stack, bob) == {room: 1}
    await close(a, b)


async def test_by_rest_as_by_socket(stack):
    """POST :id/read tells the sockets; what the log no longer has, the
    store knows."""
    (ann, bob), room, (a, b) = await cast(stack)
    acks = await fill(a, room, 6)
    r = await rest_of(stack, bob, 1).acall(
        "POST", f"/api/conversations/{room}/read",
        {"messageId": acks[1]["messageId"]})
    assert r.data == {"conversationId": room, "readSeq": 2,
                      "messageId": acks[1]["messageId"], "unreadCount": 4}
    for ws in (a, b):
        data = await told(ws, "read")
        assert data["messageId"] == acks[1]["messageId"]
    await asyncio.to_thread(stack.wait_applied)
    stack.drop_log(room)
    await mark(b, "read", room, acks[3]["messageId"])
    assert (await told(a, "read"))["seq"] == 4
    await mark(b, "delivered", room, acks[5]["messageId"])
    assert (await told(a, "delivered"))["seq"] == 6
    assert await unread(stack, bob) == {room: 2}
    await close(a, b)


async def test_many_readers_are_told_together(stack):
    """A message of a lecture is read by 200 at once: not 200 times 200
    frames.  Nobody is left out, nobody told twice."""
    users = uniques(*[f"r{i}" for i in range(READERS)])
    ann = unique("ann")
    room = stack.make_room(ann, *users)
    a = await Ws.hello(stack.ws(0, "bulk"), ann)
    socks = await asyncio.gather(*[
        Ws.hello(stack.ws(i % 2, "bulk"), u) for i, u in enumerate(users)])
    ack = await send(a, room, "please read")
    await asyncio.gather(*[received(ws, 1) for ws in socks])
    for kind in ("delivered", "read"):
        who, frames = [], 0
        # all are there when the first one is looked at, however slow we are
        go = upload.hold([p for n in stack.nginx for p in n.workers()])
        try:
            for ws in socks:
                ws.send("mark_" + kind, {"conversationId": room,
                                         "messageId": ack["messageId"]})
        finally:
            go()
        while len(who) < READERS:
            data = await told(a, kind, 20)
            assert data["messageId"] == ack["messageId"]
            who += [x["userId"] for x in data[
                "readBy" if kind == "read" else "deliveredTo"]]
            frames += 1
        assert sorted(who) == sorted(users)
        print(f"{READERS} readers, {kind}: {frames} frames a socket")
        assert frames <= FRAMES_MAX, frames
    await a.quiet(0.2, "message_received")
    m = rest_of(stack, ann).history(room)[0]
    assert {r["userId"] for r in m["readBy"]} == set(users)
    await close(a, *socks)


async def test_deleted_and_left(stack):
    """A deleted message is unread to nobody; who left reads no more."""
    (ann, bob, cho), room, (a, b, c) = await cast(stack, 3)
    acks = await fill(a, room, 3)
    a.send("delete_message", {"conversationId": room,
                              "messageId": acks[2]["messageId"]}, id="d")
    await a.wait("ack", where=lambda e: e["data"]["id"] == "d")
    assert await unread(stack, bob) == {room: 2}
    await mark(b, "read", room, acks[2]["messageId"])   # deleted: a place
    assert (await told(a, "read"))["seq"] == 3
    assert await unread(stack, bob) == {}
    r = await rest_of(stack, cho).acall(
        "DELETE", f"/api/conversations/{room}/participants/{cho}")
    assert r.status == 200, r
    c.send("mark_read", {"conversationId": room,
                         "messageId": acks[0]["messageId"]}, id="m")
    e = await c.wait("error")
    assert e["data"]["code"] == "not_found"
    rows = rest_of(stack, ann).history(room)
    assert [[x["userId"] for x in m["readBy"]] for m in rows[:2]] == [
        [bob], [bob]]
    assert await unread(stack, cho) == {}
    await close(a, b, c)
