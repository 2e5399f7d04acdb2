"""Participants come and go: who is told, what they see from when to when.

Without these somebody could go on reading a room that he was put out of, or
one who was brought in would miss the first words that were said to him.
"""

import asyncio
import os
import re
import signal

import pytest

from harness import tokens, upload
from harness.cast import Cast
from harness.net import until
from harness.scene import TIME, seqs, unique
from harness.stack import Server
from harness.ws import Ws

P = "/participants"


async def add(cast, by, name, nginx=0, **more):
    return await cast.do(by, "POST", P, {"userId": cast.ids[name], **more},
                         nginx)


async def remove(cast, by, name, nginx=0):
    return await cast.do(by, "DELETE", f"{P}/{cast.ids[name]}", nginx=nginx)


def people(conversation):
    """userId -> participant, of those who are there."""
    return {p["userId"]: p for p in conversation["participants"]
            if p["leftAt"] is None}


def outsiders(cast, *names):
    for n in names:
        cast.ids[n], cast.roles[n] = unique(n), "student"


def system(data):
    """(action, user) of a system message."""
    m = data["message"]
    assert m["type"] == "system", data
    assert m["seq"] == data["seq"]
    s = m["content"]["systemMessage"]
    return s["action"], s["data"]["userId"]


async def test_adding_somebody_who_is_online(stack):
    """He follows the room from there on without a word of his own."""
    cast = await Cast.group(stack, "ann", "bob")
    outsiders(cast, "cho")
    await cast.open("ann", "bob", "cho", "cho2")
    for i in range(3):
        await cast.say("ann", f"early {i}")
    r = await add(cast, "ann", "cho")
    assert r.status == 201, r
    assert set(people(r.data["conversation"])) == {
        cast.ids[n] for n in ("ann", "bob", "cho")}

    for name in ("cho", "cho2"):
        e = await cast.ws[name].recv()
        assert e["event"] == "conversation_created", e
        assert e["data"]["conversationId"] == cast.room
        assert e["data"]["seq"] == 4
        room = e["data"]["conversation"]
        assert room["id"] == cast.room and room["title"] == "Room"
        assert set(people(room)) == set(people(r.data["conversation"]))
        assert room["unreadCount"] == 0
    for _ in range(3):
        await cast.told("message_received", "ann", "bob")
    joined = await cast.told("message_received", "ann", "bob")
    assert joined["seq"] == 4
    assert system(joined) == ("user_joined", cast.ids["cho"])
    assert joined["message"]["senderId"] == cast.ids["ann"]
    assert joined["message"]["content"]["systemMessage"]["data"] == {
        "userId": cast.ids["cho"], "name": cast.ids["cho"].title(),
        "role": "student"}
    # the next that he sees goes on behind where he came in
    ack = await cast.say("bob", "welcome")
    said = await cast.said("welcome")
    assert said["seq"] == ack["seq"] == 5
    assert (await cast.say("cho", "thanks"))["seq"] == 6
    await cast.said("thanks")
    await cast.close()


async def test_added_while_people_talk(stack):
    """Many are brought in, one after the other, while messages flow: each
    gets all from his number on, once and in order."""
    cast = await Cast.group(stack, "ann", "bob")
    names = [f"n{chr(97 + i)}" for i in range(8)]
    outsiders(cast, *names)
    await cast.open("ann", "bob", *names)
    talking = True

    async def talk():
        n = 0
        while talking:
            n += 1
            await cast.say("bob", f"m {n}")
            await asyncio.sleep(0.002)

    task = asyncio.create_task(talk())
    joined = {}
    for i, n in enumerate(names):
        assert (await add(cast, "ann", n, i % 2)).status == 201
    talking = False
    await task
    end = (await cast.say("ann", "the end"))["seq"]
    for n in names:
        e = await cast.ws[n].recv()
        assert e["event"] == "conversation_created", e
        joined[n], got = e["data"]["seq"], []
        while not got or got[-1] < end:
            e = await cast.ws[n].recv()
            assert e["event"] == "message_received", e
            got.append(e["data"]["seq"])
        assert got == list(range(joined[n] + 1, end + 1)), n
    assert len(set(joined.values())) == len(names)
    await cast.close()


