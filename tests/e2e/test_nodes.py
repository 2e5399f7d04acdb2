"""What each node says of itself: health, figures, logs, reload."""

import asyncio
import re
import signal

from harness import net, tokens
from harness.client import ChatClient
from harness.logs import token_bytes
from harness.scene import fill, message, received, send, unique, uniques
from harness.ws import Refused, Ws

METRIC = re.compile(
    r"^[a-zA-Z_:][a-zA-Z0-9_:]*"
    r"(\{[a-zA-Z_]\w*=\"(?:[^\"\\\n]|\\[\\\"n])*\""
    r"(,[a-zA-Z_]\w*=\"(?:[^\"\\\n]|\\[\\\"n])*\")*,?\})?"
    r" (?:[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|NaN|[-+]Inf)"
    r"(?: -?\d+)?$")


def parse_metrics(text):
    """Prometheus text format 0.0.4, strictly; name -> [(labels, value)]."""
    out, kinds, done, current = {}, {}, set(), None
    assert text.endswith("\n")
    for line in text.splitlines():
        if not line:
            continue
        if line.startswith("# "):
            word, name = line.split(" ", 3)[1:3]
            assert word in ("HELP", "TYPE"), line
            if word == "TYPE":
                kind = line.split(" ")[3]
                assert kind in ("counter", "gauge", "histogram", "summary",
                                "untyped"), line
                assert name not in kinds, f"TYPE of {name} twice"
                assert name not in out, f"TYPE of {name} after its samples"
                kinds[name] = kind
            continue
        assert METRIC.match(line), line
        name = re.match(r"[\w:]+", line).group()
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        family = family if family in kinds else name
        assert family in kinds, f"{name} has no TYPE"
        if family != current:
            assert family not in done, f"{family} is not in one block"
            done.add(current)
            current = family
        labels = re.search(r"\{(.*)\}", line)
        sample = (labels.group(1) if labels else "",
                  float(line.rsplit("}")[-1].split()[-1]))
        same = out.setdefault(name, [])
        assert sample[0] not in [s[0] for s in same], f"twice: {line}"
        same.append(sample)
        if kinds[family] == "counter":
            assert sample[1] >= 0
    return out, kinds


async def test_metrics_are_prometheus_text(stack):
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    rest = stack.rest()

    def nobody():
        """Sockets of the test before are gone."""
        seen, _ = parse_metrics(rest.get("/metrics").raw.decode())
        return seen["writeen_connections"] == [("", 0)] and seen
    before = await asyncio.to_thread(net.wait_until, nobody, 10,
                                     "the last connection to end")
    socks = [await Ws.hello(stack.ws(), u) for u in (ann, bob)]
    await fill(socks[0], room, 25)
    reply = rest.get("/metrics")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain")
    after, kinds = parse_metrics(reply.raw.decode())
    assert len(after) > 10

    def grew(part):
        names = [n for n in after if part in n]
        assert names, f"no metric named like {part}"
        return sum(v for n in names for _, v in after[n]) - sum(
            v for n in names for _, v in before.get(n, []))

    assert grew("connections") == 2
    assert grew("messages_sent_total") == 25
    assert any(k == "counter" for k in kinds.values())
    for ws in socks:
        await ws.close()


async def test_metrics_of_the_worker_in_the_same_scrape(stack):
    """One scrape has both sides: what was applied, too."""
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(), ann)

    def applied():
        text = stack.rest().get("/metrics").raw.decode()
        out, _ = parse_metrics(text)
        assert sum(v for _, v in out.get(
            "writeen_projector_dead_letters_total", [])) == 0
        return sum(v for _, v in out.get(
            "writeen_projector_events_total", []))

    await asyncio.to_thread(net.wait_until, applied, 10,
                            "the worker's metrics", 0.2)
    start = applied()
    await fill(ws, room, 30)
    await asyncio.to_thread(
        net.wait_until, lambda: applied() >= start + 30, 15,
        "the worker's figures to move", 0.3)
    await ws.close()


