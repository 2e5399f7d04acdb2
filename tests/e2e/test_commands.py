"""Events that are REST routes, and rates: with the real worker behind.

Who may do what, by both doors, is test_table.py's.  Here: of one client's
commands for one message the last one wins, though the pool works side by side;
what both doors say when a text is too long, when too much is asked for and
when there is no pool; a user's rate over sockets, nginx workers and REST.
"""

import asyncio
import math
import time

from harness import tokens
from harness.scene import send, unique, uniques
from harness.ws import Ws

RATED = "rated"     # change: 1/s, 4 at once; of a user 3/s, 6 at once


def rest_of(stack, user, server="main", **claims):
    return stack.rest(tokens.token(user, **claims), server=server)


async def answer(ws, id):
    """ack or error to this id."""
    while True:
        e = await ws.recv()
        if e["event"] in ("ack", "error") and e["data"].get("id") == id:
            return e


async def reactions(stack, user, room, mid):
    path = f"/api/conversations/{room}/messages/{mid}"
    reply = await rest_of(stack, user).aget(path)
    return reply.data["message"]["reactions"]


async def test_the_last_command_wins(stack):
    """Reaction on and off, and edits, faster than they are answered."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    mid = (await send(ws, room, "first"))["messageId"]
    where = {"conversationId": room, "messageId": mid}
    for i in range(10):
        name = "remove_reaction" if i % 2 else "add_reaction"
        ws.send(name, {**where, "emoji": "❤"}, id=f"r{i}")
        ws.send("edit_message", {**where, "content": {"text": f"edit {i}"}},
                id=f"e{i}")
    for id in ("r9", "e9"):
        e = await answer(ws, id)
        assert e["event"] == "ack", e
    path = f"/api/conversations/{room}/messages/{mid}"
    m = (await rest_of(stack, bob).aget(path)).data["message"]
    assert m["content"] == {"text": "edit 9"}
    assert m["reactions"] == []
    history = await rest_of(stack, ann).aget(path + "/history")
    assert [e["previousContent"] for e in history.data["editHistory"]] == [
        "first"] + [f"edit {i}" for i in range(9)]
    ws.send("add_reaction", {**where, "emoji": "❤"}, id="last")
    assert (await answer(ws, "last"))["event"] == "ack"
    assert len(await reactions(stack, bob, room, mid)) == 1
    await ws.close()


async def test_too_long(stack):
    """A text that may not be sent may not be edited in, by either door."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    mid = (await send(ws, room, "short"))["messageId"]
    content = {"content": {"text": "é" * 8193}}
    ws.send("edit_message", {"conversationId": room, "messageId": mid,
                             **content}, id="e1")
    said = (await answer(ws, "e1"))["data"]
    reply = await rest_of(stack, ann).acall(
        "PATCH", f"/api/conversations/{room}/messages/{mid}", content)
    error = reply.refused(413, "too_large")
    assert (said["code"], said["field"]) == (error["code"], error["field"])
    assert said["retryable"] is False
    await ws.close()


async def test_no_pool(make_stack):
    """Both doors: unavailable, and when to try again; then it is done."""
    stack = make_stack(waits="")
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    mid = (await send(ws, room, "first"))["messageId"]
    edit = {"content": {"text": "new"}}
    stack.wait_applied()
    assert stack.worker.stop() is None
    ws.send("edit_message", {"conversationId": room, "messageId": mid,
                             **edit}, id="e1")
    reply = await rest_of(stack, ann).acall(
        "PATCH", f"/api/conversations/{room}/messages/{mid}", edit)
    error = reply.refused(503, "unavailable")
    assert int(reply.headers["Retry-After"]) >= 1
    said = (await answer(ws, "e1"))["data"]
    assert said["code"] == error["code"]
    assert said["retryable"] is True and said["retryAfterMs"] > 0
    assert said["conversationId"] == room
    stack.worker.start()
    stack.wait_health("ok")
    ws.send("edit_message", {"conversationId": room, "messageId": mid,
                             **edit}, id="e2")
    assert (await answer(ws, "e2"))["event"] == "ack"
    await ws.close()


async def ask(ws, room, mid, n):
    """n reactions to what is not there, at once; what each was told."""
    for i in range(n):
        ws.send("add_reaction", {"conversationId": room, "messageId": mid,
                                 "emoji": "❤"}, id=f"a{i}")
    return await answers(ws, "a", n)


async def answers(ws, prefix, n):
    """What each of n was told, in the order in which they were sent."""
    # one that is refused here overtakes one that the worker is asked about
    told = {}
    while len(told) < n:
        e = await ws.recv()
        if e["event"] in ("ack", "error"):
            assert e["data"]["id"] not in told, e
            told[e["data"]["id"]] = e["data"]
    return [told[f"{prefix}{i}"] for i in range(n)]


async def test_a_rate_of_a_connection(stack):
    """So many at once; then as fast as it says; other kinds go on."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(0, RATED), ann)
    start = time.monotonic()
    # at once: one by one they might be no faster than the rate
    for i in range(8):
        ws.send("delete_message", {"conversationId": room,
                                   "messageId": unique("none")}, id=f"d{i}")
    told = await answers(ws, "d", 8)
    took = time.monotonic() - start
    through = [t for t in told if t["code"] == "not_found"]
    limited = [t for t in told if t["code"] == "rate_limited"]
    assert len(through) + len(limited) == len(told)
    assert 4 <= len(through) <= 4 + math.ceil(took)
    assert all(t["retryable"] and 0 < t["retryAfterMs"] <= 1000
               for t in limited)
    await send(ws, room, "of another kind")
    await asyncio.sleep(limited[-1]["retryAfterMs"] / 1000)
    ws.send("delete_message", {"conversationId": room, "messageId": "none"},
            id="again")
    assert (await answer(ws, "again"))["data"]["code"] == "not_found"
    await ws.close()


async def test_a_rate_of_a_user(stack):
    """Many sockets, on all workers of one nginx, and REST: one rate."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    mid = unique("none")
    start = time.monotonic()
    socks = [await Ws.hello(stack.ws(0, RATED), ann) for _ in range(8)]
    told = await asyncio.gather(*(ask(ws, room, mid, 4) for ws in socks))
    path = f"/api/conversations/{room}/messages/{mid}"
    rest = rest_of(stack, ann, RATED)
    # side by side, so that they are faster than the rate
    replies = await asyncio.gather(*(rest.acall("DELETE", path)
                                     for _ in range(24)))
    took = time.monotonic() - start
    codes = [t["code"] for some in told for t in some]
    assert set(codes) == {"not_found", "rate_limited"}
    through = codes.count("not_found") + sum(
        r.status == 404 for r in replies)
    assert 6 <= through <= 6 + math.ceil(3 * took)
    refused = [r for r in replies if r.status != 404]
    for r in refused:
        r.refused(429, "rate_limited")
        assert int(r.headers["Retry-After"]) >= 1
    assert "rate_limited" in codes and refused
    # others are not concerned, nor is who acts for many
    assert (await rest_of(stack, bob, RATED).acall(
        "DELETE", path)).status == 404
    service = rest_of(stack, unique("svc"), RATED, role="service")
    for _ in range(12):
        assert (await service.acall("DELETE", path)).status != 429
    for ws in socks:
        await ws.close()
