"""The kinds of abuse.  Each has how many it takes (long, short), what one may
cost an nginx worker (kib), and run(bench, n), which returns what was wrong.
"""

import asyncio
import json
import random
import time
import zlib

from harness import tokens
from harness.client import ChatClient
from harness.light import Light, many
from harness.net import patience
from harness.rest import Rest
from harness.ws import Closed, Ws, raw_frame
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory)

TEXT, PING = 1, 9
ALL = []


def kind(cls):
    ALL.append(cls)
    return cls


def differ(before, now, names=None):
    """None, or what is more than before."""
    more = {k: (before[k], now[k]) for k in names or now
            if now[k] > before[k]}
    return more or None


def seconds(bench):
    return 4 if bench.short else 20


def event(name, **data):
    return raw_frame(TEXT, json.dumps({"event": name,
                                       "data": data}).encode())


async def end_of_crowd(bench, p):
    """The server ends all of them by itself."""
    end = time.monotonic() + patience(30)
    while left := await bench.crowd_open(p):
        if time.monotonic() > end:
            break
        await asyncio.sleep(0.2)
    p.stdin.close()
    await p.wait()
    return [f"{left} are still open"] if left else []


@kind
class silent:
    """Connections without a byte: ended by client_header_timeout."""
    long, short, kib = 10000, 1000, 1

    @staticmethod
    async def run(bench, n):
        p = await bench.crowd("silent", n, bench.stack.port())
        return await end_of_crowd(bench, p)


@kind
class trickle:
    """Headers a byte at a time, without an end."""
    long, short, kib = 2000, 300, 4

    @staticmethod
    async def run(bench, n):
        p = await bench.crowd("trickle", n, bench.stack.port())
        return await end_of_crowd(bench, p)


@kind
class idle:
    """Sockets that are there and say nothing."""
    long, short, kib = 20000, 1500, 8

    @staticmethod
    async def run(bench, n):
        port, parts = bench.stack.port(), (n + 9999) // 10000
        crowd = await asyncio.gather(*(
            bench.crowd("idle", n // parts, port, f"idle{i}")
            for i in range(parts)))
        have = bench.gauges()["connections"]
        await asyncio.sleep(seconds(bench))
        left = sum(await asyncio.gather(*map(bench.crowd_open, crowd)))
        for p in crowd:
            p.stdin.close()
        for p in crowd:
            await p.wait()
        return ([] if left == n and have >= n else
                [f"of {n} {have} were there, {left} stayed"])


@kind
class slow_frames:
    """A message that announces 60 KB and comes a byte at a time."""
    long, short, kib = 1000, 100, 4

    @staticmethod
    async def run(bench, n):
        frame = raw_frame(TEXT, b"x" * 60000)
        ones = await many(bench.stack.port(), [
            tokens.token(f"slow-{i}") for i in range(n)], "x")
        end, at = time.monotonic() + seconds(bench), 0
        while time.monotonic() < end:
            for c in ones:
                c.transport.write(frame[at:at + 1])
            at += 1
            await asyncio.sleep(0.1)
        lost = sum(c.gone.is_set() for c in ones)
        for c in ones:
            c.abort()
        return [f"{lost} were closed"] if lost else []


@kind
class single_bytes:
    """Whole events, each byte in a segment of its own: they are answered."""
    long, short, kib = 100, 20, 4

    @staticmethod
    async def run(bench, n):
        ones = await many(bench.stack.port(), [
            tokens.token(f"byte-{i}") for i in range(n)], '"event":"pong"')
        rounds = 2 if bench.short else 5
        for _ in range(rounds):
            frame = event("ping")
            for at in range(len(frame)):
                for c in ones:
                    c.transport.write(frame[at:at + 1])
                await asyncio.sleep(0.002)
        end = time.monotonic() + patience(10)
        while time.monotonic() < end and any(
                c.count('"event":"pong"') < rounds for c in ones):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)        # and not one too many
        bad = [c for c in ones if c.count('"event":"pong"') != rounds]
        for c in ones:
            c.abort()
        return [f"{len(bad)} had another number of answers"] if bad else []


