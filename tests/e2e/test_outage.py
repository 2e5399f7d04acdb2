"""When the pool, its processes or the database are away: what clients see,
and that it is all there after.  Chat goes on without; nothing is lost.
(When Redis is: test_outage_redis.py.)
"""

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import time

import pytest

from harness import tokens, upload
from harness.cast import Cast
from harness.client import ChatClient
from harness.net import patience, until, wait_until
from harness.parts import Worker, descendants
from harness.scene import (fill, message, received, send, seqs,
                           uniques)
from harness.stack import Server
from harness.ws import Ws

MISSED = 400            # three times what the log keeps
THUMB = "\U0001f44d"


async def test_signals_that_end_no_pool(make_stack):
    """What programs of other makers take as "open the log again", and what
    the kernel sends when nobody reads it any more."""
    stack = make_stack(files="local", env={"CLAMAV": "off"})
    pids = [pid for pid, _ in descendants(stack.worker.pid)]
    assert len(pids) > 4
    for sig in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
                signal.SIGPIPE):
        for pid in (stack.worker.pid, *pids):
            os.kill(pid, sig)
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    await fill(ws, room, 3)
    page = await stack.rest(tokens.token(bob)).aget(
        f"/api/conversations/{room}/messages")
    assert len(page.data["messages"]) == 3
    stack.worker.must_live()
    assert [pid for pid, _ in descendants(stack.worker.pid)] == pids


async def test_worker_pool_away(make_stack):
    """Degraded: sends, echoes and resume from the log work; REST reads say
    503 with Retry-After; the backlog is applied in order."""
    stack = make_stack(waits="")
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    other = await Ws.hello(stack.ws(), bob)
    await fill(ws, room, 10)
    assert stack.worker.stop() is None
    stack.wait_health("degraded")
    assert stack.health()[0] == 200
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
    assert 0.5 < time.monotonic() - start < 5 + patience(2)
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


async def test_children_of_the_pool_are_replaced(make_stack):
    """An api process or the projector dies: REST answers again within
    seconds and what waits is applied."""
    stack = make_stack(waits="")
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
        end = time.monotonic() + patience(15)
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


@contextlib.contextmanager
def store_stands_still(stack):
    """Whoever writes waits: for a lock, or for an answer."""
    if stack.store == "sqlite":
        with contextlib.closing(sqlite3.connect(
                stack.dir / "writeen.db", isolation_level=None)) as c:
            c.execute("BEGIN IMMEDIATE")
            yield
    else:
        stack.mongod.signal_all(signal.SIGSTOP)
        try:
            yield
        finally:
            stack.mongod.signal_all(signal.SIGCONT)


async def test_projector_crashes_with_a_backlog(make_stack):
    """It dies of a signal that a bug would raise, again and again: what it
    had in hand is taken one by one, all of it in order and once."""
    stack = make_stack(own_mongod=True, servers={"bulk": Server(
        "writeen_rate 100000 burst=100000 user=100000;")})
    stack.watch.allow("crash_guard|child_died .*signal=6|store_(open|down)",
                      "we made it so")
    users = uniques("ann", "bob")
    rooms = [stack.make_room(*users) for _ in range(20)]
    ws = await Ws.hello(stack.ws(server="bulk"), users[0])
    log = stack.logs / "worker.log"
    crashes, pause, sent = 0, 0.3, 0

    while crashes < 3:
        await asyncio.to_thread(stack.wait_applied)
        # what it has in hand it keeps there, however fast it is
        with store_stands_still(stack):
            for room in rooms:
                await fill(ws, room, 20, start=sent + 1)
            # MongoDB has to answer before it can take the same again
            for _ in range(3 if stack.store == "sqlite" else 1):
                await asyncio.sleep(pause)
                for pid in stack.worker.role("projector"):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGABRT)
        sent += 20
        # it may need longer until it has something in hand
        pause = min(3, pause * 1.5)
        crashes = log.read_text().count("crash_guard")
    stack.wait_health("ok")
    await asyncio.to_thread(stack.wait_applied)
    with stack.open_store() as db:
        for room in rooms:
            assert [r[0] for r in db.messages(room)] == list(
                range(1, sent + 1))
    for core in stack.worker.cores():
        core.unlink()
    await ws.close()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_an_event_that_crashes_the_projector(make_stack):
    """Whoever has it in hand dies of it: it becomes a dead letter, and the
    room goes on."""
    stack = make_stack()
    stack.watch.allow("crash_guard|dead_letter|child_died .*signal=6",
                      "we made it so")
    users = uniques("ann", "bob")
    room = stack.make_room(*users)
    ws = await Ws.hello(stack.ws(), users[0])
    before = await fill(ws, room, 2)
    await asyncio.to_thread(stack.wait_applied)
    log = stack.logs / "worker.log"

    def killed():
        for pid in stack.worker.role("projector"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGABRT)
        return re.findall(r"crash_guard .*crashes=(\d+)", log.read_text())
    with store_stands_still(stack):
        (bad,) = await fill(ws, room, 1)
        await asyncio.to_thread(wait_until, lambda: "5" in killed(), 60,
                                "it to have died of it", 1)
    after = await fill(ws, room, 2)
    await asyncio.to_thread(stack.wait_applied, 60)
    _, tag = stack.conversation_key(room)
    with stack.redis_of_room(room) as c:
        ((_, dead),) = c.xrange(f"{tag}:ingest:dead")
    assert dead["why"] == "it crashed the projector"
    assert bad["messageId"] in dead["p"]
    rows = stack.rest(tokens.token(users[0])).history(room)
    assert [m["id"] for m in rows] == [x["messageId"]
                                       for x in before + after]
    for core in stack.worker.cores():
        core.unlink()
    await ws.close()


