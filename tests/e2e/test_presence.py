"""Who is there: told once, to those who share a conversation, and true
whatever dies.
"""

import asyncio
import json
import re
import threading
import time

from conftest import Server
from harness import net, tokens
from harness.light import many
from harness.scene import TIME, join, unique, uniques
from harness.ws import Ws

GRACE = 10              # WRT_PRESENCE_GRACE_MS
LEASE = 12              # WRT_LEASE_USER_MS
SWEEP = 1               # WRT_PRESENCE_SWEEP_MS
SLACK = 6               # two busy cores
USERS = 2000
GROUP = 10              # people who share a room
LECTURE = 1000          # the largest room there can be
LINKS_MAX = 256         # WRT_PRESENCE_ROOM_MAX, for each nginx worker
BULK = {"bulk": Server("writeen_rate 100000 burst=100000 user=100000;")}


class Watcher:
    """A connection, and what it was told of whom."""

    @classmethod
    async def open(cls, stack, user, node=0, **kw):
        self = cls()
        self.user = user
        self.told = []          # (user, status)
        self.changed = asyncio.Event()
        self.ws = await Ws.hello(stack.ws(node), user, **kw)
        self.ws.on_event = self._event
        return self

    def _event(self, e):
        if isinstance(e, dict) and e["event"] == "user_presence":
            d = e["data"]
            assert set(d) >= {"userId", "status", "lastSeen"}, d
            assert d["lastSeen"] is None or re.match(TIME, d["lastSeen"]), d
            self.told.append((d["userId"], d["status"]))
            self.changed.set()

    def of(self, user):
        return [s for u, s in self.told if u == user]

    async def until(self, user, *statuses, timeout=10):
        """Until it was told exactly these of the user."""
        timeout = net.patience(timeout)
        end = time.monotonic() + timeout
        while self.of(user) != list(statuses):
            assert len(self.of(user)) <= len(statuses), self.told
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(),
                                       end - time.monotonic())
            except asyncio.TimeoutError:
                raise AssertionError(
                    f"{self.user} was told {self.of(user)} of {user}, not "
                    f"{statuses}, in {timeout} s") from None


async def presence(stack, asker, of, node=0, role="student"):
    rest = stack.rest(tokens.token(asker, role=role), node)
    return await rest.aget(f"/api/users/{of}/presence")


async def status_of(stack, asker, of):
    return (await presence(stack, asker, of)).data["status"]


# ---- told to whom -------------------------------------------------------

async def test_told_to_those_who_share_a_conversation(stack):
    """On both nodes, once each, however many rooms are shared; not to
    strangers on the same node, not to who has left."""
    ann, bob, cho, eve, out = uniques("ann", "bob", "cho", "eve", "out")
    stack.make_room(ann, bob)
    stack.make_room(ann, bob, cho)
    room = stack.make_room(ann, out)
    watch = [await Watcher.open(stack, u, i % 2)
             for i, u in enumerate([bob, bob, cho, cho])]
    strangers = [await Watcher.open(stack, eve, i) for i in (0, 1)]
    gone = await Watcher.open(stack, out, 0)
    r = await stack.rest(tokens.token(out)).acall(
        "DELETE", f"/api/conversations/{room}/participants/{out}")
    assert r.status == 200, r
    a = await Ws.hello(stack.ws(0), ann)
    for w in watch:
        await w.until(ann, "online")
    a.send("set_presence", {"status": "busy"})
    for w in watch:
        await w.until(ann, "online", "busy")
    for w in strangers:
        assert w.of(ann) == []
    assert gone.of(ann) == []
    for asker in (eve, out):
        theirs = await presence(stack, asker, ann)
        theirs.refused(404, "not_found")
        never = await presence(stack, asker, unique("never"))
        assert theirs.raw == never.raw
    for w in (*watch, *strangers, gone):
        await w.ws.close()
    await a.close()


