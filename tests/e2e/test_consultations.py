"""Rooms that follow scheduled consultations.

Without these a consultation that is confirmed twice, by two systems at once,
could have two rooms, with half of the talk in each.
"""

import asyncio

from harness import tokens, upload
from harness.net import until
from harness.scene import unique, uniques
from harness.ws import Ws

CONTEXT = {"topic": "Bab 3: metode", "course": "Skripsi",
           "scheduledAt": "2026-12-01T03:00:00.000Z",
           "agenda": "1. kuesioner", "documentIds": ["doc-1", "doc-2"]}


def body_of(student, tutor, **more):
    return {"title": "Thesis", "participants": [
        {"userId": student, "role": "student"},
        {"userId": tutor, "role": "tutor"}], **more}


def rest(stack, user, role, nginx=0):
    return stack.rest(tokens.token(user, role=role), nginx)


async def confirm(stack, number, body, user="lms", role="service", nginx=0):
    return await rest(stack, user, role, nginx).acall(
        "POST", f"/api/consultations/{number}/confirm", body)


async def test_a_room_is_made_once(stack):
    """Ten times, at once, by two nodes: one room, one invitation each."""
    ani, tia = uniques("ani", "tia")
    number = unique("consult")
    sockets = [await Ws.hello(stack.ws(i), user)
               for i, user in enumerate((ani, tia))]
    body = body_of(ani, tia, **CONTEXT)
    replies = await asyncio.gather(*(
        confirm(stack, number, body, nginx=i % 2) for i in range(10)))
    assert sorted(r.status for r in replies) == [200] * 9 + [201]
    rooms = [r.data["conversation"] for r in replies]
    assert {r["id"] for r in rooms} == {rooms[0]["id"]}
    room = rooms[0]
    assert room["type"] == "consultation"
    assert room["consultationId"] == number
    assert room["context"] == CONTEXT
    assert {p["userId"]: p["role"] for p in room["participants"]} == {
        ani: "student", tia: "tutor"}
    for ws in sockets:
        e = await ws.wait("conversation_created")
        assert e["data"]["conversation"]["id"] == room["id"]
        assert e["data"]["conversation"]["context"] == CONTEXT
        await ws.quiet(0.3, "user_presence")
        await ws.close()
    # it is the room of POST /api/conversations, too
    r = await rest(stack, "lms", "service").acall(
        "POST", "/api/conversations",
        {"type": "consultation", "consultationId": number, **body_of(
            ani, tia)})
    assert r.status == 200 and r.data["conversation"]["id"] == room["id"]


async def test_by_the_tutor_himself(stack):
    ani, tia = uniques("ani", "tia")
    r = await confirm(stack, unique("consult"),
                      {"participantIds": [ani], "context": CONTEXT}, tia,
                      "tutor")
    assert r.status == 201, r
    room = r.data["conversation"]
    assert {p["userId"]: p["role"] for p in room["participants"]} == {
        ani: "student", tia: "tutor"}
    assert room["context"] == CONTEXT


async def test_a_number_that_is_taken(stack):
    """A room with this number, made by one of them with somebody else: who
    confirms it is not told that all is well."""
    ani, tia, eve = uniques("ani", "tia", "eve")
    number = unique("consult")
    r = await rest(stack, ani, "student").acall(
        "POST", "/api/conversations", {
            "type": "consultation", "consultationId": number,
            "participantIds": [eve]})
    assert r.status == 201, r
    room = r.data["conversation"]["id"]
    for body, field in ((body_of(ani, tia), "participants"),
                        ({"participantIds": [ani, tia]}, "participantIds")):
        e = (await confirm(stack, number, body)).refused(409, "conflict")
        assert e["field"] == field
    lms = rest(stack, "lms", "service")
    (await lms.acall("POST", "/api/conversations", {
        "type": "consultation", "consultationId": number,
        **body_of(ani, tia)})).refused(409, "conflict")
    # with those who are there it is as before, and a service may add others
    r = await confirm(stack, number, body_of(ani, eve))
    assert r.status == 200 and r.data["conversation"]["id"] == room
    assert (await lms.acall(
        "POST", f"/api/conversations/{room}/participants",
        {"userId": tia, "role": "tutor"})).status in (200, 201)
    r = await confirm(stack, number, body_of(ani, tia))
    assert r.status == 200 and r.data["conversation"]["id"] == room
    # who has left is known
    assert (await lms.acall(
        "DELETE", f"/api/conversations/{room}/participants/{eve}")).status \
        == 200
    r = await confirm(stack, number, body_of(ani, eve))
    assert r.status == 200, r


