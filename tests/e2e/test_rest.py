"""The REST spine: conversations and messages by HTTP.

The shapes of answers, what may be asked for, and that what is read is what was
written.
"""

import asyncio
import re
import time
from urllib.parse import quote

import pytest

from harness import spec, tokens
from harness.net import patience
from harness.scene import (OID, TIME, fill, received, send, unique,
                           uniques)
from harness.ws import Ws

CONVERSATIONS = "/api/conversations"


def messages_of(room):
    return f"{CONVERSATIONS}/{room}/messages"


def rest_of(stack, user, nginx=0, **claims):
    return stack.rest(tokens.token(user, **claims), nginx)


# ---- conversations ------------------------------------------------------

async def test_direct_room_is_made_once(stack):
    """From both sides, twice each, one of them by the other node."""
    ann, bob = uniques("ann", "bob")
    a, b = rest_of(stack, ann, name="Ann"), rest_of(stack, bob, 1)
    first = a.call("POST", CONVERSATIONS,
                   {"type": "direct", "participantIds": [bob]})
    assert first.status == 201, first
    room = first.data["conversation"]
    assert re.match(OID, room["id"])
    assert room["type"] == "direct"
    assert re.match(TIME, room["createdAt"])
    assert {p["userId"] for p in room["participants"]} == {ann, bob}
    assert isinstance(room["settings"], dict)
    assert first.json["message"]
    for rest, other in ((a, bob), (b, ann), (a, bob)):
        again = rest.call("POST", CONVERSATIONS,
                          {"type": "direct", "participantIds": [other]})
        assert again.status == 200, again
        assert again.data["conversation"]["id"] == room["id"]
    # the caller may name himself, too
    again = a.call("POST", CONVERSATIONS,
                   {"type": "direct", "participantIds": [ann, bob]})
    assert again.status == 200
    assert again.data["conversation"]["id"] == room["id"]


async def test_direct_room_from_both_sides_at_once(stack):
    for _ in range(5):
        ann, bob = uniques("ann", "bob")
        calls = [rest_of(stack, u, i % 2).acall(
            "POST", CONVERSATIONS,
            {"type": "direct", "participantIds": [v]})
            for i, (u, v) in enumerate([(ann, bob), (bob, ann)] * 3)]
        replies = await asyncio.gather(*calls)
        ids = {r.data["conversation"]["id"] for r in replies}
        assert len(ids) == 1
        assert sorted(r.status for r in replies) == [200] * 5 + [201]
        for u in (ann, bob):
            data = rest_of(stack, u).get(CONVERSATIONS).data
            assert [c["id"] for c in data["conversations"]] == list(ids)


async def test_groups_are_new_each_time(stack):
    ann, bob, cho = uniques("ann", "bob", "cho")
    rest = rest_of(stack, ann)
    ids = set()
    for _ in range(2):
        r = rest.call("POST", CONVERSATIONS, {
            "type": "group", "title": "Kelas A – “1”",
            "participants": [{"userId": bob, "role": "tutor"},
                             {"userId": cho, "role": "student"}]})
        assert r.status == 201, r
        room = r.data["conversation"]
        ids.add(room["id"])
        assert room["title"] == "Kelas A – “1”"
        assert {p["userId"]: p["role"] for p in room["participants"]} == {
            ann: "student", bob: "tutor", cho: "student"}
    assert len(ids) == 2
    shown = rest.get(f"{CONVERSATIONS}/{room['id']}").data["conversation"]
    assert shown["id"] == room["id"]
    assert shown["title"] == room["title"]


async def test_service_names_the_id(stack):
    ann, bob = uniques("ann", "bob")
    name = unique("test_conversation")
    body = {"id": name, "type": "group", "participantIds": [ann, bob]}
    service = rest_of(stack, "svc", role="service")
    r = service.call("POST", CONVERSATIONS, body)
    assert r.status == 201, r
    assert r.data["conversation"]["id"] == name
    again = service.call("POST", CONVERSATIONS, body)
    assert again.status in (200, 409), again
    ws = await Ws.hello(stack.ws(), ann)
    assert (await send(ws, name, "x"))["seq"] == 1
    await ws.close()
    # a student may not: the id is not his to choose
    for role in ("student", "tutor"):
        mine = unique("mine")
        r = rest_of(stack, ann, role=role).call(
            "POST", CONVERSATIONS, {**body, "id": mine})
        if r.status == 201:
            assert r.data["conversation"]["id"] != mine
        else:
            assert r.status in (400, 403), r


