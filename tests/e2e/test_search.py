"""Search by REST: words, phrases, prefixes, in one conversation and in all of
the caller's; the acknowledged message is found, the deleted one is not.

How texts are cut and matched is the unit tests' (test_words, store suite).
"""

import pytest

from harness import tokens
from harness.scene import send, uniques
from harness.ws import Ws

SEARCH = "/api/search"


def found(reply):
    return [r["message"]["id"] for r in reply.data["results"]]


async def talk(stack, user, room, *said):
    ws = await Ws.hello(stack.ws(0, "bulk"), user)
    ids = [(await send(ws, room, text))["messageId"] for text in said]
    await ws.close()
    return ids


async def test_words_in_all_rooms_of_the_caller(stack):
    ann, bob, eve = uniques("ann", "bob", "eve")
    one = stack.make_room(ann, bob, title="One")
    two = stack.make_room(ann, eve, title="Two")
    a, b = await talk(stack, ann, one, "Metode penelitian kualitatif",
                      "Bab dua: \u201cMétode\u201d survei <b>")
    c, = await talk(stack, eve, two, "metode lain")
    rest = stack.rest(tokens.token(ann))
    r = await rest.acall("GET", SEARCH, query={"q": "metode"})
    assert found(r) == [c, b, a]
    first = r.data["results"][1]
    assert first["conversation"] == {"id": one, "title": "One"}
    assert first["message"]["conversationId"] == one
    assert "<mark>Métode</mark>" in first["highlights"][0]
    assert "&lt;b&gt;" in first["highlights"][0]
    assert r.data["pagination"] == {"page": 1, "limit": 20, "hasMore": False}

    # each in what he is in, and no other
    assert found(await stack.rest(tokens.token(eve)).acall(
        "GET", SEARCH, query={"q": "metode"})) == [c]
    for query, ids in (
            ({"q": "penelitian metode"}, [a]),
            ({"q": '"metode penelitian"'}, [a]),
            ({"q": '"penelitian metode"'}, []),
            ({"q": "kuali*"}, [a]),
            ({"q": "metode", "conversationId": two}, [c]),
            ({"q": "metode", "from": eve}, [c]),
            ({"q": "metode", "type": "sticker"}, []),
            ({"q": "metode", "limit": 1, "page": 2}, [b]),
            ({"q": "metode", "after": "2100-01-01T00:00:00Z"}, []),
            ({"q": "metode", "before": "2000-01-01T00:00:00Z"}, [])):
        assert found(await rest.acall("GET", SEARCH, query=query)) == ids, \
            query


async def test_in_the_messages_of_a_room(stack):
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a, b, _ = await talk(stack, ann, room, "satu metode", "dua metode",
                         "tiga")
    path = f"/api/conversations/{room}/messages"
    rest = stack.rest(tokens.token(bob))
    r = await rest.acall("GET", path, query={"search": "metode", "limit": 1})
    assert [m["id"] for m in r.data["messages"]] == [b]
    assert r.data["pagination"]["hasMore"] is True
    r = await rest.acall("GET", path, query={"search": "METODE", "page": 2,
                                             "limit": 1})
    assert [m["id"] for m in r.data["messages"]] == [a]


async def test_a_part_of_a_room(stack):
    """Whoever turns pages by numbers comes to an end."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(0, "bulk"), ann)
    ids = []
    for i in range(5):
        ids.append((await send(ws, room, f"metode {i}", **(
            {"replyTo": ids[0]} if i in (2, 3) else {})))["messageId"])
    await ws.close()
    rest = stack.rest(tokens.token(bob))

    async def numbers(**query):
        r = await rest.acall("GET", f"/api/conversations/{room}/messages",
                             query={"search": "metode", **query})
        return [m["seq"] for m in r.data["messages"]]

    for query, seqs in (({}, [5, 4, 3, 2, 1]),
                        ({"beforeSeq": 3}, [2, 1]),
                        ({"beforeSeq": 3, "limit": 1}, [2]),
                        ({"beforeSeq": 1}, []), ({"beforeSeq": 0}, []),
                        ({"afterSeq": 3}, [5, 4]), ({"afterSeq": 5}, []),
                        ({"afterSeq": 0}, [5, 4, 3, 2, 1]),
                        ({"threadOf": ids[0]}, [4, 3]),
                        ({"threadOf": ids[0], "beforeSeq": 4}, [3])):
        assert await numbers(**query) == seqs, query


async def test_what_changes_is_found_as_it_is(stack):
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a, b = await talk(stack, ann, room, "angket lama", "angket kedua")
    rest = stack.rest(tokens.token(ann))
    path = f"/api/conversations/{room}/messages"
    await rest.acall("PATCH", f"{path}/{a}", {"content": {"text": "wawancara"}})
    await rest.acall("DELETE", f"{path}/{b}")
    assert found(await rest.acall("GET", SEARCH, query={"q": "angket"})) == []
    assert found(await rest.acall("GET", SEARCH,
                                  query={"q": "wawancara"})) == [a]


async def test_who_left_finds_nothing(stack):
    ann, bob, eve = uniques("ann", "bob", "eve")
    room = stack.make_room(ann, bob)
    await talk(stack, ann, room, "rahasia")
    service = stack.rest(tokens.token("svc", role="service"))
    for user in (bob, eve):
        rest = stack.rest(tokens.token(user))
        if user == bob:
            (await service.acall(
                "DELETE", f"/api/conversations/{room}/participants/{bob}")
             ).data
        r = await rest.acall("GET", SEARCH, query={"q": "rahasia"})
        assert found(r) == []
        for other in (room, "nowhere"):
            r = await rest.acall("GET", SEARCH, query={
                "q": "rahasia", "conversationId": other})
            r.refused(404, "not_found")
    r = await service.acall("GET", SEARCH, query={"q": "rahasia",
                                                  "conversationId": room})
    assert len(found(r)) == 1


@pytest.mark.parametrize("query, field", [
    ({}, "q"), ({"q": "!!!"}, "q"), ({"q": "x" * 300}, "q"),
    ({"q": "a", "type": "mail"}, "type"), ({"q": "a", "page": 0}, "page"),
    ({"q": "a", "from": "a b"}, "from"), ({"q": "a", "after": "x"}, "after"),
])
async def test_wrong_questions(stack, query, field):
    r = await stack.rest(tokens.token("ann")).acall("GET", SEARCH,
                                                    query=query)
    assert r.refused(400, "invalid_request")["field"] == field
