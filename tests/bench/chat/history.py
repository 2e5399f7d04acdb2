#!/usr/bin/env python3
"""Pages of history by REST: 50 messages, anywhere in rooms of 1,000 to
100,000 messages, as many a second as can be had on this machine, and at half
of that how long they take.

    make bench-history
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import report
import servers

PAGE = 50
CLIENTS = 32
PLACES = 1000           # different pages asked for
AIM_PER_S, AIM_P99_MS = 3000, 10
RATE = 5000             # messages a second into the room


def loadgen(peer, *flags):
    subprocess.run([str(servers.BUILT / "loadgen"), *peer.flags(),
                    *map(str, flags)], check=True, timeout=300,
                   stdout=subprocess.DEVNULL)


def fill(peer, room, messages):
    users = ["u000000", "u000001"]
    servers.make_room(peer.stack, f"{room}-0", users)
    loadgen(peer, "-conns", 2, "-rooms", 1, "-room-fmt", room + "-%d",
            "-rate", RATE, "-warm", "0s", "-dur", f"{messages / RATE}s",
            "-text", servers.HERE / "chat.txt")
    peer.stack.wait_applied(300)
    # what filling left to be written, the kernel's and mongod's once a
    # minute, is written now and not while pages are measured
    if peer.stack.mongod:
        with peer.stack.mongod.client() as c:
            c.admin.command("fsync")
    os.sync()


def measure(peer, folder, room, messages, rate, seconds):
    pages = folder / "pages"
    places = random.Random(7)
    pages.write_text("".join(
        f"u00000{i % 2} /api/conversations/{room}-0/messages?limit={PAGE}"
        f"&beforeSeq={places.randint(PAGE + 1, messages)}\n"
        for i in range(PLACES)))
    out = folder / "out"
    out.unlink(missing_ok=True)
    loadgen(peer, "-get", pages, "-conns", CLIENTS, "-rate", rate, "-warm",
            "1s", "-dur", f"{seconds}s", "-out", out)
    return json.loads(out.read_text())


def store(name, sizes, seconds, out):
    rows = []
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, \
            servers.start(name, folder) as peer:
        for size in sizes:
            room = f"h{size}"
            fill(peer, room, size)
            most = measure(peer, Path(folder), room, size, 0, seconds)
            half = measure(peer, Path(folder), room, size,
                           most["per_s"] / 2, seconds)
            us = half["cpu_us_per_request"]
            rows.append([
                name, f"{size:,}", f"{most['per_s']:.0f}",
                f"{most['p99_us'] / 1000:.2f}", f"{half['per_s']:.0f}",
                f"{half['p50_us'] / 1000:.2f}",
                f"{half['p99_us'] / 1000:.2f}",
                *[report.show(us.get(n), 0) for n in (
                    "server", "worker", "redis", "mongod", "loadgen")],
                f"{half['bytes_per_answer']:.0f}"])
            if out:
                line = {"peer": name, "messages": size, "us": us}
                with out.open("a", encoding="ascii") as f:
                    print(json.dumps(line), file=f)
            print(f"== {name} {size}: {most['per_s']:.0f}/s",
                  file=sys.stderr, flush=True)
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--sizes", type=int, nargs="*",
                   default=[1000, 10000, 100000])
    p.add_argument("--seconds", type=int, default=5)
    p.add_argument("--stores", nargs="*", default=["writeen",
                                                   "writeen-mongo"])
    p.add_argument("--out", type=Path, help="one JSON line for each size, "
                   "for curves.py; they are added")
    args = p.parse_args()
    rows = [r for s in args.stores for r in store(s, args.sizes, args.seconds,
                                                  args.out)]
    print(f"Machine: {servers.machine()}.\n")
    print(f"Pages of {PAGE}; to reach: {AIM_PER_S} a second, the generator "
          f"on the same cores, and p99 ≤ {AIM_P99_MS} ms at half of what is "
          "possible.\n")
    print(report.table(
        ["peer", "messages", "pages/s", "p99 ms", "half of it", "p50 ms",
         "p99 ms", "nginx µs", "pool µs", "redis µs", "mongod µs",
         "generator µs", "bytes"], rows))


if __name__ == "__main__":
    sys.exit(main())
