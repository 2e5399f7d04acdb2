"""Edits, deletions, reactions: what they do, who is told, what is left.

Without these an edit could get lost, a reaction be overwritten by another
one, or a deleted text come back to somebody who was away.
"""

import asyncio
import re

from harness.cast import Cast
from harness.scene import TIME, join, received, unique
from harness.ws import Ws

THUMB = "\U0001f44d"


async def previous(cast, name, mid):
    """The texts before, in order, from the history; and it is well formed."""
    data = (await cast.do(name, "GET", f"/messages/{mid}/history",
                          nginx=1)).data
    assert data["messageId"] == mid
    times = [e["editedAt"] for e in data["editHistory"]]
    assert all(re.match(TIME, t) for t in times)
    assert times == sorted(times)
    for e in data["editHistory"]:
        assert set(e) == {"editedAt", "previousContent", "editedBy"}, e
    return [e["previousContent"] for e in data["editHistory"]]


# ---- edits --------------------------------------------------------------

async def test_edit(stack):
    """All are told the whole message; history keeps all that it said."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "ann2", "bob")
    ack = await cast.say("ann", "one")
    mid = ack["messageId"]
    await cast.said("one")

    r = await cast.edit("ann", mid, "two")
    data = await cast.told("message_updated")
    assert data["seq"] == 2 and data["messageId"] == mid
    assert data["editedBy"] == cast.ids["ann"]
    m = data["message"]
    assert m["id"] == mid and m["conversationId"] == cast.room
    assert m["seq"] == 1
    assert m["senderId"] == cast.ids["ann"] and m["type"] == "text"
    assert m["content"] == {"text": "two"}
    assert m["createdAt"] == ack["createdAt"]
    assert re.match(TIME, m["editedAt"]) and m["deletedAt"] is None
    shown = await cast.get("bob", mid)
    assert shown == r.data["message"]
    for name in set(m):
        assert shown[name] == m[name], name
    assert await previous(cast, "bob", mid) == ["one"]

    # by the other door, and what is the same already is no event
    e = await cast.command("ann2", "edit_message", messageId=mid,
                           content={"text": "three"})
    assert e["event"] == "ack", e
    assert (await cast.told("message_updated"))["seq"] == 3
    r = await cast.edit("ann", mid, "three", 1)
    assert r.data["message"]["content"] == {"text": "three"}
    assert r.data["message"]["editedAt"] > m["editedAt"]
    e = await cast.command("ann", "edit_message", messageId=mid,
                           content={"text": "three"})
    assert e["event"] == "ack", e
    assert await previous(cast, "ann", mid) == ["one", "two"]
    ack = await cast.say("bob", "next")
    assert ack["seq"] == 4
    await cast.said("next")
    await cast.quiet(but=("message_status",))
    await cast.close()


async def test_edits_at_once(stack):
    """No edit is lost: each one is in the history or is what stands."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    seq = 0
    for n in (2, 2, 2, 8):
        seq += 1
        mid = (await cast.say("ann", "first"))["messageId"]
        want = [f"edit {i}" for i in range(n)]
        replies = await asyncio.gather(*(
            cast.edit("ann", mid, t, i % 2) for i, t in enumerate(want)))
        assert [r.status for r in replies] == [200] * n, replies
        events = [await cast.told("message_updated") for _ in want]
        assert [e["seq"] for e in events] == list(range(seq + 1,
                                                        seq + 1 + n))
        seq += n
        came = [e["message"]["content"]["text"] for e in events]
        assert sorted(came) == sorted(want)
        assert await previous(cast, "bob", mid) == ["first", *came[:-1]]
        shown = await cast.get("bob", mid)
        assert shown["content"] == {"text": came[-1]}
        assert shown["editedAt"] == events[-1]["message"]["editedAt"]
    await cast.close()


async def test_edits_and_reactions_at_once(stack):
    """Neither undoes the other: what follows says what stands."""
    cast = await Cast.group(stack, "ann", "bob", "cho")
    await cast.open("ann", "bob")
    mid = (await cast.say("ann", "first"))["messageId"]
    replies = await asyncio.gather(*(
        ask for i in range(4) for ask in (
            cast.edit("ann", mid, f"edit {i}", i % 2),
            cast.react("bob", mid, chr(0x1f600 + i), nginx=i % 2),
            cast.react("cho", mid, chr(0x1f600 + i)))))
    assert [r.status for r in replies] == [200] * 12, replies
    last = {}
    while len(last) < 2 or max(e["seq"] for e in last.values()) < 13:
        e = await cast.ws["bob"].wait(("message_updated",
                                       "reaction_updated"))
        last[e["event"]] = e["data"]
    shown = await cast.get("ann", mid)
    assert len(shown["reactions"]) == 8
    assert last["reaction_updated"]["reactions"] == shown["reactions"]
    assert last["message_updated"]["message"]["content"] == shown["content"]
    assert len(await previous(cast, "ann", mid)) == 4
    await cast.close()