test_an_event_that_crashes_the_projector.limit = 120


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_a_store_that_takes_nothing_is_down_once(make_stack):
    """It answers whoever reads, and nothing can be written (a full disk, a
    lock): that is told once, and that it is back when it is."""
    stack = make_stack()
    users = uniques("ann", "bob")
    room = stack.make_room(*users)
    ws = await Ws.hello(stack.ws(), users[0])
    await asyncio.to_thread(stack.wait_applied)
    with store_stands_still(stack):
        await fill(ws, room, 3)
        await asyncio.to_thread(stack.wait_health, "degraded")
        # more than one try, and one of them after it was asked how it is
        await asyncio.sleep(8)
        assert len(stack.told("store_down", "projector")) == 1
        assert stack.told("store_back", "projector") == []
    await asyncio.to_thread(stack.wait_applied)
    stack.wait_health("ok")
    assert len(stack.told("store_down", "projector")) == 1
    assert len(stack.told("store_back", "projector")) == 1
    await ws.close()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("what", ["writeen.db", "writeen.db-wal"])
async def test_the_database_is_taken_away(make_stack, what):
    """Who has a file open can write to it when it has no name any more: what
    goes there is not stored.  It waits in Redis until the file is back."""
    stack = make_stack()
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    await fill(ws, room, 5)
    await asyncio.to_thread(stack.wait_applied)
    file, away = stack.dir / what, stack.dir / "away"
    file.rename(away)
    if what == "writeen.db":
        file.write_bytes(b"")       # a name alone is not enough
    await fill(ws, room, 5, start=6)
    await asyncio.to_thread(stack.wait_health, "degraded")
    with stack.redis_client() as c:
        key, tag = stack.conversation_key(room)
        assert c.hget(key, "applied") == "5"
        assert c.xlen(f"{tag}:ingest") >= 5
    assert all(f"/{what} was removed, moved or replaced" in line
               for line in stack.told("store_down"))
    away.rename(file)
    await asyncio.to_thread(stack.wait_health, "ok")
    assert [m["seq"] for m in stack.rest(tokens.token(bob)).history(
        room)] == list(range(1, 11))
    assert stack.worker.stop() is None
    with stack.open_store() as db:
        assert [r[0] for r in db.messages(room)] == list(range(1, 11))
    await ws.close()


