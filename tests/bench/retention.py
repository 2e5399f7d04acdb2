#!/usr/bin/env python3
"""retention.py --store sqlite|mongo [--messages N]: half of N messages have had
their time and are deleted while people chat; what those notice of it.

Prints how long that took, and the time from sending a message to its arrival
at the other one, before and meanwhile.  Fails when the 99th percentile is more
than twice that of before (and more than FLOOR ms), or when the wrong messages
are gone.
"""

import argparse
import asyncio
import binascii
import json
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

from harness.scene import message, unique                   # noqa: E402
from harness.stack import Server, Stack                     # noqa: E402
from harness.ws import Ws                                   # noqa: E402

ROOM = 100          # messages of a room
PAIRS = 10          # who chat
EVERY = 0.1         # seconds between two messages of a pair
BEFORE = 20         # seconds measured without retention
FLOOR = 20          # ms that nobody calls slow
WORDS = ("naskah ujian bab metode data hasil sumber kutipan tabel teori "
         "model sampel kuesioner wawancara analisis simpulan").split()


def iso(at):
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def events(room, now):
    """A room and its messages, as the ingest stream has them: the older half
    is 400 days old."""
    users = [f"{room}-a", f"{room}-b"]
    old = now - timedelta(days=400)
    yield "c 0 " + users[0] + " -\n" + json.dumps({
        "id": room, "type": "group", "title": None, "consultationId": None,
        "participants": [{"userId": u, "role": "student", "permissions": [
            "read", "write", "upload", "download"], "joinedAt": iso(old)}
            for u in users],
        "settings": {"retention": 365}, "createdBy": users[0],
        "createdAt": iso(old), "context": None})
    for seq in range(1, ROOM + 1):
        at = (old if seq <= ROOM // 2 else now) + timedelta(seconds=seq)
        text = " ".join(WORDS[(seq * k + len(room)) % len(WORDS)]
                        for k in (1, 3, 5, 7, 11))
        yield (f"m {seq} {users[seq % 2]} -\n" + json.dumps({
            "event": "message_received", "data": {
                "conversationId": room, "seq": seq, "message": {
                    "id": f"{room}-{seq}", "conversationId": room,
                    "senderId": users[seq % 2], "type": "text",
                    "content": {"text": f"{text} {seq}"},
                    "createdAt": iso(at), "seq": seq}}}))


def fill(stack, rooms):
    now = datetime.now(timezone.utc) - timedelta(hours=1)
    with stack.redis_client() as c:
        for n in range(rooms):
            room = f"bench{n:06d}"
            shard = binascii.crc_hqx(room.encode(), 0) % 16
            pipe = c.pipeline(transaction=False)
            for payload in events(room, now):
                pipe.xadd(f"wrt:{{{shard}}}:ingest",
                          {"c": room, "p": payload, "x": ""})
            pipe.execute()
        # nothing of it is in a room's hash: the streams tell
        while any(c.xlen(f"wrt:{{{k}}}:ingest") for k in range(16)):
            time.sleep(0.5)


async def chat(stack, times, stop):
    """A pair: how long each message takes, in ms."""
    a, b = unique("ann"), unique("bob")
    while True:
        try:
            room = await asyncio.to_thread(stack.make_room, a, b)
            break
        except AssertionError:          # the pool has only just begun
            await asyncio.sleep(0.5)
    ws = [await Ws.hello(stack.ws(server="bulk"), u) for u in (a, b)]
    while not stop.is_set():
        cmid = unique("c")
        start = time.monotonic()
        ws[0].send("send_message", message(room, "halo", cmid))
        await ws[1].wait("message_received", timeout=30, where=lambda e: (
            e["data"].get("clientMessageId") == cmid))
        times.append((time.monotonic() - start) * 1000)
        await asyncio.sleep(EVERY)
    for w in ws:
        await w.close()


def percentile(times, p):
    return sorted(times)[min(len(times) - 1, int(len(times) * p / 100))]


async def measured(stack, what):
    """Chat for as long as what() takes; its times."""
    times, stop = [], asyncio.Event()
    pairs = [asyncio.create_task(chat(stack, times, stop))
             for _ in range(PAIRS)]
    await asyncio.sleep(2)              # all are there
    times.clear()
    await what()
    stop.set()
    await asyncio.gather(*pairs)
    return times


async def run(stack, rooms):
    async def nothing():
        await asyncio.sleep(BEFORE)
    before = await measured(stack, nothing)

    stack.worker.env["RETENTION_S"] = "3600"
    await asyncio.to_thread(stack.worker.stop)
    await asyncio.to_thread(stack.worker.start)
    await asyncio.to_thread(stack.wait_health, "ok")
    start = time.monotonic()

    async def retention():
        with stack.redis_client() as c:
            while True:
                text = c.hgetall("wrt:metrics")
                said = sum(int(line.split()[-1].split(".")[0])
                           for v in text.values()
                           for line in (v.decode() if isinstance(v, bytes)
                                        else v).splitlines()
                           if line.startswith(
                               "writeen_messages_expired_total"))
                if said >= rooms * (ROOM // 2):
                    return
                await asyncio.sleep(0.5)
    during = await measured(stack, retention)
    took = time.monotonic() - start
    return before, during, took


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", default="sqlite")
    parser.add_argument("--messages", type=int, default=1000000)
    args = parser.parse_args()
    rooms = args.messages // ROOM
    bulk = Server("writeen_rate 100000 burst=100000 user=100000;")
    with Stack(f"retention-{args.store}", args.store,
               servers={"bulk": bulk},
               env={"RETENTION_S": "1000000", "SESSION_GAP_S": "0"}) as stack:
        start = time.monotonic()
        fill(stack, rooms)
        print(f"{args.store}: {rooms * ROOM} messages in {rooms} rooms,"
              f" filled in {time.monotonic() - start:.0f} s")
        before, during, took = asyncio.run(run(stack, rooms))
        stack.wait_applied()
        with stack.open_store() as db:
            left = db.message_ids("bench000000")
        gone = rooms * (ROOM // 2)
        print(f"{gone} deleted in {took:.0f} s ({gone / took:.0f}/s)")
        for name, times in (("before", before), ("meanwhile", during)):
            print(f"{name}: p50 {percentile(times, 50):.1f} ms, p99"
                  f" {percentile(times, 99):.1f} ms, {len(times)} messages")
        ratio = percentile(during, 99) / percentile(before, 99)
        print(f"p99: {ratio:.2f} times that of before")
        assert left == [f"bench000000-{i}"
                        for i in range(ROOM // 2 + 1, ROOM + 1)]
        assert ratio <= 2 or percentile(during, 99) <= FLOOR


if __name__ == "__main__":
    main()
