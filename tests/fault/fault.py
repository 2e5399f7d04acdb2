#!/usr/bin/env python3
"""Parts are killed while people chat; afterwards nothing may be missing.

Eight clients on two nginx instances, and one that posts by REST, send
numbered messages into several rooms, edit and delete them, react, read; a
service puts members in and out and archives a room for a moment (changes.py).
Meanwhile, in random order (the seed is printed; --seed repeats it), nginx
workers, the projector, an api process, the whole worker pool, Redis, mongod
and a whole nginx are killed with SIGKILL, and nginx is reloaded.  What the
harness has to restart it restarts after 0 to 3 seconds.  At the end:

  - every acknowledged message is in the store exactly once: in the history
    by REST and in the database itself, and nothing else is there;
  - every acknowledged change is there, once, in order, and no other;
  - every client saw every message of its rooms exactly once, in order, and
    shows them as the history does;
  - every retry got the first ack again;
  - a read never lacked what had been acknowledged before it;
  - no log holds an alert, a crit or a sanitizer's word.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from changes import Changes                                   # noqa: E402
from harness import state, tokens                             # noqa: E402
from harness.client import ChatClient                         # noqa: E402
from harness.stack import Stack                               # noqa: E402

CLIENTS = 8
ROOMS = 5
PENDING_MAX = 400       # a client that waits for more stops writing


class Chat:
    """The people: clients, a REST sender, a reader."""

    def __init__(self, stack, rng, rate):
        self.stack = stack
        self.rng = rng
        self.rate = rate
        self.users = [f"user-{i}" for i in range(CLIENTS)]
        self.members = {}
        self.clients = []
        self.sends = []             # all of them, with their first acks
        self.posts = {}             # cmid -> (room, text, message id, seq)
        self.post_tries = 0
        self.reads = [0, 0]         # good, refused
        self.problems = []
        self.stopping = False

    def open_rooms(self):
        for r in range(ROOMS):
            users = [u for i, u in enumerate(self.users)
                     if (i + r) % 3 != 0] + ["poster"]
            room = self.stack.make_room(*users, room=f"room-{r}")
            self.members[room] = users

    def connect(self):
        where = [(self.stack.ws(i), "127.0.0.1", self.stack.port(i))
                 for i in range(len(self.stack.nginx))]
        for i, user in enumerate(self.users):
            rooms = [r for r, m in self.members.items() if user in m]
            turn = where[i % len(where):] + where[:i % len(where)]
            c = ChatClient(user, turn, rooms, seed=self.rng.random())
            for r in rooms:
                c.rooms[r].state.stands(self.stack.rest(tokens.token(
                    user)).get(f"/api/conversations/{r}").data[
                        "conversation"])
            c.start()
            self.clients.append(c)

    async def write(self, client):
        """One client's own pace: messages, and now and then an old one
        again."""
        acked, n = [], 0
        pause = len(self.clients) / self.rate
        while not self.stopping:
            await asyncio.sleep(pause * (0.5 + self.rng.random()))
            if len(client.sends) > PENDING_MAX:
                continue
            room = self.rng.choice(list(client.rooms))
            n += 1
            s = client.send(room, f"{client.user} {n}")
            self.sends.append(s)
            s.done.add_done_callback(lambda _, s=s: acked.append(s))
            if acked and self.rng.random() < 0.02:
                old = self.rng.choice(acked)
                if old.cmid not in client.again:
                    client.repeat(old)

    async def travel(self):
        """Now and then somebody goes through a tunnel: away for longer than
        the log reaches back."""
        while not self.stopping:
            await asyncio.sleep(2 + 4 * self.rng.random())
            self.rng.choice(self.clients).nap(1 + 8 * self.rng.random())

    async def post(self):
        """POST .../messages with retries, on either node."""
        n = 0
        while not self.stopping:
            n += 1
            room = self.rng.choice(list(self.members))
            cmid, text = f"post-{n}", f"posted {n}"
            seen = set()
            while len(seen) == 0 or self.rng.random() < 0.1:
                got = await self.post_once(room, cmid, text)
                if got:
                    seen.add(got)
                else:
                    await asyncio.sleep(0.2)
            if len(seen) > 1:
                self.problems.append(f"{cmid}: acks {seen}")
            self.posts[cmid] = (room, text, *seen.pop())
            await asyncio.sleep(0.1)

    async def post_once(self, room, cmid, text):
        self.post_tries += 1
        rest = self.stack.rest(tokens.token("poster"),
                               self.rng.randrange(len(self.stack.nginx)))
        try:
            r = await rest.acall(
                "POST", f"/api/conversations/{room}/messages",
                {"type": "text", "content": {"text": text},
                 "clientMessageId": cmid})
        except OSError:
            return None
        except Exception as e:          # http.client: cut off in the middle
            if type(e).__module__ != "http.client":
                raise
            return None
        if r.status in (200, 201):
            m = r.json["data"]["message"]
            return m["id"], m["seq"]
        # 409: archived for a moment
        if r.status not in (409, 429, 502, 503):
            self.problems.append(f"{cmid}: {r}")
        return None

    async def read(self):
        """Read your writes: the newest acknowledged message of a room is in
        its history, whenever that can be read at all."""
        while not self.stopping:
            await asyncio.sleep(0.3)
            c = self.rng.choice(self.clients)
            room = self.rng.choice(list(c.rooms))
            known = {s.ack[1]: s.ack[0] for s in self.sends[-400:]
                     if s.ack and s.room == room}
            if not known:
                continue
            top = max(known)
            rest = self.stack.rest(tokens.token(c.user),
                                   self.rng.randrange(2))
            try:
                r = await rest.aget(f"/api/conversations/{room}/messages",
                                    beforeSeq=top + 1, limit=50)
            except OSError:
                self.reads[1] += 1
                continue
            except Exception as e:
                if type(e).__module__ != "http.client":
                    raise
                self.reads[1] += 1
                continue
            if r.status != 200:
                self.reads[1] += 1
                if r.status not in (429, 502, 503):
                    self.problems.append(f"read of {room}: {r}")
                continue
            self.reads[0] += 1
            got = {m["seq"]: m["id"] for m in r.json["data"]["messages"]}
            for seq, id in known.items():
                if seq > top - 50 and got.get(seq) != id:
                    self.problems.append(
                        f"{room}: {seq} {id} was acknowledged, history "
                        f"has {got.get(seq)}")


class Faults:
    """What is done to the parts.  Every method is one fault."""

    def __init__(self, stack, chat, rng):
        self.stack = stack
        self.chat = chat
        self.rng = rng
        self.done = {}
        self.names = ["nginx_worker", "nginx_all", "nginx_reload",
                      "projector", "api", "pool", "redis"]
        if stack.store == "mongo":
            self.names.append("mongod")

    async def run(self, until):
        """All faults in random order, then again, until the time is over;
        the first round is always finished."""
        rounds = 0
        while rounds == 0 or time.monotonic() < until:
            rounds += 1
            for name in self.rng.sample(self.names, len(self.names)):
                if rounds > 1 and time.monotonic() >= until:
                    break
                await asyncio.sleep(1 + 3 * self.rng.random())
                print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
                await getattr(self, name)()
                self.done[name] = self.done.get(name, 0) + 1

    def busy_nginx(self):
        """One that has clients, rather than one that just lost them."""
        ports = [c.ws.port for c in self.chat.clients if c.ws and c.ws.open]
        return max(self.stack.nginx, key=lambda n: (
            ports.count(n.ports["main"]) + self.rng.randrange(3)))

    async def wait(self):
        await asyncio.sleep(3 * self.rng.random())

    async def nginx_worker(self):
        nginx = self.busy_nginx()
        pid = self.rng.choice(nginx.workers())
        self.stack.watch.killed.add(pid)
        os.kill(pid, 9)

    async def nginx_all(self):
        nginx = self.busy_nginx()
        await asyncio.to_thread(nginx.kill)
        await self.wait()
        await asyncio.to_thread(nginx.start)

    async def nginx_reload(self):
        nginx = self.busy_nginx()
        await asyncio.to_thread(nginx.reload)

    async def projector(self):
        assert self.stack.worker.kill_role("projector"), "no projector"

    async def api(self):
        which = self.rng.randrange(8)
        assert self.stack.worker.kill_role("api", which), "no api process"

    async def pool(self):
        await self.restart(self.stack.worker)

    async def redis(self):
        await self.restart(self.stack.redis[0])

    async def mongod(self):
        await self.restart(self.stack.mongod)

    async def restart(self, part):
        await asyncio.to_thread(part.kill)
        await self.wait()
        await asyncio.to_thread(part.start)


class Verdict:
    """Named checks; what failed is printed with its evidence."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, problems):
        problems = list(problems)
        if problems:
            self.failed += 1
            print(f"FAILED {name}: {len(problems)}")
            for p in problems[:20]:
                print(f"    {p}")
        else:
            self.passed += 1
            print(f"ok {name}")


