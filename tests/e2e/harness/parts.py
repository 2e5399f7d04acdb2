"""The processes of a stack: Redis, nginx, the worker pool, mongod, MinIO.

Each part runs in its own process group, in the foreground, with its output
in a log file; kill() takes the whole group with SIGKILL, so nothing that a
test started can outlive it.
"""

import atexit
import base64
import hashlib
import os
import re
import resource
import secrets
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pymongo
import redis

from . import net

REPO = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("BUILD", REPO / "build")).resolve()

_running = set()


def _kill_all():
    for part in list(_running):
        part.kill()


atexit.register(_kill_all)


def _limits():
    """A crash must leave a core file in the part's directory."""
    resource.setrlimit(resource.RLIMIT_CORE,
                       (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def descendants(pid):
    """All processes below pid, as [(pid, title)], in order of pid."""
    parents = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path("/proc", entry, "stat").read_text()
        except OSError:
            continue
        fields = stat.rsplit(")", 1)[1].split()
        if fields[0] != "Z":
            parents.setdefault(int(fields[1]), []).append(int(entry))
    out, todo = [], [pid]
    while todo:
        for child in parents.get(todo.pop(), ()):
            out.append((child, title(child)))
            todo.append(child)
    return sorted(out)


def title(pid):
    try:
        raw = Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode("utf-8", "replace").strip()


def comm(pid):
    """The name a process gave itself (the worker pool: its role)."""
    try:
        return Path("/proc", str(pid), "comm").read_text().strip()
    except OSError:
        return ""


def rss_kib(pid):
    """Resident memory of one process; 0 when it is gone."""
    try:
        for line in Path("/proc", str(pid), "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


class Part:
    """A process group with a log."""

    def __init__(self, name, directory, log):
        self.name = name
        self.dir = directory
        self.log = log
        self.proc = None
        self.dir.mkdir(parents=True, exist_ok=True)

    def command(self):
        raise NotImplementedError

    def environment(self):
        return None

    def wait_ready(self):
        pass

    def start(self):
        with open(self.log, "ab") as out:
            self.proc = subprocess.Popen(
                self.command(), cwd=self.dir, env=self.environment(),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, preexec_fn=_limits)
        _running.add(self)
        self.wait_ready()
        return self

    @property
    def pid(self):
        return self.proc.pid

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def must_live(self):
        if not self.alive():
            raise RuntimeError(f"{self.name} ended with {self.proc.returncode}"
                               f", see {self.log}")

    def kill(self):
        """SIGKILL to the whole group; returns when all of it is gone."""
        if self.proc is None:
            return
        family = [p for p, _ in descendants(self.proc.pid)]
        try:
            os.killpg(self.proc.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        for pid in family:          # whoever left the group
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.proc.wait()
        net.wait_until(lambda: not any(_alive(p) for p in family), 10,
                       f"{self.name}'s children to die")
        _running.discard(self)

    def signal_all(self, sig):
        """To every process of the group, at once (SIGSTOP, SIGCONT)."""
        os.killpg(self.proc.pid, sig)

    def stop(self, sig=signal.SIGTERM, timeout=15):
        """Ask it to end; what is wrong about how it ended, or None."""
        timeout = net.patience(timeout)
        if self.proc is None:
            return None
        if self.proc.poll() is not None:
            code = self.proc.returncode
            self.kill()
            self.proc = None
            if code == -signal.SIGKILL:
                return None
            return f"{self.name} had ended by itself with {code}"
        self.proc.send_signal(sig)
        try:
            code = self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            self.proc = None
            return f"{self.name} did not stop within {timeout} s"
        left = descendants_of_group(self.proc.pid)
        self.kill()
        self.proc = None
        if left:
            return f"{self.name} left processes behind: {left}"
        return None if code == 0 else f"{self.name} ended with {code}"

    def cores(self):
        return sorted(self.dir.glob("core*"))


def _alive(pid):
    try:
        stat = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def descendants_of_group(pgid):
    out = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _alive(int(entry)):
            try:
                if os.getpgid(int(entry)) == pgid:
                    out.append((int(entry), title(int(entry))))
            except ProcessLookupError:
                pass
    return out


def function(name):
    """A function of writeen.lua as Redis knows it: with its version."""
    text = (REPO / "common/wrt_names.h").read_text()
    return name + "_" + re.search(r'LIBRARY_VERSION\s+"(\d+)"', text)[1]


class Redis(Part):
    """A Redis of our own: AOF on, `appendfsync no` (what is written before a
    kill is in the page cache, so a killed Redis loses nothing)."""

    def __init__(self, name, directory, log, password=None, unix=False,
                 acl=False):
        """acl: as docker/redis/users.acl wants it, and a user of ours."""
        super().__init__(name, directory, log)
        self.password = password
        self.unix = unix
        self.port = net.free_port()
        self.socket = self.dir / "redis.sock"
        self.users = {}             # name -> password
        if acl:
            self.users = {n: secrets.token_hex(16) for n in
                          ("writeen-nginx", "writeen-worker", "harness")}

    def start(self):
        if self.users:
            acl = (REPO / "docker/redis/users.acl").read_text()
            for name, place in (("writeen-nginx", "@NGINX_SHA256@"),
                                ("writeen-worker", "@WORKER_SHA256@")):
                acl = acl.replace(place, hashlib.sha256(
                    self.users[name].encode()).hexdigest())
            acl += f"user harness on >{self.users['harness']} ~* &* +@all\n"
            (self.dir / "users.acl").write_text(acl)
        return super().start()

    def command(self):
        cmd = ["redis-server", "--dir", str(self.dir), "--save", "",
               "--appendonly", "yes", "--appendfsync", "no",
               "--databases", "16", "--daemonize", "no"]
        if self.unix:
            cmd += ["--port", "0", "--unixsocket", str(self.socket)]
        else:
            cmd += ["--port", str(self.port), "--bind", "127.0.0.1"]
        if self.password:
            cmd += ["--requirepass", self.password]
        if self.users:
            cmd += ["--aclfile", str(self.dir / "users.acl")]
        return cmd

    def url(self, db=0, user=None):
        if self.unix:
            query = []
            if db:
                query.append(f"db={db}")
            if self.password:
                query.append("password=" + quote(self.password, safe=""))
            if self.users:
                query.append(f"user={user}&password={self.users[user]}")
            tail = "?" + "&".join(query) if query else ""
            return f"unix:{self.socket}{tail}"
        cred = (":" + quote(self.password, safe="") + "@"
                if self.password else "")
        if self.users:
            cred = f"{user}:{self.users[user]}@"
        tail = f"/{db}" if db else ""
        return f"redis://{cred}127.0.0.1:{self.port}{tail}"

    def client(self, db=0):
        where = ({"unix_socket_path": str(self.socket)} if self.unix
                 else {"host": "127.0.0.1", "port": self.port})
        if self.users:
            where.update(username="harness", password=self.users["harness"])
        elif self.password:
            where["password"] = self.password
        return redis.Redis(db=db, decode_responses=True, **where)

    def snapshot(self):
        """The append-only file as it is now: what a machine that loses its
        power later may come back with."""
        copy = self.dir / "snapshot"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.dir / "appendonlydir", copy)

    def restore(self):
        """To be called while it is dead."""
        shutil.rmtree(self.dir / "appendonlydir")
        (self.dir / "snapshot").rename(self.dir / "appendonlydir")

    def _ready(self):
        self.must_live()
        try:
            with self.client() as c:
                return c.ping()
        except redis.exceptions.RedisError:
            return False

    def wait_ready(self):
        net.wait_until(self._ready, 30, f"{self.name} to answer")


def refused():
    """The environment of an nginx that may refuse its configuration: it ends
    then with what it has of it, and LeakSanitizer at times sees that."""
    return {**os.environ, "ASAN_OPTIONS": os.environ.get(
        "ASAN_OPTIONS", "abort_on_error=0") + ":detect_leaks=0"}


class Nginx(Part):
    """One nginx with its own configuration file."""

    def __init__(self, name, directory, log, conf, ports):
        super().__init__(name, directory, log)
        self.conf = conf
        self.ports = ports          # server name -> port
        self.binary = nginx_binary()[0]
        self.conf_path = self.dir / "nginx.conf"

    def command(self):
        return [self.binary, "-p", str(self.dir), "-c", str(self.conf_path),
                "-e", str(self.log), "-g", "daemon off;"]

    def environment(self):
        env = dict(os.environ)
        env.setdefault("ASAN_OPTIONS", "abort_on_error=0:detect_leaks=0")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        return env

    def start(self):
        self.conf_path.write_text(self.conf)
        return super().start()

    def test(self):
        """nginx -t; returns (exit status, output)."""
        self.conf_path.write_text(self.conf)
        done = subprocess.run(
            self.command()[:-2] + ["-t"], cwd=self.dir, text=True,
            env=refused(),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def wait_ready(self):
        def ready():
            self.must_live()
            return (all(net.port_open(p) for p in self.ports.values())
                    and self.workers())
        net.wait_until(ready, 20, f"{self.name} to listen")

    def workers(self):
        """Worker processes that take connections (not shutting down)."""
        return [p for p, t in descendants(self.pid)
                if "worker process" in t and "shutting down" not in t]

    def old_workers(self):
        return [p for p, t in descendants(self.pid) if "shutting down" in t]

    def reload(self):
        """HUP; returns when the old workers no longer take connections."""
        before = set(self.workers())
        self.proc.send_signal(signal.SIGHUP)

        def done():
            self.must_live()
            now = set(self.workers())
            return now and not now & before
        net.wait_until(done, 20, f"{self.name} to reload")

    def stop(self, sig=signal.SIGQUIT, timeout=15):
        return super().stop(sig, timeout)


class Worker(Part):
    """The worker pool."""

    def __init__(self, name, directory, log, env):
        super().__init__(name, directory, log)
        self.env = env
        self.binary = (os.environ.get("WRT_WORKER")
                       or os.environ.get("WORKER_BIN")
                       or str(BUILD / "writeen-worker"))

    def command(self):
        return [self.binary]

    def environment(self):
        env = dict(os.environ)
        env.setdefault("ASAN_OPTIONS", "abort_on_error=0:detect_leaks=0")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        env.update(self.env)
        return env

    def wait_ready(self):
        """Until it has forked: from then on it takes signals as it should."""
        def forked():
            self.must_live()
            return descendants(self.pid)
        net.wait_until(forked, 10, f"{self.name} to fork")

    def role(self, role):
        """Processes of a role, by the name they gave themselves."""
        return [p for p, _ in descendants(self.pid)
                if comm(p).startswith(role)]

    def kill_role(self, role, which=0):
        """SIGKILL one process of a role; returns its pid, or None."""
        pids = self.role(role)
        if not pids:
            return None
        pid = pids[which % len(pids)]
        os.kill(pid, signal.SIGKILL)
        return pid

    def run_once(self, *args, timeout=30):
        """The program with options (--check ...): (status, output)."""
        done = subprocess.run(
            [self.binary, *args], cwd=self.dir, env=self.environment(),
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=net.patience(timeout))
        return done.returncode, done.stdout


class Mongod(Part):
    """A MongoDB replica set of one member, or a single server."""

    def __init__(self, name, directory, log, replica_set=True):
        super().__init__(name, directory, log)
        self.set = replica_set
        self.port = net.free_port()
        self.binary = find_mongod()

    def command(self):
        return [self.binary, *(["--replSet", "rs0"] if self.set else []),
                "--bind_ip", "127.0.0.1",
                "--port", str(self.port), "--dbpath", str(self.dir),
                "--wiredTigerCacheSizeGB", "0.25", "--quiet",
                "--setParameter", "diagnosticDataCollectionEnabled=false"]

    def uri(self, database=""):
        return (f"mongodb://127.0.0.1:{self.port}/{database}"
                + ("?replicaSet=rs0" if self.set else ""))

    def client(self):
        return pymongo.MongoClient(
            "127.0.0.1", self.port, directConnection=True,
            serverSelectionTimeoutMS=int(1000 * net.patience(5)))

    def wait_ready(self):
        def answers():
            self.must_live()
            return net.port_open(self.port)
        net.wait_until(answers, 60, f"{self.name} to listen")
        with self.client() as c:
            if self.set:
                self._initiate(c)
            net.wait_until(lambda: self._primary(c), 60,
                           f"{self.name} to become primary")

    def _initiate(self, client):
        try:
            client.admin.command("replSetInitiate", {
                "_id": "rs0",
                "members": [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]})
        except pymongo.errors.OperationFailure as e:
            if e.code != 23:        # AlreadyInitialized: it was restarted
                raise

    @staticmethod
    def _primary(client):
        try:
            return client.admin.command("hello").get("isWritablePrimary")
        except pymongo.errors.PyMongoError:
            return False


class Minio(Part):
    """A MinIO with a key for SSE-S3; killed and started, it has its data."""

    user = "writeen"
    password = "writeen-test-secret"

    def __init__(self, name, directory, log):
        super().__init__(name, directory, log)
        self.port = net.free_port()
        self.binary = find_minio()
        self.kms = "writeen:" + base64.b64encode(os.urandom(32)).decode()

    def command(self):
        return [self.binary, "server", "--quiet", "--address",
                f"127.0.0.1:{self.port}", str(self.dir / "data")]

    def environment(self):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith("MINIO_")}
        env.update(MINIO_ROOT_USER=self.user, MINIO_BROWSER="off",
                   MINIO_ROOT_PASSWORD=self.password, MINIO_UPDATE="off",
                   MINIO_CI_CD="on", MINIO_KMS_SECRET_KEY=self.kms)
        return env

    def settings(self):
        """What the worker needs to use it."""
        return {"STORAGE": "s3", "MINIO_ENDPOINT": f"127.0.0.1:{self.port}",
                "MINIO_ACCESS_KEY": self.user,
                "MINIO_SECRET_KEY": self.password}

    def _ready(self):
        self.must_live()
        url = f"http://127.0.0.1:{self.port}/minio/health/ready"
        try:
            with urllib.request.urlopen(url,
                                        timeout=net.patience(2)) as answer:
                return answer.status == 200
        except OSError:
            return False

    def wait_ready(self):
        net.wait_until(self._ready, 30, f"{self.name} to be ready")


class Clamd(Part):
    """A clamd that knows the EICAR test string, and what a test adds."""

    def __init__(self, name, directory, log):
        super().__init__(name, directory, log)
        self.socket = self.dir / "sock"
        self.signatures = self.dir / "db"
        self.signatures.mkdir(exist_ok=True)
        # in hex, so that no scanner finds it here
        (self.signatures / "test.ndb").write_text(
            "Eicar-Test-Signature:0:*:58354f2150254041505b345c505a5835"
            "3428505e2937434329377d2445494341522d5354414e44415244"
            "2d414e544956495255532d544553542d46494c452124482b482a\n")
        (self.dir / "conf").write_text(f"""\
LocalSocket {self.socket}
DatabaseDirectory {self.signatures}
TemporaryDirectory {self.dir}
StreamMaxLength 16M
AlertEncrypted yes
AlertExceedsMax yes
AlertOLE2Macros yes
MaxThreads 4
MaxScanSize 200M
MaxFileSize 200M
MaxRecursion 16
MaxFiles 10000
""")

    def command(self):
        return [shutil.which("clamd", path=os.environ.get("PATH", "")
                             + ":/usr/sbin") or "clamd",
                "--foreground", "-c", str(self.dir / "conf")]

    def start(self):
        self.socket.unlink(missing_ok=True)
        return super().start()

    def wait_ready(self):
        def ready():
            self.must_live()
            return self.socket.exists()
        net.wait_until(ready, 30, f"{self.name} to listen")


def nginx_binary():
    """(nginx, module file or "").  WRT_NGINX is a binary that has the module
    compiled in; NGINX_BIN and NGINX_MODULE come from the Makefile, where an
    empty NGINX_MODULE means the same."""
    if os.environ.get("WRT_NGINX"):
        return os.environ["WRT_NGINX"], ""
    binary = os.environ.get("NGINX_BIN") or "/usr/sbin/nginx"
    module = os.environ.get("NGINX_MODULE")
    if module is None:
        module = str(BUILD / "ngx_http_writeen_module.so")
    return binary, module


def find_mongod():
    """MONGOD, what tools/install.sh fetched, or the one in PATH."""
    candidates = [os.environ.get("MONGOD"), BUILD / "deps" / "mongod",
                  *sorted((BUILD / "deps").glob("**/bin/mongod"))]
    candidates += [Path(d) / "mongod"
                   for d in os.environ.get("PATH", "").split(":") if d]
    for path in candidates:
        if path and Path(path).is_file() and os.access(path, os.X_OK):
            return str(path)
    raise RuntimeError("no mongod: set MONGOD or run tools/install.sh")


def find_minio():
    candidates = [os.environ.get("MINIO"), BUILD / "deps" / "minio",
                  REPO / "build" / "deps" / "minio"]
    candidates += [Path(d) / "minio"
                   for d in os.environ.get("PATH", "").split(":") if d]
    for path in candidates:
        if path and Path(path).is_file() and os.access(path, os.X_OK):
            return str(path)
    raise RuntimeError("no minio: set MINIO or run tools/install.sh")


def find_k6():
    candidates = [os.environ.get("K6"), BUILD / "deps" / "k6",
                  BUILD / "deps" / "bin" / "k6"]
    candidates += [Path(d) / "k6"
                   for d in os.environ.get("PATH", "").split(":") if d]
    for path in candidates:
        if path and Path(path).is_file() and os.access(path, os.X_OK):
            return str(path)
    raise RuntimeError("no k6: set K6 or run tools/install.sh")

