"""Clients that do not read: closed before they cost memory, others served.

Promise 6.  One phone in a lift must not fill the server's memory, nor make
the people around it wait.
"""

import asyncio
import os
import time

from harness.client import ChatClient
from harness.net import patience
from harness.parts import rss_kib
from harness.scene import message, send, unique, uniques
from harness.ws import Ws

TEXT = "x" * 12000


def slow_closed(stack):
    """How many were, on the first nginx."""
    text = stack.rest().get("/metrics").raw.decode()
    return sum(float(line.split()[-1]) for line in text.splitlines()
               if line.startswith("writeen_slow_closed_total"))


async def test_slow_consumer_is_closed(stack):
    """It gets 4408; the member beside it misses nothing and waits for
    nothing; nginx does not keep what was queued."""
    ann, bob, cho = uniques("ann", "bob", "cho")
    room = stack.make_room(ann, bob, cho)
    url = stack.ws(server="bulk")
    sender = await Ws.hello(url, ann)
    sender.ignore.add("message_received")
    fast = await Ws.hello(url, bob)
    slow = await Ws.hello(url, cho, rcvbuf=4096)
    slow.pause()
    before = max(rss_kib(p) for p in stack.nginx[0].workers())
    before_that = slow_closed(stack)
    slowest, n = 0, 150             # 1.8 MB for a queue of 256 KiB
    for i in range(1, n + 1):
        start = time.monotonic()
        await send(sender, room, TEXT + str(i))
        e = await fast.wait("message_received")
        slowest = max(slowest, time.monotonic() - start)
        assert e["data"]["seq"] == i
    assert slowest < patience(1)
    assert slow_closed(stack) == before_that + 1
    # out of the tunnel after a while, it is still told why
    await asyncio.sleep(4)
    slow.resume_reading()
    code, reason = await slow.wait_closed(10)
    assert (code, reason) == (4408, "slow_consumer")
    # what it did get was in order
    got = [e["data"]["seq"] for e in slow.pending()
           if e["event"] == "message_received"]
    assert got == list(range(1, len(got) + 1))
    assert len(got) < n
    after = max(rss_kib(p) for p in stack.nginx[0].workers())
    # a sanitizer keeps freed memory for a while
    more = 8192 if "ASAN_OPTIONS" not in os.environ else 300000
    assert after - before < more, (before, after)
    await fast.close()
    await sender.close()


async def test_slow_consumer_comes_back(stack):
    """What was not sent to it is there when it resumes."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    url = stack.ws(server="bulk")
    sender = await Ws.hello(url, ann)
    sender.ignore.add("message_received")
    client = ChatClient(bob, [(url, "127.0.0.1",
                               stack.port(0, "bulk"))], [room])
    client.start()
    await send(sender, room, "first")
    await client.wait_seq(room, 1, 5)
    for turn in range(2):
        # far more than the kernel and the send queue take
        closed, deaf = slow_closed(stack), client.ws
        deaf.pause()
        for i in range(25):
            for _ in range(8):
                sender.send("send_message", message(room, TEXT,
                                                    unique("c")))
            for _ in range(8):
                await sender.wait("message_status")
            if client.ws is deaf and slow_closed(stack) > closed:
                # it takes its Close in time, but is back when all is sent
                client.away = 1
                deaf.resume_reading()
        deaf.resume_reading()
        await client.wait_seq(room, 1 + 200 * (turn + 1), 30)
    await client.stop()
    assert client.violations == []
    assert client.stats["closes"].get(4408, 0) >= 1, client.stats
    assert sorted(client.rooms[room].got) == list(range(1, 402))
    await sender.close()


async def test_closing_to_a_deaf_client_ends(stack):
    """A client that neither reads nor answers Close does not stay."""
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    url = stack.ws(server="bulk")
    deaf = await Ws.hello(url, ann, rcvbuf=4096)
    sender = await Ws.hello(url, ann)
    sender.ignore.add("message_received")
    deaf.pause()

    async def connections():
        text = (await stack.rest().acall("GET", "/metrics")).raw.decode()
        return sum(float(line.split()[-1]) for line in text.splitlines()
                   if "connections" in line and not line.startswith("#")
                   and "accepted" not in line)

    before = await connections()
    for i in range(150):
        await send(sender, room, TEXT)
    end = time.monotonic() + patience(8)
    while await connections() > before - 1:
        assert time.monotonic() < end, "the deaf client is still there"
        await asyncio.sleep(0.2)
    deaf.abort()
    await sender.close()
