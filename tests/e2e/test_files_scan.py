"""Scanners that come and go, and that learn.

Without these a file could be shown that nobody has looked at, or one that is
known to be infected go on being served because it was sent before.
"""

import asyncio
import hashlib
from pathlib import Path

import pytest

from harness import upload
from harness.cast import Cast
from harness.net import until
from harness.parts import comm, descendants
from harness.upload import EICAR, Files, info

MARK = b"a new kind of worm, known since this afternoon"


def learn(folder):
    """A signature of MARK."""
    (folder / "new.ndb").write_text(f"New-Worm:0:*:{MARK.hex()}\n")


async def two_rooms(stack):
    """The same content in two rooms, by two people."""
    one = await Cast.group(stack, "ann", "bob")
    two = await Cast.group(stack, "cho", "dee")
    out = []
    for cast, who in (one, "ann"), (two, "cho"):
        await cast.open(*cast.ids)
        files = Files(cast)
        r = await files.upload(who, "letter.txt", b"dear, " + MARK,
                               description="for you alone")
        assert r.status == 201, r
        await cast.told("message_received")
        out.append((cast, files, r.data["message"]))
    return out


async def out_of_circulation(stack, rooms):
    for cast, files, m in rooms:
        told = await cast.told("message_updated")
        assert told["messageId"] == m["id"]
        assert told["editedBy"] is None
        file = info(told["message"])
        assert file["scanStatus"] == "infected"
        assert file["downloadUrl"] is None
        shown = await cast.get(list(cast.ids)[1], m["id"])
        assert shown["content"] == told["message"]["content"]
        assert shown["editedAt"] is None
        for who in cast.ids:
            (await files.download(who, file["fileId"])).refused(
                422, "infected")
        (await files.download("stranger", file["fileId"])).refused(
            404, "not_found")
    hash = hashlib.sha256(b"dear, " + MARK).hexdigest()
    assert hash not in {p.name for p in stack.blobs.rglob("*")}
    found = (await rooms[0][1].rest("boss", role="admin").aget(
        "/api/files", scanStatus="infected", limit=100)).data["files"]
    ids = {m["id"] for _, _, m in rooms}
    assert {f["id"] for f in found if f["fileHash"] == hash} >= ids
    assert all("New-Worm" in str(f["security"]["scanResult"])
               for f in found if f["id"] in ids)


@pytest.mark.parametrize("store", ["sqlite", "mongo"])
async def test_found_with_another_upload(make_files_stack, store):
    """Scanned by a clamd, which has learnt something."""
    stack = make_files_stack(f"{store}-local", clamd=True)
    rooms = await two_rooms(stack)
    learn(stack.clamd.signatures)
    await asyncio.to_thread(stack.clamd.kill)
    await asyncio.to_thread(stack.clamd.start)
    cast, files, _ = rooms[0]
    r = await files.upload("bob", "again.txt", b"dear, " + MARK)
    r.refused(422, "infected")
    await out_of_circulation(stack, rooms)

    # deleted: what it was told with then is not told again either
    cast, _, m = rooms[0]

    def logged():
        key, _ = stack.conversation_key(cast.room)
        with stack.redis_client() as redis:
            return sum("for you alone" in entry["p"] for _, entry in
                       redis.xrange(key.replace(":conv:", ":log:")))
    assert logged() == 2
    assert (await cast.delete("ann", m["id"])).status == 200
    assert logged() == 0


def picture(comment):
    """A JPEG with something in it that is not to be seen."""
    jpg, at = upload.sample("house.jpg"), 20        # behind the first segment
    return (jpg[:at] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big")
            + comment + jpg[at:])