def truth(chat):
    """room -> {seq: (message id, sender, cmid, text)} by the acks."""
    out = {r: {} for r in chat.members}
    problems = []

    def add(room, seq, entry):
        if seq in out[room]:
            problems.append(f"{room}: {seq} acknowledged for "
                            f"{out[room][seq]} and {entry}")
        out[room][seq] = entry

    for s in chat.sends:
        if s.ack is None:
            problems.append(f"no ack: {s.cmid}")
            continue
        add(s.room, s.ack[1], (s.ack[0], s.cmid.rsplit("-", 1)[0], s.cmid,
                               s.text))
    for cmid, (room, text, id, seq) in chat.posts.items():
        add(room, seq, (id, "poster", cmid, text))
    return out, problems


def differences(name, want, got):
    """Both: seq -> entry."""
    for seq in sorted(want.keys() | got.keys()):
        if want.get(seq) != got.get(seq):
            yield f"{name} {seq}: want {want.get(seq)}, is {got.get(seq)}"


def unread(chat, changes, stack, rows):
    """What was applied twice or not at all would show in a count."""
    for c in chat.clients:
        data = stack.rest(tokens.token(c.user)).get(
            "/api/conversations", limit=100).data
        for room in data["conversations"]:
            id = room["id"]
            read = changes.reads.get((id, c.user), 0)
            others = sum(m["senderId"] != c.user and m["seq"] > read
                         and not m["deletedAt"] for m in rows[id])
            if room["unreadCount"] != others:
                yield (f"{c.user} {id}: {room['unreadCount']}, others "
                       f"wrote {others}")


