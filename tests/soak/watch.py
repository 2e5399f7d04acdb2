"""What may not grow: seen when everybody has left.

Processes are told apart by what they are ("nginx1 worker", "api"), since one
that is started anew has another number.
"""

import asyncio
import os
import re
import statistics
import time
from pathlib import Path

from harness.net import patience
from harness.parts import comm, descendants, title

SETTLE = 90             # seconds until what ends by itself must have ended
GAUGES = ("connections", "users", "rooms", "queue_bytes", "rpc_pending",
          "uploads_reading", "uploads_waiting", "worker_rpc_parked")
DAY = 86400
# KiB of pages that a process keeps (store_sqlite.c: 32 MiB a connection, and
# what the sanitizer puts around each).
CACHES = {"api": 40 * 1024, "projector": 40 * 1024, "janitor": 80 * 1024}
# Names in Redis, and for how many seconds at most when nobody is here; None:
# they stay (docs/redis.md).
KEYS = [(re.compile(pattern + "$"), life) for pattern, life in (
    (r"wrt:\{\d+\}:conv:.*", 3600), (r"wrt:\{\d+\}:log:.*", 600),
    (r"wrt:\{\d+\}:once:.*", DAY), (r"wrt:\{\d+\}:version:.*", 3600),
    (r"wrt:\{\d+\}:prof:.*", DAY), (r"wrt:\{\d+\}:lease", 5),
    (r"wrt:u:[^:]*:convs", 30 * DAY), (r"wrt:u:[^:]*:conns", 60),
    (r"wrt:u:[^:]*:presence", 30 * DAY), (r"wrt:u:[^:]*:pushed", 30 * DAY),
    (r"wrt:upload:.*", DAY), (r"wrt:blob:.*", 600),
    (r"wrt:(consultations|push):lease", 5), (r"wrt:life", 15),
    (r"wrt:hb:(api|projector)", 5),
    (r"wrt:\{\d+\}:(ingest|awake)", None), (r"wrt:files:[0-9a-f]*", None),
    (r"wrt:(config|rpc|metrics|projectors|consultations)", None),
    (r"wrt:(online|hidden|sessions:due|push:due|push:hand)", None),
)]
# Of these nothing may be left when all is done, but what waits in wrt:push:due
# for somebody to have read what he was shown.
EMPTY = re.compile(r"wrt:(\{\d+\}:(ingest|awake)|files:[0-9a-f]*|rpc"
                   r"|consultations|push:hand|push:due|sessions:due|online"
                   r"|hidden)$")
# Of them these end by a lease, or when a room has been silent.
LATE = re.compile(r"wrt:(online|hidden|\{\d+\}:awake)$")
# Connections that a process makes when it first needs them, and keeps: to
# where pushes go (HTTP_IDLE_MAX of worker/push/push_http.c), to MongoDB (two
# clients, store_mongo.c), to S3 (curl, one).
PUSH_KEPT, MONGO_KEPT, S3_KEPT = 16, 2, 1


def sizes(client):
    """key -> what is in it, of those that must be empty; of streams how
    much."""
    out = {}
    for key in client.scan_iter(count=1000):
        if not EMPTY.match(key):
            continue
        kind = client.type(key)
        if kind == "stream":
            out[key] = client.xlen(key)
        elif kind == "set":
            out[key] = client.scard(key)
        else:
            out[key] = [i for i in client.zrange(key, 0, -1)
                        if not i.startswith("w ")][:3]
    return out


def awake(client, key):
    """Is it of a room that stays until it has been silent?"""
    tag, _, room = key.rpartition(":")
    tag, _, kind = tag.rpartition(":")
    return kind in ("conv", "log") and client.sismember(tag + ":awake", room)