async def test_health(stack):
    for i in (0, 1):
        code, body = stack.health(i)
        assert code == 200
        assert body["status"] == "ok"
        assert set(body) >= {"status", "redis", "bus", "worker", "store"}


async def test_no_token_in_any_log(make_stack):
    """Good and bad ones, in every place where a token may be, and in the
    places where none should be."""
    stack = make_stack()
    user = unique("ann")
    good = tokens.token(user)
    for how in ("query", "header", "protocol"):
        ws = await Ws.connect(stack.ws(), good, how=how)
        ws.send("refresh_token", {"token": tokens.token(user)})
        ws.send("refresh_token", {"token": tokens.token(user, ttl=-9)})
        ws.send("no_such", {"token": good})
        ws.send_text(good)
        await ws.wait("error")
        await ws.close()
        for bad in (tokens.token(user, ttl=-9),
                    tokens.token(user, secret="q" * 32)):
            try:
                await Ws.connect(stack.ws(), bad, how=how)
            except Refused as e:
                assert e.status == 401
            else:
                raise AssertionError("a bad token got in")
    rest = stack.rest(good)
    rest.get("/api/conversations").data
    for path in (f"/api/conversations?token={good}", f"/ws?token={good}",
                 f"/ws?a=b&token={good}&resume=1", f"/ws?token={good}&",
                 f"/healthz?token={good}", f"/nothing?token={good}",
                 f"/ws?TOKEN={good}&token={good}"):
        rest.call("GET", path, headers={"Authorization": ""})
    stack.nginx[0].reload()
    stack.wait_health("ok")
    read = 0
    for path in stack.logs.glob("*.log"):
        data = path.read_bytes()
        read += len(data)
        assert token_bytes(data) == [], path
    assert read > 2000
    # the lines are there, only without the token
    access = (stack.logs / "nginx0-access.log").read_text()
    assert access.count("/ws?") >= 5


async def test_reload_with_open_sockets(make_stack):
    """HUP: sockets get 1012 within the drain time, new ones get in at once,
    and resume makes it invisible while messages flow."""
    stack = make_stack(drain="2s", nginx=2)
    users = uniques("ann", "bob", "cho", "dee")
    rooms = [stack.make_room(*users) for _ in range(2)]
    clients = [ChatClient(u, [(stack.ws(0), "127.0.0.1", stack.port(0))],
                          rooms, seed=i) for i, u in enumerate(users)]
    witness = await Ws.hello(stack.ws(0), users[0])
    elsewhere = await Ws.hello(stack.ws(1), users[0])
    for c in clients:
        c.start()
    for c in clients:
        await c.wait_ready(10)
    stop, sent = asyncio.Event(), []

    async def traffic():
        while not stop.is_set():
            n = len(sent)
            sent.append(clients[n % 4].send(rooms[n % 2], f"m {n}"))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(traffic())
    await asyncio.sleep(0.5)

    def moved(times):
        return all(c.ready and c.stats["closes"].get(1012, 0) >= times
                   for c in clients)

    for turn in range(3):
        await asyncio.to_thread(stack.nginx[0].reload)
        await asyncio.to_thread(net.wait_until, lambda n=turn + 1: moved(n),
                                15, "the clients to be on the new workers")
        await asyncio.sleep(0.5)
    code, reason = await witness.wait_closed(10)
    assert code == 1012, reason
    assert elsewhere.closed is None
    stop.set()
    await task
    for c in clients:
        await c.wait_acked(20)
    per_room = {r: max(s.ack[1] for s in sent if s.room == r)
                for r in rooms}
    assert sum(per_room.values()) == len(sent)
    for c in clients:
        for r in rooms:
            await c.wait_seq(r, per_room[r], 10)
            assert sorted(c.rooms[r].got) == list(range(1,
                                                        per_room[r] + 1))
        assert c.violations == []
        assert c.stats["closes"].get(1012, 0) >= 3, c.stats
        assert set(c.stats["closes"]) == {1012}, c.stats
        await c.stop()
    await asyncio.to_thread(
        net.wait_until, lambda: not stack.nginx[0].old_workers(), 5,
        "the old workers to end")
    await elsewhere.close()


