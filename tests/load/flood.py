#!/usr/bin/env python3
"""Two users flood, the others go on.

Each of the two sends on eight sockets as fast as answers come back, one also by
REST, while the others of their class chat.  Whatever the machine's speed, no
more of a flooder's messages are in the class than his rate allows for the time
it took (writeen_rate_kind, over all nginx workers by writeen_rate_zone), each
of his sends was answered, or its connection cut with 4429, and the others have
all that was accepted, in order, and were refused nothing.
"""

import argparse
import asyncio
import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness import tokens                                    # noqa: E402
from harness.client import ChatClient                         # noqa: E402
from harness.net import patience                              # noqa: E402
from harness.stack import Server, Stack                       # noqa: E402
from harness.ws import Ws, raw_frame                          # noqa: E402

from verdict import verdict                                   # noqa: E402

SOCKETS = 8                 # of a flooder, over the nginx workers
WINDOW = 64                 # sends without an answer, on each of them
OTHERS = 8
PACE = 0.2                  # seconds between two messages of one of them
# Of messages: per connection and second, its burst, and per user and second,
# of which twice as many may come at once.  The first are the defaults.
RATES = {"usual": (30, 120, 120), "tight": (5, 10, 20)}

ACCEPTED = b'"status":"sent","durability"'
LIMITED = b'"code":"rate_limited"'
ERROR = b'"event":"error"'
CUT = b"\x11\x4dflood"      # the end of a Close, 4429


class Socket:
    """Sends the same thing and counts what it is told, without a JSON
    parser: this is about the servers."""

    def __init__(self, room, lost):
        self.lost = lost            # called when it has been cut
        self.cut = False
        self.frame = raw_frame(1, json.dumps({
            "event": "send_message", "data": {
                "conversationId": room, "type": "text",
                "content": {"text": "buy now"}}}).encode())
        self.sent = self.accepted = self.limited = self.errors = 0
        self.rest = b""
        self.stopping = False
        self.done = asyncio.get_running_loop().create_future()

    async def connect(self, url, user):
        self.ws = await Ws.hello(url, user)
        # from here on past the protocol machine
        self.ws.data_received = self.data
        self.ws.connection_lost = self.closed
        self.ws.transport.set_protocol(self.ws)

    def push(self):
        waiting = self.unanswered
        if not self.stopping and waiting <= WINDOW // 2:
            self.ws.transport.write(self.frame * (WINDOW - waiting))
            self.sent += WINDOW - waiting
        elif self.stopping and waiting == 0 and not self.done.done():
            self.done.set_result(None)

    def data(self, data):
        # events end so; what is counted does not reach over an end
        data = self.rest + data
        end = data.rfind(b"}}") + 2 if b"}}" in data else 0
        whole, self.rest = data[:end], data[end:]
        self.accepted += whole.count(ACCEPTED)
        self.limited += whole.count(LIMITED)
        self.errors += whole.count(ERROR)
        self.push()

    def closed(self, exc):
        self.cut = self.rest.endswith(CUT)
        if not self.done.done():
            self.done.set_result(None)
        self.lost(self)

    async def stop(self):
        self.stopping = True
        if not self.done.done():
            self.push()
        await asyncio.wait_for(self.done, patience(30))
        self.ws.transport.abort()

    @property
    def unanswered(self):
        return self.sent - self.accepted - self.errors


class Flooder:
    def __init__(self, stack, user, room, server, calls=0):
        self.stack, self.user, self.room = stack, user, room
        self.server = server
        self.sockets, self.tasks = [], []
        self.statuses = {}          # of calls by REST
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.call)
                        for _ in range(calls)]

    def call(self):
        rest = self.stack.rest(tokens.token(self.user), 0, self.server)
        while not self.stopping.is_set():
            r = rest.call("POST", f"/api/conversations/{self.room}/messages",
                          {"content": {"text": "buy now"}})
            self.statuses[r.status] = self.statuses.get(r.status, 0) + 1

    async def open(self):
        s = Socket(self.room, self.again)
        await s.connect(self.stack.ws(0, self.server), self.user)
        self.sockets.append(s)
        s.push()

    def again(self, s):
        """Who floods comes back when he has been thrown out."""
        if s.cut and not self.stopping.is_set():
            self.tasks.append(asyncio.create_task(self.open()))

    async def start(self):
        self.began = time.monotonic()
        for _ in range(SOCKETS):
            await self.open()
        for t in self.threads:
            t.start()

    async def stop(self):
        self.stopping.set()
        await asyncio.gather(*self.tasks)
        for s in self.sockets:
            await s.stop()
        for t in self.threads:
            await asyncio.to_thread(t.join)
        self.took = time.monotonic() - self.began

    def check(self, stored):
        rate, burst, user = RATES[self.server]
        # nginx's clock may be a turn late
        most = 2 * user + user * (self.took + 1)
        socks = self.sockets
        sent = sum(s.sent for s in socks) + sum(self.statuses.values())
        acked = (sum(s.accepted for s in socks)
                 + self.statuses.get(201, 0))
        refused = (sum(s.limited for s in socks)
                   + self.statuses.get(429, 0))
        cut = [s for s in socks if s.cut]
        lost = sum(s.unanswered for s in cut)
        print(f"{self.user}: {sent} sends in {self.took:.1f} s "
              f"({sent / self.took:.0f}/s), {stored} accepted, {refused} "
              f"refused; {user}/s and {2 * user} at once allow "
              f"{2 * user + user * self.took:.0f}; cut {len(cut)} times; "
              f"by REST {self.statuses}")
        problems = []
        if sent != acked + refused + lost:
            problems.append(f"{self.user}: {sent} sends, but {acked} "
                            f"accepted, {refused} limited, {lost} cut off")
        if not acked <= stored <= acked + lost:
            problems.append(f"{self.user}: {acked} acknowledged, {lost} cut "
                            f"off, {stored} stored")
        if not refused or not 2 * user <= stored <= most:
            problems.append(f"{self.user}: {stored} stored, at most "
                            f"{most:.0f} allowed")
        problems += [f"{self.user}: {s.accepted} accepted on one socket"
                     for s in socks
                     if s.accepted > burst + rate * (self.took + 1)]
        if self.threads and not self.statuses.get(429):
            problems.append(f"{self.user}: by REST {self.statuses}")
        return problems


