"""An afternoon of two people, and what one of them has on the wire.

    lines = await record(stack, "ani", "budi")
    view = replay(lines)            # what a client shows then

A line is a dict: "t" seconds since the beginning, "do" what happens, and
more by that: rest (method, path, body, status, answer), open (url), send and
get (frame), lost (the connection is gone), state (what has to be on screen,
the last line).  docs/api/transcript.jsonl is such a record, for clients in
any language (docs/flutter.md).
"""

import asyncio
import json
import time

from . import tokens
from .scene import message, send
from .state import Room
from .upload import file_form, sample
from .ws import Ws

TOKEN = "<token>"               # in place of all of them


class Teller:
    """The one whose wire is recorded."""

    def __init__(self, stack, user, server):
        self.stack, self.user, self.server = stack, user, server
        self.begin = time.time()
        self.lines = []
        self.ws = None

    def note(self, do, at=None, **more):
        self.lines.append({"t": round((at or time.time()) - self.begin, 3),
                           "do": do, **more})

    async def rest(self, method, path, body=None, raw=None, headers=None):
        token = tokens.token(self.user, name="Ani")
        reply = await self.stack.rest(token, server=self.server).acall(
            method, path, body, raw=raw, headers=headers)
        if raw is not None:
            body = {"file": "shapes.png", "description": "Gambar 1"}
        self.note("rest", method=method, path=path, body=body,
                  status=reply.status, answer=reply.json)
        return reply.json["data"]

    async def open(self, ttl=3600, resume=False):
        self.note("open", url=f"/ws?token={TOKEN}"
                  + ("&resume=1" if resume else ""))
        self.ws = await Ws.hello(
            self.stack.ws(server=self.server), self.user, name="ani",
            username="Ani", ttl=ttl, resume=resume)
        self.ws.ignore = set()

    def lost(self):
        """The tunnel; what was on the wire goes to the lines."""
        self.ws.abort()
        self._frames()
        self.note("lost")

    def _frames(self):
        for at, way, text in self.ws.frames:
            if text.startswith("{"):
                frame = json.loads(text)
                if frame["event"] == "refresh_token":
                    frame["data"]["token"] = TOKEN
                self.note("send" if way == ">" else "get", at, frame=frame)

    async def end(self):
        await self.ws.close()
        self._frames()
        self.lines.sort(key=lambda line: line["t"])

    async def call(self, event, id, **data):
        self.ws.send(event, data, id=id)
        return await self.ws.wait(
            ("ack", "pong", "error", "message_status", "conversation_joined"),
            where=lambda e: e["data"].get("id") == id)


