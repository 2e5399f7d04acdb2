"""As many as there may be, and one more: reactions, edits, participants, bytes
of an answer.

Without these one message could grow until no client can take it, somebody
could lose what he said first because of an edit too many, or a room have more
people than its document, its events and its list of who is online are made
for; or a refusal could leave half of a change behind.
"""

import asyncio
import re
from pathlib import Path
from urllib.parse import quote

from harness import tokens
from harness.cast import Cast
from harness.scene import unique

ROOT = Path(__file__).resolve().parents[2]


def limit(name):
    """As the server was built: common/wrt_limits.h."""
    text = (ROOT / "common" / "wrt_limits.h").read_text()
    return int(re.search(rf"^#define {name}\s+(\d+) ", text, re.M)[1])


REACTIONS = limit("WRT_REACTIONS_MAX")
EDITS = limit("WRT_EDITS_MAX")
PEOPLE = limit("WRT_PARTICIPANTS_MAX")


def says(refusal, code, field, most):
    """A refusal of either door: what, of which member, and how many."""
    assert refusal["code"] == code, refusal
    assert refusal["field"] == field, refusal
    assert f"at most {most} " in refusal["message"], refusal


def by_rest(reply, status, code, field, most):
    error = reply.refused(status, code)
    says({**error, "message": reply.json["message"]}, code, field, most)


def by_event(e, code, field, most):
    assert e["event"] == "error", e
    assert e["data"]["retryable"] is False, e
    says(e["data"], code, field, most)


async def standing(cast, mid=None):
    """What the store has of the room, and of a message."""
    await asyncio.to_thread(cast.stack.wait_applied)
    doc = await cast.shown("ann")
    return doc, mid and await cast.get("ann", mid)


async def up_to(cast, event, which):
    """All have had this event, and are done with what came before it."""
    for ws in cast.ws.values():
        await ws.wait(event, where=lambda e: which(e["data"]))
        ws.backlog.clear()


# ---- reactions ----------------------------------------------------------

async def test_reactions(stack):
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    mid = (await cast.say("ann", "x"))["messageId"]
    emoji = [chr(0x1f300 + i) for i in range(REACTIONS + 1)]
    rest = cast.rest("ann")
    path = f"/api/conversations/{cast.room}/messages/{mid}/reactions/"

    for e in emoji[:REACTIONS]:
        r = await rest.acall("PUT", path + quote(e))
        assert r.status == 200, r
    before = await standing(cast, mid)
    assert [r["emoji"] for r in before[1]["reactions"]] == emoji[:REACTIONS]
    await up_to(cast, "reaction_updated",
                lambda d: len(d["reactions"]) == REACTIONS)

    # one more, by all who may, by either door
    for name in ("ann", "bob"):
        by_rest(await cast.react(name, mid, emoji[-1]), 409, "conflict",
                "emoji", REACTIONS)
        by_event(await cast.command(name, "add_reaction", messageId=mid,
                                    emoji=emoji[-1]),
                 "conflict", "emoji", REACTIONS)
    # bob would be the second one with it
    by_rest(await cast.react("bob", mid, emoji[0]), 409, "conflict",
            "emoji", REACTIONS)
    await cast.quiet(but=("user_presence",))
    assert await standing(cast, mid) == before

    # what is there is no more; a place that is free is taken
    assert (await cast.react("ann", mid, emoji[0])).status == 200
    assert await standing(cast, mid) == before
    assert (await cast.react("ann", mid, emoji[0], "DELETE")).status == 200
    e = await cast.command("bob", "add_reaction", messageId=mid,
                           emoji=emoji[-1])
    assert e["event"] == "ack", e
    by_rest(await cast.react("ann", mid, emoji[0]), 409, "conflict",
            "emoji", REACTIONS)
    last = (await standing(cast, mid))[1]["reactions"]
    assert len(last) == REACTIONS
    assert (last[-1]["userId"], last[-1]["emoji"]) == (
        cast.ids["bob"], emoji[-1])
    await cast.close()

test_reactions.limit = 180


# ---- edits --------------------------------------------------------------