async def test_ack_store_without_the_pool(make_stack):
    """writeen_ack store: no ack before the database has it, however long
    that takes; the client that repeats gets the one ack in the end."""
    stack = make_stack(servers={"store": Server("writeen_ack store;")})
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(0, "store"), ann)
    other = await Ws.hello(stack.ws(), bob)
    await send(ws, room, "first")
    assert stack.worker.stop() is None
    ws.send("send_message", message(room, "waits", "w1"))
    await asyncio.sleep(2)
    early = [e for e in ws.pending() if e["event"] == "message_status"]
    assert early == []
    stack.worker.start()
    ack = None
    for _ in range(20):
        try:
            ack = await ws.wait("message_status", 1)
            break
        except AssertionError:
            ws.send("send_message", message(room, "waits", "w1"))
    assert ack["data"]["durability"] == "store"
    assert ack["data"]["seq"] == 2
    with stack.open_store() as db:
        assert db.message_ids(room)[1:] == [ack["data"]["messageId"]]
    assert seqs(await received(other, 2)) == [1, 2]
    await other.quiet(0.3)
    await ws.close()
    await other.close()


async def test_dead_letters(make_stack):
    """What the store can never take is set aside with its reason, and holds
    up nothing; its number is nobody else's, also when Redis is empty."""
    stack = make_stack()
    stack.watch.allow("dead_letter", "made by the test")
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(), ann)
    acks = await fill(a, room, 3)
    key, tag = stack.conversation_key(room)
    with stack.redis_of_room(room) as c:
        c.xadd(f"{tag}:ingest", {"c": room, "p": "no header", "x": ""})
        acks += await fill(a, room, 3, start=4)
        seq = c.hincrby(key, "seq", 1)
        letter = {"c": room, "p": f"m {seq} {ann} -\nno JSON", "x": ""}
        entry = c.xadd(f"{tag}:ingest", letter)
        await asyncio.to_thread(stack.wait_applied)
        dead = [f for _, f in c.xrange(f"{tag}:ingest:dead")]
        assert [f["why"] for f in dead] == [
            "the header line is not one", "the body is not a JSON object"]
        assert dead[1] == letter | {"why": dead[1]["why"], "id": entry}
        await asyncio.to_thread(
            wait_until, lambda: c.xlen(f"{tag}:ingest") == 0, 10,
            "the stream to be empty")
    await a.close()
    stack.nginx[0].stop()
    assert stack.worker.stop() is None
    with stack.redis_client() as c:
        c.flushall()
    stack.worker.start()
    stack.nginx[0].start()
    await asyncio.to_thread(stack.wait_health, "ok", 20)
    a = await Ws.hello(stack.ws(), ann)
    news = await fill(a, room, 1, start=7)
    assert news[0]["seq"] > seq
    await asyncio.to_thread(stack.wait_applied)
    rows = stack.rest(tokens.token(ann)).history(room)
    assert [m["id"] for m in rows] == [x["messageId"] for x in acks + news]
    await a.close()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_another_database_by_mistake(make_stack):
    """A setting led to an empty one: what it does not take is kept, and
    comes into the right one by --replay-dead."""
    stack = make_stack()
    stack.watch.allow("dead_letter", "made by the test")
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    acks = await fill(ws, room, 5)
    await asyncio.to_thread(stack.wait_applied)
    env = stack.worker.env
    right = env["SQLITE_PATH"]
    for path in (right + "-wrong", right):
        assert stack.worker.stop() is None
        env["SQLITE_PATH"] = path
        stack.worker.start()
        await asyncio.to_thread(stack.wait_health, "ok", 20)
        acks += await fill(ws, room, 3, start=len(acks) + 1)
        await asyncio.to_thread(stack.wait_applied)
    _, tag = stack.conversation_key(room)
    with stack.redis_of_room(room) as c:
        assert c.xlen(f"{tag}:ingest:dead") == 3
    status, out = await asyncio.to_thread(stack.worker.run_once,
                                          "--replay-dead")
    assert status == 0, out
    await asyncio.to_thread(stack.wait_applied)
    rows = stack.rest(tokens.token(bob)).history(room)
    assert sorted(m["id"] for m in rows) == sorted(
        a["messageId"] for a in acks)
    await ws.close()


async def test_a_process_of_nginx_hangs(make_stack):
    """The others say so: who is connected to it hears nothing."""
    stack = make_stack()
    pids = [pid for pid, title in descendants(stack.nginx[0].pid)
            if "worker process" in title]
    assert len(pids) > 1

    def told():
        # the one that hangs is asked, too, and does not answer
        code, body = stack.health()
        return code == 503 and body
    go_on = upload.hold(pids[:1])
    try:
        body = await asyncio.to_thread(wait_until, told, 40, "it to be seen")
    finally:
        go_on()
    assert (body["bus"], body["redis"]) == ("down", "ok")
    await asyncio.to_thread(stack.wait_health, "ok")


