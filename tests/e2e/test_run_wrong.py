"""`make run` where something is wrong: it says what, and what to do.

Each in the last line of a start that fails, or in a line of one that runs; a
newcomer sees nothing else.
"""

import os
import signal
import socket
import subprocess

import pytest

from harness import tokens, upload
from harness.parts import BUILD, Redis, refused
from harness.run import START_S, Run
from harness.scene import message, received, send, texts, unique, uniques
from harness.ws import Ws

# to mount something that nobody else sees
UNSHARE = ["unshare", "--mount"]
if os.geteuid() != 0:
    UNSHARE.append("--map-root-user")


@pytest.fixture(name="make_run")
def run_maker():
    runs = []

    def make(kind=Run, **settings):
        options = refused()["ASAN_OPTIONS"]
        runs.append(kind(**{"ASAN_OPTIONS": options, **settings}))
        return runs[-1]

    yield make
    for run in runs:
        run.clean()


class SmallDisk(Run):
    """RUN_DIR is a file system of so many MB, which nobody else sees."""

    def __init__(self, size, **settings):
        super().__init__(**settings)
        self.place.mkdir()
        self.command = [*UNSHARE, "sh", "-c",
                        f'mount -t tmpfs -o size={size}m none "$1"'
                        ' && exec "$0"',
                        str(self.command[0]), str(self.place)]
        self.inside = self.place

    def start(self):
        super().start()
        self.place = self.seen(self.inside)

    def seen(self, path):
        return type(path)(f"/proc/{self.process.pid}/root{path}")

    def fill(self):
        """Not a byte is left."""
        with open(self.place / "filler", "ab", buffering=0) as f:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass

    def free(self):
        (self.place / "filler").unlink()


# ---- it does not start --------------------------------------------------

async def test_port_in_use(make_run):
    run = make_run()
    with socket.socket() as other:
        other.bind(("127.0.0.1", run.port))
        other.listen()
        assert run.refuses() == (
            f"run: port {run.port} is in use; choose another: make run "
            f"PORT={run.port + 1}")
    # and nothing was started, nor is left behind
    assert not list(run.place.glob("*.pid"))
    run.start()


async def test_two_in_one_place(make_run):
    first, second = make_run(), make_run()
    first.start()
    second.place = first.place
    said = second.refuses()
    assert f"another copy (pid {first.process.pid}) runs on" in said
    assert "RUN_DIR and PORT" in said
    assert first.health() == "ok"


@pytest.mark.parametrize("settings, words", [
    ({"PORT": "http"}, ["PORT", "http"]),
    ({"PORT": "65536"}, ["PORT", "1 to 65535", "65536"]),
    ({"BIND": "192.0.2.1"}, ["nginx does not accept", "192.0.2.1"]),
    ({"STORE": "mysql"}, ["STORE", "sqlite or mongo", "mysql"]),
    ({"STORE": "mongo"}, ["MONGODB_URI", "mongodb://"]),
    ({"STORE": "mongo", "MONGODB_URI": "mongodb://u:p@hidden@h/writeen"},
     ["MONGODB_URI", "%40"]),
    ({"STORE": "mongo", "MONGODB_URI": "mongodb://u:p:hidden@h/writeen"},
     ["MONGODB_URI", "%3A"]),
    ({"STORE": "mongo", "MONGODB_URI": "mongodb://u:hidden@h:99999/writeen"},
     ["MONGODB_URI", "it looks like mongodb://"]),
    ({"PUSH_CA_FILE": "/etc/passwd"}, ["PUSH_CA_FILE", "has no certificate"]),
    ({"STORAGE": "s3"}, ["MINIO_ENDPOINT", "host:port"]),
    ({"SHARDS": "many"}, ["SHARDS", "many"]),
    ({"SHARDS": "0"}, ["SHARDS", "1 to 1024", "not 0"]),
    ({"SHARDS": "1025"}, ["SHARDS", "1 to 1024", "1025"]),
    ({"NGINX_WORKERS": "-1"}, ["NGINX_WORKERS", "-1"]),
    ({"NGINX_WORKERS": "0"}, ["NGINX_WORKERS", "auto", "not 0"]),
    ({"CLAMAV": "maybe"}, ["CLAMAV", "maybe", "clamd:/path"]),
    ({"JWT_SECRET": "short"}, ["JWT_SECRET", "5 bytes", "16 at least",
                               "openssl rand"]),
    ({"RUN_DIR": "/proc/writeen"}, ["cannot write /proc/writeen",
                                    "RUN_DIR="]),
    ({"REDIS_URL": "redis://user:hidden@127.0.0.1:1"},
     ["no Redis at 127.0.0.1:1", "start it", "unset REDIS_URL"]),
    ({"REDIS_URL": "rediss://:hidden@127.0.0.1:1"},
     ["REDIS_URL", "redis://[user", "unix:/path"]),
    ({"REDIS_URL": "unix:/nowhere/redis.sock?db=1"},
     ["no Redis at /nowhere/redis.sock"]),
])
async def test_settings(make_run, settings, words):
    run = make_run(**settings)
    said = run.refuses()
    for word in words:
        assert word in said, said
    assert "hidden" not in run.output()


