"""A whole Writeen chat on private ports: Redis, nginx, worker, store.

    with Stack("resume", store="mongo", nginx=2) as stack:
        url = stack.ws()            # main server of the first nginx
        stack.worker.kill()
        stack.worker.start()

Servers: every nginx has the servers "main" and "patient"; more of them, each on
a port of its own and with directives of its own, come from `servers`.  Logs
stay in build/e2e-logs/[<process>/]<name>; data lives in a short temporary path
and is removed.
"""

import json
import os
import shutil
import tempfile
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from . import db, net, tokens
from .logs import LogWatch, SanitizerFiles
from .parts import (BUILD, Clamd, Minio, Mongod, Nginx, Redis, Worker, function,
                    nginx_binary)
from .rest import Rest

NGINX_CONF = """\
{load}
user root;
worker_processes {workers};
pid {dir}/nginx.pid;
error_log {log} info;

events {{
    worker_connections {connections};
}}

http {{
    access_log {access};
    large_client_header_buffers 4 32k;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;

    writeen_redis {redis};
    writeen_shards 16;
    writeen_drain {drain};
    writeen_jwt_key HS256 {secret};
    writeen_deflate on;

    # tests ask for more than people do; of events the rates of all kinds
    # together stay
    writeen_rate_kind message 100000 burst=100000 user=100000;
    writeen_rate_kind change 100000 burst=100000 user=100000;
    writeen_rate_kind receipt 100000 burst=100000 user=100000;
    writeen_rate_kind presence 100000 burst=100000 user=100000;
    writeen_rate_kind read 100000 burst=100000;
{waits}
{http}
{servers}
}}
"""

SERVER = """\
    server {{
        listen 127.0.0.1:{port}{listen};
        {conf}

        location = /ws {{ writeen_websocket on; }}
        location /api/ {{ writeen_api on; }}
        location = /healthz {{ writeen_health on; }}
        location = /metrics {{ writeen_metrics on; }}
{files}
    }}
"""

# Where the bytes of files come from; as in tools/nginx.conf.in.
FILES_LOCAL = """\
        location /writeen-files/ {{
            internal;
            alias {path}/;
            disable_symlinks on from={path};
        }}
"""

FILES_S3 = """\
        location /writeen-files/ {{
            internal;
            proxy_pass http://127.0.0.1:{port}/;
            proxy_http_version 1.1;
            proxy_method GET;
            proxy_pass_request_headers off;
            proxy_pass_request_body off;
            proxy_set_header Host 127.0.0.1:{port};
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
            proxy_set_header Range $http_range;
            proxy_set_header If-Modified-Since $http_if_modified_since;
            proxy_set_header If-Unmodified-Since $http_if_unmodified_since;
            proxy_buffer_size 16k;
            proxy_buffers 8 16k;
            proxy_busy_buffers_size 32k;
            proxy_max_temp_file_size 0;
            proxy_connect_timeout 2s;
            proxy_read_timeout 30s;
            proxy_redirect off;
            proxy_ignore_headers X-Accel-Redirect X-Accel-Expires
                                 X-Accel-Limit-Rate X-Accel-Charset
                                 X-Accel-Buffering Set-Cookie;
        }}
"""


# Every stack with the users of docker/redis/users.acl.
ALL_WITH_USERS = os.environ.get("WRT_REDIS_USERS") == "1"


class Server:
    """A server block: its directives and options of its listen."""

    def __init__(self, conf="", listen=""):
        self.conf = conf
        self.listen = listen


# How long nginx waits before it says that something is not there (503) or not
# yet (202), where a test has no say in it; "": as it does by itself.
WAITS = ""

# For what takes the pool a while, sanitized and on a busy machine: a room of a
# thousand.
PATIENT = Server("writeen_api_timeout 30s;")


