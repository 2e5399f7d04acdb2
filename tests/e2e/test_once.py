"""A clientMessageId that Redis does not know any more: after a day, or when it
lost its last second.

Both messages were acknowledged and everybody has heard of them, so that the
one which says something else has to be there for ever, in every respect; and a
retry of what is stored must not be there twice.
"""

from harness import tokens
from harness.scene import received, send, uniques
from harness.ws import Ws


def forget(stack, room):
    """What 24 hours do."""
    stack.wait_applied()
    _, tag = stack.conversation_key(room)
    with stack.redis_of_room(room) as c:
        keys = list(c.scan_iter(f"{tag}:once:{room}:*", count=1000))
        assert len(keys) == 1, keys
        c.delete(*keys)


async def history(rest, room):
    r = await rest.acall("GET", f"/api/conversations/{room}/messages")
    return [(m["id"], m["content"].get("text")) for m in r.data["messages"]]


async def unread(rest, room):
    r = await rest.acall("GET", "/api/conversations")
    return {c["id"]: c["unreadCount"]
            for c in r.data["conversations"]}[room]


async def found(rest, room, word):
    r = await rest.acall("GET", "/api/search",
                         query={"q": word, "conversationId": room})
    return [m["message"]["id"] for m in r.data["results"]]


async def test_other_text_is_another_message(stack):
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    ear = await Ws.hello(stack.ws(1), bob)
    acks = []
    for text in ("satu", "DUA", "tiga"):
        acks.append(await send(ws, room, text, "k1"))
        forget(stack, room)
    a, b, c = (m["messageId"] for m in acks)
    assert [m["seq"] for m in acks] == [1, 2, 3]
    assert [d["message"]["id"] for d in await received(ear, 3)] == [a, b, c]

    rest = stack.rest(tokens.token(bob))
    assert await history(rest, room) == [
        (c, "tiga"), (b, "DUA"), (a, "satu")]
    assert await unread(rest, room) == 3
    assert await found(rest, room, "dua") == [b]
    r = await rest.acall("GET", f"/api/conversations/{room}")
    assert r.data["conversation"]["lastMessage"]["content"] == "tiga"

    mine = stack.rest(tokens.token(ann))
    path = f"/api/conversations/{room}/messages"
    r = await mine.acall("PATCH", f"{path}/{b}",
                         {"content": {"text": "Dua!"}})
    assert r.status == 200, r
    r = await mine.acall("DELETE", f"{path}/{c}")
    assert r.status == 200, r
    stack.wait_applied()
    assert await history(rest, room) == [
        (c, None), (b, "Dua!"), (a, "satu")]
    assert await unread(rest, room) == 2
    assert await found(rest, room, "dua") == [b]
    assert await found(rest, room, "tiga") == []
    await ws.close()
    await ear.close()


async def test_the_same_text_is_a_retry(stack):
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    first = await send(ws, room, "satu", "k1")
    forget(stack, room)
    again = await send(ws, room, "satu", "k1")
    assert again["seq"] == 2
    await send(ws, room, "lain", "k2")
    stack.wait_applied()

    rest = stack.rest(tokens.token(bob))
    (_, text), one = await history(rest, room)
    assert text == "lain"
    assert one == (first["messageId"], "satu")
    assert await unread(rest, room) == 2
    assert await found(rest, room, "satu") == [first["messageId"]]
    await ws.close()


async def test_a_retry_of_the_retry_by_rest(stack):
    """It has the message that there is, however often it comes."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    mine = stack.rest(tokens.token(ann))
    path = f"/api/conversations/{room}/messages"
    body = {"content": {"text": "satu"}, "clientMessageId": "k/1%20?"}
    r = await mine.acall("POST", path, body)
    assert r.status == 201, r
    first = r.data["message"]["id"]
    forget(stack, room)
    r = await mine.acall("POST", path, body)
    assert r.status == 201, r
    for _ in range(2):
        r = await mine.acall("POST", path, body)
        assert r.status == 200, r
        assert r.data["message"]["id"] == first
    rest = stack.rest(tokens.token(bob))
    assert await history(rest, room) == [(first, "satu")]
