#!/usr/bin/env python3
"""idle.py [SOCKETS]: what a socket that says nothing costs, in memory.

Of one nginx worker process and of Redis: proportional set size before and
after so many users more have connected, one socket each, without a room.
"""

import asyncio
import re
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

from harness import tokens                                  # noqa: E402
from harness.light import Light                             # noqa: E402
from harness.stack import Stack                             # noqa: E402

FIRST = 500         # what is allocated once
SETTLE = 8          # seconds: a renewal of presence, a ping


def pss(pid):
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", text, re.M).group(1))


async def measure(stack, n):
    pids = {"nginx": stack.nginx[0].workers()[0], "redis": stack.redis[0].pid}
    sockets = []

    async def more(count):
        for _ in range(0, count, 50):
            at = len(sockets)
            sockets.extend(await asyncio.gather(*(
                Light.connect(stack.port(), tokens.token(f"user-{at + i}"),
                              "x") for i in range(50))))
        end = time.monotonic() + SETTLE
        while time.monotonic() < end:       # sockets answer pings meanwhile
            await asyncio.sleep(0.1)

    await more(FIRST)
    before = {name: pss(pid) for name, pid in pids.items()}
    await more(n)
    for name, pid in pids.items():
        print(f"{name}: {(pss(pid) - before[name]) / n:.2f} KiB a socket")


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Stack("idle", "sqlite", nginx_workers=1) as stack:
        asyncio.run(measure(stack, n))


if __name__ == "__main__":
    main()
