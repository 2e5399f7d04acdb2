"""The REST side: one call, one connection, the answer checked by
docs/api/openapi.yaml."""

import asyncio
import http.client
import json
from urllib.parse import urlencode

from . import spec
from .net import patience


class Reply:
    def __init__(self, status, headers, raw):
        self.status = status
        self.headers = headers
        self.raw = raw
        try:
            self.json = json.loads(raw) if raw else None
        except ValueError:
            self.json = None

    def __repr__(self):
        return f"<{self.status} {self.raw[:600]!r}>"

    @property
    def data(self):
        """The data of a success; fails on anything else."""
        assert self.status in (200, 201), self
        assert self.json["success"] is True, self
        return self.json["data"]

    def refused(self, status, code):
        """Check an error's envelope; returns its error object."""
        assert self.status == status, self
        assert self.json["success"] is False, self
        assert isinstance(self.json["message"], str), self
        assert self.json["message"], self
        assert self.json["error"]["code"] == code, self
        assert self.headers["Content-Type"].startswith(
            "application/json"), self.headers.items()
        return self.json["error"]


class Rest:
    def __init__(self, host, port, token=None):
        self.host = host
        self.port = port
        self.token = token

    def call(self, method, path, body=None, *, query=None, headers=None,
             raw=None, timeout=15):
        """One request.  body is sent as JSON, raw as it is."""
        head = dict(headers or {})
        if self.token and "Authorization" not in head:
            head["Authorization"] = "Bearer " + self.token
        data = raw
        if body is not None:
            data = json.dumps(body)
            head.setdefault("Content-Type", "application/json")
        if isinstance(data, str):
            data = data.encode()
        if query:
            path += "?" + urlencode(query)
        conn = http.client.HTTPConnection(self.host, self.port,
                                          timeout=patience(timeout))
        try:
            conn.request(method, path, data, head)
            r = conn.getresponse()
            reply = Reply(r.status, r.headers, r.read())
        finally:
            conn.close()
        spec.check_answer(method, path, reply.status,
                          reply.headers["Content-Type"], reply.raw)
        return reply

    async def acall(self, *args, **kw):
        return await asyncio.to_thread(self.call, *args, **kw)

    def get(self, path, **query):
        return self.call("GET", path, query=query or None)

    async def aget(self, path, **query):
        return await asyncio.to_thread(self.get, path, **query)

    def history(self, room, limit=200):
        """All messages of a room, oldest first, paged by beforeSeq."""
        out, before = [], None
        while True:
            query = {"limit": limit}
            if before is not None:
                query["beforeSeq"] = before
            data = self.get(f"/api/conversations/{room}/messages",
                            **query).data
            page = data["messages"]
            seqs = [m["seq"] for m in page]
            assert seqs == sorted(seqs, reverse=True), "not newest first"
            assert len(page) <= limit
            out += page
            if not data["pagination"]["hasMore"]:
                return out[::-1]
            assert page, "hasMore without messages"
            before = seqs[-1]
