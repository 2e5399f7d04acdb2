#!/usr/bin/env python3
"""The others: pairs of people who chat while somebody makes trouble.

A process of its own, so that who makes the trouble does not slow it down but
by the servers.  Each line on stdin ends a phase; the answer is a line of JSON:
how long each message took from being sent to being with the other one, in ms,
and what went wrong.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness.ws import Ws                                     # noqa: E402

PACE = 0.1          # seconds between two messages of one of them


class Pair:
    def __init__(self, room, users):
        self.room, self.users = room, users
        self.took, self.wrong, self.seq = [], [], 0

    async def open(self, url):
        self.ws = [await Ws.hello(url, u) for u in self.users]

    async def talk(self):
        n = 0
        while True:
            begin = time.monotonic()
            n += 1
            try:
                await self.say(n)
            except Exception as e:          # told, whatever it is
                self.wrong.append(f"{self.room}: {e!r}")
                return
            await asyncio.sleep(max(0, PACE - (time.monotonic() - begin)))

    async def say(self, n):
        sender, other = self.ws[n % 2], self.ws[1 - n % 2]
        text = f"{self.room}-{n}"
        begin = time.monotonic()
        sender.send("send_message", {
            "conversationId": self.room, "type": "text",
            "content": {"text": text}, "clientMessageId": text})
        event = await other.wait("message_received", timeout=20)
        self.took.append((time.monotonic() - begin) * 1000)
        data = event["data"]
        if data["message"]["content"]["text"] != text \
                or self.seq and data["seq"] != self.seq + 1:
            self.wrong.append(f"{self.room}: after {self.seq} {data}")
        self.seq = data["seq"]
        await sender.wait("message_received", timeout=20)
        for ws in self.ws:
            ws.backlog.clear()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("pairs", nargs="+")     # room:user:user
    args = parser.parse_args()
    pairs = [Pair(r, u) for r, *u in (p.split(":") for p in args.pairs)]
    for p in pairs:
        await p.open(args.url)
    tasks = [asyncio.create_task(p.talk()) for p in pairs]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        print(json.dumps({"ms": [t for p in pairs for t in p.took],
                          "wrong": [w for p in pairs for w in p.wrong]}),
              flush=True)
        for p in pairs:
            p.took, p.wrong = [], []
    for t in tasks:
        t.cancel()
    for p in pairs:
        for ws in p.ws:
            ws.abort()


if __name__ == "__main__":
    asyncio.run(main())
