"""One WebSocket connection, frame by frame.

The protocol machine is that of the `websockets` package without its I/O, so
that a test can see every frame, write raw bytes, keep silent or stop reading.
Everything in and out is kept as evidence (frames) for when a test fails, and
compared with docs/api/asyncapi.yaml (spec.py).
"""

import asyncio
import collections
import itertools
import json
import socket
import time
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from . import spec, tokens
from .net import patience

_numbers = itertools.count(1)

opened = []         # all connections of the running test, for its frame log


class Refused(Exception):
    """The handshake was answered with something else than 101."""

    def __init__(self, response):
        self.status = response.status_code
        self.headers = response.headers
        self.body = bytes(response.body or b"")
        super().__init__(f"{self.status} {self.body[:300]!r}")

    @property
    def json(self):
        return json.loads(self.body)


class Closed(Exception):
    """The connection is gone; code 1006 when there was no Close frame."""

    def __init__(self, code, reason=""):
        self.code = int(code)
        self.reason = reason
        super().__init__(f"closed {code} {reason!r}")


class Ws(asyncio.Protocol):
    """Use Ws.connect().  recv() gives events (parsed JSON) in order."""

    def __init__(self, machine, name, auto_pong):
        self.machine = machine
        self.name = name
        self.auto_pong = auto_pong
        self.transport = None
        self.response = asyncio.get_running_loop().create_future()
        self.inbox = asyncio.Queue()
        self.frames = collections.deque(maxlen=4000)
        self.pongs = asyncio.Queue()
        self.parts = None           # a fragmented message
        self.closed = None          # Closed, once it is
        self.gone = asyncio.Event()
        self.backlog = collections.deque()      # passed over by wait()
        self.on_event = None        # called instead of the inbox
        self.ignore = {"user_presence"}     # events nobody here looks at
        self.pings = 0
        self.judge = spec.Judge()
        opened.append(self)

    # ---- opening --------------------------------------------------------

    @classmethod
    async def connect(cls, url, token=None, *, how="query", resume=False,
                      origin=None, headers=(), drop=(), protocols=None,
                      rcvbuf=None, auto_pong=True, name=None, timeout=10,
                      early=b"", extensions=None):
        """Connect and shake hands.  how: where the token goes.  Extra
        headers replace those of the same name, `drop` takes some away;
        early: bytes that go in one write with the request."""
        query = []
        heads = list(headers)
        if token is not None and how == "query":
            query.append(f"token={token}")
        elif token is not None and how == "header":
            heads.append(("Authorization", f"Bearer {token}"))
        elif token is not None and how == "protocol":
            protocols = ["writeen.v1", f"bearer.{token}"]
        if resume:
            query.append("resume=1")
        if query:
            url += "?" + "&".join(query)
        machine = ClientProtocol(parse_uri(url), origin=origin,
                                 subprotocols=protocols, max_size=None,
                                 extensions=extensions)
        name = name or f"ws{next(_numbers)}"
        loop = asyncio.get_running_loop()
        where = urlsplit(url)
        sock = socket.socket()
        if rcvbuf:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        sock.setblocking(False)
        try:
            await asyncio.wait_for(
                loop.sock_connect(sock, (where.hostname, where.port)),
                patience(timeout))
            _, self = await loop.create_connection(
                lambda: cls(machine, name, auto_pong), sock=sock)
            self.port = where.port
        except BaseException:
            sock.close()
            raise
        request = machine.connect()
        for key in [*(k for k, _ in heads), *drop]:
            if key in request.headers:
                del request.headers[key]
        for key, value in heads:
            request.headers[key] = value
        machine.send_request(request)
        self._note(">", "GET " + where.path)
        self.transport.write(b"".join(machine.data_to_send()) + early)
        try:
            response = await asyncio.wait_for(
                asyncio.shield(self.response), patience(timeout))
        except BaseException:
            self.abort()
            raise
        if machine.handshake_exc is not None:
            self.abort()
            if response.status_code != 101:
                raise Refused(response)
            raise machine.handshake_exc
        return self

    @classmethod
    async def hello(cls, url, user, *, resume=False, role="student",
                    **kw):
        """Connect with a good token and take the `connected` event."""
        names = {k: kw.pop(k) for k in ("ttl", "avatar", "username")
                 if k in kw}
        token = tokens.token(user, role=role, ttl=names.get("ttl", 3600),
                             name=names.get("username"),
                             avatar=names.get("avatar"))
        self = await cls.connect(url, token, resume=resume,
                                 name=kw.pop("name", user), **kw)
        first = await self.recv()
        assert first["event"] == "connected", first
        self.connected = first["data"]
        return self

    # ---- asyncio.Protocol -----------------------------------------------

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        try:
            self.machine.receive_data(data)
        except (WebSocketException, EOFError) as e:
            self._note("!", repr(e))
        self._events()

    def eof_received(self):
        self.machine.receive_eof()
        self._events()

    def connection_lost(self, exc):
        self.machine.receive_eof()
        self._events()
        code = self.machine.close_code
        self._gone(code if code is not None else 1006,
                   self.machine.close_reason or "")

    def _events(self):
        for event in self.machine.events_received():
            if isinstance(event, Response):
                if not self.response.done():
                    self.response.set_result(event)
            else:
                self._frame(event)
        self._flush()

    def _flush(self):
        for data in self.machine.data_to_send():
            if data == b"":
                if self.transport.can_write_eof():
                    self.transport.write_eof()
            elif not self.transport.is_closing():
                self.transport.write(data)

    def _frame(self, frame):
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self.parts = [frame.opcode, bytes(frame.data)]
        elif frame.opcode is Opcode.CONT:
            self.parts[1] += bytes(frame.data)
        elif frame.opcode is Opcode.PONG:
            self._note("<", "PONG")
            self.pongs.put_nowait(bytes(frame.data))
            return
        elif frame.opcode is Opcode.PING:
            self.pings += 1
            self._note("<", "PING")
            if not self.auto_pong:
                self.machine.data_to_send()     # drop the machine's pong
            return
        else:
            self._note("<", f"CLOSE {frame.data!r}")
            return
        if frame.fin:
            opcode, data = self.parts
            self.parts = None
            try:
                event = self._decode(opcode, data)
            except (ValueError, AssertionError) as e:
                event = AssertionError(f"{self.name}: bad frame: {e}")
            if self.on_event:
                self.on_event(event)
            elif isinstance(event, Exception) or (
                    event["event"] not in self.ignore):
                self.inbox.put_nowait(event)

    def _decode(self, opcode, data):
        text = data.decode("utf-8", "strict")
        self._note("<", text)
        assert opcode is Opcode.TEXT, "a binary frame from the server"
        event = json.loads(text)
        assert isinstance(event["event"], str), event
        assert isinstance(event["data"], dict), event
        self.judge.told(event)
        return event

    def _gone(self, code, reason):
        if self.closed is None:
            self.closed = Closed(code, reason)
            self._note("<", f"gone {code} {reason!r}")
            if not self.response.done():
                self.response.set_exception(self.closed)
                self.response.exception()       # looked at
            self.inbox.put_nowait(self.closed)
            self.gone.set()

    def _note(self, direction, what):
        self.frames.append((time.time(), direction, what))

    # ---- out ------------------------------------------------------------

    def send(self, event, data=None, id=None):
        """Send a client event."""
        out = {"event": event}
        if data is not None:
            out["data"] = data
        if id is not None:
            out["id"] = id
        self.send_text(json.dumps(out, ensure_ascii=False))

    @property
    def open(self):
        """Neither side has begun to close."""
        return self.machine.state is State.OPEN

    def send_text(self, text):
        if not self.open:
            raise self.closed or Closed(1006, "closing")
        self._note(">", text if len(text) < 600 else text[:600] + "...")
        self.judge.said(text)
        self.machine.send_text(text.encode())
        self._flush()

    def send_binary(self, data):
        self._note(">", f"BINARY {len(data)}")
        self.machine.send_binary(data)
        self._flush()

    def send_fragments(self, *parts):
        """A text message in so many frames."""
        self.judge.unsure = True
        for i, part in enumerate(parts):
            fin = i == len(parts) - 1
            self._note(">", f"fragment fin={fin} {part[:80]!r}")
            if i == 0:
                self.machine.send_text(part, fin=fin)
            else:
                self.machine.send_continuation(part, fin=fin)
            self._flush()

    def send_raw(self, data):
        """Bytes past the protocol machine."""
        self.judge.unsure = True
        self._note(">", f"RAW {data[:80]!r}")
        self.transport.write(data)

    def ping(self, payload=b""):
        self.machine.send_ping(payload)
        self._flush()

    # ---- in -------------------------------------------------------------

    async def recv(self, timeout=10):
        """The next event; Closed when there is none any more."""
        if self.backlog:
            return self.backlog.popleft()
        return await self._next(patience(timeout))

    async def _next(self, timeout):
        try:
            item = await asyncio.wait_for(self.inbox.get(), timeout)
        except asyncio.TimeoutError:
            raise AssertionError(
                f"{self.name}: no event within {timeout} s") from None
        if isinstance(item, Exception):
            self.inbox.put_nowait(item)
            raise item
        return item

    async def wait(self, event, timeout=10, where=None):
        """The next event of this name (one of a tuple).  Those before it
        stay for later."""
        names = (event,) if isinstance(event, str) else event

        def fits(e):
            return e["event"] in names and (where is None or where(e))

        for i, e in enumerate(self.backlog):
            if fits(e):
                del self.backlog[i]
                return e
        end = time.monotonic() + patience(timeout)
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(
                    f"{self.name}: no {event} within {timeout} s")
            e = await self._next(left)
            if fits(e):
                return e
            self.backlog.append(e)

    def pending(self):
        """Everything that came and was not looked at."""
        out = list(self.backlog)
        self.backlog.clear()
        while not self.inbox.empty():
            item = self.inbox.get_nowait()
            if isinstance(item, Exception):
                self.inbox.put_nowait(item)
                break
            out.append(item)
        return out

    async def quiet(self, seconds, *allowed):
        """Nothing but `allowed` events may come for a while (or be there)."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.backlog:
                item = self.backlog.popleft()
            else:
                try:
                    item = await asyncio.wait_for(self.inbox.get(), left)
                except asyncio.TimeoutError:
                    return
            if isinstance(item, Exception):
                raise item
            assert item["event"] in allowed, f"unexpected {item}"

    async def wait_closed(self, timeout=10):
        """The close code and reason, once it is closed."""
        await asyncio.wait_for(self.gone.wait(), patience(timeout))
        return self.closed.code, self.closed.reason

    # ---- closing --------------------------------------------------------

    async def close(self, code=1000, timeout=5):
        """Close as RFC 6455 says and wait for the server's end of it."""
        if self.closed is None:
            self._note(">", f"CLOSE {code}")
            try:
                self.machine.send_close(code)
                self._flush()
            except WebSocketException:
                pass
            try:
                await asyncio.wait_for(self.gone.wait(), patience(timeout))
            except asyncio.TimeoutError:
                self.abort()
                raise AssertionError(
                    f"{self.name}: Close was not answered") from None
            if self.closed.code == code:
                self.judge.over()
        self.transport.close()
        return self.closed.code

    def abort(self):
        """Drop the TCP connection, without a word."""
        if self.transport:
            self.transport.abort()

    def pause(self):
        self.transport.pause_reading()

    def resume_reading(self):
        self.transport.resume_reading()

    def log_lines(self):
        return [f"{t:.6f} {self.name} {d} {w}" for t, d, w in self.frames]


def raw_frame(opcode, payload, *, fin=True, rsv=0, masked=True,
              length=None):
    """A frame as bytes; for the ones that no library would send."""
    n = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if n < 126:
        head += bytes([bit | n])
    elif n < 65536:
        head += bytes([bit | 126]) + n.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + n.to_bytes(8, "big")
    if masked:
        head += b"\0\0\0\0"         # a mask of zeros changes nothing
    return head + payload
