"""Away for an hour: who comes back ends in the state of who stayed.

A thousand events of every kind go by.  Whether Redis still has them, only
the store has them, or they are too many to be sent at all: the device that
resumes must show what the device shows that was online throughout, and what
REST serves.  Text that was deleted meanwhile must not reach it in any form.
"""

import asyncio
import random
import secrets

from harness.device import Device, served
from harness.mix import Mix
from harness.scene import fill, unique, uniques
from harness.state import differences
from harness.ws import Closed, Ws

MISSED = 1000           # events, all rooms together
ROOMS = 8               # so that each stays within what the log keeps


def seeded():
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    return random.Random(seed)


async def start_rooms(stack, rng, ann, n):
    mixes = [Mix(stack, rng, ann, uniques("bob", "cho", "dee", "eli"))
             for _ in range(n)]
    await asyncio.gather(*[m.begin() for m in mixes])
    return mixes


async def events(mixes, n):
    """So many events in each room, side by side."""
    async def one(mix):
        upto = mix.events + n
        while mix.events < upto:
            await mix.step()

    await asyncio.gather(*[one(m) for m in mixes])


async def same(device, mix, stay=None):
    """It shows what REST serves, what the model says, and what the one that
    stayed shows; the last events may still be on their way."""
    room, rows, _ = await asyncio.to_thread(
        served, device.rest(), mix.room, device.user, mix.cursors())
    room.since = device.rooms[mix.room].since
    want = room.view()
    assert mix.check_history(rows) == []
    assert want["unread"] == mix.unread(device.user)
    assert room.last == mix.seq

    def check():
        return not differences(device.name, device.rooms[mix.room].view(),
                               want)

    try:
        await device.until(check, "the same state", 10)
    except AssertionError:
        raise AssertionError("\n".join(differences(
            device.name, device.rooms[mix.room].view(), want)[:20])
        ) from None
    if stay:
        assert device.rooms[mix.room].view() == stay.rooms[mix.room].view()
        assert device.rooms[mix.room].last == stay.rooms[mix.room].last


def no_deleted_text(device, mixes):
    text = "\n".join(device.text)
    assert device.text
    for mix in mixes:
        assert mix.gone, "nothing was deleted"
        for word in mix.gone:
            assert word not in text, f"deleted text {word} was sent"


async def leave_and_stay(stack, ann, n, **kw):
    """One device that stays, n that are away from now on."""
    stay = await Device(stack, ann, name="stay").open(0)
    away = []
    for i in range(n):
        d = await Device(stack, ann, name=f"away{i}", **kw).open(i % 2)
        d.drop()
        d.keep_text = True
        away.append(d)
    return stay, away


async def test_a_thousand_events_from_the_log_and_from_the_store(stack):
    """Eight rooms, 125 events each: one device resumes while Redis has them
    all, another one when nothing is left there."""
    rng, ann = seeded(), unique("ann")
    mixes = await start_rooms(stack, rng, ann, ROOMS)
    await events(mixes, 25)
    stay, (log, store) = await leave_and_stay(stack, ann, 2)
    await events(mixes, MISSED // ROOMS)
    done = {}
    for m in mixes:
        for op, n in m.done.items():
            done[op] = done.get(op, 0) + n
    print(f"operations: {done}")
    for m in mixes:
        await stay.reach(m.room, m.seq)
        await same(stay, m)
    await log.open(1)
    assert log.modes == {"log": ROOMS, "compact": 0, "resync": 0}
    for m in mixes:
        await same(log, m, stay)
    no_deleted_text(log, mixes)
    for m in mixes:
        stack.drop_log(m.room)
    await store.open(0)
    assert store.modes == {"log": 0, "compact": ROOMS, "resync": 0}
    for m in mixes:
        await same(store, m, stay)
    no_deleted_text(store, mixes)
    # and all of them go on alike
    await events(mixes, 5)
    for m in mixes:
        for d in (stay, log, store):
            await d.reach(m.room, m.seq)
            await same(d, m)
    for d in (stay, log, store):
        await d.close()
    for m in mixes:
        await m.end()


test_a_thousand_events_from_the_log_and_from_the_store.limit = 120


async def cut_off(device, pieces):
    """Lose the connection again and again in the middle of catching up."""
    for n in pieces:
        device.cut_after = n
        try:
            await device.open(n % 2)
        except (AssertionError, Closed):
            pass            # before or after the room's answer
        await device.ws.gone.wait()
    device.cut_after = None
    await device.open(0)


async def test_a_thousand_events_of_one_room(stack):
    """More than the log keeps: compact, by what the store has; also when it
    takes several connections."""
    rng, ann = seeded(), unique("ann")
    mix, = await start_rooms(stack, rng, ann, 1)
    await events([mix], 60)
    stay, (away, torn) = await leave_and_stay(stack, ann, 2)
    await events([mix], MISSED)
    await stay.reach(mix.room, mix.seq)
    await away.open(1)
    assert away.modes == {"log": 0, "compact": 1, "resync": 0}
    await same(stay, mix)
    await same(away, mix, stay)
    no_deleted_text(away, [mix])
    await cut_off(torn, [1, 40, 90])
    assert torn.modes["compact"] == 4
    await same(torn, mix, stay)
    no_deleted_text(torn, [mix])
    for d in (stay, away, torn):
        await d.close()
    await mix.end()


test_a_thousand_events_of_one_room.limit = 120


async def test_too_many_to_be_sent(stack):
    """More than 1,000 changed messages: resync_required, nothing else, and
    what the client then does ends in the same state."""
    rng, ann = seeded(), unique("ann")
    mix, = await start_rooms(stack, rng, ann, 1)
    await events([mix], 40)
    stay, (away,) = await leave_and_stay(stack, ann, 1)
    bulk = await Ws.hello(stack.ws(server="bulk"), ann)
    bulk.ignore.add("message_received")
    acks = await fill(bulk, mix.room, 1001)
    await asyncio.to_thread(stack.wait_applied)
    for i, ack in enumerate(acks):
        mix.learn(ack, ann, f"m {i + 1}")
    await events([mix], 60)
    await away.open(1)
    assert away.modes == {"log": 0, "compact": 0, "resync": 1}
    assert '"message_received"' not in "\n".join(away.text)
    await stay.reach(mix.room, mix.seq)
    await same(stay, mix)
    await same(away, mix, stay)
    no_deleted_text(away, [mix])
    await bulk.close()
    await stay.close()
    await away.close()
    await mix.end()