async def chat(client, rooms, n, acks):
    """Say n things, a room after the other, no faster than people do."""
    for i in range(n):
        start = time.monotonic()
        send = client.send(rooms[i % len(rooms)], f"{client.user} {i}")
        await send.done
        acks.append(time.monotonic() - start)
        await asyncio.sleep(max(0, PACE - acks[-1]))


def compare(stack, clients, rooms):
    """What is wrong with what each of the others has, and how many messages of
    whom there are."""
    problems, said = [], {}
    for room in rooms:
        rows = stack.rest(tokens.token(clients[0].user)).history(room)
        want = {m["seq"]: m["id"] for m in rows}
        for m in rows:
            said[m["senderId"]] = said.get(m["senderId"], 0) + 1
        for c in clients:
            got = {s: e[0] for s, e in c.rooms[room].got.items()}
            if got != want:
                problems.append(f"{c.user} has {len(got)} of {len(want)} "
                                f"messages of {room}")
    return problems, said


async def run(stack, messages):
    users = [f"member-{i}" for i in range(OTHERS)]
    rooms = [stack.make_room("usual", "tight", *users,
                             room="class"),
             stack.make_room(*users, room="quiet")]
    where = (stack.ws(0, "usual"), "127.0.0.1", stack.port(0, "usual"))
    clients = [ChatClient(u, [where], rooms, seed=i)
               for i, u in enumerate(users)]
    floods = [Flooder(stack, "usual", "class", "usual", calls=2),
              Flooder(stack, "tight", "class", "tight")]
    for c in clients:
        c.start()
    for c in clients:
        while not c.ready:
            await asyncio.sleep(0.02)
    for f in floods:
        await f.start()
    acks = []
    await asyncio.gather(*(chat(c, rooms, messages, acks) for c in clients))
    for f in floods:
        await f.stop()
    await asyncio.to_thread(stack.wait_applied)
    rest = stack.rest(tokens.token(users[0]))
    problems = []
    for room in rooms:
        doc = await rest.aget(f"/api/conversations/{room}")
        for c in clients:
            await c.wait_seq(room, doc.data["conversation"]["seq"], 30)
    wrong, said = await asyncio.to_thread(compare, stack, clients, rooms)
    problems += wrong
    for f in floods:
        problems += f.check(said.get(f.user, 0))
    problems += [f"{u}: {said.get(u, 0)} of {messages} messages are stored"
                 for u in users if said.get(u, 0) != messages]
    for c in clients:
        await c.stop()
        problems += c.violations
        if (c.stats["rate_limited"] or c.stats["unavailable"]
                or c.stats["connects"] != 1):
            problems.append(f"{c.user} was held up: {c.stats}")
    acks.sort()
    print(f"{stack.store}: {OTHERS} others sent {len(acks)}, each got all "
          f"{sum(len(clients[0].rooms[r].got) for r in rooms)}; their acks "
          f"took {1000 * acks[len(acks) // 2]:.1f} ms (median), "
          f"{1000 * acks[len(acks) * 99 // 100]:.1f} ms (p99)")
    return problems


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--store", choices=["sqlite", "mongo"], required=True)
    p.add_argument("--messages", type=int, default=150,
                   help="of each of the others, five a second")
    p.add_argument("--result")
    args = p.parse_args()
    stack = Stack(f"flood-{args.store}", args.store,
                  servers={name: Server(
                      f"writeen_rate_kind message {rate} burst={burst} "
                      f"user={user};")
                      for name, (rate, burst, user) in RATES.items()})
    return verdict(stack, lambda: asyncio.run(run(stack, args.messages)),
                   args.result)


if __name__ == "__main__":
    sys.exit(main())
