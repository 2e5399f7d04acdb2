"""The reference client: what an app must do to profit from the promises.

It comes back with &resume=1 and says how far it has each room; it repeats a
send with the same clientMessageId until that is acknowledged; and it checks,
with every event, what the server promised: each number once, in order, and
no message missing (the test compares what it got with what was sent).
"""

import asyncio
import itertools
import random
import re
import sys
import time
from http.client import HTTPException

from . import state, tokens
from .net import patience
from .rest import Rest
from .state import NUMBERED
from .ws import Closed, Refused, Ws

WINDOW = 48             # sends under way at the same time, at most
ACK_TIMEOUT = 8.0       # then a send is repeated on the same connection
RETRY = 0.25            # pause after a refusal that names none


class Room:
    """What one client has of one conversation."""

    def __init__(self, room, user):
        self.id = room
        self.state = state.Room(room, user)
        self.got = {}           # seq -> (message id, clientMessageId, text)
        self.ids = {}           # message id -> seq
        self.stream = []        # (seq, what, was it archived then)
        self.joined = False
        self.compact = False    # on this connection
        self.held = None        # live events while the room is refetched
        self.refetch = None     # the task that does it

    @property
    def last(self):
        """It has everything up to this number."""
        return self.state.last

    @last.setter
    def last(self, seq):
        self.state.last = self.state.seen = seq

    def note(self, what, seq):
        """One more of the stream.  A compact catch-up begins with how the
        room stands in the end; when it was cut off, and the rest comes event
        by event, that tells nothing of the events before that end."""
        self.stream.append((seq, what, self.state.archived
                            and seq >= self.state.stood))


class Send:
    """One message on its way."""

    def __init__(self, room, text, cmid):
        self.room = room
        self.text = text
        self.cmid = cmid
        self.tries = 0
        self.due = 0.0
        self.sent_at = 0.0
        self.ack = None         # (message id, seq, createdAt), the first
        self.done = asyncio.get_running_loop().create_future()


