"""Several devices of one user, and everything at random.

Whatever the order in which they lose their connections and come back, on
whichever node, a user's devices agree: on what there is, on what is unread,
on their own sends, reads, edits, reactions.  And what is served is what a
model of the acknowledged operations says, counted afresh.
"""

import asyncio
import os
import random
import secrets

from harness import tokens
from harness.device import Device, served
from harness.mix import Mix, run_side_by_side
from harness.scene import unique, uniques
from harness.state import differences

OPERATIONS = int(os.environ.get("WRT_OPERATIONS", 5000))    # on each store
ROOMS = 8
ROUNDS = 10             # after each, all is compared


def seeded():
    seed = int(os.environ.get("WRT_SEED", secrets.randbits(32)))
    print(f"seed {seed}")
    return random.Random(seed)


class Trouble:
    """Drops devices and brings them back while things go on; one of each
    user's stays, so that the user is never away."""

    def __init__(self, devices, rng):
        self.devices = devices      # user -> his devices
        self.rng = rng
        self.stopping = False
        self.drops = 0

    async def run(self, devices):
        while not self.stopping:
            await asyncio.sleep(self.rng.random() / 2)
            online = [d for d in devices if d.ws.closed is None]
            down = [d for d in devices if d.ws.closed is not None]
            if down and (len(online) == 1 or self.rng.random() < 0.5):
                await self.rng.choice(down).open(self.rng.randrange(2))
            elif len(online) > 1:
                device = self.rng.choice(online)
                self.drops += 1
                if self.rng.random() < 0.5:
                    device.drop()
                else:
                    await device.ws.close()
                await device.ws.gone.wait()

    async def around(self, work):
        """Make trouble while the work is done, then bring all back."""
        self.stopping = False
        tasks = [asyncio.create_task(self.run(d))
                 for d in self.devices.values()]
        try:
            await work
        finally:
            self.stopping = True
            await asyncio.gather(*tasks)
        for device in self.all():
            if device.ws.closed is not None:
                await device.open(self.rng.randrange(2))

    def all(self):
        return [d for ds in self.devices.values() for d in ds]


async def agree(mix, devices, rest):
    """What is served is what the model says; all devices show it."""
    shown = {}
    for user in devices:
        if user not in mix.since:
            r = await rest[user].aget(f"/api/conversations/{mix.room}")
            r.refused(404, "not_found")
            for d in devices[user]:
                await d.until(lambda d=d: mix.room not in d.rooms,
                              "to be out of it")
            continue
        room, rows, conversation = await asyncio.to_thread(
            served, rest[user], mix.room, user, mix.cursors())
        assert mix.check_history(rows) == []
        assert conversation["seq"] == mix.seq
        room.since = mix.since[user]
        want = room.view()
        assert want["unread"] == mix.unread(user)
        assert want["title"] == mix.title
        assert set(want["members"]) == set(mix.since)
        for d in devices[user]:
            await d.reach(mix.room, mix.seq)

            def same(d=d):
                return d.rooms[mix.room].view() == want

            try:
                await d.until(same, "the same state", 10)
            except AssertionError:
                raise AssertionError("\n".join(differences(
                    d.name, d.rooms[mix.room].view(), want)[:20])) from None
            assert d.problems == []
            shown[d.name] = d.rooms[mix.room].unread
    return shown


async def unread_is_exact(mixes, user, rest):
    want = {m.room: m.unread(user) for m in mixes if user in m.since}
    data = (await rest.aget("/api/unread")).data
    assert {c["conversationId"]: c["unreadCount"]
            for c in data["conversations"]} == {
                r: n for r, n in want.items() if n}
    assert data["total"] == sum(want.values())
    listed = (await rest.aget("/api/conversations", limit=100)).data
    assert {c["id"]: c["unreadCount"]
            for c in listed["conversations"]} == want


