"""Consultations from their confirmation to their summary.

Without these a consultation that is started twice could have two sessions, a
message into a room that has ended be accepted and seen by nobody, and a
transcript say something else than what was said.
"""

import asyncio
import json
import os
import signal
import subprocess

import pytest

from harness import record, rpc, tokens, upload
from harness.net import until, wait_until
from harness.scene import join, message, send, unique, uniques
from harness.ws import Ws

SERVICE = ("lms", "service")


class Consult:
    """A consultation of a student and a tutor, and who is there."""

    def __init__(self, stack):
        self.stack = stack
        self.ani, self.tia = uniques("ani", "tia")
        self.number = unique("consult")
        self.room = None

    def rest(self, user, role, nginx=0):
        return self.stack.rest(tokens.token(user, role=role), nginx)

    async def call(self, what, body=None, by=SERVICE, nginx=0, method="POST",
                   **query):
        return await self.rest(*by, nginx).acall(
            method, f"/api/consultations/{self.number}{what}", body,
            query=query or None)

    @classmethod
    async def confirmed(cls, stack, **more):
        c = cls(stack)
        r = await c.call("/confirm", {
            "title": "Thesis", "topic": "Bab 3", "participants": [
                {"userId": c.ani, "role": "student"},
                {"userId": c.tia, "role": "tutor"}], **more})
        assert r.status == 201, r
        c.room = r.data["conversation"]["id"]
        return c

    async def sockets(self):
        return [await Ws.hello(self.stack.ws(i), user, role=role)
                for i, (user, role) in enumerate(
                    ((self.ani, "student"), (self.tia, "tutor")))]

    @property
    def student(self):
        return self.ani, "student"

    @property
    def tutor(self):
        return self.tia, "tutor"

    async def conversation(self):
        r = await self.rest(*SERVICE).aget(f"/api/conversations/{self.room}")
        return r.data["conversation"]


async def said(ws, c, *texts):
    for text in texts:
        await send(ws, c.room, text)


async def test_the_flow(stack):
    """Confirmed, invited, joined, started, talked, ended, archived with a
    summary."""
    probe = Consult(stack)
    ani, tia = [await Ws.hello(stack.ws(i), user, role=role)
                for i, (user, role) in enumerate((probe.student,
                                                  probe.tutor))]
    c = probe
    r = await c.call("/confirm", {
        "title": "Thesis", "topic": "Bab 3: metode",
        "scheduledAt": "2026-12-01T03:00:00Z",
        "settings": {"autoArchive": True}, "participants": [
            {"userId": c.ani, "role": "student"},
            {"userId": c.tia, "role": "tutor"}]})
    c.room = r.data["conversation"]["id"]
    assert r.data["conversation"]["consultationStatus"] == "confirmed"
    for ws in (ani, tia):
        e = await ws.wait("conversation_created")
        assert e["data"]["conversation"]["consultationId"] == c.number
        await join(ws, c.room)

    r = await c.call("/start", by=c.tutor)
    assert r.status == 200, r
    session = r.data["session"]
    assert session["status"] == "active" and session["endTime"] is None
    assert session["consultationId"] == c.number
    assert {p["userId"] for p in session["participants"]} == {c.ani, c.tia}
    assert r.data["conversation"]["sessionId"] == session["id"]
    for ws in (ani, tia):
        e = await ws.wait("message_received")
        m = e["data"]["message"]
        assert m["type"] == "system" and m["senderId"] == c.tia
        assert m["content"]["systemMessage"] == {
            "action": "consultation_started",
            "data": {"consultationId": c.number, "sessionId": session["id"]}}
        assert m["consultationId"] == c.number
        assert e["data"]["seq"] == session["startSeq"] == 1

    await said(ani, c, "Selamat pagi, berapa responden untuk kuesioner?")
    await asyncio.sleep(0.02)           # an answer takes time
    await said(tia, c, "Kuesioner perlu 150 responden.",
               "Tolong kirim kuesioner besok.")
    await said(ani, c, "Baik, saya akan kirim kuesioner besok.")
    e = await tia.wait("message_received")
    assert e["data"]["message"]["consultationId"] == c.number

    r = await c.call("/end")
    assert r.status == 200, r
    session = r.data["session"]
    assert session["status"] == "completed"
    assert session["endSeq"] == 6 and session["endTime"]
    assert r.data["conversation"]["isArchived"] is True
    assert r.data["conversation"]["sessionId"] is None
    assert r.data["conversation"]["consultationStatus"] == "ended"
    for ws in (ani, tia):
        e = await ws.wait("conversation_updated")
        told = e["data"]["conversation"]
        assert e["data"]["seq"] == 6
        assert told["isArchived"] and told["sessionId"] is None
        assert told["consultationStatus"] == "ended"

    for who in (c.student, c.tutor, SERVICE):
        r = await c.call("/summary", by=who, method="GET")
        assert r.status == 200, r
        summary = r.data["summary"]
        assert summary["totalMessages"] == 4
        assert "responden" in summary["keyTopics"]
        assert any("kirim kuesioner" in i for i in summary["actionItems"])
        assert r.data["analytics"]["responseTime"] > 0
        people = {p["userId"]: p for p in r.data["session"]["participants"]}
        assert people[c.ani]["messageCount"] == 2
        assert people[c.tia]["messageCount"] == 2
        for p in people.values():
            assert session["startTime"] <= p["joinedAt"] <= p["leftAt"]
            assert p["leftAt"] == session["endTime"]

    # never accepted and unseen
    ani.send("send_message", message(c.room, "one more", "late"), id="late")
    e = await ani.wait("error")
    assert e["data"]["code"] == "conversation_archived"
    for ws in (ani, tia):
        await ws.close()


