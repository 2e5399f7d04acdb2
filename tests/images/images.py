#!/usr/bin/env python3
"""images.py DIR: what tests/images/build.sh made is started and used.

Each image's root file system is entered as an engine would: its own process,
mount and root, its user, its entry point, the environment that
docker-compose.yml gives it, the volume that both share.  Redis (with the
command of docker-compose.yml), MongoDB with a password, MinIO and clamd (with
docker/clamd.conf) are those of the other tests.  All of it is in a network
namespace of its own, so that names and ports are those of the compose file.
"""

import asyncio
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path += [str(ROOT / "tests/e2e"), str(ROOT / "tests/ops")]

import pymongo                                              # noqa: E402

import ops                                                  # noqa: E402
from harness import net, tokens, upload                     # noqa: E402
from harness.parts import Clamd, Part, descendants          # noqa: E402
from harness.parts import find_minio, find_mongod           # noqa: E402
from harness.rest import Rest                               # noqa: E402
from harness.scene import received, send, texts, uniques    # noqa: E402
from harness.ws import Ws                                   # noqa: E402

RESULTS = Path(os.environ.get("TEST_RESULTS", ROOT / "build/test-results"))
UID = 10001
HOSTS = "127.0.0.1 localhost redis mongodb minio clamav\n"
URL = "http://127.0.0.1:8080"


def network():
    """A loopback interface of our own, and up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        up = struct.pack("16sh", b"lo", 0x1 | 0x40)         # UP, RUNNING
        fcntl.ioctl(s, 0x8914, up)                          # SIOCSIFFLAGS


class RedisPart(Part):
    command_line = ""

    def command(self):
        return [*shlex.split(self.command_line), "--dir", str(self.dir)]

    def wait_ready(self):
        net.wait_until(lambda: net.port_open(6379), 20, "Redis")


class MongodPart(Part):
    """One server with the user that the image makes of its environment."""

    settings = {}

    def command(self):
        return [find_mongod(), "--auth", "--bind_ip", "127.0.0.1",
                "--dbpath", str(self.dir), "--wiredTigerCacheSizeGB", "0.25"]

    def wait_ready(self):
        net.wait_until(lambda: net.port_open(27017), 60, "mongod")
        with pymongo.MongoClient("127.0.0.1", 27017) as c:
            c.admin.command(
                "createUser", self.settings["MONGO_INITDB_ROOT_USERNAME"],
                pwd=self.settings["MONGO_INITDB_ROOT_PASSWORD"],
                roles=["root"])


class MinioPart(Part):
    settings = {}

    def command(self):
        return [find_minio(), "server", "--quiet", "--address",
                "127.0.0.1:9000", str(self.dir / "data")]

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.dir),
                "MINIO_BROWSER": "off", "MINIO_UPDATE": "off",
                "MINIO_CI_CD": "on", **self.settings}

    def wait_ready(self):
        def ready():
            self.must_live()
            try:
                with urllib.request.urlopen(
                        "http://127.0.0.1:9000/minio/health/ready",
                        timeout=2) as r:
                    return r.status == 200
            except OSError:
                return False
        net.wait_until(ready, 60, "MinIO")


class ClamdPart(Clamd):
    """docker/clamav/clamd.conf; signatures are those of the tests."""

    def __init__(self, name, directory, log):
        super().__init__(name, directory, log)
        text = (ROOT / "docker/clamav/clamd.conf").read_text()
        text = text.replace("/var/lib/clamav", str(self.signatures))
        text = text.replace("/tmp/clamd.sock", str(self.socket))
        text = re.sub("^User .*\n", "", text, flags=re.M)
        (self.dir / "conf").write_text(text)


class Container(Part):
    """An image, started."""

    def __init__(self, name, images, spool, env, log):
        super().__init__(name, spool.parent / f"run-{name}", log)
        self.root = images / name
        inspected = json.loads((images / f"{name}.json").read_text())
        self.config = inspected["Docker"]["config"]
        assert self.config["User"] == f"{UID}:{UID}", self.config
        self.env = dict(e.split("=", 1) for e in self.config["Env"])
        self.env.update({k: str(v) for k, v in env.items()})
        self.spool = spool
        (self.root / "etc/hosts").write_text(HOSTS)
        self.log.touch()
        os.chown(self.log, UID, UID)        # an engine gives stdout to it

    def inside(self, command, env, namespaces):
        """The command in the image's root, as its user."""
        root = shlex.quote(str(self.root))
        script = (f"mount -t proc proc {root}/proc && "
                  f"mount --rbind /dev {root}/dev && "
                  f"mount --bind {shlex.quote(str(self.spool))} "
                  f"{root}/var/spool/writeen && "
                  f"exec chroot --userspec={UID}:{UID} --groups={UID} {root} "
                  f"/usr/bin/env -i -C {self.config['WorkingDir']} \"$@\"")
        return ["unshare", *namespaces, "sh", "-ec", script, "sh",
                *(f"{k}={v}" for k, v in env.items()), *command]

    def command(self):
        return self.inside(self.config["Entrypoint"], self.env,
                           ["--mount", "--pid", "--fork", "--kill-child"])

    def once(self, *command, env=None):
        """(exit status, output) of a command inside, beside the other."""
        done = subprocess.run(
            self.inside(command, self.env if env is None else env,
                        ["--mount", "--pid", "--fork", "--kill-child"]),
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=60)
        return done.returncode, done.stdout

    def healthy(self):
        test = self.config["Healthcheck"]["Test"]
        assert test[0] == "CMD", test
        return self.once(*test[1:])[0] == 0

    @property
    def first(self):
        """Process 1 of it, as we see it."""
        for pid, _ in descendants(self.proc.pid):
            status = Path(f"/proc/{pid}/status").read_text()
            if re.search(r"^NSpid:\t\d+(\t\d+)*\t1$", status, re.M):
                return pid
        raise AssertionError(f"{self.name} does not run")

    def end(self):
        """Its own signal; it ends by itself, well, in its time."""
        sig = getattr(signal, self.config["StopSignal"])
        os.kill(self.first, sig)
        assert self.proc.wait(20) == 0, self.log.read_text()[-2000:]
        self.kill()


