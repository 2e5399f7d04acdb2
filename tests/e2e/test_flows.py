"""A chat, a consultation and a file, each from its first step to its last: two
people are there, one is away and is reached by a push.
"""

import asyncio
import json

import pytest

from harness import tokens, upload
from harness.cast import Cast
from harness.fcm import Fcm
from harness.net import patience
from harness.scene import join, send, unique, uniques
from harness.upload import Files, info
from harness.ws import Ws
from test_push import kinds, push_stack, settled


@pytest.fixture(scope="module")
def flowing(store, request, tmp_path_factory):
    stack = push_stack(request, store, tmp_path_factory, "flow", Fcm.env,
                       files="local")
    yield stack
    problems = stack.stop()
    stack.fcm.stop()
    assert not problems, "\n".join(problems)


class People:
    """A student and a tutor who are there, and a student who is away."""

    def __init__(self, stack):
        self.stack = stack
        self.ani, self.tia, self.eko = uniques("ani", "tia", "eko")
        self.roles = {self.ani: "student", self.tia: "tutor",
                      self.eko: "student"}
        self.sockets = {}
        self.token = unique("eko-phone")

    def rest(self, user, nginx=0):
        return self.stack.rest(tokens.token(user, role=self.roles[user]),
                               nginx)

    async def come(self):
        r = await self.rest(self.eko).acall(
            "POST", "/api/devices",
            {"platform": "android", "token": self.token, "locale": "id"})
        assert r.status == 200, r
        for n, user in enumerate((self.ani, self.tia)):
            self.sockets[user] = await Ws.hello(
                self.stack.ws(n), user, role=self.roles[user])
        return [self.sockets[u] for u in (self.ani, self.tia)]

    async def leave(self):
        for ws in self.sockets.values():
            await ws.close()

    def pushed(self):
        return kinds(self.stack.fcm, self.token)


async def test_chat_creation(flowing):
    """Contact, conversation, messages in real time, a file, history, search,
    archive."""
    p = People(flowing)
    ani, tia = await p.come()
    r = await p.rest(p.ani).acall("POST", "/api/conversations", {
        "type": "group", "title": "Study group",
        "participantIds": [p.tia, p.eko]})
    assert r.status == 201, r
    room = r.data["conversation"]["id"]
    for ws in (ani, tia):
        e = await ws.wait("conversation_created")
        assert e["data"]["conversationId"] == room
        await join(ws, room)
    await settled(flowing, room)
    assert p.pushed() == ["invitation"]

    tia.send("typing", {"conversationId": room, "isTyping": True})
    await ani.wait("user_typing")
    ack = await send(ani, room, "Apakah kuesioner sudah benar?")
    e = await tia.wait("message_received")
    tia.send("mark_read", {"conversationId": room,
                           "messageId": e["data"]["message"]["id"]})
    e = await ani.wait("message_status",
                       where=lambda e: e["data"]["status"] == "read")
    assert e["data"]["messageId"] == ack["messageId"]
    await settled(flowing, room)
    assert p.pushed() == ["invitation", "message"]

    kind, body = upload.file_form("paper.pdf", upload.sample("paper.pdf"))
    r = await p.rest(p.tia, 1).acall(
        "POST", f"/api/conversations/{room}/upload", raw=body,
        headers={"Content-Type": kind}, timeout=40)
    assert r.status == 201, r
    e = await ani.wait("message_received",
                       where=lambda e: e["data"]["message"]["type"] == "file")

    # who was away finds all of it
    history = p.rest(p.eko).history(room)
    assert [m["type"] for m in history] == ["text", "file"]
    r = await p.rest(p.eko).aget("/api/unread")
    assert r.data["total"] == 2
    r = await p.rest(p.eko).aget("/api/search", q="kuesioner")
    assert [x["message"]["id"] for x in r.data["results"]] == [
        ack["messageId"]]
    r = await p.rest(p.ani).acall("POST",
                                  f"/api/conversations/{room}/archive")
    assert r.status == 200, r
    for ws in (ani, tia):
        e = await ws.wait("conversation_updated")
        assert e["data"]["conversation"]["isArchived"] is True
    r = await p.rest(p.eko).aget("/api/conversations", archived="true")
    assert [c["id"] for c in r.data["conversations"]] == [room]
    await p.leave()