async def test_edit_right_after_sending(stack):
    """The store does not have the message yet: the edit waits for it."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    acks = []
    for i in range(20):
        acks.append(await cast.say("ann", f"m {i}"))
        cast.ws["ann"].send("edit_message", {
            "conversationId": cast.room, "messageId": acks[-1]["messageId"],
            "content": {"text": f"edited {i}"}}, id=f"e{i}")
    for _ in acks:
        e = await cast.ws["ann"].wait(("ack", "error"))
        assert e["event"] == "ack", e
    sent, edited, seqs = {}, {}, []
    while len(edited) < 20:
        e = await cast.ws["bob"].recv()
        seqs.append(e["data"]["seq"])
        m = e["data"]["message"]
        if e["event"] == "message_received":
            sent[m["id"]] = m
        else:
            assert e["event"] == "message_updated", e
            assert m["id"] in sent
            edited[m["id"]] = m["content"]["text"]
    assert seqs == list(range(1, 41))
    assert [edited[a["messageId"]] for a in acks] == [
        f"edited {i}" for i in range(20)]
    rows = cast.rest("bob").history(cast.room)
    assert [m["content"]["text"] for m in rows] == [
        f"edited {i}" for i in range(20)]
    await cast.close()


async def test_only_text_is_edited(stack):
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    r = await cast.do("ann", "POST", "/messages", {
        "type": "sticker",
        "content": {"sticker": {"pack": "cats", "id": "wave_1"}}})
    mid = r.data["message"]["id"]
    (await cast.edit("ann", mid, "no")).refused(409, "conflict")
    e = await cast.command("ann", "edit_message", messageId=mid,
                           content={"text": "no"})
    assert e["event"] == "error" and e["data"]["code"] == "conflict", e
    # nor is what the server itself says
    r = await cast.do("ann", "POST", "/participants",
                      {"userId": unique("cho")})
    assert r.status == 201
    joined = (await received(cast.ws["bob"], 2))[1]["message"]
    assert joined["type"] == "system"
    (await cast.edit("ann", joined["id"], "no")).refused(409, "conflict")
    assert (await cast.get("bob", mid))["editedAt"] is None
    await cast.close()


async def test_last_message_follows(stack):
    """The list of rooms shows what the last message that stands says now."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    acks = [await cast.say(("ann", "bob")[i % 2], f"m {i}")
            for i in range(3)]
    ids = [a["messageId"] for a in acks]

    async def last():
        return (await cast.listed("bob"))["lastMessage"]

    assert (await last())["content"] == "m 2"
    await cast.edit("bob", ids[1], "not the last")
    assert (await last())["content"] == "m 2"
    await cast.edit("ann", ids[2], "the last")
    shown = await last()
    assert shown["content"] == "the last"
    assert shown["sentAt"] == acks[2]["createdAt"]
    await cast.delete("ann", ids[2])
    shown = await last()
    assert shown["content"] == "not the last"
    assert shown["senderId"] == cast.ids["bob"]
    await cast.delete("ann", ids[0])
    assert (await last())["content"] == "not the last"
    await cast.delete("bob", ids[1])
    assert await last() is None
    assert (await cast.shown("bob"))["lastMessage"] is None
    await cast.say("ann", "again")
    assert (await last())["content"] == "again"
    await cast.close()


# ---- deletions ----------------------------------------------------------