test_reload_with_open_sockets.limit = 90


async def test_reload_spreads_the_reconnects(make_stack):
    """The closes do not all come in the same moment."""
    stack = make_stack(drain="3s", nginx_workers=1)
    ann = unique("ann")
    socks = [await Ws.hello(stack.ws(), ann) for _ in range(60)]
    await asyncio.to_thread(stack.nginx[0].reload)
    times = []
    for ws in socks:
        code, reason = await ws.wait_closed(10)
        assert code == 1012
        times.append(ws.frames[-1][0])
    # all within the drain, and not in a heap
    assert 0.8 < max(times) - min(times) < 3 + 2
    again = await Ws.hello(stack.ws(), ann)
    await again.close()


async def test_quit_closes_1012_and_loses_nothing(make_stack):
    """A stop is a drain, too: what was acknowledged is there afterwards."""
    stack = make_stack(drain="1s")
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    acks = await fill(ws, room, 50)
    stack.nginx[0].proc.send_signal(signal.SIGQUIT)
    code, _ = await ws.wait_closed(5)
    assert code == 1012
    assert await asyncio.to_thread(stack.nginx[0].proc.wait,
                                   net.patience(8)) == 0
    stack.nginx[0].start()
    stack.wait_health("ok")
    ws = await Ws.hello(stack.ws(), bob, resume=True)
    ws.send("resume", {"conversations": {room: 0}})
    got = await received(ws, 50)
    assert [e["message"]["id"] for e in got] == [a["messageId"]
                                                 for a in acks]
    await ws.close()


async def test_two_nodes_are_one_chat(stack):
    """A conversation across both nodes, in both directions, at once."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(0), ann)
    b = await Ws.hello(stack.ws(1), bob)
    acks = await asyncio.gather(fill(a, room, 60), fill(b, room, 60))
    want = {x["seq"]: x["messageId"] for own in acks for x in own}
    for ws in (a, b):
        got = await received(ws, 120)
        assert [e["seq"] for e in got] == list(range(1, 121))
        assert all(want[e["seq"]] == e["message"]["id"] for e in got)
    for i in (0, 1):
        rows = stack.rest(tokens.token(ann), i).history(room)
        assert [m["seq"] for m in rows] == list(range(1, 121))
    await a.close()
    await b.close()


async def test_big_room(stack):
    """200 sockets in one room, on both nodes: each gets everything."""
    ann = unique("ann")
    users = uniques(*(f"u{i}" for i in range(40)))
    room = stack.make_room(ann, *users)
    socks = await asyncio.gather(*[
        Ws.hello(stack.ws(i % 2), users[i % 40]) for i in range(200)])
    sender = await Ws.hello(stack.ws(), ann)
    for i in range(10):
        sender.send("send_message", message(room, f"m {i}", f"c{i}"))
    for ws in socks:
        got = await received(ws, 10)
        assert [e["seq"] for e in got] == list(range(1, 11))
    await asyncio.gather(*[ws.close() for ws in (*socks, sender)])


async def test_send_while_one_node_is_away(make_stack):
    stack = make_stack(nginx=2)
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    b = await Ws.hello(stack.ws(1), bob)
    stack.nginx[0].kill()
    ack = await send(b, room, "alone")
    assert ack["seq"] == 1
    stack.nginx[0].start()
    stack.wait_health("ok")
    a = await Ws.hello(stack.ws(0), ann, resume=True)
    a.send("resume", {"conversations": {room: 0}})
    assert [e["seq"] for e in await received(a, 1)] == [1]
    await send(a, room, "together")
    assert [e["seq"] for e in await received(b, 2)] == [1, 2]
    await a.close()
    await b.close()