class World:
    def __init__(self, images, directory):
        self.services = ops.parsed(
            JWT_SECRET=tokens.SECRET, FCM_CREDENTIALS="", WEBHOOK_URL="",
            WEBHOOK_SECRET="", CDN_BASE_URL="", MINIO_KMS_SECRET_KEY="",
            WRITEEN_ORIGIN="")["services"]
        services = self.services
        self.dir = directory
        os.chmod(directory, 0o755)
        logs = ROOT / "build/images-logs"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(parents=True)
        self.logs = logs
        self.redis = RedisPart("redis", directory / "redis", logs / "redis")
        self.redis.command_line = services["redis"]["command"]
        self.mongod = MongodPart("mongod", directory / "mongod",
                                 logs / "mongod")
        self.mongod.settings = services["mongodb"]["environment"]
        self.minio = MinioPart("minio", directory / "minio", logs / "minio")
        self.minio.settings = {
            k: v for k, v in services["minio"]["environment"].items() if v}
        self.clamd = ClamdPart("clamd", directory / "clamd", logs / "clamd")
        # a new volume is what the image has there
        spool = directory / "spool"
        shutil.copytree(images / "nginx/var/spool/writeen", spool)
        st = (images / "nginx/var/spool/writeen").stat()
        os.chown(spool, st.st_uid, st.st_gid)
        os.chmod(spool, st.st_mode & 0o7777)
        self.worker, self.nginx = [
            Container(name, images, spool, services[name]["environment"],
                      logs / name) for name in ("worker", "nginx")]
        self.parts = [self.redis, self.mongod, self.minio, self.clamd,
                      self.worker, self.nginx]

    def start(self):
        for part in self.parts:
            print(f"starting {part.name}")
            part.start()
        net.wait_until(self.ok, 60, "/healthz to be ok")
        net.wait_until(lambda: "\nwriteen_scanner_up{" in figures()
                       and not re.search(r"^writeen_scanner_up\S* 0$",
                                         figures(), re.M),
                       60, "clamd to be believed")

    def health(self):
        try:
            with urllib.request.urlopen(f"{URL}/healthz", timeout=5) as r:
                return json.load(r)["status"]
        except (OSError, ValueError):
            return None

    def ok(self):
        for part in self.parts:
            part.must_live()
        return self.health() == "ok"

    def kill(self):
        for part in reversed(self.parts):
            part.kill()


def figures():
    with urllib.request.urlopen("http://127.0.0.1:9145/metrics") as r:
        return r.read().decode()


def rest(user, **claims):
    return Rest("127.0.0.1", 8080, tokens.token(user, **claims))


