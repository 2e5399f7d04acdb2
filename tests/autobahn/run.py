#!/usr/bin/env python3
"""run.py [--short] [--cases 1.*,7.5.1]: Autobahn|Testsuite.

Starts Redis, the worker pool and nginx with writeen_echo on ports of its own,
lets the suite's fuzzing client loose on it, and judges the report: the client
ends with 0 whatever it saw.  Each case counts as a test.  What is not plainly
OK must be in EXPLAINED, with the reason; what is there and does not happen
fails, too, so that the list stays true.

The suite is Python 2 code; tests/autobahn/install.sh puts it, with a
Python of its own, where AUTOBAHN says (build/deps/autobahn).  The report of
each case, bytes and all, is kept in build/autobahn.
"""

import argparse
import collections
import fnmatch
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build"
AUTOBAHN = Path(os.environ.get("AUTOBAHN") or BUILD / "deps/autobahn")
RESULTS = Path(os.environ.get("TEST_RESULTS") or BUILD / "test-results")

SECRET = "autobahn-secret-0123456789abcdef"

# All there are in version 25.10.1.
CASES = 517

# Left out by --short: large messages, and of the compression cases, each of
# which sends 1,000 messages, those with long ones.
SLOW = ["9.*", "12.*.[6-9]", "12.*.1[0-9]", "13.*.[6-9]", "13.*.1[0-9]"]

# case pattern -> (what may be said of it, why)
EXPLAINED = {
}

NGINX = """
load_module {module};
load_module {echo};

daemon off;
pid {dir}/nginx.pid;
error_log {dir}/error.log notice;
worker_processes 1;

events {{ worker_connections 256; }}

http {{
    writeen_redis redis://127.0.0.1:{redis}/0;
    writeen_jwt_key HS256 {secret};
    access_log off;

    client_body_temp_path {dir}/t1;
    proxy_temp_path {dir}/t2;
    fastcgi_temp_path {dir}/t3;
    uwsgi_temp_path {dir}/t4;
    scgi_temp_path {dir}/t5;

    server {{
        listen 127.0.0.1:{port};

        location = /ws {{
            writeen_websocket on;
            writeen_echo;
        }}

        location = /healthz {{ writeen_health on; }}
    }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def health(port):
    """The state of Redis as nginx sees it, or None."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as s:
            s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            answer = b""
            while more := s.recv(4096):
                answer += more
        return json.loads(answer.partition(b"\r\n\r\n")[2])["redis"]
    except (OSError, ValueError, KeyError):
        return None


class Servers:
    def __init__(self, where):
        self.dir, self.parts = where, []

    def start(self, *command, **env):
        with open(self.dir / "output", "ab") as out:
            self.parts.append(subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                env={**os.environ, **env}))

    def __enter__(self):
        redis, self.port = free_port(), free_port()
        self.start("redis-server", "--port", str(redis), "--bind",
                   "127.0.0.1", "--save", "", "--dir", str(self.dir))
        self.start(os.environ.get("WORKER_BIN", BUILD / "writeen-worker"),
                   REDIS_URL=f"redis://127.0.0.1:{redis}/0", STORE="sqlite",
                   SQLITE_PATH=str(self.dir / "chat.db"), JWT_SECRET=SECRET,
                   CLAMAV="off", STORAGE_PATH=str(self.dir / "files"),
                   SPOOL=str(self.dir / "spool"))
        conf = self.dir / "nginx.conf"
        conf.write_text(NGINX.format(
            module=os.environ.get("NGINX_MODULE",
                                  BUILD / "ngx_http_writeen_module.so"),
            echo=BUILD / "ngx_http_writeen_echo_module.so",
            dir=self.dir, redis=redis, port=self.port, secret=SECRET))
        self.start(os.environ.get("NGINX_BIN", "/usr/sbin/nginx"),
                   "-p", str(self.dir), "-c", str(conf))
        deadline = time.monotonic() + 30
        while health(self.port) not in ("ok", True):
            if time.monotonic() > deadline \
                    or any(p.poll() is not None for p in self.parts):
                self.__exit__()
                sys.exit("the echo server did not start:\n"
                         + (self.dir / "output").read_text()
                         + (self.dir / "error.log").read_text())
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        for part in reversed(self.parts):
            if part.poll() is None:
                part.terminate()
        for part in self.parts:
            try:
                part.wait(15)
            except subprocess.TimeoutExpired:
                part.kill()
                part.wait()

    def alerts(self):
        log = (self.dir / "error.log").read_text(errors="replace")
        return [line for line in log.splitlines()
                if "[alert]" in line or "[crit]" in line
                or "[emerg]" in line or "Sanitizer" in line]


