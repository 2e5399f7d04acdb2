"""Push: who is told, of what, when, and when not.  FCM is a double of our own
(harness/fcm.py) that checks what comes to it.

Nothing is waited for by the clock: `settled` is when the notifier has nothing
due and nothing in hand, and what is due later is made due now by `hasten`.
"""

import asyncio
import contextlib
import json
import re
import time
from datetime import datetime, timedelta, timezone

import pytest

from conftest import SERVERS
from harness import net, tokens, upload
from harness.cast import Cast
from harness.fcm import Fcm
from harness.scene import OID, join, unique
from harness.stack import Stack

DUE, HAND = "wrt:push:due", "wrt:push:hand"
GRACE_MS = 200
ENV = {"PUSH_GRACE_MS": str(GRACE_MS)}


def push_stack(request, store, tmp_path_factory, name, env, **options):
    fcm = Fcm(tmp_path_factory.mktemp(name))
    mongod = (request.getfixturevalue("mongod") if store == "mongo"
              else None)
    stack = Stack(f"{name}-{store}", store, nginx=2,
                  servers={"bulk": SERVERS["bulk"]}, mongod=mongod,
                  env={**ENV, **env(fcm)}, **options)
    stack.fcm = fcm
    return stack.start()


@pytest.fixture(scope="module")
def pushing(store, request, tmp_path_factory):
    """One for all tests that break nothing; FCM alone."""
    stack = push_stack(request, store, tmp_path_factory, "push", Fcm.env)
    yield stack
    problems = stack.stop()
    stack.fcm.stop()
    assert not problems, "\n".join(problems)


@pytest.fixture
def stack(pushing):
    pushing.fcm.calm()
    yield pushing
    problems = pushing.watch.new_problems()
    assert not problems, "\n".join(problems)


@pytest.fixture
def own_stack(store, request, tmp_path_factory):
    made = []

    def make(env, **options):
        made.append(push_stack(request, store, tmp_path_factory, "pushown",
                               env, **options))
        return made[-1]

    yield make
    problems = [p for s in made for p in s.stop()]
    for s in made:
        s.fcm.stop()
    assert not problems, "\n".join(problems)


async def register(cast, name, platform="android", locale="en"):
    token = unique(f"{name}-{platform}")
    r = await cast.rest(name).acall("POST", "/api/devices", {
        "platform": platform, "token": token, "locale": locale})
    assert r.status == 200, r
    return token


def due(stack, room):
    """Items of this room: {item without the room: when, ms}."""
    with stack.redis_client() as c:
        return {item.replace(f" {room}", "", 1): score
                for item, score in c.zrange(DUE, 0, -1, withscores=True)
                if item.split(" ")[1] == room}


def busy(stack, room):
    soon = time.time() * 1000 + 5000
    with stack.redis_client() as c:
        # both at one moment, since items go from one to the other
        hand, later = c.pipeline().zrange(HAND, 0, -1).zrangebyscore(
            DUE, "-inf", soon).execute()
    return [i for i in hand + later if i.split(" ")[1] == room]


async def settled(stack, room, timeout=20):
    """All that was to be looked at has been, all answers are written down."""
    await asyncio.to_thread(stack.wait_applied)
    await asyncio.to_thread(
        net.wait_until, lambda: not busy(stack, room), timeout,
        f"the notifier to be done with {room}: {busy(stack, room)}", 0.05)


@contextlib.contextmanager
def in_time(stack):
    """What is done here is done within the grace, however long it takes: the
    notifier looks afterwards."""
    go = upload.hold(stack.worker.role("notifier"))
    try:
        yield
    finally:
        go()


async def say_and_wait(cast, name, text):
    """It is to be looked at when the grace is over, and not before."""
    begin = int(time.time() * 1000)
    message = await say(cast, name, text)
    at = await asyncio.to_thread(
        net.wait_until, lambda: due(cast.stack, cast.room).get("m"), 20,
        "it to be due")
    assert at >= begin + GRACE_MS, (at, begin)
    return message


def hasten(stack, room, item):
    """An item that waits is due now."""
    kind, _, rest = item.partition(" ")
    member = f"{kind} {room}" + (f" {rest}" if rest else "")
    with stack.redis_client() as c:
        assert c.zadd(DUE, {member: time.time() * 1000}, xx=True, ch=True)


