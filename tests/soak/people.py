"""Who comes and goes in a turn of the soak.

Each kind is a coroutine that does its part again and again until the time of
the turn is over, closes what it opened, and returns what was wrong.  All names
are new in each turn, so that none finds what a turn before has left.
"""

import asyncio
import json
import time
import zlib

from harness import tokens, upload
from harness.cast import Cast
from harness.client import ChatClient
from harness.mix import Mix
from harness.net import patience
from harness.scene import join, message, send, unique, uniques
from harness.upload import EICAR, Files
from harness.ws import Closed, Refused, Ws, opened, raw_frame
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory)

TEXT, PING = 1, 9
LIFE = 8                # seconds of a token that expires
RELOADED = 1            # of the two nginx, the one that is reloaded
ALL = []


def kind(f):
    ALL.append(f)
    return f


class Turn:
    def __init__(self, stack, rng, number, seconds):
        self.stack, self.rng, self.number = stack, rng, number
        self.end = time.monotonic() + seconds
        self.done = {}

    def goes_on(self):
        return time.monotonic() < self.end

    def count(self, what, n=1):
        self.done[what] = self.done.get(what, 0) + n

    def rest(self, user, role="student", server="bulk"):
        return self.stack.rest(tokens.token(user, role=role), 0, server)


async def burst(stack, rng, number, seconds, done):
    """All kinds side by side; what was wrong."""
    turn = Turn(stack, rng, number, seconds)

    async def one(f):
        try:
            return [f"turn {number}: {f.__name__}: {p}"
                    for p in await f(turn) or ()]
        except Exception as e:          # told, whatever it is
            return [f"turn {number}: {f.__name__}: {e!r}"]
    problems = await asyncio.gather(*map(one, ALL))
    done.update(turn.done)
    # of a kind that broke down
    ports = {p for n in stack.nginx for p in n.ports.values()}
    for w in opened[:]:
        if getattr(w, "port", None) in ports:
            w.abort()
            opened.remove(w)
    return [p for some in problems for p in some]


# ---- those who chat -----------------------------------------------------

@kind
async def talkers(turn):
    """Messages, edits, deletions, reactions, receipts, members who come and
    go, by REST and by event, and a model of all that (mix.py)."""
    stack = turn.stack
    mixes = [Mix(stack, turn.rng, unique("own"), uniques("bob", "cho", "dee"),
                 nodes=[0]) for _ in range(2)]
    for m in mixes:
        await m.begin()

    async def one(m):
        while turn.goes_on():
            await m.step()
    await asyncio.gather(*map(one, mixes))
    problems = []
    for m in mixes:
        turn.count("chat", sum(m.done.values()))
        rows = await asyncio.to_thread(m.rest(m.owner).history, m.room)
        problems += m.check_history(rows)
        await m.end()
    return problems


@kind
async def commuters(turn):
    """They are on the nginx that is reloaded meanwhile, travel through tunnels,
    and miss nothing."""
    stack, nginx = turn.stack, turn.stack.nginx[RELOADED]
    users = uniques("kay", "lea", "moe")
    room = await asyncio.to_thread(stack.make_room, *users)
    where = (stack.ws(RELOADED), "127.0.0.1", stack.port(RELOADED))
    clients = [ChatClient(u, [where], [room], seed=turn.rng.random())
               for u in users]
    sent = []
    for c in clients:
        c.start()

    async def chat(c):
        while turn.goes_on():
            sent.append((await c.send(room, f"{c.user} says").done)[1])
            await asyncio.sleep(0.1)
    tasks = [asyncio.create_task(chat(c)) for c in clients]
    problems = []
    try:
        while turn.goes_on():
            await asyncio.sleep(1.5)
            turn.rng.choice(clients).nap(0.5)
            await asyncio.to_thread(nginx.reload)
            turn.count("reloads")
        await asyncio.wait_for(asyncio.gather(*tasks), patience(60))
        for c in clients:
            await c.wait_seq(room, max(sent), 60)
    finally:
        for c in clients:
            await c.stop()
            problems += c.violations
    if sorted(sent) != list(range(1, len(sent) + 1)):
        problems.append(f"{len(sent)} sent, the last is {max(sent)}")
    turn.count("chat", len(sent))
    return problems


