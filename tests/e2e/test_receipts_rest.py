"""POST :id/read and :id/delivered, GET /api/unread.

Without these a message that the log has forgotten could not be marked, an
answer could come before the store knows of it, or somebody could move a cursor
in a room that is not his.
"""

import asyncio
import secrets

from harness import tokens
from harness.scene import fill, send, unique, uniques
from harness.ws import Ws

BAD_IDS = [None, 5, "", "a b", "x" * 65, True, [], {}]


def rest_of(stack, user, nginx=0, **claims):
    return stack.rest(tokens.token(user, **claims), nginx)


async def mark(stack, user, room, mid, door="read", nginx=0, **claims):
    return await rest_of(stack, user, nginx, **claims).acall(
        "POST", f"/api/conversations/{room}/{door}", {"messageId": mid})


async def unread(stack, user, nginx=0):
    data = (await rest_of(stack, user, nginx).aget("/api/unread")).data
    counts = {c["conversationId"]: c["unreadCount"]
              for c in data["conversations"]}
    assert data["total"] == sum(counts.values())
    return counts


async def told(ws):
    e = await ws.wait("message_status", where=lambda e: e["data"][
        "status"] in ("read", "delivered"))
    return e["data"]


async def forget(stack, room, *, all_of_it=False):
    """As Redis does after a while: the log, or the whole room."""
    await asyncio.to_thread(stack.wait_applied)
    conv, tag = stack.conversation_key(room)
    with stack.redis_of_room(room) as c:
        c.delete(f"{tag}:log:{room}", *([conv] if all_of_it else []))