async def test_delete(stack):
    """Only that it was there is left, for everybody and everywhere."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "ann2", "bob")
    mid = (await cast.say("ann", "kuala lumpur"))["messageId"]
    reply = (await cast.say("bob", "which?", replyTo=mid))["messageId"]
    await cast.react("bob", mid, THUMB)
    assert (await cast.get("bob", reply))["replyPreview"][
        "text"] == "kuala lumpur"
    assert (await cast.listed("bob"))["unreadCount"] == 1

    r = await cast.delete("ann", mid)
    gone = await cast.told("message_deleted")
    assert gone["seq"] == 4 and gone["messageId"] == mid
    assert gone["deletedBy"] == cast.ids["ann"]
    assert re.match(TIME, gone["deletedAt"])
    m = gone["message"]
    assert m["id"] == mid and m["seq"] == 1
    assert m["content"] == {} and m["reactions"] == []
    assert m["deletedAt"] == gone["deletedAt"]

    shown = await cast.get("bob", mid)
    assert shown == r.data["message"]
    assert shown["content"] == {} and shown["reactions"] == []
    assert shown["deletedAt"] == gone["deletedAt"]
    assert shown["deletedBy"] == cast.ids["ann"]
    row = cast.rest("bob").history(cast.room)[0]
    assert row["content"] == {} and row["deletedAt"] == gone["deletedAt"]
    preview = (await cast.get("ann", reply))["replyPreview"]
    assert preview["text"] == "" and preview["id"] == mid
    assert preview["deletedAt"] == gone["deletedAt"]
    assert (await cast.listed("bob"))["unreadCount"] == 0
    for ask in (cast.do("ann", "GET", f"/messages/{mid}/history"),
                cast.edit("ann", mid, "back"),
                cast.react("bob", mid, THUMB),
                cast.react("bob", mid, THUMB, "DELETE")):
        (await ask).refused(404, "not_found")
    found = await cast.rest("bob").aget("/api/search", q="kuala")
    assert found.data["results"] == []
    await cast.close()


async def test_deleted_text_reaches_nobody(stack):
    """Not from the log, not from the store, not by any door: neither what it
    said last nor what it said before its edits."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    secrets = [unique("geheim") for _ in range(4)]
    await cast.say("ann", "before")
    mid = (await cast.say("ann", secrets[0]))["messageId"]
    await cast.say("bob", "reply", replyTo=mid)
    for i, text in enumerate(secrets[1:3]):
        await cast.edit("ann", mid, text, i % 2)
    await cast.react("bob", mid, THUMB)
    await cast.edit("ann", mid, secrets[3])
    await cast.say("ann", "after")
    assert secrets[3] in await cast.log()       # or the test sees nothing
    await cast.delete("ann", mid)

    async def look(*, resume, compact):
        """One who comes back from the very beginning."""
        ws = await Ws.hello(stack.ws(1), cast.ids["bob"], resume=resume)
        if resume:
            ws.send("resume", {"conversations": {cast.room: 0}})
            joined = (await ws.wait("conversation_joined"))["data"]
        else:
            joined = await join(ws, cast.room, 0)
        assert joined["seq"] == 9
        assert bool(joined.get("compact")) is compact
        texts = {}
        while len(texts) < 3 or "deleted" not in texts:
            e = await ws.recv()
            m = e["data"].get("message")
            if m and m["id"] == mid:
                assert m["content"] == {}, e
                texts["deleted"] = m["deletedAt"]
            elif m:
                texts[m["content"]["text"]] = m
        assert {"before", "reply", "after"} <= set(texts)
        await ws.quiet(0.1, "reaction_updated", "message_received")
        frames = "\n".join(ws.log_lines())
        assert "before" in frames
        assert not [s for s in secrets if s in frames]
        await ws.close()

    for resume in (True, False):
        await look(resume=resume, compact=False)
    log = await cast.log()
    assert "after" in log and not [s for s in secrets if s in log]
    await cast.forget(log_only=True)
    for resume in (True, False):
        await look(resume=resume, compact=True)
    for path in ("", "/messages", f"/messages/{mid}",
                 f"/messages?threadOf={mid}"):
        r = await cast.do("bob", "GET", path)
        assert r.status == 200, r
        assert not [s for s in secrets if s.encode() in r.raw], path
    await cast.close()


