"""How long things live: legal holds and the log of administrative acts, by
REST and by command (docs/life-of-data.md)."""

import asyncio
import json
import re
import secrets

from harness import tokens, upload
from harness.cast import Cast
from harness.net import until
from harness.scene import OID, TIME, fill, unique
from harness.stack import Server
from harness.upload import Files, info
from harness.ws import Ws


def admin(stack, name, nginx=0, server="bulk"):
    return stack.rest(tokens.token(name, role="admin"), nginx, server)


async def hold(stack, by, type, id, reason="case 12"):
    r = await admin(stack, by).acall("POST", "/api/admin/holds", {
        "type": type, "id": id, "reason": reason})
    assert r.status == 201, r
    return r.data["hold"]


async def command(stack, *args):
    """The program beside the pool; its lines of JSON."""
    status, out = await asyncio.to_thread(stack.worker.run_once, *args)
    assert status == 0, out
    return [json.loads(line) for line in out.splitlines()
            if line.startswith("{")]


async def acts(stack, server="bulk", **query):
    """What the log says."""
    r = await stack.rest(tokens.token(unique("adm"), role="admin"),
                         server=server).aget("/api/admin/audit", **query)
    return r.data["audit"]


async def test_holds(stack):
    adm = unique("adm")
    cast = await Cast.group(stack, "ann", "bob")
    h = await hold(stack, adm, "conversation", cast.room)
    assert re.match(OID, h["id"]) and re.match(TIME, h["createdAt"])
    assert h == {"id": h["id"], "type": "conversation",
                 "targetId": cast.room, "reason": "case 12",
                 "createdBy": adm, "createdAt": h["createdAt"],
                 "releasedBy": None, "releasedAt": None}
    u = await hold(stack, adm, "user", cast.ids["bob"], "Ünïcode — §12")

    r = await admin(stack, adm, 1).aget("/api/admin/holds", id=cast.room)
    assert r.data == {"holds": [h], "pagination": {
        "page": 1, "limit": 50, "total": 1, "totalPages": 1}}
    r = await admin(stack, adm).aget("/api/admin/holds", type="user",
                                     id=cast.ids["bob"], active="true")
    assert r.data["holds"] == [u]

    path = "/api/admin/holds/" + h["id"]
    r = await admin(stack, adm).acall("DELETE", path)
    done = r.data["hold"]
    assert done["releasedBy"] == adm and re.match(TIME, done["releasedAt"])
    assert {**done, "releasedBy": None, "releasedAt": None} == h
    # again, by another one: it stays as it is, and is no new act
    r = await admin(stack, unique("adm")).acall("DELETE", path)
    assert r.data["hold"] == done
    r = await admin(stack, adm).aget("/api/admin/holds", id=cast.room,
                                     active="true")
    assert r.data["holds"] == []
    (await admin(stack, adm).acall(
        "DELETE", "/api/admin/holds/" + "f" * 24)).refused(404, "not_found")
    (await admin(stack, adm).acall("POST", "/api/admin/holds", {
        "type": "conversation", "id": "f" * 24, "reason": "x"})).refused(
        404, "not_found")

    said = await acts(stack, target=cast.room)
    assert [(a["action"], a["actor"], a["from"], a["details"])
            for a in said] == [
        ("hold_released", {"userId": adm, "role": "admin"}, "127.0.0.1",
         {"holdId": h["id"]}),
        ("hold_created", {"userId": adm, "role": "admin"}, "127.0.0.1",
         {"holdId": h["id"], "reason": "case 12"})]
    assert said[0]["target"] == {"type": "conversation", "id": cast.room}
    assert len(await acts(stack, actor=adm)) == 3
    assert [a["target"]["id"] for a in await acts(
        stack, actor=adm, action="hold_created")] == [cast.ids["bob"],
                                                      cast.room]
    assert await acts(stack, actor=adm, before=said[1]["at"]) == []
    for wrong in ({"before": "x"}, {"page": "0"}, {"limit": "201"},
                  {"actor": "a b"}):
        r = await admin(stack, adm).aget("/api/admin/audit", **wrong)
        assert r.refused(400, "invalid_request")["field"] in wrong