async def say(cast, name, text):
    r = await cast.do(name, "POST", "/messages", {
        "type": "text", "content": {"text": text},
        "clientMessageId": unique("c")})
    assert r.status == 201, r
    return r.data["message"]


async def room_of(stack, *names):
    """A room whose people have been in it: no invitations."""
    cast = await Cast.group(stack, *names)
    await settled(stack, cast.room)
    return cast


def kinds(fcm, token):
    return [m["data"]["kind"] for m in fcm.sends(token)]


async def test_each_device_once(stack):
    cast = await room_of(stack, "ann", "bob", "eve")
    phone = await register(cast, "bob")
    tablet = await register(cast, "bob", "ios", "id-ID")
    mine = await register(cast, "ann")
    message = await say(cast, "ann", "the secret of the day")
    await settled(stack, cast.room)

    (m,) = stack.fcm.sends(phone)
    assert m["notification"] == {"title": cast.ids["ann"].title(),
                                 "body": "Sent you a message"}
    assert m["data"] == {
        "pushId": m["data"]["pushId"], "kind": "message", "tag": cast.room,
        "conversationId": cast.room, "seq": str(message["seq"])}
    assert re.match(OID, m["data"]["pushId"])
    assert m["android"]["collapse_key"] == cast.room
    assert m["android"]["notification"]["tag"] == cast.room
    (t,) = stack.fcm.sends(tablet)
    assert t["notification"]["body"] == "Mengirim pesan kepada Anda"
    assert t["apns"]["headers"]["apns-collapse-id"] == cast.room
    assert t["data"]["pushId"] != m["data"]["pushId"]
    assert stack.fcm.sends(mine) == []
    assert "secret of the day" not in json.dumps(stack.fcm.log)

    # one push for all that came meanwhile, in the place of the first
    for i in range(3):
        last = await say(cast, "ann", f"more {i}")
    await settled(stack, cast.room)
    sent = stack.fcm.sends(phone)
    assert sent[-1]["data"]["seq"] == str(last["seq"])
    assert 2 <= len(sent) <= 4 and {s["data"]["tag"] for s in sent} == {
        cast.room}
    assert len({s["data"]["pushId"] for s in sent}) == len(sent)

    # looked at again, there is nothing new
    before = len(sent)
    with stack.redis_client() as c:
        c.zadd(DUE, {f"m {cast.room}": 0})
    await settled(stack, cast.room)
    assert len(stack.fcm.sends(phone)) == before


async def test_who_looks_is_not_told(stack):
    """One device has the room open: none is told; when that was a dead
    connection, all are, a little later."""
    cast = await room_of(stack, "ann", "bob")
    phone = await register(cast, "bob")
    (ws,) = await cast.open("bob")
    await join(ws, cast.room)

    def shown():
        with stack.redis_client() as c:
            return cast.room in str(c.hgetall(
                f"wrt:u:{cast.ids['bob']}:presence"))
    await asyncio.to_thread(net.wait_until, shown, 10, "the room on screen")
    await say(cast, "ann", "one")
    await settled(stack, cast.room)
    assert stack.fcm.sends(phone) == []

    item = f"m {cast.ids['bob']} o"
    assert time.time() * 1000 + 5000 < due(stack, cast.room)[item]
    hasten(stack, cast.room, item)
    await settled(stack, cast.room)
    assert stack.fcm.sends(phone) == []     # still open: he sees it

    await say(cast, "ann", "two")
    await settled(stack, cast.room)
    ws.abort()

    def gone():
        return not shown()
    await asyncio.to_thread(net.wait_until, gone, 20, "the device to go")
    hasten(stack, cast.room, item)
    await settled(stack, cast.room)
    assert len(stack.fcm.sends(phone)) == 1


