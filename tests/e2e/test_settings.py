"""Title, settings, archive, block: what a conversation is like.

Without these one change could undo another one, an archived room could take
messages by one of the doors, or a block be forgotten when Redis forgets.
"""

import asyncio
import re

import pytest

from harness.cast import Cast
from harness.scene import TIME, join, unique, uniques
from harness.ws import Ws

DEFAULTS = {"allowFileUpload": True, "maxFileSize": 10 * 1024 * 1024,
            "autoArchive": False, "retention": 365}
TEXT = {"type": "text", "content": {"text": "x"}}


async def patch(cast, name, body, nginx=0):
    return await cast.do(name, "PATCH", "", body, nginx)


async def refused(cast, name, status, code, mid):
    """Sends and changes are refused by both doors and reach nobody."""
    for method, path, body, event, data in [
            ("POST", "/messages", TEXT, "send_message", TEXT),
            ("PATCH", f"/messages/{mid}", {"content": {"text": "y"}},
             "edit_message", {"messageId": mid, "content": {"text": "y"}})]:
        (await cast.do(name, method, path, body)).refused(status, code)
        e = await cast.command(name, event, **data)
        assert e["event"] == "error", e
        assert e["data"]["code"] == code, e
        assert not e["data"]["retryable"], e


# ---- title and settings -------------------------------------------------

async def test_settings_are_merged(stack):
    """What is not named stays; all are told what stands then."""
    cast = await Cast.group(stack, "ann", "bob", title="Before")
    await cast.open("ann", "ann2", "bob")
    doc = await cast.shown("ann")
    for key, value in DEFAULTS.items():
        assert doc["settings"][key] == value
    types = doc["settings"]["allowedFileTypes"]
    want, title, seq = dict(doc["settings"]), "Before", 0
    for body in [{"settings": {"allowFileUpload": False}},
                 {"settings": {"retention": 30}, "title": "After"},
                 {"settings": {"maxFileSize": 4096, "autoArchive": True}},
                 {"title": "Kelas \U0001f393"},
                 {"settings": {"allowedFileTypes": types[:2]}},
                 {"settings": {"allowFileUpload": True,
                               "unknown": [1, {"x": None}]}}]:
        r = await patch(cast, "ann", body, seq % 2)
        want.update(body.get("settings", {}))
        want.pop("unknown", None)
        title = body.get("title", title)
        seq += 1
        data = await cast.told("conversation_updated")
        assert data["seq"] == seq
        assert data["updatedBy"] == cast.ids["ann"]
        told = data["conversation"]
        assert told["id"] == cast.room
        assert told["title"] == title and told["settings"] == want
        assert told["isArchived"] is False and told["archivedAt"] is None
        assert re.match(TIME, told["updatedAt"])
        shown = await cast.shown("bob")
        for d in (shown, r.data["conversation"]):
            assert d["title"] == title and d["settings"] == want
            assert d["seq"] == seq
    assert (await cast.listed("bob"))["title"] == title

    # what is so already
    for body in ({}, {"title": title}, {"settings": {}},
                 {"settings": {"retention": 30}}, {"title": None},
                 {"settings": None}, {"title": title, "settings": want},
                 {"unknown": 1}):
        r = await patch(cast, "ann", body)
        assert r.data["conversation"]["seq"] == seq, body
        assert r.data["conversation"]["title"] == title
    await cast.quiet()
    # an empty title is none
    r = await patch(cast, "ann", {"title": ""})
    assert r.data["conversation"]["title"] is None
    data = await cast.told("conversation_updated")
    assert data["conversation"]["title"] is None
    assert data["conversation"]["settings"] == want
    assert (await cast.listed("bob"))["title"] is None
    await patch(cast, "ann", {"title": ""})
    await cast.quiet()
    await cast.close()


async def test_bad_settings_name_the_field(stack):
    """Nothing of a body of which a part is wrong is done."""
    cast = await Cast.group(stack, "ann", "bob")
    before = await cast.shown("ann")
    for body, field in [
            ({"title": 5}, "title"), ({"title": "x" * 257}, "title"),
            ({"settings": 5}, "settings"), ({"settings": []}, "settings"),
            *(({"title": "new", "settings": {k: v}}, f"settings.{k}")
              for k, v in [("allowFileUpload", 1), ("autoArchive", "yes"),
                           ("maxFileSize", 0), ("maxFileSize", 2 ** 40),
                           ("maxFileSize", "1"), ("retention", 0),
                           ("retention", 36501), ("retention", 1.5),
                           ("allowedFileTypes", ".pdf"),
                           ("allowedFileTypes", [5]),
                           ("allowedFileTypes", [".exe"])])]:
        r = await patch(cast, "ann", body)
        assert r.refused(400, "invalid_request")["field"] == field, body
    for raw in ("", "[]", "{", '{"title":"a","title":"b"}'):
        r = await asyncio.to_thread(
            cast.rest("ann").call, "PATCH",
            f"/api/conversations/{cast.room}", raw=raw,
            headers={"Content-Type": "application/json"})
        r.refused(400, "invalid_request")
    assert await cast.shown("ann") == before