async def test_commands(stack):
    cast = await Cast.group(stack, "ann", "bob")
    await asyncio.to_thread(stack.wait_applied)
    (h,) = await command(stack, "--hold", "conversation", cast.room,
                         "case 12")
    assert h["createdBy"] == "operator" and h["releasedAt"] is None
    assert h in await command(stack, "--holds")
    (done,) = await command(stack, "--release-hold", h["id"])
    assert {**done, "releasedBy": None, "releasedAt": None} == h
    assert h["id"] not in [x["id"] for x in await command(stack, "--holds")]

    said = await acts(stack, target=cast.room)
    assert [a["action"] for a in said] == ["hold_released", "hold_created"]
    assert all(a["actor"] == {"userId": "operator", "role": "operator"}
               and a["from"].startswith("command ") for a in said)
    listed = await command(stack, "--audit", "200")
    assert [a for a in listed if a["target"]["id"] == cast.room] == said
    assert len(await command(stack, "--audit", "1")) == 1

    for args, why in (
            (("--hold", "room", cast.room, "x"), "conversation or a user"),
            (("--hold", "user", "a b", "x"), "an id is"),
            (("--hold", "user", cast.room, " "), "a reason is"),
            (("--hold", "conversation", "f" * 24, "x"), "no such conv"),
            (("--release-hold", "f" * 24), "no such hold"),
            (("--audit", "none"), "how many acts"),
            (("--hold", "user"), "usage:")):
        status, out = await asyncio.to_thread(stack.worker.run_once, *args)
        assert status == 78 and why in out, (args, out)


async def test_a_hold_outlives_its_pool(make_stack):
    """Queued while no pool runs, it is there, once, when one does."""
    stack = make_stack(waits="")
    user = unique("ann")
    assert stack.worker.stop() is None
    adm = admin(stack, unique("adm"), server="main")
    r = await adm.acall("POST", "/api/admin/holds", {
        "type": "user", "id": user, "reason": "case 12"})
    r.refused(503, "unavailable")
    status, out = await asyncio.to_thread(
        stack.worker.run_once, "--hold", "user", user, "case 12")
    assert status == 1 and "it is queued" in out
    stack.worker.start()
    stack.wait_health("ok")
    await asyncio.to_thread(stack.wait_applied)
    holds = (await adm.aget("/api/admin/holds", id=user)).data["holds"]
    assert [h["createdBy"] for h in holds] == ["operator"]
    assert len(await acts(stack, "main", target=user)) == 1


# ---- retention ----------------------------------------------------------

def age(stack, room, days, ids):
    """Past the servers: messages were made so long ago."""
    with stack.open_store() as db:
        db.age(room, days, ids)


def quick(make_stack, **options):
    env = {"RETENTION_S": "1", "CLAMAV": "off", "BLOB_GRACE_S": "1"}
    return make_stack(files="local", nginx=2, env=env, **options,
                      servers={"bulk": Server(
                          "writeen_rate 100000 burst=100000 user=100000;")})


async def ids(cast, name="ann"):
    r = await cast.do(name, "GET", "/messages?limit=200")
    return [m["id"] for m in r.data["messages"]]