async def test_read_in_time(stack):
    """Within the grace: nothing.  Later: what is shown is taken back."""
    cast = await room_of(stack, "ann", "bob")
    phone = await register(cast, "bob")
    web = await register(cast, "bob", "web")
    with in_time(stack):
        message = await say_and_wait(cast, "ann", "one")
        r = await cast.do("bob", "POST", "/read",
                          {"messageId": message["id"]})
        assert r.status == 200, r
    await settled(stack, cast.room)
    assert stack.fcm.sends(phone) == []
    assert due(stack, cast.room) == {}

    message = await say(cast, "ann", "two")
    await settled(stack, cast.room)
    assert kinds(stack.fcm, phone) == kinds(stack.fcm, web) == ["message"]
    assert list(due(stack, cast.room)) == [f"w {cast.ids['bob']}"]

    await cast.do("bob", "POST", "/read", {"messageId": message["id"]})
    stack.fcm.wait(lambda: len(stack.fcm.sends(phone)) == 2
                   and len(stack.fcm.sends(web)) == 2)
    for token in phone, web:
        shown, gone = stack.fcm.sends(token)
        assert gone["data"]["kind"] == "withdraw"
        assert gone["data"]["tag"] == shown["data"]["tag"]
        assert "notification" not in gone
    await settled(stack, cast.room)
    with stack.redis_client() as c:
        assert c.hgetall(f"wrt:u:{cast.ids['bob']}:pushed") == {
            k: v for k, v in c.hgetall(
                f"wrt:u:{cast.ids['bob']}:pushed").items() if ":i" in k}

    # who answers has seen what he answers
    with in_time(stack):
        await say_and_wait(cast, "ann", "three")
        await say(cast, "bob", "four")
    await settled(stack, cast.room)
    assert len(stack.fcm.sends(phone)) == 2

    # a message that is deleted in time is none
    with in_time(stack):
        message = await say_and_wait(cast, "ann", "five")
        await cast.delete("ann", message["id"])
    await settled(stack, cast.room)
    assert len(stack.fcm.sends(phone)) == 2


async def test_deleted_is_taken_back(stack):
    """What is shown is deleted: what else is unread takes its place, or
    nothing.  So it goes for who is removed."""
    cast = await room_of(stack, "ann", "bob", "eve", "tia")
    phone, muted, gone = [await register(cast, n)
                          for n in ("bob", "eve", "tia")]
    one = await say(cast, "ann", "one")
    await settled(stack, cast.room)
    two = await say(cast, "ann", "two")
    await settled(stack, cast.room)
    for token in phone, muted, gone:
        assert kinds(stack.fcm, token) == ["message"] * 2
    await cast.do("eve", "PUT", "/mute", {"muted": True})
    r = await cast.do("ann", "DELETE", f"/participants/{cast.ids['tia']}")
    assert r.status == 200, r
    await settled(stack, cast.room)
    assert kinds(stack.fcm, gone)[2:] == ["withdraw"]

    # looked at again for another reason, nothing that was shown is missing
    with stack.redis_client() as c:
        c.zadd(DUE, {f"m {cast.room}": 0})
    await settled(stack, cast.room)
    assert len(stack.fcm.sends(phone)) == len(stack.fcm.sends(muted)) == 2

    assert (await cast.delete("ann", two["id"])).status == 200
    await settled(stack, cast.room)
    (m,) = stack.fcm.sends(phone)[2:]
    assert m["data"]["kind"] == "message"
    assert m["data"]["seq"] == str(one["seq"])
    assert kinds(stack.fcm, muted)[2:] == ["withdraw"]

    assert (await cast.delete("ann", one["id"])).status == 200
    await settled(stack, cast.room)
    assert kinds(stack.fcm, phone)[3:] == ["withdraw"]
    assert {m["data"]["tag"] for m in stack.fcm.sends(phone)} == {cast.room}
    for token in muted, gone:
        assert len(stack.fcm.sends(token)) == 3
    with stack.redis_client() as c:
        for name in "bob", "eve", "tia":
            assert [k for k in c.hgetall(f"wrt:u:{cast.ids[name]}:pushed")
                    if ":i" not in k] == []


async def test_quiet_hours(stack):
    """Nothing then; after them what is unread still, once."""
    cast = await room_of(stack, "ann", "bob")
    bob, phone = cast.rest("bob"), await register(cast, "bob")
    jakarta = timezone(timedelta(hours=7))
    now = datetime.now(jakarta)
    end = (now + timedelta(hours=2)).replace(second=0, microsecond=0)
    quiet = {"start": f"{now - timedelta(hours=1):%H:%M}",
             "end": f"{end:%H:%M}", "timezone": "Asia/Jakarta"}
    await bob.acall("PUT", "/api/push/settings", {"quietHours": quiet})
    await say(cast, "ann", "one")
    last = await say(cast, "ann", "two")
    await settled(stack, cast.room)
    assert stack.fcm.sends(phone) == []
    item = f"m {cast.ids['bob']}"
    assert due(stack, cast.room)[item] == end.timestamp() * 1000

    # they end
    quiet["end"] = f"{now - timedelta(minutes=2):%H:%M}"
    await bob.acall("PUT", "/api/push/settings", {"quietHours": quiet})
    hasten(stack, cast.room, item)
    await settled(stack, cast.room)
    (m,) = stack.fcm.sends(phone)
    assert m["data"]["seq"] == str(last["seq"])