async def test_three_devices_through_random_operations(stack):
    """Ann owns eight rooms and has three devices; Bob is in all of them, put
    out and brought in again, and has two; everybody acts at random while
    their connections break."""
    rng = seeded()
    ann, bob = uniques("ann", "bob")
    mixes = [Mix(stack, rng, ann, [bob, *uniques("cho", "dee", "eli")])
             for _ in range(ROOMS)]
    await asyncio.gather(*[m.begin() for m in mixes])
    devices = {
        ann: [await Device(stack, ann, name=f"ann {i}").open(i % 2)
              for i in range(3)],
        bob: [await Device(stack, bob, name=f"bob {i}").open(i % 2)
              for i in range(2)]}
    trouble = Trouble(devices, rng)
    rest = {u: stack.rest(tokens.token(u), i, "bulk")
            for i, u in enumerate(devices)}
    for _ in range(ROUNDS):
        await trouble.around(run_side_by_side(mixes, OPERATIONS // ROUNDS))
        for d in trouble.all():
            await d.settle()
        for m in mixes:
            await agree(m, devices, rest)
            for user in sorted(m.since):
                if user not in devices:
                    node = rng.randrange(2)
                    data = (await stack.rest(
                        tokens.token(user), node, "bulk").aget(
                            "/api/unread")).data
                    assert data["total"] == m.unread(user), (user, data)
        for user in devices:
            await unread_is_exact(mixes, user, rest[user])
    # nobody was ever seen to go: a device of his was always there
    for d in trouble.all():
        other = bob if d.user == ann else ann
        assert (other, "offline") not in d.presence, d.name
    for asker, user in ((ann, bob), (bob, ann)):
        shared = [m for m in mixes if bob in m.since]
        r = await rest[asker].aget(f"/api/users/{user}/presence")
        if shared:
            assert r.data["status"] == "online", r
        else:
            r.refused(404, "not_found")
    done = {}
    for m in mixes:
        for op, n in m.done.items():
            done[op] = done.get(op, 0) + n
    modes = {k: sum(d.modes[k] for d in trouble.all())
             for k in ("log", "compact", "resync")}
    print(f"{sum(done.values())} operations {done}, {trouble.drops} drops, "
          f"resumed rooms {modes}")
    assert sum(done.values()) == OPERATIONS
    for d in trouble.all():
        await d.close()
    for m in mixes:
        await m.end()


test_three_devices_through_random_operations.limit = 300


async def test_each_order_of_disconnects(stack):
    """Three devices, each way in which they can go and come back: all six
    orders of going times all six of coming."""
    ann, bob = uniques("ann", "bob")
    rng = seeded()
    mix = await Mix(stack, rng, ann, [bob], weights={
        "join": 0, "leave": 0, "archive": 0, "stray": 0}).begin()
    devices = [await Device(stack, ann, name=f"d{i}").open(i % 2)
               for i in range(3)]
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1),
              (2, 1, 0)]
    for going in orders:
        for coming in orders:
            for i in going:
                await mix.step()
                devices[i].drop()
                await devices[i].ws.gone.wait()
            for i in coming:
                await mix.step()
                await devices[i].open(rng.randrange(2))
            await agree(mix, {ann: devices},
                        {ann: stack.rest(tokens.token(ann), 0, "bulk")})
    for d in devices:
        await d.close()
    await mix.end()


test_each_order_of_disconnects.limit = 120


async def test_own_sends_show_on_all_devices(stack):
    """What one device sends, reads, edits and reacts to, the others show,
    and count nothing of it as unread."""
    ann, bob = uniques("ann", "bob")
    room = stack.make_room(ann, bob)
    phone, laptop, tablet = [
        await Device(stack, ann, name=n).open(i % 2)
        for i, n in enumerate(("phone", "laptop", "tablet"))]
    other = await Device(stack, bob).open(1)
    sent = await phone.do("send_message", {
        "conversationId": room, "type": "text", "content": {"text": "one"},
        "clientMessageId": unique("c")})
    theirs = await other.do("send_message", {
        "conversationId": room, "type": "text", "content": {"text": "two"},
        "clientMessageId": unique("c")})
    await laptop.reach(room, 2)
    await laptop.do("edit_message", {
        "conversationId": room, "messageId": sent["messageId"],
        "content": {"text": "one and a half"}})
    await tablet.do("add_reaction", {
        "conversationId": room, "messageId": theirs["messageId"],
        "emoji": "👍"})
    for d in (phone, laptop, tablet):
        await d.reach(room, 4)
        assert d.rooms[room].unread == 1
    await tablet.do("mark_read", {"conversationId": room,
                                  "messageId": theirs["messageId"]})
    for d in (phone, laptop, tablet, other):
        await d.until(lambda d=d: d.rooms[room].cursors.get(ann) == [2, 2],
                      "the read cursor")
        mine, hers = d.rooms[room].view()["messages"]
        assert mine["content"]["text"] == "one and a half"
        assert [r[:2] for r in hers["reactions"]] == [(ann, "👍")]
    assert [d.rooms[room].unread for d in (phone, laptop, tablet)] == [
        0, 0, 0]
    assert other.rooms[room].unread == 1
    for d in (phone, laptop, tablet, other):
        await d.close()