async def test_what_history_says(stack):
    """Messages carry their consultation; a follow-up has its own."""
    c = await Consult.confirmed(stack)
    ani, tia = await c.sockets()
    await said(ani, c, "before")
    await c.call("/start", by=c.tutor)
    await said(tia, c, "in it")
    assert (await c.call("/end", by=c.tutor)).status == 200

    second = unique("consult")
    r = await c.rest(*SERVICE).acall(
        "POST", f"/api/consultations/{second}/confirm",
        {"conversationId": c.room, "topic": "Bab 4"})
    assert r.status == 200, r
    room = r.data["conversation"]
    assert room["id"] == c.room and room["consultationId"] == second
    assert room["context"] == {"topic": "Bab 4"}
    r = await c.rest(*SERVICE).acall(
        "POST", f"/api/consultations/{second}/confirm", {})
    assert r.status == 200 and r.data["conversation"]["id"] == c.room
    await said(ani, c, "after")
    r = await c.rest(*c.student).acall(
        "POST", f"/api/conversations/{c.room}/messages",
        {"content": {"text": "by REST"}})
    assert r.data["message"]["consultationId"] == second
    (await c.call("/start", by=c.tutor)).refused(409, "conflict")

    def by_number(list):
        return [(m["content"].get("text") or "*", m["consultationId"])
                for m in list]
    whole = c.rest(*c.student).history(c.room)
    assert by_number(whole) == [
        ("before", c.number), ("*", c.number), ("in it", c.number),
        ("after", second), ("by REST", second)]
    for number, texts in ((c.number, ["in it", "*", "before"]),
                          (second, ["by REST", "after"])):
        r = await c.rest(*c.student).aget(
            f"/api/consultations/{number}/messages")
        assert [t for t, _ in by_number(r.data["messages"])] == texts
        assert r.data["pagination"]["hasMore"] is False
    r = await c.rest(*c.student).aget(
        f"/api/consultations/{c.number}/messages", limit=2)
    assert [t for t, _ in by_number(r.data["messages"])] == ["*", "before"]
    assert r.data["pagination"]["hasMore"] is True
    r = await c.rest(*c.student).aget("/api/search", q="after")
    assert r.data["results"][0]["message"]["consultationId"] == second

    # and a session of its own in the same room
    r = await c.rest(*SERVICE).acall(
        "POST", f"/api/consultations/{second}/start")
    assert r.status == 200, r
    r = await c.rest(*SERVICE).acall(
        "POST", f"/api/consultations/{second}/end")
    r = await c.rest(*c.student).aget("/api/sessions", conversationId=c.room)
    assert [s["consultationId"] for s in r.data["sessions"]] == [
        second, c.number]
    assert r.data["pagination"]["total"] == 2
    r = await c.rest(*c.student).aget("/api/sessions",
                                      consultationId=c.number)
    assert len(r.data["sessions"]) == 1
    for ws in (ani, tia):
        await ws.close()


