"""GET /api/users/:id/presence, PUT /api/presence, PUT /api/users/:id, and
isOnline of conversations.

Without these somebody could learn where a stranger is, a device of a node that
died would be shown for ever, who wants to look offline would be given away by
the time he was last seen, and a token could undo the name a service set.
"""

import asyncio
import json
import re

from harness import tokens
from harness.net import until
from harness.scene import TIME, join, send, unique, uniques
from harness.ws import Ws


def rest_of(stack, user, nginx=0, **claims):
    return stack.rest(tokens.token(user, **claims), nginx)


async def presence(stack, asker, of, nginx=0, **claims):
    return await rest_of(stack, asker, nginx, **claims).aget(
        f"/api/users/{of}/presence")


async def choose(stack, user, status):
    return await rest_of(stack, user).acall(
        "PUT", "/api/presence", {"status": status})


async def online(stack, asker, of):
    async def says():
        return (await presence(stack, asker, of)).data["status"] == "online"
    await until(says, timeout=5)


def device(platform, version):
    return f"?platform={platform}&version={version}"


# ---- who is told what ---------------------------------------------------

async def test_only_what_is_shared(stack):
    """Two devices, in a room that is shared and in one that is not."""
    ann, bob, cho, eve = uniques("ann", "bob", "cho", "eve")
    room, hers = stack.make_room(ann, bob), stack.make_room(ann, cho)
    phone = await Ws.hello(stack.ws(0) + device("android", "2.1"), ann,
                           how="header")
    web = await Ws.hello(stack.ws(1) + device("web", "3"), ann, how="header")
    await join(phone, room)
    await join(web, hers)

    async def type(ws, where):
        """It ends by itself, however long it takes to look."""
        while True:
            ws.send("typing", {"conversationId": where, "isTyping": True})
            await asyncio.sleep(1.5)

    async def known(where):
        d = (await presence(stack, ann, ann)).data
        return d["typingIn"] == where and len(d["currentConversations"]) == 2

    # of whichever device Redis tells first: the one that types counts
    typing = asyncio.create_task(type(phone, room))
    await until(lambda: known(room), timeout=5)
    assert (await presence(stack, ann, ann)).data["deviceInfo"][
        "platform"] == "android"
    typing.cancel()
    phone.send("typing", {"conversationId": room, "isTyping": False})
    await until(lambda: known(None), timeout=5)
    typing = asyncio.create_task(type(web, hers))
    await until(lambda: known(hers), timeout=5)
    mine = (await presence(stack, ann, ann)).data
    assert set(mine) == {"userId", "status", "lastSeen", "typingIn",
                         "currentConversations", "deviceInfo"}
    assert mine["userId"] == ann and mine["status"] == "online"
    assert re.match(TIME, mine["lastSeen"])
    assert sorted(mine["currentConversations"]) == sorted([room, hers])
    assert mine["deviceInfo"]["platform"] == "web"      # where she types
    assert mine["deviceInfo"]["version"] == "3"
    assert re.match("^[0-9a-f]{24}$", mine["deviceInfo"]["socketId"])
    for role in ("service", "admin"):
        d = (await presence(stack, unique(role), ann, role=role)).data
        assert d["deviceInfo"] == mine["deviceInfo"]
        assert sorted(d["currentConversations"]) == sorted([room, hers])
    for who, where, types in ((bob, room, None), (cho, hers, hers)):
        d = (await presence(stack, who, ann, 1)).data
        assert d["status"] == "online" and d["deviceInfo"] is None
        assert d["currentConversations"] == [where]
        assert d["typingIn"] == types
    typing.cancel()
    never = await presence(stack, eve, unique("never"))
    for who, role in ((eve, "student"), (eve, "tutor")):
        r = await presence(stack, who, ann, role=role)
        r.refused(404, "not_found")
        assert r.raw == never.raw
    for ws in (phone, web):
        await ws.close()