@kind
async def typists(turn):
    """They type, choose how to be seen, join and leave; one compresses."""
    stack = turn.stack
    ann, bob = uniques("ann", "bob")
    room = await asyncio.to_thread(stack.make_room, ann, bob)
    a = await Ws.hello(stack.ws(), ann)
    b = await Ws.hello(stack.ws(), bob,
                       extensions=[ClientPerMessageDeflateFactory()])
    b.ignore = set()
    for ws in (a, b):
        await join(ws, room)
    while turn.goes_on():
        for status in ("busy", "away", "online"):
            a.send("set_presence", {"status": status})
            await b.wait("user_presence", where=lambda e, s=status: (
                e["data"]["userId"] == ann and e["data"]["status"] == s))
        a.send("typing", {"conversationId": room, "isTyping": True})
        await b.wait("user_typing", where=lambda e: e["data"]["isTyping"])
        await send(b, room, "long enough to be compressed " * 40)
        await a.wait("message_received")
        a.send("typing", {"conversationId": room, "isTyping": False})
        await b.wait("user_typing",
                     where=lambda e: not e["data"]["isTyping"])
        a.send("leave_conversation", {"conversationId": room}, id="l")
        await a.wait("ack")
        await join(a, room)
        for ws in (a, b):
            ws.pending()
        turn.count("typing")
        # one that goes on typing and is gone
        a.send("typing", {"conversationId": room, "isTyping": True})
        await asyncio.sleep(1)          # told at most once a second
    a.abort()
    await b.close()


# ---- those who read -----------------------------------------------------

@kind
async def readers(turn):
    """Lists, history, search, and what does not exist or is not allowed."""
    stack = turn.stack
    ann, bob = uniques("ann", "bob")
    room = await asyncio.to_thread(stack.make_room, ann, bob)
    ws = await Ws.hello(stack.ws(server="bulk"), ann)
    said = await send(ws, room, "Metode penelitian kualitatif")
    for i in range(30):
        await send(ws, room, f"bab {i}: metode survei")
    await ws.close()
    path, rest = f"/api/conversations/{room}", turn.rest(bob)
    calls = [
        (200, "GET", "/api/conversations", None, {"limit": 10}),
        (200, "GET", path, None, None),
        (200, "GET", path + "/messages", None, {"limit": 20}),
        (200, "GET", path + "/messages", None, {"search": "survei"}),
        (200, "GET", f"{path}/messages/{said['messageId']}", None, None),
        (200, "GET", "/api/search", None, {"q": "metode survei"}),
        (200, "GET", "/api/search", None, {"q": '"bab 1" met*'}),
        (200, "GET", "/api/unread", None, None),
        (200, "GET", f"/api/users/{ann}/presence", None, None),
        (200, "POST", path + "/read", {"messageId": said["messageId"]},
         None),
        (200, "GET", "/api/sessions", None, None),
        (404, "GET", "/api/conversations/none/messages", None, None),
        (404, "GET", "/api/nothing", None, None),
        (400, "POST", "/api/conversations", {"type": "odd"}, None),
        (400, "GET", "/api/search", None, {"q": ""}),
        (403, "GET", "/api/admin/holds", None, None),
    ]
    problems = []
    while turn.goes_on():
        for status, method, where, body, query in calls:
            r = await rest.acall(method, where, body, query=query)
            if r.status != status:
                problems.append(f"{method} {where}: {r}")
        r = await stack.rest("no.good.token").acall("GET", path)
        if r.status != 401:
            problems.append(f"without a token: {r}")
        turn.count("calls", len(calls) + 1)
    return problems[:5]


@kind
async def consultants(turn):
    """Consultations from their confirmation to their transcript; some do not
    take place."""
    stack = turn.stack
    n = 0
    while turn.goes_on():
        ani, tia = uniques("ani", "tia")
        at = f"/api/consultations/{unique('consult')}"
        lms, tutor = turn.rest("lms", "service"), turn.rest(tia, "tutor")
        r = await lms.acall("POST", at + "/confirm", {
            "title": "Thesis", "topic": "Bab 3", "participants": [
                {"userId": ani, "role": "student"},
                {"userId": tia, "role": "tutor"}]})
        room = r.data["conversation"]["id"]
        n += 1
        if n % 3 == 0:
            assert (await lms.acall("POST", at + "/cancel")).data
            continue
        assert (await tutor.acall("POST", at + "/start")).data
        a = await Ws.hello(stack.ws(), ani)
        for text in ("Berapa responden untuk kuesioner?",
                     "Tolong kirim kuesioner besok.", "Baik."):
            await send(a, room, text)
        assert (await lms.acall("POST", at + "/end")).data
        await a.close()
        for what in ("", "/summary", "/messages", "/transcript"):
            r = await lms.acall("GET", at + what)
            assert r.status == 200, (what, r)
        r = await turn.rest(ani).acall("POST", at + "/satisfaction",
                                       {"rating": 5})
        assert r.status == 201, r
        turn.count("consultations")