async def test_changes_at_once_do_not_undo_each_other(stack):
    """Title, each setting, archive, people: all from different calls at the
    same moment; the last event shows all of them, and so does the store."""
    cast = await Cast.group(stack, "ann", "bob", "tia:tutor")
    cast.ids["cho"] = unique("cho")
    await cast.open("bob", "tia")
    asks = [{"settings": {"allowFileUpload": False}},
            {"settings": {"maxFileSize": 4096}}, {"title": "New"},
            {"settings": {"autoArchive": True}},
            {"settings": {"retention": 7}}]
    replies = await asyncio.gather(
        *(patch(cast, ("ann", "tia")[i % 2], body, i % 2)
          for i, body in enumerate(asks)),
        cast.do("tia", "POST", "/archive"),
        cast.do("ann", "DELETE", f"/participants/{cast.ids['bob']}"))
    assert [r.status for r in replies] == [200] * 7, replies
    events = []
    while len(events) < 6:
        events.append((await cast.ws["tia"].wait(
            "conversation_updated"))["data"])
    last = events[-1]["conversation"]
    doc = await cast.shown("ann")
    for d in (last, doc):
        s = d["settings"]
        assert s["allowFileUpload"] is False and s["maxFileSize"] == 4096
        assert s["autoArchive"] is True and s["retention"] == 7
        assert d["title"] == "New" and d["isArchived"] is True
    assert doc["seq"] == 7
    assert last["archivedAt"] == doc["metadata"]["archivedAt"]
    await cast.close()


# ---- archive ------------------------------------------------------------

async def test_archive(stack):
    """Nothing can be said in it, by either door; it is read as before, in a
    list of its own; then it is open again."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    mid = (await cast.say("ann", "hello"))["messageId"]
    assert (await cast.listed("bob"))["isArchived"] is False

    r = await cast.do("ann", "POST", "/archive")
    assert r.data["conversation"]["isArchived"] is True
    data = await cast.told("conversation_updated")
    assert data["seq"] == 2
    assert data["conversation"]["isArchived"] is True
    at = data["conversation"]["archivedAt"]
    assert re.match(TIME, at)
    doc = await cast.shown("bob")
    assert doc["metadata"]["archivedAt"] == at
    r = await cast.do("ann", "POST", "/archive", nginx=1)
    assert r.data["conversation"]["metadata"]["archivedAt"] == at

    await cast.said("hello")
    await refused(cast, "ann", 409, "conversation_archived", mid)
    for ask in (cast.delete("ann", mid), cast.react("bob", mid, "\u2764")):
        (await ask).refused(409, "conversation_archived")
    await cast.quiet(but=("message_status",))

    # read as before
    joined = await join(cast.ws["bob"], cast.room, 1)
    assert joined["seq"] == 2
    assert (await cast.get("bob", mid))["content"] == {"text": "hello"}
    r = await cast.do("bob", "POST", "/read", {"messageId": mid})
    assert r.data["unreadCount"] == 0

    assert await cast.listed("bob") is None
    assert await cast.listed("bob", archived="false") is None
    listed = await cast.listed("bob", archived="true")
    assert listed["isArchived"] is True
    # after Redis has forgotten the room, too
    await cast.forget()
    await refused(cast, "ann", 409, "conversation_archived", mid)

    r = await cast.do("ann", "POST", "/unarchive")
    assert r.data["conversation"]["isArchived"] is False
    data = await cast.told("conversation_updated")
    assert data["seq"] == 3
    assert data["conversation"]["isArchived"] is False
    assert data["conversation"]["archivedAt"] is None
    assert (await cast.do("ann", "POST", "/unarchive")).status == 200
    assert await cast.listed("bob", archived="true") is None
    assert (await cast.listed("bob"))["isArchived"] is False
    assert (await cast.say("bob", "open"))["seq"] == 4
    assert (await cast.edit("ann", mid, "edited")).status == 200
    await cast.close()


async def test_archiving_at_once(stack):
    cast = await Cast.group(stack, "ann", "bob", "tia:tutor")
    await cast.open("bob")
    for n, path in enumerate(("/archive", "/unarchive", "/archive")):
        replies = await asyncio.gather(*(
            cast.do(("ann", "tia")[i % 2], "POST", path, nginx=i % 2)
            for i in range(4)))
        assert [r.status for r in replies] == [200] * 4, replies
        want = path == "/archive"
        assert {r.data["conversation"]["isArchived"]
                for r in replies} == {want}
        data = await cast.told("conversation_updated")
        assert data["seq"] == n + 1
        assert data["conversation"]["isArchived"] is want
        await cast.quiet()
    await cast.close()


async def test_sends_while_it_is_archived(stack):
    """Each send is either acknowledged, and then it is there before the
    archiving, or refused, and then it is nowhere."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    sent = [f"m{i}" for i in range(60)]
    task = None
    for i, t in enumerate(sent):
        cast.ws["bob"].send("send_message", {
            "conversationId": cast.room, **TEXT, "content": {"text": t},
            "clientMessageId": t})
        if i == 20:
            task = asyncio.create_task(cast.do("ann", "POST", "/archive"))
        await asyncio.sleep(0.002)
    assert (await task).status == 200
    acked = {}
    for _ in sent:
        e = await cast.ws["bob"].wait(("message_status", "error"))
        if e["event"] == "message_status":
            acked[e["data"]["clientMessageId"]] = e["data"]["seq"]
        else:
            assert e["data"]["code"] == "conversation_archived", e
            assert e["data"]["clientMessageId"] not in acked
    archived = (await cast.told("conversation_updated", "ann"))["seq"]
    assert archived == len(acked) + 1
    assert sorted(acked.values()) == list(range(1, archived))
    rows = cast.rest("bob").history(cast.room)
    assert [m["content"]["text"] for m in rows] == list(acked)
    print(f"{len(acked)} of {len(sent)} came before")
    await cast.close()