@kind
class bombs:
    """Compressed messages that are a thousand times as long: 1009."""
    long, short, kib = 1000, 100, 1

    @staticmethod
    async def run(bench, n):
        z = zlib.compressobj(9, wbits=-15)
        data = z.compress(b"\0" * 60_000_000) + z.flush(zlib.Z_SYNC_FLUSH)
        bomb = raw_frame(TEXT, data[:-4], rsv=4)
        assert len(bomb) < 65536
        codes = {}

        async def one(i):
            ws = await Ws.connect(bench.stack.ws(),
                                  tokens.token(f"bomb-{i % 50}"),
                                  extensions=[
                                      ClientPerMessageDeflateFactory()])
            ws.send_raw(bomb)
            code, _ = await ws.wait_closed(20)
            codes[code] = codes.get(code, 0) + 1
        for i in range(0, n, 10):
            await asyncio.gather(*map(one, range(i, min(n, i + 10))))
        return [] if codes == {1009: n} else [f"closed with {codes}"]


class Flood(asyncio.Protocol):
    """Writes the same over and over, as fast as it is taken."""

    def __init__(self, transport, frames, wait=0.0):
        self.transport, self.frames, self.wait = transport, frames, wait
        self.got, self.lost, self.tail = 0, False, b""
        self.free = asyncio.Event()
        self.free.set()

    def data_received(self, data):
        self.got += len(data)
        self.tail = (self.tail + data)[-64:]

    def connection_lost(self, exc):
        self.lost = True
        self.free.set()

    def pause_writing(self):
        self.free.clear()

    def resume_writing(self):
        self.free.set()

    async def run(self, end):
        while time.monotonic() < end and not self.lost:
            await self.free.wait()
            if not self.lost and not self.transport.is_closing():
                self.transport.write(self.frames)
            await asyncio.sleep(self.wait)

    @classmethod
    async def start(cls, bench, user, frames, server="main", deaf=False,
                    wait=0.0):
        c = await Light.connect(bench.stack.port(0, server),
                                tokens.token(user), "x")
        self = cls(c.transport, frames, wait)
        c.transport.set_protocol(self)
        if deaf:
            c.transport.pause_reading()
        return self


FLOODED = b"\x11\x4dflood"      # the end of a Close, 4429


@kind
class pings:
    """As many pings as the connection takes: thrown out, and back again."""
    long, short, kib = 40, 8, 512

    @staticmethod
    async def run(bench, n):
        frames = raw_frame(PING, b"x" * 125) * 100
        end = time.monotonic() + seconds(bench)
        wrong = []

        async def one(i):
            while time.monotonic() < end:
                f = await Flood.start(bench, f"ping-{i}", frames)
                await f.run(time.monotonic() + patience(10))
                if not f.lost or not f.tail.endswith(FLOODED):
                    wrong.append(f.tail)
                f.transport.abort()
        await asyncio.gather(*map(one, range(n)))
        return [f"not closed with 4429: {wrong[0]}"] if wrong else []


@kind
class deaf_pings:
    """The same, and no answer is read."""
    long, short, kib = 40, 8, 640

    @staticmethod
    async def run(bench, n):
        frames = raw_frame(PING, b"x" * 125) * 100
        before = bench.gauges()
        floods = [await Flood.start(bench, f"deaf-{i}", frames, deaf=True)
                  for i in range(n)]
        tasks = [asyncio.create_task(f.run(time.monotonic() + patience(30)))
                 for f in floods]
        problem = await bench.settled("not closed", lambda: differ(
            before, bench.gauges(), ("connections", "queue_bytes")), 25)
        for f in floods:
            f.transport.abort()
        await asyncio.gather(*tasks)
        return [problem] if problem else []


