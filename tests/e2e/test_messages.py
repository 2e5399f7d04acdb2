"""A message's way: sent, acknowledged, echoed, numbered, repeated.

Promises 1 to 3 where nothing breaks: one order for all, an ack that tells the
truth, and a retry that changes nothing.
"""

import asyncio
import json
import re

from harness import tokens
from harness.scene import (OID, TIME, fill, join, message, received, send,
                           seqs, texts, unique, uniques)
from harness.ws import Ws


async def test_send_ack_and_echo_to_every_socket(stack):
    """All sockets of all members, on both nodes, the sender's own too."""
    ann, bob, eve = uniques("ann", "bob", "eve")
    room = stack.make_room(ann, bob)
    socks = [await Ws.hello(stack.ws(i % 2), u, username="Ann Ång \"q\"",
                            avatar="https://cdn/a.png", role="tutor")
             for i, u in enumerate([ann, ann, bob, bob])]
    stranger = await Ws.hello(stack.ws(), eve)
    cmid = unique("c")
    socks[0].send("send_message",
                  message(room, "halo", cmid, id="forged", seq=99,
                          senderId=eve, createdAt="1999"), id="m1")
    ack = (await socks[0].wait("message_status"))["data"]
    assert ack["clientMessageId"] == cmid
    assert ack["conversationId"] == room
    assert ack["seq"] == 1
    assert ack["status"] == "sent"
    assert ack["durability"] == "log"
    assert ack["id"] == "m1"
    assert re.match(OID, ack["messageId"])
    assert re.match(TIME, ack["createdAt"])

    echoes = [(await received(ws, 1))[0] for ws in socks[1:]]
    for data in echoes:
        assert data == echoes[0]
    data = echoes[0]
    assert data["conversationId"] == room
    assert data["seq"] == 1
    assert data["clientMessageId"] == cmid
    m = data["message"]
    assert m == {
        "id": ack["messageId"], "conversationId": room, "senderId": ann,
        "sender": {"name": "Ann Ång \"q\"", "avatar": "https://cdn/a.png"},
        "type": "text", "content": {"text": "halo"}, "status": "sent",
        "readBy": [], "replyTo": None, "reactions": [],
        "clientMessageId": cmid, "createdAt": ack["createdAt"], "seq": 1}
    await stranger.quiet(0.3)
    for ws in (*socks, stranger):
        await ws.close()


async def test_sender_hears_his_own_message(stack):
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(), ann)
    cmid = unique("c")
    ws.send("send_message", message(room, "x", cmid))
    both = [await ws.recv(), await ws.recv()]
    by_name = {e["event"]: e["data"] for e in both}
    ack, echo = by_name["message_status"], by_name["message_received"]
    assert echo["clientMessageId"] == ack["clientMessageId"] == cmid
    assert echo["message"]["id"] == ack["messageId"]
    assert echo["seq"] == ack["seq"] == 1
    await ws.quiet(0.2)
    await ws.close()


async def test_text_comes_out_as_it_went_in(stack):
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(), ann)
    words = ["é ü ñ — “q”", "👩‍👩‍👧‍👦🇮🇩", "مرحبا بكم", "日本語テキスト",
             "\" \\ / \b \f \n \r \t", "a\u2028b\u2029c", "\x7f\x01\x1f",
             "<script>&amp;</script>", "\ufeffbom \uffff", "𝒳" * 1000,
             " leading and trailing ", "line\n\nline", "m 5 x -\n{}",
             "'; DROP TABLE messages; --", "{\"$gt\":\"\"}", "$where"]
    for text in words:
        await send(ws, room, text)
    # one socket later, from the log
    ws2 = await Ws.hello(stack.ws(1), ann)
    await join(ws2, room, 0)
    assert texts(await received(ws2, len(words))) == words
    # and from the store
    rows = stack.rest(tokens.token(ann)).history(room)
    assert [m["content"]["text"] for m in rows] == words
    await ws.close()
    await ws2.close()


