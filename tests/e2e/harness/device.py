"""One device of a user: a connection that comes and goes, and the rooms as
this device has them (state.py).

    phone = Device(stack, "ann")
    await phone.open(node=1)            # REST first, then join, then live
    await phone.call("edit_message", {...})
    phone.drop()                        # the tunnel
    await phone.open(node=0)            # resumes
    await phone.reach(room, 17)
"""

import asyncio
import itertools
import time

from . import tokens
from .net import patience
from .state import NUMBERED, Room
from .ws import Ws


class Device:
    def __init__(self, stack, user, *, name=None, server="bulk",
                 role="student"):
        self.stack = stack
        self.user = user
        self.name = name or user
        self.server = server
        self.token = tokens.token(user, role=role)
        self.ws = None
        self.rooms = {}             # id -> Room
        self.early = {}             # id -> events of rooms not loaded yet
        self.presence = []          # (user, status), as they were told
        self.typing = []            # (room, user, is typing)
        self.modes = {"log": 0, "compact": 0, "resync": 0}
        self.problems = []
        self.calls = {}             # id -> future
        self.numbers = itertools.count(1)
        self.changed = asyncio.Event()
        self.resuming = set()       # rooms whose answer is awaited
        self.heard = {}             # id -> last number on this connection
        self.again = set()          # told to take these from the history
        self.cut_after = None       # lose the connection after so many events
        self.text = []              # all that came, when it is to be kept
        self.keep_text = False

    # ---- life -----------------------------------------------------------

    async def open(self, node=0):
        """Connect; with rooms already there, resume them."""
        resume = bool(self.rooms)
        self.node = node
        self.ws = await Ws.connect(self.stack.ws(node, self.server),
                                   self.token, resume=resume,
                                   name=self.name)
        hello = await self.ws.recv()
        assert hello["event"] == "connected", hello
        self.hello = hello["data"]
        self.heard = {r.id: r.last for r in self.rooms.values()}
        self.ws.on_event = self._event
        while not self.ws.inbox.empty():
            self._event(self.ws.inbox.get_nowait())
        if resume:
            self.resuming = set(self.rooms)
            self.ws.send("resume", {"conversations": {
                r.id: r.last for r in self.rooms.values()}})
            await self.until(lambda: not self.resuming, "the resume")
        await self.settle(await self._list())
        return self

    async def _list(self):
        """Rooms that came while we were away."""
        out, page = set(), 1
        while True:
            for archived in ("false", "true"):
                data = (await self.rest().aget(
                    "/api/conversations", page=page, limit=100,
                    archived=archived)).data
                out |= {c["id"] for c in data["conversations"]}
            if len(data["conversations"]) < 100:
                return out - set(self.rooms)
            page += 1

    async def settle(self, rooms=()):
        """Load what we were told of and do not have yet."""
        todo = set(rooms) | set(self.early) | self.again
        self.again.clear()
        for id in todo:
            await self._load(id)

    async def _load(self, id):
        self.early.setdefault(id, [])
        self.rooms.pop(id, None)
        rest = self.rest()
        r = await rest.aget(f"/api/conversations/{id}")
        if r.status == 404:         # out again before we looked
            self.early.pop(id)
            return
        rows = await self._history(rest, id)
        if rows is None:
            self.early.pop(id)
            return
        room = Room(id, self.user).load(r.data["conversation"], rows)
        for m in rows:              # where we came in: a system message
            who = m["content"].get("systemMessage", {})
            if (who.get("action") == "user_joined"
                    and who["data"]["userId"] == self.user):
                room.since = m["seq"]
        for name, data in self.early.pop(id):
            if data["seq"] > room.last:
                room.apply(name, data)
        self.rooms[id] = room
        self.resuming.add(id)
        self.ws.send("join_conversation", {"conversationId": id,
                                           "afterSeq": room.last})
        await self.until(lambda: id not in self.resuming, f"join of {id}")

    @staticmethod
    async def _history(rest, id):
        """None: put out of it while we read."""
        try:
            return await asyncio.to_thread(rest.history, id)
        except AssertionError:
            r = await rest.aget(f"/api/conversations/{id}")
            if r.status != 404:
                raise
            return None

    def rest(self, node=None):
        return self.stack.rest(self.token, self.node if node is None
                               else node, self.server)

    def drop(self):
        """Away without a word."""
        self.ws.abort()
        self.resuming.clear()

    async def close(self):
        if self.ws is not None and self.ws.closed is None:
            await self.ws.close()
        assert self.problems == [], self.problems

    # ---- out ------------------------------------------------------------

    async def call(self, event, data, timeout=15):
        """An event with an id; its answer as (event, data)."""
        id = f"{self.name}-{next(self.numbers)}"
        future = asyncio.get_running_loop().create_future()
        self.calls[id] = future
        self.ws.send(event, data, id=id)
        try:
            return await asyncio.wait_for(future, patience(timeout))
        except asyncio.TimeoutError:
            raise AssertionError(
                f"{self.name}: no answer to {event} {data}") from None
        finally:
            self.calls.pop(id, None)

    async def do(self, event, data):
        """The same; anything but success fails."""
        name, answer = await self.call(event, data)
        assert name != "error", (event, data, answer)
        return answer

    # ---- in -------------------------------------------------------------

    def _event(self, event):
        if isinstance(event, Exception):
            if isinstance(event, AssertionError):
                self.problems.append(str(event))
            return
        if self.keep_text:
            self.text.append(self.ws.frames[-1][2])
        name, data = event["event"], event["data"]
        future = self.calls.get(data.get("id"))
        if future and not future.done() and name in (
                "ack", "error", "message_status", "pong"):
            future.set_result((name, data))
        self._take(name, data)
        self.changed.set()
        if self.cut_after is not None and name in NUMBERED:
            self.cut_after -= 1
            if self.cut_after == 0:
                self.drop()

    def _take(self, name, data):
        if name == "user_presence":
            self.presence.append((data["userId"], data["status"]))
            return
        if name == "user_typing":
            self.typing.append((data["conversationId"], data["userId"],
                                data["isTyping"]))
            return
        id = data.get("conversationId")
        heard = self.heard.get(id, 0)
        if name in NUMBERED:
            self.heard[id] = data["seq"]
        if name == "error" and id in self.resuming:
            self.resuming.discard(id)       # out of it
            self.rooms.pop(id, None)
        elif name == "resync_required":
            if id not in self.again:
                self.problems.append(f"{self.name}: {id} was recovered, but "
                                     f"resync_required")
        elif name == "conversation_created":
            if id not in self.rooms:
                self.early.setdefault(id, [])
        elif id in self.rooms:
            self._of_room(self.rooms[id], name, data, heard)
        elif name in NUMBERED:
            # of a room that we do not have (any more): put out of it and in
            # again while we were away, as the log told us one by one
            self.early.setdefault(id, []).append((name, data))

    def _of_room(self, room, name, data, heard):
        if name in NUMBERED and data["seq"] <= room.seen:
            # REST may be ahead of the connection until the join is answered
            if room.id in self.resuming and data["seq"] > heard:
                return
            self.problems.append(f"{self.name}: {room.id} {data['seq']} "
                                 f"after {room.seen}")
        if name == "conversation_joined" and room.id in self.resuming:
            self.resuming.discard(room.id)
            mode = ("resync" if not data["recovered"] else "compact"
                    if data.get("compact") else "log")
            if mode == "resync":
                self.again.add(room.id)
            if data["missed"] or mode == "resync":
                self.modes[mode] += 1
        room.apply(name, data)
        if name == "message_received" and self.user not in room.members:
            del self.rooms[room.id]

    # ---- waiting --------------------------------------------------------

    async def until(self, check, what, timeout=20):
        """Until check() is true, looked at after each event."""
        end = time.monotonic() + patience(timeout)
        while not (value := check()):
            if self.ws.closed is not None:
                raise AssertionError(f"{self.name}: {self.ws.closed} while "
                                     f"waiting for {what}")
            self.changed.clear()
            left = end - time.monotonic()
            try:
                await asyncio.wait_for(self.changed.wait(), max(0.01, left))
            except asyncio.TimeoutError:
                raise AssertionError(
                    f"{self.name}: waited {timeout} s for {what}; "
                    f"{self.problems}") from None
        return value

    async def reach(self, id, seq, timeout=20):
        """Until it has everything of the room up to this number."""
        def there():
            return id in self.rooms and self.rooms[id].last >= seq

        def told():
            return id in self.early or id in self.again

        await self.until(lambda: there() or told(), f"word of {id}", timeout)
        if told():
            await self.settle()
        await self.until(there, f"{id} to be at {seq} (it is at "
                         f"{self.rooms[id].last if id in self.rooms else 0})",
                         timeout)


def served(rest, id, me, cursors):
    """A room as REST serves it now: what every device's view must be."""
    conversation = rest.get(f"/api/conversations/{id}").data["conversation"]
    rows = rest.history(id)
    room = Room(id, me).load(conversation, rows)
    room.cursors = {u: list(c) for u, c in cursors.items()}
    return room, rows, conversation