async def test_at_once(stack):
    """Started and ended from many sides at the same time: one session."""
    c = await Consult.confirmed(stack)
    ani, tia = await c.sockets()
    for what, status in (("/start", "active"), ("/end", "completed")):
        replies = await asyncio.gather(*(
            c.call(what, by=(SERVICE, c.tutor)[i % 2], nginx=i % 2)
            for i in range(10)))
        assert [r.status for r in replies] == [200] * 10, replies
        assert len({r.data["session"]["id"] for r in replies}) == 1
        assert {r.data["session"]["status"] for r in replies} == {status}
    assert len(c.rest(*c.student).history(c.room)) == 1
    r = await c.rest(*c.student).aget("/api/sessions", conversationId=c.room)
    assert r.data["pagination"]["total"] == 1
    for ws in (ani, tia):
        await ws.wait("message_received")
        await ws.wait("conversation_updated")
        await ws.quiet(0.3, "user_presence", "conversation_created")
        await ws.close()


async def test_off(stack):
    """Cancelled, put off, confirmed again; nobody came."""
    c = await Consult.confirmed(stack, settings={"autoArchive": True},
                                scheduledAt="2026-12-01T03:00:00Z")
    (await c.call("/end")).refused(409, "conflict")
    r = await c.call("/reschedule", {"scheduledAt": "2026-12-02T04:00:00Z"})
    assert r.status == 200, r
    assert r.data["conversation"]["context"] == {
        "topic": "Bab 3", "scheduledAt": "2026-12-02T04:00:00.000Z"}
    assert (await c.call("/reschedule", {})).status == 200
    (await c.call("/reschedule", {"scheduledAt": "soon"})).refused(
        400, "invalid_request")
    for _ in range(2):
        r = await c.call("/cancel")
        assert r.status == 200
        assert r.data["conversation"]["consultationStatus"] == "cancelled"
        assert r.data["conversation"]["isArchived"] is True
    (await c.call("/start")).refused(409, "conflict")
    r = await c.call("/confirm", {"topic": "Bab 5"})
    assert r.status == 200, r
    room = r.data["conversation"]
    assert room["consultationStatus"] == "confirmed"
    assert room["isArchived"] is False
    assert room["context"]["topic"] == "Bab 5"
    assert room["context"]["scheduledAt"] == "2026-12-02T04:00:00.000Z"
    r = await c.call("/no-show")
    assert r.data["conversation"]["consultationStatus"] == "no_show"
    r = await c.call("", by=c.student, method="GET")
    assert r.data["conversation"]["consultationStatus"] == "no_show"
    assert r.data["session"] is None
    (await c.call("/summary", method="GET")).refused(404, "not_found")


async def test_reopened_by_a_message(stack):
    """As the room's settings say: a message reopens it, and is seen."""
    c = await Consult.confirmed(stack, settings={
        "autoArchive": True, "reopenOnMessage": True})
    ani, tia = await c.sockets()
    await c.call("/start")
    r = await c.call("/end")
    assert r.data["conversation"]["isArchived"] is True
    for ws in (ani, tia):
        await ws.wait("conversation_updated")
    ack = await send(ani, c.room, "thank you")
    assert ack["seq"] == 4
    e = await tia.wait("conversation_updated")
    assert e["data"]["seq"] == 3 and e["data"]["updatedBy"] == c.ani
    assert e["data"]["conversation"]["isArchived"] is False
    await tia.wait("message_received", where=lambda e: e["data"]["seq"] == 4)
    assert (await c.conversation())["isArchived"] is False
    # and the setting can be taken back
    await c.rest(*c.tutor).acall(
        "POST", f"/api/conversations/{c.room}/archive")
    r = await c.rest(*c.tutor).acall(
        "PATCH", f"/api/conversations/{c.room}",
        {"settings": {"reopenOnMessage": False}})
    assert r.status == 200, r
    ani.send("send_message", message(c.room, "again", "x"), id="x")
    e = await ani.wait("error")
    assert e["data"]["code"] == "conversation_archived"
    # started again: it opens by itself, with another session
    r = await c.call("/start")
    assert r.status == 200 and r.data["conversation"]["isArchived"] is False
    r = await c.rest(*c.student).aget("/api/sessions", conversationId=c.room)
    assert [s["status"] for s in r.data["sessions"]] == ["active",
                                                         "completed"]
    for ws in (ani, tia):
        await ws.close()


