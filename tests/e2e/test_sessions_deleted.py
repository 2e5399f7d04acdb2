"""What is deleted after a session was written up is nowhere in it.

Without these the transcript and the summary would go on quoting a message that
its sender took back, or that has had its time.
"""

import asyncio
import contextlib
import json
import os
import secrets
import signal
from datetime import datetime, timedelta, timezone

from harness import record, tokens
from harness.net import until
from harness.scene import send, uniques
from harness.ws import Ws
from test_sessions import Consult, put_session, said, verify

NOTES = "wrt:sessions:redact"


@contextlib.contextmanager
def stopped(stack, role):
    """The processes of a role do nothing meanwhile."""
    pids = stack.worker.role(role)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class Talk(Consult):
    """A consultation with a message that its summary quotes."""

    @classmethod
    async def ended(cls, stack, **more):
        c = await cls.confirmed(stack, **more)
        c.marker = "q" + secrets.token_hex(6)
        ani, tia = await c.sockets()
        assert (await c.call("/start")).status == 200
        await said(ani, c, "Selamat pagi, berapa responden untuk kuesioner?")
        ack = await send(tia, c.room, f"Tolong kirim {c.marker} besok.")
        c.quoted = ack["messageId"]
        await said(ani, c, "Baik, saya akan kirim kuesioner besok.")
        r = await c.call("/end")
        assert r.status == 200, r
        c.session = r.data["session"]
        assert c.marker in " ".join(c.session["summary"]["actionItems"])
        assert c.marker in c.session["summary"]["sessionNotes"]
        c.entries = await c.read()
        assert c.marker in json.dumps(c.entries)
        for ws in (ani, tia):
            await ws.close()
        return c

    async def read(self):
        r = await self.call("/transcript", by=self.student, method="GET")
        assert r.status == 200, r
        self.text, self.head = r.data["content"], r.data["head"]
        return json.loads(self.text)["entries"]

    async def delete(self):
        r = await self.rest(*self.tutor).acall(
            "DELETE", f"/api/conversations/{self.room}/messages/"
            + self.quoted)
        assert r.status == 200, r

    def written_up(self):
        with self.stack.open_store() as db:
            return db.written_up(self.room)

    async def is_clean(self, tmp_path):
        """As everybody sees it: nothing of the message, all of the rest."""
        now = await self.read()
        r = await self.call("/summary", by=self.student, method="GET")
        session = r.data["session"]
        markdown = await self.call("/transcript", by=self.student,
                                   method="GET", format="markdown")
        listed = await self.rest(*self.student).aget(
            "/api/sessions", conversationId=self.room)
        shown = await self.call("", by=self.student, method="GET")
        own = await self.rest(*self.student).aget(
            f"/api/sessions/{session['id']}")
        for answer in (r, markdown, listed, shown, own):
            assert answer.status == 200, answer
            assert self.marker not in json.dumps(answer.data)
        assert self.marker not in self.text

        assert self.head == self.session["transcript"]["head"]
        assert session["transcript"]["head"] == self.head
        code, out = verify(self.stack, tmp_path, self.text, self.head)
        assert code == 0 and "intact" in out, out
        gone = []
        assert len(now) == len(self.entries)
        for a, b in zip(self.entries, now):
            if a != b:
                assert b == {**a, "content": None, "salt": None}
                gone.append(a.get("messageId", a["kind"]))
        assert gone == [self.quoted, "closed"]

        was = self.session
        for key in ("analytics", "participants", "duration", "startTime",
                    "endTime", "title", "context"):
            assert session[key] == was[key], key
        for key in ("totalMessages", "filesShared"):
            assert r.data["summary"][key] == was["summary"][key]
        assert any("saya akan kirim kuesioner" in i
                   for i in r.data["summary"]["actionItems"])
        return True


async def no_notes(stack):
    """The janitor has nothing left to look at."""
    def none():
        with stack.redis_client() as redis:
            return redis.zcard(NOTES) == 0
    await until(lambda: asyncio.to_thread(none), "no note is left", 40)