async def test_mute(stack):
    cast = await room_of(stack, "ann", "bob")
    phone = await register(cast, "bob")
    await cast.do("bob", "PUT", "/mute", {"muted": True})
    await say(cast, "ann", "one")
    await settled(stack, cast.room)
    assert stack.fcm.sends(phone) == []
    await cast.mute_a_moment("bob")
    await say(cast, "ann", "two")
    await settled(stack, cast.room)
    assert len(stack.fcm.sends(phone)) == 1


async def test_tokens_that_are_none(stack):
    cast = await room_of(stack, "ann", "bob")
    dead, phone = [await register(cast, "bob") for _ in range(2)]
    stack.fcm.behave(match=dead, status=404, code="UNREGISTERED")
    await say(cast, "ann", "one")
    await settled(stack, cast.room)
    await asyncio.to_thread(
        net.wait_until, lambda: len(cast.rest("bob").get("/api/devices")
                                    .data["devices"]) == 1, 10,
        "the device to go", 0.1)
    await say(cast, "ann", "two")
    await settled(stack, cast.room)
    assert len([e for e in stack.fcm.entries("send")
                if e["message"]["token"] == dead]) == 1
    assert len(stack.fcm.sends(phone)) == 2


async def test_a_service_in_trouble(stack):
    cast = await room_of(stack, "ann", "bob")
    busy_, broken, cut = [await register(cast, "bob") for _ in range(3)]
    stack.fcm.behave(match=busy_, status=429, code="QUOTA_EXCEEDED", times=2)
    stack.fcm.behave(match=broken, status=500, times=2)
    stack.fcm.behave(match=cut, close=True, times=1)
    stack.fcm.forget_tokens()
    await say(cast, "ann", "one")
    for token in busy_, broken, cut:
        stack.fcm.wait(lambda t=token: stack.fcm.sends(t), 30)
    await settled(stack, cast.room)
    for token in busy_, broken, cut:
        assert len(stack.fcm.sends(token)) == 1


def in_hand(stack, room):
    with stack.redis_client() as c:
        return [i for i in c.zrange(HAND, 0, -1) if i.split(" ")[1] == room]


async def until_looked_anew(stack, room, tried, text):
    """Whatever is so by now, the notifier has seen it: what was under way has
    ended, and nothing but that has been tried with the old text."""
    await asyncio.to_thread(stack.wait_applied)
    before = tried(text)
    await asyncio.to_thread(
        net.wait_until, lambda: not in_hand(stack, room)
        or tried(text) > before + 1, 20, "its try to end", 0.05)
    assert tried(text) <= before + 1, "the old text is tried again"


async def test_what_failed_is_looked_at_anew(own_stack):
    """While the service fails a message is deleted, edited, read, its reader
    removed: what was there is never sent."""
    stack = own_stack(lambda fcm: {**fcm.env(), "PUSH_CONTENT": "on"})
    fcm = stack.fcm

    async def delete(cast, mid):
        return await cast.delete("ann", mid)

    async def edit(cast, mid):
        return await cast.edit("ann", mid, "as it is now")

    async def read(cast, mid):
        return await cast.do("bob", "POST", "/read", {"messageId": mid})

    async def remove(cast, mid):
        return await cast.do("ann", "DELETE",
                             f"/participants/{cast.ids['bob']}")

    for act in delete, edit, read, remove:
        cast = await room_of(stack, "ann", "bob")
        phone = await register(cast, "bob")

        def tried(text, token=phone):
            return len([e for e in fcm.entries("send")
                        if e["message"]["token"] == token
                        and text in json.dumps(e["message"])])
        secret = unique(f"SECRET-{act.__name__}-")
        # a withdrawal is taken
        fcm.behave(match=phone if act is edit else secret, status=503)
        message = await say(cast, "ann", secret)
        fcm.wait(lambda: tried(secret))
        r = await act(cast, message["id"])
        assert r.status == 200, r
        await until_looked_anew(stack, cast.room, tried, secret)

        # pauses grow, whoever notifies: the tries are counted in Redis
        def counted():
            with stack.redis_client() as c:
                return [v for v in c.hgetall(
                    f"wrt:u:{cast.ids['bob']}:pushed").values()
                    if re.match(rf"p {message['seq']} 1 [2-9]", v)]
        if act is edit:
            await asyncio.to_thread(net.wait_until, counted, 20,
                                    "tries to be counted")
        fcm.calm()
        with stack.redis_client() as c:
            c.zadd(DUE, {f"m {cast.room} {cast.ids['bob']}": 0})
        await settled(stack, cast.room)
        assert secret not in json.dumps(fcm.sends(phone)), act
        assert [m["notification"]["body"] for m in
                fcm.sends(phone, "message")] == (
            ["as it is now"] if act is edit else [])


