#!/usr/bin/env python3
"""Many connections that do one thing, in a process of their own (which has its
own limit of open files).

    silent   connected, and not a byte
    trickle  a handshake whose headers never end, a byte at a time
    idle     a WebSocket that only answers pings

Says `ready N` when all are there; a line on stdin asks how many are open
(`open N`), the end of stdin ends it.
"""

import argparse
import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness import tokens                                    # noqa: E402
from harness.light import Light, many                         # noqa: E402

TICK = 0.25             # seconds between two bytes
HEAD = (b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        + b"X-Filler: " + b"x" * 4096)


class Idle(Light):
    """A ping is a frame of its own, without a payload."""

    def data_received(self, data):
        super().data_received(data)
        if b"\x89\x00" in data:
            self.transport.write(b"\x8a\x80\0\0\0\0")


class Plain(asyncio.Protocol):
    def __init__(self):
        self.gone = False
        self.sent = 0

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        self.gone = True

    def abort(self):
        self.transport.abort()


async def idle(args):
    return await many(args.port, [tokens.token(f"{args.name}-{i}")
                                  for i in range(args.n)], "x", kind=Idle,
                      tries=5)


async def plain(args):
    gate = asyncio.Semaphore(200)
    loop = asyncio.get_running_loop()

    async def one():
        async with gate:
            _, p = await loop.create_connection(Plain, "127.0.0.1",
                                                args.port)
            return p
    return await asyncio.gather(*[one() for _ in range(args.n)])


async def trickle(crowd):
    while True:
        for p in crowd:
            if not p.gone:
                p.transport.write(HEAD[p.sent:p.sent + 1])
                p.sent += 1
        await asyncio.sleep(TICK)


def is_open(p):
    return not (p.gone.is_set() if hasattr(p.gone, "is_set") else p.gone)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["silent", "trickle", "idle"])
    parser.add_argument("n", type=int)
    parser.add_argument("port", type=int)
    parser.add_argument("--name", default="idle")
    args = parser.parse_args()
    crowd = await (idle if args.what == "idle" else plain)(args)
    task = args.what == "trickle" and asyncio.create_task(trickle(crowd))
    print(f"ready {len(crowd)}", flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(f"open {sum(is_open(p) for p in crowd)}", flush=True)
    if task:
        task.cancel()
    for p in crowd:
        p.abort()


if __name__ == "__main__":
    asyncio.run(main())
