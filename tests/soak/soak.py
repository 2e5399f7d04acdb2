#!/usr/bin/env python3
"""Does anything leak while people of all kinds come and go?

On binaries that watch their memory (nginx and the worker pool under the
address and undefined-behaviour sanitizers, each palloc of nginx a malloc of
its own), with SQLite and with MongoDB side by side.  In turns: a while in which
everybody does something (people.py), then everybody leaves and it gets calm.
When it is calm there must be (watch.py)

  - no more open files, threads and processes than after the first turns,
    process by process, nginx that is reloaded in each turn included;
  - nothing in nginx's gauges, in the streams and lists of Redis, in the spool
    and among temporary files, and no key in Redis for longer than
    docs/redis.md says;
  - as much memory as before, by the median of the first and the last third;

and in the end no report of a sanitizer, leaks included, after all of it has
stopped as it should.  What people saw meanwhile must have been right, too.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import people                                                 # noqa: E402
from harness import parts                                     # noqa: E402
from harness.fcm import Fcm                                   # noqa: E402
from harness.stack import Server, Stack                       # noqa: E402
from watch import Watch                                       # noqa: E402

# What the address sanitizer keeps of freed memory would hide for a long time
# how much is really used.
QUARANTINE = "quarantine_size_mb=4:thread_local_quarantine_size_kb=64"
SERVERS = {
    "bulk": Server("writeen_rate 100000 burst=100000 user=100000;"),
    "quick": Server("writeen_jwt_leeway 0s; writeen_ping_interval 3s;"),
    "small": Server("writeen_send_queue 128k;", "sndbuf=16k"),
}
ENV = {"SESSION_GAP_S": "2", "UPLOAD_IDLE_S": "3", "BLOB_GRACE_S": "3",
       "RETENTION_S": "5", "PUSH_GRACE_MS": "200"}


class Plan:
    """How long, and when to look."""

    def __init__(self, args):
        self.burst = 4 if args.short else 30    # seconds of a turn
        self.warm = 1 if args.short else 3      # turns before it counts
        self.turns = 3 if args.short else 7     # at least
        # what is done last differs from turn to turn, and of a few turns no
        # median tells: the leak sanitizer is the one that counts then
        brief = args.short or args.seconds < 1800
        self.spare_kib = 1024 * (16 if brief else 8)
        # leases last a while: looked at in the end only
        self.patient = not args.short
        self.end = time.monotonic() + (0 if args.short else args.seconds)

    def over(self, turn):
        return turn >= self.turns and time.monotonic() > self.end


def sanitized():
    """Are they what this is about?"""
    nginx = parts.nginx_binary()[0]
    worker = os.environ.get("WORKER_BIN") or parts.BUILD / "writeen-worker"
    said = subprocess.run([nginx, "-V"], text=True, capture_output=True,
                          check=False).stderr
    return ("NGX_DEBUG_PALLOC=1" in said
            and all(b"__asan_init" in Path(p).read_bytes()
                    for p in (nginx, worker)))


def options():
    """Reports go to files, wherever the process that makes one writes."""
    log = f"log_path={parts.BUILD}/soak/sanitizer"
    (parts.BUILD / "soak").mkdir(exist_ok=True)
    lsan = parts.REPO / "tools" / "lsan.txt"
    for name, value in (
            ("ASAN_OPTIONS", f"detect_leaks=1:{log}"),
            ("UBSAN_OPTIONS", f"print_stacktrace=1:{log}"),
            ("LSAN_OPTIONS", f"suppressions={lsan}:print_suppressions=0")):
        os.environ.setdefault(name, value)
    os.environ["ASAN_OPTIONS"] += ":" + QUARANTINE


def make_stack(store):
    """SQLite: libclamav, files on disk.  MongoDB: clamd, files in MinIO."""
    stack = Stack(f"soak-{store}", store, nginx=2, servers=SERVERS,
                  files="s3" if store == "mongo" else "local",
                  clamd=store == "mongo", http="    client_header_timeout 4s;\n"
                  "    keepalive_timeout 2s;\n"
                  "    writeen_api_timeout 40s;\n")
    tmp = stack.dir / "tmp"
    tmp.mkdir()
    stack.fcm = Fcm(stack.dir / "fcm")
    known = parts.Clamd("signatures", stack.dir / "sigs",
                        stack.logs / "sigs.log").signatures
    for pool in stack.pools:
        pool.env.update(ENV, **stack.fcm.hook_env(), TMPDIR=str(tmp))
        if store != "mongo":
            pool.env["CLAMAV_DB"] = str(known)
    # clients are cut off in the middle of things
    stack.watch.allow(r"\[info\]", "clients that are gone")
    return stack


async def turns(stack, plan, seed):
    """All turns of one stack; what was wrong."""
    watch = Watch(stack)
    watch.begin()
    rng, turn, problems = random.Random(seed), 0, []
    while not plan.over(turn):
        done = {}
        problems += await people.burst(stack, rng, turn, plan.burst, done)
        stack.fcm.log.clear()
        problems += await watch.calm(turn >= plan.warm, plan.patient)
        problems += stack.watch.new_problems()
        watch.sample()
        turn += 1
        if turn <= plan.warm:
            watch.learn()
        print(f"{stack.store:7}turn {turn:3}  {watch.line()}  {said(done)}",
              flush=True)
        if len(problems) > 40:
            break
    if not plan.patient:
        problems += await watch.calm(True, True)
    problems += watch.verdict(plan.warm, plan.spare_kib)
    for line in watch.table(plan.warm):
        print(f"{stack.store:7}{line}", flush=True)
    return problems


def said(done):
    return " ".join(f"{k} {n}" for k, n in sorted(done.items()))


async def soak(stacks, plan, seed):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
    await asyncio.gather(*(asyncio.to_thread(s.start) for s in stacks))
    return await asyncio.gather(*(turns(s, plan, seed) for s in stacks))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--seconds", type=int, default=3600)
    p.add_argument("--short", action="store_true")
    p.add_argument("--stores", default="sqlite,mongo")
    p.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    p.add_argument("--result")
    args = p.parse_args()
    if not sanitized():
        sys.exit("soak: these binaries do not watch their memory; "
                 "make soak builds those that do")
    options()
    print(f"seed {args.seed}", flush=True)
    stacks = [make_stack(s) for s in args.stores.split(",")]
    found = [["it broke down"] for _ in stacks]
    try:
        found = asyncio.run(soak(stacks, Plan(args), args.seed))
    finally:
        bad = 0
        for stack, problems in zip(stacks, found):
            problems = problems + stack.stop()
            stack.fcm.stop()
            for what in problems:
                print(f"not ok: {stack.store}: {what}")
            bad += bool(problems)
        if args.result:
            Path(args.result).parent.mkdir(parents=True, exist_ok=True)
            Path(args.result).write_text(
                f"passed={len(stacks) - bad} failed={bad}\n",
                encoding="utf-8")
        print(f"soak: {len(stacks) - bad} passed, {bad} failed")
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
