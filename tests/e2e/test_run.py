"""What `make run` starts, used as the README tells a newcomer to.

tools/run.sh in a folder of its own: two people chat, parts are killed and
come back, the second start has the first one's data, TERM leaves nothing.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

import pytest

from harness import net, tokens, upload
from harness.parts import REPO, descendants
from harness.rest import Rest
from harness.scene import received, send, texts, uniques
from harness.ws import Ws

START_S = 30        # a first start, on a busy machine
RESTART_S = 15
STOP_S = 20


class Run:
    """tools/run.sh in the foreground of a process group of its own."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="wrt-run-", dir="/tmp"))
        self.port = net.free_port()
        self.process = None

    def start(self):
        env = dict(os.environ, PORT=str(self.port), JWT_SECRET=tokens.SECRET,
                   RUN_DIR=str(self.dir), NGINX_WORKERS="2", WORKERS="1")
        for name in ("REDIS_URL", "STORE", "SQLITE_PATH", "BIND"):
            env.pop(name, None)
        log = open(self.dir / "output", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [REPO / "tools/run.sh"], env=env, stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, start_new_session=True)
        ready = f"ready: http://127.0.0.1:{self.port}\n"
        net.wait_until(lambda: ready in self.output() or self.ended(),
                       START_S, "ready:")
        assert ready in self.output(), self.output()

    def output(self):
        return (self.dir / "output").read_text(encoding="utf-8")

    def ended(self):
        return self.process.poll() is not None

    def stop(self):
        below = [pid for pid, _ in descendants(self.process.pid)]
        assert len(below) > 5, below
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(STOP_S) == 0, self.output()
        # the helper that syncs Redis's file may be inside a last nap
        net.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}")
                                       for pid in below),
                       STOP_S, "the last process to end")

    def part(self, name):
        return int((self.dir / f"{name}.pid").read_text())

    def kill(self, name):
        """SIGKILL, then wait until there is another one that serves."""
        old = self.part(name)
        os.kill(old, signal.SIGKILL)

        def back():
            try:
                return self.part(name) != old and self.health() == "ok"
            except (OSError, ValueError):
                return False

        net.wait_until(back, RESTART_S, f"{name} to come back")

    def health(self):
        return json.loads(self.get("/healthz").raw)["status"]

    def get(self, path):
        return Rest("127.0.0.1", self.port).call("GET", path)

    def rest(self, user, **claims):
        return Rest("127.0.0.1", self.port, tokens.token(user, **claims))

    async def ws(self, user):
        return await Ws.hello(f"ws://127.0.0.1:{self.port}/ws", user)

    def clean(self):
        if self.process and not self.ended():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture(name="run")
def made_run():
    run = Run()
    run.start()
    yield run
    run.clean()


async def test_a_newcomers_first_minutes(run):
    ani, budi = uniques("ani", "budi")
    room = run.rest("lms", role="service").call("POST", "/api/conversations", {
        "type": "group", "title": "Tour",
        "participants": [{"userId": ani, "role": "student"},
                         {"userId": budi, "role": "tutor"}],
    }).data["conversation"]["id"]
    one, two = await run.ws(ani), await run.ws(budi)
    await send(one, room, "Hello")
    for ws in (one, two):
        assert texts(await received(ws, 1)) == ["Hello"]

    # the sockets outlive the pool and Redis
    for n, part in enumerate(("worker", "redis")):
        await asyncio.to_thread(run.kill, part)
        await send(two, room, f"after {part}")
        assert texts(await received(one, 1)) == [f"after {part}"]
        assert texts(await received(two, 1)) == [f"after {part}"], n
    kind, form = upload.file_form("house.jpg", upload.sample("house.jpg"))
    r = await run.rest(ani).acall(
        "POST", f"/api/conversations/{room}/upload", raw=form,
        headers={"Content-Type": kind}, timeout=30)
    assert r.status == 201, r
    file = r.data["message"]["content"]["fileInfo"]
    await received(two, 1)

    for ws in (one, two):
        await ws.close()
    await asyncio.to_thread(run.kill, "nginx")

    # a second start has all of it
    await asyncio.to_thread(run.stop)
    await asyncio.to_thread(run.start)
    path = f"/api/conversations/{room}/messages"
    messages = run.rest(budi).call("GET", path).data["messages"]
    assert [m["content"]["text"] for m in messages] == [
        "", "after redis", "after worker", "Hello"]
    got = run.rest(budi).call("GET", file["downloadUrl"])
    assert got.status == 200 and got.raw == upload.sample("house.jpg")
    assert run.rest(budi).call("GET", file["thumbnailUrl"]).status == 200
    await asyncio.to_thread(run.stop)


async def test_sticker_packs_are_served(run):
    """Every picture that the lists name, as a picture that can run nothing;
    nothing else of the checkout."""
    packs = json.loads(run.get("/stickers/packs.json").raw)["packs"]
    assert packs
    for pack in packs:
        r = run.get(f"/stickers/{pack}/pack.json")
        assert r.headers["Content-Type"] == "application/json"
        listed = json.loads(r.raw)
        assert listed["id"] == pack
        assert len({s["id"] for s in listed["stickers"]}) \
            == len(listed["stickers"]) > 0
        for sticker in listed["stickers"]:
            assert sticker["label"]["id"] and sticker["label"]["en"]
            r = run.get(f"/stickers/{pack}/{sticker['file']}")
            assert r.status == 200, r
            assert r.headers["Content-Type"] == "image/svg+xml"
            assert r.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in r.headers["Content-Security-Policy"]
            assert r.raw.startswith(b"<svg")
            assert b"<script" not in r.raw
    for path in ("/stickers/../README.md", "/stickers/%2e%2e/README.md",
                 "/app/../README.md", "/README.md",
                 "/stickers/none/pack.json"):
        assert run.get(path).status in (400, 404), path


async def test_the_browser_client_is_served(run):
    """All that the page loads, with nothing inline, under a policy that
    forbids it; the people to sign in as only with the development secret."""
    seen, todo = set(), ["/"]
    while todo:
        path = todo.pop()
        r = run.get(path)
        assert r.status == 200, path
        policy = r.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert r.headers["X-Content-Type-Options"] == "nosniff"
        text = r.raw.decode()
        assert " style=" not in text and not re.search(
            r"<script(?![^>]*\bsrc=)|\bon\w+=[\"']", text), path
        for ref in re.findall(r'(?:from|src=|href=)\s*"(/?[\w./-]+)"', text):
            target = urllib.parse.urljoin(path, ref)
            if target not in seen:
                seen.add(target)
                todo.append(target)
    assert {"/writeen.js", "/app/main.js", "/app/style.css"} <= seen
    assert run.get("/dev/people.json").status == 404