def judge_room(verdict, changes, room, want, rows, stack):
    """One room by REST: messages and changes.  want: seq -> (id, sender,
    cmid, text as it is now)."""
    rest = stack.rest(tokens.token("poster"))
    conversation = rest.get(f"/api/conversations/{room}").data[
        "conversation"]
    said = [m for m in rows if m["type"] != "system"]
    dup = len(rows) - len({m["seq"] for m in rows})
    verdict.check(f"history of {room}, {len(rows)} messages", [
        *([f"{dup} rows too many"] if dup else []),
        *differences("seq", want, {
            m["seq"]: (m["id"], m["senderId"], m["clientMessageId"],
                       m["content"].get("text")) for m in said}),
        *changes.check_rows(room, rows)])
    verdict.check(f"changes of {room}", [
        *changes.check_members(room, rows, conversation),
        *changes.check_edits(room, rows, rest),
        *changes.check_number(room, conversation, len(want))])
    return state.Room(room, "poster").load(conversation, rows)


def judge_client(verdict, changes, c, want, shown):
    """What it saw, and what it shows now."""
    problems = list(c.violations)
    for r in c.rooms.values():
        problems += differences(
            r.id, {s: (e[0], e[2]) for s, e in want[r.id].items()},
            {s: (e[0], e[1]) for s, e in r.got.items() if e[1]})
        problems += changes.check_closed(r.id, c)
        # cursors and what one's own say are compared through readBy
        have, served = r.state.view(), shown[r.id].view()
        for key in ("messages", "title", "settings", "archived"):
            problems += state.differences(
                f"{c.user} {r.id}", {key: have[key]}, {key: served[key]})
        for user, (read, delivered) in have["cursors"].items():
            if (read, delivered) != (
                    changes.reads.get((r.id, user), 0),
                    changes.delivered.get((r.id, user), 0)):
                problems.append(
                    f"{c.user} {r.id}: {user} stands at {read} {delivered}, "
                    f"not {changes.reads.get((r.id, user), 0)} "
                    f"{changes.delivered.get((r.id, user), 0)}")
    verdict.check(
        f"{c.user} saw everything once, "
        f"{sum(len(r.got) for r in c.rooms.values())} messages", problems)


def judge(verdict, chat, changes, stack):
    want, problems = truth(chat)
    verdict.check("every send has one ack, every number one message",
                  problems)
    now = {room: {seq: (id, sender, cmid, changes.text(id, text))
                  for seq, (id, sender, cmid, text) in w.items()}
           for room, w in want.items()}
    rows, shown = {}, {}
    for room, w in now.items():
        rows[room] = stack.rest(tokens.token("poster")).history(room)
        shown[room] = judge_room(verdict, changes, room, w, rows[room],
                                 stack)
    with stack.open_store() as db:
        for room, w in want.items():
            w = {seq: (id, sender, cmid, changes.kept(id, text))
                 for seq, (id, sender, cmid, text) in w.items()}
            got = db.messages(room)
            dup = len(got) - len({r[0] for r in got})
            verdict.check(f"database of {room}, {len(got)} messages", [
                *([f"{dup} rows too many"] if dup else []),
                *differences("seq", w, {r[0]: r[1:] for r in got
                                        if r[3] is not None})])
        total = db.count()
        expected = sum(len(r) for r in rows.values())
        verdict.check("nothing else in the database", (
            [f"{total} messages, {expected} in the histories"]
            if total != expected else []))
    verdict.check("unread counts", unread(chat, changes, stack, rows))
    for c in chat.clients:
        judge_client(verdict, changes, c, want, shown)
    verdict.check("reads and posts", chat.problems)


