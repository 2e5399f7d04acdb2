"""What people do besides writing, while parts are killed, and a model of it.

Every operation is repeated, through one door or the other, until it is
acknowledged; the model is what was acknowledged, in that order.  A change
whose answer got lost and that is repeated must not happen twice: at the end a
room's number says how many changes there were.
"""

import asyncio
import time
from http.client import HTTPException
from urllib.parse import quote

from harness import tokens

EMOJI = ["👍", "❤️", "🎉"]
PAUSE = 0.2             # before a repeat
RETRY_CODES = {"rate_limited", "unavailable", "conversation_archived"}
GHOSTS = 3              # users without connections, put in and out


class Changes:
    def __init__(self, chat, rate):
        self.chat = chat
        self.stack = chat.stack
        self.rng = chat.rng
        self.rate = rate            # operations a second, all together
        self.edits = {}             # message id -> texts, in order
        self.deleted = set()        # message ids
        self.leaving = set()        # being deleted now
        self.reactions = {}         # message id -> {(user, emoji)}
        self.reads = {}             # (room, user) -> number
        self.delivered = {}
        self.ghosts = {}            # (room, ghost) -> ["in", "out", ...]
        self.numbers = {}           # room -> numbered changes
        self.unsure = {}            # room -> perhaps one, perhaps none
        self.done = {}
        self.tries = 0

    def tasks(self):
        for c in self.chat.clients:
            yield self.change(c)
        for room in self.chat.members:
            yield self.put_in_and_out(room)
        yield self.open_and_close(list(self.chat.members)[-1])

    def count(self, room, kind, numbered=True):
        self.done[kind] = self.done.get(kind, 0) + 1
        if numbered:
            self.numbers[room] = self.numbers.get(room, 0) + 1

    # ---- until it is acknowledged ---------------------------------------

    async def insist(self, user, room, rest, client=None, event=None):
        """Returns an error's code, or None, and the number of tries."""
        n = 0
        while True:
            n += 1
            self.tries += 1
            if client and event and self.rng.random() < 0.5:
                code = await self.by_event(client, room, *event)
            else:
                code = await self.by_rest(user, room, *rest)
            if code not in RETRY_CODES:
                return code, n
            await asyncio.sleep(PAUSE * (0.5 + self.rng.random()))

    async def by_event(self, client, room, name, data):
        answer, data = await client.call(
            name, {"conversationId": room, **data})
        if answer == "closed":
            return "unavailable"
        return data["code"] if answer == "error" else None

    async def by_rest(self, user, room, method, path, body=None):
        rest = self.stack.rest(
            tokens.token(user, role="service" if user == "svc"
                         else "student"),
            self.rng.randrange(len(self.stack.nginx)))
        try:
            r = await rest.acall(
                method, f"/api/conversations/{room}{path}", body)
        except (OSError, HTTPException):
            return "unavailable"
        if r.status in (502, 503):
            return "unavailable"
        return None if r.status in (200, 201) else r.json["error"]["code"]

    # ---- what a client does ---------------------------------------------

    async def change(self, client):
        """One operation after the other, at his own pace."""
        pause = len(self.chat.clients) / self.rate
        names = ["edit", "delete", "react", "react", "unreact", "read",
                 "read", "deliver"]
        while not self.chat.stopping:
            await asyncio.sleep(pause * (0.5 + self.rng.random()))
            await getattr(self, self.rng.choice(names))(client)

    def recent(self, client, own):
        """An acknowledged message of one of his rooms that stands."""
        for _ in range(20):
            sends = self.chat.sends[-2000:]
            if not sends:
                return None
            s = self.rng.choice(sends)
            if (s.ack and s.room in client.rooms
                    and s.ack[0] not in self.leaving
                    and (not own or s.cmid.rsplit("-", 1)[0]
                         == client.user)):
                return s
        return None

    async def edit(self, client):
        s = self.recent(client, own=True)
        if s is None:
            return
        mid, texts = s.ack[0], self.edits.setdefault(s.ack[0], [])
        text = f"{s.text} edited {len(texts) + 1} {time.time()}"
        body = {"content": {"text": text}}
        code, _ = await self.insist(
            client.user, s.room, ("PATCH", f"/messages/{mid}", body),
            client, ("edit_message", {"messageId": mid, **body}))
        if code:
            self.chat.problems.append(f"edit of {mid}: {code}")
            return
        texts.append(text)
        self.count(s.room, "edit")

    async def delete(self, client):
        s = self.recent(client, own=True)
        if s is None:
            return
        mid = s.ack[0]
        self.leaving.add(mid)
        code, _ = await self.insist(
            client.user, s.room, ("DELETE", f"/messages/{mid}"),
            client, ("delete_message", {"messageId": mid}))
        if code:
            self.chat.problems.append(f"deletion of {mid}: {code}")
            return
        self.deleted.add(mid)
        self.count(s.room, "delete")

    async def react(self, client, on=True):
        s = self.recent(client, own=False)
        if s is None:
            return
        mid = s.ack[0]
        have = self.reactions.setdefault(mid, set())
        mine = sorted(e for u, e in have if u == client.user)
        if not on and not mine:
            return
        emoji = self.rng.choice(EMOJI if on else mine)
        path = f"/messages/{mid}/reactions/{quote(emoji)}"
        code, tries = await self.insist(
            client.user, s.room, ("PUT" if on else "DELETE", path), client,
            ("add_reaction" if on else "remove_reaction",
             {"messageId": mid, "emoji": emoji}))
        if code == "not_found" and mid in self.leaving:
            if tries > 1:       # an answer before that one may be lost
                self.unsure[s.room] = self.unsure.get(s.room, 0) + 1
            return
        if code:
            self.chat.problems.append(f"reaction to {mid}: {code}")
            return
        changed = ((client.user, emoji) in have) != on
        (have.add if on else have.discard)((client.user, emoji))
        self.count(s.room, "react", changed)

    async def unreact(self, client):
        await self.react(client, on=False)

    async def read(self, client, kind="read"):
        s = self.recent(client, own=False)
        if s is None:
            return
        code, _ = await self.insist(
            client.user, s.room, ("POST", "/" + kind,
                                  {"messageId": s.ack[0]}), client,
            ("mark_read" if kind == "read" else "mark_delivered",
             {"messageId": s.ack[0]}))
        if code:
            self.chat.problems.append(f"{kind} of {s.ack[0]}: {code}")
            return
        key = (s.room, client.user)
        for at in {"read": (self.reads, self.delivered),
                   "delivered": (self.delivered,)}[kind]:
            at[key] = max(at.get(key, 0), s.ack[1])
        self.count(s.room, kind, numbered=False)

    async def deliver(self, client):
        await self.read(client, "delivered")

    # ---- what a service does --------------------------------------------

    async def put_in_and_out(self, room):
        """Members come and go; who is in is put out and the other way."""
        while not self.chat.stopping:
            await asyncio.sleep(1 + 2 * self.rng.random())
            ghost = f"ghost-{self.rng.randrange(GHOSTS)}"
            life = self.ghosts.setdefault((room, ghost), [])
            inside = bool(life) and life[-1] == "in"
            # put in again if the first answer got lost: it is in then
            rest = (("DELETE", f"/participants/{ghost}") if inside else
                    ("POST", "/participants", {"userId": ghost,
                                               "role": "student"}))
            code, tries = await self.insist("svc", room, rest)
            if code == "not_found" and inside and tries > 1:
                code = None
            if code:
                self.chat.problems.append(f"{ghost} in {room}: {code}")
                continue
            life.append("out" if inside else "in")
            self.count(room, "member")

    async def open_and_close(self, room):
        """The room is archived for a moment, now and then, and open in the
        end."""
        while not self.chat.stopping:
            await asyncio.sleep(4 + 4 * self.rng.random())
            for verb in ("archive", "unarchive"):
                code, _ = await self.insist("svc", room,
                                            ("POST", "/" + verb))
                if code:
                    self.chat.problems.append(f"{verb} {room}: {code}")
                    continue
                self.count(room, verb)
                await asyncio.sleep(0.5)

    # ---- what must be there in the end ----------------------------------

    def kept(self, mid, text):
        """What the database has; a deletion is a mark there."""
        return (self.edits.get(mid) or [text])[-1]

    def text(self, mid, text):
        """How a message reads now; None when it was deleted."""
        return None if mid in self.deleted else self.kept(mid, text)

    def stands(self, mid):
        return set() if mid in self.deleted else self.reactions.get(
            mid, set())

    def readers(self, room, seq, sender):
        return {u for (r, u), n in self.reads.items()
                if r == room and n >= seq and u != sender}

    def check_rows(self, room, rows):
        """Texts, reactions, readers of the history."""
        for m in rows:
            if m["type"] == "system":
                continue
            id, sender = m["id"], m["senderId"]
            have = ({(r["userId"], r["emoji"]) for r in m["reactions"]},
                    {r["userId"] for r in m["readBy"]},
                    bool(m["deletedAt"]))
            want = (self.stands(id), self.readers(room, m["seq"], sender),
                    id in self.deleted)
            if have != want:
                yield f"{room} {m['seq']} {id}: {have}, not {want}"

    def check_edits(self, room, rows, rest):
        """What it read before each edit: each once, in order."""
        texts = {s.ack[0]: s.text for s in self.chat.sends if s.ack}
        for m in rows:
            edits = self.edits.get(m["id"])
            if not edits or m["id"] in self.deleted:
                continue
            got = rest.get(f"/api/conversations/{room}/messages/{m['id']}"
                           "/history").data["editHistory"]
            want = [texts[m["id"]], *edits[:-1]]
            if [e["previousContent"] for e in got] != want:
                yield f"{room} {m['id']}: {got}, not {want}"

    def check_members(self, room, rows, conversation):
        """Each coming and going once, in order, and who is in now."""
        told = {}
        for m in rows:
            what = m["content"].get("systemMessage")
            if what:
                told.setdefault(what["data"]["userId"], []).append(
                    "in" if what["action"] == "user_joined" else "out")
        want = {g: life for (r, g), life in self.ghosts.items()
                if r == room and life}
        if told != want:
            yield f"{room}: {told}, not {want}"
        inside = {p["userId"] for p in conversation["participants"]
                  if not p.get("leftAt")}
        should = {*self.chat.members[room],
                  *(g for g, life in want.items() if life[-1] == "in")}
        if inside != should:
            yield f"{room}: members {inside}, not {should}"

    def check_number(self, room, conversation, messages):
        """As many numbers as changes: none twice, none lost."""
        want = messages + self.numbers.get(room, 0)
        over = conversation["seq"] - want
        if not 0 <= over <= self.unsure.get(room, 0):
            yield (f"{room} stands at {conversation['seq']}; {messages} "
                   f"messages and {self.numbers.get(room, 0)} changes were "
                   f"acknowledged, {self.unsure.get(room, 0)} unsure")

    def check_closed(self, room, client):
        """While it was archived nothing happened but what may."""
        closed = False
        before = []
        for seq, name, archived in client.rooms[room].stream:
            if closed and name not in ("conversation_updated", "user_left",
                                       "joined", "loaded"):
                yield (f"{client.user} {room}: {name} {seq} while archived; "
                       f"before it {before[-5:]}")
            before.append((seq, name, archived))
            closed = archived
