"""Other ways to reach Redis: password, database number, unix socket, several
shard servers, all at once where that makes sense."""

import pytest

from harness import tokens
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
