"""Every row of the table, by each of the people, through both doors.

What is refused must change nothing, reach nobody and say nothing: an answer
about a room that is not one's own is the same, byte by byte, as one about a
room that never was.
"""

import asyncio
import json
import secrets
import urllib.parse

from harness import tokens
from harness.record import record
from harness.scene import unique
from harness.upload import file_form, sample
from harness.ws import Refused, Ws
from table import (ACTORS, ANYWHERE, OUTSIDE, REFUSED, ROOM, ROWS, STAFF,
                   STATES, WRITERS, Form, text)

SERVER = "bulk"         # rate limits are another test
AT_ONCE = 12            # scenes under way
MEMBERS = [a for a in ROOM.split() if a != "creator"] + ["former"]
HEADERS = {"date", "connection", "keep-alive"}      # not about the room


def without_people(value):
    """Without what profiles and presence say, which change by being seen, and
    what the reader has muted, which is no one else's."""
    if isinstance(value, list):
        return [without_people(v) for v in value]
    if isinstance(value, dict):
        return {k: without_people(v) for k, v in value.items()
                if k not in ("user", "sender", "isOnline", "muted",
                             "mutedUntil")}
    return value


class Scene:
    """A room with one of each of the people, and what rows speak of."""

    def __init__(self, stack):
        self.stack = stack
        self.users = {a: unique(a) for a in ACTORS if a != "nobody"}
        self.users["expired"] = self.users["creator"]
        self.socks = {}
        self.node = 0
        self.ids = {"author": self.users["author"], "new": unique("new"),
                    "former": self.users["former"]}

    def token(self, actor):
        if actor == "nobody":
            return None
        return tokens.token(self.users[actor], role=ACTORS[actor][0],
                            ttl=-60 if actor == "expired" else 3600)

    def rest(self, actor):
        return self.stack.rest(self.token(actor), self.node, SERVER)

    async def build(self, *writers):
        """writers: those who have a message of their own."""
        made = await self.rest("creator").acall(
            "POST", "/api/conversations",
            {"type": "group", "title": "Kelas A", "participants": [
                {"userId": self.users[a],
                 "role": "tutor" if a == "tutor" else "student",
                 "permissions": ["read"] if a == "mute" else None}
                for a in MEMBERS]})
        self.ids["room"] = made.data["conversation"]["id"]
        out = await self.do("creator", "DELETE", "/participants/"
                            + self.users["former"])
        assert out.status == 200, out
        self.own = {a: await self.say(a) for a in {"author", *writers}}
        self.ids["theirs"] = self.own["author"]
        return self

    async def add_deleted(self):
        self.ids["deleted"] = await self.say("author")
        gone = await self.do("author", "DELETE",
                             "/messages/" + self.ids["deleted"])
        assert gone.status == 200, gone

    async def add_files(self):
        """A picture that the author sent, and a file that is not ready."""
        kind, body = file_form("shapes.png", sample("shapes.png"))
        r = await self.rest("author").acall(
            "POST", f"/api/conversations/{self.ids['room']}/upload",
            raw=body, headers={"Content-Type": kind})
        self.ids["file"] = r.data["upload"]["id"]
        self.ids["hidden"] = await asyncio.to_thread(
            record, self.stack, self.ids["room"], self.users["author"],
            "scanning")

    async def add_what(self, row):
        """What the row speaks of besides messages."""
        if row.rest and ("{file}" in row.rest[1] or "{hidden}"
                         in row.rest[1]):
            await self.add_files()
        await self.add_deleted()

    async def do(self, actor, method, path, body=None):
        return await self.rest(actor).acall(
            method, f"/api/conversations/{self.ids['room']}{path}", body)

    async def say(self, actor):
        r = await self.do(actor, "POST", "/messages", text("halo"))
        return r.data["message"]["id"]

    async def sock(self, actor):
        if actor not in self.socks:
            self.socks[actor] = await Ws.connect(
                self.stack.ws(self.node, SERVER), self.token(actor),
                name=actor)
            await self.socks[actor].wait("connected")
        return self.socks[actor]

    def fill(self, value, actor, ids):
        """Put ids in."""
        if isinstance(value, str):
            mine = self.own.get(actor, self.own["author"])
            known = {"mine": mine, "me": self.users.get(actor, "nobody"),
                     **ids}
            for name, id in known.items():
                value = value.replace("{%s}" % name, id)
            return value
        if isinstance(value, dict):
            return {self.fill(k, actor, ids): self.fill(v, actor, ids)
                    for k, v in value.items()}
        return value

    async def state(self):
        """All that is known of the room, to see that nothing changed."""
        key, _ = self.stack.conversation_key(self.ids["room"])
        with self.stack.redis_of_room(self.ids["room"]) as c:
            known = c.hgetall(key)
        known.pop("applied")        # the store catches up by itself
        shown = (await self.do("creator", "GET", "")).data["conversation"]
        rows = await self.do("creator", "GET", "/messages?limit=200")
        return known, without_people(shown), without_people(
            rows.data["messages"])

    async def close(self):
        for ws in self.socks.values():
            await ws.close()