# ---- those who send files -----------------------------------------------

@kind
async def uploaders(turn):
    """Files of all kinds there and back, some infected, some not what they
    say, some cut off in the middle."""
    cast = Cast(turn.stack, ["ann", "bob"])
    await cast._make("ann", {"type": "direct",
                             "participantIds": [cast.ids["bob"]]})
    files, problems = Files(cast, "bulk"), []

    async def take(name, data):
        r = await files.upload("ann", name, data)
        if r.status != 201:
            problems.append(f"{name}: {r}")
            return
        file = r.data["message"]["id"]
        for got, want in ((await files.download("bob", file, 0), (200,)),
                          (await files.download("bob", file, 0,
                                                Range="bytes=5-9"), (206,)),
                          (await files.thumbnail("bob", file, "small", 0),
                           (200, 404))):
            if got.status not in want:
                problems.append(f"{name}: {got}")
        turn.count("files")

    while turn.goes_on():
        for name, (data, _, _) in upload.samples().items():
            if not turn.goes_on():
                break
            await take(name, data)
        for name, data, status in (("virus.txt", EICAR, 422),
                                   ("page.pdf", b"<html>", 415),
                                   ("none.txt", b"", 400)):
            r = await files.upload("ann", name, data)
            if r.status != status:
                problems.append(f"{name}: {r}")
        await cut_off(turn, cast)
    return problems[:5]


async def cut_off(turn, cast):
    """Half of a body, and the connection is gone."""
    content, body = upload.file_form("half.txt", upload.text_of(300000))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", turn.stack.port())
    token = tokens.token(cast.ids["ann"])
    writer.write(
        f"POST /api/conversations/{cast.room}/upload HTTP/1.1\r\n"
        f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {content}\r\nContent-Length: {len(body)}\r\n\r\n"
        .encode() + body[:200000])
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.transport.abort()
    turn.count("cut off")


@kind
async def away(turn):
    """Who is not here gets a push, and comes."""
    stack = turn.stack
    ann, bob = uniques("ann", "bob")
    room = await asyncio.to_thread(stack.make_room, ann, bob)
    token = unique("android")
    body = {"platform": "android", "token": token, "locale": "en"}
    ws = await Ws.hello(stack.ws(), ann)
    while turn.goes_on():
        assert (await turn.rest(bob).acall("POST", "/api/devices",
                                           body)).data["devices"]
        before = len(stack.fcm.entries("hook"))
        said = await send(ws, room, "Are you there?")
        await asyncio.to_thread(
            stack.fcm.wait, lambda b=before: len(
                stack.fcm.entries("hook")) > b)
        await turn.rest(bob).acall("POST", f"/api/conversations/{room}/read",
                                   {"messageId": said["messageId"]})
        r = await turn.rest(bob).acall("DELETE", "/api/devices",
                                       {"token": token})
        assert r.data["devices"] == [], r
        turn.count("pushes")
    await ws.close()


# ---- those who do not stay ----------------------------------------------

async def closed(ws, *codes):
    code, reason = await ws.wait_closed(15)
    return [] if code in codes else [f"closed with {code} {reason}"]


async def refused(turn, *args, **more):
    try:
        ws = await Ws.connect(turn.stack.ws(), *args, **more)
    except Refused as e:
        return [] if e.status in (400, 401, 403) else [f"refused: {e}"]
    ws.abort()
    return ["not refused"]


async def silence(turn, data):
    """Connect, say this, and go."""
    _, writer = await asyncio.open_connection("127.0.0.1",
                                              turn.stack.port())
    writer.write(data)
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.transport.abort()
    return []


async def broken(turn, data, *codes, **more):
    """Somebody whose next bytes are these."""
    ws = await Ws.hello(turn.stack.ws(), unique("odd"), **more)
    ws.send_raw(data)
    problems = await closed(ws, *codes)
    ws.abort()
    return problems