async def test_sharing_begins_and_ends(stack):
    """With the room, at once; also when Redis has forgotten the lists."""
    ann, bob = uniques("ann", "bob")
    (await presence(stack, bob, ann)).refused(404, "not_found")
    room = stack.make_room(ann, bob)
    assert (await presence(stack, bob, ann)).data == {
        "userId": ann, "status": "offline", "lastSeen": None,
        "currentConversations": [], "typingIn": None, "deviceInfo": None}
    await asyncio.to_thread(stack.wait_applied)
    keys = [f"wrt:u:{u}:convs" for u in (ann, bob)]
    with stack.redis_client() as c:
        c.delete(*keys)
    assert (await presence(stack, bob, ann)).data["status"] == "offline"
    (await presence(stack, unique("eve"), ann)).refused(404, "not_found")
    with stack.redis_client() as c:
        # asking leaves nothing behind
        assert c.exists(*keys) == 0
    r = await rest_of(stack, bob).acall(
        "DELETE", f"/api/conversations/{room}/participants/{bob}")
    assert r.status == 200, r
    (await presence(stack, bob, ann)).refused(404, "not_found")
    (await presence(stack, ann, bob)).refused(404, "not_found")
    # staff: who is in a room is known, who never was in anything is not
    svc = {"role": "service"}
    assert (await presence(stack, "svc", ann, **svc)).data[
        "status"] == "offline"
    (await presence(stack, "svc", unique("never"), **svc)).refused(
        404, "not_found")
    # oneself always
    nobody = unique("nobody")
    assert (await presence(stack, nobody, nobody)).data[
        "status"] == "offline"


async def test_devices_of_a_dead_node(stack):
    """What a node had that died is not shown, and is gone when another one
    renews."""
    ann, bob = uniques("ann", "bob")
    room, gone = stack.make_room(ann, bob), stack.make_room(ann, bob)
    key = f"wrt:u:{ann}:presence"
    record = json.dumps({"platform": "ios", "version": "1",
                         "conversationId": gone, "typingIn": gone})
    a = await Ws.hello(stack.ws(), ann)
    await join(a, room)

    async def shown():
        return (await presence(stack, bob, ann)).data[
            "currentConversations"] == [room]
    await until(shown, timeout=5)
    with stack.redis_client() as c:
        c.hset(key, "d:dead", "0123 " + record)
        c.hset(key, "d:lapsed", "4567 " + record)
        c.zadd(f"wrt:u:{ann}:conns", {"4567": 1})
        for who in (ann, bob):
            d = (await presence(stack, who, ann)).data
            assert d["currentConversations"] == [room], d
            assert d["typingIn"] is None
        assert (await presence(stack, ann, ann)).data["deviceInfo"][
            "platform"] is None
        # a node that lives looks after it
        b = await Ws.hello(stack.ws(1), ann)

        async def pruned():
            return not c.hexists(key, "d:lapsed")
        await until(pruned, timeout=5)
        assert c.zscore(f"wrt:u:{ann}:conns", "4567") is None
    for ws in (a, b):
        await ws.close()


# ---- how one wants to be seen -------------------------------------------

async def test_choosing(stack):
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    # who is not here has nothing to choose
    r = await choose(stack, ann, "busy")
    assert r.data == {"userId": ann, "status": "offline", "lastSeen": None}
    a = await Ws.hello(stack.ws(1), ann)
    await online(stack, bob, ann)
    for status in ("away", "busy", "online"):
        r = await choose(stack, ann, status)
        assert r.data["status"] == status and r.data["userId"] == ann
        assert re.match(TIME, r.data["lastSeen"])
        assert (await presence(stack, bob, ann)).data["status"] == status
    listed = (await rest_of(stack, bob).aget(
        f"/api/conversations/{room}")).data["conversation"]
    assert listed["isOnline"] is True
    for bad in (None, 5, "", "asleep", "ONLINE", [], "online "):
        error = (await choose(stack, ann, bad)).refused(
            400, "invalid_request")
        assert error["field"] == "status"
    assert (await presence(stack, bob, ann)).data["status"] == "online"
    await a.close()


