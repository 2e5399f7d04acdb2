"""tools/run.sh, as `make run` starts it, in a folder of its own."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from . import net, tokens
from .parts import REPO, descendants
from .rest import Rest
from .ws import Ws

START_S = 30        # a first start, on a busy machine
RESTART_S = 15
STOP_S = 20


class Run:
    """tools/run.sh in the foreground of a process group of its own."""

    def __init__(self, **settings):
        self.dir = Path(tempfile.mkdtemp(prefix="wrt-run-", dir="/tmp"))
        self.place = self.dir / "run"       # RUN_DIR
        self.port = net.free_port()
        self.settings = settings
        self.command = [REPO / "tools/run.sh"]
        self.process = None

    def launch(self):
        env = dict(os.environ, PORT=str(self.port), JWT_SECRET=tokens.SECRET,
                   RUN_DIR=str(self.place), NGINX_WORKERS="2", WORKERS="1")
        for name in ("REDIS_URL", "STORE", "SQLITE_PATH", "BIND"):
            env.pop(name, None)
        env.update(self.settings)
        with open(self.dir / "output", "w+", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                self.command, env=env, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True)

    def start(self):
        self.launch()
        self.says(f"ready: http://127.0.0.1:{self.port}\n", START_S)

    def output(self):
        return (self.dir / "output").read_text(encoding="utf-8")

    def says(self, text, seconds=RESTART_S, after=0):
        """Wait for it; where it stands."""
        try:
            net.wait_until(lambda: text in self.output()[after:]
                           or self.ended(), seconds, repr(text))
        except TimeoutError:
            pass
        assert text in self.output()[after:], self.output()
        return self.output().index(text, after)

    def refuses(self):
        """It does not start; what it said last."""
        self.launch()
        assert self.process.wait(net.patience(START_S)) == 1, self.output()
        return self.output().splitlines()[-1]

    def ended(self):
        return self.process.poll() is not None

    def stop(self):
        below = [pid for pid, _ in descendants(self.process.pid)]
        assert len(below) > 5, below
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(net.patience(STOP_S))
        assert code == 0, self.output()
        # the helper that syncs Redis's file may be inside a last nap
        net.wait_until(lambda: not any(os.path.exists(f"/proc/{pid}")
                                       for pid in below),
                       STOP_S, "the last process to end")

    def part(self, name):
        return int((self.place / f"{name}.pid").read_text())

    def kill(self, name):
        """SIGKILL, then wait until there is another one that serves."""
        old = self.part(name)
        os.kill(old, signal.SIGKILL)

        def another():
            try:
                return self.part(name) != old
            except (OSError, ValueError):
                return False
        net.wait_until(another, RESTART_S, f"{name} to be started anew")
        self.wait_health(RESTART_S)

    def wait_health(self, seconds):
        """Until all is well 20 times in a row: a request goes to any of
        nginx's workers, and each speaks for itself."""
        good = 0

        def well():
            nonlocal good
            try:
                good = good + 1 if self.health() == "ok" else 0
            except (OSError, ValueError):
                good = 0
            return good >= 20
        net.wait_until(well, seconds, "/healthz to be ok")

    def health(self):
        return json.loads(self.get("/healthz").raw)["status"]

    def get(self, path):
        return Rest("127.0.0.1", self.port).call("GET", path)

    def rest(self, user, **claims):
        return Rest("127.0.0.1", self.port, tokens.token(user, **claims))

    def room(self, student, tutor):
        """The id of a new room, made as a service makes one."""
        return self.rest("lms", role="service").call(
            "POST", "/api/conversations", {
                "type": "group", "title": "Tour",
                "participants": [{"userId": student, "role": "student"},
                                 {"userId": tutor, "role": "tutor"}],
            }).data["conversation"]["id"]

    async def ws(self, user):
        return await Ws.hello(f"ws://127.0.0.1:{self.port}/ws", user)

    def clean(self):
        if self.process and not self.ended():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(net.patience(STOP_S))
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)