BAD_CONVERSATIONS = [
    ({}, None),
    ({"type": "direct"}, "participantIds"),
    ({"type": "direct", "participantIds": "bob"}, "participantIds"),
    ({"type": "direct", "participantIds": []}, "participantIds"),
    ({"type": "direct", "participantIds": [7]}, "participantIds"),
    ({"type": "direct", "participantIds": ["a b"]}, "participantIds"),
    ({"type": "direct", "participantIds": ["b", "c"]}, "participantIds"),
    ({"type": "channel", "participantIds": ["b"]}, "type"),
    ({"type": 5, "participantIds": ["b"]}, "type"),
    ({"type": "group", "participantIds": ["b"], "title": 5}, "title"),
    ({"type": "group", "participantIds": ["b"], "title": "x" * 257},
     "title"),
    ({"type": "group", "participants": [{"role": "student"}]}, None),
    ({"type": "group", "participants": [{"userId": "b",
                                         "role": "king"}]}, None),
    ({"type": "group", "participants": {"userId": "b"}}, "participants"),
]


async def test_bad_conversations_name_the_field(stack):
    rest = rest_of(stack, unique("ann"))
    for body, field in BAD_CONVERSATIONS:
        error = rest.call("POST", CONVERSATIONS, body).refused(
            400, "invalid_request")
        assert error["field"], body
        if field:
            assert error["field"].startswith(field), (body, error)
    for raw in ("", "{", "[]", "7", "\"x\"", '{"type":"group"}x',
                '{"type":"direct","type":"group"}', "\xff"):
        rest.call("POST", CONVERSATIONS, raw=raw.encode("latin1"),
                  headers={"Content-Type": "application/json"}).refused(
            400, "invalid_request")
    assert rest.get(CONVERSATIONS).data["conversations"] == []


async def test_list_of_conversations(stack):
    """Newest activity first, pages, type; the shape of the answer."""
    ann, bob, cho = uniques("ann", "bob", "cho")
    rest = rest_of(stack, ann)
    ws = await Ws.hello(stack.ws(), bob, username="Bob B",
                        avatar="https://cdn/b.png")
    groups = [stack.make_room(ann, bob, title=f"G{i}") for i in range(5)]
    direct = rest.call("POST", CONVERSATIONS, {
        "type": "direct", "participantIds": [bob]}
    ).data["conversation"]["id"]
    order = [*groups, direct]
    for room in order:
        await asyncio.sleep(0.005)      # times are in milliseconds
        await send(ws, room, f"last of {room}")
    data = rest.get(CONVERSATIONS).data
    assert [c["id"] for c in data["conversations"]] == order[::-1]
    assert data["pagination"] == {"page": 1, "limit": 20, "total": 6,
                                  "totalPages": 1}
    top = data["conversations"][0]
    assert top["type"] == "direct"
    assert top["unreadCount"] == 1
    assert top["lastMessage"]["content"] == f"last of {direct}"
    assert top["lastMessage"]["senderId"] == bob
    assert top["lastMessage"]["type"] == "text"
    assert re.match(TIME, top["lastMessage"]["sentAt"])
    assert isinstance(top["isOnline"], bool)
    assert re.match(TIME, top["createdAt"])
    users = {p["userId"]: p["user"] for p in top["participants"]}
    assert users[bob]["name"] == "Bob B"
    assert users[bob]["avatar"] == "https://cdn/b.png"
    # activity moves a room to the top
    await asyncio.sleep(0.005)
    await send(ws, groups[1], "again")
    first = rest.get(CONVERSATIONS, limit=2).data
    assert [c["id"] for c in first["conversations"]] == [groups[1], direct]
    assert first["pagination"] == {"page": 1, "limit": 2, "total": 6,
                                   "totalPages": 3}
    ids = []
    for page in (1, 2, 3):
        ids += [c["id"] for c in rest.get(
            CONVERSATIONS, limit=2, page=page).data["conversations"]]
    assert sorted(ids) == sorted(order)
    assert rest.get(CONVERSATIONS, page=9).data["conversations"] == []
    only = rest.get(CONVERSATIONS, type="direct").data
    assert [c["id"] for c in only["conversations"]] == [direct]
    assert only["pagination"]["total"] == 1
    assert rest.get(CONVERSATIONS,
                    archived="true").data["conversations"] == []
    assert rest_of(stack, cho).get(CONVERSATIONS).data[
        "conversations"] == []
    for query in ({"limit": 0}, {"limit": 101}, {"limit": "x"},
                  {"page": 0}, {"page": "-1"}, {"type": "x"},
                  {"archived": "maybe"}):
        error = rest.get(CONVERSATIONS, **query).refused(
            400, "invalid_request")
        assert error["field"] in query
    await ws.close()