@pytest.mark.parametrize("settings, words", [
    ({"STORAGE_PATH": "/no/such/place"}, ["STORAGE_PATH", "/no/such"]),
    ({"SHARDS": "4"}, ["SHARDS is 4", "to 16"]),
    ({"SQLITE_PATH": "/etc/passwd"}, ["SQLITE_PATH", "not a database"]),
])
async def test_settings_of_the_next_start(make_run, settings, words):
    """What the pool of the last start left in Redis does not speak for one
    that does not come up."""
    run = make_run()
    run.start()
    run.stop()
    run.settings.update(settings)
    said = run.refuses()
    for word in words:
        assert word in said, said
    assert "ready: " not in run.output()


async def test_ipv6(make_run):
    run = make_run(BIND="[::1]")
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", run.port))
        other.listen()
        assert f"port {run.port} is in use" in run.refuses()
    run.launch()
    run.says(f"ready: http://[::1]:{run.port}\n", START_S)
    run.stop()
    run.settings["BIND"] = "[::]"
    run.launch()
    run.says(f"ready: http://[::1]:{run.port}\n", START_S)


@pytest.mark.parametrize("who, words", [
    (["--sub", "a b", "--role", "student"], ["--sub", "1 to 64"]),
    (["--sub", "ani", "--role", "teacher"], ["--role", "tutor", "teacher"]),
    (["--sub", "ani"], ["usage:"]),
    (["--sub", "ani", "--role", "student", "--ttl", "1h"], ["--ttl", "1h"]),
    (["--sub", "ani", "--role", "student", "--secret", "short"],
     ["--secret", "5 bytes", "16 at least"]),
])
async def test_token_of_nobody(who, words):
    """What nginx would refuse is not minted, and is named."""
    mint = os.environ.get("TOKEN_BIN") or str(BUILD / "writeen-token")
    got = subprocess.run([mint, *who], capture_output=True, text=True,
                         check=False)
    assert got.returncode == 1 and not got.stdout
    for word in words:
        assert word in got.stderr, got.stderr


async def test_what_uploads_wait_for(make_run):
    """MinIO and clamd are not there: it is said, and chat goes on."""
    with socket.socket() as nobody:         # bound, and does not listen
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        run = make_run(STORAGE="s3", MINIO_ENDPOINT=f"127.0.0.1:{port}",
                       MINIO_ACCESS_KEY="writeen", CLAMAV="clamd:/no/clamd",
                       MINIO_SECRET_KEY="secret-key")
        run.start()
        said = run.output()
        assert (f"nobody answers at 127.0.0.1:{port} (MINIO_ENDPOINT); "
                "uploads wait") in said
        assert "no clamd at /no/clamd (CLAMAV); uploads wait" in said
        run.stop()
    # that it gave up when it was told to stop is no news of MinIO
    log = (run.place / "logs/worker.log").read_text()
    assert 'error="stopped"' not in log

    run.settings = {"CLAMAV": f"clamd:127.0.0.1:{port}"}
    run.start()
    assert f"no clamd at 127.0.0.1:{port} (CLAMAV)" in run.output()


async def test_mongodb_that_is_not_there(make_run):
    """It starts, since chat goes on without a store, and says so."""
    run = make_run(STORE="mongo",
                   MONGODB_URI="mongodb://u:hidden@127.0.0.1:1/writeen")
    run.start()
    at = run.says("the worker pool does not answer; the end of")
    run.says("127.0.0.1:1", after=at)       # why, in the pool's own words
    assert "hidden" not in run.output()