async def test_a_room_by_somebody_who_is_not_named(stack):
    """Who knows the number makes the room first, with the right people and
    himself: he is not to read along."""
    ani, tia, eve = uniques("ani", "tia", "eve")
    number = unique("consult")
    r = await rest(stack, eve, "student").acall(
        "POST", "/api/conversations", {
            "type": "consultation", "consultationId": number,
            **body_of(ani, tia)})
    assert r.status == 201, r
    room = r.data["conversation"]["id"]
    for user, role in ("lms", "service"), (tia, "tutor"):
        e = (await confirm(stack, number, body_of(ani, tia), user,
                           role)).refused(409, "conflict")
        assert e["field"] == "participants"
    lms = rest(stack, "lms", "service")
    assert (await lms.acall(
        "DELETE", f"/api/conversations/{room}/participants/{eve}")).status \
        == 200
    r = await confirm(stack, number, body_of(ani, tia))
    assert r.status == 200 and r.data["conversation"]["id"] == room


async def test_a_room_by_somebody_a_moment_ago(make_stack):
    """The same while the store does not have that room yet."""
    stack = make_stack(nginx=2)
    ani, tia, eve = uniques("ani", "tia", "eve")
    number = unique("consult")
    go_on = upload.hold(stack.worker.role("projector"))
    try:
        first = asyncio.create_task(rest(stack, eve, "student").acall(
            "POST", "/api/conversations", {
                "type": "consultation", "consultationId": number,
                **body_of(ani, tia)}))

        async def made():
            with stack.redis_client() as redis:
                return list(redis.scan_iter("wrt:{*}:conv:*", count=1000))
        await until(made, "the room to be made")
        then = asyncio.create_task(confirm(
            stack, number, body_of(ani, tia, topic="Bab 3")))
        await asyncio.sleep(1)
    finally:
        go_on()
    r = await first
    assert r.status == 201, r
    room = r.data["conversation"]["id"]
    assert (await then).refused(409, "conflict")["field"] == "participants"
    lms = rest(stack, "lms", "service")
    assert (await lms.acall(
        "DELETE", f"/api/conversations/{room}/participants/{eve}")).status \
        == 200
    r = await confirm(stack, number, body_of(ani, tia, topic="Bab 3"))
    assert r.status == 200 and r.data["conversation"]["context"] == {
        "topic": "Bab 3"}


async def test_context_of_a_room_that_is_there(stack):
    """Made by POST /api/conversations, confirmed with its context later, and
    confirmed once more after it was put off."""
    ani, tia = uniques("ani", "tia")
    number = unique("consult")
    r = await rest(stack, tia, "tutor").acall(
        "POST", "/api/conversations", {
            "type": "consultation", "consultationId": number,
            "participantIds": [ani]})
    assert r.data["conversation"]["context"] is None
    room = r.data["conversation"]["id"]
    r = await confirm(stack, number, body_of(ani, tia, topic="Bab 3"))
    assert r.data["conversation"]["context"] == {"topic": "Bab 3"}
    first = body_of(ani, tia, **CONTEXT)
    r = await confirm(stack, number, first)
    assert r.data["conversation"]["context"] == {**CONTEXT, "topic": "Bab 3"}
    later = "2026-12-02T03:00:00.000Z"
    r = await rest(stack, tia, "tutor").acall(
        "POST", f"/api/consultations/{number}/reschedule",
        {"scheduledAt": later})
    assert r.status == 200, r
    r = await confirm(stack, number, first)
    assert r.status == 200
    shown = (await rest(stack, ani, "student").aget(
        f"/api/conversations/{room}")).data["conversation"]
    assert shown["context"] == {**CONTEXT, "topic": "Bab 3",
                                "scheduledAt": later}
    (await confirm(stack, number, body_of(ani, tia, topic=7))).refused(
        400, "invalid_request")


async def test_who_may_not_and_what_is_wrong(stack):
    ani, tia = uniques("ani", "tia")
    number = unique("consult")
    good = body_of(ani, tia)
    (await confirm(stack, number, good, ani, "student")).refused(
        403, "forbidden")
    (await stack.rest().acall(
        "POST", f"/api/consultations/{number}/confirm", good)).refused(
            401, "unauthorized")
    for wrong, field in (
            ({"topic": 7}, "context.topic"),
            ({"scheduledAt": "soon"}, "context.scheduledAt"),
            ({"documentIds": "doc"}, "context.documentIds"),
            ({"context": []}, "context"), ({"title": []}, "title"),
            ({"participants": []}, None)):
        e = (await confirm(stack, number, {**good, **wrong})).refused(
            400, "invalid_request")
        if field:
            assert e["field"] == field
    r = await rest(stack, "lms", "service").acall(
        "POST", f"/api/consultations/{number}/confirm", raw="[]",
        headers={"Content-Type": "application/json"})
    r.refused(400, "invalid_request")
    assert (await rest(stack, ani, "student").aget(
        "/api/conversations")).data["conversations"] == []
