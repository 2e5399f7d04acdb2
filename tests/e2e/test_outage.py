"""When parts are away: what clients see, and that it is all there after.

DESIGN: chat goes on without the worker and the database; without Redis
sockets stay and sends are refused as retryable; nothing is lost.
"""

import asyncio
import time

from harness import tokens
from harness.client import ChatClient
from harness.scene import (fill, join, message, received, send, seqs,
                           uniques)
from harness.ws import Refused, Ws


async def test_worker_pool_away(make_stack):
    """Degraded: sends, echoes and resume from the log work; REST reads say
    503 with Retry-After; the backlog is applied in order."""
    stack = make_stack()
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    other = await Ws.hello(stack.ws(), bob)
    await fill(ws, room, 10)
    assert stack.worker.stop() is None
    stack.wait_health("degraded")
    code, body = stack.health()
    assert code == 200
    acks = await fill(ws, room, 90, start=11)
    assert [a["seq"] for a in acks] == list(range(11, 101))
    assert {a["durability"] for a in acks} == {"log"}
    assert seqs(await received(other, 100)) == list(range(1, 101))
    # a reconnect needs no store either
    back = await Ws.hello(stack.ws(), bob, resume=True)
    back.send("resume", {"conversations": {room: 40}})
    assert seqs(await received(back, 60)) == list(range(41, 101))
    start = time.monotonic()
    reply = await stack.rest(tokens.token(ann)).aget("/api/conversations")
    assert 0.5 < time.monotonic() - start < 7
    reply.refused(503, "unavailable")
    assert int(reply.headers["Retry-After"]) >= 1
    # REST sends do not need the pool
    posted = await stack.rest(tokens.token(ann)).acall(
        "POST", f"/api/conversations/{room}/messages",
        {"type": "text", "content": {"text": "by post"},
         "clientMessageId": "p1"})
    assert posted.status == 201, posted
    stack.worker.start()
    stack.wait_health("ok")
    rows = stack.rest(tokens.token(bob)).history(room)
    assert [m["seq"] for m in rows] == list(range(1, 102))
    for w in (ws, other, back):
        await w.close()


async def test_redis_away_and_back(make_stack):
    """Down: /healthz 503, sockets stay, sends are refused as retryable, new
    connections are 503; back: the same sockets go on without a hole."""
    stack = make_stack(nginx=2)
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(0), ann)
    b = await Ws.hello(stack.ws(1), bob)
    await fill(a, room, 5)
    stack.redis[0].kill()
    stack.wait_health("down")
    assert stack.health()[0] == 503
    a.send("send_message", message(room, "lost?", "c1"), id="i1")
    error = (await a.wait("error"))["data"]
    assert error["code"] == "unavailable"
    assert error["retryable"] is True
    assert error["clientMessageId"] == "c1"
    assert error["id"] == "i1"
    try:
        await Ws.connect(stack.ws(0), tokens.token(ann))
        raise AssertionError("a connection without Redis")
    except Refused as e:
        assert e.status == 503
        assert e.json["error"]["code"] == "unavailable"
        assert "Retry-After" in e.headers
    reply = await stack.rest(tokens.token(ann)).aget("/api/conversations")
    reply.refused(503, "unavailable")
    assert a.closed is None and b.closed is None
    stack.redis[0].start()
    stack.wait_health("ok")
    ack = await send(a, room, "lost?", "c1")
    assert ack["seq"] == 6
    await fill(b, room, 5, start=7)
    for ws in (a, b):
        assert seqs(await received(ws, 11)) == list(range(1, 12))
        await ws.close()
    assert len(stack.rest(tokens.token(ann)).history(room)) == 11


async def test_redis_restarts_under_traffic(make_stack):
    """Three times; nobody sees a hole or a repeat, nobody is thrown out."""
    stack = make_stack(nginx=2)
    users = uniques("ann", "bob", "cho")
    room = stack.make_room(*users)
    clients = [ChatClient(u, [(stack.ws(i % 2), "127.0.0.1",
                               stack.port(i % 2))], [room], seed=i)
               for i, u in enumerate(users)]
    for c in clients:
        c.start()
    sent = 0
    for turn in range(3):
        for i in range(60):
            clients[i % 3].send(room, f"{turn} {i}")
            sent += 1
            await asyncio.sleep(0.01)
            if i == 30:
                stack.redis[0].kill()
                await asyncio.sleep(0.3)
                await asyncio.to_thread(stack.redis[0].start)
    for c in clients:
        await c.wait_acked(30)
    for c in clients:
        await c.wait_seq(room, sent, 10)
        assert sorted(c.rooms[room].got) == list(range(1, sent + 1))
        assert c.violations == []
        assert c.stats["connects"] == 1, c.stats
        await c.stop()
    stack.wait_health("ok")
    stack.wait_applied()
    with stack.open_store() as db:
        assert [r[0] for r in db.messages(room)] == list(range(1, sent + 1))


async def test_children_of_the_pool_are_replaced(make_stack):
    """An api process or the projector dies: REST answers again within
    seconds and what waits is applied."""
    stack = make_stack()
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    rest = stack.rest(tokens.token(ann))
    sent = 0
    for role in ("api", "projector", "api", "projector"):
        killed = await asyncio.to_thread(stack.worker.kill_role, role)
        assert killed, f"no {role} process"
        await fill(ws, room, 10, start=sent + 1)
        sent += 10
        end = time.monotonic() + 15
        while True:
            reply = await rest.aget(f"/api/conversations/{room}/messages")
            if reply.status == 200:
                break
            assert reply.status == 503, reply
            assert time.monotonic() < end
            await asyncio.sleep(0.2)
        assert reply.data["messages"][0]["seq"] == sent
    stack.wait_health("ok")
    assert [m["seq"] for m in rest.history(room)] == list(
        range(1, sent + 1))
    await ws.close()


async def test_first_start_without_redis(make_stack):
    """nginx and worker wait for Redis, whatever comes up first."""
    stack = make_stack()
    for n in stack.nginx:
        assert n.stop() is None
    assert stack.worker.stop() is None
    stack.redis[0].kill()
    stack.worker.start()
    stack.nginx[0].start()
    await asyncio.sleep(1)
    assert stack.health()[0] == 503
    assert stack.nginx[0].alive()
    stack.redis[0].start()
    stack.wait_health("ok", 20)
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    assert (await send(ws, room, "x"))["seq"] == 1
    await ws.close()


async def test_redis_comes_back_empty(make_stack):
    """Redis lost everything (a new machine): rooms come from the store, and
    no number is used twice."""
    stack = make_stack()
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    await fill(ws, room, 20)
    stack.wait_applied()
    await ws.close()
    with stack.redis_client() as c:
        c.flushall()
    # the library and the streams' groups went, too: restart what makes them
    assert stack.worker.stop() is None
    stack.worker.start()
    stack.wait_health("ok", 20)
    ws = await Ws.hello(stack.ws(), bob, resume=True)
    ws.send("resume", {"conversations": {room: 15}})
    joined = (await ws.wait("conversation_joined"))["data"]
    assert joined["seq"] == 20
    assert seqs(await received(ws, 5)) == list(range(16, 21))
    ack = await send(ws, room, "on")
    assert ack["seq"] == 21
    assert [m["seq"] for m in stack.rest(tokens.token(ann)).history(
        room)] == list(range(1, 22))
    await ws.close()