def odd_keys(client, patient):
    """Those that nobody knows, and those that stay longer than they may."""
    out = []
    for key in client.scan_iter(count=1000):
        ttl = client.ttl(key)
        if ttl == -1 and not patient and awake(client, key):
            continue
        life = [life for rx, life in KEYS if rx.match(key)]
        if ttl == -2:
            continue
        if not life:
            out.append(f"{key} is not known")
        elif life[0] is not None and not 0 <= ttl <= life[0]:
            out.append(f"{key} stays for {ttl} s")
    return out


def families(client):
    """family -> how many keys, for who wants to see."""
    out = {}
    for key in client.scan_iter(count=1000):
        for rx, _ in KEYS:
            if rx.match(key):
                name = rx.pattern.replace(r"\{\d+\}:", "").split(":")[1]
                out[name.strip("$")] = out.get(name.strip("$"), 0) + 1
                break
    return out


def status(pid):
    """Fields of /proc/PID/status; {} when it is gone."""
    try:
        text = Path("/proc", str(pid), "status").read_text()
    except OSError:
        return {}
    return dict(line.split(":", 1) for line in text.splitlines())


def open_files(pid):
    try:
        return len(list(Path("/proc", str(pid), "fd").iterdir()))
    except OSError:
        return 0


def connections(pid, port):
    """How many of them are TCP connections to this port, closed ones too."""
    there = set()
    for line in Path("/proc", str(pid), "net/tcp").read_text().splitlines():
        word = line.split()
        if word[2].endswith(f":{port:04X}"):
            there.add(f"socket:[{word[9]}]")
    n = 0
    for fd in Path("/proc", str(pid), "fd").iterdir():
        try:
            n += os.readlink(fd) in there
        except OSError:
            pass            # closed meanwhile
    return n


