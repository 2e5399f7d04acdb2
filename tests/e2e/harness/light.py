"""Connections by the thousand: they count what comes and keep nothing."""

import asyncio
import random

from .net import patience

REQUEST = ("GET /ws?token={token} HTTP/1.1\r\nHost: {host}:{port}\r\n"
           "Upgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")


class Light(asyncio.Protocol):
    """One connection.  What it sees of `words` is counted in `seen`."""

    def __init__(self, request, words):
        self.request = request
        self.words = words
        self.seen = dict.fromkeys(words, 0)
        self.tail = b""
        self.ready = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()

    @classmethod
    async def connect(cls, port, token, *words, host="127.0.0.1"):
        """Returns when `connected` came."""
        request = REQUEST.format(token=token, host=host, port=port).encode()
        _, self = await asyncio.get_running_loop().create_connection(
            lambda: cls(request, [w.encode() for w in words]), host, port)
        try:
            await asyncio.wait_for(asyncio.shield(self.ready),
                                   patience(30))
        except BaseException:
            self.abort()
            raise
        return self

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        if not self.ready.done():
            self.tail += data
            if b'"event":"connected"' in self.tail:
                self.ready.set_result(None)
            elif not self.tail.startswith(b"HTTP/1.1 101"[:len(self.tail)]):
                self.ready.set_exception(ConnectionError(
                    self.tail[:200].decode("latin1")))
            else:
                return
            data, self.tail = self.tail, b""
        keep = max(map(len, self.words)) - 1
        whole = self.tail + data
        for word in self.words:
            self.seen[word] += whole.count(word) - self.tail.count(word)
        self.tail = whole[-keep:]

    def connection_lost(self, exc):
        self.gone.set()
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("closed"))

    def count(self, word):
        return self.seen[word.encode()]

    def abort(self):
        self.transport.abort()


async def many(port, tokens, *words, at_once=200, kind=Light, tries=1):
    """One for each token, some at a time.  tries: who is told to come back
    does so, as an app would."""
    gate = asyncio.Semaphore(at_once)

    async def one(token):
        async with gate:
            for left in reversed(range(tries)):
                try:
                    return await kind.connect(port, token, *words)
                except (ConnectionError, asyncio.TimeoutError):
                    if left == 0:
                        raise
                await asyncio.sleep(0.5 + random.random())

    return await asyncio.gather(*[one(t) for t in tokens])
