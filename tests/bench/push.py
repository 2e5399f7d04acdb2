#!/usr/bin/env python3
"""How fast people who are away are reached, and what it takes.

So many users with a device each, all offline; first in rooms of 500, then
each in a room of his own with somebody who writes.  A message to each room;
printed: the time from the first message to the last push at the double, and
the memory of the notifier before and at most.  Fails when somebody is told
twice, not at all, or when it takes more than a minute.

    make bench-push
"""

import argparse
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness import net, tokens                               # noqa: E402
from harness.fcm import Fcm                                   # noqa: E402
from harness.parts import rss_kib                             # noqa: E402
from harness.stack import Server, Stack                       # noqa: E402

ROOM = 500
LIMIT_S = 60


def register(stack, user):
    r = stack.rest(tokens.token(user), server="bulk").call(
        "POST", "/api/devices",
        {"platform": "android", "token": f"t-{user}", "locale": "id"})
    assert r.status == 200, r


def room_of(stack, users):
    rest = stack.rest(tokens.token("writer"), server="bulk")
    r = rest.call("POST", "/api/conversations", {
        "type": "group" if len(users) > 1 else "direct",
        "participantIds": users})
    assert r.status == 201, r
    return r.data["conversation"]["id"]


def say(stack, room):
    r = stack.rest(tokens.token("writer", name="Budi"),
                   server="bulk").call(
        "POST", f"/api/conversations/{room}/messages",
        {"type": "text", "content": {"text": "halo"}})
    assert r.status == 201, r


class Memory(threading.Thread):
    """The most that the notifier has taken, in KiB."""

    def __init__(self, stack):
        super().__init__(daemon=True)
        self.stack, self.most, self.stop = stack, 0, threading.Event()

    def run(self):
        while not self.stop.wait(0.2):
            for pid in self.stack.worker.role("notifier"):
                self.most = max(self.most, rss_kib(pid) or 0)


def told(fcm, users, kind):
    """Token -> how often."""
    out = {}
    for m in fcm.sends(kind=kind):
        out[m["token"]] = out.get(m["token"], 0) + 1
    return {u: out.get(f"t-{u}", 0) for u in users}


def quiet(stack):
    """Nothing due, nothing in hand."""
    with stack.redis_client() as c:
        soon = c.pipeline().zcard("wrt:push:hand").zcount(
            "wrt:push:due", "-inf", time.time() * 1000 + 3600000).execute()
    return not any(soon)


def shape(stack, fcm, pool, name, users, rooms):
    net.wait_until(lambda: quiet(stack), 120, "invitations to be out", 0.1)
    memory = Memory(stack)
    memory.start()
    before = rss_kib(stack.worker.role("notifier")[0])
    seen = len(fcm.log)
    start = time.monotonic()
    list(pool.map(lambda room: say(stack, room), rooms))
    written = time.monotonic() - start
    net.wait_until(lambda: len(fcm.log) - seen >= len(users), 600,
                   "the pushes", 0.05)
    took = time.monotonic() - start
    net.wait_until(lambda: quiet(stack), 60, "the end", 0.1)
    memory.stop.set()
    memory.join()
    wrong = {u: n for u, n in told(fcm, users, "message").items() if n != 1}
    print(f"{name}: {len(users)} users in {took:.1f} s, "
          f"{len(users) / took:.0f}/s ({len(rooms)} messages written in "
          f"{written:.1f} s); notifier {before} KiB before, "
          f"{memory.most} KiB at most; not told once: {len(wrong)}",
          flush=True)
    return not wrong and took <= LIMIT_S


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", choices=["sqlite", "mongo"],
                        required=True)
    parser.add_argument("--users", type=int, default=10000)
    parser.add_argument("--result")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder, \
            Fcm(folder) as fcm, ThreadPoolExecutor(8) as pool, \
            Stack(f"bench-push-{args.store}", args.store, servers={
                "bulk": Server("writeen_rate 100000 burst=100000 "
                               "user=100000;")},
                  env={**fcm.env(), "PUSH_GRACE_MS": "1000"}) as stack:
        many = [f"m{i}" for i in range(args.users)]
        alone = [f"a{i}" for i in range(args.users)]
        list(pool.map(lambda u: register(stack, u), many + alone))
        rooms = [room_of(stack, many[i:i + ROOM])
                 for i in range(0, len(many), ROOM)]
        ok = shape(stack, fcm, pool, f"{args.store}, rooms of {ROOM}", many,
                   rooms)
        rooms = list(pool.map(lambda u: room_of(stack, [u]), alone))
        ok = shape(stack, fcm, pool, f"{args.store}, rooms of two", alone,
                   rooms) and ok

    if args.result:
        with open(args.result, "a", encoding="ascii") as f:
            f.write(f"passed={int(ok)} failed={int(not ok)}\n")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