async def test_answer_knows_what_was_just_done(stack):
    """Count and cursors are right in the answer, and in what is read next
    through the other node."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(), ann)
    for n in range(1, 11):
        ack = await send(a, room, f"m {n}")
        if n % 2:
            continue
        r = await mark(stack, bob, room, ack["messageId"], nginx=n // 2 % 2)
        assert r.data == {"conversationId": room, "readSeq": n,
                          "messageId": ack["messageId"], "unreadCount": 0}
        assert await unread(stack, bob, 1) == {}
        m = (await rest_of(stack, ann, 1).aget(
            f"/api/conversations/{room}/messages", limit=1)).data[
                "messages"][0]
        assert m["status"] == "read"
        assert [x["userId"] for x in m["readBy"]] == [bob]
    assert await unread(stack, ann) == {}
    await a.close()


async def test_what_was_told_is_read(stack):
    """A cursor has no number to wait for; yet who is told of it and reads
    at once must see it: in the history, one message and the room."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(), ann)
    b = await Ws.hello(stack.ws(1), bob)
    path = f"/api/conversations/{room}"
    for n in range(30):
        mid = (await send(a, room, f"m {n}"))["messageId"]
        status = "read" if n % 2 else "delivered"
        b.send("mark_read" if n % 2 else "mark_delivered",
               {"conversationId": room, "messageId": mid})
        assert (await told(a))["status"] == status
        rest = rest_of(stack, ann, n // 2 % 2)
        if n % 3 == 0:
            m = (await rest.aget(path + "/messages", limit=1)).data[
                "messages"][0]
        elif n % 3 == 1:
            m = (await rest.aget(f"{path}/messages/{mid}")).data["message"]
        else:
            if n % 2:
                doc = (await rest_of(stack, bob).aget(path)).data
                assert doc["conversation"]["unreadCount"] == 0
            continue
        assert m["id"] == mid and m["status"] == status, (n, m)
    await a.close()
    await b.close()


async def test_what_redis_has_forgotten(stack):
    """First the log, then the room: the store knows the numbers."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(1), ann)
    ids = [x["messageId"] for x in await fill(a, room, 8)]
    await forget(stack, room)
    r = await mark(stack, bob, room, ids[2])
    assert r.data["readSeq"] == 3 and r.data["unreadCount"] == 5
    data = await told(a)
    assert data["messageId"] == ids[2] and data["seq"] == 3
    assert [x["userId"] for x in data["readBy"]] == [bob]
    await forget(stack, room, all_of_it=True)
    r = await mark(stack, bob, room, ids[5], "delivered", 1)
    assert r.data == {"conversationId": room, "messageId": ids[5],
                      "deliveredSeq": 6, "unreadCount": 5}
    assert (await told(a))["seq"] == 6
    # and back: nothing moves, nobody is told, the answer says where it is
    await forget(stack, room, all_of_it=True)
    r = await mark(stack, bob, room, ids[0])
    assert r.data["readSeq"] == 3 and r.data["messageId"] == ids[0]
    await a.quiet(0.2, "message_received")
    await a.close()


async def test_at_once_from_many_devices(stack):
    """The highest wins, whatever the order, and no answer tells less than
    was asked for."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(), ann)
    ids = [x["messageId"] for x in await fill(a, room, 20)]
    order = list(range(20))
    secrets.SystemRandom().shuffle(order)
    replies = await asyncio.gather(*[
        mark(stack, bob, room, ids[i], nginx=i % 2) for i in order])
    for i, r in zip(order, replies):
        assert r.data["readSeq"] >= i + 1, r
        assert r.data["unreadCount"] <= 20 - (i + 1), r
    assert max(r.data["readSeq"] for r in replies) == 20
    assert await unread(stack, bob) == {}
    seqs = []
    while not seqs or seqs[-1] != 20:
        seqs.append((await told(a))["seq"])
    assert seqs == sorted(set(seqs)), seqs
    await a.quiet(0.1, "message_received")
    await a.close()


async def test_not_ones_own(stack):
    """A message of another room, of none, a room that is not one's own;
    nothing moves and the answers do not tell which it was."""
    ann, bob, eve = uniques("ann", "bob", "eve")
    room, other = stack.make_room(ann, bob), stack.make_room(ann, eve)
    a = await Ws.hello(stack.ws(), ann)
    here = (await send(a, room, "x"))["messageId"]
    there = (await send(a, other, "y"))["messageId"]
    for door in ("read", "delivered"):
        raws = set()
        for mid in (there, secrets.token_hex(12), unique("m")):
            r = await mark(stack, bob, room, mid, door)
            r.refused(404, "not_found")
            raws.add(r.raw)
        for user, role in ((eve, "student"), (unique("t"), "tutor"),
                           (unique("svc"), "service"),
                           (unique("adm"), "admin")):
            for where in (room, secrets.token_hex(12)):
                r = await mark(stack, user, where, here, door, role=role)
                r.refused(404, "not_found")
                raws.add(r.raw)
        assert len(raws) == 1
    assert await unread(stack, bob) == {room: 1}
    # who has left can not either
    out = await rest_of(stack, bob).acall(
        "DELETE", f"/api/conversations/{room}/participants/{bob}")
    assert out.status == 200, out
    (await mark(stack, bob, room, here)).refused(404, "not_found")
    assert await unread(stack, bob) == {}
    for ws_told in a.pending():
        assert ws_told["data"].get("status") not in ("read", "delivered")
    await a.close()


async def test_wrong_bodies(stack):
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(), ann)
    mid = (await send(a, room, "x"))["messageId"]
    for door in ("read", "delivered"):
        path = f"/api/conversations/{room}/{door}"
        for bad in BAD_IDS:
            error = (await rest_of(stack, bob).acall(
                "POST", path, {"messageId": bad})).refused(
                    400, "invalid_request")
            assert error["field"] == "messageId", bad
        for raw in ("", "[]", "{", '{"messageId":"a","messageId":"b"}'):
            (await rest_of(stack, bob).acall(
                "POST", path, raw=raw, headers={
                    "Content-Type": "application/json"})).refused(
                        400, "invalid_request")
        # what is not known does not matter
        r = await rest_of(stack, bob).acall(
            "POST", path, {"messageId": mid, "seq": 99, "userId": ann})
        assert r.data[door + "Seq"] == 1
    await a.close()


async def test_unread_over_rooms(stack):
    """Archived ones count, empty ones and one's own messages do not."""
    ann, bob = uniques("ann", "bob")
    rooms = [stack.make_room(ann, bob) for _ in range(4)]
    a = await Ws.hello(stack.ws(), ann)
    b = await Ws.hello(stack.ws(1), bob)
    for n, room in enumerate(rooms):
        await asyncio.sleep(0.005)      # times are in milliseconds
        for i in range(n):
            await send(a, room, f"m {i}")
        await send(b, room, "mine")
    svc = rest_of(stack, unique("svc"), role="service")
    r = await svc.acall("POST", f"/api/conversations/{rooms[3]}/archive")
    assert r.status == 200, r
    want = {rooms[n]: n for n in (3, 2, 1)}
    got = await unread(stack, bob)
    assert got == want and list(got) == list(want)      # newest first
    # an archived room can be read
    mid = (await rest_of(stack, bob).aget(
        f"/api/conversations/{rooms[3]}/messages")).data["messages"][0]["id"]
    assert (await mark(stack, bob, rooms[3], mid)).data["unreadCount"] == 0
    assert await unread(stack, bob) == {rooms[2]: 2, rooms[1]: 1}
    assert await unread(stack, unique("nobody")) == {}
    await a.close()
    await b.close()
