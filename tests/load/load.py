#!/usr/bin/env python3
"""A k6 load test against the real servers.

Makes `test_conversation_1` with a service token, runs
websocket_load_test.js, and listens meanwhile as a second member.  Afterwards
every check of the script has passed and every message that was accepted (an
ack and its echo are one event) is in the history and in the database exactly
once.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from harness import tokens                                    # noqa: E402
from harness.client import ChatClient                         # noqa: E402
from harness.parts import find_k6, rss_kib                    # noqa: E402
from harness.stack import Stack                               # noqa: E402

from verdict import verdict                                   # noqa: E402

ROOM = "test_conversation_1"


async def k6(stack, scale, summary):
    """Run the script; returns its exit status."""
    env = dict(os.environ, WS_HOST=f"127.0.0.1:{stack.port()}",
               TOKEN=tokens.token("loader", ttl=7200),
               STAGE_SCALE=str(scale), K6_NO_USAGE_REPORT="true",
               HOME=str(stack.dir))
    log = open(stack.logs / "k6.out", "wb")
    proc = await asyncio.create_subprocess_exec(
        find_k6(), "run", "--quiet", "--log-output=none",
        f"--summary-export={summary}", str(HERE / "websocket_load_test.js"),
        env=env, cwd=stack.dir, stdin=asyncio.subprocess.DEVNULL,
        stdout=log, stderr=log)
    try:
        return await proc.wait()
    finally:
        log.close()


def figures(summary):
    metrics = json.loads(summary.read_text())["metrics"]

    def get(name, field):
        return metrics.get(name, {}).get(field, 0)

    return {"checks passed": get("checks", "passes"),
            "checks failed": get("checks", "fails"),
            "sessions": get("ws_sessions", "count"),
            "frames sent": get("ws_msgs_sent", "count"),
            "frames received": get("ws_msgs_received", "count"),
            "connecting p95 ms": get("ws_connecting", "p(95)")}


def counted(stack):
    """Sends that nginx has acknowledged, and those that it has refused."""
    text = stack.rest().call("GET", "/metrics").raw.decode()
    have = dict(line.rsplit(" ", 1) for line in text.splitlines())
    return (int(have["writeen_messages_sent_total"]),
            sum(int(have[f"writeen_{name}_total"])
                for name in ("messages_refused", "rate_limited")))


async def run(stack, scale):
    problems = []
    stack.make_room("loader", "observer", room=ROOM)
    client = ChatClient("observer",
                        [(stack.ws(), "127.0.0.1", stack.port())], [ROOM])
    client.start()
    summary = stack.dir / "summary.json"
    start = time.monotonic()
    status = await k6(stack, scale, summary)
    took = time.monotonic() - start
    if status != 0:
        problems.append(f"k6 ended with {status}, see {stack.logs}/k6.out")
        return problems
    fig = figures(summary)
    print(", ".join(f"{k} {v:.0f}" for k, v in fig.items()),
          f"in {took:.0f} s")
    if fig["checks failed"] or not fig["checks passed"]:
        problems.append(f"checks: {fig}")
    end = (await stack.rest(tokens.token("observer")).aget(
        f"/api/conversations/{ROOM}")).data["conversation"]["seq"]
    await client.wait_seq(ROOM, end, 10)
    seen = client.rooms[ROOM]
    problems += client.violations
    if client.stats["connects"] != 1:
        problems.append(f"the observer was cut off: {client.stats}")
    sends = fig["frames sent"] - fig["sessions"]
    acked, refused = counted(stack)
    print(f"{acked} of {sends:.0f} sends acknowledged, {seen.last} messages "
          f"(sends of the same user in the same millisecond have one "
          f"clientMessageId)")
    # some are on their way when their socket ends; none may be refused, and
    # how many share a millisecond is how busy this machine is
    if refused or not 0.75 * sends < acked <= sends or seen.last > acked:
        problems.append(f"{seen.last} messages of {sends} sends, {acked} "
                        f"acknowledged, {refused} refused")
    await client.stop()
    await asyncio.to_thread(stack.wait_applied)
    want = {s: e[0] for s, e in seen.got.items()}
    if sorted(want) != list(range(1, seen.last + 1)):
        problems.append("the observer has holes")
    rows = stack.rest(tokens.token("observer")).history(ROOM)
    if [(m["seq"], m["id"]) for m in rows] != sorted(want.items()):
        problems.append(f"history has {len(rows)}, accepted {len(want)}")
    if len({m["clientMessageId"] for m in rows}) != len(rows):
        problems.append("a clientMessageId is in the history twice")
    with stack.open_store() as db:
        if [(r[0], r[1]) for r in db.messages(ROOM)] != sorted(want.items()):
            problems.append("the database differs from what was accepted")
    rss = [rss_kib(p) for p in stack.nginx[0].workers()]
    print(f"nginx workers' RSS afterwards: {rss} KiB")
    return problems


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--store", choices=["sqlite", "mongo"], default="sqlite")
    p.add_argument("--scale", type=float, default=1)
    p.add_argument("--result")
    args = p.parse_args()
    stack = Stack(f"load-{args.store}", args.store)
    return verdict(stack, lambda: asyncio.run(run(stack, args.scale)),
                   args.result)


if __name__ == "__main__":
    sys.exit(main())