async def test_who_may(stack):
    c = await Consult.confirmed(stack)
    stranger = unique("eve")
    for what in ("/start", "/end", "/cancel", "/no-show", "/reschedule"):
        (await c.call(what, by=c.student)).refused(403, "forbidden")
        (await c.call(what, by=(stranger, "tutor"))).refused(404, "not_found")
        (await c.rest(*SERVICE).acall(
            "POST", f"/api/consultations/{unique('no')}{what}")).refused(
                404, "not_found")
    session = (await c.call("/start")).data["session"]["id"]
    for path in (f"/consultations/{c.number}",
                 f"/consultations/{c.number}/summary",
                 f"/consultations/{c.number}/messages",
                 f"/consultations/{c.number}/transcript",
                 f"/sessions/{session}", f"/sessions/{session}/transcript",
                 f"/sessions?conversationId={c.room}"):
        (await c.rest(stranger, "student").aget("/api" + path)).refused(
            404, "not_found")
    for by in ((stranger, "student"), (stranger, "tutor")):
        r = await c.rest(*by).aget("/api/sessions")
        assert r.data["sessions"] == []
        (await c.call("/satisfaction", {"rating": 5}, by=by)).refused(
            404, "not_found")
    (await c.call("/satisfaction", {"rating": 5}, by=SERVICE)).refused(
        403, "forbidden")
    (await c.call("/satisfaction", {"rating": 5}, by=c.student)).refused(
        409, "conflict")


async def test_satisfaction(stack):
    """Each participant once; the mean is in the analytics."""
    c = await Consult.confirmed(stack)
    await c.call("/start")
    await c.call("/end")
    for wrong in ({}, {"rating": 0}, {"rating": 6}, {"rating": "5"},
                  {"rating": 4.5}, {"rating": 4, "comment": 7}):
        (await c.call("/satisfaction", wrong, by=c.student)).refused(
            400, "invalid_request")
    r = await c.call("/satisfaction", {"rating": 5, "comment": "good"},
                     by=c.student)
    assert r.status == 201, r
    assert r.data["analytics"]["satisfaction"] == 5
    (await c.call("/satisfaction", {"rating": 1}, by=c.student)).refused(
        409, "conflict")
    r = await c.call("/satisfaction", {"rating": 2}, by=c.tutor)
    assert r.data["analytics"]["satisfaction"] == 3.5
    r = await c.call("/summary", by=c.tutor, method="GET")
    assert r.data["analytics"]["satisfaction"] == 3.5
    assert {x["userId"]: x["rating"] for x in r.data["session"]["ratings"]
            } == {c.ani: 5, c.tia: 2}


async def test_two_ratings_of_one_person_at_once(make_stack):
    """Who is thanked reads what he said; the other one is told."""
    stack = make_stack()
    c = await Consult.confirmed(stack)
    await c.call("/start")
    await c.call("/end")
    go_on = upload.hold(stack.worker.role("projector"))
    calls = [asyncio.create_task(c.call("/satisfaction", {"rating": n},
                                        by=c.student)) for n in (5, 1)]
    _, tag = stack.conversation_key(c.room)

    async def queued():
        with stack.redis_client() as redis:
            return str(redis.xrange(f"{tag}:ingest")).count('"op":"rate"') == 2
    await until(queued, "both ratings to be put down")
    go_on()
    answers = await asyncio.gather(*calls)
    assert sorted(r.status for r in answers) == [201, 409], answers
    for n, r in zip((5, 1), answers):
        if r.status == 201:
            assert r.data["session"]["ratings"][0]["rating"] == n
            assert r.data["analytics"]["satisfaction"] == n
        else:
            r.refused(409, "conflict")


async def test_the_process_dies_that_put_his_rating_down(make_stack):
    """Another one thanks him, as it would have."""
    stack = make_stack(nginx=2)
    c = await Consult.confirmed(stack)
    await c.call("/start")
    await c.call("/end")
    go_on = upload.hold(stack.worker.role("projector"))
    call = asyncio.create_task(c.call("/satisfaction", {"rating": 4},
                                      by=c.student))
    _, tag = stack.conversation_key(c.room)

    async def queued():
        with stack.redis_client() as redis:
            return '"op":"rate"' in str(redis.xrange(f"{tag}:ingest"))
    await until(queued, "the rating to be put down")
    for pid in stack.worker.role("api"):
        os.kill(pid, signal.SIGKILL)
    go_on()
    r = await call
    assert r.status == 201, r
    assert r.data["analytics"]["satisfaction"] == 4
    (await c.call("/satisfaction", {"rating": 4}, by=c.student)).refused(
        409, "conflict")


