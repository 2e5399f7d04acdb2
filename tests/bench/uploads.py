#!/usr/bin/env python3
"""What uploads cost those who chat, and nginx.

Somebody chats at a steady pace, first alone, then while 20 files of 10 MB are
always on their way up, at the pace of a mobile network; each is scanned and
stored.  Printed: how long a message took from one socket to the other, with
and without, and the memory of nginx.  The senders are a process of their own.

    make bench-uploads
"""

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness import tokens, upload                            # noqa: E402
from harness.parts import rss_kib                             # noqa: E402
from harness.scene import received, send                      # noqa: E402
from harness.stack import Server, Stack                       # noqa: E402
from harness.ws import Ws                                     # noqa: E402

UPLOADS = 20
SIZE = 10 * upload.MEGABYTE
PACE = upload.MEGABYTE      # bytes a second of each
RATE = 50                   # messages a second


async def one_upload(port, room, token, stop, done):
    """Again and again, slowly."""
    kind, body = upload.file_form("big.txt", upload.text_of(SIZE))
    head = (f"POST /api/conversations/{room}/upload HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
    step = PACE // 10
    while not stop.is_set():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode())
        for at in range(0, len(body), step):
            writer.write(body[at:at + step])
            await writer.drain()
            await asyncio.sleep(0.1)
            if stop.is_set():
                break
        else:
            answer = await reader.read()
            status = int(answer.split()[1])
            done[status] = done.get(status, 0) + 1
        writer.transport.abort()


def uploader(port, room, secret, stop, result):
    async def run():
        done = {}
        tokens_ = [tokens.token(f"up-{i}") for i in range(UPLOADS)]
        await asyncio.gather(*(one_upload(port, room, t, stop, done)
                               for t in tokens_))
        result.update(done)
    tokens.SECRET = secret
    asyncio.run(run())


async def chat(stack, room, seconds):
    """Milliseconds from send to receive, of each message."""
    ann = await Ws.hello(stack.ws(server="bulk"), "ann", name="ann")
    bob = await Ws.hello(stack.ws(server="bulk"), "bob", name="bob")
    took = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.perf_counter()
        await asyncio.gather(send(ann, room, "x"), received(bob, 1, room))
        took.append((time.perf_counter() - start) * 1000)
        await asyncio.sleep(max(0, 1 / RATE - took[-1] / 1000))
    await ann.close()
    await bob.close()
    return sorted(took)


def say(what, took):
    n = len(took)
    print(f"{what}: {n} messages, median {statistics.median(took):.2f} ms, "
          f"p99 {took[n * 99 // 100]:.2f}, most {took[-1]:.2f}")
    return took[n * 99 // 100]


def memory(stack):
    return sum(rss_kib(p) for n in stack.nginx for p in n.workers())


def run(stack, seconds):
    room = stack.make_room("ann", "bob")
    files = stack.make_room(*(f"up-{i}" for i in range(UPLOADS)))
    asyncio.run(chat(stack, room, 3))               # warm
    before = memory(stack)
    alone = say("alone", asyncio.run(chat(stack, room, seconds)))

    stop = multiprocessing.Event()
    with multiprocessing.Manager() as manager:
        result = manager.dict()
        p = multiprocessing.Process(
            target=uploader, args=(stack.port(server="bulk"), files,
                                   tokens.SECRET, stop, result))
        p.start()
        time.sleep(3)
        during = memory(stack)
        busy = say(f"with {UPLOADS} uploads",
                   asyncio.run(chat(stack, room, seconds)))
        during = max(during, memory(stack))
        stop.set()
        p.join()
        print(f"uploads ended: {dict(result)} of {SIZE} bytes, "
              f"{PACE // 1024} KiB/s each")
    print(f"p99 with / without: {busy / alone:.2f}")
    print(f"nginx workers: {before} KiB before, {during} KiB during")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--stack", default="sqlite-local")
    args.add_argument("--seconds", type=int, default=25)
    args = args.parse_args()
    store, files = args.stack.split("-")
    with Stack(f"bench-uploads-{args.stack}", store, files=files,
               nginx_workers=1,
               servers={"bulk": Server("writeen_rate 100000 burst=100000 "
                                       "user=100000;")}) as stack:
        run(stack, args.seconds)


if __name__ == "__main__":
    main()