async def test_edits(stack):
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann", "bob")
    mid = (await cast.say("ann", "secret 0"))["messageId"]
    for i in range(1, EDITS + 1):
        assert (await cast.edit("ann", mid, f"secret {i}")).status == 200
    before = await standing(cast, mid)

    async def history():
        data = (await cast.do("bob", "GET",
                              f"/messages/{mid}/history")).data
        return [e["previousContent"] for e in data["editHistory"]]
    texts = [f"secret {i}" for i in range(EDITS)]
    assert await history() == texts
    await up_to(cast, "message_updated",
                lambda d: d["message"]["content"]["text"] == f"secret {EDITS}")

    by_rest(await cast.edit("ann", mid, "too many"), 409, "conflict",
            "content.text", EDITS)
    by_event(await cast.command("ann", "edit_message", messageId=mid,
                                content={"text": "too many"}),
             "conflict", "content.text", EDITS)
    await cast.quiet(but=("user_presence",))
    assert await standing(cast, mid) == before
    assert await history() == texts

    # nothing to do is no edit; and all of it can still be deleted
    r = await cast.edit("ann", mid, f"secret {EDITS}")
    assert r.status == 200 and await standing(cast, mid) == before
    assert (await cast.delete("ann", mid)).status == 200
    assert (await cast.told("message_deleted"))["messageId"] == mid
    assert "secret" not in await cast.log()
    await cast.close()

test_edits.limit = 120


# ---- participants -------------------------------------------------------

async def members(cast):
    doc = await cast.shown("ann")
    return {p["userId"] for p in doc["participants"] if not p["leftAt"]}


async def test_participants(stack):
    cast = Cast(stack, ["ann"])
    many = [unique("p") for _ in range(PEOPLE + 1)]

    # a room of that many from the start, but not of one more
    rest = stack.rest(tokens.token(cast.ids["ann"]), 0, "patient")
    for n, ok in ((PEOPLE - 1, True), (PEOPLE, False)):
        r = await rest.acall("POST", "/api/conversations", {
            "type": "group", "title": "All",
            "participantIds": many[:n]}, timeout=40)
        if ok:
            assert r.status == 201, r
            cast.room = r.data["conversation"]["id"]
        else:
            by_rest(r, 400, "invalid_request", "participants", PEOPLE)
    await cast.open("ann")
    before, _ = await standing(cast)
    assert len(before["participants"]) == PEOPLE
    listed = (await cast.rest("ann").aget("/api/conversations")).data
    assert [c["id"] for c in listed["conversations"]] == [cast.room]

    async def add(user, role=None):
        return await cast.do(unique("svc") if role else "ann", "POST",
                             "/participants", {"userId": user}, role=role)
    for role in (None, "admin", "service"):
        by_rest(await add(many[-1], role), 409, "conflict", "userId", PEOPLE)
    await cast.quiet(but=("user_presence",))
    assert (await standing(cast))[0] == before
    assert (await add(many[0])).status == 200      # he is there
    assert (await standing(cast))[0] == before

    # one place, two who want it at the same moment
    r = await cast.do("ann", "DELETE", f"/participants/{many[0]}")
    assert r.status == 200, r
    both = await asyncio.gather(add(many[-1]), add(many[-2]))
    assert sorted(r.status for r in both) == [201, 409], both
    by_rest(next(r for r in both if r.status == 409), 409, "conflict",
            "userId", PEOPLE)
    there = await members(cast)
    assert len(there) == PEOPLE and many[0] not in there
    assert len(there & {many[-1], many[-2]}) == 1
    # and it goes on as a room does
    assert (await cast.say("ann", "x"))["seq"] == 3
    await cast.close()

test_participants.limit = 120


# ---- an answer ----------------------------------------------------------

async def test_answer(stack):
    """More than 8 MB, of characters that take six bytes each in JSON."""
    cast = await Cast.group(stack, "ann", "bob")
    rest = cast.rest("ann")
    path = f"/api/conversations/{cast.room}/messages"
    text = "\x01" * (16 * 1024)
    for _ in range(90):
        r = await rest.acall("POST", path, {"content": {"text": text}})
        assert r.status == 201, r
    (await rest.aget(path + "?limit=90")).refused(413, "too_large")
    r = await rest.aget(path + "?limit=20")
    assert [m["content"]["text"] for m in r.data["messages"]] == [text] * 20