async def test_retention(make_stack):
    """Old messages go while people chat: from history, search, log and
    storage; they are told; held ones stay; the log of acts says how many."""
    stack = quick(make_stack)
    marker = "x" + secrets.token_hex(8)
    cast = await Cast.group(stack, "ann", "bob",
                            settings={"retention": 30})
    held = await Cast.group(stack, "ann", "bob", settings={"retention": 30})
    other = await Cast.group(stack, "ann", "bob",
                             settings={"retention": 365})
    adm = unique("adm")
    await hold(stack, adm, "conversation", held.room)

    old = {}
    for c in (cast, held, other):
        await c.open("ann", "bob")
        old[c] = [(await c.say("ann", f"{marker} {i}"))["messageId"]
                  for i in range(20)]
        await c.edit("ann", old[c][0], f"{marker} new")
    files = Files(cast, "bulk")
    r = await files.upload("ann", "notes.txt", marker.encode() * 9)
    file = r.data["message"]
    old[cast].append(file["id"])
    young = (await cast.say("bob", "young"))["messageId"]
    await asyncio.to_thread(stack.wait_applied)
    for c in (cast, held, other):
        await asyncio.to_thread(age, stack, c.room, 31, old[c])

    async def gone():
        await cast.say("bob", "chat goes on")
        return not set(old[cast]) & set(await ids(cast))
    await until(gone)

    told = []
    while len(told) < len(old[cast]):
        e = await cast.ws["bob"].wait("messages_removed")
        assert e["data"]["conversationId"] == cast.room
        assert e["data"]["reason"] == "expired"
        told += e["data"]["messageIds"]
    assert set(told) == set(old[cast])

    left = await ids(cast)
    assert young in left
    for c in (held, other):
        assert set(old[c]) <= set(await ids(c))
    assert marker not in await cast.log()
    for c, n in ((cast, 0), (held, 20), (other, 20)):
        r = await c.rest("bob").aget("/api/search", q=marker, limit=100)
        assert len(r.data["results"]) == n
    about = await files.about("ann", info(file)["fileId"])
    about.refused(404, "not_found")

    async def collected():
        return not any(holds(p, marker.encode())
                       for p in stack.blobs.rglob("*"))
    await until(collected)

    # it is written down when all rooms have been looked at
    async def counted():
        said = await acts(stack, actor="janitor", action="retention")
        return sum(a["details"]["messages"] for a in said) >= len(
            old[cast]) and said
    said = await until(counted)
    assert sum(a["details"]["messages"] for a in said) == len(old[cast])
    assert said[0]["actor"]["role"] == "system"

    # from now on, the held ones, too
    (h,) = (await admin(stack, adm).aget("/api/admin/holds",
                                         active="true")).data["holds"]
    r = await admin(stack, adm).acall("DELETE", "/api/admin/holds/"
                                      + h["id"])
    assert r.status == 200

    async def released():
        return not set(old[held]) & set(await ids(held))
    await until(released)
    assert set(old[other]) <= set(await ids(other))
    shown = await held.shown("ann")
    assert shown["lastMessage"] is None
    for c in (cast, held, other):
        await c.close()


async def test_what_is_queued_counts(make_stack):
    """A file whose record waits for the store is nobody's orphan."""
    stack = quick(make_stack)
    cast = await Cast.group(stack, "ann", "bob")
    files = Files(cast, "bulk")
    await asyncio.to_thread(stack.wait_applied)
    go_on = upload.hold(stack.worker.role("projector"))
    try:
        sent = asyncio.create_task(
            files.upload("ann", "notes.txt", b"some notes"))
        # it comes of age, and more than once it is looked for what may go
        await asyncio.sleep(5)
        assert len([p for p in stack.blobs.rglob("*") if p.is_file()]) == 1
    finally:
        go_on()
    id = info((await sent).data["message"])["fileId"]
    assert (await files.download("bob", id)).raw == b"some notes"


async def test_killed_in_the_middle(make_stack):
    """The janitor and the projector die again and again: in the end what is
    old is gone, all of it, and nothing else."""
    stack = quick(make_stack)
    casts = [await Cast.group(stack, "ann", "bob", settings={
        "retention": 1}) for _ in range(4)]
    keep = {}
    for c in casts:
        await c.open("ann")
        await fill(c.ws["ann"], c.room, 450)
        keep[c] = [(await c.say("ann", "young"))["messageId"]]
        await asyncio.to_thread(stack.wait_applied)
        everything = [m["id"] for m in await asyncio.to_thread(
            c.rest("ann").history, c.room)]
        await asyncio.to_thread(age, stack, c.room, 2,
                                [i for i in everything if i not in keep[c]])
    for i in range(6):
        await asyncio.sleep(0.15)       # in the middle of whatever it is
        await asyncio.to_thread(stack.worker.kill_role,
                                "janitor" if i % 2 else "projector")

    async def gone():
        return all([await ids(c) == keep[c] for c in casts])
    await until(gone, timeout=40)

    async def counted():            # MongoDB does one after the other
        return all([(await c.shown("ann"))["metadata"]["messageCount"] == 1
                    for c in casts])
    await until(counted)
    for c in casts:
        await c.close()