async def test_two_pools(make_stack):
    """A second worker pool on the same Redis and store takes over what the
    first one had, also from one that only sleeps and wakes up again."""
    stack = make_stack(pools=2)
    users = uniques("ann", "bob")
    rooms = [stack.make_room(*users) for _ in range(6)]
    clients = [ChatClient(u, [(stack.ws(), "127.0.0.1", stack.port())],
                          rooms, seed=i) for i, u in enumerate(users)]
    for c in clients:
        c.start()
    for c in clients:
        await c.wait_ready(10)
    sent = [0]

    async def traffic(n):
        for _ in range(n):
            clients[sent[0] % 2].send(rooms[sent[0] % 6], f"m {sent[0]}")
            sent[0] += 1
            await asyncio.sleep(0.02)

    await traffic(60)
    for pool in stack.pools:
        # longer than a lease lives
        pool.signal_all(signal.SIGSTOP)
        await traffic(310)
        pool.signal_all(signal.SIGCONT)
        await traffic(60)
    stack.pools[0].kill()
    await traffic(100)
    for c in clients:
        await c.wait_acked(10)
    # the other one has it all, without the dead one's help
    await asyncio.to_thread(stack.wait_applied, 20)
    with stack.open_store() as db:
        for room in rooms:
            rows = db.messages(room)
            assert [r[0] for r in rows] == list(range(1, len(rows) + 1))
            assert {r[0]: r[1] for r in rows} == {
                n: got[0] for n, got in clients[0].rooms[room].got.items()}
        assert db.count() == sent[0]
    stack.wait_health("ok")
    stack.pools[0].start()
    for c in clients:
        assert c.violations == []
        assert c.stats["connects"] == 1
        await c.stop()


@pytest.mark.parametrize("store", ["mongo"], indirect=True)
async def test_a_projector_that_slept_over_its_lease(make_stack):
    """What it was given just before belongs to somebody else when it wakes
    up, who has stored it, and what came after: a name has no number by which
    the store could tell."""
    stack = make_stack()
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    rest = stack.rest(tokens.token("svc", role="service"), 0, "patient")

    async def call_her(name):
        r = await rest.acall("PUT", f"/api/users/{ann}", {
            "name": name, "role": "student"}, timeout=30)
        assert r.status == 200, r

    async def called():
        room_ = (await rest.aget(f"/api/conversations/{room}")).data
        return {p["userId"]: p["user"]["name"]
                for p in room_["conversation"]["participants"]}[ann]

    await call_her("First")
    await asyncio.to_thread(stack.wait_applied)
    # it waits for entries, and gets one while it sleeps
    go_on = upload.hold(stack.worker.role("projector"))
    try:
        old = asyncio.create_task(call_her("Old"))
        with stack.redis_client() as c:
            async def waits():
                return any(c.xlen(f"wrt:{{{k}}}:ingest") for k in range(16))
            await until(waits, "it to be given something", step=0.01)
        second = Worker("second", stack.dir / "second",
                        stack._log("second"), stack._env("second"))
        second.start()
        try:
            await old
            await call_her("New")
            assert await called() == "New"
            go_on()
            log = stack.logs / "worker.log"
            await asyncio.to_thread(wait_until, lambda: "shards_lost" in
                                    log.read_text(), 20, "it to notice")
            await asyncio.sleep(1)
            assert await called() == "New"
        finally:
            assert second.stop() is None
    finally:
        go_on()


