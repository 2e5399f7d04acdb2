"""examples/: configurations that operators start from are used, not only read.

Paths, addresses and ports are this machine's; everything else is as it stands
there.
"""

import asyncio
import re
import ssl
import subprocess

import pytest

from harness import net, tokens
from harness.parts import REPO, Nginx, nginx_binary
from harness.rest import Rest
from harness.scene import received, send, texts, unique, uniques
from harness.stack import Stack
from harness.ws import Ws

EXAMPLES = REPO / "examples"


def pem(folder):
    """A certificate of its own making."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=chat.example.org", "-keyout", folder / "chat.key",
         "-out", folder / "chat.pem"], check=True, capture_output=True)


class Example:
    """One of examples/nginx-*.conf, with everything in a folder."""

    def __init__(self, stack, name, folder, listen, replace=()):
        self.dir = folder
        text = (EXAMPLES / f"nginx-{name}.conf").read_text()
        module = nginx_binary()[1]
        load = f"load_module {module};" if module else ""
        secret = folder / "jwt.key"
        folder.mkdir(parents=True)
        secret.write_text(tokens.SECRET)
        pem(folder / "tls")
        self.port = net.free_port()
        for old, new in (
                (r"load_module .*;", load),
                (r"user  .*;", "user root;"),
                (r"/run/nginx.pid", f"{folder}/nginx.pid"),
                (r"/var/log/nginx/", f"{folder}/"),
                (r"/etc/writeen/jwt.key", str(secret)),
                (r"/etc/writeen/tls/", f"{folder}/tls/"),
                (r"/var/spool/writeen", f"{folder}/spool"),
                (r"/var/lib/writeen/files", f"{folder}/files"),
                (r"worker_processes .*;", "worker_processes 1;"),
                (r"worker_connections .*;", "worker_connections 1024;"),
                (r"writeen_redis .*;",
                 f"writeen_redis {stack.redis[0].url()};"),
                (r"writeen_drain .*;", "writeen_drain 1s;"),
                (rf"listen +{listen}\b", f"listen 127.0.0.1:{self.port}"),
                *replace):
            text, n = re.subn(old, new, text)
            assert n or old.startswith("/") or "writeen_" in old \
                or "load_module" in old, f"no {old} in {name}"
        extra = "".join(f"    {p}_temp_path {folder}/{p};\n" for p in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        text = text.replace("http {\n", "http {\n" + extra)
        assert "10.0.0." not in text.replace("10.0.0.0/24", ""), text
        self.nginx = Nginx(name, folder, folder / "error.log", text,
                           {"main": self.port})

    def start(self):
        code, said = self.nginx.test()
        assert code == 0 and "[warn]" not in said, said
        self.nginx.start()
        return self

    def stop(self):
        assert self.nginx.stop() is None


@pytest.fixture(name="stack")
def a_stack(request):
    stack = Stack(request.node.name, "sqlite").start()
    yield stack
    problems = stack.stop()
    assert not problems, "\n".join(problems)


def secret_in_logs(folder, token):
    return [p for p in folder.glob("*.log") if token in p.read_text()]


async def test_tls(stack, tmp_path):
    """One machine with TLS: two people chat; plain HTTP leads there."""
    http = net.free_port()
    tls = Example(stack, "tls", tmp_path / "tls", "443",
                  [(r"listen +80;", f"listen 127.0.0.1:{http};")]).start()
    try:
        context = ssl.create_default_context(cafile=tls.dir / "tls/chat.pem")
        r = Rest("127.0.0.1", http).call("GET", "/api/unread")
        assert r.status == 308, r
        assert r.headers["Location"] == "https://127.0.0.1/api/unread", r
        token = tokens.token(unique("ann"))
        line = (f"GET /ws?token={token} HTTP/1.1\r\nHost: chat.example.org\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", tls.port, ssl=context,
            server_hostname="chat.example.org")
        writer.write(line.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        frame = await reader.readexactly(2)
        assert frame[0] == 0x81, frame
        writer.close()
        assert not secret_in_logs(tls.dir, token)
    finally:
        tls.stop()


async def test_nodes(stack, tmp_path):
    """Two nodes behind the balancer: people on different ones chat; a node
    goes, its people come back to the other one and have missed nothing."""
    nodes = [Example(stack, "node", tmp_path / f"node{i}", "8080", [
        (r"10\.0\.0\.5\b", "127.0.0.1"),
        (r"10\.0\.0\.20:9000", "127.0.0.1:9")]).start() for i in range(2)]
    balancer = Example(stack, "balancer", tmp_path / "balancer", "443 ssl", [
        (r"server +10\.0\.0\.11:8080", f"server 127.0.0.1:{nodes[0].port}"),
        (r"server +10\.0\.0\.12:8080", f"server 127.0.0.1:{nodes[1].port}")])
    balancer.start()
    running = [balancer, *nodes]
    try:
        url = f"ws://127.0.0.1:{balancer.port}/ws"
        ann, bob = uniques("ann", "bob")
        room = stack.make_room(ann, bob)
        sockets = [await Ws.hello(url, u) for u in (ann, bob)]
        a, b = sockets
        await send(a, room, "1")
        await send(b, room, "2")
        for ws in sockets:
            assert texts(await received(ws, 2, room)) == ["1", "2"]
        # least_conn: one on each
        counts = [len(re.findall(r'"GET /ws HTTP/1.1" 101',
                                 (n.dir / "access.log").read_text()))
                  for n in nodes]
        assert counts == [1, 1], counts
        first = (nodes[0].dir / "access.log").read_text()
        assert first.startswith("127.0.0.1 "), first
        running.remove(nodes[0])
        nodes[0].stop()
        await asyncio.wait([asyncio.create_task(ws.gone.wait())
                            for ws in sockets], timeout=net.patience(10),
                           return_when=asyncio.FIRST_COMPLETED)
        closed = [ws for ws in sockets if ws.closed]
        assert len(closed) == 1, closed
        assert closed[0].closed.code == 1012, closed[0].closed
        stayed = a if closed[0] is b else b
        who = bob if closed[0] is b else ann
        await send(stayed, room, "3")
        back = await Ws.hello(url, who)
        back.send("join_conversation",
                  {"conversationId": room, "afterSeq": 2})
        assert texts(await received(back, 1, room)) == ["3"]
        rest = Rest("127.0.0.1", balancer.port, tokens.token(who))
        for _ in range(4):
            r = await rest.acall(
                "GET", f"/api/conversations/{room}/messages")
            assert r.status == 200, r
        await back.close()
        await stayed.close()
        token = tokens.token(who).split(".")[2]
        for e in (balancer, *nodes):
            assert not secret_in_logs(e.dir, token)
    finally:
        for e in running:
            e.stop()