async def test_idle_rooms_are_archived(make_stack):
    stack = quick(make_stack)
    idle = await Cast.group(stack, "ann", "bob",
                            settings={"autoArchive": True})
    never = await Cast.group(stack, "ann", "bob")
    fresh = await Cast.group(stack, "ann", "bob",
                             settings={"autoArchive": True})
    for c in (idle, never, fresh):
        await c.open("ann", "bob")
        await c.say("ann", "hello")
    await asyncio.to_thread(stack.wait_applied)
    for c in (idle, never):
        with stack.open_store() as db:
            db.idle(c.room, 31)
    data = await idle.told("conversation_updated", "ann", "bob")
    assert data["conversation"]["isArchived"] is True
    assert data["updatedBy"] is None and data["reason"] == "idle"
    assert (await idle.shown("ann"))["isArchived"] is True
    r = await idle.do("ann", "POST", "/messages", {"content": {"text": "x"}})
    r.refused(409, "conversation_archived")
    for c in (never, fresh):
        assert (await c.shown("ann"))["isArchived"] is False
    # opened again by somebody, it is used from then on
    assert (await idle.do("ann", "POST", "/unarchive")).status == 200
    assert (await idle.do("ann", "POST", "/messages", {
        "content": {"text": "x"}})).status == 201

    async def counted():
        said = await acts(stack, actor="janitor", action="retention")
        return sum(a["details"]["archived"] for a in said) >= 1
    await until(counted)
    for c in (idle, never, fresh):
        await c.close()


# ---- erasure, export ----------------------------------------------------

def holds(path, needle):
    try:
        return path.is_file() and needle in path.read_bytes()
    except FileNotFoundError:
        return False                    # it went just then


def everywhere(stack, marker):
    """Where the marker is, past the servers: files of the store or its
    collections, Redis, spool, storage."""
    found = []
    needle = marker.encode()
    for name in ("spool", "files"):
        found += [str(p) for p in (stack.dir / name).rglob("*")
                  if holds(p, needle)]
    if stack.store == "sqlite":
        found += [p.name for p in stack.dir.glob("writeen.db*")
                  if holds(p, needle)]
    else:
        with stack.mongod.client() as c:
            db = c[stack.database]
            found += [name for name in db.list_collection_names()
                      if any(marker in repr(doc) for doc in db[name].find())]
    for i in range(len(stack.redis)):
        with stack.redis_client(i) as c:
            for key in c.scan_iter(count=1000):
                kind = c.type(key)
                kind = kind.decode() if isinstance(kind, bytes) else kind
                read = {"stream": lambda: c.xrange(key),
                        "hash": lambda: c.hgetall(key),
                        "set": lambda: c.smembers(key),
                        "zset": lambda: c.zrange(key, 0, -1),
                        "string": lambda: c.get(key),
                        "none": lambda: None}[kind]     # gone meanwhile
                if marker in repr(read()) + repr(key):
                    found.append(repr(key))
    return found