@pytest.mark.parametrize("store", ["sqlite", "mongo"])
async def test_found_and_gone(make_files_stack, store):
    """What a late finding was told with leaves the log with the picture, and
    with who sent it, whatever has changed since."""
    stack = make_files_stack(f"{store}-local", clamd=True)
    rooms = []
    for names in ("ann", "bob"), ("cho", "dee"):
        cast = await Cast.group(stack, *names)
        r = await Files(cast).upload(names[0], "house.jpg", picture(MARK),
                                     description="for you alone")
        assert r.status == 201 and r.data["message"]["type"] == "image", r
        rooms.append((cast, *names, r.data["message"]["id"]))
    learn(stack.clamd.signatures)
    await asyncio.to_thread(stack.clamd.kill)
    await asyncio.to_thread(stack.clamd.start)
    r = await Files(cast).upload("dee", "again.jpg", picture(MARK))
    r.refused(422, "infected")

    def logged(room):
        key, _ = stack.conversation_key(room)
        with stack.redis_client() as redis:
            return sum("for you alone" in entry["p"] for _, entry in
                       redis.xrange(key.replace(":conv:", ":log:")))

    for cast, _, other, mid in rooms:
        m = await cast.get(other, mid)
        assert info(m)["scanStatus"] == "infected"
        assert (await cast.react(other, mid, "\U0001f44d")).status == 200
        assert logged(cast.room) == 2
    cast, who, _, mid = rooms[0]
    assert (await cast.delete(who, mid)).status == 200
    assert logged(cast.room) == 0

    cast, who, other, mid = rooms[1]
    r = await cast.rest("adm", role="admin").acall(
        "POST", f"/api/admin/users/{cast.ids[who]}/erase")
    assert r.status == 202, r

    async def gone():
        return (await cast.get(other, mid))["content"] == {}
    await until(gone, "the message without its content", 30)
    assert logged(cast.room) == 0


@pytest.mark.parametrize("store", ["sqlite", "mongo"])
async def test_found_and_not_yet_stored(make_files_stack, store):
    """Its bytes are gone, and the store calls it clean for a moment more: who
    asks then is told what it is, not that there is no such file."""
    stack = make_files_stack(f"{store}-local", clamd=True)
    cast = await Cast.group(stack, "ann", "bob")
    files = Files(cast)
    r = await files.upload("ann", "house.jpg", picture(MARK))
    assert r.status == 201, r
    id = info(r.data["message"])["fileId"]
    link = (await files.get("bob", f"/api/files/{id}/link", method="POST")
            ).data["url"]
    blobs = {p for p in stack.blobs.rglob(
        hashlib.sha256(picture(MARK)).hexdigest() + "*")}
    assert len(blobs) > 1                       # with its thumbnails
    learn(stack.clamd.signatures)
    await asyncio.to_thread(stack.clamd.kill)
    await asyncio.to_thread(stack.clamd.start)

    async def gone():
        return not any(p.exists() for p in blobs)

    go_on = upload.hold(stack.worker.role("projector"))
    try:
        again = asyncio.create_task(
            files.upload("bob", "again.jpg", picture(MARK)))
        await until(gone, "the bytes to go")
        asked = [asyncio.create_task(x) for x in (
            files.download("bob", id), files.download("ann", id),
            files.thumbnail("bob", id, "small"),
            stack.rest(None, 1, "main").acall("GET", link))]
        await asyncio.sleep(1)
    finally:
        go_on()
    for r in await asyncio.gather(*asked):
        r.refused(422, "infected")
    (await again).refused(422, "infected")


@pytest.mark.parametrize("store", ["sqlite", "mongo"])
async def test_found_by_looking_again(make_files_stack, store, tmp_path):
    """By libclamav with newer signatures, while nobody sends anything."""
    (tmp_path / "old.ndb").write_text(f"Old-Worm:0:*:{b'x1y2z3'.hex()}\n")
    stack = make_files_stack(f"{store}-local",
                             env={"CLAMAV_DB": str(tmp_path)})
    rooms = await two_rooms(stack)
    learn(tmp_path)
    # both look for news seldom; but when they begin
    stack.worker.kill_role("scanner")
    stack.worker.kill_role("files", 0)
    stack.worker.kill_role("files", 1)
    await out_of_circulation(stack, rooms)