class Answer:
    """What one was told: status, code and field, and all of it."""

    def __init__(self, status, code, field, all_of_it):
        self.status = status
        self.code = code
        self.field = field
        self.all = all_of_it

    def __repr__(self):
        return f"{self.status} {self.code} {self.field} {self.all}"


async def by_rest(scene, door, actor, ids, **change):
    method, path, body = door
    if change:
        body = {**(body or {}), **change}
    path = scene.fill(path, actor, ids)
    if isinstance(body, Form):
        kind, raw = body.encode()
        r = await scene.rest(actor).acall(method, path, raw=raw, headers={
            "Content-Type": kind})
    else:
        r = await scene.rest(actor).acall(
            method, path,
            None if body is None else scene.fill(body, actor, ids))
    error = (r.json or {}).get("error", {})
    heads = sorted((k.lower(), v) for k, v in r.headers.items()
                   if k.lower() not in HEADERS)
    assert r.json is None or r.json["success"] is (r.status < 300), r
    assert r.json or r.headers["X-File-Scan-Status"] == "clean", r
    return Answer(r.status, error.get("code"), error.get("field"),
                  json.dumps([r.status, heads,
                              r.raw.decode(errors="replace")]))


async def by_event(scene, door, actor, ids, **change):
    """The answer to an event; its code is REST's."""
    name, data = door
    try:
        ws = await scene.sock(actor)
    except Refused as e:
        return Answer(e.status, e.json["error"]["code"], None, "")
    id = "q" + secrets.token_hex(4)
    data = scene.fill({**data, **change}, actor, ids)
    ws.send(name, data, id=id)

    def mine(e):
        d = e["data"]
        return e["event"] in ("ack", "error", "message_status", "pong") and (
            d.get("id") == id)

    def of_room(e):         # resume is answered for each room it names
        return e["event"] in ("conversation_joined", "error") and (
            e["data"].get("id") == id or e["data"].get("conversationId")
            in data.get("conversations", ()))

    e = await next_of(ws, of_room if name == "resume" else mine)
    d = e["data"]
    if e["event"] == "error":
        assert isinstance(d["message"], str) and d["message"], e
        assert d["retryable"] is False, e
        return Answer(None, d["code"], d.get("field"), json.dumps(
            {**d, "id": "ID" if "id" in d else None}, sort_keys=True))
    return Answer(200, None, None, json.dumps(d, sort_keys=True))


async def next_of(ws, fits):
    """The next event that fits; others are dropped."""
    while True:
        e = await ws.recv()
        if fits(e):
            return e


def doors(row):
    if row.rest:
        yield by_rest, row.rest
    if row.event:
        yield by_event, row.event


def check(what, answer, want):
    status, code = want
    assert answer.code == code, f"{what}: {answer}, not {want}"
    if answer.status is not None and code:
        assert answer.status == status, f"{what}: {answer}, not {want}"
    if code is None:
        assert answer.status in (200, status), f"{what}: {answer}"


def hidden(answer, ids):
    """The answer without the ids that were asked for."""
    out = answer.all
    for id in ids:
        out = out.replace(id, "ID").replace(urllib.parse.quote(id), "ID")
    return out


