#!/usr/bin/env python3
"""What people who talk in pairs notice of a lecture: how long their messages
take with, and without, a room of 1,000 beside theirs in which somebody speaks.

    make bench-beside
    make bench-beside BENCH_RUNS=1 BENCH_PEERS='gohub writeen'
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
import servers

LECTURE, SPOKEN = 1000, 60          # members, messages a second
PAIRS, SAID = 100, 200
WARM, LONG = 4, 12                  # the lecture's seconds; the pairs' are 6


def loadgen(peer, label, kind, conns, rooms, rate, out, *more):
    return subprocess.Popen(
        [str(servers.BUILT / "loadgen"), "-peer", label, "-scenario", "beside",
         "-conns", str(conns), "-rooms", str(rooms), "-room-fmt", kind + "%06d",
         "-user-fmt", "u" + kind + "%06d", "-rate", str(rate), "-out", str(out),
         *more, *peer.flags()], stdout=subprocess.DEVNULL)


def pairs(peer, label, out):
    # other rooms each time: the generator's clientMessageIds are the same
    done = loadgen(peer, label, label[0], 2 * PAIRS, PAIRS, SAID, out,
                   "-warm", "1s", "-dur", "6s").wait(120)
    if done not in (0, 3):
        raise RuntimeError(f"the generator ended with {done}")


def make_rooms(stack):
    servers.make_room(stack, "l000000",
                      [f"ul{i:06d}" for i in range(LECTURE)])
    for kind in "ab":               # alone, beside
        for i in range(PAIRS):
            servers.make_room(stack, f"{kind}{i:06d}", [
                f"u{kind}{2 * i + k:06d}" for k in (0, 1)])


def measure(name, out):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, \
            servers.start(name, folder) as peer:
        if peer.stack:
            make_rooms(peer.stack)
        pairs(peer, "alone", out)
        lecture = loadgen(peer, "lecture", "l", LECTURE, 1, SPOKEN, out,
                          "-warm", f"{WARM}s", "-dur", f"{LONG}s")
        time.sleep(WARM)            # its thousand have come by then
        pairs(peer, "beside", out)
        lecture.wait(120)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--peers", nargs="*", required=True)
    args = p.parse_args()
    rows = {}
    for number in range(1, args.runs + 1):
        for name in args.peers:
            print(f"== {number}/{args.runs} {name}", file=sys.stderr,
                  flush=True)
            with tempfile.TemporaryDirectory(dir="/tmp") as folder:
                out = Path(folder) / "out"
                measure(name, out)
                for line in out.read_text().splitlines():
                    row = json.loads(line)
                    rows.setdefault((name, row["peer"]), []).append(row)

    def ms(name, what, key):
        return report.show(report.median(rows[name, what],
                                         lambda r: r[key] / 1000), 2)

    print(f"Machine: {servers.machine()}.\n")
    print(f"{PAIRS} rooms of two, {SAID} messages/s, alone and beside a room "
          f"of {LECTURE} with {SPOKEN} messages/s; medians of {args.runs}.\n")
    print(report.table(
        ["peer", "alone: p50 ms", "p99 ms", "beside: p50 ms", "p90 ms",
         "p99 ms", "the room's p99 ms"],
        [[name, ms(name, "alone", "p50_us"), ms(name, "alone", "p99_us"),
          ms(name, "beside", "p50_us"), ms(name, "beside", "p90_us"),
          ms(name, "beside", "p99_us"), ms(name, "lecture", "p99_us")]
         for name in args.peers]))


if __name__ == "__main__":
    sys.exit(main())
