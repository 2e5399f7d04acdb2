"""What is measured: each peer with its Redis and database, on ports of its
own, started as it should be and stopped by process id.

    with start("gohub", folder) as peer:
        peer.address, peer.secret, peer.procs, peer.flags

What a peer does and does not do is told in README.md.
"""

import contextlib
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "e2e"))

from harness import net, parts, tokens                        # noqa: E402
from harness.stack import Server, Stack                       # noqa: E402

BUILT = parts.BUILD / "bench" / "chat"
NCHAN = BUILT / "nchan"
MODULES = NCHAN / "usr/lib/nginx/modules"

# Nobody is limited, and nothing is logged of who comes and goes: the peers
# neither limit nor log.
SERVER = ("writeen_rate 1000000 burst=1000000 user=1000000; "
          "access_log off; error_log {log} warn;")


class Peer:
    def __init__(self, port, protocol, **procs):
        self.address = f"127.0.0.1:{port}"
        self.protocol = protocol
        self.procs = procs          # name -> pid of its first process
        self.secret = tokens.SECRET
        self.stack = None           # of our own servers

    def flags(self):
        """Of the generator."""
        return ["-addr", self.address, "-proto", self.protocol,
                "-secret", self.secret, "-procs",
                ";".join(f"{n}={p}" for n, p in self.procs.items())]


class Redis(parts.Redis):
    """Keeps nothing on disk, and drops no slow subscriber."""

    def command(self):
        return ["redis-server", "--dir", str(self.dir), "--save", "",
                "--appendonly", "no", "--port", str(self.port), "--bind",
                "127.0.0.1", "--maxclients", "15000",
                "--client-output-buffer-limit", "pubsub 0 0 0"]


class Mongod(parts.Mongod):
    """Alone, without a log of operations."""

    def command(self):
        return [self.binary, "--bind_ip", "127.0.0.1", "--port",
                str(self.port), "--dbpath", str(self.dir),
                "--wiredTigerCacheSizeGB", "1", "--quiet", "--setParameter",
                "diagnosticDataCollectionEnabled=false"]

    def wait_ready(self):
        def answers():
            self.must_live()
            return net.port_open(self.port)
        net.wait_until(answers, 60, f"{self.name} to listen")


class Program(parts.Part):
    """Something that listens."""

    def __init__(self, name, folder, port, *command):
        super().__init__(name, folder / name, folder / f"{name}.log")
        self.port = port
        self.argv = [str(a) for a in command]

    def command(self):
        return self.argv

    def wait_ready(self):
        def listens():
            self.must_live()
            return net.port_open(self.port)
        net.wait_until(listens, 30, f"{self.name} to listen")


class Starter:
    """Starts parts, and stops them in the reverse order."""

    def __init__(self, folder):
        self.folder = folder
        self.stack = contextlib.ExitStack()

    def part(self, part):
        part.start()
        self.stack.callback(part.stop)
        return part

    def redis(self):
        return self.part(Redis("redis", self.folder / "redis",
                               self.folder / "redis.log"))

    def mongod(self, replica_set):
        kind = parts.Mongod if replica_set else Mongod
        return self.part(kind("mongod", self.folder / "mongod",
                              self.folder / "mongod.log"))

    def program(self, name, port, *command):
        return self.part(Program(name, self.folder, port, *command))


# ---- the peers ----

def floor(s):
    port = net.free_port()
    server = s.program("floor", port, BUILT / "floor", port, tokens.SECRET)
    return Peer(port, "writeen", server=server.pid)


def nchan(s, mode=None, auth=False):
    """mode: how messages go through Redis; None: they do not."""
    port, redis, folder = net.free_port(), None, s.folder / "nchan"
    values = {"MODULES": MODULES, "DIR": folder, "PORT": port, "AUTH": "",
              "UPSTREAM": "", "REDIS": ""}
    if mode:
        redis = s.redis()
        values["UPSTREAM"] = (
            "upstream redis { nchan_redis_server "
            f"redis://127.0.0.1:{redis.port}; "
            f"nchan_redis_storage_mode {mode}; }}")
        values["REDIS"] = "nchan_redis_pass redis;"
    if auth:
        values["AUTH"] = "nchan_authorize_request /auth;"
    folder.mkdir()
    (folder / "jwt.js").write_text(
        (HERE / "peers/nchan/jwt.js").read_text().replace(
            "@SECRET@", tokens.SECRET))
    (folder / "nginx.conf").write_text(
        re.sub(r"@(\w+)@", lambda m: str(values[m.group(1)]),
               (HERE / "peers/nchan/nginx.conf.in").read_text()))
    server = s.program("nchan", port, parts.nginx_binary()[0], "-p", folder,
                       "-c", folder / "nginx.conf", "-e",
                       folder / "error.log", "-g", "daemon off;")
    peer = Peer(port, "nchan", server=server.pid)
    if redis:
        peer.procs["redis"] = redis.pid
    return peer


def centrifuge(s, *flags):
    port, redis = net.free_port(), s.redis()
    server = s.program("centrifuge", port, BUILT / "centrifuge", "-addr",
                       f"127.0.0.1:{port}", "-redis",
                       f"redis://127.0.0.1:{redis.port}", "-secret",
                       tokens.SECRET, *flags)
    return Peer(port, "centrifugo", server=server.pid, redis=redis.pid)