async def test_invitations(stack):
    """Once each, however often and by whom it is confirmed."""
    ann, tia, svc = unique("ann"), unique("tia"), unique("svc")
    people = {}
    for user in ann, tia:
        people[user] = unique("t")
        r = await stack.rest(tokens.token(user)).acall(
            "POST", "/api/devices",
            {"platform": "android", "token": people[user], "locale": "en"})
        assert r.status == 200
    number = unique("c")
    body = {"title": "Bab 3", "participants": [
        {"userId": ann, "role": "student"}, {"userId": tia, "role": "tutor"}]}
    rest = [stack.rest(tokens.token(svc, role="service"), i) for i in (0, 1)]
    replies = await asyncio.gather(*(rest[i % 2].acall(
        "POST", f"/api/consultations/{number}/confirm", body)
        for i in range(10)))
    room = replies[0].data["conversation"]["id"]
    await settled(stack, room)
    for token in people.values():
        (m,) = stack.fcm.sends(token)
        assert m["data"]["kind"] == "invitation"
        assert m["notification"]["body"] == "Invited you to a conversation"

    # added to a room; who has made one knows of it
    cast = await Cast.group(stack, "bob", "eve")
    hers = await register(cast, "bob")
    bob = cast.rest("bob")
    r = await bob.acall("POST", f"/api/conversations/{cast.room}/participants",
                        {"userId": ann, "role": "student"})
    assert r.status == 201, r
    await settled(stack, cast.room)
    assert kinds(stack.fcm, people[ann]) == ["invitation"] * 2
    assert stack.fcm.sends(people[ann])[-1]["notification"]["title"] \
        == cast.ids["bob"].title()
    assert stack.fcm.sends(hers) == []


