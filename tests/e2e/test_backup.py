"""The restore drill of docs/operations.md.

A failure: the backup is made while people chat; then everything is lost, what
was said after it included.  The service goes on from the backup, and is never
at odds with clients that know more than it does.

A move: all is stopped, what is in Redis goes along, and nothing is missing.

`make restore-drill` does it with the programs that the page names, on more
stacks (harness/backup.py).
"""

import asyncio
import time

import pytest

from harness import backup, upload
from harness.cast import Cast
from harness.scene import join, received, send, texts
from harness.stack import Server, Stack
from harness.upload import Files, info

KINDS = (["sqlite-local", "mongo-s3", "single-local"] if backup.TOOLS
         else ["sqlite-local", "mongo-local"])

LIMIT = 180
RATES = Server("writeen_rate 100000 burst=100000 user=100000;")

# Who is there is of the moment; the number of a room's last event is looked at
# where it matters.
MOMENT = {"isOnline", "lastSeen"}


@pytest.fixture(name="stack", params=KINDS)
def a_stack(request):
    kind, files = request.param.split("-")
    mongod = None
    if kind == "mongo" and not backup.TOOLS:
        mongod = request.getfixturevalue("mongod")
    stack = Stack(f"backup-{request.param}",
                  "sqlite" if kind == "sqlite" else "mongo", nginx=2,
                  files=files, servers={"bulk": RATES}, mongod=mongod,
                  mongo_set=kind != "single").start()
    yield stack
    problems = stack.stop()
    assert not problems, "\n".join(problems)


def without(value):
    """Without what is of the moment."""
    if isinstance(value, dict):
        room = {"seq"} if "participants" in value else set()
        return {k: without(v) for k, v in value.items()
                if k not in MOMENT | room}
    if isinstance(value, list):
        return [without(v) for v in value]
    return value


