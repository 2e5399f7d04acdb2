#!/usr/bin/env python3
"""The worker pool is away while messages come; then it catches up.

Messages are sent through nginx with the pool stopped and wait in Redis.  Then
the pool is started and watched: the backlog must be applied completely and in
order, and the projector's memory must not follow its length.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness import tokens                                    # noqa: E402
from harness.net import patience                              # noqa: E402
from harness.parts import comm, descendants, rss_kib          # noqa: E402
from harness.stack import Server, Stack                       # noqa: E402
from harness.ws import Ws, raw_frame                          # noqa: E402

from verdict import verdict                                   # noqa: E402

ROOMS = 8
WINDOW = 400                # sends under way per connection
RSS_MAX_KIB = 96 * 1024     # of any process of the pool, whatever waits
ACK = b'"event":"message_status"'


class Pump:
    """One connection that sends as fast as acks come back.  Frames are made
    and acks counted without a JSON parser: this is about the servers."""

    def __init__(self, room, n):
        self.room = room
        self.n = n
        self.sent = 0
        self.acked = 0
        self.tail = b""
        self.done = asyncio.get_running_loop().create_future()

    def frames(self, n):
        out = []
        for i in range(self.sent + 1, self.sent + n + 1):
            out.append(raw_frame(1, json.dumps({
                "event": "send_message", "data": {
                    "conversationId": self.room, "type": "text",
                    "content": {"text": f"message {i} of {self.room}"},
                    "clientMessageId": f"b{i}"}}).encode()))
        self.sent += n
        return b"".join(out)

    def push(self):
        n = min(self.n - self.sent, WINDOW - (self.sent - self.acked))
        if n >= WINDOW // 4 or (n > 0 and self.sent + n == self.n):
            self.transport.write(self.frames(n))

    def data(self, data):
        data = self.tail + data
        if b'"event":"error"' in data and not self.done.done():
            at = data.index(b'"event":"error"')
            self.done.set_exception(
                AssertionError(f"refused: {data[at - 1:at + 400]!r}"))
        self.acked += data.count(ACK)
        # an ACK cut in two is counted with its second half
        keep = len(ACK) - 1
        self.tail = data[-keep:] if data[-keep:].count(ACK[:1]) else b""
        self.push()
        if self.acked >= self.n and not self.done.done():
            self.done.set_result(None)

    async def connect(self, url, user):
        self.ws = await Ws.hello(url, user)
        self.transport = self.ws.transport
        # from here on past the protocol machine
        self.ws.data_received = self.data
        self.transport.set_protocol(self.ws)

    async def run(self):
        self.push()
        await self.done
        self.ws.abort()


def sample(stack, peaks):
    for pid, _ in descendants(stack.worker.pid):
        name = comm(pid)
        peaks[name] = max(peaks.get(name, 0), rss_kib(pid))


async def fill(stack, rooms, per_room):
    """Connect, stop the pool, send; returns the seconds it took."""
    pumps = [Pump(r, per_room) for r in rooms]
    for i, p in enumerate(pumps):
        await p.connect(stack.ws(0, "bulk"), f"sender-{i}")
    wrong = stack.worker.stop()
    assert wrong is None, wrong
    start = time.monotonic()
    await asyncio.gather(*[p.run() for p in pumps])
    return time.monotonic() - start


def check(stack, rooms, per_room):
    problems = []
    with stack.open_store() as db:
        for room in rooms:
            rows = db.messages(room)
            if [r[0] for r in rows] != list(range(1, per_room + 1)):
                problems.append(f"{room}: {len(rows)} messages in the "
                                f"database, or not 1 to {per_room}")
            # each connection sent in order, so the text tells the number
            wrong = [r for r in rows if r[3] != f"b{r[0]}"
                     or r[4] != f"message {r[0]} of {room}"]
            if wrong:
                problems.append(f"{room}: {wrong[:3]}")
    r = stack.rest(tokens.token("sender-0")).get(
        f"/api/conversations/{rooms[0]}/messages", limit=1)
    if r.data["messages"][0]["seq"] != per_room:
        problems.append(f"history: {r}")
    return problems


def backlog_length(stack):
    with stack.redis_client() as c:
        return sum(c.xlen(k) for k in c.scan_iter("wrt:{*}:ingest"))


def run(stack, total):
    per_room = total // ROOMS
    total = per_room * ROOMS
    rooms = [stack.make_room(f"sender-{i}", "reader", room=f"backlog-{i}")
             for i in range(ROOMS)]
    stack.wait_applied()
    problems = []
    took = asyncio.run(fill(stack, rooms, per_room))
    waiting = backlog_length(stack)
    print(f"{total} messages sent in {took:.1f} s "
          f"({total / took:.0f}/s), {waiting} events wait")
    if waiting < total:
        problems.append(f"only {waiting} events in the backlog")
    peaks, start = {}, time.monotonic()
    stack.worker.start()
    with stack.redis_client() as c:
        keys = list(c.scan_iter("wrt:{*}:conv:*", count=1000))
        while True:
            applied = sum(max(0, int(c.hget(k, "applied"))) for k in keys)
            sample(stack, peaks)
            if applied >= total:
                break
            if time.monotonic() - start > patience(120 + total / 1000):
                return problems + [f"{applied} of {total} applied after "
                                   f"{time.monotonic() - start:.0f} s"]
            time.sleep(0.1)
    took = time.monotonic() - start
    print(f"{stack.store}: applied in {took:.1f} s "
          f"({total / took:.0f} messages/s, start included)")
    print(f"peak RSS: {peaks}")
    problems += [f"{t} grew to {n} KiB" for t, n in peaks.items()
                 if n > RSS_MAX_KIB]
    stack.wait_health("ok")
    return problems + check(stack, rooms, per_room)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--store", choices=["sqlite", "mongo"], required=True)
    p.add_argument("--messages", type=int, default=200000)
    p.add_argument("--result")
    args = p.parse_args()
    stack = Stack(f"backlog-{args.store}", args.store, servers={
        "bulk": Server("writeen_rate 1000000 burst=1000000 user=1000000; "
                       "writeen_send_queue 4m; writeen_ping_interval 10m;")})
    return verdict(stack, lambda: run(stack, args.messages), args.result)


if __name__ == "__main__":
    sys.exit(main())