def order(case):
    return [int(part) for part in case.split(".")]


def judge(cases):
    """Print what is not plainly OK; (passed, failed)."""
    good, bad, unused = 0, 0, set()
    for pattern in EXPLAINED:
        if fnmatch.filter(cases, pattern):
            unused.add(pattern)
    for case in sorted(cases, key=order):
        said = {cases[case]["behavior"], cases[case]["behaviorClose"]}
        said -= {"OK", "INFORMATIONAL"}
        may = [p for p in EXPLAINED if fnmatch.fnmatch(case, p)
               and said == {EXPLAINED[p][0]}]
        unused.difference_update(may)
        if not said or may:
            good += 1
            continue
        bad += 1
        print(f"not ok: {case} {cases[case]['behavior']}, close "
              f"{cases[case]['behaviorClose']} "
              f"(code {cases[case]['remoteCloseCode']})")
    totals = collections.Counter(c["behavior"] for c in cases.values())
    print("cases:", ", ".join(f"{n} {k}" for k, n in sorted(totals.items())))
    for pattern, (what, why) in EXPLAINED.items():
        if pattern in unused:
            bad += 1
            print(f"not ok: {pattern}: none is {what}, as was explained")
        elif fnmatch.filter(cases, pattern):
            print(f"explained: {pattern} {what}: {why}")
    return good, bad


def run(args, where):
    reports = BUILD / "autobahn"
    shutil.rmtree(reports, ignore_errors=True)
    token = subprocess.run(
        [os.environ.get("TOKEN_BIN", BUILD / "writeen-token"), "--sub", "u1",
         "--role", "student", "--secret", SECRET, "--ttl", "86400"],
        check=True, capture_output=True, text=True).stdout.strip()
    with Servers(where) as servers:
        spec = where / "spec.json"
        spec.write_text(json.dumps({
            "outdir": str(reports),
            "servers": [{"agent": "writeen", "url":
                         f"ws://127.0.0.1:{servers.port}/ws?token={token}"}],
            "cases": args.cases.split(","),
            "exclude-cases": SLOW if args.short else [],
            "exclude-agent-cases": {}}))
        subprocess.run([AUTOBAHN / "wstest", "-m", "fuzzingclient",
                        "-s", str(spec)], check=True,
                       stdout=subprocess.DEVNULL, cwd=where)
    alerts = servers.alerts()
    for line in alerts:
        print("not ok:", line)
    agents = json.loads((reports / "index.json").read_text())
    cases = agents.get("writeen", {})
    good, bad = judge(cases)
    if not cases or args.cases == "*" and not args.short \
            and len(cases) != CASES:
        print(f"not ok: {len(cases)} cases came to an end, of {CASES}")
        bad += 1
    return good, bad + len(alerts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--cases", default="*")
    args = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="autobahn.") as where:
        os.chmod(where, 0o755)
        good, bad = run(args, Path(where))
    name = "autobahn-short" if args.short else "autobahn"
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.txt").write_text(f"passed={good} failed={bad}\n")
    print(f"{name}: {good} passed, {bad} failed, "
          f"{time.monotonic() - begin:.0f} s")
    return bad != 0 or good == 0


if __name__ == "__main__":
    sys.exit(main())
