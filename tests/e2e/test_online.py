"""isOnline of a conversation tells whether somebody else is connected.

Without these a node that dies would leave its users online for ever, or a
reload would show everybody as gone, and nobody would notice.
"""

import asyncio
import time

from harness import tokens
from harness.net import patience
from harness.scene import uniques
from harness.ws import Ws


GRACE = 10      # seconds after the last connection (WRT_PRESENCE_GRACE_MS)


async def online(stack, user, room):
    rest = stack.rest(tokens.token(user))
    answer = await rest.acall("GET", "/api/conversations")
    return {c["id"]: c["isOnline"]
            for c in answer.data["conversations"]}[room]


async def until(stack, user, room, want, seconds):
    end = time.monotonic() + patience(seconds)
    while await online(stack, user, room) is not want:
        assert time.monotonic() < end, f"isOnline is not {want}"
        await asyncio.sleep(0.1)


async def test_online_while_a_socket_is_open(stack):
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    assert await online(stack, ann, room) is False
    one = await Ws.hello(stack.ws(0), bob)
    two = await Ws.hello(stack.ws(1), bob)
    await until(stack, ann, room, True, 2)
    # one's own connection does not count
    assert await online(stack, bob, room) is False
    await one.close()
    await asyncio.sleep(0.5)
    assert await online(stack, ann, room) is True
    await two.close()
    await until(stack, ann, room, False, GRACE + 4)


async def test_online_outlives_the_lease(stack):
    """It is renewed: a silent connection stays online."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    ws = await Ws.hello(stack.ws(), bob)
    await until(stack, ann, room, True, 2)
    await asyncio.sleep(17)
    assert await online(stack, ann, room) is True
    await ws.close()
    await until(stack, ann, room, False, GRACE + 4)


def presence_of(user):
    return lambda e: e["data"]["userId"] == user


async def test_presence_is_told_once_and_does_not_flicker(stack):
    ann, bob, eve = uniques("ann", "bob", "eve")
    for _ in range(3):
        stack.make_room(ann, bob)
    stack.make_room(eve)
    seen = await Ws.hello(stack.ws(0), ann)
    stranger = await Ws.hello(stack.ws(1), eve)
    seen.ignore = stranger.ignore = set()
    one = await Ws.hello(stack.ws(1), bob)
    said = await seen.wait("user_presence", where=presence_of(bob))
    assert said["data"]["status"] == "online"
    # from one node to the other, with a gap
    await one.close()
    await asyncio.sleep(2)
    one = await Ws.hello(stack.ws(0), bob)
    await asyncio.sleep(GRACE + 2)
    assert [e for e in seen.pending() if presence_of(bob)(e)] == []
    at = time.monotonic()
    await one.close()
    said = await seen.wait("user_presence", timeout=GRACE + 6,
                           where=presence_of(bob))
    assert said["data"]["status"] == "offline"
    assert said["data"]["lastSeen"]
    assert time.monotonic() - at > GRACE - 2
    await asyncio.sleep(2)
    assert [e for e in seen.pending() if presence_of(bob)(e)] == []
    assert [e for e in stranger.pending()
            if not presence_of(eve)(e)] == []
