"""Other ways to reach Redis: password, database number, unix socket, several
shard servers, all at once where that makes sense."""

import subprocess

import pytest

from harness import net, tokens
from harness.scene import fill, join, received, send, seqs, uniques
from harness.ws import Ws

VARIANTS = {
    "password and database": dict(redis_password="s3cr:t@/x",
                                  redis_db=3),
    "unix socket": dict(redis_unix=True),
    "unix socket, password, database": dict(
        redis_unix=True, redis_password="pw", redis_db=2),
    "two shard servers": dict(redis=2),
}


@pytest.mark.parametrize("what", VARIANTS)
async def test_redis_variant(make_stack, what):
    options = VARIANTS[what]
    stack = make_stack(nginx=2, **options)
    ann, bob = uniques("ann", "bob")
    rooms = [stack.make_room(ann, bob) for _ in range(6)]
    a = await Ws.hello(stack.ws(0), ann)
    b = await Ws.hello(stack.ws(1), bob)
    assert a.connected["conversations"] == 6
    for room in rooms:
        await fill(a, room, 10)
        assert seqs(await received(b, 10, room)) == list(range(1, 11))
    rest = stack.rest(tokens.token(bob))
    for room in rooms:
        assert len(rest.history(room)) == 10
        c = await Ws.hello(stack.ws(), bob)
        await join(c, room, 4)
        assert seqs(await received(c, 6, room)) == list(range(5, 11))
        await c.close()
    # where it was meant to go
    used = 0
    for i in range(len(stack.redis)):
        with stack.redis_client(i) as client:
            used += bool(client.keys("wrt:{*}:conv:*"))
        with stack.redis[i].client(0) as client:
            if options.get("redis_db"):
                assert client.dbsize() == 0
    assert used == len(stack.redis)
    with stack.redis_client() as client:
        assert client.hget("wrt:config", "shards") == "16"
    # a live event after all that, and a room made now
    new = stack.make_room(ann, bob)
    e = await b.wait("conversation_created",
                     where=lambda e: e["data"]["conversationId"] == new)
    assert e["data"]["seq"] == 0
    await send(a, new, "x")
    assert seqs(await received(b, 1, new)) == [1]
    for name in ("nginx0.log", "nginx1.log", "worker.log"):
        if options.get("redis_password"):
            text = (stack.logs / name).read_text()
            assert options["redis_password"] not in text
    await a.close()
    await b.close()


async def test_two_databases_of_one_redis_are_two_chats(make_stack):
    """Pub/sub ignores database numbers: nothing may leak over."""
    one = make_stack()
    name = "test_conversation_1"
    ann, bob = uniques("ann", "bob")
    one.make_room(ann, bob, room=name)
    two = make_stack(redis_db=5, redis_of=one)
    two.make_room(ann, bob, room=name)
    a1, b1 = [await Ws.hello(one.ws(), u) for u in (ann, bob)]
    a2, b2 = [await Ws.hello(two.ws(), u) for u in (ann, bob)]
    await send(a1, name, "in one")
    await send(a2, name, "in two")
    for ws, want in ((b1, "in one"), (b2, "in two")):
        got = await received(ws, 1)
        assert got[0]["message"]["content"]["text"] == want
        await ws.quiet(0.2)
    for ws in (a1, b1, a2, b2):
        await ws.close()


async def test_check_tries_the_storage(make_files_stack):
    stack = make_files_stack("sqlite-local")
    status, out = stack.worker.run_once("--check")
    assert status == 0 and "storage_ready" in out, out
    stack.worker.env.update(
        STORAGE="s3", MINIO_ENDPOINT="http://127.0.0.1:1",
        MINIO_ACCESS_KEY="writeen", MINIO_SECRET_KEY="a-secret-of-ours")
    status, out = stack.worker.run_once("--check")
    assert status == 1 and "127.0.0.1" in out, out
    assert "a-secret-of-ours" not in out


async def test_wrong_number_of_shards_is_refused(make_stack):
    """Started with another number later: the worker refuses and says so."""
    stack = make_stack()
    assert stack.worker.stop() is None
    stack.worker.env["SHARDS"] = "8"
    status, out = stack.worker.run_once("--check")
    assert status != 0
    assert "shard" in out.lower() and "16" in out and "8" in out, out


async def test_a_process_number_that_can_not_be_written(stack):
    """No start again mends it, so systemd must not try (status 78); another
    pool that has the file may end."""
    for path, want, what in (("/nowhere/pid", 78, "can not be written"),
                             (stack.worker.env["PID_FILE"], 1,
                              "runs already")):
        done = subprocess.run(
            [stack.worker.binary], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=net.patience(30),
            env={**stack.worker.environment(), "PID_FILE": path})
        assert done.returncode == want and what in done.stdout, done


async def test_other_servers_for_nginx_and_pool(make_stack):
    """Where a shard lies follows from the list of servers.  What an nginx
    with another list were told would be acknowledged, and stored by nobody:
    it serves nobody, and says why; so does a pool."""
    stack = make_stack(redis=2)
    nginx = stack.nginx[0]
    first, second = (r.url(0, "writeen-nginx") for r in stack.redis)
    right = f"writeen_redis {first} {second};"
    assert right in nginx.conf

    for wrong, what in ((f"{second} {first}", "is server 1 of 2 in "
                         '"writeen_redis" and 2 of 2 for the worker pool'),
                        (first, "is server 1 of 1 in "
                         '"writeen_redis" and 1 of 2 for the worker pool')):
        assert nginx.stop() is None
        nginx.conf = nginx.conf.replace(right, f"writeen_redis {wrong};")
        nginx.start()
        net.wait_until(lambda what=what: what in nginx.log.read_text(), 15,
                       "nginx to say what is wrong")
        assert stack.health()[0] == 503
        nginx.conf = nginx.conf.replace(f"writeen_redis {wrong};", right)

    assert nginx.stop() is None
    nginx.start()
    stack.wait_health("ok")

    urls = stack.worker.env["REDIS_URL"].split()
    for wrong, what in ((urls[::-1], "it is server 1 of 2, its data is that "
                         "of server 2 of 2"),
                        (urls[:1], "it is server 1 of 1, its data is that of "
                         "server 1 of 2")):
        stack.worker.env["REDIS_URL"] = " ".join(wrong)
        status, said = stack.worker.run_once("--check")
        assert status == 78 and what in said, said