@kind
class joins:
    """Joins of rooms that nobody knows."""
    long, short, kib = 60, 10, 256

    @staticmethod
    async def run(bench, n):
        rng = random.Random(1)
        frames = [b"".join(event("join_conversation",
                                 conversationId=f"none-{rng.random():.12f}"
                                 .replace(".", "-")) for _ in range(20))
                  for _ in range(n)]
        floods = [await Flood.start(bench, f"join-{i}", frames[i], "limited",
                                    wait=0.01) for i in range(n)]
        end = time.monotonic() + seconds(bench)
        await asyncio.gather(*(f.run(end) for f in floods))
        for f in floods:
            f.transport.abort()
        return [] if all(f.got for f in floods) else ["no answer came"]


@kind
class messages:
    """Users who send without an end, on several sockets each."""
    long, short, kib = 32, 8, 512

    @staticmethod
    async def run(bench, n):
        users = [f"loud-{i // 8}" for i in range(n)]
        for u in sorted(set(users)):
            bench.stack.make_room(u, room=f"room-{u}")
            bench.rooms.add(f"room-{u}")
        floods = [await Flood.start(
            bench, u, event("send_message", conversationId=f"room-{u}",
                            type="text", content={"text": "buy now"}) * 20,
            "limited", wait=0.01) for u in users]
        end = time.monotonic() + seconds(bench)
        await asyncio.gather(*(f.run(end) for f in floods))
        for f in floods:
            f.transport.abort()
        await asyncio.to_thread(bench.stack.wait_applied)
        return [] if all(f.got for f in floods) else ["no answer came"]


@kind
class calls:
    """REST without a pause, half of it for what does not exist."""
    long, short, kib = 16, 6, 512

    @staticmethod
    async def run(bench, n):
        end = time.monotonic() + seconds(bench)
        seen = {}

        def call(i):
            rest = Rest("127.0.0.1", bench.stack.port(0, "limited"),
                        tokens.token(f"caller-{i}"))
            while time.monotonic() < end:
                path = ("/api/conversations" if i % 2 else
                        "/api/conversations/none/messages?limit=200")
                r = rest.call("GET", path)
                seen[r.status] = seen.get(r.status, 0) + 1
        await asyncio.gather(*(asyncio.to_thread(call, i)
                               for i in range(n)))
        odd = {s: c for s, c in seen.items() if s not in (200, 404, 429)}
        return [f"answered {odd}"] if odd else []


@kind
class storm:
    """All are gone at once and come back at once."""
    long, short, kib = 5000, 500, 12

    @staticmethod
    async def run(bench, n):
        port = bench.stack.port()
        keys = [tokens.token(f"storm-{i}") for i in range(n)]
        for _ in range(2):
            ones = await many(port, keys, "x", at_once=n, tries=5)
            lost = sum(c.gone.is_set() for c in ones)
            for c in ones:
                c.abort()
            if lost:
                return [f"{lost} were closed"]
        return []


@kind
class slow_reader:
    """One of a large room reads nothing: closed, and nobody waits for it."""
    long, short, kib = 1000, 150, 24

    @staticmethod
    async def run(bench, n):
        users = [f"member-{i}" for i in range(n)]
        room = bench.stack.make_room(*users, room="large")
        bench.rooms.add(room)
        word = '"event":"message_received"'
        url, said = bench.stack.ws(0, "free"), 150
        deaf = await Ws.hello(url, users[0], rcvbuf=4096)
        deaf.transport.pause_reading()
        ones = await many(bench.stack.port(), map(tokens.token, users[1:]),
                          word, at_once=100)
        speaker = await Ws.hello(url, users[1])
        for i in range(said):
            speaker.send("send_message", {
                "conversationId": room, "type": "text",
                "content": {"text": "x" * 4000},
                "clientMessageId": f"m{i}"})
            await speaker.wait("message_status", timeout=30)
            await speaker.wait("message_received", timeout=30)
        problem = await bench.settled("not all have all", lambda: next(
            (c.count(word) for c in ones if c.count(word) != said), None))
        closed = bench.figures()["slow_closed_total"]
        for c in ones:
            c.abort()
        deaf.abort()
        await speaker.close()
        return [p for p in (problem, closed < 1 and "not closed") if p]