async def play(stack, args, rng, verdict):
    chat = Chat(stack, rng, args.rate)
    faults = Faults(stack, chat, rng)
    chat.open_rooms()
    chat.connect()
    changes = Changes(chat, args.changes)
    tasks = [asyncio.create_task(chat.write(c)) for c in chat.clients]
    tasks += [asyncio.create_task(chat.post()),
              asyncio.create_task(chat.read()),
              asyncio.create_task(chat.travel())]
    tasks += [asyncio.create_task(t) for t in changes.tasks()]
    start = time.monotonic()
    await faults.run(start + args.seconds)
    await asyncio.sleep(1)
    chat.stopping = True
    await asyncio.gather(*tasks)
    took = time.monotonic() - start
    problems = []
    try:
        await asyncio.to_thread(stack.wait_health, "ok", 30)
        for c in chat.clients:
            await c.wait_acked(60)
        await asyncio.to_thread(stack.wait_applied, 60)
        ends = await asyncio.to_thread(stack.room_ends)
        for c in chat.clients:
            for r in c.rooms:
                await c.wait_seq(r, ends[r], 30)
        for c in chat.clients:
            await c.wait_joined(30)
    except (AssertionError, TimeoutError) as e:
        problems.append(e)
    for c in chat.clients:
        await c.stop()
    verdict.check("all is calm in the end", problems)
    await asyncio.to_thread(judge, verdict, chat, changes, stack)
    report(chat, changes, faults, took)
    if verdict.failed:
        for c in chat.clients:
            lines = [x for ws in c.log for x in ws.log_lines()]
            (stack.logs / f"frames-{c.user}.log").write_text(
                "\n".join(lines) + "\n")


def report(chat, changes, faults, took):
    stats = {}
    for c in chat.clients:
        for k, v in c.stats.items():
            if isinstance(v, int):
                stats[k] = stats.get(k, 0) + v
            else:
                into = stats.setdefault(k, {})
                for code, n in v.items():
                    into[code] = into.get(code, 0) + n
    sent = len(chat.sends) + len(chat.posts)
    seen = sum(len(r.got) for c in chat.clients for r in c.rooms.values())
    print(f"faults: {faults.done}")
    print(f"messages: {sent} in {took:.0f} s ({sent / took:.0f}/s), "
          f"{len(chat.posts)} of them by REST in {chat.post_tries} calls; "
          f"seen {seen}; reads {chat.reads[0]}, refused {chat.reads[1]}")
    print(f"changes: {changes.done} in {changes.tries} tries, unsure "
          f"{sum(changes.unsure.values())}")
    print(f"clients: {stats}", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--store", choices=["sqlite", "mongo"], required=True)
    p.add_argument("--seconds", type=float, default=600)
    p.add_argument("--rate", type=float, default=300, help="messages/s")
    p.add_argument("--changes", type=float, default=30,
                   help="edits, reactions and so on, a second")
    p.add_argument("--seed", type=int,
                   default=random.SystemRandom().randrange(1 << 31))
    p.add_argument("--result", help="file for passed=N failed=N (appended)")
    args = p.parse_args()
    rng = random.Random(args.seed)
    print(f"fault test: store {args.store}, {args.seconds:.0f} s, "
          f"seed {args.seed}", flush=True)
    verdict = Verdict()
    stack = Stack(f"fault-{args.store}", args.store, nginx=2, drain="2s")
    stack.start()
    try:
        asyncio.run(play(stack, args, rng, verdict))
    finally:
        verdict.check("logs and ends of all parts", stack.stop())
    print(f"{args.store}: passed={verdict.passed} failed={verdict.failed}")
    if args.result:
        with open(args.result, "a", encoding="utf-8") as f:
            f.write(f"passed={verdict.passed} failed={verdict.failed}\n")
    return 1 if verdict.failed else 0


if __name__ == "__main__":
    sys.exit(main())
