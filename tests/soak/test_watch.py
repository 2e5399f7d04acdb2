"""The soak's eyes: what leaks is told, what does not is not.

Without these the soak would be green because it looks at the wrong thing.
What leaks are processes of the test itself, and a Redis of its own.
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness.parts import Redis                               # noqa: E402
from watch import Watch                                       # noqa: E402

# Does what it is told, then says that it has.
LEAKS = """
import os, socket, subprocess, sys, threading
kept = []
def memory():
    kept.append(os.urandom(1 << 20) * 20)
def files():
    kept.append(open("/dev/null"))
def connects(port):
    kept.append(socket.create_connection(("127.0.0.1", int(port))))
def threads():
    t = threading.Thread(target=threading.Event().wait, daemon=True)
    t.start()
def processes():
    kept.append(subprocess.Popen(["sleep", "600"]))
def nothing():
    pass
for line in sys.stdin:
    what, *args = line.split()
    globals()[what](*args)
    print(flush=True)
for k in kept:
    if hasattr(k, "kill"):
        k.kill()
        k.wait()
"""


class Leaky:
    def __init__(self):
        self.p = subprocess.Popen([sys.executable, "-c", LEAKS], text=True,
                                  stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        self.pid = self.p.pid

    def does(self, what):
        self.p.stdin.write(what + "\n")
        self.p.stdin.flush()
        self.p.stdout.readline()

    def stop(self):
        self.p.stdin.close()
        self.p.wait()


@pytest.fixture
def watch(tmp_path):
    """Of one process that is told what to do, a Redis and some directories."""
    redis = Redis("redis", tmp_path / "r", tmp_path / "redis.log")
    redis.start()
    redis.wait_ready()
    for name in ("tmp", "files/tmp", "spool"):
        (tmp_path / name).mkdir(parents=True)
    leaky = Leaky()
    w = Watch(SimpleNamespace(
        store="sqlite", dir=tmp_path, blobs=tmp_path / "files",
        spool=tmp_path / "spool", nginx=[], pools=[leaky],
        fcm=SimpleNamespace(port=redis.port), mongod=None, minio=None,
        redis_client=redis.client), settle=0.25)
    w.leaky = leaky
    w.begin()
    yield w
    leaky.stop()
    redis.stop()


def turn(watch, does="nothing", warm=2):
    """Something happens, then it is looked at; what was wrong."""
    watch.leaky.does(does)
    counts = len(watch.samples) >= warm
    problems = asyncio.run(watch.calm(counts, True))
    watch.sample()
    if len(watch.samples) <= warm:
        watch.learn()
    return problems


def whole(watch, does="nothing", turns=8, warm=2):
    """A soak in which this happens in each turn."""
    problems = []
    for n in range(turns):
        problems += turn(watch, does if n >= warm else "nothing", warm)
    return problems + watch.verdict(warm, 8 * 1024)


def test_nothing_leaks(watch):
    assert whole(watch) == []


@pytest.mark.parametrize("what", ["files", "threads", "processes"])
def test_counted(watch, what):
    problems = whole(watch, what, turns=3)
    words = {"files": "files, was", "threads": "threads, was",
             "processes": "is new"}
    assert len(problems) == 1 and words[what] in problems[0], problems
    assert "not calm" in problems[0]


@pytest.mark.parametrize("to, most", [("fcm", 16), ("mongod", 2),
                                      ("minio", 1)])
def test_connections_that_are_kept(watch, to, most):
    """So many are kept, as the libraries keep; more is a leak."""
    port = watch.stack.fcm.port
    for name in ("fcm", "mongod", "minio"):
        setattr(watch.stack, name,
                SimpleNamespace(port=port if name == to else 1))
    assert whole(watch) == []
    for _ in range(most):
        watch.leaky.does(f"connects {port}")
    assert turn(watch) == []
    problems = turn(watch, f"connects {port}")
    assert len(problems) == 1 and "files, was" in problems[0], problems


def test_memory(watch):
    """20 MiB in each turn; 20 MiB once, in the first turns, is no leak."""
    for n in range(2):
        assert turn(watch, "memory") == []
    assert whole(watch) == []
    problems = whole(watch, "memory")
    assert len(problems) == 1, problems
    assert problems[0].startswith("memory of pool: "), problems


def test_files(watch):
    """In the spool and among those that are temporary."""
    for name in ("spool/0123", "tmp/half", "files/tmp/half"):
        path = watch.stack.dir / name
        path.write_text("x")
        problems = turn(watch)
        assert len(problems) == 1 and "files: " in problems[0], problems
        path.unlink()
        assert turn(watch) == []


@pytest.mark.parametrize("key, life, told", [
    ("wrt:{3}:conv:abc", None, "stays"),
    ("wrt:{3}:conv:abc", 4000, "stays"),
    ("wrt:{3}:conv:abc", 3000, None),
    ("wrt:u:ann:conns", 90, "stays"),
    ("wrt:u:ann:conns", 60, None),
    ("wrt:upload:abc", None, "stays"),
    ("wrt:{3}:ingest", None, None),
    ("wrt:nobody:knows", 5, "not known"),
])
def test_keys(watch, key, life, told):
    with watch.stack.redis_client() as c:
        if key.endswith("ingest"):
            c.xadd(key, {"c": "x"})
            c.xtrim(key, 0)
        else:
            c.set(key, "x", ex=life)
    problems = turn(watch)
    if told is None:
        assert problems == []
    else:
        assert len(problems) == 1, problems
        assert key in problems[0] and told in problems[0], problems


@pytest.mark.parametrize("key", ["wrt:{3}:ingest", "wrt:rpc", "wrt:push:hand",
                                 "wrt:sessions:due", "wrt:online"])
def test_what_must_be_empty(watch, key):
    with watch.stack.redis_client() as c:
        if key in ("wrt:{3}:ingest", "wrt:rpc"):
            c.xadd(key, {"c": "x"})
        else:
            c.zadd(key, {"room": 1})
    problems = turn(watch)
    assert len(problems) == 1 and key in problems[0], problems