async def forgotten(c):
    """The tutor is, everywhere."""
    async def erased():
        r = await c.rest("adm", "admin").aget(
            "/api/admin/audit", target=c.tia, action="user_erased")
        return r.data["audit"]
    await until(erased, "nothing of him to be left", 40)


async def test_deleted(make_stack, tmp_path):
    """By who asks first, while nobody else does it; then by the janitor."""
    stack = make_stack(nginx=2)
    for asked in (True, False):
        c = await Talk.ended(stack)
        with stopped(stack, "janitor") if asked else \
                contextlib.nullcontext():
            await c.delete()
            if asked:
                await c.is_clean(tmp_path)

        async def clean(c=c):
            return c.marker not in await asyncio.to_thread(c.written_up)
        await until(clean, "the store has nothing of it", 30)
        await no_notes(stack)
        await c.is_clean(tmp_path)


async def test_first_answers(make_stack):
    """Whichever route is asked first, and whoever asks at the same time; the
    notes are on another server than half of the rooms."""
    stack = make_stack(nginx=2, redis=2)
    with stopped(stack, "janitor"):
        for path in ("/consultations/{n}", "/consultations/{n}/summary",
                     "/consultations/{n}/transcript", "/sessions/{s}",
                     "/sessions/{s}/transcript?format=markdown",
                     "/sessions?conversationId={r}", "/sessions"):
            c = await Talk.ended(stack)
            await c.delete()
            path = "/api" + path.format(n=c.number, s=c.session["id"],
                                        r=c.room)
            replies = await asyncio.gather(*(
                c.rest(*c.student, nginx=i % 2).aget(path)
                for i in range(6)))
            for r in replies:
                assert r.status == 200, (path, r)
                assert c.marker not in json.dumps(r.data), path
                assert c.session["id"] in json.dumps(r.data)
        r = await c.rest("adm", "admin").aget("/api/sessions", limit=100)
        assert c.marker not in json.dumps(r.data)
    await no_notes(stack)


async def test_many_ask(make_stack):
    """Of one process, while the store is late: it is made anew once, else so
    many transcripts would wait in Redis."""
    stack = make_stack(nginx=2, env={"WORKERS": "1"})
    c = await Talk.ended(stack)
    _, tag = stack.conversation_key(c.room)

    def queued():
        with stack.redis_of_room(c.room) as redis:
            return sum(json.loads(p.split("\n", 1)[1])["op"] == "put"
                       for _, entry in redis.xrange(f"{tag}:ingest")
                       for p in [entry["p"]] if p.startswith("g "))
    with stopped(stack, "janitor"):
        await c.delete()
        with stopped(stack, "projector"):
            asked = [asyncio.create_task(c.call(
                "/summary", by=c.student, method="GET")) for _ in range(4)]

            async def parked():
                with stack.redis_client() as redis:
                    return queued() and redis.xpending(
                        "wrt:rpc", "api")["pending"] == len(asked)
            await until(parked, "all to be in hand")
            await asyncio.sleep(0.5)
            assert queued() == 1
        for r in await asyncio.gather(*asked):
            assert r.status == 200 and c.marker not in json.dumps(r.data), r
    await no_notes(stack)


async def test_expired(make_stack, tmp_path):
    """The same of what has had its time."""
    stack = make_stack(nginx=2, env={"RETENTION_S": "1"})
    c = await Talk.ended(stack, settings={"retention": 30})
    await asyncio.to_thread(stack.wait_applied)
    r = await c.rest(*c.student).aget(
        f"/api/conversations/{c.room}/messages")
    ids = {m["seq"]: m["id"] for m in r.data["messages"]}
    first = [ids[seq] for seq in sorted(ids)]
    old = first[:first.index(c.quoted) + 1]
    with stack.open_store() as db:
        await asyncio.to_thread(db.age, c.room, 31, old)

    async def gone():
        return c.marker not in await asyncio.to_thread(c.written_up)
    await until(gone, "the store has nothing of it", 30)
    now = await c.read()
    assert [e.get("messageId", e["kind"]) for e in now
            if e["content"] is None] == old + ["closed"]
    assert c.head == c.session["transcript"]["head"]
    code, out = verify(stack, tmp_path, c.text, c.head)
    assert code == 0 and "intact" in out, out
    r = await c.call("/summary", by=c.student, method="GET")
    assert r.data["analytics"] == c.session["analytics"]
    assert any("saya akan kirim kuesioner" in i
               for i in r.data["summary"]["actionItems"])
    assert c.marker not in json.dumps(r.data)

    # and when nothing is left
    with stack.open_store() as db:
        await asyncio.to_thread(db.age, c.room, 31,
                                [i for i in first if i not in old])

    async def empty():
        r = await c.call("/summary", by=c.student, method="GET")
        return r.data["summary"]["actionItems"] == [] and r
    r = await until(empty, "nothing to quote", 30)
    assert r.data["summary"] == {
        **c.session["summary"], "keyTopics": [], "actionItems": [],
        "actionDetails": [], "unansweredQuestions": [], "sessionNotes": ""}
    assert r.data["analytics"] == c.session["analytics"]
    await no_notes(stack)