def verify(stack, tmp_path, text, head):
    file = tmp_path / "session.json"
    file.write_bytes(text.encode())
    done = subprocess.run(
        [stack.worker.binary, "--verify-transcript", str(file), head],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}, timeout=30)
    return done.returncode, done.stdout


async def test_transcript(stack, tmp_path):
    """It is what was said, and shows where it was altered."""
    c = await Consult.confirmed(stack)
    ani, tia = await c.sockets()
    (await c.call("/transcript", by=c.student, method="GET")).refused(
        404, "not_found")
    await c.call("/start")
    (await c.call("/transcript", by=c.student, method="GET")).refused(
        409, "conflict")
    for i in range(30):
        await said((ani, tia)[i % 2], c, f"line {i} \u00e9\u4e16 <b>")
    session = (await c.call("/end")).data["session"]
    r = await c.call("/transcript", by=c.student, method="GET")
    assert r.status == 200, r
    text, head = r.data["content"], r.data["head"]
    assert head == session["transcript"]["head"]
    said_ = [e["content"]["text"] for e in json.loads(text)["entries"]
             if e["kind"] == "message" and "text" in e["content"]]
    assert said_ == [f"line {i} \u00e9\u4e16 <b>" for i in range(30)]
    code, out = verify(stack, tmp_path, text, head)
    assert code == 0 and "intact" in out, out
    code, out = verify(stack, tmp_path, text.replace("line 7 ", "line 8 "),
                       head)
    assert code == 1 and "altered" in out, out
    # the same bytes, whoever asks and whenever
    await said(ani, c, "after the end")
    r = await c.rest(*c.tutor).aget(
        f"/api/sessions/{session['id']}/transcript")
    assert r.data["content"] == text
    r = await c.call("/transcript", by=c.tutor, method="GET",
                     format="markdown")
    assert r.data["mimeType"] == "text/markdown"
    assert "line 29" in r.data["content"] and head in r.data["content"]
    assert "- Topic: Bab 3\n" in r.data["content"]
    (await c.call("/transcript", by=c.tutor, method="GET",
                  format="pdf")).refused(400, "invalid_request")
    for ws in (ani, tia):
        await ws.close()


async def test_a_long_one(stack):
    """2,000 messages: all are counted, in several pieces of transcript."""
    c = await Consult.confirmed(stack)
    await c.call("/start")
    by = c.rest(c.ani, "student"), c.rest(c.tia, "tutor")
    bulk = [await Ws.hello(stack.ws(0, "bulk"), user)
            for user in (c.ani, c.tia)]
    for ws in bulk:
        for at in range(0, 1000, 50):
            for i in range(at, at + 50):
                ws.send("send_message", message(
                    c.room, f"message {i} about the questionnaire " + "x" * 200,
                    f"b{i}"))
            for _ in range(50):
                await ws.wait("message_status")
        await ws.close()
    r = await asyncio.to_thread(
        by[1].call, "POST", f"/api/consultations/{c.number}/end", timeout=30)
    assert r.status == 200, r
    session = r.data["session"]
    assert session["status"] == "completed"
    assert session["summary"]["totalMessages"] == 2000
    assert session["transcript"]["parts"] > 1
    r = await c.call("/transcript", by=c.student, method="GET")
    entries = json.loads(r.data["content"])["entries"]
    assert sum(e["kind"] == "message" for e in entries) == 2001


test_a_long_one.limit = 120


async def test_killed_between(make_stack):
    """The api processes die while it is confirmed, started and ended, and
    while it is written up: each happens once."""
    stack = make_stack(nginx=2, waits="")
    c = await Consult.confirmed(stack)
    ani, _ = await c.sockets()
    for what in ("/start", "/end"):
        await said(ani, c, f"before {what}")

        async def insist(what=what):
            for _ in range(240):
                r = await c.call(what, by=c.tutor)
                if r.status == 200:
                    return r
                assert r.status == 503, r
                await asyncio.sleep(0.2)
            raise AssertionError(f"{what}: no answer")

        async def kill():
            for _ in range(6):
                for i in range(len(stack.worker.role("api"))):
                    stack.worker.kill_role("api", i)
                await asyncio.sleep(0.15)
        replies = await asyncio.gather(*(insist() for _ in range(4)), kill())
        sessions = [r.data["session"] for r in replies if r]
        assert len({s["id"] for s in sessions}) == 1
    r = await c.call("/summary", method="GET")
    assert r.data["session"]["status"] == "completed"
    assert r.data["summary"]["totalMessages"] == 1
    history = c.rest(*c.student).history(c.room)
    assert sum(m["type"] == "system" for m in history) == 1


