"""Redis with a replica and three Sentinels, behind examples/haproxy-redis.cfg.

The master dies; a replica becomes the master; nginx and the pool, which know
nothing of all that, go on with what was replicated.  The old one comes back,
calls itself a master for a while, and nobody believes it.
"""

import random
import shutil

import pytest
import redis

from harness import net, tokens
from harness.parts import REPO, Part
from harness.scene import message, received, send, texts, uniques
from harness.stack import Stack
from harness.ws import Ws


class Server(Part):
    """A Redis or a Sentinel on its own loopback address, port as usual."""

    port = 6379

    def __init__(self, name, host, directory, log, *options):
        super().__init__(name, directory, log)
        self.host = host
        self.options = options

    def command(self):
        return ["redis-server", "--bind", self.host, "--port",
                str(self.port), "--dir", str(self.dir), "--save", "",
                "--appendonly", "yes", "--appendfsync", "no",
                "--replica-announce-ip", self.host, *self.options]

    def client(self):
        return redis.Redis(self.host, self.port, decode_responses=True)

    def role(self):
        try:
            with self.client() as c:
                return c.info("replication")["role"]
        except redis.exceptions.RedisError:
            return None

    def wait_ready(self):
        net.wait_until(self.ping, 20, f"{self.name} to answer")

    def ping(self):
        try:
            with self.client() as c:
                return c.ping()
        except redis.exceptions.RedisError:
            return False


class Sentinel(Server):
    port = 26379

    def __init__(self, name, host, directory, log, master):
        super().__init__(name, host, directory, log)
        self.conf = self.dir / "sentinel.conf"
        self.conf.write_text(
            f"port {self.port}\nbind {host}\ndir {directory}\n"
            f"sentinel announce-ip {host}\n"
            f"sentinel monitor writeen {master} 6379 2\n"
            "sentinel down-after-milliseconds writeen 3000\n"
            "sentinel failover-timeout writeen 5000\n")

    def command(self):
        return ["redis-server", str(self.conf), "--sentinel"]


class Haproxy(Part):
    def __init__(self, net_of, directory, log):
        super().__init__("haproxy", directory, log)
        text = (REPO / "examples/haproxy-redis.cfg").read_text()
        assert "10.0.0." in text
        (self.dir / "conf").write_text(text.replace("10.0.0.", net_of))

    def command(self):
        return [shutil.which("haproxy", path="/usr/sbin:/usr/bin"), "-db",
                "-f", str(self.dir / "conf")]


class Front:
    """What nginx, the pool and the tests take for Redis."""

    def __init__(self, host):
        self.host = host

    def url(self, db=0, user=None):
        return f"redis://{self.host}:6379"

    def client(self, db=0):
        return redis.Redis(self.host, 6379, decode_responses=True)

    def answers(self):
        try:
            with self.client() as c:
                return c.info("replication")["role"] == "master"
        except redis.exceptions.RedisError:
            return False


class Cluster:
    def __init__(self, directory, logs):
        prefix = f"127.{random.randint(20, 250)}.{random.randint(1, 250)}."
        self.a, self.b = [
            Server(n, prefix + last, directory / n, logs / n, *more)
            for n, last, more in (
                ("a", "31", ()),
                ("b", "32", ("--replicaof", prefix + "31", "6379")))]
        self.sentinels = [
            Sentinel(f"s{last}", prefix + last, directory / f"s{last}",
                     logs / f"s{last}", self.a.host)
            for last in ("31", "32", "33")]
        self.haproxy = Haproxy(prefix, directory / "haproxy",
                               logs / "haproxy")
        self.redis = [Front(prefix + "10")]
        self.parts = [self.a, self.b, *self.sentinels, self.haproxy]

    def start(self):
        for part in self.parts:
            part.start()
        net.wait_until(self.redis[0].answers, 20, "haproxy to find a master")

        def known():
            with self.sentinels[0].client() as c:
                m = c.sentinel_master("writeen")
                return m["num-slaves"] == 1 and m["num-other-sentinels"] == 2
        net.wait_until(known, 30, "the Sentinels to know each other")

    def stop(self):
        for part in reversed(self.parts):
            part.kill()


@pytest.fixture(name="cluster")
def a_cluster(tmp_path):
    (tmp_path / "logs").mkdir()
    cluster = Cluster(tmp_path, tmp_path / "logs")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


async def test_failover(cluster):
    stack = Stack("failover", "sqlite", redis_of=cluster).start()
    try:
        ann, bob = uniques("ann", "bob")
        room = stack.make_room(ann, bob)
        a, b = [await Ws.hello(stack.ws(), u) for u in (ann, bob)]
        for n in range(5):
            await send(a, room, f"before {n}")
        with cluster.a.client() as c:
            assert c.wait(1, 5000) == 1
        cluster.a.kill()
        net.wait_until(lambda: cluster.b.role() == "master", 30,
                       "the replica to become the master")
        stack.wait_health("ok", 30)
        ack = await send(b, room, "after")
        assert ack["seq"] == 6, ack
        want = [f"before {n}" for n in range(5)] + ["after"]
        for ws in a, b:
            assert texts(await received(ws, 6, room)) == want

        # the old master calls itself one, until a Sentinel tells it
        cluster.a.start()
        await send(a, room, "meanwhile")
        net.wait_until(lambda: cluster.a.role() == "slave", 30,
                       "the old master to become a replica")
        await send(b, room, "together")
        for ws in a, b:
            assert texts(await received(ws, 2, room)) \
                == ["meanwhile", "together"]

        # with nobody to replicate to, nothing is acknowledged that could be
        # lost; it is to be sent again, and then it is
        with cluster.b.client() as c:
            assert c.wait(1, 20000) == 1
            c.config_set("min-replicas-to-write", 2)
        a.send("send_message", message(room, "held", "held"))
        error = await a.wait("error")
        assert error["data"]["retryable"] is True, error
        with cluster.b.client() as c:
            c.config_set("min-replicas-to-write", 1)
        stack.wait_health("ok", 30)
        await send(a, room, "held", "held")
        for ws in a, b:
            assert texts(await received(ws, 1, room)) == ["held"]
        stack.wait_applied()
        r = await stack.rest(tokens.token(ann)).acall(
            "GET", f"/api/conversations/{room}/messages")
        assert [m["seq"] for m in r.data["messages"]] \
            == list(range(9, 0, -1)), r
        await a.close()
        await b.close()
    finally:
        problems = stack.stop()
    assert not problems, "\n".join(problems)


test_failover.limit = 150
