"""How long things live: legal holds and the log of administrative acts, by
REST and by command (docs/life-of-data.md)."""

import asyncio
import json
import re

from harness import tokens
from harness.cast import Cast
from harness.scene import OID, TIME, unique


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