async def test_archived_for_who_was_away(stack):
    """Who catches up is told, from the log and from the store."""
    cast = await Cast.group(stack, "ann", "bob", title="Old")
    await cast.open("ann")
    await cast.say("ann", "one")
    await patch(cast, "ann", {"title": "New",
                              "settings": {"retention": 30}})
    await cast.do("ann", "POST", "/archive")
    ws = await Ws.hello(stack.ws(1), cast.ids["bob"], resume=True)
    ws.send("resume", {"conversations": {cast.room: 0}})
    await ws.wait("conversation_joined")
    assert (await ws.recv())["event"] == "message_received"
    for seq in (2, 3):
        e = await ws.recv()
        assert e["event"] == "conversation_updated", e
        assert e["data"]["seq"] == seq
    assert e["data"]["conversation"]["isArchived"] is True
    assert e["data"]["conversation"]["title"] == "New"
    await ws.close()
    await cast.forget()
    ws = await Ws.hello(stack.ws(1), cast.ids["bob"], resume=True)
    ws.send("resume", {"conversations": {cast.room: 0}})
    joined = (await ws.wait("conversation_joined"))["data"]
    assert joined["compact"] is True and joined["seq"] == 3
    doc = joined["conversation"]
    assert doc["isArchived"] is True and doc["title"] == "New"
    assert doc["settings"]["retention"] == 30
    await ws.close()
    await cast.close()


# ---- block --------------------------------------------------------------

def people(conversation):
    return {p["userId"]: (p["permissions"], p["blockedBy"])
            for p in conversation["participants"]}


def blocked_by(conversation, user):
    return people(conversation)[user][1]


async def test_block(stack):
    """The one who is blocked can say nothing, the other one can; both see
    it; it holds when Redis has forgotten the room."""
    cast = await Cast.direct(stack)
    await cast.open("ann", "ann2", "bob")
    ann, bob = cast.ids["ann"], cast.ids["bob"]
    mid = (await cast.say("bob", "annoying"))["messageId"]
    await cast.said("annoying")

    for body in (None, {"userId": bob}):
        r = await cast.do("ann", "POST", "/block", body)
        assert blocked_by(r.data["conversation"], bob) == ann
        assert blocked_by(r.data["conversation"], ann) is None
    data = await cast.told("conversation_updated")
    assert data["seq"] == 2
    assert data["participant"] == {"userId": bob, "blockedBy": ann}
    assert blocked_by(await cast.shown("bob"), bob) == ann
    await cast.quiet(but=("message_status",))

    for forget in (False, True):
        if forget:
            await cast.forget()
        await refused(cast, "bob", 403, "forbidden", mid)
        (await cast.react("bob", mid, "\u2764")).refused(403, "forbidden")
        if not forget:      # again within a second it is held back
            e = await cast.command("bob", "typing", isTyping=True)
            assert e["data"].get("code") == "forbidden", e
        await cast.say("ann", f"still here {forget}")
        await cast.said(f"still here {forget}")
        r = await cast.do("bob", "GET", "/messages")
        assert r.data["messages"][0]["content"] == {
            "text": f"still here {forget}"}
        # nor can he undo it
        r = await cast.do("bob", "DELETE", "/block")
        assert blocked_by(r.data["conversation"], bob) == ann
        await cast.quiet(but=("message_status",))

    r = await cast.do("ann", "DELETE", "/block")
    assert blocked_by(r.data["conversation"], bob) is None
    data = await cast.told("conversation_updated")
    assert data["seq"] == 5
    assert data["participant"] == {"userId": bob, "blockedBy": None}
    assert (await cast.do("ann", "DELETE", "/block")).status == 200
    assert (await cast.say("bob", "sorry"))["seq"] == 6
    await cast.said("sorry")
    assert (await cast.edit("bob", mid, "nice")).status == 200
    await cast.told("message_updated")
    await cast.quiet(but=("message_status",))
    await cast.close()