async def test_retry_gets_the_first_ack(stack):
    """On the same socket, on another one, on another node and by REST."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), ann)
    other = await Ws.hello(stack.ws(1), ann)
    listener = await Ws.hello(stack.ws(1), bob)
    rest = stack.rest(tokens.token(ann))
    cmid = unique("c")
    first = await send(ws, room, "once", cmid)
    assert first["seq"] == 1
    for sock in (ws, other, ws):
        again = await send(sock, room, "once", cmid)
        assert {k: again[k] for k in ("messageId", "seq", "createdAt")} == {
            k: first[k] for k in ("messageId", "seq", "createdAt")}
    path = f"/api/conversations/{room}/messages"
    reply = rest.call("POST", path, {"type": "text",
                                     "content": {"text": "once"},
                                     "clientMessageId": cmid})
    assert reply.status == 200, reply
    assert reply.data["message"]["id"] == first["messageId"]
    assert reply.data["message"]["seq"] == 1
    assert reply.data["message"]["content"] == {"text": "once"}
    # it is the sender's and the conversation's: others may use the same one
    theirs = await send(listener, room, "bob's", cmid)
    assert theirs["messageId"] != first["messageId"]
    assert theirs["seq"] == 2
    room2 = stack.make_room(ann, bob)
    elsewhere = await send(ws, room2, "there", cmid)
    assert elsewhere["messageId"] != first["messageId"]
    got = await received(listener, 2, room)
    assert seqs(got) == [1, 2]
    await listener.wait("conversation_created")
    assert len(await received(listener, 1, room2)) == 1
    await listener.quiet(0.3)
    assert len(rest.history(room)) == 2
    for sock in (ws, other, listener):
        await sock.close()


async def test_retries_at_the_same_time_are_one_message(stack):
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    socks = [await Ws.hello(stack.ws(i % 2), ann) for i in range(6)]
    cmid = unique("c")
    acks = await asyncio.gather(*[send(ws, room, "one", cmid)
                                  for ws in socks])
    assert len({a["messageId"] for a in acks}) == 1
    assert {a["seq"] for a in acks} == {1}
    rest = stack.rest(tokens.token(ann))
    assert len(rest.history(room)) == 1
    for ws in socks:
        await ws.close()


async def test_without_client_message_id(stack):
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(), ann)
    ids = []
    for _ in range(2):
        ws.send("send_message", message(room, "same"), id="q")
        ack = (await ws.wait("message_status"))["data"]
        assert "clientMessageId" not in ack
        assert ack["id"] == "q"
        ids.append(ack["messageId"])
    assert len(set(ids)) == 2
    await ws.close()


async def test_reply_and_sticker(stack):
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(), ann)
    first = await send(ws, room, "question")
    await send(ws, room, "answer", replyTo=first["messageId"])
    sticker = {"sticker": {"pack": "cats", "id": "wave_1"}}
    ws.send("send_message", {"conversationId": room, "type": "sticker",
                             "content": sticker,
                             "clientMessageId": unique("c")})
    await ws.wait("message_status")
    rows = stack.rest(tokens.token(ann)).history(room)
    assert [m["replyTo"] for m in rows] == [None, first["messageId"], None]
    assert rows[2]["type"] == "sticker"
    assert rows[2]["content"] == sticker
    await ws.close()


async def test_no_room_and_not_my_room_look_the_same(stack):
    """Nobody may find out which conversations exist."""
    ann, eve = uniques("ann", "eve")
    room = stack.make_room(ann, unique("bob"))
    nowhere = unique("nowhere")
    ws = await Ws.hello(stack.ws(), eve)
    for event, more in [
            ("join_conversation", {}), ("join_conversation",
                                        {"afterSeq": 0}),
            ("send_message", {"type": "text", "content": {"text": "x"},
                              "clientMessageId": "c1"})]:
        seen = []
        for target in (room, nowhere):
            ws.send(event, {"conversationId": target, **more}, id="i1")
            error = (await ws.wait("error"))["data"]
            assert error["code"] == "not_found", error
            assert error["retryable"] is False
            seen.append(json.dumps(error, sort_keys=True).replace(
                target, "TARGET"))
        assert seen[0] == seen[1]
    seen = []
    rest = stack.rest(tokens.token(eve))
    for target in (room, nowhere):
        for method, path, body in [
                ("GET", f"/api/conversations/{target}", None),
                ("GET", f"/api/conversations/{target}/messages", None),
                ("POST", f"/api/conversations/{target}/messages",
                 {"type": "text", "content": {"text": "x"}})]:
            reply = rest.call(method, path, body)
            reply.refused(404, "not_found")
            seen.append(reply.raw.replace(target.encode(), b"TARGET"))
    assert seen[:3] == seen[3:]
    # and he got nothing in, and nothing of the room
    owner = await Ws.hello(stack.ws(), ann)
    assert (await join(owner, room, 0))["seq"] == 0
    await ws.quiet(0.2)
    await ws.close()
    await owner.close()


async def test_order_is_one_for_all(stack):
    """Five senders at once into one room, three listeners on two nodes: all
    see the same sequence without a hole, each sender's own order kept."""
    users = uniques("a", "b", "c", "d", "e")
    room = stack.make_room(*users)
    senders = [await Ws.hello(stack.ws(i % 2), u)
               for i, u in enumerate(users)]
    listeners = [await Ws.hello(stack.ws(i % 2), users[i])
                 for i in range(3)]
    n = 40
    acks = await asyncio.gather(*[
        fill(ws, room, n, text=u) for ws, u in zip(senders, users)])
    total = n * len(users)
    got = [await received(ws, total) for ws in listeners]
    for events in got:
        assert seqs(events) == list(range(1, total + 1))
        assert texts(events) == texts(got[0])
    for u, own in zip(users, acks):
        assert [t for t in texts(got[0]) if t.startswith(u)] == [
            f"{u} {i}" for i in range(1, n + 1)]
        by_seq = {e["seq"]: e["message"]["id"] for e in got[0]}
        assert all(by_seq[a["seq"]] == a["messageId"] for a in own)
    times = [e["message"]["createdAt"] for e in got[0]]
    assert times == sorted(times)
    for ws in senders + listeners:
        await ws.close()


