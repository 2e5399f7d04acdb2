"""What people are called: live, in history, by either door, on each node.

Without these a tutor would have one name while people chat and another one
when they load the history; a name that a service sets would come to open
sockets after their next login only, or be forgotten together with what Redis
forgets.
"""

import asyncio
import time

from harness import tokens
from harness.net import patience
from harness.scene import send, unique, uniques
from harness.ws import Ws


def rest_of(stack, user, nginx=0, **claims):
    return stack.rest(tokens.token(user, **claims), nginx, "bulk")


async def put(stack, user, name, avatar=None, nginx=0):
    """A service says what he is called."""
    r = await rest_of(stack, unique("svc"), nginx, role="service").acall(
        "PUT", f"/api/users/{user}",
        {"name": name, "avatar": avatar, "role": "tutor"})
    assert r.data["user"]["name"] == name
    return {"name": name, "avatar": avatar}


async def post(stack, user, room, text, nginx=0, **claims):
    r = await rest_of(stack, user, nginx, **claims).acall(
        "POST", f"/api/conversations/{room}/messages",
        {"content": {"text": text}})
    return r.data["message"]


async def history(stack, user, room):
    """Senders by message."""
    data = (await rest_of(stack, user, 1).aget(
        f"/api/conversations/{room}/messages", limit=200)).data
    return {m["id"]: m["sender"] for m in data["messages"]}


async def live(ws, mid):
    e = await ws.wait("message_received",
                      where=lambda e: e["data"]["message"]["id"] == mid)
    return e["data"]["message"]["sender"]


async def agree(stack, room, reader, sockets, mid, sender):
    """All see the same, now and in history."""
    for ws in sockets:
        assert await live(ws, mid) == sender
    assert (await history(stack, reader, room))[mid] == sender


async def test_named_before(stack):
    """By both doors, with and without a socket; others are called what their
    token says, as before."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    doctor = await put(stack, ann, "Dr. Ann “A”", "https://cdn/a.png")
    b = await Ws.hello(stack.ws(1, "bulk"), bob)

    m = await post(stack, ann, room, "no socket", name="ann85")
    assert m["sender"] == doctor
    await agree(stack, room, bob, [b], m["id"], doctor)

    a = await Ws.hello(stack.ws(0, "bulk"), ann, username="ann85")
    a2 = await Ws.hello(stack.ws(1, "bulk"), ann, username="Ann at home")
    for ws in (a, a2):
        mid = (await send(ws, room, "x"))["messageId"]
        await agree(stack, room, bob, [a, a2, b], mid, doctor)
    for nginx in (0, 1):
        m = await post(stack, ann, room, "y", nginx, name="ann85")
        assert m["sender"] == doctor
        await agree(stack, room, bob, [a, a2, b], m["id"], doctor)
    a.send("typing", {"conversationId": room, "isTyping": True})
    e = await b.wait("user_typing")
    assert e["data"]["userName"] == doctor["name"]

    # nobody has named bob
    said = {"name": bob.title(), "avatar": None}
    mid = (await send(b, room, "z"))["messageId"]
    await agree(stack, room, ann, [a, a2, b], mid, said)
    m = await post(stack, bob, room, "z")
    assert m["sender"] == said
    await agree(stack, room, ann, [a, a2, b], m["id"], said)
    for ws in (a, a2, b):
        await ws.close()


async def test_named_meanwhile(stack):
    """Sockets that are open take it, on each node; and again."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a = await Ws.hello(stack.ws(0, "bulk"), ann, username="ann85")
    a2 = await Ws.hello(stack.ws(1, "bulk"), ann, username="ann85")
    b = await Ws.hello(stack.ws(1, "bulk"), bob)
    first = (await send(a, room, "x"))["messageId"]
    await agree(stack, room, bob, [b], first,
                {"name": "ann85", "avatar": None})

    for name, avatar in (("Dr. Ann", "https://cdn/a.png"), ("Ann", None),
                         ("Ann", "https://cdn/b.png")):
        now = await put(stack, ann, name, avatar)
        for ws in (a, a2):
            # the answer and the news go different ways
            end = time.monotonic() + patience(10)
            while True:
                mid = (await send(ws, room, "x"))["messageId"]
                if await live(b, mid) == now:
                    break
                assert time.monotonic() < end, "it never took it"
            mid = (await send(ws, room, "y"))["messageId"]
            await agree(stack, room, bob, [b], mid, now)
        for nginx in (0, 1):
            m = await post(stack, ann, room, "z", nginx, name="ann85")
            assert m["sender"] == now
            await agree(stack, room, bob, [b], m["id"], now)
        assert set(map(str, (await history(stack, bob, room)).values())) \
            == {str(now)}
    for ws in (a, a2, b):
        await ws.close()