async def test_delete_and_edit_at_once(stack):
    """Deleted is deleted, whichever was first; the edit's text is gone from
    the log, too."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    edited = 0
    for i in range(8):
        text = unique("geheim")
        mid = (await cast.say("ann", f"m {i}"))["messageId"]
        asks = [cast.edit("ann", mid, text, i % 2),
                cast.delete("ann", mid, 1 - i % 2)]
        replies = await asyncio.gather(*asks[::1 if i % 3 else -1])
        one, other = replies[::1 if i % 3 else -1]
        assert other.status == 200, other
        gone = await cast.told("message_deleted")
        if one.status == 200:
            edited += 1
            assert (await cast.told("message_updated"))["seq"] == (
                gone["seq"] - 1)
        else:
            one.refused(404, "not_found")
        shown = await cast.get("bob", mid)
        assert shown["content"] == {}
        assert shown["deletedAt"] == gone["deletedAt"]
        assert text not in await cast.log()
    print(f"{edited} of 8 edits came first")
    await cast.quiet(but=("message_received", "message_status"))
    await cast.close()


async def test_deleting_twice(stack):
    """One after the other and at once: one event, both answers good."""
    cast = await Cast.group(stack, "ann", "bob", "tia:tutor")
    await cast.open("ann", "bob")
    first = (await cast.say("ann", "x"))["messageId"]
    second = (await cast.say("ann", "y"))["messageId"]
    for _ in range(2):
        r = await cast.delete("ann", first)
        assert r.data["message"]["content"] == {}
    replies = await asyncio.gather(
        cast.delete("ann", second), cast.delete("tia", second, 1),
        cast.delete("ann", second, 1))
    assert [r.status for r in replies] == [200] * 3
    assert len({r.data["message"]["deletedBy"] for r in replies}) == 1
    e = await cast.command("ann", "delete_message", messageId=second)
    assert e["event"] == "ack", e
    assert [(await cast.told("message_deleted"))["seq"]
            for _ in range(2)] == [3, 4]
    await cast.quiet(but=("message_received",))
    assert (await cast.say("bob", "z"))["seq"] == 5
    await cast.close()


async def test_tutor_deletes_a_students_message(stack):
    cast = await Cast.group(stack, "ann", "bob", "tia:tutor")
    await cast.open("bob", "tia")
    mid = (await cast.say("bob", "rude"))["messageId"]
    e = await cast.command("tia", "delete_message", messageId=mid)
    assert e["event"] == "ack", e
    gone = await cast.told("message_deleted")
    assert gone["deletedBy"] == cast.ids["tia"]
    assert gone["message"]["senderId"] == cast.ids["bob"]
    shown = await cast.get("bob", mid)
    assert shown["deletedBy"] == cast.ids["tia"] and shown["content"] == {}
    await cast.close()


# ---- reactions ----------------------------------------------------------

async def test_reactions(stack):
    """One of a kind and user; adding and removing twice is no event."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "ann2", "bob")
    mid = (await cast.say("ann", "hi"))["messageId"]
    bob, heart = cast.ids["bob"], "\u2764\ufe0f"

    async def stand():
        return [(r["userId"], r["emoji"])
                for r in (await cast.get("ann", mid))["reactions"]]

    r = await cast.react("bob", mid, THUMB)
    data = await cast.told("reaction_updated")
    assert data["seq"] == 2 and data["messageId"] == mid
    assert data["userId"] == bob and data["emoji"] == THUMB
    assert data["action"] == "added"
    assert data["reactions"] == r.data["message"]["reactions"] == [
        {"userId": bob, "emoji": THUMB, "addedAt": data["addedAt"]}]
    assert re.match(TIME, data["addedAt"])
    r = await cast.react("bob", mid, THUMB, nginx=1)
    assert r.data["message"]["reactions"] == data["reactions"]
    e = await cast.command("bob", "add_reaction", messageId=mid,
                           emoji=THUMB)
    assert e["event"] == "ack", e
    await cast.react("bob", mid, heart)
    e = await cast.command("ann", "add_reaction", messageId=mid,
                           emoji=THUMB)
    assert e["event"] == "ack", e
    assert [(await cast.told("reaction_updated"))["seq"]
            for _ in range(2)] == [3, 4]
    assert await stand() == [(bob, THUMB), (bob, heart),
                             (cast.ids["ann"], THUMB)]

    # only one's own goes
    await cast.react("bob", mid, THUMB, "DELETE")
    data = await cast.told("reaction_updated")
    assert data["seq"] == 5 and data["action"] == "removed"
    assert data["userId"] == bob and data["emoji"] == THUMB
    r = await cast.react("bob", mid, THUMB, "DELETE", 1)
    assert r.data["message"]["reactions"] == data["reactions"]
    e = await cast.command("bob", "remove_reaction", messageId=mid,
                           emoji=THUMB)
    assert e["event"] == "ack", e
    assert await stand() == [(bob, heart), (cast.ids["ann"], THUMB)]
    # it is no edit
    shown = await cast.get("bob", mid)
    assert shown["editedAt"] is None
    await cast.quiet(but=("message_received", "message_status"))
    assert (await cast.say("bob", "z"))["seq"] == 6
    await cast.close()