async def test_unread_count_is_exact(stack):
    """Others' messages above the read cursor; one's own do not count."""
    ann, bob, cho = uniques("ann", "bob", "cho")
    room = stack.make_room(ann, bob, cho)
    socks = {u: await Ws.hello(stack.ws(), u) for u in (ann, bob, cho)}

    def unread(user):
        data = rest_of(stack, user).get(CONVERSATIONS).data
        return {c["id"]: c["unreadCount"] for c in data["conversations"]}[
            room]

    counts = {ann: 0, bob: 0, cho: 0}
    for i, u in enumerate([ann, bob, ann, ann, cho, bob, ann]):
        await send(socks[u], room, f"m {i}")
        for other in counts:
            counts[other] += other != u
        assert {u: unread(u) for u in counts} == counts
    # bob reads up to the fourth: 5th (cho) and 7th (ann) are left
    stack.move_cursor(room, bob, 4)
    assert unread(bob) == 2
    stack.move_cursor(room, bob, 7)
    assert unread(bob) == 0
    # never backwards, and delivered is not read
    stack.move_cursor(room, bob, 1)
    stack.move_cursor(room, cho, 7, "d")
    assert {u: unread(u) for u in counts} == {**counts, bob: 0}
    for ws in socks.values():
        await ws.close()


# ---- messages -----------------------------------------------------------

async def test_post_message(stack):
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(1), bob)
    rest = rest_of(stack, ann, name="Ann")
    body = {"type": "text", "content": {"text": "Terima kasih!"},
            "clientMessageId": "c1", "senderId": bob}
    r = rest.call("POST", messages_of(room), body)
    assert r.status == 201, r
    assert r.json["message"]
    m = r.data["message"]
    assert re.match(OID, m["id"])
    assert re.match(TIME, m["createdAt"])
    assert m["conversationId"] == room
    assert m["senderId"] == ann
    assert m["type"] == "text"
    assert m["content"] == {"text": "Terima kasih!"}
    assert m["status"] == "sent"
    assert m["seq"] == 1
    live = (await received(ws, 1))[0]
    assert live["message"]["id"] == m["id"]
    assert live["clientMessageId"] == "c1"
    again = rest.call("POST", messages_of(room), body)
    assert again.status == 200, again
    assert again.data["message"]["id"] == m["id"]
    assert again.data["message"]["createdAt"] == m["createdAt"]
    # and over the socket
    own = await Ws.hello(stack.ws(), ann)
    assert (await send(own, room, "x", "c1"))["messageId"] == m["id"]
    assert len(rest.history(room)) == 1
    await ws.quiet(0.2)
    await ws.close()
    await own.close()


