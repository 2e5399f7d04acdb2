#!/usr/bin/env python3
"""chat.py PORT SECRET [ROOM]: two people chat with the server on a port.

A room, a message each way, a picture with its thumbnail, history.  Prints the
room; given one, it goes on in it, and what was said before must be there.
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness import tokens, upload          # noqa: E402
from harness.rest import Rest               # noqa: E402
from harness.scene import received, send, texts     # noqa: E402
from harness.ws import Ws                   # noqa: E402

HOST = "127.0.0.1"
SAID = ["Hello", "Hello, Ani", ""]          # the last is the picture's


def check(good, what):
    if not good:
        raise SystemExit(f"chat: {what}")


class Chat:
    def __init__(self, port, secret):
        self.port = port
        self.secret = secret

    def token(self, user, role):
        return tokens.token(user, role=role, secret=self.secret)

    def rest(self, user, role="student"):
        return Rest(HOST, self.port, self.token(user, role))

    async def ws(self, user, role):
        ws = await Ws.connect(f"ws://{HOST}:{self.port}/ws",
                              self.token(user, role), name=user)
        first = await ws.recv()
        check(first["event"] == "connected", first)
        return ws

    def room(self):
        r = self.rest("lms", "service").call("POST", "/api/conversations", {
            "type": "group", "title": "Tour",
            "participants": [{"userId": "ani", "role": "student"},
                             {"userId": "budi", "role": "tutor"}]})
        check(r.status in (200, 201), r)
        return r.data["conversation"]["id"]

    def history(self, room):
        r = self.rest("budi", "tutor").get(
            f"/api/conversations/{room}/messages")
        check(r.status == 200, r)
        return [m["content"]["text"] for m in reversed(r.data["messages"])]

    async def say(self, ws, listeners, room, text):
        await send(ws, room, text)
        for other in listeners:
            got = texts(await received(other, 1, room))
            check(got == [text], got)

    def picture(self, room):
        """Sent, found clean, seen by the other one, small and whole."""
        data = upload.sample("house.jpg")
        kind, form = upload.file_form("house.jpg", data)
        r = self.rest("ani").call(
            "POST", f"/api/conversations/{room}/upload", raw=form,
            headers={"Content-Type": kind}, timeout=60)
        check(r.status == 201, r)
        file = r.data["message"]["content"]["fileInfo"]
        budi = self.rest("budi", "tutor")
        r = budi.call("GET", file["downloadUrl"])
        check(r.status == 200 and r.raw == data, r)
        r = budi.call("GET", file["thumbnailUrl"])
        check(r.status == 200 and 0 < len(r.raw) < len(data), r)

    async def run(self, room=None):
        before = SAID if room else []
        room = room or await asyncio.to_thread(self.room)
        check(await asyncio.to_thread(self.history, room) == before,
              "what was said before is not there")
        ani = await self.ws("ani", "student")
        budi = await self.ws("budi", "tutor")
        await self.say(ani, (ani, budi), room, SAID[0])
        await self.say(budi, (ani, budi), room, SAID[1])
        await asyncio.to_thread(self.picture, room)
        await received(budi, 1, room)
        check(await asyncio.to_thread(self.history, room) == before + SAID,
              "history is not what was said")
        await ani.close()
        await budi.close()
        return room


if __name__ == "__main__":
    print(asyncio.run(Chat(int(sys.argv[1]), sys.argv[2]).run(*sys.argv[3:])))