async def test_adding_many_at_once(stack):
    """Each knows all the others, from what he was given when he came in and
    from what he was told afterwards."""
    cast = await Cast.group(stack, "ann", "bob")
    names = [f"n{chr(97 + i)}" for i in range(8)]
    outsiders(cast, *names)
    await cast.open("ann", *names)
    replies = await asyncio.gather(*(
        add(cast, "ann", n, i % 2) for i, n in enumerate(names)))
    assert [r.status for r in replies] == [201] * 8, replies
    end = (await cast.say("ann", "the end"))["seq"]
    assert end == 9
    want = set(people(await cast.shown("bob")))
    assert want == {cast.ids[n] for n in ("ann", "bob", *names)}
    for n in names:
        e = await cast.ws[n].recv()
        assert e["event"] == "conversation_created", e
        known = set(people(e["data"]["conversation"]))
        while True:
            data = (await cast.ws[n].wait("message_received"))["data"]
            if data["seq"] == end:
                break
            action, user = system(data)
            assert action == "user_joined" and user not in known
            known.add(user)
        assert known == want, n
    await cast.close()


async def test_adding_twice(stack):
    """At once and again: one event, one participant."""
    cast = await Cast.group(stack, "ann", "bob", "tia:tutor")
    outsiders(cast, "cho")
    await cast.open("bob")
    replies = await asyncio.gather(
        add(cast, "ann", "cho"), add(cast, "tia", "cho", 1),
        add(cast, "ann", "cho", 1))
    assert sorted(r.status for r in replies) == [200, 200, 201], replies
    for r in (*replies, await add(cast, "ann", "cho", role="tutor")):
        who = people(r.data["conversation"])
        assert len(who) == len(r.data["conversation"]["participants"]) == 4
        assert who[cast.ids["cho"]]["role"] == "student"
    assert (await add(cast, "ann", "bob")).status == 200
    assert system(await cast.told("message_received")) == (
        "user_joined", cast.ids["cho"])
    await cast.quiet()
    await cast.close()


async def test_role_and_permissions(stack):
    """What is not said is taken from the profile: a tutor stays one."""
    cast = await Cast.group(stack, "ann", "bob")
    outsiders(cast, "cho", "dan", "eva")
    cast.ids["tia"], cast.roles["tia"] = unique("tia"), "tutor"
    await cast.open("bob", "tia")       # her profile is known from her token
    await asyncio.to_thread(stack.wait_applied)
    for name, more, role, permissions in [
            ("cho", {}, "student", ["read", "write", "upload", "download"]),
            ("tia", {}, "tutor", ["read", "write", "upload", "download"]),
            ("dan", {"role": "tutor"}, "tutor",
             ["read", "write", "upload", "download"]),
            ("eva", {"permissions": ["read", "download"]}, "student",
             ["read", "download"])]:
        r = await add(cast, "ann", name, **more)
        assert r.status == 201, r
        p = people(r.data["conversation"])[cast.ids[name]]
        assert p["role"] == role and p["permissions"] == permissions, p
        assert re.match(TIME, p["joinedAt"])
        data = await cast.told("message_received", "bob")
        assert data["message"]["content"]["systemMessage"]["data"][
            "role"] == role
    for name, status in (("cho", 201), ("dan", 201), ("eva", 403)):
        r = await cast.do(name, "POST", "/messages",
                          {"type": "text", "content": {"text": name}})
        assert r.status == status, (name, r)
    # the role counts at once
    mid = (await cast.say("bob", "x"))["messageId"]
    (await cast.delete("cho", mid)).refused(403, "forbidden")
    assert (await cast.delete("dan", mid)).status == 200
    await cast.close()