async def test_no_room_to_begin_with(make_run):
    run = make_run(SmallDisk, size=32)
    said = run.refuses()
    assert "MB are free in" in said and "RUN_DIR=" in said, said


# ---- it runs, and something goes wrong ----------------------------------

async def test_another_secret(make_run):
    """Who made a token with another one is told at both doors."""
    run = make_run()
    run.start()
    run.says("build/writeen-token reads it")
    bad = tokens.token("ani", secret="another-secret-0123456789abcdef")
    r = await run.rest("ani").acall("GET", "/api/unread", headers={
        "Authorization": "Bearer " + bad})
    r.refused(401, "unauthorized")
    assert "another key or secret" in r.json["message"]
    with pytest.raises(Exception) as refused:
        await Ws.connect(f"ws://127.0.0.1:{run.port}/ws", bad)
    assert refused.value.status == 401
    assert "another key or secret" in refused.value.json["message"]


async def test_redis_wants_another_password(make_run, tmp_path):
    """It is said while one still waits, not after a minute of it."""
    redis = Redis("redis", tmp_path, tmp_path / "redis.log", password="right")
    redis.start()
    try:
        run = make_run(REDIS_URL=redis.url(0).replace("right", "hidden"))
        run.launch()
        run.says("WRONGPASS", START_S)
        line = next(s for s in run.output().splitlines() if "WRONGPASS" in s)
        assert line.startswith("run: waiting for /healthz"), line
        assert "REDIS_URL" in line
        assert "hidden" not in run.output()
    finally:
        run.clean()
        assert redis.stop() is None


async def test_somebody_elses_redis_stops(make_run, tmp_path):
    redis = Redis("redis", tmp_path / "redis", tmp_path / "redis.log").start()
    run = make_run(REDIS_URL=redis.url())
    try:
        run.start()
        redis.kill()
        at = run.says('"redis":"down"')
        run.says("is it running?", after=at)
        redis.start()
        run.says("/healthz is ok again", after=at)
    finally:
        run.clean()
        redis.kill()


async def test_the_pool_hangs(make_run):
    """Not dead, so that nothing starts it anew."""
    run = make_run()
    run.start()
    pool = run.part("worker")
    os.killpg(pool, signal.SIGSTOP)
    at = run.says("the worker pool does not answer; the end of", seconds=60)
    assert f"{run.place}/logs/worker.log" in run.output()[at:]
    os.killpg(pool, signal.SIGCONT)
    run.says("/healthz is ok again", after=at)


async def test_the_disk_is_full(make_run):
    """What cannot be kept is refused as retryable, files too; with room again
    all of it goes on, and what was acknowledged is there, once."""
    run = make_run(SmallDisk, size=192)
    run.start()
    ani, budi = uniques("ani", "budi")
    room = run.room(ani, budi)
    one, two = await run.ws(ani), await run.ws(budi)
    kept = ["before"]
    await send(one, room, "before")
    run.fill()

    # pages that were there already may take some more
    for n in range(200):
        text, cmid = f"{n} " + "x" * 4000, unique("c")
        one.send("send_message", message(room, text, cmid))
        got = await one.wait(("message_status", "error"),
                             where=lambda e: e["data"].get(
                                 "clientMessageId") == cmid)
        if got["event"] == "error":
            assert got["data"]["code"] == "unavailable", got
            assert got["data"]["retryable"] is True, got
            break
        kept.append(text)
    else:
        raise AssertionError("a full disk took 200 messages")

    at = run.says("the disk is full (0 MB free in")
    assert "make room" in run.output()[at:]
    kind, form = upload.file_form("house.jpg", upload.sample("house.jpg"))
    path = f"/api/conversations/{room}"
    r = await run.rest(ani).acall("POST", path + "/upload", raw=form, headers={
        "Content-Type": kind}, timeout=30)
    r.refused(503, "unavailable")

    run.free()
    run.wait_health(30)
    run.says("/healthz is ok again", after=at)
    one.send("send_message", message(room, text, cmid))     # once more
    await one.wait("message_status", where=lambda e: e["data"].get(
        "clientMessageId") == cmid)
    kept.append(text)
    assert texts(await received(two, len(kept))) == kept
    got = run.rest(budi).history(room)
    assert [m["content"]["text"] for m in got] == kept
    run.stop()