async def test_away_busy_online(stack):
    """Chosen on one device, shown on all, by event and by REST; the same
    once more is no news."""
    ann, bob = uniques("ann", "bob")
    stack.make_room(ann, bob)
    b = await Watcher.open(stack, bob, 1)
    socks = [await Ws.hello(stack.ws(i), ann) for i in (0, 1)]
    want = ["online"]
    await b.until(ann, *want)
    for i, status in enumerate(["away", "busy", "busy", "online", "away",
                                "online", "online"]):
        if i % 2:
            r = await stack.rest(tokens.token(ann)).acall(
                "PUT", "/api/presence", {"status": status})
            assert r.data["status"] == status, r
            assert r.data["userId"] == ann
        else:
            socks[i // 2 % 2].send("set_presence", {"status": status},
                                   id=str(i))
            await socks[i // 2 % 2].wait("ack")
        if status != want[-1]:
            want.append(status)
        await b.until(ann, *want)
        assert await status_of(stack, bob, ann) == status
    # who comes later is told by the room and by REST, not by an event
    late = await Watcher.open(stack, bob, 0)
    assert late.of(ann) == []
    for ws in (*socks, b.ws, late.ws):
        await ws.close()


async def test_seen_as_offline_by_choice(stack):
    """Who wants to look offline does, in every place that tells."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    b = await Watcher.open(stack, bob, 1)
    a = await Ws.hello(stack.ws(0), ann)
    await b.until(ann, "online")
    a.send("set_presence", {"status": "offline"}, id="o")
    await a.wait("ack")
    await b.until(ann, "online", "offline")
    assert await status_of(stack, bob, ann) == "offline"
    probe = await Ws.hello(stack.ws(0), bob)
    assert ann not in (await join(probe, room))["online"]
    listed = (await stack.rest(tokens.token(bob)).aget(
        "/api/conversations")).data["conversations"]
    assert [c["isOnline"] for c in listed] == [False]
    # another device of his does not give him away
    second = await Ws.hello(stack.ws(1), ann)
    a.send("set_presence", {"status": "online"}, id="o2")
    await a.wait("ack", where=lambda e: e["data"]["id"] == "o2")
    await b.until(ann, "online", "offline", "online")
    assert ann in (await join(probe, room))["online"]
    for ws in (a, second, probe, b.ws):
        await ws.close()


async def test_what_rest_says_of_a_user(stack):
    """All of its fields; what is private only to oneself and staff."""
    ann, bob = uniques("ann", "bob")
    room, hers = stack.make_room(ann, bob), stack.make_room(ann, unique("x"))
    a = await Ws.hello(stack.ws(0), ann)
    await join(a, room)
    a.send("typing", {"conversationId": room, "isTyping": True}, id="t")
    await a.wait("ack", where=lambda e: e["data"]["id"] == "t")
    for asker, role, private in [(ann, "student", True),
                                 (bob, "student", False),
                                 (unique("svc"), "service", True),
                                 (unique("adm"), "admin", True)]:
        d = (await presence(stack, asker, ann, role=role)).data
        assert d["userId"] == ann and d["status"] == "online", d
        assert re.match(TIME, d["lastSeen"]), d
        rooms = set(d["currentConversations"])
        assert rooms <= {room, hers}, d
        if private:
            assert d["deviceInfo"] is not None, d
            assert set(d["deviceInfo"]) == {"platform", "version",
                                            "socketId"}, d
        else:
            assert d["deviceInfo"] is None, d
            assert hers not in rooms, d
        if asker in (ann, bob):
            assert d["typingIn"] in (room, None), d
    await a.close()


# ---- coming and going ---------------------------------------------------

async def test_two_devices_and_the_grace_time(stack):
    """Offline ~10 s after the last device is gone, once; coming back in
    time is no news.  Closed or cut off makes no difference."""
    ann, cut, back, bob = uniques("ann", "cut", "back", "bob")
    for u in (ann, cut, back):
        stack.make_room(u, bob)
    watch = [await Watcher.open(stack, bob, i) for i in (0, 1)]
    socks = {u: [await Ws.hello(stack.ws(i), u) for i in (0, 1)]
             for u in (ann, cut, back)}
    for w in watch:
        for u in socks:
            await w.until(u, "online")
    for u in socks:
        await socks[u][0].close()
    start = time.monotonic()
    await asyncio.sleep(1)
    await socks[ann][1].close()
    socks[cut][1].abort()
    await socks[back][1].close()
    await asyncio.sleep(2)
    again = await Ws.hello(stack.ws(1), back)
    for w in watch:
        for u in (ann, cut):
            await w.until(u, "online", "offline",
                          timeout=GRACE + SWEEP + SLACK)
    assert time.monotonic() - start > GRACE * 0.9
    for w in watch:
        assert w.of(back) == ["online"]
    for u, want in ((ann, "offline"), (back, "online")):
        d = (await presence(stack, bob, u)).data
        assert d["status"] == want
        if want == "offline":
            assert d["currentConversations"] == []
    # and online again
    more = await Ws.hello(stack.ws(0), ann)
    for w in watch:
        await w.until(ann, "online", "offline", "online")
    for ws in (again, more, *(w.ws for w in watch)):
        await ws.close()


async def test_reload_is_no_news(make_stack):
    """Everybody's socket is closed with 1012 and everybody comes back."""
    stack = make_stack(drain="2s", nginx=2)
    users, bob = uniques(*[f"u{i}" for i in range(30)]), unique("bob")
    stack.make_room(bob, *users)
    watch = await Watcher.open(stack, bob, 1)
    socks = [await Ws.hello(stack.ws(0), u) for u in users]
    for u in users:
        await watch.until(u, "online")

    async def come_back(ws, user):
        code, reason = await ws.wait_closed(10)
        assert code == 1012
        ms = re.search(r"(\d+) ?ms", reason)
        await asyncio.sleep(int(ms.group(1)) / 1000 if ms else 0)
        return await Ws.hello(stack.ws(0), user)

    for _ in range(2):
        back = [asyncio.create_task(come_back(ws, u))
                for ws, u in zip(socks, users)]
        await asyncio.to_thread(stack.nginx[0].reload)
        socks = await asyncio.gather(*back)
    await asyncio.to_thread(
        net.wait_until, lambda: not stack.nginx[0].old_workers(), 5,
        "the old workers to end")
    # whatever the ends of the old ones would do has happened by then
    await asyncio.sleep(GRACE + 2 * SWEEP)
    assert [watch.of(u) for u in users] == [["online"]] * len(users)
    for ws in (*socks, watch.ws):
        await ws.close()


# ---- a node dies --------------------------------------------------------

class Counter:
    """What is published about presence, by user and status."""

    def __init__(self, stack):
        self.redis = stack.redis_client()
        self.sub = self.redis.pubsub(ignore_subscribe_messages=True)
        self.sub.subscribe("wrt:presence")
        self.sub.get_message(timeout=net.patience(5))

    def take(self):
        """[(user, status)] since the last time."""
        out = []
        while m := self.sub.get_message(timeout=1):
            event = json.loads(m["data"].split("\n")[1])
            out.append((event["data"]["userId"], event["data"]["status"]))
        return out

    def close(self):
        self.sub.close()
        self.redis.close()


class Dead:
    """A node that is killed, as Redis sees it: its users count on for what is
    left of their lease, ten seconds at least.  A machine may need longer for
    thousands to come back: inside, the leases of these do not run out."""

    def __init__(self, stack, users):
        self.stack = stack
        self.keys = [f"wrt:u:{u}:conns" for u in users]
        self.over = threading.Event()
        with stack.redis_client() as c:
            p = c.pipeline(transaction=False)
            for key in self.keys:
                p.zrange(key, 0, -1)
            self.workers = {w for some in p.execute() for w in some}

    def renew(self):
        with self.stack.redis_client() as c:
            while not self.over.is_set():
                till = (time.time() + LEASE) * 1000
                self.until = time.monotonic() + LEASE
                p = c.pipeline(transaction=False)
                for key in self.keys:
                    p.zadd(key, {w: till for w in self.workers}, xx=True)
                p.execute()
                self.over.wait(2)

    async def __aenter__(self):
        self.task = asyncio.create_task(asyncio.to_thread(self.renew))

    async def __aexit__(self, *_):
        self.over.set()
        await self.task


async def test_a_node_is_killed(make_stack):
    """kill -9: its users go offline within the lease time, each once for
    each watcher; those who come back elsewhere in time never do, nor those
    who had another device; and 2,000 who reconnect at once are no news."""
    stack = make_stack(nginx=2, servers=BULK, drain="1s")
    bob = unique("bob")
    lost, moved, two = (uniques(*[f"{n}{i}" for i in range(10)])
                        for n in ("lost", "moved", "two"))
    crowd = [unique(f"c{i}") for i in range(USERS)]
    stack.make_room(bob, *lost, *moved, *two)
    for i in range(0, USERS, GROUP):
        await asyncio.to_thread(stack.make_room, *crowd[i:i + GROUP])
    lecture = crowd[:LECTURE - 1]
    await asyncio.to_thread(stack.make_room, bob, *lecture)
    counter = Counter(stack)
    word = '"event":"user_presence"'
    minted = [tokens.token(u) for u in crowd]

    start = time.monotonic()
    lights = await many(stack.port(0, "bulk"), minted, word)
    took = time.monotonic() - start
    watch = [await Watcher.open(stack, bob, 1) for _ in range(2)]
    socks = [await Ws.hello(stack.ws(0), u) for u in (*lost, *moved, *two)]
    socks2 = [await Ws.hello(stack.ws(1), u) for u in two]
    for w in watch:
        for u in (*lost, *moved, *two):
            await w.until(u, "online")
    said = await asyncio.to_thread(counter.take)
    assert sorted(u for u, _ in said if u in set(crowd)) == sorted(crowd)
    assert {s for _, s in said} == {"online"}
    frames = sum(x.count(word) for x in lights)
    print(f"{USERS} connect in {took:.1f} s: {len(said)} published, "
          f"{frames} frames")
    # of each once to his group; of the lecture's to a few hundred at most
    assert frames <= USERS * GROUP + 2 * LINKS_MAX * LECTURE

    dead = Dead(stack, crowd)
    stack.watch.killed.update(stack.nginx[0].workers())
    await asyncio.to_thread(stack.nginx[0].kill)
    killed = start = time.monotonic()
    back = [await Ws.hello(stack.ws(1), u) for u in moved]
    async with dead:
        again = await many(stack.port(1, "bulk"), minted, word)
        took = time.monotonic() - start
    for w in watch:
        for u in lost:
            await w.until(u, "online", "offline",
                          timeout=LEASE + SWEEP + SLACK)
    print(f"offline {time.monotonic() - killed:.1f} s after the kill")
    # nor when the last one's time on the dead node is over
    await asyncio.sleep(max(0, dead.until - time.monotonic()) + 2 * SWEEP)
    said = await asyncio.to_thread(counter.take)
    frames = sum(x.count(word) for x in again)
    print(f"{USERS} reconnect in {took:.1f} s: {len(said)} published "
          f"({len(lost)} of those who are lost), {frames} frames")
    assert sorted(said) == sorted((u, "offline") for u in lost)
    assert frames == 0
    for w in watch:
        for u in (*moved, *two):
            assert w.of(u) == ["online"], (u, w.of(u))
    for u, want in ((lost[0], "offline"), (moved[0], "online"),
                    (two[0], "online"), (crowd[0], "online")):
        d = await presence(stack, bob, u, node=1)
        assert d.data["status"] == want, (u, d)
    counter.close()
    for x in (*lights, *again):
        x.abort()
    for ws in (*socks2, *back, *(w.ws for w in watch)):
        await ws.close()


test_a_node_is_killed.limit = 120


async def test_reconnecting_is_no_news(stack):
    """A device that comes and goes all the time, on both nodes."""
    ann, bob = uniques("ann", "bob")
    stack.make_room(ann, bob)
    b = await Watcher.open(stack, bob, 0)
    for i in range(20):
        ws = await Ws.hello(stack.ws(i % 2), ann)
        await asyncio.sleep(0.05)
        if i % 3:
            ws.abort()
        else:
            await ws.close()
    ws = await Ws.hello(stack.ws(1), ann)
    await b.until(ann, "online")
    await asyncio.sleep(GRACE / 2)
    assert b.of(ann) == ["online"]
    await ws.close()
    await b.ws.close()
