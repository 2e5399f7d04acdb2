"""Calls that a process of the pool has in hand for too long.

A store that does not answer one of them, a network that swallows what it
sends: when it goes on, somebody else has done its work, or the caller was told
that nothing came of it and has done something else.
"""

import asyncio

import pytest

from harness import tokens, upload
from harness.cast import Cast
from harness.gate import Gate
from harness.net import until
from harness.stack import Server, Stack


@pytest.fixture
def two_pools(request):
    """One reaches the store through a gate."""
    made = []

    def make():
        stack = Stack(request.node.name, "mongo", nginx=2, pools=2,
                      mongo_set=False, env={"WORKERS": "1"},
                      servers={"bulk": Server(""), "hasty": Server(
                          "writeen_api_timeout 2s;")})
        gate = Gate(stack.mongod.port)
        env = stack.worker.env
        env["MONGODB_URI"] = env["MONGODB_URI"].replace(
            f":{stack.mongod.port}/", f":{gate.port}/")
        made.extend((stack, gate))
        return stack.start(), gate

    yield make
    stack, gate = made
    gate.close()
    problems = stack.stop()
    assert not problems, "\n".join(problems)


async def begin(stack, gate, server):
    """A room, a message in it, and the call to edit it in the hands of the
    pool that waits for the store; how the other one goes on."""
    # it shall be free to store what the other one decides
    hold = upload.hold(stack.worker.role("projector"))

    async def all_held():
        with stack.redis_client() as c:
            owners = {c.get(f"wrt:{{{k}}}:lease") for k in range(16)}
        return len(owners) == 1 and None not in owners
    await until(all_held)
    cast = await Cast.group(stack, "ann", "bob")
    await cast.open("ann")
    mid = (await cast.say("ann", "one"))["messageId"]
    await asyncio.to_thread(stack.wait_applied)
    go_on = upload.hold(stack.pools[1].role("api"))
    gate.open.clear()
    call = asyncio.create_task(stack.rest(
        tokens.token(cast.ids["ann"]), 0, server).acall(
            "PATCH", f"/api/conversations/{cast.room}/messages/{mid}",
            {"content": {"text": "old"}}))

    async def in_hand():
        with stack.redis_client() as c:
            return c.xpending_range("wrt:rpc", "api", "-", "+", 1)
    await until(in_hand, "it to be in hand", step=0.01)
    return cast, mid, call, go_on, hold


async def end(stack, gate, cast, mid):
    """Nothing comes of it any more; returns the edits that were."""
    gate.open.set()
    go_on = upload.hold(stack.pools[1].role("api"))
    try:
        async def answers():
            r = await cast.do("ann", "GET", f"/messages/{mid}")
            return r.status == 200
        await until(answers, "the other one to go on")
    finally:
        go_on()
    # what waits for the room looks again
    await cast.say("ann", "two")
    await asyncio.to_thread(stack.wait_applied)
    await asyncio.sleep(0.5)
    assert (await cast.get("ann", mid))["content"] == {"text": "new"}
    r = await cast.do("ann", "GET", f"/messages/{mid}/history")
    await cast.close()
    return [e["previousContent"] for e in r.data["editHistory"]]


async def test_somebody_else_has_done_it(two_pools):
    stack, gate = two_pools()
    cast, mid, call, go_on, hold = await begin(stack, gate, "bulk")
    try:
        go_on()
        assert (await call).status == 200
        assert (await cast.edit("ann", mid, "new")).status == 200
        edits = await end(stack, gate, cast, mid)
        assert sorted(edits) == ["old", "one"]
    finally:
        gate.open.set()
        hold()


async def test_its_caller_was_told_that_it_was_not_done(two_pools):
    stack, gate = two_pools()
    cast, mid, call, go_on, hold = await begin(stack, gate, "hasty")
    try:
        (await call).refused(503, "unavailable")
        go_on()

        assert (await cast.edit("ann", mid, "new")).status == 200
        assert await end(stack, gate, cast, mid) == ["one"]
    finally:
        gate.open.set()
        go_on()
        hold()