async def test_posts_at_once(stack):
    """Ten at a time, each twice: each message once, numbers 1 to n."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    calls = [rest_of(stack, (ann, bob)[i % 2], i % 2).acall(
        "POST", messages_of(room),
        {"type": "text", "content": {"text": f"m {i // 2}"},
         "clientMessageId": f"c{i // 4}"}) for i in range(40)]
    replies = await asyncio.gather(*calls)
    assert sorted(r.status for r in replies) == [200] * 20 + [201] * 20
    rows = rest_of(stack, ann).history(room)
    assert [m["seq"] for m in rows] == list(range(1, 21))
    assert {m["id"] for m in rows} == {r.data["message"]["id"]
                                       for r in replies}


async def test_history_pages(stack):
    """By page, before, beforeSeq and afterSeq: every message once."""
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(server="bulk"), ann, username="Ann A")
    acks = await fill(ws, room, 130)
    rest = rest_of(stack, ann, name="Ann A")

    def page(**query):
        data = rest.get(messages_of(room), **query).data
        return ([m["seq"] for m in data["messages"]], data["pagination"],
                data["messages"])

    got, info, rows = page()
    assert got == list(range(130, 80, -1))
    assert info == {"page": 1, "limit": 50, "hasMore": True}
    m = rows[0]
    assert m["id"] == acks[-1]["messageId"]
    assert m["senderId"] == ann
    assert m["sender"]["name"] == "Ann A"
    assert m["type"] == "text"
    assert m["content"] == {"text": "m 130"}
    assert m["readBy"] == [] and m["reactions"] == []
    assert m["replyTo"] is None
    assert m["status"] == "sent"
    assert m["createdAt"] == acks[-1]["createdAt"]
    assert page(page=2)[0] == list(range(80, 30, -1))
    assert page(page=3)[0] == list(range(30, 0, -1))
    assert page(page=3)[1]["hasMore"] is False
    assert page(page=4)[0] == []
    assert page(limit=200)[0] == list(range(130, 0, -1))
    assert page(limit=130)[1]["hasMore"] is False
    assert page(limit=129)[1]["hasMore"] is True
    assert page(beforeSeq=41, limit=40)[0] == list(range(40, 0, -1))
    assert page(beforeSeq=41, limit=40)[1]["hasMore"] is False
    assert page(beforeSeq=42, limit=40)[1]["hasMore"] is True
    assert page(beforeSeq=1)[0] == []
    # afterSeq: the ones right after it
    assert page(afterSeq=100, limit=10)[0] == list(range(110, 100, -1))
    assert page(afterSeq=100, limit=10)[1]["hasMore"] is True
    assert page(afterSeq=120, limit=10)[0] == list(range(130, 120, -1))
    assert page(afterSeq=120, limit=10)[1]["hasMore"] is False
    assert page(afterSeq=130)[0] == []
    # together
    assert page(afterSeq=100, limit=10, page=2)[0] == list(range(120, 110, -1))
    assert page(afterSeq=100, beforeSeq=106)[0] == list(range(105, 100, -1))
    assert page(beforeSeq=41, limit=30, page=2)[0] == list(range(10, 0, -1))
    # before a time: walk down by it; equal times must not lose a message
    before, seen = None, []
    while True:
        q = {"limit": 60}
        if before:
            q["before"] = before
        got, info, rows = page(**q)
        seen += got
        if not info["hasMore"]:
            break
        before = rows[-1]["createdAt"]
    times = {a["seq"]: a["createdAt"] for a in acks}
    assert seen == sorted(seen, reverse=True)
    lost = set(range(1, 131)) - set(seen)
    assert all(times[n] in {times[s] for s in seen} for n in lost), lost
    for query in ({"limit": 0}, {"limit": 201}, {"page": 0},
                  {"beforeSeq": "x"}, {"afterSeq": -1},
                  {"before": "yesterday"}):
        error = rest.get(messages_of(room), **query).refused(
            400, "invalid_request")
        assert error["field"] in query
    await ws.close()


async def test_before_takes_times_of_both_kinds(stack):
    """With and without milliseconds."""
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(), ann)
    await fill(ws, room, 3)
    rest = rest_of(stack, ann)
    for text, n in [("2000-01-15T14:30:00Z", 0), ("2100-01-15T14:30:00Z", 3),
                    ("2100-01-15T14:30:00.000Z", 3)]:
        data = rest.get(messages_of(room), before=text).data
        assert len(data["messages"]) == n, text
    await ws.close()


async def test_limits_and_odd_requests(stack):
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    rest = rest_of(stack, ann)
    for body in ({"content": {"text": "x" * 16385}},
                 {"content": {"text": "x"}, "pad": "x" * 140000}):
        rest.call("POST", messages_of(room), {
            "type": "text", **body}).refused(413, "too_large")
    rest.call("POST", messages_of(room), {
        "type": "text", "content": {"text": "x" * 16384},
        "unknown": {"field": [1, 2, {"deep": None}]}}).data
    rest.get("/api/nothing").refused(404, "not_found")
    rest.get("/api/conversations/" + quote("a b") + "/messages").refused(
        404, "not_found")
    r = rest.call("POST", messages_of(room), raw="type=text",
                  headers={"Content-Type":
                           "application/x-www-form-urlencoded"})
    assert r.status in (400, 415), r
    assert len(rest.history(room)) == 1


# ---- browsers -----------------------------------------------------------

async def test_methods(stack):
    """Any other method than those of docs/api is 405, and Allow has them."""
    rest = stack.rest(tokens.token(unique("root"), role="admin"),
                      server="bulk")
    paths = {}
    for method, path in spec.routes():
        if path.startswith("/api/"):
            paths.setdefault(path, set()).add(method)
    for path, methods in sorted(paths.items()):
        at = re.sub(r"\{\w+\}", "x1", path)
        allowed = methods | ({"HEAD"} if "GET" in methods else set())
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH",
                       "DELETE"} - allowed:
            r = await rest.acall(method, at)
            assert r.status == 405, (method, at, r)
            assert set(r.headers["Allow"].split(", ")) == allowed, (
                method, at, r.headers.items())
            if method != "HEAD":
                r.refused(405, "method_not_allowed")


async def test_head(stack):
    """As GET, without the body."""
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    rest = rest_of(stack, ann)
    for path in (f"{CONVERSATIONS}/{room}", messages_of(room), "/api/unread",
                 "/api/nothing"):
        whole = head = after = None
        # what a first call says of its caller is stored a moment later
        while after is None or whole.raw != after.raw:
            whole, head, after = [rest.call(m, path)
                                  for m in ("GET", "HEAD", "GET")]
        assert head.status == whole.status, (path, head)
        assert head.raw == b"", head
        for name in ("Content-Type", "Content-Length"):
            assert head.headers[name] == whole.headers[name], path


async def test_cors(stack):
    ann = unique("ann")
    for method, path in [("GET", CONVERSATIONS), ("POST", CONVERSATIONS)]:
        for origin, good in [("https://app.example", True),
                             ("https://b.example", True),
                             ("https://evil.example", False)]:
            rest = stack.rest(None, server="cors")
            r = rest.call("OPTIONS", path, headers={
                "Origin": origin, "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers":
                    "authorization,content-type"})
            allowed = r.headers.get("Access-Control-Allow-Origin")
            if not good:
                assert allowed is None, r
                continue
            assert r.status in (200, 204), r
            assert allowed == origin
            assert method in r.headers["Access-Control-Allow-Methods"]
            names = r.headers["Access-Control-Allow-Headers"].lower()
            assert "authorization" in names and "content-type" in names
            assert "origin" in r.headers.get("Vary", "").lower()
    rest = stack.rest(tokens.token(ann), server="cors")
    for origin, want in [("https://app.example", "https://app.example"),
                         ("https://evil.example", None)]:
        r = rest.call("GET", CONVERSATIONS, headers={"Origin": origin})
        assert r.headers.get("Access-Control-Allow-Origin") == want
    # errors are readable, too: a browser app must see its 401
    r = stack.rest(None, server="cors").call(
        "GET", CONVERSATIONS, headers={"Origin": "https://app.example"})
    r.refused(401, "unauthorized")
    assert r.headers["Access-Control-Allow-Origin"] == "https://app.example"


async def test_token_in_the_header_only(stack):
    """?token= is for WebSockets: in a REST URL it would end in histories."""
    token = tokens.token(unique("ann"))
    r = stack.rest(None).get(CONVERSATIONS, token=token)
    r.refused(401, "unauthorized")


@pytest.mark.parametrize("role", ["student", "tutor", "service", "admin"])
async def test_roles_get_in(stack, role):
    r = rest_of(stack, unique("u"), role=role).get(CONVERSATIONS)
    assert r.data["conversations"] == []


async def test_many_calls_at_once(stack):
    """More calls than api processes: all are answered, none mixed up."""
    users = uniques(*(f"u{i}" for i in range(40)))
    rooms = {u: stack.make_room(u, unique("x")) for u in users}
    start = time.monotonic()
    replies = await asyncio.gather(*[
        rest_of(stack, u, i % 2).aget(CONVERSATIONS)
        for i, u in enumerate(users) for _ in range(5)])
    assert time.monotonic() - start < patience(10)
    for i, reply in enumerate(replies):
        u = users[i // 5]
        assert [c["id"] for c in reply.data["conversations"]] == [rooms[u]]
