#!/usr/bin/env python3
"""Everything that a hostile or broken client can do to the others.

Each kind of abuse runs against the same stack while pairs of people chat
(probe.py).  What must hold, whatever the machine:

  - the others lose nothing, wait for nothing twice as long as allowed, are not
    closed;
  - memory of an nginx worker stays within what the kind may take (KIB below,
    explained in docs/security.md);
  - it ends as it should: refused, closed with its code, or served;
  - nothing is left over: connections, users, rooms, queued bytes and calls in
    nginx, open files, keys in Redis that would stay for ever.

How long the others' messages take is printed with the ratio to the quiet time
before.  With --floor the same is first done to a second stack beside theirs,
which shares nothing with it but the processors: what is slower than that, the
servers are to blame for, and not the clients of the attack.  With --strict
(make abuse, which has a floor, too) more than twice as long at p99, and more
than SLACK_MS longer, fails.
"""

import argparse
import asyncio
import json
import re
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import kinds                                                  # noqa: E402
from harness.net import patience                              # noqa: E402
from harness.parts import rss_kib                             # noqa: E402
from harness.stack import Server, Stack                       # noqa: E402

HERE = Path(__file__).resolve().parent
PAIRS = 6
LEAST_S = 1             # that an attack is looked at, if it ends sooner
SLACK_MS = 25           # a turn of the scheduler, on a machine of two cores
SPARE_KIB = 16 * 1024   # of a worker: buffers, what malloc() keeps
GAUGES = ("connections", "users", "rooms", "queue_bytes", "rpc_pending")
# Seconds: nginx's own, for those who never finish their headers
HTTP = """
    client_header_timeout 4s;
    keepalive_timeout 5s;
    reset_timedout_connection on;
"""
# Keys that stay without an end: conversations with their logs until they are
# applied and idle, streams, what is one for the whole.
KEEPS = ("wrt:config", "wrt:rpc", "wrt:metrics", "wrt:online", "wrt:hidden",
         "wrt:projectors")


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, len(values) * p // 100)]


class Bench:
    """A stack, the others, and what can be seen of the servers."""

    def __init__(self, stack, short, beside=None):
        """beside: the bench whose stack the others are on."""
        self.stack, self.short = stack, short
        if beside is not None:
            self.others = beside.others
        self.pairs = []
        self.rooms = set()

    async def start(self):
        for i in range(PAIRS):
            users = (f"ann-{i}", f"bob-{i}")
            room = self.stack.make_room(*users, room=f"pair-{i}")
            self.pairs.append(":".join((room, *users)))
            self.rooms.add(room)
        self.probe = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "probe.py"), self.stack.ws(),
            *self.pairs, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, limit=1 << 26)
        await self.others()             # they have begun

    async def stop(self):
        self.probe.stdin.close()
        await self.probe.wait()

    async def others(self):
        """How it went for them since the last time."""
        self.probe.stdin.write(b"\n")
        line = await asyncio.wait_for(self.probe.stdout.readline(),
                                      patience(60))
        return json.loads(line)

    async def crowd(self, what, n, port, name="idle"):
        p = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "crowd.py"), what, str(n), str(port),
            "--name", name, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE)
        line = await asyncio.wait_for(p.stdout.readline(), patience(300))
        assert line.split() == [b"ready", str(n).encode()], line
        return p

    @staticmethod
    async def crowd_open(p):
        p.stdin.write(b"\n")
        line = await asyncio.wait_for(p.stdout.readline(), patience(60))
        return int(line.split()[1])

    # ---- what is seen ---------------------------------------------------

    def figures(self):
        text = self.stack.rest().call("GET", "/metrics").raw.decode()
        out = {}
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            if name.startswith("writeen_"):
                out[name[8:]] = float(value)
        return out

    def gauges(self):
        figures = self.figures()
        return {g: figures[g] for g in GAUGES}

    def rss(self):
        return max(rss_kib(p) for p in self.stack.nginx[0].workers())

    def files(self):
        return sum(len(list(Path("/proc", str(p), "fd").iterdir()))
                   for p in self.stack.nginx[0].workers())

    def keys(self):
        """Those that nothing takes away."""
        out = set()
        with self.stack.redis_client() as c:
            for key in c.scan_iter(count=1000):
                if key.startswith("wrt:{") and (
                        ":conv:" in key or ":log:" in key):
                    if key.rsplit(":", 1)[1] in self.rooms:
                        continue
                if re.fullmatch(r"wrt:\{\d+\}:(ingest|awake)", key):
                    continue
                if c.ttl(key) == -1:
                    out.add(key)
        return out

    async def settled(self, what, check, timeout=60):
        end = time.monotonic() + patience(timeout)
        while True:
            value = await asyncio.to_thread(check)
            if value is None:
                return None
            if time.monotonic() > end:
                return f"{what}: {value}"
            await asyncio.sleep(0.2)


async def watch(bench, peak):
    while True:
        peak[0] = max(peak[0], bench.rss())
        await asyncio.sleep(0.05)


async def quiet_time(bench):
    """How long the others' messages take when nobody else is there."""
    await bench.others()
    await asyncio.sleep(3 if bench.short else 10)
    return await bench.others()


