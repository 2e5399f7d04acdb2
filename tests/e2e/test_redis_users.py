"""Redis with a user each for nginx and the worker pool, and no other.

docker/redis/users.acl gives them what they use and nothing else.  Too
little would show on the day on which somebody first does something rare; too
much would let whoever gets hold of nginx's password read other data in that
Redis, stop it, or write files with it.
"""

import random
import secrets

import pytest
import redis

from harness import net, tokens, upload
from harness.cast import Cast
from harness.mix import Mix, run_side_by_side
from harness.scene import received, send, unique, uniques
from harness.upload import Files, info
from harness.ws import Ws


async def everything(stack):
    """What people do, at random; then what is rarer."""
    mixes = [Mix(stack, random.Random(n), unique("ann"),
                 uniques("bob", "cho", "dee")) for n in range(3)]
    for m in mixes:
        await m.begin()
    await run_side_by_side(mixes, 240)

    cast = await Cast.group(stack, "ann", "bob", "tia:tutor")
    await cast.open("ann", "bob")
    files = Files(cast)
    r = await files.upload("ann", "house.jpg", upload.sample("house.jpg"))
    assert r.status == 201, r
    file = info(r.data["message"])["fileId"]
    await cast.told("message_received", "ann", "bob")
    assert (await files.download("bob", file)).status == 200
    r = await files.progress("ann", r.data["upload"]["id"])
    assert r.status == 200, r
    cast.ws["ann"].send("typing", {"conversationId": cast.room,
                                   "isTyping": True})
    assert (await cast.ws["bob"].wait("user_typing"))["data"]["isTyping"]
    answer = await cast.command("ann", "set_presence", status="busy")
    assert answer["event"] == "ack", answer
    service = stack.rest(tokens.token("svc", role="service"))
    r = await service.acall("PUT", f"/api/users/{cast.ids['ann']}",
                            {"name": "Ani"})
    assert r.status == 200, r
    r = await service.acall("POST", f"/api/consultations/{unique('c')}"
                            "/confirm", {
        "tutorId": cast.ids["tia"], "studentId": cast.ids["ann"]})
    assert r.status in (200, 201, 400), r
    await cast.close()
    for m in mixes:
        await m.end()


def contents(stack):
    """What must outlive Redis: conversations and their logs."""
    with stack.redis_client() as c:
        keys = c.keys("wrt:{*}:conv:*") + c.keys("wrt:{*}:log:*")
        return {k: c.hgetall(k) if ":conv:" in k else c.xrange(k)
                for k in keys}


async def test_enough(make_files_stack):
    """Everything works, also when each part has been killed; nobody was
    denied anything."""
    stack = make_files_stack("sqlite-local", redis_acl=True)
    await everything(stack)
    stack.worker.kill()
    stack.worker.start()
    stack.wait_health("ok", 30)
    # What functions wrote stands in MULTI in the append-only file, which is
    # read back with the rights of `default`: it is off, but may all.
    stack.wait_applied()
    before = contents(stack)
    stack.redis[0].kill()
    stack.redis[0].start()
    assert before == {k: v for k, v in contents(stack).items()
                      if k in before}
    stack.wait_health("ok", 30)
    await everything(stack)
    with stack.redis_client() as c:
        log = [(e["username"], e["reason"], e["object"])
               for e in c.acl_log()]
        assert not log, log


DENIED = [
    "CONFIG GET *", "CONFIG SET dir /tmp", "SAVE", "BGSAVE", "SHUTDOWN",
    "FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "RANDOMKEY", "DBSIZE",
    "MONITOR", "MODULE LIST", "REPLICAOF NO ONE",
    "CLIENT LIST", "CLIENT KILL TYPE normal", "ACL LIST", "ACL WHOAMI",
    "ACL SETUSER x on", "SLOWLOG GET", "LATENCY RESET", "MIGRATE a 1 k 0 1",
    "SCRIPT FLUSH", "EVALSHA x 0", "FUNCTION FLUSH", "FUNCTION DUMP",
    "FUNCTION DELETE writeen", "SORT wrt:rpc", "OBJECT FREQ wrt:rpc",
    "RENAME wrt:rpc wrt:x", "RESTORE wrt:x 0 x", "DUMP wrt:rpc",
    "GET other:key", "SET other:key x", "DEL other:key", "HGETALL other",
    "PUBLISH other x", "SUBSCRIBE other", "SUBSCRIBE __keyspace@0__:x",
    "PSUBSCRIBE *", "PUBSUB CHANNELS *", "CLUSTER INFO", "SWAPDB 0 1",
]