def bomb():
    z = zlib.compressobj(9, wbits=-15)
    data = z.compress(b"\0" * 30_000_000) + z.flush(zlib.Z_SYNC_FLUSH)
    return raw_frame(TEXT, data[:-4], rsv=4)


BOMB = bomb()


@kind
async def strangers(turn):
    """Who is refused, says what he may not, or is gone in the middle of it."""
    half = raw_frame(TEXT, b"x" * 50000)[:30000]
    deflate = {"extensions": [ClientPerMessageDeflateFactory()]}
    problems = []
    while turn.goes_on():
        user = unique("guest")
        problems += await refused(turn, "no.good.token")
        problems += await refused(turn, tokens.token(user, ttl=-60))
        problems += await refused(turn, tokens.token(user),
                                  origin="https://elsewhere.example")
        problems += await silence(turn, b"")
        problems += await silence(turn, b"GET /ws HTTP/1.1\r\nHost: x\r\nUp")
        problems += await silence(turn, b"\x16\x03\x01 no HTTP\r\n\r\n")
        problems += await broken(turn, raw_frame(3, b"x"), 1002)
        problems += await broken(turn, raw_frame(TEXT, b"\xff"), 1007)
        problems += await broken(turn, raw_frame(TEXT, b"x", masked=False),
                                 1002)
        problems += await broken(turn, raw_frame(TEXT, b"", length=1 << 40),
                                 1009)
        problems += await broken(turn, raw_frame(PING, b"x") * 300, 4429)
        problems += await broken(turn, BOMB, 1009, **deflate)
        ws = await Ws.hello(turn.stack.ws(), user)
        ws.send_raw(half)
        await asyncio.sleep(0.02)
        ws.abort()
        turn.count("strangers", 13)
    return problems[:5]


@kind
async def short_of_time(turn):
    """Their tokens expire; one is renewed in time."""
    stack, problems = turn.stack, []
    while turn.goes_on():
        gone, kept = uniques("gone", "kept")
        url = stack.ws(server="quick")
        g = await Ws.hello(url, gone, ttl=LIFE)
        k = await Ws.hello(url, kept, ttl=LIFE)
        k.send("refresh_token", {"token": tokens.token(kept)}, id="r")
        await k.wait("ack")
        problems += await closed(g, 4401)
        if k.closed is not None:
            problems.append(f"renewed, and {k.closed}")
        else:
            await k.close()
        turn.count("expired")
    return problems[:5]


@kind
async def passers_by(turn):
    """Dozens connect, join, and are gone, some in a good way; some come back
    for what they missed, one does not read."""
    stack = turn.stack
    users = [unique("pass") for _ in range(12)]
    room = await asyncio.to_thread(stack.make_room, *users)

    async def visit(i, user):
        ws = await Ws.hello(stack.ws(i % 2 and RELOADED), user,
                            resume=i % 3 == 0)
        try:
            if i % 3 == 0:
                ws.send("resume", {"conversations": {room: 0}})
            await join(ws, room)
            if i % 4 == 0:
                await send(ws, room, "hello")
            if i % 5:
                await ws.close()
        finally:
            ws.abort()
        turn.count("visits")

    async def one(i, user):
        while turn.goes_on():
            try:
                await visit(i, user)
            except (OSError, Closed, Refused):
                if i % 2 == 0:          # else it was the reload
                    raise
            await asyncio.sleep(0.2)

    async def deaf():
        while turn.goes_on():
            url = stack.ws(server="small")
            slow = await Ws.hello(url, users[0], rcvbuf=4096)
            loud = await Ws.hello(stack.ws(server="bulk"), users[1])
            loud.ignore.add("message_received")
            slow.pause()
            while slow_closed(stack) == was[0] and turn.goes_on():
                loud.send("send_message", message(room, "x" * 12000,
                                                  unique("c")))
                await loud.wait("message_status")
            was[0] = slow_closed(stack)
            slow.abort()
            await loud.close()
            turn.count("deaf")
            await asyncio.sleep(2)

    was = [slow_closed(stack)]
    await asyncio.gather(*(one(i, u) for i, u in enumerate(users)), deaf())


def slow_closed(stack):
    text = stack.rest().call("GET", "/metrics").raw.decode()
    for line in text.splitlines():
        if line.startswith("writeen_slow_closed_total "):
            return float(line.split()[1])
    raise AssertionError("no slow_closed_total in /metrics")