async def left_over(bench, before):
    """What is there that was not before."""
    gauges, files, keys = before
    return list(filter(None, [
        await bench.settled("left in nginx",
                            lambda: kinds.differ(gauges, bench.gauges())),
        await bench.settled("open files", lambda: None
                            if bench.files() <= files + 4
                            else (files, bench.files())),
        await bench.settled("keys without an end", lambda: sorted(
            k for k in bench.keys() - keys if k not in KEEPS)[:5] or None)]))


async def attack(bench, kind):
    """Run one kind: its problems, how it went for the others, memory before
    and at most, seconds."""
    n = kind.short if bench.short else kind.long
    rss = bench.rss()
    await bench.others()
    peak, begin = [rss], time.monotonic()
    watcher = asyncio.create_task(watch(bench, peak))
    problems = []
    try:
        problems += await kind.run(bench, n)
    except Exception as e:                  # a broken kind is no pass
        problems.append(f"{e!r}")
    took = time.monotonic() - begin
    await asyncio.sleep(LEAST_S - took)     # the others have said something
    watcher.cancel()
    loud = await bench.others()
    problems += loud["wrong"]
    allowed = rss + SPARE_KIB + n * kind.kib
    if peak[0] > allowed:
        problems.append(f"memory of a worker: {rss} KiB, then {peak[0]}, "
                        f"at most {allowed} is allowed")
    return problems, loud, (rss, peak[0]), took


async def one(bench, beside, kind, quiet, strict):
    """One kind, to the stack beside as well; its problems."""
    problems, floor = [], None
    if beside is not None:
        problems, floor, *_ = await attack(beside, kind)
        await left_over(beside, beside.before)
    more, loud, (rss, peak), took = await attack(bench, kind)
    problems += more
    before, then = quiet["ms"], loud["ms"]
    if not before or not then or floor and not floor["ms"]:
        return problems + [f"the others said nothing: {quiet} {loud}"]
    p99, while99 = percentile(before, 99), percentile(then, 99)
    text, least = f"x{while99 / p99:4.1f}", p99
    if floor:
        least = max(p99, percentile(floor["ms"], 99))
        text += f", beside {least:6.1f}, x{while99 / least:4.1f}"
    if strict and while99 > 2 * least and while99 > least + SLACK_MS:
        problems.append(f"p99 of the others: {least:.1f} ms, then "
                        f"{while99:.1f}")
    n = kind.short if bench.short else kind.long
    print(f"{kind.__name__:13}{n:7}{took:7.1f} s  p50 "
          f"{percentile(before, 50):5.1f} ->{percentile(then, 50):6.1f}  p99 "
          f"{p99:5.1f} ->{while99:6.1f} ms, {text}  RSS "
          f"{rss / 1024:5.1f} ->{peak / 1024:6.1f} MiB", flush=True)
    return problems


async def run(stacks, args):
    """So many kinds passed, so many failed.  The short form has one quiet time,
    and looks for what is left over once, after all of them."""
    bench, beside = Bench(stacks[0], args.short), None
    await bench.start()
    if args.floor:
        beside = Bench(stacks[1], args.short, bench)
        beside.before = beside.gauges(), beside.files(), beside.keys()
    quiet, good, bad = None, 0, 0
    before = bench.gauges(), bench.files(), bench.keys()
    for kind in kinds.ALL:
        if args.only and kind.__name__ not in args.only.split(","):
            continue
        if quiet is None or not args.short:
            quiet = await quiet_time(bench)
            before = bench.gauges(), bench.files(), bench.keys()
        problems = quiet["wrong"] + await one(bench, beside, kind, quiet,
                                              args.strict)
        if not args.short:
            problems += await left_over(bench, before)
        for p in problems:
            print(f"not ok: {kind.__name__}: {p}", flush=True)
        good, bad = good + (not problems), bad + bool(problems)
    for p in await left_over(bench, before) if args.short else ():
        print(f"not ok: {p}", flush=True)
        bad += 1
    await bench.stop()
    return good, bad


def stack_of(name, store, connections):
    # the second nginx is there to be reloaded
    stack = Stack(f"{name}-{store}", store, nginx=2, http=HTTP,
                  connections=connections,
                  servers={"free": Server("writeen_rate off;", "sndbuf=16k"),
                           "limited": Server(
                      "writeen_rate_kind message 30 burst=120 user=120;\n"
                      "        writeen_rate_kind join 30 burst=120 user=120;")
                  })
    # they are cut off in the middle of things
    stack.watch.allow(r"\[info\]", "clients that are gone")
    return stack


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--store", choices=["sqlite", "mongo"], default="sqlite")
    p.add_argument("--short", action="store_true")
    p.add_argument("--strict", action="store_true")
    p.add_argument("--floor", action="store_true")
    p.add_argument("--only", help="kinds, separated by commas")
    p.add_argument("--result")
    args = p.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = min(hard - 1000, 30000)
    stacks = [stack_of(name, args.store, connections) for name in
              ("abuse", *(("beside",) if args.floor else ()))]
    good, bad = 0, 1
    try:
        for stack in stacks:
            stack.start()
        good, bad = asyncio.run(run(stacks, args))
    finally:
        problems = [p for stack in stacks for p in stack.stop()]
        for what in problems:
            print(f"FAILED {what}")
        bad += len(problems)
        if args.result:
            Path(args.result).parent.mkdir(parents=True, exist_ok=True)
            Path(args.result).write_text(f"passed={good} failed={bad}\n",
                                         encoding="utf-8")
        print(f"abuse: {good} kinds passed, {bad} failed")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