async def test_what_an_nginx_missed_is_more_than_the_log_keeps(make_stack):
    """Who stayed is told how the room stands; who was put out meanwhile hears
    nothing more of it."""
    stack = make_stack(nginx=2, servers={"bulk": Server(
        "writeen_rate 100000 burst=100000 user=100000;")})
    ann, bob, cho = uniques("ann", "bob", "cho")
    room = stack.make_room(ann, bob, cho)
    a, c = [await Ws.hello(stack.ws(0, "bulk"), u) for u in (ann, cho)]
    b = await Ws.hello(stack.ws(1, "bulk"), bob)
    await fill(b, room, 1)
    await received(a, 1)
    await received(c, 1)
    go_on = upload.hold(stack.nginx[0].workers())
    try:
        with stack.redis_client() as redis:
            redis.client_kill_filter(_type="pubsub")
            # the other one lost its connections, too, and finds back
            workers = len(stack.nginx[1].workers())
            await asyncio.to_thread(
                wait_until, lambda: redis.pubsub_channels(f"*:room:{room}")
                and len(redis.pubsub_channels("wrt*:reply:*")) == workers,
                10, "the other nginx to be back")
        r = await stack.rest(tokens.token("svc", role="service"), 1,
                             "bulk").acall(
            "DELETE", f"/api/conversations/{room}/participants/{cho}")
        assert r.status == 200, r
        await fill(b, room, MISSED, start=2)
        await asyncio.to_thread(stack.wait_applied)
    finally:
        go_on()
    joined = (await a.wait("conversation_joined"))["data"]
    assert joined["compact"] and joined["recovered"], joined
    assert joined["missed"] == MISSED + 1 and "id" not in joined
    assert {p["userId"] for p in joined["conversation"]["participants"]
            if p["leftAt"] is None} == {ann, bob}
    assert seqs(await received(a, MISSED + 1)) == list(range(2, MISSED + 3))
    gone = (await c.wait("resync_required"))["data"]
    assert gone["conversationId"] == room
    (await stack.rest(tokens.token(cho), 0, "bulk").aget(
        f"/api/conversations/{room}")).refused(404, "not_found")
    await fill(b, room, 1, start=MISSED + 2)
    assert seqs(await received(a, 1)) == [MISSED + 3]
    await c.quiet(0.5, "user_presence")
    for w in (a, b, c):
        await w.close()


async def call_that_waits(stack):
    """A reaction to ann's message is in hand, and waits for a store that is
    late: the cast, the message, the call, and how the store goes on."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann")
    mid = (await cast.say("ann", "one"))["messageId"]
    go_on = upload.hold(stack.worker.role("projector"))
    try:
        await cast.say("ann", "two")        # for the store of this it waits
        call = asyncio.create_task(cast.react("bob", mid, THUMB))
        await until(lambda: in_hand(stack), "the call to be in hand")
    except BaseException:
        go_on()
        raise
    return cast, mid, call, go_on


async def in_hand(stack):
    """What the api processes have taken and not done, as Redis has it."""
    with stack.redis_client() as redis:
        return redis.xpending_range("wrt:rpc", "api", "-", "+", 10)


async def test_a_call_that_another_process_took_over(make_stack):
    """Who was taken for dead comes back: what the other did in his place he
    does not do again, as it may have been undone since."""
    stack = make_stack(nginx=2, servers={"bulk": Server("")})
    cast, mid, call, go_on = await call_that_waits(stack)

    async def who():
        one, = await in_hand(stack)
        return one["consumer"]

    first = await who()
    awake = upload.hold([int(first.rsplit("-", 1)[1])])
    try:
        async def another():
            return await who() != first
        await until(another, "another process to take it over")
        go_on()
        assert (await call).status == 200
        assert (await cast.react("bob", mid, THUMB, "DELETE")).status == 200
    finally:
        go_on()
        awake()

    await asyncio.sleep(1.5)                # it has looked at what it holds
    assert (await cast.get("ann", mid))["reactions"] == []
    await cast.close()


async def test_a_call_is_in_hand_once(make_stack):
    """Who was slow takes nothing over from himself: the same call would be in
    his hands twice, and one of them might do it again after the other."""
    stack = make_stack(nginx=2, servers={"bulk": Server("")},
                       env={"WORKERS": "1"})
    cast, _, call, go_on = await call_that_waits(stack)
    try:
        awake = upload.hold(stack.worker.role("api"))
        await asyncio.sleep(2)
        awake()
        await asyncio.sleep(2)              # it has looked at what it holds
        one, = await in_hand(stack)
        assert one["times_delivered"] == 1
    finally:
        go_on()
    assert (await call).status == 200
    await cast.close()