async def test_many_rooms_many_members(stack):
    """Everybody gets what is his and nothing else."""
    users = uniques(*"abcdefgh")
    rooms = {}
    for i in range(8):
        members = [users[i], users[(i + 1) % 8], users[(i + 3) % 8]]
        rooms[stack.make_room(*members)] = members
    socks = {u: await Ws.hello(stack.ws(i % 2), u)
             for i, u in enumerate(users)}
    assert all(ws.connected["conversations"] == 3 for ws in socks.values())
    for room, members in rooms.items():
        for u in members:
            await send(socks[u], room, f"{room} {u}")
    for u, ws in socks.items():
        mine = [r for r, members in rooms.items() if u in members]
        live = [e["conversationId"] for e in await received(ws, 9)]
        assert sorted(live) == sorted(mine * 3)
        await ws.quiet(0.1)
        await ws.close()
        ws = await Ws.hello(stack.ws(), u)
        for room, members in rooms.items():
            ws.send("join_conversation", {"conversationId": room,
                                          "afterSeq": 0})
            e = await ws.recv()
            if room not in mine:
                assert e["event"] == "error"
                continue
            assert e["event"] == "conversation_joined"
            assert e["data"]["seq"] == 3
            assert texts(await received(ws, 3, room)) == [
                f"{room} {m}" for m in members]
        await ws.close()


async def test_ack_store_waits_for_the_database(stack):
    """writeen_ack store: when the ack is there, so is the row."""
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(server="store"), ann)
    with stack.open_store() as db:
        for i in range(20):
            ack = await send(ws, room, f"stored {i}")
            assert ack["durability"] == "store"
            assert db.message_ids(room)[-1] == ack["messageId"]
    # a retry of it tells the same
    cmid = unique("c")
    first = await send(ws, room, "again", cmid)
    assert await send(ws, room, "again", cmid) == first
    await ws.close()


async def test_read_your_writes(stack):
    """What is acknowledged is in the history, at once, 200 times; on the
    other node, too."""
    ann = unique("ann")
    room = stack.make_room(ann, unique("bob"))
    ws = await Ws.hello(stack.ws(server="bulk"), ann)
    path = f"/api/conversations/{room}/messages"
    rests = [stack.rest(tokens.token(ann), i) for i in (0, 1)]
    for i in range(200):
        ack = await send(ws, room, f"m {i}")
        reply = await rests[i % 2].aget(path, limit=1)
        newest = reply.data["messages"][0]
        assert newest["id"] == ack["messageId"], i
        assert newest["seq"] == ack["seq"]
    await ws.close()


test_read_your_writes.limit = 120
