"""How long things live: legal holds and the log of administrative acts, by
REST and by command (docs/life-of-data.md)."""

import asyncio
import json
import re
import secrets

from harness import tokens
from harness.cast import Cast
from harness.scene import OID, TIME, fill, unique
from harness.stack import Server
from harness.upload import Files, info


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
    stack = make_stack()
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


async def until(what, timeout=20):
    end = asyncio.get_running_loop().time() + timeout
    while True:
        got = await what()
        if got:
            return got
        assert asyncio.get_running_loop().time() < end, "never"
        await asyncio.sleep(0.05)


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
        return not any(marker.encode() in p.read_bytes()
                       for p in stack.blobs.rglob("*") if p.is_file())
    await until(collected)

    said = await acts(stack, actor="janitor", action="retention")
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
    await until(gone, 40)
    for c in casts:
        assert (await c.shown("ann"))["metadata"]["messageCount"] == 1
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
    said = await acts(stack, actor="janitor", action="retention")
    assert sum(a["details"]["archived"] for a in said) >= 1
    for c in (idle, never, fresh):
        await c.close()