async def test_killed_between(make_stack, tmp_path):
    """The pool dies before anybody has looked."""
    stack = make_stack(nginx=2)
    c = await Talk.ended(stack)
    with stopped(stack, "janitor"):
        await c.delete()
        stack.worker.kill()
    stack.worker.start()

    async def clean():
        return c.marker not in await asyncio.to_thread(c.written_up)
    await until(clean, "the store has nothing of it", 40)
    await c.is_clean(tmp_path)
    await no_notes(stack)


async def general(stack, marker):
    """A room, the id of a message in it, its session by silence."""
    ani, bob = uniques("ani", "bob")
    ws = await Ws.hello(stack.ws(), ani)
    r = await stack.rest(tokens.token(ani)).acall(
        "POST", "/api/conversations", {"type": "group",
                                       "participantIds": [bob]})
    room = r.data["conversation"]["id"]
    await send(ws, room, "Tolong kirim kuesioner besok.")
    mid = (await send(ws, room, f"Jangan lupa {marker} besok."))["messageId"]
    await ws.close()
    rest = stack.rest(tokens.token(ani))

    async def completed():
        r = await rest.aget("/api/sessions", conversationId=room)
        return [s for s in r.data["sessions"] if s["status"] == "completed"]
    session, = await until(completed, "the session", 30)
    assert marker in json.dumps(session["summary"])
    return room, mid, rest, session


async def test_general(make_stack):
    """Of a session by silence no transcript is kept, but a summary."""
    stack = make_stack(env={"SESSION_GAP_S": "3"})
    marker = "q" + secrets.token_hex(6)
    room, mid, rest, was = await general(stack, marker)
    with stopped(stack, "janitor"):
        r = await rest.acall("DELETE",
                             f"/api/conversations/{room}/messages/{mid}")
        assert r.status == 200, r
        for path in (f"/sessions?conversationId={room}",
                     f"/sessions/{was['id']}",
                     f"/sessions/{was['id']}/transcript"):
            r = await rest.aget("/api" + path)
            assert r.status == 200 and marker not in json.dumps(r.data), r
    r = await rest.aget(f"/api/sessions/{was['id']}")
    assert r.data["summary"]["actionItems"] == [
        "Tolong kirim kuesioner besok."]
    assert r.data["session"]["rev"] == was["rev"] + 1
    assert r.data["session"]["participants"] == was["participants"]
    await no_notes(stack)

    # one that was being written up when the message was deleted, and comes
    # after everybody has looked
    put_session(stack, room, {
        **was, "id": "0" * 24, "rev": 2,
        "startTime": was["endTime"], "ratings": [],
        "analytics": {}})

    async def clean():
        with stack.open_store() as db:
            return marker not in db.written_up(room)
    await asyncio.to_thread(record.drained, stack, room)
    await until(clean, "nothing of it", 30)
    await no_notes(stack)


async def being_written(stack, c):
    """As if its session had ended just now; the record that then comes from
    who writes it up, and has read everything."""
    done = c.session
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    put_session(stack, c.room, {**done, "rev": done["rev"] + 1,
                                "status": "ended", "endTime": now})
    await asyncio.to_thread(record.drained, stack, c.room)
    return {**done, "rev": done["rev"] + 2}