async def test_twenty_react_at_once(stack):
    names = [f"u{chr(97 + i)}" for i in range(20)]
    cast = await Cast.group(stack, "ann", *names)
    await cast.open("ann", "ua")
    mid = (await cast.say("ann", "all of you"))["messageId"]
    replies = await asyncio.gather(*(
        cast.react(n, mid, THUMB, nginx=i % 2)
        for i, n in enumerate(names)))
    assert [r.status for r in replies] == [200] * 20, replies
    events = [await cast.told("reaction_updated") for _ in names]
    assert [e["seq"] for e in events] == list(range(2, 22))
    assert [len(e["reactions"]) for e in events] == list(range(1, 21))
    shown = (await cast.get("ann", mid))["reactions"]
    assert events[-1]["reactions"] == shown
    assert {r["userId"] for r in shown} == {cast.ids[n] for n in names}
    # and all back again
    replies = await asyncio.gather(*(
        cast.react(n, mid, THUMB, "DELETE", i % 2)
        for i, n in enumerate(names)))
    assert [r.status for r in replies] == [200] * 20, replies
    events = [await cast.told("reaction_updated") for _ in names]
    assert events[-1]["reactions"] == []
    assert (await cast.get("ann", mid))["reactions"] == []
    await cast.close()


GOOD = ["\U0001f44d\U0001f3fd",                         # with a skin tone
        "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
        "\U0001f469\U0001f3fb\u200d\u2764\ufe0f\u200d\U0001f48b\u200d"
        "\U0001f468\U0001f3fc",                        # 35 bytes
        "1\ufe0f\u20e3", "#\ufe0f\u20e3", "*\ufe0f\u20e3",      # keycaps
        "\u2764\ufe0f", "\u2764", "\U0001f1ee\U0001f1e9",       # a flag
        "\u00a9\ufe0f", "\u2122", "\u203c\ufe0f", "\u2049\ufe0f",
        "\u3030\ufe0f", "\u3297\ufe0f"]

BAD = ["a", "ok", "12", "1", "#", " ", THUMB + " ", "\n", "\x7f", "\x85",
       "ok" + THUMB, THUMB * 17, "\u00a0", "\u2003", "\u2028", "\u3000",
       "\u202e" + THUMB, "\u2066" + THUMB, "\u200b", "\ufeff"]


async def test_what_is_an_emoji(stack):
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    mid = (await cast.say("ann", "hi"))["messageId"]
    for i, emoji in enumerate(GOOD):
        if i % 2:
            r = await cast.react("bob", mid, emoji)
            assert r.status == 200, (ascii(emoji), r)
        else:
            e = await cast.command("bob", "add_reaction", messageId=mid,
                                   emoji=emoji)
            assert e["event"] == "ack", (ascii(emoji), e)
        data = await cast.told("reaction_updated", "ann")
        assert data["emoji"] == data["reactions"][-1]["emoji"] == emoji
    shown = (await cast.get("ann", mid))["reactions"]
    assert [r["emoji"] for r in shown] == GOOD
    for emoji in GOOD:
        r = await cast.react("bob", mid, emoji, "DELETE")
        assert r.status == 200, (ascii(emoji), r)
    assert r.data["message"]["reactions"] == []

    wrong = []
    for emoji in BAD:
        r = await cast.react("bob", mid, emoji)
        e = await cast.command("bob", "add_reaction", messageId=mid,
                               emoji=emoji)
        if r.status != 400 or r.refused(400, "invalid_request").get(
                "field") != "emoji":
            wrong.append((ascii(emoji), r))
        if e["event"] != "error" or e["data"].get("field") != "emoji" or (
                e["data"]["code"] != "invalid_request"):
            wrong.append((ascii(emoji), e))
    assert wrong == []
    for path in ("%ff", "%f0%9f%91", "%ed%a0%80"):
        r = await cast.do("bob", "PUT", f"/messages/{mid}/reactions/{path}")
        r.refused(400, "invalid_request")
    assert (await cast.get("ann", mid))["reactions"] == []
    await cast.close()


# ---- what somebody writes is only text ----------------------------------

async def test_text_is_no_place_for_the_number(stack):
    """Ids follow one upon the other, and a text that looks like the place where
    an event's number or time goes in stays the text that it is."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    for mark in ('"@seq:{}@', "@seq:{}@", "@at:{}@"):
        for _ in range(3):
            mid = (await cast.say("ann", "one"))["messageId"]
            await cast.told("message_received")
            # the next one that this nginx gives out: that of the edit's call
            now, count = int(mid[:8], 16), int(mid[18:], 16) + 1
            text = mark.format(f"{now:08x}{mid[8:18]}{count & 0xffffff:06x}")
            e = await cast.command("ann", "edit_message", messageId=mid,
                                   content={"text": text})
            assert e["event"] == "ack", e
            m = (await cast.told("message_updated"))["message"]
            assert m["content"] == {"text": text}
            assert (await cast.get("bob", mid))["content"] == {"text": text}
    await cast.close()
