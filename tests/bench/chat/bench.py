#!/usr/bin/env python3
"""Chat servers side by side, in one run, on one machine.

Each peer is started anew for each scenario, is given the same load by the
same generator, and is stopped again; the peers of a scenario take turns, so
that a slow spell of the machine hits them all.  What a message costs is the
CPU time of the server's processes, from /proc.  Prints Markdown: machine and
versions, a table for each scenario, and how far each aim was reached.

    make bench-chat
    make bench-chat BENCH_RUNS=1 BENCH_SCENARIOS=rooms-5k \\
        BENCH_PEERS='floor gohub writeen-mongo'
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import report
import servers

# connections, rooms, messages a second, more flags of the generator
SCENARIOS = {
    "rooms-2k": (1000, 500, 2000),
    "rooms-5k": (1000, 500, 5000),
    "rooms-10k": (1000, 500, 10000),
    "fanout-20": (1000, 1, 20),
    "fanout-50": (1000, 1, 50),
    "idle-10k": (10000, 5000, 0, "-settle", "5s", "-dur", "5s"),
    "connect-5k": (5000, 2500, 0, "-join=false", "-dur", "10ms"),
    # what people write, plain and compressed
    "text-100": (1000, 10, 100, "-text", "chat.txt"),
    "text-100-deflate": (1000, 10, 100, "-text", "chat.txt", "-deflate"),
    # the same work in more and more rooms
    "curve-10": (20, 10, 2000),
    "curve-100": (200, 100, 2000),
    "curve-1000": (2000, 1000, 2000),
    # the same deliveries in larger and larger rooms
    "members-10": (10, 1, 2000),
    "members-100": (100, 1, 200),
    "members-1000": (1000, 1, 20),
}
USUAL = ["rooms-2k", "rooms-5k", "rooms-10k", "fanout-20", "fanout-50",
         "idle-10k", "connect-5k"]
USUAL_PEERS = ["floor", "nchan-nostore", "nchan-jwt", "centrifuge-hist",
               "gohub", "writeen", "writeen-mongo"]
ONLY = {"nchan-jwt": {"connect-5k"}}        # of interest there alone


def generate(peer, name, scenario, out):
    """One run of the generator; its result is a line of out."""
    conns, rooms, rate, *flags = SCENARIOS[scenario]
    flags = [str(servers.HERE / f) if f.endswith(".txt") else f for f in flags]
    if peer.stack and "-join=false" not in flags:
        servers.make_rooms(peer.stack, rooms, conns // rooms)
    done = subprocess.run(
        [str(servers.BUILT / "loadgen"), "-peer", name, "-scenario", scenario,
         "-conns", str(conns), "-rooms", str(rooms), "-rate", str(rate),
         "-dur", "6s", "-out", str(out), *peer.flags(), *flags], timeout=180)
    # 3: something was lost; the table says what
    if done.returncode not in (0, 3):
        raise RuntimeError(f"the generator ended with {done.returncode}")


def run(names, scenarios, runs, out):
    for number in range(1, runs + 1):
        for scenario in scenarios:
            for name in names:
                if scenario not in ONLY.get(name, SCENARIOS):
                    continue
                print(f"== {number}/{runs} {scenario} {name}",
                      file=sys.stderr, flush=True)
                with tempfile.TemporaryDirectory(dir="/tmp") as folder, \
                        servers.start(name, folder) as peer:
                    generate(peer, name, scenario, out)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--scenarios", nargs="*", metavar="SCENARIO",
                   choices=[*SCENARIOS, []], help=" ".join(SCENARIOS))
    p.add_argument("--peers", nargs="*", metavar="PEER",
                   choices=[*servers.PEERS, []], help=" ".join(servers.PEERS))
    p.add_argument("--out", type=Path, default=servers.BUILT / "results.jsonl",
                   help="one JSON line for each run; they are added")
    p.add_argument("--report", action="store_true",
                   help="only the tables of what is in --out")
    args = p.parse_args()

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    if not args.report:
        run(args.peers or USUAL_PEERS, args.scenarios or USUAL, args.runs,
            args.out)
    rows = [json.loads(line) for line in args.out.open(encoding="ascii")]
    print(report.text(rows, servers.machine(), servers.versions()))


if __name__ == "__main__":
    sys.exit(main())