def differences(a, b, where=""):
    """Where two documents differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for k in {*a, *b}
                for d in differences(a.get(k), b.get(k), f"{where}/{k}")]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [d for n, (x, y) in enumerate(zip(a, b))
                for d in differences(x, y, f"{where}/{n}")]
    return [] if a == b else [(where, a, b)]


class Talk:
    """Ann, Bob and Cid: rooms in which something of everything happened."""

    def __init__(self, stack, cast):
        self.stack = stack
        self.cast = cast
        self.files = Files(cast)
        self.ids = list(cast.ids.values())
        self.busy = stack.make_room(*self.ids, title="Busy")
        self.quiet = stack.make_room(*self.ids[:2], title="Quiet")
        self.old = stack.make_room(*self.ids, title="Old")
        self.said = []              # acks of the busy room

    @classmethod
    async def begin(cls, stack):
        cast = await Cast.group(stack, "ann", "bob", "cid", title="Room")
        self = cls(stack, cast)
        await cast.open("ann", "bob", "cid")    # who is known by name then
        ann, bob = cast.ws["ann"], cast.ws["bob"]
        one = await cast.say("ann", "bab satu: metode penelitian")
        await cast.say("bob", "bab dua", replyTo=one["messageId"])
        gone = await cast.say("ann", "not meant for this room")
        assert (await cast.edit("ann", one["messageId"],
                                "bab satu: metode survei")).status == 200
        assert (await cast.react("bob", one["messageId"], "👍")).status == 200
        assert (await cast.delete("ann", gone["messageId"])).status == 200
        self.picture = upload.sample("house.jpg")
        r = await self.files.upload("ann", "house.jpg", self.picture)
        assert r.status == 201, r
        self.file = info(r.data["message"])["fileId"]
        assert (await cast.do("bob", "POST", "/read", {
            "messageId": one["messageId"]})).status == 200
        self.said.append(await send(ann, self.busy, "busy 0"))
        for n in range(3):
            await send(ann, self.quiet, f"metode {n}")
        await send(bob, self.old, "metode lama")
        r = await cast.rest("ann", role="service").acall(
            "POST", f"/api/conversations/{self.old}/archive")
        assert r.status == 200, r
        return self

    async def chatter(self, over):
        while not over.is_set():
            self.said.append(await send(self.cast.ws["ann"], self.busy,
                                        f"busy {len(self.said)}"))
            await asyncio.sleep(0.01)           # 100 a second at most

    async def during(self, do):
        """Something is done while they chat."""
        over = asyncio.Event()
        talk = asyncio.create_task(self.chatter(over))
        try:
            await asyncio.to_thread(do)
        finally:
            over.set()
            await talk

    async def history(self, name, room):
        """All of it, the oldest first."""
        return await asyncio.to_thread(self.cast.rest(name, 1).history, room)

    async def everything(self, *but):
        """What there is to see for each of them."""
        seen = {}
        for name in self.cast.ids:
            rest = self.cast.rest(name, 1)
            rooms = []
            for archived in "false", "true":
                r = await rest.acall(
                    "GET", "/api/conversations",
                    query={"limit": 100, "archived": archived})
                assert r.status == 200, r
                rooms += [c for c in r.data["conversations"]
                          if c["id"] not in but]
            assert len(rooms) + len(but) >= (3 if name == "cid" else 4), rooms
            unread = (await rest.aget("/api/unread")).data
            r = await rest.acall("GET", "/api/search", query={"q": "metode"})
            assert r.status == 200, r
            seen[name] = without({
                "rooms": rooms, "found": r.data["results"],
                "unread": {c["conversationId"]: c["unreadCount"]
                           for c in unread["conversations"]
                           if c["conversationId"] not in but},
                "messages": {c["id"]: await self.history(name, c["id"])
                             for c in rooms}})
        first = seen["ann"]["messages"][self.cast.room][0]
        r = await self.cast.do("bob", "GET",
                               f"/messages/{first['id']}/history")
        assert r.status == 200, r
        seen["edits"] = r.data
        r = await self.files.download("bob", self.file)
        assert r.status == 200 and r.raw == self.picture, r.status
        r = await self.files.thumbnail("bob", self.file, "small")
        assert r.status == 200, r
        seen["thumbnail"] = r.raw
        return seen


def stop(*parts):
    for part in parts:
        assert part.stop() is None, part.name


def start(stack, *, restored=False):
    for part in stack.redis:
        part.start()
    if restored:
        status, said = stack.worker.run_once("--restored")
        assert status == 0 and said.endswith(
            "4 rooms go on 1000000 numbers later\n"), said
    for part in [*stack.pools, *stack.nginx]:
        part.start()
    stack.wait_health("ok", 30)


async def test_restore_after_a_failure(stack):
    talk = await Talk.begin(stack)
    cast, room = talk.cast, talk.cast.room
    stack.wait_applied()
    before = await talk.everything(talk.busy)
    store, files = backup.store_of(stack), backup.files_of(stack)
    single = stack.mongod and not stack.mongod.set

    # 1. the backup: store, then files; of a single mongod without the pools
    # (and chat goes on)
    if single:
        stop(*stack.pools)
    await talk.during(store.take)
    await talk.during(files.take)
    if single:
        for pool in stack.pools:
            pool.start()
    assert talk.said

    lost = [await send(cast.ws["bob"], room, f"lost {n}", f"lost-{n}")
            for n in range(5)]
    seen = lost[-1]["seq"]
    await cast.close()
    stack.wait_applied()

    # 2. all is lost: what was said since, too; 3. what Redis knows is of a
    # later moment than the backup, and --restored would lose what is in it
    stop(*stack.nginx, *stack.pools)
    status, said = stack.worker.run_once("--restored")
    assert status == 1 and "empty Redis, and repeat" in said, said
    stop(*stack.redis)
    for part in store, files, backup.redis_of(stack):
        part.wipe()

    # 4. put back, and start
    begin = time.monotonic()
    store.restore()
    files.restore()
    start(stack, restored=True)

    # 5. what the backup has is there
    after = await talk.everything(talk.busy)
    assert after == before, differences(after, before)
    print(f"all there {time.monotonic() - begin:.1f} s after the beginning")

    # what was said while it was made is there up to some moment
    there = await talk.history("bob", talk.busy)
    assert [(m["seq"], m["content"]["text"]) for m in there] == [
        (ack["seq"], f"busy {n}")
        for n, ack in enumerate(talk.said[:len(there)])]

    # Ann writes more than was lost before Bob is back.  He resumes with the
    # number that he has seen, which the backup has not, and nothing that is
    # new is taken for a repeat.
    await cast.open("ann")
    new = [(await send(cast.ws["ann"], room, f"new {n}"))["seq"]
           for n in range(7)]
    assert new == list(range(new[0], new[0] + 7)) and new[0] > seen, new
    await cast.open("bob")
    ann, bob = cast.ws["ann"], cast.ws["bob"]
    await join(bob, room, seen)
    got = await received(bob, 7, room)
    assert texts(got) == [f"new {n}" for n in range(7)], got
    assert [e["seq"] for e in got] == new, got

    # he sends again what he knows was lost: it is new here, and once
    again = await send(bob, room, "lost 4", "lost-4")
    assert again["seq"] == new[-1] + 1, again
    twice = await send(bob, room, "lost 4", "lost-4")
    assert twice["messageId"] == again["messageId"], (again, twice)
    assert texts(await received(ann, 8, room))[-1] == "lost 4"

    # who was not there at all sees one unbroken row
    stack.wait_applied()
    there = await talk.history("cid", room)
    assert [m["id"] for m in there[:-8]] == [
        m["id"] for m in before["ann"]["messages"][room]]
    assert [m["seq"] for m in there[-8:]] == [*new, again["seq"]]
    await cast.close()

test_restore_after_a_failure.limit = LIMIT


async def test_move(stack):
    talk = await Talk.begin(stack)
    cast = talk.cast
    bob = cast.ws["bob"]
    stack.wait_applied()

    # what is said without a pool is in Redis alone
    stop(*stack.pools)
    for n in range(20):
        await send(bob, cast.room, f"metode {n}")
    ends = stack.room_ends()
    await cast.close()
    stop(*stack.nginx, *stack.redis)

    parts = [backup.store_of(stack), backup.files_of(stack),
             backup.redis_of(stack)]
    for part in parts:
        part.take()
    for part in parts:
        part.wipe()
    for part in parts:
        part.restore()
    start(stack)
    stack.wait_applied()

    # nothing is missing: rooms, messages, and the number after each
    assert stack.room_ends() == ends
    seen = await talk.everything()
    said = [m["content"].get("text")
            for m in seen["cid"]["messages"][cast.room]]
    assert said[-20:] == [f"metode {n}" for n in range(20)], said
    assert len(seen["cid"]["messages"][cast.room]) == 24
    assert len(seen["ann"]["found"]) == 20, seen["ann"]["found"]

    await cast.open("ann", "bob")
    ann, bob = cast.ws["ann"], cast.ws["bob"]
    end = ends[cast.room]
    joined = await join(bob, cast.room, end - 5)
    assert joined["missed"] == 5 and "compact" not in joined, joined
    got = await received(bob, 5, cast.room)
    assert [e["seq"] for e in got] == list(range(end - 4, end + 1))
    ack = await send(ann, cast.room, "here again")
    assert ack["seq"] == end + 1, (ack, end)
    assert texts(await received(bob, 1, cast.room)) == ["here again"]
    await cast.close()

test_move.limit = LIMIT