async def test_removing(stack):
    """At once he hears and sees nothing more, on any device; the others are
    told; what he said stays."""
    cast = await Cast.group(stack, "ann", "bob", "cho")
    await cast.open("ann", "bob", "bob2", "cho")
    mine = (await cast.say("bob", "mine"))["messageId"]
    await cast.said("mine")
    r = await remove(cast, "ann", "bob")
    assert r.data["userId"] == cast.ids["bob"]
    left = await cast.told("message_received", "ann", "cho")
    assert left["seq"] == 2
    assert system(left) == ("user_left", cast.ids["bob"])
    await cast.say("ann", "among us")
    await cast.said("among us", "ann", "cho")
    await cast.edit("ann", (await cast.say("ann", "x"))["messageId"], "y")
    await cast.told("message_updated", "ann", "cho")

    for name in ("bob", "bob2"):
        for e in cast.ws[name].pending():   # of his own leaving at most
            assert e["event"] in ("message_received", "message_status"), e
            assert e["data"].get("seq", 0) <= 2, e
        e = await cast.command(name, "send_message", type="text",
                               content={"text": "still here"})
        assert e["event"] == "error", e
        assert e["data"]["code"] == "not_found"
        e = await cast.command(name, "edit_message", messageId=mine,
                               content={"text": "z"})
        assert e["data"]["code"] == "not_found", e
    await cast.quiet("bob", "bob2")
    for method, path, body in [
            ("GET", "", None), ("GET", "/messages", None),
            ("GET", f"/messages/{mine}", None),
            ("DELETE", f"/messages/{mine}", None),
            ("POST", "/messages", {"type": "text",
                                   "content": {"text": "x"}}),
            ("DELETE", f"{P}/{cast.ids['bob']}", None)]:
        r = await cast.do("bob", method, path, body, nginx=1)
        r.refused(404, "not_found")
    assert await cast.listed("bob") is None
    assert (await cast.rest("bob").aget("/api/search", q="among")).data[
        "results"] == []
    gone = {p["userId"]: p for p in (await cast.shown("cho"))[
        "participants"]}[cast.ids["bob"]]
    assert re.match(TIME, gone["leftAt"])
    assert (await cast.get("cho", mine))["content"] == {"text": "mine"}
    (await remove(cast, "ann", "bob")).refused(404, "not_found")
    await cast.close()


async def test_removed_while_people_talk(stack):
    """The one who is put out gets the numbers up to his leaving and not one
    after it, though messages flow."""
    cast = await Cast.group(stack, "ann", *(f"n{c}" for c in "abcdef"))
    names = [n for n in cast.ids if n != "ann"]
    await cast.open("ann", *names)
    talking = True

    async def talk():
        n = 0
        while talking:
            n += 1
            await cast.say("ann", f"m {n}")
            await asyncio.sleep(0.002)

    task = asyncio.create_task(talk())
    for i, n in enumerate(names):
        assert (await remove(cast, "ann", n, i % 2)).status == 200
    talking = False
    await task
    await cast.say("ann", "the end")
    left = {}
    while True:
        data = (await cast.ws["ann"].wait("message_received"))["data"]
        if data["message"]["type"] == "system":
            action, user = system(data)
            assert action == "user_left"
            left[user] = data["seq"]
        elif data["message"]["content"]["text"] == "the end":
            break
    assert set(left) == {cast.ids[n] for n in names}
    for n in names:
        ws, end = cast.ws[n], left[cast.ids[n]]
        got = seqs([(await ws.recv())["data"] for _ in range(end - 1)])
        assert got == list(range(1, end)), n
        # his own leaving may be the last that he hears
        e = await cast.command(n, "mark_read", messageId="0" * 24)
        assert e["data"]["code"] == "not_found", e
        assert seqs([e["data"] for e in ws.pending()]) in ([], [end]), n
    await cast.close()


async def test_leaving(stack):
    """Anybody may leave by himself, even who made the room."""
    cast = await Cast.group(stack, "ann", "bob", "cho")
    await cast.open("cho")
    (await remove(cast, "bob", "ann")).refused(403, "forbidden")
    for seq, name in ((1, "bob"), (2, "ann")):
        assert (await remove(cast, name, name)).status == 200
        data = await cast.told("message_received", "cho")
        assert data["seq"] == seq
        assert data["message"]["senderId"] == cast.ids[name]
        assert system(data) == ("user_left", cast.ids[name])
        (await cast.do(name, "GET")).refused(404, "not_found")
    await cast.say("cho", "alone")
    assert set(people(await cast.shown("cho"))) == {cast.ids["cho"]}
    # at once: one event
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann")
    replies = await asyncio.gather(*(
        remove(cast, by, "bob", i % 2)
        for i, by in enumerate(("bob", "ann", "ann"))))
    assert sorted(r.status for r in replies) == [200, 404, 404], replies
    assert system(await cast.told("message_received")) == (
        "user_left", cast.ids["bob"])
    await cast.quiet()
    await cast.close()