def gohub(s, database=True, replica_set=False):
    port, redis = net.free_port(), s.redis()
    mongod = s.mongod(replica_set) if database else None
    server = s.program("gohub", port, BUILT / "gohub", "-addr",
                       f"127.0.0.1:{port}", "-redis",
                       f"127.0.0.1:{redis.port}", "-secret", tokens.SECRET,
                       "-mongo", f"mongodb://127.0.0.1:{mongod.port}"
                       if database else "")
    peer = Peer(port, "gohub", server=server.pid, redis=redis.pid)
    if mongod:
        peer.procs["mongod"] = mongod.pid
    return peer


def writeen(s, store, workers=1, replica_set=True):
    stack = Stack(f"bench-chat-{store}", store, nginx_workers=workers,
                  mongo_set=replica_set, connections=30000, servers={
                      "bench": Server(SERVER.format(log="/dev/null"),
                                      "backlog=4096")})
    s.stack.enter_context(stack)
    with stack.redis_client() as c:         # as in examples/redis.conf
        c.config_set("auto-aof-rewrite-min-size", "512mb")
    peer = Peer(stack.port(server="bench"), "writeen",
                server=stack.nginx[0].pid, worker=stack.worker.pid,
                redis=stack.redis[0].pid)
    if stack.mongod:
        peer.procs["mongod"] = stack.mongod.pid
    peer.stack = stack
    return peer


PEERS = {
    "floor": floor,
    "nchan-mem": nchan,
    "nchan-nostore": lambda s: nchan(s, "nostore"),
    "nchan-dist": lambda s: nchan(s, "distributed"),
    "nchan-jwt": lambda s: nchan(s, auth=True),
    "centrifuge": centrifuge,
    "centrifuge-hist": lambda s: centrifuge(s, "-history"),
    "gohub": gohub,
    "gohub-set": lambda s: gohub(s, replica_set=True),
    "gohub-nodb": lambda s: gohub(s, database=False),
    "writeen": lambda s: writeen(s, "sqlite"),
    "writeen-mongo": lambda s: writeen(s, "mongo"),
    "writeen-mongo-alone": lambda s: writeen(s, "mongo", replica_set=False),
    "writeen-w2": lambda s: writeen(s, "sqlite", 2),
}


@contextlib.contextmanager
def start(name, folder):
    s = Starter(Path(folder))
    with s.stack:
        yield PEERS[name](s)


def make_room(stack, room, users):
    reply = stack.rest(tokens.token("svc", role="service"), 0, "bench").call(
        "POST", "/api/conversations", {
            "type": "group", "title": "Room", "id": room,
            "participants": [{"userId": u, "role": "student"}
                             for u in users]})
    assert reply.status == 201, reply


def make_rooms(stack, rooms, members):
    """Rooms as the generator names them, of so many members each."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(
            lambda i: make_room(stack, f"c{i:06d}", [
                f"u{i * members + k:06d}" for k in range(members)]),
            range(rooms)))
    stack.wait_applied(120)


# ---- what it was measured with ----

def _output(*command):
    try:
        done = subprocess.run([str(c) for c in command], text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=20)
    except OSError:
        return ""
    return done.stdout.strip()


def _version(pattern, text):
    m = re.search(pattern, text)
    return m.group(1) if m else "?"


def _module(folder, name):
    text = (HERE / "peers" / folder / "go.mod").read_text()
    return _version(rf"{re.escape(name)} v(\S+)", text)


def machine():
    cpu = Path("/proc/cpuinfo").read_text()
    memory = int(_version(r"MemTotal:\s+(\d+)",
                          Path("/proc/meminfo").read_text()))
    system = Path("/etc/os-release").read_text()
    return (
        f"{os.cpu_count()} CPUs ({_version(r'model name[^:]*: (.*)', cpu)}), "
        f"{memory / 1048576:.0f} GiB, Linux {os.uname().release}, "
        + _version(r'PRETTY_NAME="(.*)"', system))


def versions():
    out = {
        "Writeen": _output("git", "-C", HERE, "rev-parse", "--short", "HEAD"),
        "nginx": _version(r"nginx/(\S+)",
                          _output(parts.nginx_binary()[0], "-v")),
        "Redis": _version(r"v=(\S+)", _output("redis-server", "--version")),
        "MongoDB": _version(r"db version v(\S+)",
                            _output(parts.find_mongod(), "--version")),
        "gcc": _output("gcc", "-dumpfullversion"),
        "Go": _version(r"go(\d\S+)", _output("go", "version")),
        "centrifuge": _module("centrifuge", "github.com/centrifugal/"
                                            "centrifuge"),
        "gorilla/websocket": _module("gohub", "github.com/gorilla/websocket"),
        "go-redis": _module("gohub", "github.com/redis/go-redis/v9"),
        "mongo-driver": _module("gohub", "go.mongodb.org/mongo-driver/v2"),
    }
    for deb in sorted(NCHAN.glob("*.deb")):
        out[deb.name.split("_")[0].removeprefix("libnginx-mod-")] = \
            _output("dpkg-deb", "-f", deb, "Version")
    return out