def form(user, room, name):
    """curl's own idea of a form."""
    done = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_code}", "-F", f"file=@{name}",
         "-H", f"Authorization: Bearer {tokens.token(user)}",
         f"{URL}/api/conversations/{room}/upload"],
        check=True, stdout=subprocess.PIPE, text=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_settings(world):
    """what is missing or wrong is said, with status 78"""
    env = {k: v for k, v in world.nginx.env.items() if k != "JWT_SECRET"}
    code, said = world.nginx.once(*world.nginx.config["Entrypoint"], env=env)
    assert code == 78 and "JWT_SECRET" in said, (code, said)
    for name, value in (("REDIS_URL", ""), ("STORAGE", "tape"),
                        ("SHARDS", "many"), ("MINIO_ENDPOINT", "a b")):
        env = {**world.nginx.env, name: value}
        code, said = world.nginx.once(*world.nginx.config["Entrypoint"],
                                      env=env)
        assert code == 78 and name in said, (name, code, said)
    code, said = world.worker.once(*world.worker.config["Entrypoint"],
                                   env={**world.worker.env, "STORE": "tape"})
    assert code == 78 and "STORE" in said, (code, said)


def test_healthy(world):
    """the health checks of the images are content"""
    assert world.nginx.healthy()
    assert world.worker.healthy()


def test_nobody_is_root(world):
    """every process is the image's user, and has no capability"""
    for part in world.nginx, world.worker:
        pids = [p for p, _ in descendants(part.first)] + [part.first]
        assert len(pids) > 1, pids
        for pid in pids:
            status = Path(f"/proc/{pid}/status").read_text()
            assert re.search(rf"^Uid:\t{UID}\t{UID}\t{UID}\t{UID}$", status,
                             re.M), status
            assert re.search(r"^CapEff:\t0+$", status, re.M), status


async def chat(world):
    ann, bob = uniques("ann", "bob")
    r = rest("lms", role="service").call("POST", "/api/conversations", {
        "type": "group", "title": "Images", "participants": [
            {"userId": ann, "role": "student"},
            {"userId": bob, "role": "tutor"}]})
    assert r.status == 201, r
    room = r.data["conversation"]["id"]
    a, b = [await Ws.hello("ws://127.0.0.1:8080/ws", u) for u in (ann, bob)]
    await send(a, room, "hello")
    await send(b, room, "hello, too")
    for ws in a, b:
        assert texts(await received(ws, 2, room)) == ["hello", "hello, too"]
    return ann, bob, room, a, b


def test_chat(world):
    """two people chat, and history has it"""
    async def run():
        ann, _, room, a, b = await chat(world)
        r = await rest(ann).acall("GET",
                                  f"/api/conversations/{room}/messages")
        assert r.status == 200, r
        await a.close()
        await b.close()
    asyncio.run(run())


def test_files(world):
    """a picture goes through clamd and MinIO and comes back; a virus not"""
    async def run():
        ann, bob, room, a, b = await chat(world)
        await a.close()
        await b.close()
        picture = world.dir / "house.jpg"
        picture.write_bytes(upload.sample("house.jpg"))
        status, body = form(ann, room, picture)
        assert status == 201, (status, body)
        file = body["data"]["message"]["content"]["fileInfo"]["fileId"]
        r = rest(bob).call("GET", f"/api/files/{file}/download")
        assert r.status == 200 and r.raw == picture.read_bytes(), r.status
        r = rest(bob).call("GET", f"/api/files/{file}/thumbnails/small")
        assert r.status == 200 and len(r.raw) > 500, r.status
        virus = world.dir / "virus.txt"
        virus.write_bytes(upload.EICAR)
        status, body = form(ann, room, virus)
        assert status == 422, (status, body)
    asyncio.run(run())


def test_pages(world):
    """the browser client is there; figures only for the inner network"""
    for path, want in (("/", "text/html"), ("/writeen.js", "javascript")):
        with urllib.request.urlopen(URL + path) as r:
            assert want in r.headers["Content-Type"], r.headers
    assert rest("ann").call("GET", "/metrics").status == 404
    text = figures()
    assert "\nwriteen_redis_up 1\n" in text, text
    assert "\nwriteen_scanner_up{" in text, text


