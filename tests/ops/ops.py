#!/usr/bin/env python3
"""ops.py: what operators are given is accepted by the programs that read it.

Alert rules and their tests by promtool, the compose file by docker-compose
(which holds it to its schema) and by what the images and the worker know,
units by systemd-analyze, logrotate's file by logrotate; the dashboard is asked
of a Prometheus that scrapes a running stack (panels.py).  A program of systemd
or logrotate that this machine does not have is said to be missing; the others
are needed.
"""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKER = ROOT / "docker"
RESULTS = Path(os.environ.get("TEST_RESULTS", ROOT / "build/test-results"))

# What operators' own files set: for the compose file, and for the services.
GIVEN = {"MONGO_PASSWORD", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD",
         "JWT_SECRET", "CDN_BASE_URL"}
GIVEN_BACKEND = {"MONGODB_URI", "REDIS_URL", "JWT_SECRET", "MINIO_ENDPOINT",
                 "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "CDN_BASE_URL"}


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], text=True, cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **more)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}"
    return done.stdout


def values():
    """docker/.env as somebody may fill it in."""
    out = {}
    urls = {"CDN_BASE_URL": "https://cdn.example.org"}
    for line in (DOCKER / ".env.example").read_text().splitlines():
        m = re.fullmatch(r"(\w+)=(.*)", line)
        if m:
            out[m.group(1)] = m.group(2) or urls.get(
                m.group(1), "change-me-0123456789")
    return out


def compose(**change):
    """The file as docker-compose understands it."""
    with tempfile.NamedTemporaryFile("w", suffix=".env") as env:
        for name, value in {**values(), **change}.items():
            env.write(f"{name}={value}\n")
        env.flush()
        clean = {k: v for k, v in os.environ.items() if k not in values()}
        return run("docker-compose", "--env-file", env.name, "-f",
                   DOCKER / "docker-compose.yml", "config", env=clean)


def parsed(**change):
    return json.loads(run("python3", "-c", "import json, sys, yaml; "
                          "json.dump(yaml.safe_load(sys.stdin), sys.stdout)",
                          input=compose(**change)))


def check_rules():
    """alert rules and the scrape's configuration, and what rules do"""
    run("promtool", "check", "rules", "docker/prometheus/writeen.rules.yml")
    run("promtool", "check", "config", "docker/prometheus/prometheus.yml")
    out = run("promtool", "test", "rules",
              "docker/prometheus/writeen.test.yml")
    assert "SUCCESS" in out, out


def check_compose():
    """the compose file has its schema, services and variables"""
    doc = parsed()
    services = doc["services"]
    assert set(services) == {"redis", "mongodb", "minio", "clamav", "worker",
                             "nginx", "prometheus", "grafana"}, services
    assert GIVEN <= set(values()), GIVEN - set(values())
    for name, s in services.items():
        tag = s["image"].rpartition(":")[2]
        assert "build" in s or re.search(r"\d", tag), f"{name} is not pinned"
        assert s["restart"] == "unless-stopped", name
        public = [p for p in s.get("ports", ())
                  if not str(p).startswith("127.0.0.1:")]
        assert not public or name == "nginx", (name, public)
    assert "--appendonly yes" in services["redis"]["command"]
    backend = {**services["nginx"]["environment"],
               **services["worker"]["environment"]}
    assert GIVEN_BACKEND <= set(backend), GIVEN_BACKEND - set(backend)
    used = {v.split(":")[0] for s in services.values()
            for v in s.get("volumes", ()) if not v.startswith("/")}
    assert used == set(doc["volumes"]), (used, doc["volumes"])
    for s in services.values():         # files that are mounted are there
        for v in s.get("volumes", ()):
            source = Path(v.split(":")[0])
            assert not source.is_absolute() or source.exists() \
                or source.name == "secrets", v
    for name in "nginx", "worker":
        file = ROOT / services[name]["build"]["dockerfile"]
        assert file.exists(), file


def check_compose_refuses():
    """without a secret it does not start"""
    for name in sorted(GIVEN - {"CDN_BASE_URL"}) + ["GRAFANA_PASSWORD"]:
        try:
            compose(**{name: ""})
        except AssertionError as e:
            assert "is not set" in str(e), e
        else:
            raise AssertionError(f"started without {name}")


def check_worker_environment():
    """each variable of the services is a setting of the worker or nginx"""
    services = parsed()["services"]
    worker = (ROOT / "worker/writeen-worker.8").read_text()
    for name in services["worker"]["environment"]:
        assert re.search(rf"\b{name}\b", worker), f"worker: {name}"
    start = (DOCKER / "nginx/start.sh").read_text()
    for name in services["nginx"]["environment"]:
        assert re.search(rf"\b{name}\b", start), f"nginx: {name}"


def check_worker_takes_it():
    """the worker takes the environment that compose gives it"""
    worker = os.environ.get("WORKER_BIN", ROOT / "build/writeen-worker")
    env = parsed()["services"]["worker"]["environment"]
    with tempfile.TemporaryDirectory() as spool:
        env = {k: str(v) for k, v in env.items()}
        env.update(SPOOL=spool, REDIS_URL="unix:/nonexistent/redis.sock",
                   FCM_CREDENTIALS="", WEBHOOK_URL="",
                   SCRIPTS_DIR=str(ROOT / "sql_or_mongo_scripts"))
        done = subprocess.run([str(worker), "--check"], env=env, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60)
    # settings are good (else 78); Redis is not there
    assert done.returncode == 1, (done.returncode, done.stdout)
    assert "redis_away" in done.stdout, done.stdout