# What the pool may and nginx may not.
POOL = ["EVAL return 0", "FUNCTION LOAD x", "FUNCTION LIST", "INFO server",
        "XREADGROUP GROUP api c STREAMS wrt:rpc >", "XGROUP CREATE wrt:x g 0",
        "XACK wrt:rpc api 1-1", "MULTI", "CLIENT ID"]


def denied(stack, user, command):
    r = stack.redis[0]
    with redis.Redis(port=r.port, username=user,
                     password=r.users[user]) as c:
        try:
            c.execute_command(*command.split(" "))
        except redis.exceptions.NoPermissionError:
            return True
        except redis.exceptions.ResponseError:
            return False
        return False


async def test_not_more(make_stack):
    stack = make_stack(redis_acl=True)
    for user in "writeen-nginx", "writeen-worker":
        for command in DENIED:
            assert denied(stack, user, command), (user, command)
    for command in POOL:
        assert denied(stack, "writeen-nginx", command), command
    # a function may do what its caller may do
    function = "#!lua name=evil\nredis.register_function('evil', " \
        "function() return redis.call('GET', 'other:key') end)"
    r = stack.redis[0]
    with redis.Redis(port=r.port, username="writeen-worker",
                     password=r.users["writeen-worker"]) as c:
        c.function_load(function)
        with pytest.raises(redis.exceptions.ResponseError) as e:
            c.fcall("evil", 0)
        assert "can't access" in str(e.value), e.value
    # and nobody else gets in
    for name, password in ((None, None), ("default", ""), ("default", "x"),
                           ("writeen-nginx", secrets.token_hex(16)),
                           ("writeen-nginx", r.users["writeen-worker"])):
        with redis.Redis(port=r.port, username=name, password=password) as c:
            with pytest.raises(redis.exceptions.RedisError) as e:
                c.get("wrt:config")
            assert isinstance(e.value, (
                redis.exceptions.AuthenticationError,
                redis.exceptions.NoPermissionError)), e.value


async def test_denied_is_told_without_the_password(make_stack):
    """A user with too little, or another password: not ready, and the logs
    say why."""
    stack = make_stack(redis_acl=True)
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    a, b = [await Ws.hello(stack.ws(), u) for u in (ann, bob)]
    await send(a, room, "before")
    assert len(await received(b, 1, room)) == 1
    with stack.redis_client() as c:
        c.execute_command("ACL", "SETUSER", "writeen-nginx", "resetpass",
                          ">another")
        c.execute_command("CLIENT", "KILL", "USER", "writeen-nginx")
    stack.wait_health("down", 15)
    # each new process says once what is wrong
    stack.nginx[0].reload()

    def told():
        return "WRONGPASS" in (stack.logs / "nginx0.log").read_text()
    net.wait_until(told, 10, "nginx to say what is wrong")
    log = (stack.logs / "nginx0.log").read_text()
    assert stack.redis[0].users["writeen-nginx"] not in log
    with stack.redis_client() as c:
        c.execute_command("ACL", "SETUSER", "writeen-nginx", "resetpass",
                          ">" + stack.redis[0].users["writeen-nginx"])
    stack.wait_health("ok", 15)
    a, b = [await Ws.hello(stack.ws(), u) for u in (ann, bob)]
    await send(a, room, "after")
    assert len(await received(b, 1, room)) == 1
    for ws in a, b:
        await ws.close()