@pytest.mark.parametrize("how", ["REST", "stream"])
async def test_consultation(flowing, how):
    """Confirmed, room, invitation, both join, session, archive and summary."""
    p = People(flowing)
    ani, tia = await p.come()
    number = unique("consult")

    async def tell(action, **data):
        if how == "stream":
            with flowing.redis_client() as c:
                c.xadd("wrt:consultations", {
                    "action": {"confirm": "confirmed", "start": "started",
                               "end": "ended"}[action],
                    "id": number, "data": json.dumps(data)})
            return
        r = await flowing.rest(tokens.token("lms", role="service")).acall(
            "POST", f"/api/consultations/{number}/{action}", data)
        assert r.status in (200, 201), r
    await tell("confirm", title="Thesis", topic="Bab 3", participants=[
        {"userId": u, "role": role} for u, role in p.roles.items()],
        settings={"autoArchive": True})
    room = None
    for ws in (ani, tia):
        e = await ws.wait("conversation_created")
        assert e["data"]["conversation"]["consultationId"] == number
        assert room in (None, e["data"]["conversationId"])
        room = e["data"]["conversationId"]
        await join(ws, room)
    await settled(flowing, room)
    assert p.pushed() == ["invitation"]

    await tell("start")
    for ws in (ani, tia):
        e = await ws.wait("message_received")
        assert e["data"]["message"]["content"]["systemMessage"]["action"] == (
            "consultation_started")
    await send(ani, room, "Berapa responden untuk kuesioner?")
    await send(tia, room, "150 responden. Tolong kirim kuesioner besok.")
    await settled(flowing, room)
    assert "message" in p.pushed()
    await tell("end")
    for ws in (ani, tia):
        e = await ws.wait("conversation_updated")
        assert e["data"]["conversation"]["isArchived"] is True
        assert e["data"]["conversation"]["consultationStatus"] == "ended"
    for user in p.roles:
        async with asyncio.timeout(patience(20)):
            while True:
                r = await p.rest(user).aget(
                    f"/api/consultations/{number}/summary")
                if r.data["session"]["status"] == "completed":
                    break
                await asyncio.sleep(0.05)
        assert r.data["summary"]["totalMessages"] == 2
        assert r.data["summary"]["actionItems"] == [
            "Tolong kirim kuesioner besok."]
        assert r.data["analytics"]["responseTime"] >= 0
    await p.leave()


async def test_file_sharing(flowing):
    """Chosen, checked, sent with progress, told, downloaded."""
    p = People(flowing)
    ani, tia = await p.come()
    r = await p.rest(p.ani).acall("POST", "/api/conversations", {
        "type": "group", "participantIds": [p.tia, p.eko]})
    room = r.data["conversation"]["id"]
    for ws in (ani, tia):
        await ws.wait("conversation_created")
        await join(ws, room)
    await settled(flowing, room)
    cast = Cast(flowing, [])
    cast.room = room
    cast.ids = {"ani": p.ani, "tia": p.tia, "eko": p.eko}
    files = Files(cast, "main")
    data = upload.sample("house.jpg")

    r = await files.upload("ani", "letter.pdf", b"no PDF at all")
    r.refused(415, "unsupported_type")
    r = await files.upload("ani", "house.jpg", data)
    assert r.status == 201, r
    await ani.wait("upload_progress",
                   where=lambda e: e["data"]["stage"] == "completed")
    e = await tia.wait("message_received")
    file = info(e["data"]["message"])["fileId"]
    assert e["data"]["message"]["type"] == "image"
    r = await files.download("tia", file)
    assert r.status == 200 and r.raw == data
    assert (await files.thumbnail("tia", file, "small")).status == 200
    await settled(flowing, room)
    assert p.pushed()[-1] == "message"
    r = await files.download("eko", file)
    assert r.status == 200 and r.raw == data
    await p.leave()