async def test_named_people_manage(stack):
    """System messages show who did it as all others do."""
    ann, bob, cho = uniques("ann", "bob", "cho")
    doctor = await put(stack, ann, "Dr. Ann", "https://cdn/a.png")
    rest = rest_of(stack, ann, name="ann85")
    doc = (await rest.acall("POST", "/api/conversations", {
        "type": "group", "title": "T",
        "participantIds": [bob]})).data["conversation"]
    (p,) = [p for p in doc["participants"] if p["userId"] == ann]
    assert p["user"]["name"] == doctor["name"]
    assert p["user"]["avatar"] == doctor["avatar"]
    room = doc["id"]
    b = await Ws.hello(stack.ws(1, "bulk"), bob)
    for method, path, body in (
            ("POST", "/participants", {"userId": cho}),
            ("DELETE", f"/participants/{cho}", None)):
        await rest.acall(method, f"/api/conversations/{room}{path}", body)
        m = (await b.wait("message_received"))["data"]["message"]
        assert m["type"] == "system" and m["sender"] == doctor
        assert (await history(stack, bob, room))[m["id"]] == doctor
    await b.close()


async def test_named_and_forgotten(stack):
    """The store knows it when Redis has forgotten; and nobody's rooms are
    mistaken because of it."""
    ann, bob, eve = uniques("ann", "bob", "eve")
    room = stack.make_room(ann, bob)
    doctor = await put(stack, ann, "Dr. Ann")
    await put(stack, eve, "Dr. Eve")
    b = await Ws.hello(stack.ws(1, "bulk"), bob)

    def forget():
        with stack.redis_client() as c:
            c.delete(f"wrt:u:{ann}:convs")
            for key in c.scan_iter(f"wrt:{{*}}:prof:{ann}"):
                c.delete(key)
    for nginx in (0, 1):
        await asyncio.to_thread(forget)
        m = await post(stack, ann, room, "x", nginx, name="ann85")
        assert m["sender"] == doctor
        await agree(stack, room, bob, [b], m["id"], doctor)
        await asyncio.to_thread(forget)
        a = await Ws.hello(stack.ws(nginx, "bulk"), ann, username="ann85")
        mid = (await send(a, room, "y"))["messageId"]
        await agree(stack, room, bob, [a, b], mid, doctor)
        await a.close()

    # two people with a name share no conversation by that
    (await rest_of(stack, eve).aget(f"/api/users/{ann}/presence")).refused(
        404, "not_found")
    await b.close()


async def test_who_does_nothing_but_send_by_rest(stack):
    """History has the name, though he never connected nor read."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    m = await post(stack, ann, room, "a", name="Ann A",
                   avatar="https://a.example/1.png")
    assert m["sender"]["name"] == "Ann A"
    await asyncio.to_thread(stack.wait_applied)
    sender = (await history(stack, bob, room))[m["id"]]
    assert sender == {"name": "Ann A", "avatar": "https://a.example/1.png"}
    # called otherwise by his next token
    m = await post(stack, ann, room, "b", name="Ann B")
    await asyncio.to_thread(stack.wait_applied)
    sender = (await history(stack, bob, room))[m["id"]]
    assert sender == {"name": "Ann B", "avatar": None}
    # what a service says stays
    kept = await put(stack, ann, "Dr. Ann")
    m = await post(stack, ann, room, "c", name="Ann B")
    await asyncio.to_thread(stack.wait_applied)
    assert (await history(stack, bob, room))[m["id"]] == kept
