"""The restore drill of docs/operations.md, on both stores.

A backup is made while people chat; then everything is lost, what was said
after it included.  The service goes on from the backup, and is never at odds
with clients that know more than it does.
"""

import shutil
import sqlite3
import time

import pytest

from harness import tokens, upload
from harness.cast import Cast
from harness.scene import join, received, send, texts
from harness.stack import Server, Stack
from harness.upload import Files, info

# 1. Stop; 2. put back; 3. empty Redis; 4. start; 5. look.


class SqliteBackup:
    """What `.backup` of the sqlite3 program does."""

    def __init__(self, stack):
        self.path = stack.dir / "writeen.db"
        self.copy = stack.dir / "backup.db"
        with sqlite3.connect(self.path) as db, \
                sqlite3.connect(self.copy) as to:
            db.backup(to)

    def restore(self):
        for suffix in "", "-wal", "-shm":
            self.path.with_name(self.path.name + suffix).unlink(
                missing_ok=True)
        shutil.copy(self.copy, self.path)


class MongoBackup:
    """Documents and indexes, as mongodump has them."""

    def __init__(self, stack):
        self.stack = stack
        with stack.mongod.client() as c:
            db = c[stack.database]
            self.collections = {
                name: (list(db[name].list_indexes()), list(db[name].find()))
                for name in db.list_collection_names()}

    def restore(self):
        with self.stack.mongod.client() as c:
            c.drop_database(self.stack.database)
            db = c[self.stack.database]
            for name, (indexes, documents) in self.collections.items():
                db.create_collection(name)
                specs = [{k: v for k, v in i.items() if k != "ns"}
                         for i in indexes if i["name"] != "_id_"]
                if specs:
                    db.command("createIndexes", name, indexes=specs)
                if documents:
                    db[name].insert_many(documents)


BACKUPS = {"sqlite": SqliteBackup, "mongo": MongoBackup}


@pytest.fixture(name="stack")
def a_stack(store, request):
    mongod = (request.getfixturevalue("mongod") if store == "mongo"
              else None)
    stack = Stack(f"backup-{store}", store, nginx=2, files="local",
                  servers={"bulk": Server()}, mongod=mongod).start()
    yield stack
    problems = stack.stop()
    assert not problems, "\n".join(problems)


def lose_everything(stack):
    """Stops all, in the drill's order; Redis and the files are gone."""
    for part in [*stack.nginx, *stack.pools, *stack.redis]:
        assert part.stop() is None, part.name
    shutil.rmtree(stack.redis[0].dir / "appendonlydir")
    shutil.rmtree(stack.blobs)


def start(stack):
    for part in [*stack.redis, *stack.pools, *stack.nginx]:
        part.start()
    stack.wait_health("ok", 30)


async def test_restore_drill(stack):
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    ann, bob, room = cast.ws["ann"], cast.ws["bob"], cast.room
    files = Files(cast)
    picture = upload.sample("house.jpg")
    for text in "one", "two":
        await send(ann, room, text)
    r = await files.upload("ann", "house.jpg", picture)
    assert r.status == 201, r
    file = info(r.data["message"])["fileId"]
    stack.wait_applied()

    backup = BACKUPS[stack.store](stack)
    blobs = stack.dir / "blobs-backup"
    shutil.copytree(stack.blobs, blobs)

    lost = [await send(bob, room, f"lost {n}", f"lost-{n}")
            for n in range(5)]
    seen = lost[-1]["seq"]
    await cast.close()
    stack.wait_applied()

    lose_everything(stack)
    backup.restore()
    shutil.copytree(blobs, stack.blobs)
    begin = time.monotonic()
    start(stack)

    # what the backup has is there, with its files
    r = await cast.do("ann", "GET", "/messages")
    assert r.status == 200, r
    there = [m["content"].get("text") for m in r.data["messages"]
             if m["type"] == "text"]
    assert there == ["two", "one"], there
    r = await files.download("bob", file)
    assert r.status == 200 and r.raw == picture, r.status
    print(f"serves {time.monotonic() - begin:.1f} s after the start")

    # Bob saw what is lost.  He resumes with the number that he has, and what
    # comes then is above it: nothing new is taken for a repeat.
    await cast.open("ann", "bob")
    ann, bob = cast.ws["ann"], cast.ws["bob"]
    await join(bob, room, seen)
    ack = await send(ann, room, "after")
    assert ack["seq"] > seen, (ack, seen)
    assert texts(await received(bob, 1, room)) == ["after"]

    # he sends again what he knows was lost: it is new here, and once
    again = await send(bob, room, "lost 4", "lost-4")
    assert again["seq"] > ack["seq"], again
    twice = await send(bob, room, "lost 4", "lost-4")
    assert twice["messageId"] == again["messageId"], (again, twice)
    assert texts(await received(ann, 2, room)) == ["after", "lost 4"]

    # who was not there at all sees one unbroken row
    stack.wait_applied()
    rest = stack.rest(tokens.token(cast.ids["ann"]), 1)
    r = await rest.acall("GET", f"/api/conversations/{room}/messages")
    there = [m["content"].get("text") for m in r.data["messages"]
             if m["type"] == "text"]
    assert there == ["lost 4", "after", "two", "one"], there
    numbers = [m["seq"] for m in r.data["messages"]]
    assert numbers == sorted(numbers, reverse=True), numbers
    await cast.close()