async def test_written_up_meanwhile(make_stack):
    """Who writes it up has read the message before it was deleted."""
    stack = make_stack(nginx=2)
    c = await Talk.ended(stack)
    late = await being_written(stack, c)
    await c.delete()
    await asyncio.sleep(3)          # everybody has looked
    put_session(stack, c.room, late)
    await asyncio.to_thread(record.drained, stack, c.room)
    r = await c.call("/summary", method="GET")
    assert r.data["session"]["status"] == "completed"
    assert c.marker not in json.dumps(r.data)
    assert c.marker not in json.dumps(await c.read())
    await no_notes(stack)


async def test_erased_with_his_comment(make_stack):
    """What somebody said of a session is not kept with what it was."""
    stack = make_stack(nginx=2)
    c = await Talk.ended(stack)
    r = await c.call("/satisfaction", {
        "rating": 4, "comment": f"{c.marker} was a good idea"}, by=c.tutor)
    assert r.status == 201, r
    r = await c.rest("adm", "admin").acall(
        "POST", f"/api/admin/users/{c.tia}/erase")
    assert r.status == 202, r
    await forgotten(c)
    await asyncio.to_thread(record.drained, stack, c.room)
    left = await asyncio.to_thread(c.written_up)
    assert c.marker not in left and c.tia not in left
    r = await c.call("/summary", by=c.student, method="GET")
    assert r.data["analytics"]["satisfaction"] == 4


async def test_erased_meanwhile(make_stack, tmp_path):
    """Who writes it up has read what somebody said before he was forgotten."""
    stack = make_stack(nginx=2)
    c = await Talk.ended(stack)
    late = await being_written(stack, c)
    r = await c.rest("adm", "admin").acall(
        "POST", f"/api/admin/users/{c.tia}/erase")
    assert r.status == 202, r

    async def scrubbed():
        r = await c.rest(*c.student).aget(
            f"/api/conversations/{c.room}/messages/{c.quoted}")
        return r.data["message"]["content"] == {}
    await until(scrubbed, "what he said to be gone", 30)
    await asyncio.sleep(2)          # and all else that can be by now
    put_session(stack, c.room, late)
    await forgotten(c)
    await asyncio.to_thread(record.drained, stack, c.room)
    left = await asyncio.to_thread(c.written_up)
    assert c.marker not in left and c.tia not in left
    await c.read()
    code, out = verify(stack, tmp_path, c.text, late["transcript"]["head"])
    assert code == 0 and "intact" in out, out


async def test_never_stored(make_stack):
    """Sessions that can never be written up hold up nobody."""
    stack = make_stack(nginx=2)
    c = await Consult.confirmed(stack)
    ani, tia = await c.sockets()
    await c.call("/start")
    await said(ani, c, "Tolong kirim kuesioner besok.")
    session = (await c.call("", method="GET")).data["session"]

    def before(minutes):
        at = datetime.now(timezone.utc) - timedelta(minutes=minutes)
        return (at.strftime("%Y-%m-%dT%H:%M:%S.")
                + f"{at.microsecond // 1000:03}Z")
    _, tag = stack.conversation_key(c.room)
    with stack.redis_client() as redis:
        for i in range(5):
            nowhere = {**session, "id": f"{i:024x}", "rev": 2,
                       "conversationId": f"nowhere-{i}",
                       "consultationId": None, "status": "ended", "endSeq": 2,
                       "startTime": before(90), "endTime": before(60)}
            redis.xadd(f"{tag}:ingest", {
                "c": f"nowhere-{i}", "x": "", "p": "g 0 - -\n" + json.dumps(
                    {"op": "put", "session": nowhere})})
    put_session(stack, c.room, {**session, "rev": 2, "status": "ended",
                                "endSeq": 2, "endTime": before(0)})

    async def completed():
        r = await c.call("/summary", method="GET")
        return r.data["session"]["status"] == "completed"
    await until(completed, "the summary", 60)
    for ws in (ani, tia):
        await ws.close()


for slow in (test_deleted, test_first_answers, test_expired,
             test_killed_between, test_general, test_never_stored):
    slow.limit = 120