async def test_both_block_each_other(stack):
    """At once, twice: two events; each undoes his own only."""
    cast = await Cast.direct(stack)
    await cast.open("ann", "bob")
    ann, bob = cast.ids["ann"], cast.ids["bob"]
    replies = await asyncio.gather(*(
        cast.do(n, "POST", "/block", nginx=i % 2)
        for i, n in enumerate(("ann", "bob", "bob", "ann"))))
    assert [r.status for r in replies] == [200] * 4, replies
    seen = [await cast.told("conversation_updated") for _ in range(2)]
    assert [d["seq"] for d in seen] == [1, 2]
    assert {d["participant"]["userId"] for d in seen} == {ann, bob}
    doc = await cast.shown("ann")
    assert blocked_by(doc, ann) == bob and blocked_by(doc, bob) == ann
    for n in ("ann", "bob"):
        (await cast.do(n, "POST", "/messages", TEXT)).refused(403,
                                                              "forbidden")
    await cast.do("ann", "DELETE", "/block")
    assert (await cast.say("bob", "may"))["seq"] == 4
    (await cast.do("ann", "POST", "/messages", TEXT)).refused(403,
                                                              "forbidden")
    await cast.do("bob", "DELETE", "/block")
    assert (await cast.say("ann", "may, too"))["seq"] == 6
    await cast.close()


@pytest.mark.parametrize("forget", [False, True])
async def test_unblocking_gives_back_what_there_was(stack, forget):
    """Who may only read does not get more by having been blocked."""
    cast = await Cast.direct(stack)
    ann, dan = uniques("ann", "dan")
    r = await cast.rest("svc", role="service").acall(
        "POST", "/api/conversations", {
            "type": "direct", "participants": [
                {"userId": ann, "role": "student"},
                {"userId": dan, "role": "student",
                 "permissions": ["read", "upload"]}]})
    cast.ids.update(ann=ann, dan=dan)
    cast.roles["dan"] = "student"
    cast.room = r.data["conversation"]["id"]
    before = await cast.shown("ann")
    for method in ("POST", "DELETE"):
        if forget:
            await cast.forget()
        assert (await cast.do("ann", method, "/block")).status == 200
        (await cast.do("dan", "POST", "/messages", TEXT)).refused(
            403, "forbidden")
    shown = people(await cast.shown("ann"))
    assert shown == people(before)
    assert shown[dan] == (["read", "upload"], None)
    key, _ = stack.conversation_key(cast.room)
    with stack.redis_of_room(cast.room) as c:
        assert c.hget(key, f"m:{dan}").startswith("ru|")


async def test_who_can_be_blocked(stack):
    """Only the other one of a direct room."""
    cast = await Cast.direct(stack)
    (await cast.do("ann", "POST", "/block", {"userId": "nobody"})).refused(
        404, "not_found")
    r = await cast.do("ann", "POST", "/block",
                      {"userId": cast.ids["ann"]})
    assert r.status in (400, 404, 409), r
    for user in (5, "a b", []):
        r = await cast.do("ann", "POST", "/block", {"userId": user})
        assert r.refused(400, "invalid_request")["field"] == "userId"
    assert (await cast.shown("ann"))["seq"] == 0
    group = await Cast.group(stack, "ann", "bob")
    for body in (None, {"userId": group.ids["bob"]}):
        (await group.do("ann", "POST", "/block", body)).refused(
            409, "conflict")
    (await group.do("ann", "DELETE", "/block")).refused(409, "conflict")
    assert (await group.shown("ann"))["seq"] == 0
