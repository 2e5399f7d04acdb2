#!/usr/bin/env python3
"""panels.py: after some chat, every panel of the dashboard shows something.

A real Prometheus scrapes a whole stack with the rules that operators are
given; then it is asked what Grafana would ask.  Also: the rules can be
evaluated, what they ask for is there, and where all is well no alert is on.
"""

import asyncio
import json
import re
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))

from harness import net, tokens, upload                         # noqa: E402
from harness.cast import Cast                                   # noqa: E402
from harness.fcm import Fcm                                     # noqa: E402
from harness.parts import Part                                  # noqa: E402
from harness.scene import unique                                # noqa: E402
from harness.stack import Server, Stack                         # noqa: E402
from harness.upload import Files                                # noqa: E402

DOCKER = ROOT / "docker"
TIMEOUT = 30            # s; scraped each second, a rate needs two


class Prometheus(Part):
    """docker/prometheus with another address and more haste."""

    def __init__(self, directory, targets):
        super().__init__("prometheus", directory, directory / "log")
        self.port = net.free_port()
        conf = (DOCKER / "prometheus/prometheus.yml").read_text()
        conf = re.sub(r"(scrape|evaluation)_interval: \w+", r"\1_interval: 1s",
                      conf)
        conf = re.sub(r"targets: .*", f"targets: {json.dumps(targets)}", conf)
        (directory / "prometheus.yml").write_text(conf)
        rules = "writeen.rules.yml"
        (directory / rules).write_bytes(
            (DOCKER / "prometheus" / rules).read_bytes())

    def command(self):
        return ["prometheus", f"--config.file={self.dir}/prometheus.yml",
                f"--storage.tsdb.path={self.dir}/data",
                f"--web.listen-address=127.0.0.1:{self.port}"]

    def get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        with urllib.request.urlopen(url, timeout=5) as r:
            return r.read()

    def _ready(self):
        self.must_live()
        try:
            return self.get("/-/ready")
        except OSError:
            return False

    def wait_ready(self):
        net.wait_until(self._ready, 30, "Prometheus to be ready")

    def ask(self, expr):
        """The labels of all that is a number now."""
        answer = json.loads(self.get("/api/v1/query", query=expr))
        assert answer["status"] == "success", answer
        return [set(r["metric"]) for r in answer["data"]["result"]
                if r["value"][1] != "NaN"]

    def rules(self):
        groups = json.loads(self.get("/api/v1/rules"))["data"]["groups"]
        return [r for g in groups for r in g["rules"]]


def panels():
    """[(title, expression, labels that the legend names)]"""
    doc = json.loads((DOCKER / "grafana/dashboards/writeen.json").read_text())
    return [(p["title"], t["expr"],
             set(re.findall(r"{{(\w+)}}", t.get("legendFormat") or "")))
            for p in doc["panels"] for t in p.get("targets", ())]


def names():
    """What rules and dashboard ask for: names of metrics."""
    text = (DOCKER / "prometheus/writeen.rules.yml").read_text()
    rules = [line for line in text.splitlines()
             if not re.match(r"\s*(- (alert|record)|summary|runbook|#)", line)]
    asked = "\n".join(rules + [e for _, e, _ in panels()])
    return sorted(set(re.findall(r"\bwriteen_\w+", asked)))


async def chat(stack):
    """A little of everything that is counted with a label."""
    cast = await Cast.group(stack, "ann", "bob")
    await cast.rest("bob").acall("POST", "/api/devices", {
        "platform": "android", "token": unique("phone"), "locale": "en"})
    await cast.open("ann")
    ack = await cast.say("ann", "Hello")
    await cast.edit("ann", ack["messageId"], "Hello, Bob")
    r = await Files(cast).upload("ann", "house.jpg",
                                 upload.sample("house.jpg"))
    assert r.status == 201, r
    await cast.do("bob", "GET", "/messages")
    await stack.rest(tokens.token("bob", secret="x" * 32)).aget("/api/unread")
    return cast


async def talk(stack, over):
    """Until it is over: a rate is one only while something happens."""
    cast = await chat(stack)
    n = 0
    while not over.is_set():
        ack = await cast.say("ann", f"message {n}")
        await cast.react("bob", ack["messageId"], "👍")
        r = await Files(cast).upload("bob", "notes.txt", f"n {n}".encode())
        assert r.status == 201, r
        n += 1
    await cast.close()


def missing(prometheus):
    return ([f"panel {t!r}: {e}" for t, e, legend in panels()
             if not any(legend <= labels for labels in prometheus.ask(e))]
            + [f"metric {n}" for n in names() if not prometheus.ask(n)]
            + [f"rule {r['name']}: {r['health']} {r.get('lastError', '')}"
               for r in prometheus.rules() if r["health"] != "ok"])


async def look(stack, prometheus):
    over = asyncio.Event()
    people = asyncio.create_task(talk(stack, over))
    wait = asyncio.to_thread(net.wait_until,
                             lambda: people.done() or not missing(prometheus),
                             TIMEOUT, "all panels", 0.5)
    try:
        await wait
    except TimeoutError:
        raise AssertionError("nothing is shown by "
                             + ", ".join(missing(prometheus))) from None
    finally:
        over.set()
        await people
    on = [r["name"] for r in prometheus.rules() if r.get("alerts")]
    assert not on, f"alerts: {on}"


def main():
    with tempfile.TemporaryDirectory(prefix="wrt-panels-") as d:
        fcm = Fcm(Path(d, "fcm"))
        stack = Stack("panels", files="local", nginx=2,
                      servers={"bulk": Server()},
                      env={**fcm.env(), "PUSH_GRACE_MS": "0"})
        prometheus = Prometheus(
            Path(d, "prometheus"),
            [f"127.0.0.1:{stack.port(i)}" for i in range(2)])
        try:
            with stack:
                prometheus.start()
                asyncio.run(look(stack, prometheus))
        finally:
            prometheus.kill()
            fcm.stop()
    print(f"{len(panels())} expressions, {len(names())} metrics")


if __name__ == "__main__":
    main()