async def gather(jobs, at_once=AT_ONCE):
    """Some at a time; what is wrong with any of them is told in the end."""
    gate = asyncio.Semaphore(at_once)
    wrong = []

    async def one(job):
        async with gate:
            try:
                return await job
            except AssertionError as e:
                wrong.append(str(e).split("\n")[0])

    out = await asyncio.gather(*[one(j) for j in jobs])
    assert not wrong, "\n".join(sorted(wrong))
    return out


# ---- refused ------------------------------------------------------------

async def refuse(scene, row, ask, door, actor):
    """One thing that one may not do; for those outside also that it is not
    to be told from a room that never was.  Returns how many tries."""
    what = f"{row.name}, {ask.__name__}, {actor}"
    answer = await ask(scene, door, actor, scene.ids)
    check(what, answer, row.expect(actor))
    if actor not in OUTSIDE.split():
        return 1
    nowhere = {k: secrets.token_hex(12)
               for k in ("room", "theirs", "mine", "file", "hidden")}
    never = await ask(scene, door, actor, {**scene.ids, **nowhere})
    known = {*scene.ids.values(), *scene.own.values(), *nowhere.values()}
    assert hidden(answer, known) == hidden(never, known), (
        f"{what}: {answer}, of a room that never was: {never}")
    return 2


async def refuse_all(scene, actor):
    """One after the other: they share a socket."""
    return sum(await gather(
        [refuse(scene, row, ask, door, actor)
         for row in ROWS if row.expect(actor)[1]
         for ask, door in doors(row)], 1))


async def test_who_may_not(stack):
    scene = await Scene(stack).build(*WRITERS.split())
    await scene.add_files()
    witness = await Ws.hello(stack.ws(1, SERVER), scene.users["creator"])
    before = await scene.state()
    tries = await gather([refuse_all(scene, a) for a in ACTORS])
    assert await scene.state() == before
    print(f"{sum(tries)} refusals")
    await witness.quiet(0.2)
    for actor, ws in scene.socks.items():
        if actor in OUTSIDE.split():
            names = {e["event"] for e in ws.pending()}
            assert names <= {"error", "ack"}, (actor, names)
    await witness.close()
    await scene.close()


# ---- allowed ------------------------------------------------------------

async def allow(stack, row, ask, door, actor):
    scene = await Scene(stack).build(
        *([actor] if actor in WRITERS.split() else []))
    await scene.add_what(row)
    if row.name in ("unarchive", "take a reaction back"):
        first = next(r for r in ROWS if r.name == {
            "unarchive": "archive", "take a reaction back": "react"}[
                row.name])
        who = "creator" if row.name == "unarchive" else actor
        check(row.name, await by_rest(scene, first.rest, who, scene.ids),
              (200, None))
    what = f"{row.name}, {ask.__name__}, {actor}"
    before = await scene.state()
    check(what, await ask(scene, door, actor, scene.ids), (row.status, None))
    if actor != "creator" or row.name != "leave":
        after = await scene.state()
        assert (after != before) == row.changes, what
    if row.rest and row.changes:
        again = await by_rest(scene, row.rest, actor, scene.ids)
        assert again.status == row.again, f"{what}, again: {again}"
    await scene.close()


async def test_who_may(stack):
    jobs = [allow(stack, row, ask, door, actor)
            for row in ROWS for ask, door in doors(row)
            for actor in row.ok.split()]
    await gather(jobs)
    print(f"{len(jobs)} allowed")


test_who_may.limit = 120


# ---- wrong fields -------------------------------------------------------

def has(door, name, field, change):
    """Does this door take the field from the body?"""
    if name in ("by_event",):
        return True
    return field.split(".")[0] in (door[2] or {}) or field.split(".")[0] in (
        "type", "clientMessageId", "replyTo", "role", "permissions",
        "avatar", "until")


async def wrong(stack, row, ask, door):
    scene = await Scene(stack).build("creator")
    await scene.add_what(row)
    actor = row.ok.split()[0]
    before = await scene.state()
    n = 0
    for change, field in row.bad:
        if not has(door, ask.__name__, field, change):
            continue
        answer = await ask(scene, door, actor, scene.ids, **change)
        what = f"{row.name}, {ask.__name__}, {change}: {answer}"
        assert answer.code == "invalid_request", what
        assert answer.status in (None, 400), what
        assert answer.field, what
        assert answer.field.split(".")[-1] == field.split(".")[-1] or (
            field.startswith(answer.field)), what
        n += 1
        if n % 8 == 0 and actor in scene.socks:
            # ten bad events close a connection
            await scene.socks.pop(actor).close()
    assert await scene.state() == before
    await scene.close()
    return n


