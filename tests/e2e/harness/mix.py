"""Everything that people do in a room, at random, and a model of it.

One operation at a time in a room (rooms side by side), through either door.
The model is made of what was acknowledged alone: which messages there are
and how they read now, who is in and since when, where the cursors stand, how
many numbers were given.  What the servers serve afterwards must be the same.
"""

import asyncio
import secrets
from urllib.parse import quote

from .device import Device
from .state import plain

EMOJI = ["👍", "❤️", "😂", "🎉", "1️⃣"]

WEIGHTS = {"send": 40, "edit": 10, "delete": 6, "react": 14, "unreact": 6,
           "read": 12, "deliver": 4, "join": 2, "leave": 2, "settings": 2,
           "archive": 1, "stray": 1}


class Message:
    def __init__(self, id, seq, sender, text, reply_to):
        self.id = id
        self.seq = seq
        self.sender = sender
        self.text = text            # None: deleted, or a system message
        self.system = False
        self.deleted = False
        self.reply_to = reply_to
        self.reactions = set()      # (user, emoji)
        self.edits = []             # texts it had before


class Mix:
    """One room with an owner (who stays) and others, who come and go."""

    def __init__(self, stack, rng, owner, others, *, weights=None,
                 nodes=None):
        """nodes: the nginx that they use (all)."""
        self.stack = stack
        self.rng = rng
        self.nodes = nodes or list(range(len(stack.nginx)))
        self.owner = owner
        self.others = list(others)
        self.weights = dict(WEIGHTS, **(weights or {}))
        self.speakers = {}          # user -> Device that speaks for him
        self.room = None
        self.seq = 0
        self.messages = {}          # id -> Message, in order
        self.since = {}             # user -> number at which he joined
        self.read = {}
        self.delivered = {}
        self.archived = False
        self.title = None
        self.gone = set()           # texts that nobody may be sent any more
        self.done = {}              # operation -> how many
        self.events = 0             # durable events and moves of cursors

    async def begin(self):
        """Make the room and connect a device for each of them."""
        for i, user in enumerate([self.owner, *self.others]):
            self.speakers[user] = Device(self.stack, user, name=user + "!")
        r = await self.rest(self.owner).acall(
            "POST", "/api/conversations",
            {"type": "group", "title": "Kelas", "participants": [
                {"userId": u, "role": "student"} for u in self.others]})
        assert r.status == 201, r
        self.room = r.data["conversation"]["id"]
        self.title = "Kelas"
        self.since = {u: 0 for u in self.speakers}
        for i, d in enumerate(self.speakers.values()):
            await d.open(self.nodes[i % len(self.nodes)])
        return self

    async def end(self):
        for d in self.speakers.values():
            await d.close()

    def rest(self, user):
        node = self.rng.choice(self.nodes)
        return self.stack.rest(self.speakers[user].token, node, "bulk")

    # ---- two doors ------------------------------------------------------

    async def door(self, user, rest, event=None):
        """Do it by REST (method, path in the room, body) or as an event
        (name, data).  Returns an error's code, or None and the answer."""
        if event is None or self.rng.random() < 0.4:
            method, path, body = rest
            r = await self.rest(user).acall(
                method, f"/api/conversations/{self.room}{path}", body)
            if r.status in (200, 201):
                return None, r.data
            assert r.status != 503, (rest, r)
            return r.json["error"]["code"], r.json["error"]
        name, data = event
        answer, data = await self.speakers[user].call(
            name, {"conversationId": self.room, **data})
        if answer == "error":
            return data["code"], data
        return None, data

    # ---- operations -----------------------------------------------------

    def members(self):
        return sorted(self.since)

    def standing(self, sender=None):
        return [m for m in self.messages.values() if not m.deleted
                and not m.system and sender in (None, m.sender)]

    async def step(self):
        names = list(self.weights)
        op = self.rng.choices(names, [self.weights[n] for n in names])[0]
        if await getattr(self, "_" + op)() is not False:
            self.done[op] = self.done.get(op, 0) + 1
            return op
        return None

    def _numbered(self):
        self.seq += 1
        self.events += 1

    def _refused(self, code, user):
        """What an archived room says to a change."""
        assert code == ("conversation_archived" if self.archived
                        else None), (code, user, self.room)
        return code is not None

    async def _send(self):
        user = self.rng.choice(self.members())
        text, cmid = "t" + secrets.token_hex(8), secrets.token_hex(6)
        body = {"type": "text", "content": {"text": text},
                "clientMessageId": cmid}
        known = self.standing()
        if known and self.rng.random() < 0.2:
            body["replyTo"] = self.rng.choice(known).id
        code, answer = await self.door(user, ("POST", "/messages", body),
                                       ("send_message", body))
        if self._refused(code, user):
            return
        self._numbered()
        answer = answer.get("message", answer)
        assert answer["seq"] == self.seq, (answer, self.seq)
        id = answer.get("id") if "messageId" not in answer else answer[
            "messageId"]
        self.messages[id] = Message(id, self.seq, user, text,
                                    body.get("replyTo"))

    def learn(self, ack, sender, text):
        """A message that was sent past the mix."""
        self._numbered()
        assert ack["seq"] == self.seq, (ack, self.seq)
        self.messages[ack["messageId"]] = Message(
            ack["messageId"], self.seq, sender, text, None)

    async def _edit(self):
        m = self._pick(self.standing(self.rng.choice(self.members())))
        if m is None or len(m.edits) > 90:
            return False
        text = "t" + secrets.token_hex(8)
        content = {"content": {"text": text}}
        code, _ = await self.door(
            m.sender, ("PATCH", f"/messages/{m.id}", content),
            ("edit_message", {"messageId": m.id, **content}))
        if not self._refused(code, m.sender):
            self._numbered()
            m.edits.append(m.text)
            m.text = text

    async def _delete(self):
        m = self._pick(self.standing(self.rng.choice(self.members())))
        if m is None:
            return False
        code, _ = await self.door(
            m.sender, ("DELETE", f"/messages/{m.id}", None),
            ("delete_message", {"messageId": m.id}))
        if not self._refused(code, m.sender):
            self._numbered()
            self.gone |= {m.text, *m.edits}
            m.text, m.deleted, m.reactions = None, True, set()

    async def _react(self, on=True):
        m = self._pick(self.standing())
        if m is None:
            return False
        user = self.rng.choice(self.members())
        emoji = self.rng.choice(EMOJI)
        if not on and m.reactions:
            user, emoji = self.rng.choice(sorted(m.reactions))
            if user not in self.since:
                return False
        code, _ = await self.door(
            user, ("PUT" if on else "DELETE",
                   f"/messages/{m.id}/reactions/{quote(emoji)}", None),
            ("add_reaction" if on else "remove_reaction",
             {"messageId": m.id, "emoji": emoji}))
        if ((user, emoji) in m.reactions) == on:
            # nothing to change: an archived room may say either
            assert code in (None, "conversation_archived"), code
        elif not self._refused(code, user):
            self._numbered()
            m.reactions ^= {(user, emoji)}

    async def _unreact(self):
        return await self._react(on=False)

    async def _read(self, kind="read"):
        m = self._pick(list(self.messages.values())[-12:])
        if m is None:
            return False
        user = self.rng.choice(self.members())
        event = "mark_read" if kind == "read" else "mark_delivered"
        code, _ = await self.door(
            user, ("POST", f"/{kind}", {"messageId": m.id}),
            (event, {"messageId": m.id}))
        assert code is None, code
        mine = self.read if kind == "read" else self.delivered
        if m.seq > mine.get(user, 0):
            self.events += 1
        mine[user] = max(mine.get(user, 0), m.seq)
        self.delivered[user] = max(self.delivered.get(user, 0), m.seq)

    async def _deliver(self):
        return await self._read("delivered")

    async def _join(self):
        out = [u for u in self.others if u not in self.since]
        if not out:
            return False
        user = self.rng.choice(out)
        code, _ = await self.door(self.owner, (
            "POST", "/participants", {"userId": user, "role": "student"}))
        if not self._refused(code, user):
            await self._system(user, self.owner)
            self.since[user] = self.seq

    async def _leave(self):
        users = [u for u in self.members() if u != self.owner]
        if not users:
            return False
        user = self.rng.choice(users)
        by = self.rng.choice([user, self.owner])
        code, _ = await self.door(
            by, ("DELETE", f"/participants/{user}", None))
        assert code is None, code
        del self.since[user]
        await self._system(user, by)

    async def _system(self, user, actor):
        """The message that tells of it is in the history, newest."""
        self._numbered()
        rows = (await self.rest(self.owner).aget(
            f"/api/conversations/{self.room}/messages",
            limit=1)).data["messages"]
        m = rows[0]
        assert (m["seq"], m["type"]) == (self.seq, "system"), m
        assert m["senderId"] == actor, m
        assert m["content"]["systemMessage"]["data"]["userId"] == user, m
        self.messages[m["id"]] = Message(m["id"], self.seq, actor, None,
                                         None)
        self.messages[m["id"]].system = True

    async def _settings(self):
        title = "Kelas " + secrets.token_hex(3)
        code, _ = await self.door(
            self.owner, ("PATCH", "", {"title": title, "settings": {
                "retention": self.rng.randint(1, 400)}}))
        assert code is None, code
        self._numbered()
        self.title = title

    async def _archive(self):
        """Closed, a few tries that are refused, open again."""
        for verb in ("archive", "unarchive"):
            code, _ = await self.door(self.owner,
                                      ("POST", "/" + verb, None))
            assert code is None, code
            self._numbered()
            self.archived = verb == "archive"
            if self.archived:
                for op in self.rng.sample(
                        ["_send", "_edit", "_delete", "_react", "_read"], 2):
                    await getattr(self, op)()

    async def _stray(self):
        """Somebody who is out tries it all the same."""
        out = [u for u in self.others if u not in self.since]
        m = self._pick(self.standing())
        if not out or m is None:
            return False
        user = self.rng.choice(out)
        for rest, event in [
                (("PATCH", f"/messages/{m.id}", {"content": {"text": "x"}}),
                 ("edit_message", {"messageId": m.id,
                                   "content": {"text": "x"}})),
                (("POST", "/read", {"messageId": m.id}),
                 ("mark_read", {"messageId": m.id})),
                (("POST", "/messages", {"content": {"text": "x"}}),
                 ("send_message", {"content": {"text": "x"},
                                   "type": "text"}))]:
            code, _ = await self.door(user, rest, event)
            assert code == "not_found", (user, rest, code)

    def _pick(self, messages):
        return self.rng.choice(messages) if messages else None

    # ---- what must be served --------------------------------------------

    def unread(self, user):
        """Counted afresh."""
        read = max(self.since[user], self.read.get(user, 0))
        return sum(m.seq > read and m.sender != user and not m.deleted
                   for m in self.messages.values())

    def check_history(self, rows):
        """Rows of GET .../messages, oldest first."""
        out = []
        for m, row in zip(self.messages.values(), rows):
            have = plain(row)
            want = (m.id, m.seq, m.sender, m.text, m.deleted, m.reply_to,
                    sorted(m.reactions), self.readers(m))
            got = (have["id"], have["seq"], have["senderId"],
                   row["content"].get("text"), have["deletedAt"] is not None,
                   have["replyTo"],
                   sorted((u, e) for u, e, _ in have["reactions"]),
                   {r["userId"] for r in row["readBy"]})
            if want != got:
                out.append(f"{self.room}: {got}, not {want}")
        if len(rows) != len(self.messages):
            out.append(f"{self.room}: {len(rows)} rows, not "
                       f"{len(self.messages)}")
        return out

    def readers(self, m):
        return {u for u, n in self.read.items()
                if n >= m.seq and u != m.sender}

    def cursors(self):
        return {u: [self.read.get(u, 0), self.delivered.get(u, 0)]
                for u in self.speakers}


async def run_side_by_side(mixes, operations):
    """So many operations in all, in all rooms at the same time."""
    left = [operations]

    async def one(mix):
        while left[0] > 0:
            left[0] -= 1
            if await mix.step() is None:
                left[0] += 1

    await asyncio.gather(*[one(m) for m in mixes])