async def test_reminders(stack):
    svc = stack.rest(tokens.token(unique("svc"), role="service"))

    async def number_of(room):
        r = await svc.aget(f"/api/conversations/{room}")
        return r.data["conversation"]["consultationId"]

    async def confirm(at):
        ann = unique("ann")
        token = unique("t")
        await stack.rest(tokens.token(ann)).acall(
            "POST", "/api/devices",
            {"platform": "web", "token": token, "locale": "en"})
        r = await svc.acall(
            "POST", f"/api/consultations/{unique('c')}/confirm",
            {"participants": [{"userId": ann, "role": "student"}],
             "scheduledAt": at.strftime("%Y-%m-%dT%H:%M:%SZ")})
        assert r.status == 201, r
        room = r.data["conversation"]["id"]
        await settled(stack, room)
        return room, token

    now = datetime.now(timezone.utc).replace(microsecond=0)
    at = now + timedelta(minutes=10)
    room, token = await confirm(at)
    m = stack.fcm.sends(token, "reminder")[0]
    assert m["notification"] == {"title": "Consultation starts soon",
                                 "body": "In 10 min"}
    assert m["data"]["tag"] == f"r-{room}"[:64]
    assert len(stack.fcm.sends(token, "reminder")) == 1
    hasten(stack, room, "r")
    await settled(stack, room)
    assert len(stack.fcm.sends(token, "reminder")) == 1

    at = now + timedelta(days=1)
    room, token = await confirm(at)
    assert stack.fcm.sends(token, "reminder") == []
    assert due(stack, room)["r"] == (at - timedelta(minutes=15)).timestamp() \
        * 1000
    # it is moved: now it is soon
    number = await number_of(room)
    soon = datetime.now(timezone.utc).replace(microsecond=0)
    r = await svc.acall("POST", f"/api/consultations/{number}/reschedule", {
        "scheduledAt": (soon + timedelta(minutes=5)).isoformat()})
    assert r.status == 200, r
    await settled(stack, room)
    assert [m["notification"]["body"] for m in
            stack.fcm.sends(token, "reminder")] == ["In 5 min"]
    # and later again, and cancelled: nobody is reminded of what is not
    r = await svc.acall("POST", f"/api/consultations/{number}/reschedule", {
        "scheduledAt": (now + timedelta(days=1)).isoformat()})
    assert r.status == 200, r
    r = await svc.acall("POST", f"/api/consultations/{number}/cancel", {})
    assert r.status == 200, r
    r = await svc.acall("POST", f"/api/consultations/{number}/reschedule", {
        "scheduledAt": (now + timedelta(minutes=7)).isoformat()})
    await settled(stack, room)
    assert len(stack.fcm.sends(token, "reminder")) == 2

    room, token = await confirm(now + timedelta(days=1))
    number = await number_of(room)
    r = await svc.acall("POST", f"/api/consultations/{number}/cancel", {})
    await settled(stack, room)
    assert "r" not in due(stack, room)
    room, token = await confirm(now - timedelta(minutes=1))
    assert stack.fcm.sends(token, "reminder") == []

    # put off, taken off, on again
    number = unique("c")
    svc = stack.rest(tokens.token(unique("svc"), role="service"))
    ann, token = unique("ann"), unique("t")
    await stack.rest(tokens.token(ann)).acall(
        "POST", "/api/devices",
        {"platform": "web", "token": token, "locale": "en"})

    async def tell(what, **body):
        r = await svc.acall("POST", f"/api/consultations/{number}/{what}",
                            body)
        assert r.status in (200, 201), r
        room = r.data["conversation"]["id"]
        await settled(stack, room)
        return room
    far = (now + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    room = await tell("confirm", scheduledAt=far, participants=[
        {"userId": ann, "role": "student"}])
    await tell("reschedule",
               scheduledAt=(at + timedelta(days=1)).strftime(
                   "%Y-%m-%dT%H:%M:%SZ"))
    assert due(stack, room)["r"] == (
        at + timedelta(days=1, minutes=-15)).timestamp() * 1000
    await tell("cancel")
    assert "r" not in due(stack, room)
    soon = (now + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    await tell("confirm", scheduledAt=soon)
    assert len(stack.fcm.sends(token, "reminder")) == 1


async def test_webhook_and_content(own_stack):
    """Beside FCM, signed; with content when that is allowed."""
    stack = own_stack(lambda fcm: {**fcm.env(), **fcm.hook_env(),
                                   "PUSH_CONTENT": "on"}, redis=2)
    cast = await room_of(stack, "ann", "bob")
    phone = await register(cast, "bob")
    stack.fcm.behave(path="hook", status=503, times=1)
    await say(cast, "ann", "Bab 4 sudah selesai")
    stack.fcm.wait(lambda: [e for e in stack.fcm.entries("hook")
                            if e["status"] == 200])
    await settled(stack, cast.room)
    hooks = [e for e in stack.fcm.entries("hook") if e["status"] == 200]
    assert len(hooks) == 1 and hooks[0]["signed"]
    h, (m,) = hooks[0]["message"], stack.fcm.sends(phone)

    # FCM says when it wants to be asked again, later than we try: who has it
    # already does not get it twice
    tablet = await register(cast, "bob")
    stack.fcm.behave(match=tablet, status=503, retry_after=3600, times=1)
    await say(cast, "ann", "Bab 5")

    def put_back():
        with stack.redis_client() as c:
            return "p " in str(c.hgetall(
                f"wrt:u:{cast.ids['bob']}:pushed")) and not c.zcard(HAND)
    await asyncio.to_thread(net.wait_until, put_back, 20, "it to be put back")
    stack.worker.kill_role("notifier")      # which was told to wait
    stack.watch.allow(r"child_died .*signal=9", "killed by the test")
    hasten(stack, cast.room, f"m {cast.ids['bob']}")
    stack.fcm.wait(lambda: stack.fcm.sends(tablet))
    await settled(stack, cast.room)
    assert len([e for e in stack.fcm.entries("hook")
                if e["message"]["token"] == tablet]) == 1
    assert len(stack.fcm.sends(tablet)) == 1
    assert m["notification"]["body"] == h["body"] == "Bab 4 sudah selesai"
    assert h["id"] == m["data"]["pushId"] and h["token"] == phone
    assert h["userId"] == cast.ids["bob"] and h["platform"] == "android"


async def test_killed_at_any_moment(own_stack):
    """The notifiers of two pools, a pool and Redis die while pushes are on
    their way: none is missing, and whoever gets one twice has it under one
    tag and id."""
    stack = own_stack(Fcm.env, pools=2)
    stack.watch.allow(r"child_died .*signal=9", "killed by the test")
    names = [f"p{i}" for i in range(40)]
    cast = await Cast.group(stack, "ann", *names)
    await settled(stack, cast.room)
    phones = {n: await register(cast, n) for n in names}
    stack.fcm.behave(delay=0.05)

    def lease():
        with stack.redis_client() as c:
            return c.get("wrt:push:lease")

    async def kill(i):
        if i == 3:
            # the one whose notifier works: the other's goes on
            holder = await asyncio.to_thread(
                net.wait_until, lease, 20, "a notifier to work", 0.05)
            pool = next(p for p in stack.pools if f"-{p.pid}-" in holder)
            pool.kill()
            await asyncio.to_thread(
                net.wait_until, lambda: lease() not in (None, holder), 20,
                "the other notifier to work", 0.05)
            pool.start()
        elif i == 5:
            stack.redis[0].kill()
            stack.redis[0].start()
        else:
            for pool in stack.pools:
                pool.kill_role("notifier")

    for i in range(6):
        before = len(stack.fcm.entries("send"))
        last = await asyncio.to_thread(_persist, stack, cast, f"m{i}")
        stack.fcm.wait(lambda b=before: len(stack.fcm.entries("send"))
                       > b + 3, 30)
        await asyncio.to_thread(lambda k=i: asyncio.run(kill(k)))
    stack.wait_health("ok", 30)
    stack.fcm.calm()
    await settled(stack, cast.room, 40)

    for name, token in phones.items():
        sent = stack.fcm.sends(token, "message")
        assert sent, f"{name} was never told"
        assert sent[-1]["data"]["seq"] == str(last), (name, sent[-1])
        assert {s["data"]["tag"] for s in sent} == {cast.room}
        ids = {}
        for s in sent:
            ids.setdefault(s["data"]["seq"], set()).add(s["data"]["pushId"])
        assert all(len(v) == 1 for v in ids.values()), ids


test_killed_at_any_moment.limit = 120


def _persist(stack, cast, text):
    """Send it, as often as it takes; its number."""
    out = {}

    def sent():
        try:
            r = cast.rest("ann").call(
                "POST", f"/api/conversations/{cast.room}/messages",
                {"type": "text", "content": {"text": text},
                 "clientMessageId": text})
        except OSError:
            return False
        if r.status in (200, 201):
            out["seq"] = r.data["message"]["seq"]
        return r.status in (200, 201)
    net.wait_until(sent, 30, f"{text} to be taken", 0.1)
    return out["seq"]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
async def test_a_file_that_took_long(own_stack):
    """Whoever was answered 202 is told when it is a message."""
    stack = own_stack(lambda fcm: {**fcm.env(), "CLAMAV": "off"},
                      files="local", waits="")
    cast = await room_of(stack, "ann", "bob")
    hers, his = await register(cast, "ann"), await register(cast, "bob")
    go_on = upload.hold(stack.worker.role("files"))
    files = upload.Files(cast)
    r = await files.upload("ann", "notes.txt", b"Bab satu.\n")
    assert r.status == 202, r
    go_on()
    stack.fcm.wait(lambda: stack.fcm.sends(hers) and stack.fcm.sends(his))
    await settled(stack, cast.room)
    (m,) = stack.fcm.sends(hers)
    assert m["data"]["kind"] == "file"
    assert m["notification"]["title"] == "File ready"
    assert kinds(stack.fcm, his) == ["message"]
    assert "notes.txt" not in json.dumps(stack.fcm.log)