async def record(stack, ani="ani", budi="budi", server="main"):
    me = Teller(stack, ani, server)
    other = await Ws.hello(stack.ws(server=server), budi, role="tutor",
                           name="budi", username="Budi")

    # a room, and it is on screen
    made = await me.rest("POST", "/api/conversations", {
        "type": "direct", "participantIds": [budi]})
    room = made["conversation"]["id"]
    path = f"/api/conversations/{room}"
    await me.rest("GET", path + "/messages")
    await me.open()
    await me.call("join_conversation", "1", conversationId=room, afterSeq=0)
    await me.call("ping", "2")

    # a question, an answer, read on both sides
    asked = await send(me.ws, room, "Berapa responden untuk kuesioner, Pak?",
                       "c-1")
    await me.ws.wait("message_received")
    other.send("mark_read", {"conversationId": room,
                             "messageId": asked["messageId"]})
    await me.ws.wait("message_status",
                     where=lambda e: e["data"]["status"] == "read")
    other.send("typing", {"conversationId": room, "isTyping": True})
    await me.ws.wait("user_typing")
    answer = await send(other, room, "150 respondn.", "b-1",
                        replyTo=asked["messageId"])
    await me.ws.wait("message_received")
    await me.ws.wait("user_typing")
    me.ws.send("mark_read", {"conversationId": room,
                             "messageId": answer["messageId"]}, id="3")
    await me.ws.wait("message_status",
                     where=lambda e: e["data"]["status"] == "read")

    # it is edited, gets a reaction; another one is deleted
    other.send("edit_message", {
        "conversationId": room, "messageId": answer["messageId"],
        "content": {"text": "150 responden."}})
    await me.ws.wait("message_updated")
    await me.call("add_reaction", "4", conversationId=room,
                  messageId=answer["messageId"], emoji="👍")
    await me.ws.wait("reaction_updated")
    slip = await send(me.ws, room, "Salah kamar", "c-2")
    await me.ws.wait("message_received")
    await me.call("delete_message", "5", conversationId=room,
                  messageId=slip["messageId"])
    await me.ws.wait("message_deleted")

    # a file
    kind, body = file_form("shapes.png", sample("shapes.png"),
                           description="Gambar 1", clientMessageId="c-3")
    await me.rest("POST", path + "/upload", raw=body,
                  headers={"Content-Type": kind})
    await me.ws.wait("message_received", where=lambda e: (
        e["data"]["message"]["type"] == "image"))
    await me.ws.wait("upload_progress",
                     where=lambda e: e["data"]["progress"] == 100)

    # what can not be
    await me.call("send_message", "6", **message("nowhere", "x", "c-4"))

    # sent, and the connection breaks before the answer is here: the number of
    # the last event that was applied is what to resume from
    last = (await me.rest("GET", path))["conversation"]["seq"]
    late = me.ws.frames and len(me.ws.frames)
    me.ws.send("send_message", message(room, "Terima kasih, Pak.", "c-5"))
    await other.wait("message_received", where=lambda e: (
        e["data"].get("clientMessageId") == "c-5"))
    while len(me.ws.frames) > late + 1:     # it did not come
        me.ws.frames.pop()
    me.lost()
    await send(other, room, "Sama-sama.", "b-2")

    # back: what was missed, the same message once more, a new token
    await me.open(ttl=61, resume=True)
    me.ws.send("resume", {"conversations": {room: last}}, id="7")
    await me.ws.wait("conversation_joined")
    for _ in range(2):
        await me.ws.wait("message_received")
    me.ws.send("send_message", message(room, "Terima kasih, Pak.", "c-5"))
    await me.ws.wait("message_status")
    await me.ws.wait("token_expiring")
    await me.call("refresh_token", "8", token=tokens.token(ani, name="Ani"))
    await asyncio.to_thread(stack.wait_applied)

    now = (await me.rest("GET", path))["conversation"]
    rows = (await me.rest("GET", path + "/messages"))["messages"]
    await me.end()
    await other.close()
    me.note("state", conversationId=room, **shown(
        Room(room, ani).load(now, rows), now["unreadCount"]))
    return me.lines


def shown(room, unread):
    view = room.view()
    for m in view["messages"]:
        m["reactions"] = [dict(zip(("userId", "emoji", "addedAt"), r))
                          for r in m["reactions"]]
    return {"title": view["title"], "isArchived": view["archived"],
            "members": view["members"], "messages": view["messages"],
            "unreadCount": unread}


def replay(lines):
    """The state that a client ends in which follows these lines; all that it
    needs is in the first answers and in what it gets."""
    state = lines[-1]
    me = next(line["frame"]["data"]["userId"] for line in lines
              if line["do"] == "get")
    room = Room(state["conversationId"], me)
    for line in lines:
        if line["do"] == "rest" and line["method"] == "POST" \
                and line["path"] == "/api/conversations":
            room.load(line["answer"]["data"]["conversation"], [])
        elif line["do"] == "get":
            event, data = line["frame"]["event"], line["frame"]["data"]
            if data.get("conversationId") == room.id:
                if "seq" in data and event in ("message_received",
                                               "message_updated",
                                               "message_deleted",
                                               "reaction_updated"):
                    assert data["seq"] > room.seen, (data["seq"], room.seen)
                room.apply(event, data)
    return shown(room, room.unread)