async def test_the_scanner_is_confined(make_files_stack):
    """What takes files apart has no network and starts no programs."""
    stack = make_files_stack("sqlite-local")
    cast = await Cast.group(stack, "ann", "bob")
    files = Files(cast)
    r = await files.upload("ann", "house.jpg", upload.sample("house.jpg"))
    assert r.status == 201, r
    [scanner] = [p for p, _ in descendants(stack.worker.pid)
                 if comm(p) == "scanner"]
    said = dict(line.split(":\t", 1) for line in Path(
        "/proc", str(scanner), "status").read_text().splitlines()
        if ":\t" in line)
    assert said["NoNewPrivs"] == "1" and said["Seccomp"] == "2", said


async def test_what_a_killed_scanner_unpacked_is_removed(make_files_stack):
    """Parts of other people's files do not gather on the disk."""
    stack = make_files_stack("sqlite-local")
    cast = await Cast.group(stack, "ann", "bob")
    files = Files(cast)

    async def upload_one():
        r = await files.upload("ann", "a.docx",
                               upload.sample("letter.docx"))
        assert r.status == 201, r

    def scratch():
        return sorted(stack.spool.glob(".scratch-*"))

    await upload_one()
    [old] = scratch()
    assert list(old.iterdir()) == []
    (old / "unpacked").mkdir()
    (old / "unpacked" / "letter.txt").write_bytes(b"dear bob")
    stack.worker.kill_role("scanner")
    await upload_one()
    [new] = scratch()
    assert new != old and list(new.iterdir()) == []
    await asyncio.to_thread(stack.worker.stop)
    assert scratch() == []


@pytest.mark.parametrize("clamd", [True, False], ids=["clamd", "libclamav"])
async def test_scanner_is_away(make_files_stack, clamd):
    """Files wait, chat does not; nothing is lost."""
    stack = make_files_stack("sqlite-local", clamd=clamd)
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    files, hasty = Files(cast), Files(cast, "hasty")
    assert (await files.upload("ann", "a.txt", b"one")).status == 201
    await cast.told("message_received", "ann", "bob")
    if clamd:
        await asyncio.to_thread(stack.clamd.kill)
    else:
        upload.hold(stack.worker.role("scanner"))
    waiting = []
    for i, data in enumerate((b"two", b"three", EICAR)):
        r = await hasty.upload("ann", f"{i}.txt", data)
        assert r.status == 202, r
        waiting.append(r.json["data"]["upload"]["id"])
        await cast.say("bob", f"chat {i}")
        await cast.told("message_received", "ann", "bob")
    for id in waiting:
        u = (await files.progress("ann", id)).data["upload"]
        assert u["status"] == "processing", u
        (await files.download("ann", id)).refused(425, "scan_pending")
        (await files.download("bob", id)).refused(404, "not_found")
    await cast.ws["bob"].quiet(0.2)
    if clamd:
        await asyncio.to_thread(stack.clamd.start)
    else:
        stack.worker.kill_role("scanner")
    got = {}
    for _ in range(2):
        m = (await cast.told("message_received", "ann", "bob"))["message"]
        got[info(m)["fileId"]] = info(m)["fileName"]
    assert got == {waiting[0]: "0.txt", waiting[1]: "1.txt"}
    await cast.ws["ann"].wait(
        "upload_progress", where=lambda e: e["data"]["stage"] == "failed"
        and e["data"]["uploadId"] == waiting[2])
    (await files.download("ann", waiting[2])).refused(422, "infected")


async def test_scanning_is_off(make_files_stack):
    """The operator's choice, and it says so."""
    stack = make_files_stack("sqlite-local", env={"CLAMAV": "off"})
    cast = await Cast.group(stack, "ann", "bob")
    files = Files(cast)
    r = await files.upload("ann", "a.txt", EICAR)
    assert r.status == 201, r
    about = (await files.about("bob", info(r.data["message"])["fileId"])
             ).data["file"]
    assert about["security"]["scanResult"] == {"engine": "off",
                                               "skipped": True}