test_killed_between.limit = 120


def say(stack, action, number, **data):
    """An entry of wrt:consultations, as the scheduling system writes it."""
    with stack.redis_client() as c:
        return c.xadd("wrt:consultations", {
            "action": action, "id": number,
            "data": json.dumps(data) if data else ""})


async def test_by_the_stream(make_stack):
    """The same as by REST, in the order in which it was said; said ten times
    and with the pool killed in between: one room, one invitation, one
    session."""
    stack = make_stack(nginx=2, waits="")
    c = Consult(stack)
    ani, tia = [await Ws.hello(stack.ws(i), user, role=role)
                for i, (user, role) in enumerate((c.student, c.tutor))]
    confirmed = {"title": "Thesis", "topic": "Bab 3",
                 "settings": {"autoArchive": True}, "participants": [
                     {"userId": c.ani, "role": "student"},
                     {"userId": c.tia, "role": "tutor"}]}

    async def again(n):
        for _ in range(5):
            r = await c.call("/confirm", confirmed, nginx=n)
            assert r.status in (200, 201, 503), r
    for _ in range(5):
        say(stack, "confirmed", c.number, **confirmed)
    stack.worker.kill()
    for _ in range(5):
        say(stack, "confirmed", c.number, **confirmed)
    say(stack, "started", c.number)
    stack.worker.start()
    await asyncio.gather(again(0), again(1))
    for ws in (ani, tia):
        e = await ws.wait("conversation_created", timeout=20)
        c.room = e["data"]["conversation"]["id"]
        e = await ws.wait("message_received", timeout=20)
        assert e["data"]["message"]["content"]["systemMessage"]["action"] == (
            "consultation_started")
        assert e["data"]["message"]["senderId"] == "scheduler"
    await said(ani, c, "Apakah ini benar?")
    say(stack, "ended", c.number)

    async def completed():
        r = await c.call("/summary", method="GET")
        return r.data["session"]["status"] == "completed" and r
    r = await until(completed, "the summary")
    assert r.data["summary"]["totalMessages"] == 1
    for ws in (ani, tia):
        e = await ws.wait("conversation_updated")
        assert e["data"]["conversation"]["isArchived"] is True
        assert not [e for e in ws.pending()
                    if e["event"] == "conversation_created"]
        await ws.close()
    with stack.redis_client() as redis:
        assert redis.xlen("wrt:consultations") == 0
        assert redis.xlen("wrt:consultations:dead") == 0


test_by_the_stream.limit = 120


async def test_what_the_stream_refuses(make_stack):
    """It goes to the dead letters with its reason, and holds up nothing."""
    stack = make_stack()
    c = await Consult.confirmed(stack)
    with stack.redis_client() as redis:
        redis.xadd("wrt:consultations", {"x": "y"})
        redis.xadd("wrt:consultations", {"action": "paid", "id": "a"})
        redis.xadd("wrt:consultations", {"action": "ended", "id": "a b"})
        redis.xadd("wrt:consultations", {"action": "ended", "id": c.number,
                                         "by": "a b"})
        say(stack, "ended", "unknown-one")
        early = {"action": "ended", "id": c.number, "by": "lms"}
        redis.xadd("wrt:consultations", early)
        redis.xadd("wrt:consultations", {"action": "confirmed", "id": "c9",
                                         "data": "no JSON"})
        say(stack, "rescheduled", c.number, scheduledAt="soon")
        say(stack, "started", c.number)

        async def started():
            r = await c.call("", method="GET")
            return r.data["session"]
        await until(started, "the session")
        dead = [f for _, f in redis.xrange("wrt:consultations:dead")]
    assert [d["why"].split(" ")[0] for d in dead] == [
        "action:", "action:", "id:", "by:", "404", "409", "400", "400"]
    assert dead[-1]["id"] == c.number and "scheduledAt" in dead[-1]["data"]
    # as they came: whoever has mended the cause may put them back
    assert {k: v for k, v in dead[5].items()
            if k not in ("why", "entry")} == early

    def counted():
        text = stack.rest().get("/metrics").raw.decode()
        return sum(float(line.split()[-1]) for line in text.splitlines()
                   if line.startswith("writeen_consultations_dead_total{"))
    await asyncio.to_thread(wait_until, lambda: counted() == len(dead), 15,
                            "the figure of them")


