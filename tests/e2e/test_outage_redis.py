"""When Redis is away, hangs, refuses what it is asked or has forgotten:
sockets stay, sends are refused as retryable, and what was acknowledged is all
there after.
"""

import asyncio
import re
import signal

import pytest

from harness import tokens
from harness.client import ChatClient
from harness.net import until
from harness.scene import (fill, message, received, send, seqs,
                           uniques)
from harness.ws import Refused, Ws


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
    for c in clients:               # who connects now would be refused
        await c.wait_ready(10)
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


async def test_redis_lets_in_and_refuses(make_stack):
    """It is full, or wants a replica that is not there: each of us finds out
    at once, tries again more and more seldom, and tells it once."""
    stack = make_stack()
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    await fill(ws, room, 3)
    with stack.redis_client() as c:
        c.config_set("min-replicas-to-write", 1)
        before = c.info("stats")["total_connections_received"]
        ws.send("send_message", message(room, "waits", "c1"))
        error = (await ws.wait("error"))["data"]
        assert error["code"] == "unavailable" and error["retryable"]
        for i in range(100):
            ws.send("send_message", message(room, "waits", f"c{i}"))
        for _ in range(100):
            await ws.wait("error")
        await asyncio.sleep(4)
        made = c.info("stats")["total_connections_received"] - before
        c.config_set("min-replicas-to-write", 0)
    # without a pause it were thousands
    assert made < 100
    assert stack.told("redis_unusable")
    # nginx: once a second, each of its processes
    lines = [re.split(r" \[error\] |#", line)[:2]
             for line in (stack.logs / "nginx0.log").read_text().splitlines()
             if "redis answered" in line]
    assert lines and len({tuple(line) for line in lines}) == len(lines)
    for event in ("redis_lost", "redis_unusable", "redis_connected"):
        for role in ("api", "projector", "janitor"):
            assert len(stack.told(event, role)) <= 2 * 2
    assert (await send(ws, room, "waits", "c1"))["seq"] == 4
    await asyncio.to_thread(stack.wait_applied)
    stack.wait_health("ok")
    assert [m["seq"] for m in stack.rest(tokens.token(bob)).history(
        room)] == [1, 2, 3, 4]
    await ws.close()


async def test_the_function_library_is_gone(make_stack):
    """Somebody has emptied Redis of functions while all are connected, and
    nobody says anything: it is loaded again."""
    stack = make_stack()
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    await fill(ws, room, 3)
    await asyncio.to_thread(stack.wait_applied)
    with stack.redis_client() as c:
        c.execute_command("FUNCTION", "FLUSH")

        async def loaded():
            return c.execute_command("FUNCTION", "LIST")
        await until(loaded, "the library")
    await asyncio.to_thread(stack.wait_health, "ok")
    assert (await send(ws, room, "on"))["seq"] == 4
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


async def test_redis_hangs(make_stack):
    """Redis neither dies nor answers: the canary notices, /healthz says 503,
    and afterwards everything that was sent is there once."""
    stack = make_stack()
    users = uniques("ann", "bob")
    room = stack.make_room(*users)
    clients = [ChatClient(u, [(stack.ws(), "127.0.0.1", stack.port())],
                          [room], seed=i) for i, u in enumerate(users)]
    for c in clients:
        c.start()
    sends = [clients[0].send(room, "before")]
    await clients[0].wait_acked(5)
    stack.redis[0].signal_all(signal.SIGSTOP)
    for i in range(20):
        sends.append(clients[i % 2].send(room, f"m {i}"))
    await asyncio.to_thread(stack.wait_health, "down", 12)
    assert stack.health()[0] == 503
    status, out = await asyncio.to_thread(stack.worker.run_once, "--check")
    assert status != 0 and "no reply in time" in out, out
    stack.redis[0].signal_all(signal.SIGCONT)
    await asyncio.to_thread(stack.wait_health, "ok", 15)
    for c in clients:
        await c.wait_acked(15)
    for c in clients:
        await c.wait_seq(room, 21, 10)
        assert sorted(c.rooms[room].got) == list(range(1, 22))
        assert c.violations == []
        await c.stop()
    assert sorted(s.ack[1] for s in sends) == list(range(1, 22))


@pytest.mark.parametrize("stored", [True, False])
async def test_redis_lost_its_last_second(make_stack, stored):
    """After a power loss Redis knows less than the others.  No number is
    given twice, and nobody takes a new message for an old one."""
    stack = make_stack(nginx=2)
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(0), ann)
    b = await Ws.hello(stack.ws(1), bob)
    acks = await fill(a, room, 20)
    await asyncio.to_thread(stack.wait_applied)
    stack.redis[0].snapshot()
    if not stored:
        assert stack.worker.stop() is None
    acks += await fill(a, room, 10, start=21)
    assert seqs(await received(b, 30)) == list(range(1, 31))
    if stored:
        await asyncio.to_thread(stack.wait_applied)
    stack.redis[0].kill()
    stack.redis[0].restore()
    stack.redis[0].start()
    if not stored:
        stack.worker.start()
    await asyncio.to_thread(stack.wait_health, "ok", 20)
    news = await fill(b, room, 5, start=31)
    numbers = [x["seq"] for x in news]
    assert numbers == sorted(set(numbers)) and numbers[0] > 30
    for ws in (a, b):
        got = [e for e in await received(ws, 5 if ws is b else 35)
               if e["seq"] > 30]
        assert [e["message"]["id"] for e in got] == [x["messageId"]
                                                     for x in news]
    # who comes back with what he had sees the new ones only
    back = await Ws.hello(stack.ws(0), bob, resume=True)
    back.send("resume", {"conversations": {room: 30}})
    got = await received(back, 5)
    assert [e["message"]["id"] for e in got] == [x["messageId"]
                                                 for x in news]
    await back.quiet(0.3, "conversation_joined")
    rows = stack.rest(tokens.token(ann)).history(room)
    kept = acks if stored else acks[:20]
    assert [m["id"] for m in rows] == [x["messageId"]
                                       for x in kept + news]
    for ws in (a, b, back):
        await ws.close()


async def test_numbers_that_were_given_twice(make_stack):
    """Redis has lost its last second, and of those who knew more only the
    store is left: it sees that a number is another message's, and what was
    acknowledged under it gets a new one, with all that it had."""
    stack = make_stack()
    stack.watch.allow(r"number_reused|\bfence\b", "Redis has lost numbers")
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(), ann)
    acks = await fill(a, room, 20)
    await asyncio.to_thread(stack.wait_applied)
    stack.redis[0].snapshot()
    acks += await fill(a, room, 10, start=21)
    await asyncio.to_thread(stack.wait_applied)
    await a.close()
    stack.nginx[0].stop()
    stack.redis[0].kill()
    stack.redis[0].restore()
    stack.redis[0].start()
    stack.nginx[0].start()
    await asyncio.to_thread(stack.wait_health, "ok", 20)
    b = await Ws.hello(stack.ws(), bob)
    news = await fill(b, room, 1, start=31)
    assert news[0]["seq"] == 21
    while True:
        e = await b.wait("message_received", timeout=10)
        assert e["data"]["message"]["id"] == news[0]["messageId"]
        if e["data"]["seq"] > 30:
            break
    assert e["data"]["message"]["seq"] == e["data"]["seq"]
    await asyncio.to_thread(stack.wait_applied)
    rows = stack.rest(tokens.token(ann)).history(room)
    assert [m["id"] for m in rows] == [x["messageId"] for x in acks + news]
    await b.close()
