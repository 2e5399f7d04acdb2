"""A room, the people in it, their sockets and their calls.

    cast = await Cast.group(stack, "ann", "bob", "tia:tutor")
    ack = await cast.say("ann", "hello")
    r = await cast.do("bob", "GET", f"/messages/{ack['messageId']}")
    changed = await cast.told("message_updated", "bob", "ann")

The first one made the room.  Of two sockets of one user the second is "ann2".
"""

import asyncio
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

from . import tokens
from .scene import send, unique
from .ws import Ws

SERVER = "bulk"         # rate limits are another test


class Cast:
    def __init__(self, stack, names):
        self.stack = stack
        self.ids, self.roles = {}, {}
        for name in names:
            name, _, role = name.partition(":")
            self.ids[name] = unique(name)
            self.roles[name] = role or "student"
        self.room = None
        self.ws = {}

    @classmethod
    async def group(cls, stack, *names, **body):
        self = cls(stack, names)
        first, *others = self.ids
        await self._make(first, {
            "type": "group", "title": "Room", **body,
            "participants": [{"userId": self.ids[n],
                              "role": self.roles[n]} for n in others]})
        return self

    @classmethod
    async def direct(cls, stack, ann="ann", bob="bob"):
        self = cls(stack, [ann, bob])
        await self._make(ann, {"type": "direct",
                               "participantIds": [self.ids[bob]]})
        return self

    async def _make(self, by, body):
        r = await self.rest(by).acall("POST", "/api/conversations", body)
        self.room = r.data["conversation"]["id"]

    # ---- REST -----------------------------------------------------------

    def rest(self, name, nginx=0, role=None):
        token = tokens.token(self.ids.get(name, name), role=role or
                             self.roles.get(name, "student"))
        return self.stack.rest(token, nginx, SERVER)

    async def do(self, name, method, path="", body=None, nginx=0,
                 role=None):
        """A call below the room."""
        return await self.rest(name, nginx, role).acall(
            method, f"/api/conversations/{self.room}{path}", body)

    async def edit(self, name, mid, text, nginx=0):
        return await self.do(name, "PATCH", f"/messages/{mid}",
                             {"content": {"text": text}}, nginx)

    async def delete(self, name, mid, nginx=0):
        return await self.do(name, "DELETE", f"/messages/{mid}",
                             nginx=nginx)

    async def react(self, name, mid, emoji, method="PUT", nginx=0):
        return await self.do(
            name, method, f"/messages/{mid}/reactions/"
            + quote(emoji, safe=""), nginx=nginx)

    async def get(self, name, mid, nginx=1):
        r = await self.do(name, "GET", f"/messages/{mid}", nginx=nginx)
        return r.data["message"]

    async def mute_a_moment(self, name):
        """Muted until a time that has passed when this returns."""
        for seconds in 1, 4, 16, 64:    # on a busy machine the call is slow
            end = datetime.now(timezone.utc) + timedelta(seconds=seconds)
            r = await self.do(name, "PUT", "/mute", {
                "muted": True, "until": end.isoformat()})
            if r.status == 200:
                break
            r.refused(400, "invalid_request")
        assert r.status == 200, r
        await asyncio.sleep(seconds)

    async def shown(self, name, nginx=1, role=None):
        """The room's document."""
        r = await self.do(name, "GET", nginx=nginx, role=role)
        return r.data["conversation"]

    async def listed(self, name, nginx=1, **query):
        """The room in the list of rooms, or None."""
        data = (await self.rest(name, nginx).aget(
            "/api/conversations", limit=100, **query)).data
        return {c["id"]: c for c in data["conversations"]}.get(self.room)

    # ---- sockets --------------------------------------------------------

    async def open(self, *names, **kw):
        """A socket each, on the nginx in turn; returns them."""
        for name in names:
            user = name if name in self.ids else name.rstrip("0123456789")
            self.ws[name] = await Ws.hello(
                self.stack.ws(len(self.ws) % 2, SERVER), self.ids[user],
                role=self.roles[user], name=name, **kw)
        return [self.ws[n] for n in names]

    async def say(self, name, text, **more):
        """Send; returns the data of the ack."""
        return await send(self.ws[name], self.room, text, **more)

    async def command(self, name, event, **data):
        """An event with an id; returns what answers it."""
        id = unique("x")
        self.ws[name].send(event, {"conversationId": self.room, **data},
                           id=id)
        return await self.ws[name].wait(
            ("ack", "error"), where=lambda e: e["data"].get("id") == id)

    async def told(self, event, *names):
        """The same event for each of them (all); returns its data."""
        seen = [(await self.ws[n].wait(event))["data"]
                for n in names or self.ws]
        for data in seen:
            assert data == seen[0], (data, seen[0])
            assert data["conversationId"] == self.room
        return seen[0]

    async def said(self, text, *names):
        """A message of this text comes next to each of them; its data."""
        data = await self.told("message_received", *names)
        assert data["message"]["content"] == {"text": text}, data
        return data

    async def quiet(self, *names, seconds=0.2, but=()):
        """Nothing (but these) comes to them."""
        await asyncio.gather(*(self.ws[n].quiet(seconds, *but)
                               for n in names or self.ws))

    async def close(self):
        for ws in self.ws.values():
            await ws.close()

    # ---- what Redis has -------------------------------------------------

    async def log(self):
        """The room's log as text, once all of it is in the store."""
        await asyncio.to_thread(self.stack.wait_applied)
        _, tag = self.stack.conversation_key(self.room)
        with self.stack.redis_of_room(self.room) as c:
            return repr(c.xrange(f"{tag}:log:{self.room}"))

    async def forget(self, *, log_only=False):
        """As Redis does after a while."""
        await asyncio.to_thread(self.stack.wait_applied)
        conv, tag = self.stack.conversation_key(self.room)
        with self.stack.redis_of_room(self.room) as c:
            c.delete(f"{tag}:log:{self.room}",
                     *([] if log_only else [conv]))