async def live_a_life(stack, marker):
    """ann says and sends all kinds of things with the marker in them."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("bob")
    cast.ws["ann"] = await Ws.hello(stack.ws(0, "bulk"), cast.ids["ann"],
                                    username="Ann " + marker)
    mids = [(await cast.say("ann", f"{marker} {i}"))["messageId"]
            for i in range(120)]
    await cast.edit("ann", mids[0], f"{marker} edited")
    await cast.delete("ann", mids[1])
    theirs = (await cast.say("bob", "hello"))["messageId"]
    await cast.react("ann", theirs, "❤")
    await cast.react("bob", mids[2], "❤")
    r = await cast.do("ann", "POST", "/read", {"messageId": theirs})
    assert r.status == 200
    r = await Files(cast, "bulk").upload("ann", marker + ".txt",
                                         marker.encode() * 99)
    assert r.status == 201, r
    r = await cast.rest("ann").acall("POST", "/api/devices", {
        "platform": "android", "token": marker * 3})
    assert r.status in (200, 201), r
    return cast, mids, theirs


async def test_erasure(make_stack):
    stack = quick(make_stack)
    marker = "q" + secrets.token_hex(8)
    cast, mids, theirs = await live_a_life(stack, marker)
    user = cast.ids["ann"]
    adm = unique("adm")
    await asyncio.to_thread(stack.wait_applied)
    assert await asyncio.to_thread(everywhere, stack, marker)

    # while he is held, or somebody he shares a room with, nothing of it
    for held in (user, cast.ids["bob"]):
        h = await hold(stack, adm, "user", held)
        r = await admin(stack, adm).acall(
            "POST", f"/api/admin/users/{user}/erase")
        r.refused(409, "conflict")
        r = await admin(stack, adm).acall("DELETE", "/api/admin/holds/"
                                          + h["id"])
        assert r.status == 200

    r = await admin(stack, adm).acall("POST",
                                      f"/api/admin/users/{user}/erase")
    assert r.status == 202, r
    assert r.json["data"]["erasure"]["userId"] == user
    # its parts may die meanwhile
    for role in ("janitor", "projector", "janitor"):
        await asyncio.sleep(0.1)
        await asyncio.to_thread(stack.worker.kill_role, role)

    async def done():
        said = await acts(stack, target=user, action="user_erased")
        return said
    (act,) = await until(done, timeout=40)
    assert act["details"]["requestedBy"] == adm
    assert marker not in repr(act)
    assert (await cast.ws["ann"].wait_closed())[0] == 4403

    async def clean():
        return not await asyncio.to_thread(everywhere, stack, marker)
    await until(clean, timeout=30)

    # the others still have their room; who he was is not to be seen
    left = await asyncio.to_thread(cast.rest("bob").history, cast.room)
    by = {m["id"]: m for m in left}
    assert by[theirs]["content"] == {"text": "hello"}
    assert by[theirs]["reactions"] == []
    alias = by[mids[0]]["senderId"]
    assert re.match(r"^erased-[0-9a-f]{24}$", alias)
    for mid in mids:
        assert by[mid]["content"] == {} and by[mid]["senderId"] == alias
        assert by[mid]["deletedAt"]
    assert user not in repr(left) + repr(await cast.shown("bob"))
    assert [m["seq"] for m in left] == sorted(m["seq"] for m in left)
    await cast.say("bob", "who was that?")
    r = await cast.rest("bob").aget("/api/search", q=marker)
    assert r.data["results"] == []
    told = []
    while len(told) < len(mids):
        e = await cast.ws["bob"].wait("messages_removed")
        assert e["data"]["reason"] == "erased"
        told += e["data"]["messageIds"]
    assert set(mids) <= set(told)
    await cast.close()


async def test_export_and_erase_by_command(stack):
    marker = "q" + secrets.token_hex(8)
    cast, mids, theirs = await live_a_life(stack, marker)
    user = cast.ids["ann"]
    await asyncio.to_thread(stack.wait_applied)

    records = await command(stack, "--export-user", user)
    kinds = [r["record"] for r in records]
    assert kinds[0] == "profile" and records[0]["id"] == user
    mine = [r for r in records if r["record"] == "message"
            and r["type"] != "system"]
    assert {r["id"] for r in mine} >= set(mids)
    assert all(r["senderId"] == user for r in mine)
    (edited,) = [r for r in mine if r["id"] == mids[0]]
    assert edited["content"] == {"text": f"{marker} edited"}
    assert [e["previousContent"] for e in edited["editHistory"]] == [
        f"{marker} 0"]
    (reaction,) = [r for r in records if r["record"] == "reaction"]
    assert reaction["messageId"] == theirs
    (file,) = [r for r in records if r["record"] == "file"]
    assert file["originalFileName"] == marker + ".txt"
    (push,) = [r for r in records if r["record"] == "push"]
    assert push["devices"][0]["token"] == marker * 3
    assert "hello" not in repr(records)

    # by REST the same, in pieces
    adm, got, query = unique("adm"), [], {}
    while query is not None:
        r = await admin(stack, adm).aget(
            f"/api/admin/users/{user}/export", **query)
        got += r.data["records"]
        query = r.data["next"]
    assert got == records
    for who in ("service", "tutor", "student"):
        rest = stack.rest(tokens.token(user, role=who))
        (await rest.aget(f"/api/admin/users/{user}/export")).refused(
            403, "forbidden")
        (await rest.acall("POST", f"/api/admin/users/{user}/erase")).refused(
            403, "forbidden")

    status, out = await asyncio.to_thread(
        stack.worker.run_once, "--erase-user", user, timeout=50)
    assert status == 0 and out.endswith("erased\n"), out

    async def all_four():
        said = [a["action"] for a in await acts(stack, target=user)]
        return len(said) >= 4 and said
    said = await until(all_four)
    assert said == ["user_erased", "erasure_requested", "user_exported",
                    "user_exported"]
    assert await command(stack, "--export-user", user) == []
    await cast.close()