class ChatClient:
    def __init__(self, user, endpoints, rooms, *, seed=0, ttl=3600):
        """endpoints: [(ws url, host, port)], one taken at random each time,
        as behind a load balancer; the first one first."""
        self.user = user
        self.endpoints = endpoints
        self.rooms = {r: Room(r, user) for r in rooms}
        self.random = random.Random(seed)
        self.ttl = ttl
        self.ws = None
        self.ready = False          # resumed: sends may go out
        self.sends = {}             # cmid -> Send, not acknowledged yet
        self.again = {}             # cmid -> Send, repeated after its ack
        self.flying = {}            # cmid -> Send, on this connection
        self.calls = {}             # id -> future, on this connection
        self.numbers = itertools.count(1)
        self.violations = []
        self.log = []               # frame logs of connections that ended
        self.stats = {"connects": 0, "refused": 0, "resumes": 0,
                      "compact": 0, "resyncs": 0, "retries": 0,
                      "rate_limited": 0, "unavailable": 0, "closes": {},
                      "acks": 0, "dup_acks": 0, "ack_timeouts": 0}
        self.stopping = False
        self.away = 0
        self.window = float(WINDOW)
        self.slow_until = 0.0       # the server asked for less
        self.task = None
        self.tasks = set()

    # ---- life -----------------------------------------------------------

    def start(self):
        self.task = asyncio.create_task(self._run())

    async def stop(self):
        self.stopping = True
        if self.ws is not None and self.ws.closed is None:
            try:
                await self.ws.close()
            except AssertionError as e:
                self._wrong(str(e))
        tasks = {self.task, *self.tasks}
        left = tasks
        while left:
            # again: wait_for() of Python 3.11 loses a cancellation that comes
            # as what it waits for is done, and a session would go on for ever
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=1)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _wrong(self, what):
        self.violations.append(f"{time.time():.3f} {self.user}: {what}")

    async def _run(self):
        resume, pause, where = False, 0.05, self.endpoints[0]
        while not self.stopping:
            try:
                await self._session(where, resume)
                resume, pause = True, 0.05
            except Refused as e:
                self.stats["refused"] += 1
                if e.status not in (429, 502, 503):
                    self._wrong(f"handshake refused: {e}")
            except (OSError, Closed, asyncio.TimeoutError):
                pass
            if self.rooms_joined():
                resume = True
            await asyncio.sleep(self.away or self._hint() or
                                pause * (0.5 + self.random.random()))
            self.away = 0
            pause = min(1.0, pause * 2)
            where = self.random.choice(self.endpoints)

    def nap(self, seconds):
        """Drop the connection without a word and stay away."""
        if self.ws is not None and self.ws.open:
            self.away = seconds
            self.ws.abort()

    def _hint(self):
        """Seconds that a server which restarts asked us to wait."""
        closed = self.ws and self.ws.closed
        if closed and closed.code == 1012:
            ms = re.search(r"(\d+) ?ms", closed.reason)
            return int(ms.group(1)) / 1000 if ms else None
        return None

    def rooms_joined(self):
        return all(r.joined for r in self.rooms.values())

    async def _session(self, where, resume):
        """One connection, from connect to its end."""
        url, host, port = where
        self.rest = Rest(host, port, tokens.token(self.user))
        ws = await Ws.connect(url, tokens.token(self.user, ttl=self.ttl),
                              resume=resume, name=self.user, timeout=5)
        self.stats["connects"] += 1
        self.ws, self.waiting = ws, set(self.rooms)
        ws.on_event = self._event
        while not ws.inbox.empty():         # came with the handshake
            self._event(ws.inbox.get_nowait())
        try:
            if resume:
                # `connected` precedes; the server waits for this
                self.stats["resumes"] += 1
                ws.send("resume", {"conversations": {
                    r.id: r.last for r in self.rooms.values()}})
            else:
                for r in self.rooms.values():
                    ws.send("join_conversation",
                            {"conversationId": r.id, "afterSeq": r.last})
            while ws.closed is None:
                if ws.open:
                    self._pump()
                try:
                    await asyncio.wait_for(ws.gone.wait(), 0.02)
                except asyncio.TimeoutError:
                    pass
        finally:
            self.ready = False
            self.flying.clear()
            for r in self.rooms.values():
                self._hold(r, None)         # the next resume asks for all
            for future in self.calls.values():
                if not future.done():
                    future.set_result(("closed", {}))
            ws.abort()
            self.log.append(ws)
            del self.log[:-6]
            if ws.closed:
                n = self.stats["closes"]
                n[ws.closed.code] = n.get(ws.closed.code, 0) + 1

    # ---- sending --------------------------------------------------------

    def send(self, room, text, cmid=None):
        """Queue a message; await send.done for (id, seq, createdAt)."""
        cmid = cmid or f"{self.user}-{next(self.numbers)}"
        s = Send(room, text, cmid)
        self.sends[cmid] = s
        return s

    def repeat(self, send):
        """Send an acknowledged message once more: same ack expected."""
        send.done = asyncio.get_running_loop().create_future()
        send.due = 0.0
        self.again[send.cmid] = send

    async def call(self, event, data):
        """Another event, once: the name and data of its answer, or "closed"
        when there will be none."""
        if not self.ready or not self.ws.open:
            return "closed", {}
        id = f"call-{next(self.numbers)}"
        self.calls[id] = asyncio.get_running_loop().create_future()
        self.ws.send(event, data, id=id)
        try:
            return await asyncio.wait_for(self.calls[id], ACK_TIMEOUT)
        except asyncio.TimeoutError:
            self.stats["ack_timeouts"] += 1
            return "closed", {}
        finally:
            self.calls.pop(id, None)

    def _pump(self):
        now = time.monotonic()
        for s in list(self.flying.values()):
            if now - s.sent_at > ACK_TIMEOUT:
                self.stats["ack_timeouts"] += 1
                del self.flying[s.cmid]
        if not self.ready or now < self.slow_until:
            return
        for s in itertools.chain(self.sends.values(), self.again.values()):
            if len(self.flying) >= int(self.window):
                break
            if s.cmid in self.flying or s.due > now:
                continue
            s.tries += 1
            if s.tries > 1:
                self.stats["retries"] += 1
            s.sent_at = now
            self.flying[s.cmid] = s
            self.ws.send("send_message", {
                "conversationId": s.room, "type": "text",
                "content": {"text": s.text}, "clientMessageId": s.cmid})

    # ---- receiving ------------------------------------------------------

    def _event(self, event):
        if isinstance(event, Exception):
            if not isinstance(event, Closed):
                self._wrong(str(event))
            return
        name, data = event["event"], event["data"]
        future = self.calls.get(data.get("id"))
        if future is not None and name in ("ack", "error"):
            if not future.done():
                future.set_result((name, data))
        elif name in NUMBERED:
            self._numbered(name, data)
        elif name == "message_status":
            if data.get("status") == "sent":
                self._acked(data)
            elif data["conversationId"] in self.rooms:
                self.rooms[data["conversationId"]].state.apply(name, data)
        elif name == "conversation_joined":
            self._joined(data)
        elif name == "resync_required":
            self._resync(data)
        elif name == "error":
            self._error(data)

    def _joined(self, data):
        room = self.rooms.get(data["conversationId"])
        if room is None:
            return
        if data.get("compact"):
            self.stats["compact"] += 1
        if data["seq"] < room.last:
            self._wrong(f"{room.id}: joined at {data['seq']}, had "
                        f"{room.last}")
        room.joined = True
        room.compact = data.get("compact", False)
        if data["recovered"]:
            room.state.apply("conversation_joined", data)
        room.note("joined", room.last)
        self.waiting.discard(room.id)
        if not self.waiting:
            self.ready = True

    def _numbered(self, name, data):
        room = self.rooms.get(data["conversationId"])
        if room is None:
            return
        if room.held is not None:
            room.held.append((name, data))
            return
        self._take(room, name, data)

    def _take(self, room, name, data):
        seq = data["seq"]
        if seq <= room.state.seen:
            self._wrong(f"{room.id}: {seq} after {room.state.seen} (repeat "
                        f"or out of order)")
            return
        room.state.apply(name, data)
        if not room.compact:
            system = data.get("message", {}).get("content", {}).get(
                "systemMessage", {})
            room.note(system.get("action", name), seq)
        if "message" in data:
            self._message(room, name, seq, data["message"])

    def _message(self, room, name, seq, m):
        """One that is new, or an old one as it is now."""
        id = m["id"]
        if m["conversationId"] != room.id or m["seq"] > seq or (
                name == "message_received" and not room.compact
                and m["seq"] != seq):
            self._wrong(f"{room.id}: event {seq} holds {m}")
        if id in room.ids:
            # again, after a compact catch-up that was cut off: as the same
            if room.ids[id] != m["seq"]:
                self._wrong(f"{room.id}: message {id} as {m['seq']} and as "
                            f"{room.ids[id]}")
            return
        cmid = m.get("clientMessageId")
        room.ids[id] = m["seq"]
        # the same text is in every client's memory: keep it once
        room.got[m["seq"]] = (sys.intern(id), sys.intern(cmid or ""),
                              sys.intern(m["content"].get("text") or ""))
        if m["senderId"] == self.user and cmid in self.sends:
            s = self.sends[cmid]
            if s.ack and s.ack[:2] != (id, m["seq"]):
                self._wrong(f"{cmid}: ack {s.ack}, echo {id} {m['seq']}")

    def _acked(self, data):
        cmid = data.get("clientMessageId")
        ack = (data["messageId"], data["seq"], data["createdAt"])
        self.flying.pop(cmid, None)
        self.window = min(WINDOW, self.window + 0.1)
        s = self.sends.pop(cmid, None) or self.again.pop(cmid, None)
        if s is None:
            return              # a second ack for a send repeated in time
        if data["conversationId"] != s.room:
            self._wrong(f"{cmid}: acked in {data['conversationId']}")
        if data["durability"] not in ("log", "store"):
            self._wrong(f"{cmid}: durability {data['durability']}")
        self.stats["acks"] += 1
        if s.ack is None:
            s.ack = ack
        else:
            self.stats["dup_acks"] += 1
            if s.ack != ack:
                self._wrong(f"{cmid}: first ack {s.ack}, then {ack}")
        known = self.rooms[s.room].got.get(ack[1])
        if known and known[:2] != (ack[0], cmid):
            self._wrong(f"{cmid}: ack {ack}, but that number is {known}")
        if not s.done.done():
            s.done.set_result(s.ack)

    def _error(self, data):
        code, cmid = data["code"], data.get("clientMessageId")
        s = self.flying.pop(cmid, None)
        if code in self.stats:
            self.stats[code] += 1
        if code == "conversation_archived" and s is not None:
            s.due = time.monotonic() + RETRY    # it is opened again
            return
        if not data.get("retryable"):
            self._wrong(f"refused for good: {data}")
            return
        if s is not None:
            pause = data.get("retryAfterMs")
            pause = RETRY if pause is None else pause / 1000
            pause *= 1 + self.random.random() / 4
            s.due = time.monotonic() + pause
            if code == "rate_limited" and s.sent_at > self.slow_until:
                self.window = max(1.0, self.window / 2)
                self.slow_until = s.due
        elif data.get("event") in ("resume", "join_conversation"):
            # the server can not do it now: start over
            self.ws.abort()

    # ---- too far behind -------------------------------------------------

    def _hold(self, room, refetch):
        """Events wait from now on for this task, or for none.  Those that
        waited for the one before are void: room.last is below them."""
        if room.refetch is not None:
            room.refetch.cancel()
        room.refetch = refetch
        room.held = None if refetch is None else []

    def _resync(self, data):
        """Also while a refetch is under way: it may have read what was
        before, and what it holds would end in a hole."""
        self.stats["resyncs"] += 1
        room = self.rooms[data["conversationId"]]
        task = asyncio.create_task(self._refetch(room, self.ws))
        self._hold(room, task)
        self.tasks.add(task)
        task.add_done_callback(self._refetched)

    def _refetched(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception():
            self._wrong(f"refetch: {task.exception()!r}")

    async def _refetch(self, room, ws):
        """Take all of the room from REST, then join where that ends.  Live
        events wait meanwhile.  With the connection it is over."""
        fresh = None
        while fresh is None:
            try:
                fresh = await asyncio.to_thread(self._fetch, room)
            except (OSError, AssertionError, HTTPException) as e:
                if "503" not in str(e) and isinstance(e, AssertionError):
                    self._wrong(f"{room.id}: refetch: {e!r}")
                    ws.abort()
                    return
                await asyncio.sleep(RETRY)
        conversation, rows = fresh
        room.state.load(conversation, rows)
        room.note("loaded", room.last)
        for m in rows:
            self._message(room, "message_updated", m["seq"], m)
        held, room.held, room.refetch = room.held, None, None
        for name, data in held:
            if data["seq"] > room.last:
                self._take(room, name, data)
        if ws.open:
            ws.send("join_conversation", {"conversationId": room.id,
                                          "afterSeq": room.last})

    def _fetch(self, room):
        path = f"/api/conversations/{room.id}"
        conversation = self.rest.get(path).data["conversation"]
        return conversation, self.rest.history(room.id)

    # ---- waiting --------------------------------------------------------

    def _check_task(self):
        """A client that broke down is a broken test: say how."""
        if self.task.done():
            self.task.result()

    async def _wait(self, done, timeout, missing):
        """Until done() is true; missing() says what is not when it is late."""
        timeout = patience(timeout)
        end = time.monotonic() + timeout
        while not done():
            self._check_task()
            if time.monotonic() > end:
                raise AssertionError(
                    f"{self.user}: {missing()} after {timeout} s; ready "
                    f"{self.ready}, {self.stats}")
            await asyncio.sleep(0.02)

    async def wait_ready(self, timeout):
        """Until it is in all its rooms and may send."""
        await self._wait(lambda: self.ready, timeout, lambda: "not ready")

    async def wait_acked(self, timeout):
        """Until nothing waits for an ack."""
        await self._wait(
            lambda: not self.sends and not self.again, timeout,
            lambda: f"{len(self.sends)} sends and {len(self.again)} repeats "
                    f"without ack, {len(self.flying)} flying")

    async def wait_joined(self, timeout):
        """Join every room once more: moves of cursors are sent live only, so
        what went by while the servers had lost Redis comes with this."""
        if self.ws.open:
            self.waiting = set(self.rooms)
            for r in self.rooms.values():
                self.ws.send("join_conversation", {
                    "conversationId": r.id, "afterSeq": r.last})
        await self._wait(lambda: self.ws.open and not self.waiting, timeout,
                         lambda: f"{self.waiting} not joined")

    async def wait_seq(self, room, seq, timeout):
        """Until it has the room up to this number."""
        mine = self.rooms[room]
        await self._wait(lambda: mine.last >= seq, timeout,
                         lambda: f"{room} stands at {mine.last}, not {seq},")