@kind
class backlog:
    """Many resume a room of which they have nothing: told to read it anew."""
    long, short, kib = 100000, 3000, 0.1

    @staticmethod
    async def run(bench, n):
        room = bench.stack.make_room("writer", "reader", room="old")
        bench.rooms.add(room)
        pump = await Flood.start(bench, "writer", b"", "free")
        each = event("send_message", conversationId=room, type="text",
                     content={"text": "one of many"})
        sent = 0
        while sent < n:
            await pump.free.wait()
            pump.transport.write(each * 25)
            sent += 25
            # about as fast as one projector writes
            await asyncio.sleep(0.025)
        await asyncio.to_thread(bench.stack.wait_applied, 300)
        pump.transport.abort()
        seen = {}

        async def resume(i):
            ws = await Ws.hello(bench.stack.ws(), "reader", resume=True)
            ws.send("resume", {"conversations": {room: 0}})
            e = await ws.wait(("resync_required", "message_received"),
                              timeout=60)
            seen[e["event"]] = seen.get(e["event"], 0) + 1
            await ws.close()
        await asyncio.gather(*(resume(i) for i in range(40)))
        return [] if seen == {"resync_required": 40} else [f"{seen}"]


@kind
class rooms:
    """Somebody is in a great many rooms and connects again and again."""
    long, short, kib = 3000, 200, 8

    @staticmethod
    async def run(bench, n):
        def make(i):
            bench.stack.make_room("busy", room=f"many-{i}")
            bench.rooms.add(f"many-{i}")
        for i in range(0, n, 20):
            await asyncio.gather(*(asyncio.to_thread(make, k)
                                   for k in range(i, min(n, i + 20))))
        wrong = []
        for _ in range(3):
            socks = await asyncio.gather(*(
                Ws.connect(bench.stack.ws(), tokens.token("busy"))
                for _ in range(8)))
            for ws in socks:
                e = await ws.wait("connected", timeout=30)
                if e["data"]["conversations"] != n:
                    wrong.append(e)
            for ws in socks:
                try:
                    await ws.close()
                except Closed:
                    pass
        return [f"{len(wrong)} had other rooms: {wrong[:1]}"] if wrong else []


@kind
class reloads:
    """nginx is reloaded again and again while people chat, who lose nothing.

    (The others of probe.py, who do not come back, must not see it: they are
    on another nginx.)"""
    long, short, kib = 100, 3, 0

    @staticmethod
    async def run(bench, n):
        users = [f"chatter-{i}" for i in range(4)]
        room = bench.stack.make_room(*users, room="reloaded")
        bench.rooms.add(room)
        nginx = bench.stack.nginx[1]
        where = (bench.stack.ws(1), "127.0.0.1", bench.stack.port(1))
        clients = [ChatClient(u, [where], [room], seed=i)
                   for i, u in enumerate(users)]
        for c in clients:
            c.start()
        stop, sent = asyncio.Event(), []

        async def chat(c):
            while not stop.is_set():
                sent.append((await c.send(room, f"{c.user} says").done)[1])
                await asyncio.sleep(0.1)
        tasks = [asyncio.create_task(chat(c)) for c in clients]
        for _ in range(n):
            await asyncio.to_thread(nginx.reload)
        stop.set()
        await asyncio.gather(*tasks)
        wrong = []
        for c in clients:
            await c.wait_seq(room, max(sent), 60)
            await c.stop()
            wrong += c.violations
        if sorted(sent) != list(range(1, len(sent) + 1)):
            wrong.append(f"{len(sent)} sent, the last is {max(sent)}")
        problem = await bench.settled("old workers stay", lambda: (
            nginx.old_workers() or None), 60)
        return wrong + ([problem] if problem else [])