def check_dashboard():
    """the dashboard is whole: every panel asks for something"""
    path = DOCKER / "grafana/dashboards/writeen.json"
    panels = json.loads(path.read_text())["panels"]
    assert len(panels) > 15
    ids = [p["id"] for p in panels]
    assert len(ids) == len(set(ids))
    source = (DOCKER / "grafana/provisioning/datasources/prometheus.yml")
    uid = re.search(r"uid: (\S+)", source.read_text()).group(1)
    rules = []
    for p in panels:
        if p["type"] == "row":
            continue
        assert p["datasource"]["uid"] == uid, p["title"]
        assert p["targets"], p["title"]
        rules += [f"      - record: x:{len(rules) + n}\n"
                  f"        expr: {json.dumps(t['expr'])}\n"
                  for n, t in enumerate(p["targets"])]
    # promtool knows what PromQL is
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as f:
        f.write("groups:\n  - name: x\n    rules:\n" + "".join(rules))
        f.flush()
        run("promtool", "check", "rules", f.name)


def check_panels():
    """every panel shows something, and where all is well no alert is on"""
    return run(os.environ["PYTHON"], "tests/ops/panels.py").strip()


def check_units():
    """systemd's units"""
    if not shutil.which("systemd-analyze"):
        return "there is no systemd-analyze here"
    with tempfile.TemporaryDirectory() as d:
        for unit in (ROOT / "examples").glob("*.service"):
            text = unit.read_text()
            # programs and users that are not on this machine
            text = re.sub(r"^ExecStart=/usr/sbin/writeen-worker$",
                          "ExecStart=/bin/true", text, flags=re.M)
            text = re.sub(r"^(Documentation|BindsTo|After|User|Group)=.*\n",
                          "", text, flags=re.M)
            (Path(d) / unit.name).write_text(text)
            out = run("systemd-analyze", "verify", "--man=no",
                      Path(d) / unit.name)
            wrong = [line for line in out.splitlines() if unit.name in line]
            assert not wrong, "\n".join(wrong)
    return None


def allowed(words):
    """The system calls that these of SystemCallFilter= stand for here."""
    calls = set()
    for word in words:
        if word.startswith("@"):
            out = run("systemd-analyze", "syscall-filter", word)
            names = [line.strip() for line in out.splitlines()[1:]]
            calls |= allowed(n for n in names if n and n[0] != "#")
        else:
            calls.add(word)
    return calls


def confine(calls):
    """As systemd does it: anything else is the end of the process."""
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    ctx = ctypes.c_void_p(lib.seccomp_init(0x80000000))     # KILL_PROCESS
    for name in calls:
        number = lib.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            lib.seccomp_rule_add(ctx, 0x7fff0000, number, 0)    # ALLOW
    if lib.seccomp_load(ctx) != 0:
        os._exit(99)


def check_unit_lets_jails_be():
    """the worker's unit lets what takes files apart confine itself"""
    if not shutil.which("systemd-analyze"):
        return "there is no systemd-analyze here"
    unit = (ROOT / "examples/writeen-worker.service").read_text()
    words = re.findall(r"^SystemCallFilter=(.*)$", unit, flags=re.M)
    calls = allowed(" ".join(words).split())
    thumb = Path(os.environ.get("BUILD", ROOT / "build")) / "writeen-thumb"
    picture = ROOT / "tests/unit/files/house.jpg"
    made = [tempfile.TemporaryFile() for _ in range(3)]

    def begin():
        for i, f in enumerate(made):
            os.dup2(os.dup2(f.fileno(), 40 + i), 3 + i)
        confine(calls)

    with picture.open("rb") as f:
        done = subprocess.run([thumb, "jpeg"], stdin=f, close_fds=False,
                              capture_output=True, preexec_fn=begin)
    assert done.returncode == 0, done
    assert b"\nmade jpg " in done.stdout, done


def check_logrotate():
    """logrotate's file"""
    if not shutil.which("logrotate"):
        return "there is no logrotate here"
    with tempfile.TemporaryDirectory() as d:
        logs = Path(d) / "logs"
        logs.mkdir(mode=0o755)
        (logs / "access.log").write_text("a line\n")
        text = (ROOT / "examples/logrotate").read_text()
        text = text.replace("/var/log/nginx", str(logs))
        text = text.replace("create 0640 www-data adm", "create 0640")
        text = text.replace("/run/nginx.pid", f"{d}/nginx.pid")
        conf = Path(d) / "conf"
        conf.write_text(text)
        conf.chmod(0o644)
        out = run("logrotate", "-f", "-s", f"{d}/state", conf)
        assert "error" not in out, out
        assert (logs / "access.log.1").read_text() == "a line\n"
        assert (logs / "access.log").read_text() == ""
    return None


def main():
    checks = [f for n, f in globals().items() if n.startswith("check_")]
    failed = 0
    for check in checks:
        try:
            said = check()
            print(f"ok: {check.__doc__}" + (f" ({said})" if said else ""))
        except Exception as e:
            failed += 1
            print(f"not ok: {check.__doc__}\n  {e!r}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "ops.txt").write_text(
        f"passed={len(checks) - failed} failed={failed}\n")
    print(f"ops: {len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