async def test_leaving_is_the_first_thing_he_does(make_stack):
    """His name is that of his token: the store has not heard it yet."""
    stack = make_stack()
    cho, dan = unique("cho"), unique("dan")
    room = stack.make_room(cho, dan)
    rest = stack.rest(tokens.token(dan, name="Dan"))
    go_on = upload.hold(stack.worker.role("projector"))
    call = asyncio.create_task(rest.acall(
        "DELETE", f"/api/conversations/{room}{P}/{dan}"))

    async def is_out():
        with stack.redis_client() as c:
            [key] = c.keys(f"wrt:{{*}}:conv:{room}")
            return not c.hexists(key, f"m:{dan}")
    await until(is_out, "him to be out")
    go_on()
    r = await call
    assert r.status == 200, r
    r = await stack.rest(tokens.token(cho)).aget(
        f"/api/conversations/{room}/messages")
    [m] = r.data["messages"]
    assert m["content"]["systemMessage"] == {
        "action": "user_left",
        "data": {"userId": dan, "name": "Dan", "role": "student"}}


async def test_coming_back(stack):
    """Unread begins anew where he came back; he can write again."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    for i in range(3):
        await cast.say("ann", f"before {i}")
    assert (await cast.listed("bob"))["unreadCount"] == 3
    assert (await remove(cast, "ann", "bob")).status == 200
    for i in range(4):
        await cast.say("ann", f"without him {i}")
    r = await add(cast, "ann", "bob", role="tutor")
    assert r.status == 201, r
    assert (await cast.listed("bob"))["unreadCount"] == 0
    created = await cast.ws["bob"].wait("conversation_created")
    assert created["data"]["seq"] == 9
    assert cast.ids["bob"] in people(created["data"]["conversation"])
    cast.ws["bob"].pending()
    await cast.say("ann", "after")
    assert (await cast.said("after", "bob"))["seq"] == 10
    assert (await cast.listed("bob"))["unreadCount"] == 1
    unread = (await cast.rest("bob").aget("/api/unread")).data
    assert unread == {"total": 1, "conversations": [
        {"conversationId": cast.room, "unreadCount": 1}]}
    doc = await cast.shown("ann")
    assert len(doc["participants"]) == len(people(doc)) == 2
    assert people(doc)[cast.ids["bob"]]["role"] == "tutor"
    assert (await cast.say("bob", "back"))["seq"] == 11
    # the same after Redis has forgotten the room
    await cast.forget()
    assert (await cast.say("bob", "still"))["seq"] == 12
    await cast.close()


async def test_who_was_away_when_it_happened(stack):
    """A resume of one who was put out says not_found, from the log and from
    the store; who stays catches up on comings and goings."""
    cast = await Cast.group(stack, "ann", "bob", "cho")
    outsiders(cast, "dan")
    await cast.open("ann")
    await cast.say("ann", "one")
    await remove(cast, "ann", "bob")
    await add(cast, "ann", "dan")
    await cast.say("ann", "two")
    for compact in (False, True):
        if compact:
            await cast.forget(log_only=True)
        ws = await Ws.hello(stack.ws(1), cast.ids["bob"], resume=True)
        assert ws.connected["conversations"] == 0
        ws.send("resume", {"conversations": {cast.room: 1}})
        e = await ws.recv()
        assert e["event"] == "error", e
        assert e["data"]["code"] == "not_found"
        assert e["data"]["conversationId"] == cast.room
        ws.send("join_conversation", {"conversationId": cast.room,
                                      "afterSeq": 0})
        e = await ws.recv()
        assert e["event"] == "error" and e["data"]["code"] == "not_found", e
        await cast.say("ann", "three")
        await ws.quiet(0.2)
        await ws.close()
        if compact:
            await cast.forget(log_only=True)
        ws = await Ws.hello(stack.ws(1), cast.ids["cho"], resume=True)
        ws.send("resume", {"conversations": {cast.room: 1}})
        joined = (await ws.wait("conversation_joined"))["data"]
        assert bool(joined.get("compact")) is compact
        if compact:
            assert set(people(joined["conversation"])) == {
                cast.ids[n] for n in ("ann", "cho", "dan")}
        seen = [(await ws.wait("message_received"))["data"]
                for _ in range(3)]
        assert [system(d) for d in seen[:2]] == [
            ("user_left", cast.ids["bob"]), ("user_joined", cast.ids["dan"])]
        await ws.close()
    await cast.close()


async def test_rooms_that_keep_their_people(stack):
    """A direct room has its two; nobody is added to an archived one, but
    everybody may leave it."""
    cast = await Cast.direct(stack)
    outsiders(cast, "cho")
    (await add(cast, "ann", "cho")).refused(409, "conflict")
    (await add(cast, "ann", "bob")).refused(409, "conflict")
    for by, who in (("ann", "bob"), ("ann", "ann")):
        (await remove(cast, by, who)).refused(409, "conflict")
    assert len(people(await cast.shown("ann"))) == 2

    cast = await Cast.group(stack, "ann", "bob", "cho")
    outsiders(cast, "dan")
    assert (await cast.do("ann", "POST", "/archive")).status == 200
    (await add(cast, "ann", "dan")).refused(409, "conversation_archived")
    assert (await remove(cast, "bob", "bob")).status == 200
    assert (await remove(cast, "ann", "cho")).status == 200
    assert set(people(await cast.shown("ann"))) == {cast.ids["ann"]}
    assert (await cast.do("ann", "POST", "/unarchive")).status == 200
    assert (await add(cast, "ann", "dan")).status == 201


async def test_bad_participants(stack):
    cast = await Cast.group(stack, "ann", "bob")
    for body, field in [
            ({}, "userId"), ({"userId": 5}, "userId"),
            ({"userId": "a b"}, "userId"),
            ({"userId": "x" * 65}, "userId"),
            ({"userId": "x", "role": "king"}, "role"),
            ({"userId": "x", "role": 5}, "role"),
            ({"userId": "x", "permissions": "read"}, "permissions"),
            ({"userId": "x", "permissions": ["write"]}, "permissions"),
            ({"userId": "x", "permissions": ["read", "fly"]},
             "permissions")]:
        r = await cast.do("ann", "POST", P, body)
        assert r.refused(400, "invalid_request")["field"] == field, body
    (await cast.do("ann", "DELETE", f"{P}/nobody")).refused(404,
                                                            "not_found")
    doc = await cast.shown("ann")
    assert doc["seq"] == 0 and len(people(doc)) == 2


@pytest.mark.parametrize("who", ["ann", "bob"], ids=["put out", "leaves"])
async def test_the_process_dies_that_put_him_out(make_stack, who):
    """Another one answers as it would have, not that there is nobody."""
    stack = make_stack(nginx=2, servers={"bulk": Server("")})
    cast = await Cast.group(stack, "ann", "bob", "cho")

    async def is_out():
        with stack.redis_client() as c:
            [key] = c.keys(f"wrt:{{*}}:conv:{cast.room}")
            return not c.hexists(key, f"m:{cast.ids['bob']}")

    go_on = upload.hold(stack.worker.role("projector"))
    call = asyncio.create_task(remove(cast, who, "bob"))
    await until(is_out, "him to be out")
    for pid in stack.worker.role("api"):
        os.kill(pid, signal.SIGKILL)
    go_on()
    r = await call
    assert r.status == 200, r
    assert r.data == {"conversationId": cast.room, "userId": cast.ids["bob"]}
    told = [system({"seq": m["seq"], "message": m})
            for m in cast.rest("cho").history(cast.room)]
    assert told == [("user_left", cast.ids["bob"])]