@pytest.mark.parametrize("type", ["group", "direct"])
async def test_general_sessions(make_stack, type):
    """In other rooms silence ends a session."""
    stack = make_stack(env={"SESSION_GAP_S": "6"})
    ani, bob = uniques("ani", "bob")
    ws = await Ws.hello(stack.ws(), ani)
    r = await stack.rest(tokens.token(ani)).acall(
        "POST", "/api/conversations",
        {"type": type, "participantIds": [bob]})
    room = r.data["conversation"]["id"]
    rest = stack.rest(tokens.token(bob))

    async def sessions(n):
        r = await rest.aget("/api/sessions", conversationId=room)
        found = r.data["sessions"]
        return (len(found) == n and found[0]["status"] == "completed"
                and found)
    for n in (1, 2):
        for i in range(n + 1):
            await send(ws, room, f"questionnaire {n} {i}")
        found = await until(lambda n=n: sessions(n), f"session {n}")
        assert found[0]["sessionType"] == "general"
        assert found[0]["status"] == "completed"
        assert found[0]["summary"]["totalMessages"] == n + 1
        assert found[0]["consultationId"] is None
    assert found[1]["endSeq"] < found[0]["startSeq"]
    assert found[0]["transcript"] is None
    r = await rest.aget(f"/api/sessions/{found[0]['id']}/transcript")
    assert "questionnaire 2 0" in r.data["content"]
    r = await rest.acall("POST", f"/api/sessions/{found[0]['id']}/satisfaction",
                         {"rating": 4})
    assert r.data["analytics"]["satisfaction"] == 4
    await ws.close()


def put_session(stack, room, session):
    """Its record alone, as if whoever was to write it up had died; without what
    is the store's to say."""
    session = {k: v for k, v in session.items()
               if k not in ("ratings", "analytics")}
    _, tag = stack.conversation_key(room)
    with stack.redis_client() as redis:
        redis.xadd(f"{tag}:ingest", {
            "c": room, "p": "g 0 - -\n" + json.dumps(
                {"op": "put", "session": session}), "x": ""})


async def test_ended_by_the_deadline(make_stack):
    """The store is late: it has ended, and is told so; the rest follows."""
    stack = make_stack(nginx=2)
    c = await Consult.confirmed(stack)
    assert (await c.call("/start")).status == 200
    r = await c.call("/end")
    session = r.data["session"]
    assert session["status"] == "completed"
    put_session(stack, c.room, {**session, "rev": session["rev"] + 1,
                                "status": "ended"})
    await asyncio.to_thread(record.drained, stack, c.room)

    projector, = stack.worker.role("projector")
    os.kill(projector, signal.SIGSTOP)
    try:
        # past nginx, whose own patience ends a tenth of a second later
        r = await rpc.acall(stack, "POST",
                            f"/api/consultations/{c.number}/end",
                            user=SERVICE[0], role=SERVICE[1], deadline=1)
        assert r.status == 200, r
        assert r.data["session"]["status"] == "ended"
        assert r.data["conversation"]["consultationStatus"] == "ended"
    finally:
        os.kill(projector, signal.SIGCONT)
    r = await c.call("/end")
    assert r.data["session"]["status"] == "completed"
    assert r.data["session"]["endTime"] == session["endTime"]


async def test_left_undone(make_stack):
    """A session that ended and was not written up is, by the janitor."""
    stack = make_stack(nginx=2)
    c = await Consult.confirmed(stack)
    ani, tia = await c.sockets()
    await c.call("/start")
    await said(ani, c, "Tolong kirim kuesioner besok.")
    session = (await c.call("", method="GET")).data["session"]
    session.update(rev=2, status="ended", endSeq=2,
                   endTime=session["startTime"])
    put_session(stack, c.room, session)

    async def completed():
        r = await c.call("/summary", method="GET")
        return r.data["session"]["status"] == "completed" and r
    r = await until(completed, "the summary", 60)
    assert r.data["summary"]["totalMessages"] == 1
    for ws in (ani, tia):
        await ws.close()