async def test_looking_offline(stack):
    """Nothing gives her away: not the time, not the room, not a list."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(), ann)
    await join(a, room)
    await online(stack, bob, ann)
    assert (await choose(stack, ann, "offline")).data["status"] == "offline"
    then = (await presence(stack, bob, ann)).data
    # a sign of life, as each renewal is one
    await asyncio.sleep(0.005)          # times are in milliseconds
    second = await Ws.hello(stack.ws(1), ann)
    await join(second, room)

    async def seen():
        d = (await presence(stack, ann, ann)).data
        return (d["lastSeen"] > then["lastSeen"]
                and d["currentConversations"] == [room])
    await until(seen, timeout=5)
    now = (await presence(stack, bob, ann)).data
    assert now == then == {
        "userId": ann, "status": "offline", "lastSeen": then["lastSeen"],
        "currentConversations": [], "typingIn": None, "deviceInfo": None}
    assert (await presence(stack, ann, ann)).data["status"] == "offline"
    for path in ("/api/conversations", f"/api/conversations/{room}"):
        data = (await rest_of(stack, bob).aget(path)).data
        for c in data.get("conversations") or [data["conversation"]]:
            assert c["isOnline"] is False
    # she is gone: nor does it show later that she was there
    await a.close()
    await second.close()
    key = f"wrt:u:{ann}:presence"
    with stack.redis_client() as c:
        async def gone():
            return not c.hexists(key, "chosen")
        await until(gone, timeout=20)
    assert (await presence(stack, bob, ann)).data == then
    # and back
    third = await Ws.hello(stack.ws(), ann)
    await online(stack, bob, ann)
    assert (await presence(stack, bob, ann)).data["lastSeen"] > then[
        "lastSeen"]
    await third.close()


# ---- profiles -----------------------------------------------------------

async def put(stack, user, body, role="service"):
    return await rest_of(stack, unique("svc"), role=role).acall(
        "PUT", f"/api/users/{user}", body)


async def test_profile_of_a_service(stack):
    """Shown everywhere from the answer on; what tokens say no longer
    counts."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(), ann, username="Ann T")
    mid = (await send(a, room, "x"))["messageId"]

    async def name():
        m = (await rest_of(stack, bob).aget(
            f"/api/conversations/{room}/messages/{mid}")).data["message"]
        return m["sender"]["name"], m["sender"]["avatar"]
    assert await name() == ("Ann T", None)
    r = await put(stack, ann, {"name": "Dr. Ann “A”", "role": "tutor",
                               "avatar": "https://cdn/a.png", "x": [1]})
    assert r.data["user"] == {"id": ann, "name": "Dr. Ann “A”",
                              "avatar": "https://cdn/a.png",
                              "role": "tutor"}
    assert await name() == ("Dr. Ann “A”", "https://cdn/a.png")
    doc = (await rest_of(stack, bob, 1).aget(
        f"/api/conversations/{room}")).data["conversation"]
    (p,) = [p for p in doc["participants"] if p["userId"] == ann]
    assert p["user"] == {"name": "Dr. Ann “A”", "role": "tutor",
                         "avatar": "https://cdn/a.png"}
    # a token with another name: by both doors, also when Redis has forgotten
    for i in range(2):
        b = await Ws.hello(stack.ws(1), ann, username=f"Other {i}")
        await rest_of(stack, ann, name=f"Another {i}").aget("/api/unread")
        await b.close()
        await asyncio.to_thread(stack.wait_applied)
        assert await name() == ("Dr. Ann “A”", "https://cdn/a.png")
        with stack.redis_client() as c:
            for key in c.scan_iter(f"wrt:{{*}}:prof:{ann}"):
                c.delete(key)
    # once more: no avatar is none, no role leaves it
    r = await put(stack, ann, {"name": "Ann", "avatar": None}, "admin")
    assert r.data["user"] == {"id": ann, "name": "Ann", "avatar": None,
                              "role": "tutor"}
    assert await name() == ("Ann", None)
    # somebody who never was here, and the same twice
    new = unique("new")
    for _ in range(2):
        r = await put(stack, new, {"name": "New"})
        assert r.data["user"] == {"id": new, "name": "New", "avatar": None,
                                  "role": "student"}
    await a.close()


async def test_profiles_are_not_anybodys(stack):
    ann, other = uniques("ann", "other")
    for role in ("student", "tutor"):
        for user in (ann, other):
            r = await rest_of(stack, ann, role=role).acall(
                "PUT", f"/api/users/{user}", {"name": "Boss"})
            r.refused(403, "forbidden")
    for body, field in [
            ({}, "name"), ({"name": None}, "name"), ({"name": 5}, "name"),
            ({"name": ""}, "name"), ({"name": " \t"}, "name"),
            ({"name": "x" * 257}, "name"),
            ({"name": "A", "avatar": 5}, "avatar"),
            ({"name": "A", "avatar": "x" * 2049}, "avatar"),
            ({"name": "A", "role": "king"}, "role"),
            ({"name": "A", "role": []}, "role"),
            ({"name": "A", "role": "service"}, "role")]:
        error = (await put(stack, other, body)).refused(
            400, "invalid_request")
        assert error["field"] == field, body
    # nothing of it is known
    (await presence(stack, "svc", other, role="service")).refused(
        404, "not_found")