class Watch:
    def __init__(self, stack, settle=SETTLE):
        self.stack, self.settle = stack, settle
        self.samples = []           # of each turn: {process: {...}}
        self.limits = {}            # process -> what, at most

    def begin(self):
        self.tmp = self.files()

    # ---- processes ------------------------------------------------------

    def processes(self):
        """[(name, pid)] of nginx and the pool."""
        out = []
        for nginx in self.stack.nginx:
            out.append((nginx.name + " master", nginx.pid))
            out += [(nginx.name + " worker" + (
                " that ends" if "shutting down" in t else ""), p)
                for p, t in descendants(nginx.pid)]
        for pool in self.stack.pools:
            out.append(("pool", pool.pid))
            out += [(comm(p) or title(p), p)
                    for p, _ in descendants(pool.pid)]
        return out

    def seen(self):
        """process -> files, threads, how many of it, KiB of memory."""
        out = {}
        for name, pid in self.processes():
            said = status(pid)
            row = out.setdefault(name, {"files": 0, "threads": 0, "many": 0,
                                        "kib": 0})
            row["files"] += open_files(pid) - self.kept(pid)
            row["threads"] += int(said.get("Threads", 0))
            row["many"] += 1
            # what malloc() took; of files that are mapped nothing can leak
            row["kib"] = max(row["kib"], int(
                said.get("RssAnon", "0").split()[0]))
        return out

    def kept(self, pid):
        """Connections that are kept for the next time, so many at most: that
        is no leak, whenever the first time was."""
        to = [(PUSH_KEPT, self.stack.fcm), (MONGO_KEPT, self.stack.mongod),
              (S3_KEPT, self.stack.minio)]
        try:
            return sum(min(most, connections(pid, part.port))
                       for most, part in to if part)
        except OSError:
            return 0        # it has ended

    # ---- everything else ------------------------------------------------

    def files(self):
        """Temporary ones, wherever they are made, and the spool."""
        at = self.stack.dir
        places = [at / "tmp", self.stack.blobs / "tmp",
                  *at.glob("n*/body"), *at.glob("n*/proxy")]
        return sorted(str(p.relative_to(at)) for d in places
                      for p in d.rglob("*") if p.is_file()) + sorted(
            f"spool: {p.name}" for p in self.stack.spool.rglob("*")
            if p.is_file() and p.name != "id")

    def gauges(self, nginx):
        text = self.stack.rest(None, nginx).call(
            "GET", "/metrics").raw.decode()
        out = dict.fromkeys(GAUGES, 0)
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            name = name.split("{")[0].removeprefix("writeen_")
            if name in out:
                out[name] += float(value)
        return {g: v for g, v in out.items() if v}

    def left(self, count_processes, patient):
        """What is still there that should be gone; None."""
        for i, nginx in enumerate(self.stack.nginx):
            if nginx.old_workers():
                return f"{nginx.name} has workers that end"
            gauges = self.gauges(i)
            if gauges:
                return f"{nginx.name}: {gauges}"
        if self.files() != self.tmp:
            return f"files: {self.files()[:5]}"
        with self.stack.redis_client() as c:
            full = {k: n for k, n in sizes(c).items()
                    if n and (patient or not LATE.match(k))}
            if full:
                return f"Redis: {full}"
            odd = odd_keys(c, patient)
            if odd:
                return f"Redis: {odd[:5]}"
        if count_processes:
            return self.more() or None
        return None

    def more(self):
        """Processes that have more than in the first turns."""
        out = []
        for name, row in self.seen().items():
            limit = self.limits.get(name)
            if limit is None:
                out.append(f"{name} is new")
                continue
            out += [f"{name}: {row[k]} {k}, was {limit[k]}"
                    for k in ("files", "threads", "many")
                    if row[k] > limit[k]]
        return ", ".join(out)

    async def calm(self, count_processes, patient):
        """Wait for it; what is not."""
        end = time.monotonic() + patience(self.settle)
        while True:
            left = await asyncio.to_thread(self.left, count_processes,
                                           patient)
            if left is None:
                return []
            if time.monotonic() > end:
                return [f"turn {len(self.samples)}: not calm: {left}"]
            await asyncio.sleep(0.2)

    # ---- over all turns -------------------------------------------------

    def sample(self):
        """It is calm: note how much there is."""
        self.samples.append(self.seen())

    def learn(self):
        """The first turns are how it should be."""
        for seen in self.samples:
            for name, row in seen.items():
                limit = self.limits.setdefault(name, dict(row))
                for k in row:
                    limit[k] = max(limit[k], row[k])

    def memory(self, name, warm):
        """First and last third of the turns that count, KiB."""
        have = [s[name]["kib"] for s in self.samples[warm:] if name in s]
        third = max(1, len(have) // 3)
        return (statistics.median(have[:third]),
                statistics.median(have[-third:])) if have else (0, 0)

    def verdict(self, warm, spare_kib):
        """Processes that have grown.  SQLite's caches fill as the database
        grows: of an hour that took 16 minutes in the projector and 50 in the
        janitor.  The same code on MongoDB has no such excuse."""
        out = []
        for name in self.samples[-1]:
            first, last = self.memory(name, warm)
            more = spare_kib
            if self.stack.store == "sqlite":
                more += CACHES.get(name, 0)
            if last > first * 1.05 + more:
                out.append(f"memory of {name}: {first / 1024:.1f} MiB, then "
                           f"{last / 1024:.1f}")
        return out

    def line(self):
        last = self.samples[-1]
        return "MiB " + " ".join(
            f"{name.replace(' ', '.')} {row['kib'] / 1024:.1f}"
            for name, row in sorted(last.items()))

    def table(self, warm):
        with self.stack.redis_client() as c:
            yield "keys " + " ".join(f"{k} {n}" for k, n in sorted(
                families(c).items()))
        for name, row in sorted(self.samples[-1].items()):
            first, last = self.memory(name, warm)
            yield (f"{name:16} {row['many']:2} of it, {row['files']:3} files,"
                   f" {row['threads']:3} threads, {first / 1024:6.1f} -> "
                   f"{last / 1024:6.1f} MiB")