async def test_wrong_types_and_limits(stack):
    """400 with the field's name, and nothing happened."""
    n = await gather([wrong(stack, row, ask, door)
                      for row in [*ROWS, *ANYWHERE] if row.bad
                      for ask, door in doors(row)])
    print(f"{sum(n)} wrong fields")


test_wrong_types_and_limits.limit = 120


# ---- of no room ---------------------------------------------------------

async def test_what_belongs_to_no_room(stack):
    scene = await Scene(stack).build()

    async def one(row, ask, door, actor):
        check(f"{row.name}, {ask.__name__}, {actor}",
              await ask(scene, door, actor, scene.ids), row.expect(actor))

    n = await gather([one(row, ask, door, actor) for row in ANYWHERE
                      for ask, door in doors(row) for actor in ACTORS], 1)
    print(f"{len(n)} of no room")
    await scene.close()


async def test_lists_hold_what_is_ones_own(stack):
    """Lists, counts and searches of those outside have nothing of it."""
    scene = await Scene(stack).build()
    word = "w" + secrets.token_hex(6)
    r = await scene.do("author", "POST", "/messages", text(word))
    seen = {scene.ids["room"], r.data["message"]["id"]}
    for actor in ACTORS:
        if actor in REFUSED or actor in STAFF.split():
            continue
        inside = actor in ROOM.split()
        rest = scene.rest(actor)
        for path in ("/api/conversations", "/api/conversations?archived=true",
                     "/api/unread", f"/api/search?q={word}",
                     f"/api/search?q={word}&from={scene.users['author']}"):
            r = await rest.aget(path)
            assert r.status == 200, r
            there = any(id.encode() in r.raw for id in seen)
            # somebody's leaving is unread to the author, too
            want = inside and "archived" not in path
            assert there == want, (actor, path, r)
    for actor in OUTSIDE.split():
        seen = []
        for room in (scene.ids["room"], secrets.token_hex(12)):
            r = await scene.rest(actor).aget(
                f"/api/search?q={word}&conversationId={room}")
            seen.append((r.status, r.raw.replace(room.encode(), b"ID")))
        assert seen[0] == seen[1], actor
    await scene.close()


# ---- states -------------------------------------------------------------

async def forbidden(scene, s, ask, door):
    answer = await ask(scene, door, s.actor, scene.ids)
    check(f"{s.name}, {ask.__name__}, {s.actor}", answer, s.want)
    if "elsewhere" in str(door):
        # another room's message is like none
        nowhere = secrets.token_hex(12)
        never = await ask(scene, door, s.actor,
                          {**scene.ids, "elsewhere": nowhere})
        known = [nowhere, scene.ids["elsewhere"]]
        assert hidden(answer, known) == hidden(never, known), (s.name, never)


async def test_states_that_forbid(stack):
    scene = await Scene(stack).build("member", "tutor")
    await scene.add_deleted()
    await scene.add_files()
    other = await Scene(stack).build()
    scene.ids["elsewhere"] = other.ids["theirs"]
    n = 0
    for kind in ("nowhere", "deleted", "scanned", "hidden", "archived"):
        if kind == "archived":
            r = await scene.do("creator", "POST", "/archive")
            assert r.status == 200, r
        before = await scene.state(), await other.state()
        n += len(await gather([forbidden(scene, s, ask, door)
                               for s in STATES[kind]
                               for ask, door in doors(s)], 1))
        assert (await scene.state(), await other.state()) == before, kind
    print(f"{n} states")
    await scene.close()