class Prometheus(Part):
    """docker/prometheus, in a hurry; nginx is where we know it to be."""

    def command(self):
        for f in (ROOT / "docker/prometheus").glob("*.yml"):
            text = f.read_text().replace("15s", "1s")
            (self.dir / f.name).write_text(
                text.replace("nginx:9145", "127.0.0.1:9145"))
        return ["prometheus", f"--config.file={self.dir}/prometheus.yml",
                f"--storage.tsdb.path={self.dir}/data",
                "--web.listen-address=127.0.0.1:9090"]

    def ask(self, path, **query):
        url = f"http://127.0.0.1:9090/api/v1/{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        try:
            with urllib.request.urlopen(url, timeout=5) as r:
                return json.load(r)["data"]
        except (ConnectionError, urllib.error.URLError):
            return {}

    def value(self, expr):
        found = self.ask("query", query=expr).get("result", [])
        return [float(r["value"][1]) for r in found]


def test_prometheus(world):
    """Prometheus reads the figures; every panel has some, no alert fires"""
    text = figures()
    ops.run("promtool", "check", "metrics", input=text)
    p = Prometheus("prometheus", world.dir / "prometheus",
                   world.logs / "prometheus")
    try:
        p.start()
        net.wait_until(lambda: p.value("up") == [1.0], 30, "a scrape")
        net.wait_until(
            lambda: p.value("rate(writeen_events_in_total[1m])"), 30, "two")
        board = json.loads((ROOT / "docker/grafana/dashboards/writeen.json")
                           .read_text())
        empty = [t["expr"] for panel in board["panels"]
                 for t in panel.get("targets", ())
                 if not p.value(t["expr"])]
        assert not empty, empty
        rules = [r for g in p.ask("rules")["groups"] for r in g["rules"]]
        assert len(rules) > 15, rules
        assert {r["health"] for r in rules} == {"ok"}, rules
        firing = [r["name"] for r in rules if r.get("state") == "firing"]
        assert firing in ([], ["WriteenInfected"]), firing
    finally:
        p.kill()


def test_parts_that_die(world):
    """the pool's children come back, and nothing undead is left"""
    async def run():
        ann, bob, room, a, b = await chat(world)
        for pid, _ in descendants(world.worker.first):
            os.kill(pid, signal.SIGKILL)
        await send(a, room, "meanwhile")
        assert texts(await received(b, 1, room)) == ["meanwhile"]
        net.wait_until(world.ok, 30, "/healthz to be ok again")

        def history():
            r = rest(bob).call("GET", f"/api/conversations/{room}/messages")
            return r.status == 200 and len(r.data["messages"]) == 3
        net.wait_until(history, 20, "the message to be in history")
        stat = [Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1][1]
                for p, _ in descendants(world.worker.first)]
        assert "Z" not in stat, stat
        await a.close()
        await b.close()
    asyncio.run(run())


def test_stop(world):
    """each ends by its signal; sockets are told to come back"""
    async def run():
        ann, _, room, a, b = await chat(world)
        world.nginx.end()
        for ws in a, b:
            await asyncio.wait_for(ws.gone.wait(), 5)
            assert ws.closed.code == 1012, ws.closed
        assert not world.nginx.healthy()
        world.worker.end()
        world.worker.start()
        world.nginx.start()
        net.wait_until(world.ok, 60, "/healthz to be ok")
        r = rest(ann).call("GET", f"/api/conversations/{room}/messages")
        assert r.status == 200 and len(r.data["messages"]) == 2, r
        world.nginx.end()
        world.worker.end()
    asyncio.run(run())


def test_logs(world):
    """they went to the engine, with no token or password in them"""
    for part in world.nginx, world.worker:
        text = part.log.read_text()
        assert text, part.name
        assert "eyJ" not in text, part.name
        for name in "MINIO_SECRET_KEY", "JWT_SECRET":
            secret = part.env.get(name)
            assert not secret or secret not in text, (part.name, name)
    assert '"GET /ws HTTP/1.1" 101' in world.nginx.log.read_text()
    assert " ready " in world.worker.log.read_text()


def main():
    images = Path(sys.argv[1]).resolve()
    network()
    tests = [f for n, f in globals().items() if n.startswith("test_")]
    passed = 0
    directory = Path(tempfile.mkdtemp(prefix="wrt-images-", dir="/tmp"))
    world = World(images, directory)
    try:
        world.start()
        for test in tests:
            test(world)
            passed += 1
            print(f"ok: {test.__doc__}")
    except Exception as e:
        print(f"not ok after {passed} tests: {e!r}")
        raise
    finally:
        world.kill()
        shutil.rmtree(directory, ignore_errors=True)
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / "images.txt").write_text(
            f"passed={passed} failed={len(tests) - passed}\n")
        print(f"images: {passed} passed, {len(tests) - passed} failed")


if __name__ == "__main__":
    main()
