"""Devices, quiet hours and mutes by REST; whom they belong to."""

import re

from harness import tokens
from harness.cast import Cast
from harness.scene import OID, TIME, unique


def rest(stack, user, nginx=0):
    return stack.rest(tokens.token(user), nginx, "bulk")


async def register(stack, user, token, platform="android", **more):
    r = await rest(stack, user).acall("POST", "/api/devices", {
        "platform": platform, "token": token, **more})
    assert r.status == 200, r
    return r.data["devices"]


async def test_devices(stack):
    ann, bob = unique("ann"), unique("bob")
    phone, tablet = unique("t1"), "x" * 4000 + unique("t2")

    (d,) = await register(stack, ann, phone, locale="en-GB")
    assert re.match(OID, d["id"]) and re.match(TIME, d["registeredAt"])
    assert d == {"id": d["id"], "platform": "android", "locale": "en-GB",
                 "registeredAt": d["registeredAt"]}
    both = await register(stack, ann, tablet, "ios")
    assert [x["platform"] for x in both] == ["ios", "android"]
    assert both[1] == d

    # by the other nginx, at once, and without what only the service may know
    r = await rest(stack, ann, 1).aget("/api/devices")
    assert r.data == {"devices": both} and phone not in str(r.data)

    # again: the same one, newest now, with what it says now
    again = await register(stack, ann, phone)
    assert [x["id"] for x in again] == [d["id"], both[0]["id"]]
    assert again[0]["locale"] is None

    # he signs out, somebody else signs in on the same phone
    (his,) = await register(stack, bob, phone)
    assert his["id"] == d["id"]
    r = await rest(stack, ann).aget("/api/devices")
    assert [x["id"] for x in r.data["devices"]] == [both[0]["id"]]
    r = await rest(stack, ann).acall("DELETE", "/api/devices",
                                     {"token": phone})
    assert r.status == 200 and len(r.data["devices"]) == 1
    r = await rest(stack, bob).aget("/api/devices")
    assert [x["id"] for x in r.data["devices"]] == [d["id"]]

    r = await rest(stack, bob).acall("DELETE", "/api/devices", {
        "platform": "android", "token": phone})
    assert r.data["devices"] == []
    # it is so already
    r = await rest(stack, bob).acall("DELETE", "/api/devices",
                                     {"token": phone})
    assert r.status == 200 and r.data["devices"] == []


async def test_settings(stack):
    cast = await Cast.group(stack, "ann", "bob")
    ann = cast.rest("ann")
    r = await ann.aget("/api/push/settings")
    assert r.data == {"settings": {"quietHours": None, "mutes": []}}

    quiet = {"start": "22:00", "end": "06:00", "timezone": "Asia/Jakarta"}
    r = await ann.acall("PUT", "/api/push/settings",
                        {"quietHours": {**quiet, "more": 1}})
    assert r.data["settings"]["quietHours"] == quiet
    r = await cast.do("ann", "PUT", "/mute", {"muted": True})
    assert r.data["settings"] == {"quietHours": quiet, "mutes": [
        {"conversationId": cast.room, "until": None}]}
    r = await cast.do("ann", "PUT", "/mute", {
        "muted": True, "until": "2030-01-01T07:00:00+07:00"}, nginx=1)
    assert r.data["settings"]["mutes"] == [
        {"conversationId": cast.room, "until": "2030-01-01T00:00:00.000Z"}]
    r = await cast.rest("bob").aget("/api/push/settings")
    assert r.data["settings"]["mutes"] == []

    r = await cast.do("ann", "PUT", "/mute", {"muted": False})
    assert r.data["settings"]["mutes"] == []
    r = await ann.acall("PUT", "/api/push/settings", {"quietHours": None})
    assert r.data == {"settings": {"quietHours": None, "mutes": []}}
    error = (await ann.acall("PUT", "/api/push/settings", {})).refused(
        400, "invalid_request")
    assert error["field"] == "quietHours"
    (await rest(stack, unique("eve")).acall(
        "PUT", f"/api/conversations/{cast.room}/mute",
        {"muted": True})).refused(404, "not_found")


async def test_muted_until_a_time_that_has_passed(stack):
    """Refused, and what was before stays; to unmute it does not matter."""
    cast = await Cast.group(stack, "ann", "bob")
    later, past = "2130-01-01T00:00:00.000Z", "2024-01-01T00:00:00Z"

    async def mute(muted, until):
        return await cast.do("ann", "PUT", "/mute",
                             {"muted": muted, "until": until})

    assert (await mute(True, later)).status == 200
    for until in past, "1970-01-01T00:00:00Z", "2024-06-01T00:00:00+07:00":
        r = await mute(True, until)
        assert r.refused(400, "invalid_request")["field"] == "until"
        assert "in the future" in r.json["message"]
    doc = await cast.shown("ann")
    assert (doc["muted"], doc["mutedUntil"]) == (True, later)
    assert (await mute(False, past)).data["settings"]["mutes"] == []


async def test_muted_as_its_reader_sees_it(stack):
    """In the list and alone, by both nodes; nobody else's mute is shown."""
    cast = await Cast.group(stack, "ann", "bob", "eve")
    other = await Cast.direct(stack)

    async def seen(name):
        docs = [await cast.listed(name, 0), await cast.shown(name, 1),
                (await cast.do("ann", "PATCH", "", {"title": unique("t")}))
                .data["conversation"] if name == "ann" else None]
        (only,) = {(d["muted"], d["mutedUntil"]) for d in docs if d}
        return only

    assert await seen("ann") == (False, None)
    await cast.do("ann", "PUT", "/mute", {"muted": True}, nginx=1)
    assert await seen("ann") == (True, None)
    assert await seen("bob") == (False, None)

    # one muted among others that are not
    rows = (await other.rest("ann").aget("/api/conversations")).data
    assert [c["muted"] for c in rows["conversations"]] == [False]

    later = "2130-01-01T00:00:00.000Z"
    await cast.do("ann", "PUT", "/mute", {"muted": True, "until": later})
    assert await seen("ann") == (True, later)
    await cast.mute_a_moment("ann")
    assert await seen("ann") == (False, None)
    await cast.do("ann", "PUT", "/mute", {"muted": True, "until": None})
    assert await seen("ann") == (True, None)
    await cast.do("ann", "PUT", "/mute", {"muted": False})
    assert await seen("ann") == (False, None)

    # who runs the place is not in it: there is nothing to mute
    doc = await cast.shown("root", role="admin")
    assert "muted" not in doc and "unreadCount" not in doc