async def test_archived_rooms_do_what_they_may(stack):
    """Read, be told, be renamed, be left, be opened again."""
    scene = await Scene(stack).build()
    assert (await scene.do("tutor", "POST", "/archive")).status == 200
    for actor, method, path, body in [
            ("member", "GET", "/messages", None),
            ("member", "POST", "/read", {"messageId": scene.ids["theirs"]}),
            ("mute", "POST", "/delivered",
             {"messageId": scene.ids["theirs"]}),
            ("tutor", "PATCH", "", {"title": "Old"}),
            ("member", "DELETE", "/participants/" + scene.users["member"],
             None),
            ("creator", "DELETE", "/participants/" + scene.users["mute"],
             None),
            ("creator", "POST", "/unarchive", None)]:
        r = await scene.do(actor, method, path, body)
        assert r.status == 200, (actor, method, path, r)
    await scene.say("author")
    await scene.close()


# ---- direct rooms -------------------------------------------------------

class Direct(Scene):
    """ann and bob."""

    async def build(self):
        self.users = {**self.users, "ann": unique("ann"),
                      "bob": unique("bob")}
        made = await self.rest("ann").acall(
            "POST", "/api/conversations",
            {"type": "direct", "participantIds": [self.users["bob"]]})
        self.ids["direct"] = self.ids["room"] = made.data[
            "conversation"]["id"]
        self.ids["other"] = self.users["bob"]
        self.own = {a: await self.say(a) for a in ("ann", "bob")}
        self.own["author"] = self.own["ann"]
        return self

    def token(self, actor):
        if actor in ("ann", "bob"):
            return tokens.token(self.users[actor])
        return super().token(actor)

    async def state(self):
        shown = await self.do("ann", "GET", "")
        rows = await self.do("ann", "GET", "/messages?limit=200")
        return (without_people(shown.data["conversation"]),
                without_people(rows.data["messages"]))


async def test_direct_rooms_have_two_people(stack):
    scene = await Direct(stack).build()
    before = await scene.state()
    for s in STATES["direct"]:
        for ask, door in doors(s):
            check(s.name, await ask(scene, door, s.actor, scene.ids), s.want)
    for actor in OUTSIDE.split():
        for method, path, body in [
                ("POST", "/block", None), ("DELETE", "/block", None),
                ("GET", "", None), ("PATCH", "", {"title": "x"}),
                ("POST", "/archive", None)]:
            r = await scene.do(actor, method, path, body)
            r.refused(404, "not_found")
    assert await scene.state() == before
    # both may rename and archive it
    for actor in ("ann", "bob"):
        r = await scene.do(actor, "PATCH", "", {"title": actor})
        assert r.data["conversation"]["title"] == actor
    await scene.close()


async def test_block(stack):
    """Who is blocked can not send, type or upload; he reads and sees the
    room, and the one who blocked him goes on; then all is as before."""
    scene = await Direct(stack).build()
    witness = await Ws.hello(stack.ws(1, SERVER), scene.users["ann"])
    r = await scene.do("ann", "POST", "/block")
    for p in r.data["conversation"]["participants"]:
        want = scene.users["ann"] if p["userId"] == scene.users[
            "bob"] else None
        assert p["blockedBy"] == want, p
    assert (await scene.do("ann", "POST", "/block")).status == 200
    changed = await witness.wait("conversation_updated")
    assert changed["data"]["conversationId"] == scene.ids["room"]
    for s in STATES["blocked"]:
        for ask, door in doors(s):
            check(s.name, await ask(scene, door, s.actor, scene.ids), s.want)
    check("typing", await by_event(scene, ("typing", {
        "conversationId": "{direct}", "isTyping": True}), "bob", scene.ids),
        (403, "forbidden"))
    assert (await scene.do("bob", "GET", "/messages")).status == 200
    await scene.say("ann")
    # he can not undo it
    assert (await scene.do("bob", "DELETE", "/block")).status in (200, 403)
    check("still blocked", await by_rest(
        scene, STATES["blocked"][0].rest, "bob", scene.ids),
        (403, "forbidden"))
    await witness.wait("message_received")
    await witness.quiet(0.2)
    assert (await scene.do("ann", "DELETE", "/block")).status == 200
    await scene.say("bob")
    await witness.wait("message_received")
    # a group has no block
    group = await Scene(stack).build()
    r = await group.do("member", "POST", "/block",
                       {"userId": group.users["author"]})
    assert r.status in (400, 409), r
    for x in (scene, group):
        await x.close()
    await witness.close()