class Stack:
    def __init__(self, name, store="sqlite", *, nginx=1, redis=1,
                 nginx_workers=2, servers=None, http="", drain="2s",
                 redis_db=0, redis_password=None, redis_unix=False,
                 redis_acl=False, connections=4096,
                 redis_of=None, pools=1, mongod=None, mongo_set=True,
                 files=None, clamd=False, env=None, waits=None):
        """mongo_set: a mongod of its own is a replica set; files: None (no
        uploads), "local", or "s3" (a MinIO of its own); clamd: scanned by one
        of its own, not by libclamav; env: more settings of the worker;
        waits: in place of WAITS."""
        self.name = name
        self.store = store
        self.dir = Path(tempfile.mkdtemp(prefix="wrt-e2e-", dir="/tmp"))
        self.logs = BUILD / "e2e-logs" / net.WORKER / name
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)
        self.watch = LogWatch()
        self.sanitizers = SanitizerFiles()
        self.redis_db = redis_db
        self.own_mongod = store == "mongo" and mongod is None
        self.problems = []
        self.waits = WAITS if waits is None else waits

        self.own_redis = redis_of is None
        self.redis = redis_of.redis if redis_of else [
            Redis(f"redis{i}", self.dir / f"r{i}", self._log(f"redis{i}"),
                  redis_password, redis_unix,
                  redis_acl or ALL_WITH_USERS and not redis_password)
            for i in range(redis)]
        self.mongod = mongod
        if self.own_mongod:
            # mongod's own log has words of its own and is not watched
            self.mongod = Mongod("mongod", self.dir / "mongod",
                                 self.logs / "mongod.log", mongo_set)
        self.files, self.env = files, env or {}
        self.spool = self.dir / "spool"
        self.blobs = self.dir / "files"
        self.minio = self.clamd = None
        if clamd:
            self.clamd = Clamd("clamd", self.dir / "clamd",
                               self.logs / "clamd.log")
        if files == "s3":
            self.minio = Minio("minio", self.dir / "minio",
                               self.logs / "minio.log")
        self.database = "writeen_" + uuid.uuid4().hex[:12]
        self.nginx = [
            self._nginx(i, nginx_workers, servers or {}, http, drain,
                        connections)
            for i in range(nginx)]
        self.pools = [
            Worker(name, self.dir / name, self._log(name), self._env(name))
            for name in ["worker", *(f"worker{i}"
                                     for i in range(1, pools))]]
        self.worker = self.pools[0]

    def _log(self, name):
        path = self.logs / f"{name}.log"
        self.watch.add(path)
        return path

    def _nginx(self, i, workers, servers, http, drain, connections):
        name = f"nginx{i}"
        directory = self.dir / f"n{i}"
        blocks, ports = [], {}
        for server, s in {"main": Server(), "patient": PATIENT,
                          **servers}.items():
            ports[server] = net.free_port()
            blocks.append(SERVER.format(
                port=ports[server], conf=s.conf,
                listen=" " + s.listen if s.listen else "",
                files=self._files_location()))
        if self.files:
            http += (f"    writeen_spool {self.spool};\n"
                     "    writeen_files /writeen-files/;\n")
        module = nginx_binary()[1]
        load = f"load_module {module};" if module else ""
        conf = NGINX_CONF.format(
            load=load, workers=workers, dir=directory, http=http,
            connections=connections, waits=self.waits,
            log=self._log(name), access=self._log(name + "-access"),
            redis=" ".join(r.url(self.redis_db, "writeen-nginx")
                           for r in self.redis),
            drain=drain, secret=tokens.SECRET, servers="".join(blocks))
        return Nginx(name, directory, self._log(name), conf, ports)

    def _files_location(self):
        if self.files is None:
            return ""
        if self.minio:
            return FILES_S3.format(port=self.minio.port)
        return FILES_LOCAL.format(path=self.blobs)

    def _env(self, name):
        env = {"REDIS_URL": " ".join(r.url(self.redis_db, "writeen-worker")
                                     for r in self.redis),
               "STORE": self.store, "SHARDS": "16", "WORKERS": "2",
               "SQLITE_PATH": str(self.dir / "writeen.db"),
               "PID_FILE": str(self.dir / f"{name}.pid")}
        if self.mongod:
            env["MONGODB_URI"] = self.mongod.uri(self.database)
        if self.files:
            env.update(SPOOL=str(self.spool), STORAGE=self.files,
                       STORAGE_PATH=str(self.blobs),
                       THUMBNAILER=str(BUILD / "writeen-thumb"))
        if self.minio:
            env.update(self.minio.settings())
        if self.clamd:
            env["CLAMAV"] = f"clamd:{self.clamd.socket}"
        return {**env, **self.env}

    # ---- life -----------------------------------------------------------

    def start(self):
        try:
            for r in self.redis if self.own_redis else ():
                r.start()
            if self.own_mongod:
                self.mongod.start()
            for part in filter(None, (self.minio, self.clamd)):
                part.start()
            for w in self.pools:
                w.start()
            self._wait_worker()
            for n in self.nginx:
                n.start()
            self.wait_health("ok", 30)
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_worker(self):
        """Until the api role beats: the function library is loaded then."""
        def beats():
            self.worker.must_live()
            with self.redis_client() as c:
                return c.exists("wrt:hb:api")
        net.wait_until(beats, 30, "the worker's heartbeat")

    def stop(self):
        """Stop all; returns what was wrong, logs included."""
        parts = [*self.nginx, *self.pools]
        if self.own_redis:
            parts += self.redis
        if self.own_mongod:
            parts.append(self.mongod)
        parts += filter(None, (self.minio, self.clamd))
        for part in parts:
            wrong = part.stop()
            if wrong:
                self.problems.append(wrong)
            self.problems += [f"core dump {c}" for c in part.cores()]
        self.problems += self.watch.new_problems()
        self.problems += self.sanitizers.new_problems()
        if self.store == "mongo" and not self.own_mongod:
            with self.mongod.client() as c:
                c.drop_database(self.database)
        shutil.rmtree(self.dir, ignore_errors=True)
        return self.problems

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        problems = self.stop()
        if problems and kind is None:
            raise AssertionError("\n".join(problems))

    # ---- ways in --------------------------------------------------------

    def port(self, nginx=0, server="main"):
        return self.nginx[nginx].ports[server]

    def ws(self, nginx=0, server="main"):
        return f"ws://127.0.0.1:{self.port(nginx, server)}/ws"

    def http(self, nginx=0, server="main"):
        return f"http://127.0.0.1:{self.port(nginx, server)}"

    def rest(self, token=None, nginx=0, server="main"):
        return Rest("127.0.0.1", self.port(nginx, server), token)

    def redis_client(self, i=0):
        return self.redis[i].client(self.redis_db)

    def open_store(self):
        """The database itself, past the servers."""
        if self.store == "sqlite":
            return db.Sqlite(self.dir / "writeen.db")
        return db.Mongo(self.mongod, self.database)

    # ---- health ---------------------------------------------------------

    def health(self, nginx=0):
        """(HTTP status, body) of /healthz; (0, {}) when nobody answers."""
        try:
            with urllib.request.urlopen(self.http(nginx) + "/healthz",
                                        timeout=net.patience(5)) as r:
                return r.status, json.load(r)
        except urllib.error.HTTPError as e:
            with e:
                return e.code, json.load(e)
        except (OSError, ValueError):
            return 0, {}

    def told(self, event, role=""):
        """Lines of the pool's log about an event, of a role or of all."""
        return [line for line in (self.logs / "worker.log").read_text(
            ).splitlines() if f" {event} " in line and f" {role}" in line]

    def wait_health(self, status, timeout=15, nginx=None):
        """Until every nginx (or one) says so, 20 times in a row: requests
        go to any of its workers and each speaks for itself."""
        for i in range(len(self.nginx)) if nginx is None else [nginx]:
            seen = [0]

            def says(i=i, seen=seen):
                code, body = self.health(i)
                good = body.get("status") == status
                seen[0] = seen[0] + 1 if good else 0
                return seen[0] >= 20 and (code, body)
            try:
                net.wait_until(says, timeout,
                               f"/healthz of nginx {i} to be {status}", 0.01)
            except TimeoutError as e:
                raise TimeoutError(f"{e}; it says {self.health(i)}") from None

    def wait_applied(self, timeout=30):
        """Until the store has everything that Redis has."""
        def done():
            for r in self.redis:
                with r.client(self.redis_db) as c:
                    for key in c.scan_iter("wrt:{*}:conv:*", count=1000):
                        seq, applied = c.hmget(key, "seq", "applied")
                        if int(applied) < int(seq):
                            return False
            return True
        net.wait_until(done, timeout, "the backlog to be applied", 0.1)

    def room_ends(self):
        """room -> the number of its last event."""
        out = {}
        for r in self.redis:
            with r.client(self.redis_db) as c:
                for key in c.scan_iter("wrt:{*}:conv:*", count=1000):
                    out[key.split(":conv:")[1]] = int(c.hget(key, "seq"))
        return out

    # ---- rooms ----------------------------------------------------------

    def move_cursor(self, room, user, seq, kind="r", mid="0" * 24):
        """Move a read or delivered cursor to a number, by the function that
        all doors use (docs/redis.md)."""
        conv, tag = self.conversation_key(room)
        with self.redis_of_room(room) as c:
            return c.fcall(
                function("wrt_cursor"), 3, conv, f"{tag}:ingest",
                f"{tag}:log:{room}", f"{tag}:room:{room}", room, kind,
                "2030-01-01T00:00:00.000Z", 1000000, user, mid, seq)

    def redis_of_room(self, room):
        """A client of the server that has the room."""
        for r in self.redis:
            c = r.client(self.redis_db)
            if list(c.scan_iter(f"wrt:{{*}}:conv:{room}", count=1000)):
                return c
            c.close()
        raise AssertionError(f"{room} is not in Redis")

    def conversation_key(self, room):
        """Its hash, and the prefix with the hash tag of its shard."""
        with self.redis_of_room(room) as c:
            key = next(c.scan_iter(f"wrt:{{*}}:conv:{room}", count=1000))
            return key, key.split(":conv:")[0]

    def drop_log(self, room):
        """As if it had expired: what a client missed is in the store only."""
        _, tag = self.conversation_key(room)
        with self.redis_of_room(room) as c:
            c.delete(f"{tag}:log:{room}")

    def log_begins(self, room):
        """The number of the first event that Redis has of it."""
        _, tag = self.conversation_key(room)
        with self.redis_of_room(room) as c:
            (id, _), = c.xrange(f"{tag}:log:{room}", count=1)
            return int(id.split("-")[0])

    def make_room(self, *users, room=None, kind="group", title=None,
                  nginx=0):
        """A conversation of these users, made by a service token."""
        body = {"type": kind, "title": title or "Room",
                "participants": [{"userId": u, "role": "student"}
                                 for u in users]}
        if room:
            body["id"] = room
        rest = self.rest(tokens.token("svc", role="service"), nginx,
                         "patient")
        reply = rest.call("POST", "/api/conversations", body, timeout=40)
        assert reply.status == 201, reply
        return reply.json["data"]["conversation"]["id"]
