"""pytest's side of the end-to-end tests.

A test may be a coroutine.  Every test that uses a stack is run with SQLite
and with MongoDB; when it ends, the logs of its stack may hold nothing new
that must not be there.  When a test fails, the frames of all its WebSocket
connections go to build/e2e-logs/frames/<test>.log.

Several processes (E2E_JOBS of e2e.mk) share the tests, each with stacks of its
own and a folder of logs, build/e2e-logs/gw<n>.
"""

import asyncio
import inspect
import os
import re
import shutil
import zlib
from pathlib import Path

import pytest

from harness import net, stack as stacks, ws
from harness.parts import BUILD, Mongod
from harness.stack import Server, Stack

TEST_TIMEOUT = 60       # seconds; a coroutine that takes longer has hung

# Servers of the shared stack, besides "main" (the defaults).
SERVERS = {
    # everything that takes time, quickly
    "quick": Server("writeen_ping_interval 2s; writeen_resume_wait 1s; "
                    "writeen_jwt_leeway 0s;"),
    # no rate limit to speak of, small socket buffers
    "bulk": Server("writeen_rate 100000 burst=100000 user=100000;",
                   "sndbuf=16k"),
    # changes are few
    "rated": Server("writeen_rate_kind change 1 burst=4 user=3;"),
    # acknowledged only when the database has it
    "store": Server("writeen_ack store;"),
    # who may call from a browser
    "cors": Server("writeen_origin https://app.example https://b.example;"),
    "anyorigin": Server("writeen_origin *;"),
    # whose tokens count
    "claims": Server("writeen_jwt_issuer writeen-auth; "
                     "writeen_jwt_audience chat mobile;"),
}

# The same of the stacks with uploads: one that does not wait for long.
FILES_SERVERS = {
    "bulk": SERVERS["bulk"],
    "hasty": Server("writeen_upload_wait 1s;"),
}
FILES_HTTP = "    writeen_rate 100000 burst=100000 user=100000;\n"
FILES_ENV = {}

# A pool that is slow because the machine is may answer later than people would
# wait; those tests that are about it say waits="".
stacks.WAITS = ("    writeen_api_timeout 20s;\n"
                "    writeen_upload_wait 40s;\n")

passed = failed = 0


def pytest_configure():
    if net.WORKER:
        # so that no stack finds the reports of another process's
        for name in {"ASAN_OPTIONS", "UBSAN_OPTIONS"} & set(os.environ):
            os.environ[name] = re.sub(r"log_path=[^:]+",
                                      rf"\g<0>-{net.WORKER}",
                                      os.environ[name])
    else:
        for folder in (BUILD / "e2e-logs").glob("gw*"):
            shutil.rmtree(folder)


def pytest_addoption(parser):
    parser.addoption("--one-store", action="store_true",
                     help="each test with one of the stores, not with both")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Store by store, since each has a stack that tests share; in each the
    longest first, so that the processes end at about the same time."""
    if config.getoption("one_store"):
        items[:] = [item for item in items if mine(item)]

    def order(item):
        params = item.callspec.params if hasattr(item, "callspec") else {}
        return str(params.get("store", "")), -limit(item)
    items.sort(key=order)


def mine(item):
    """Is this test's store the one it takes when it takes one?  The same in
    each run, half of the tests have either."""
    store = re.search("sqlite|mongo", item.name)
    if not store:
        return True
    test = item.nodeid.replace(store[0], "")
    return zlib.crc32(test.encode()) % 2 == (store[0] == "mongo")


def limit(item):
    return getattr(item.obj, "limit", TEST_TIMEOUT)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    args = {n: pyfuncitem.funcargs[n] for n in names}

    async def run():
        try:
            await asyncio.wait_for(pyfuncitem.obj(**args),
                                   net.patience(limit(pyfuncitem)))
        finally:
            for w in ws.opened:
                w.abort()

    asyncio.run(run())
    return True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed and ws.opened:
        folder = BUILD / "e2e-logs" / "frames"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [line for w in ws.opened for line in w.log_lines()]
        lines.sort(key=lambda line: float(line.split()[0]))
        path = folder / (plain(item.name) + ".log")
        path.write_text("\n".join(lines) + "\n")
        report.sections.append(("frames", str(path)))


def plain(name):
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def pytest_runtest_logreport(report):
    """Count tests, not phases; a skipped test is a failed one."""
    global passed, failed
    if report.failed or report.skipped:
        failed += 1
    elif report.when == "call":
        passed += 1


def pytest_sessionfinish(session, exitstatus):
    path = os.environ.get("WRT_RESULT")
    if path and not net.WORKER:         # who gives out the tests counts
        errors = 1 if exitstatus not in (0, 1) else 0
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(
            f"passed={passed} failed={failed + errors}\n")


@pytest.fixture(autouse=True)
def frame_log():
    ws.opened.clear()


@pytest.fixture(scope="session")
def mongod(tmp_path_factory):
    """One replica set for all stacks; each has a database of its own."""
    logs = BUILD / "e2e-logs" / net.WORKER
    logs.mkdir(parents=True, exist_ok=True)
    part = Mongod("mongod", tmp_path_factory.mktemp("mongod"),
                  logs / "mongod.log")
    part.start()
    yield part
    assert part.stop() is None


@pytest.fixture(scope="session", params=["sqlite", "mongo"])
def store(request):
    if request.param == "mongo":
        request.getfixturevalue("mongod")
    return request.param


@pytest.fixture(scope="session")
def shared(store, request):
    """The stack that tests share which break nothing: two nginx, each with
    two workers, on one Redis; files are on disk and not scanned."""
    mongod = (request.getfixturevalue("mongod") if store == "mongo"
              else None)
    stack = Stack(f"shared-{store}", store, nginx=2, servers=SERVERS,
                  mongod=mongod, files="local", env={"CLAMAV": "off"})
    stack.start()
    yield stack
    problems = stack.stop()
    assert not problems, "\n".join(problems)


@pytest.fixture
def stack(shared):
    yield shared
    problems = shared.watch.new_problems()
    assert not problems, "\n".join(problems)


# Each storage with each store; other tests of files take two of the four.
FILES = ["sqlite-local", "mongo-s3", "sqlite-s3", "mongo-local"]


@pytest.fixture(scope="session")
def files_stacks(mongod):
    """Stacks with uploads, started when the first test wants them."""
    made = {}

    def get(kind):
        if kind not in made:
            store, files = kind.split("-")
            stack = Stack(f"files-{kind}", store, nginx=2, files=files,
                          servers=FILES_SERVERS, http=FILES_HTTP,
                          env=FILES_ENV,
                          mongod=mongod if store == "mongo" else None)
            made[kind] = stack.start()
        return made[kind]

    yield get
    problems = [p for stack in made.values() for p in stack.stop()]
    assert not problems, "\n".join(problems)


def _files_stack(kind, files_stacks):
    stack = files_stacks(kind)
    yield stack
    problems = stack.watch.new_problems()
    assert not problems, "\n".join(problems)


@pytest.fixture(params=FILES[:2])
def files_stack(request, files_stacks):
    yield from _files_stack(request.param, files_stacks)


@pytest.fixture(params=FILES)
def any_files_stack(request, files_stacks):
    yield from _files_stack(request.param, files_stacks)


@pytest.fixture
def make_files_stack(mongod, request):
    """Stacks with uploads that a test may break; what is left behind is
    removed soon."""
    made = []

    def make(kind, **options):
        store, files = kind.split("-")
        env = {"UPLOAD_IDLE_S": "3", "BLOB_GRACE_S": "8",
               **options.pop("env", {})}
        stack = Stack(plain(request.node.name), store, nginx=2, files=files,
                      http=FILES_HTTP, env=env, servers=FILES_SERVERS,
                      mongod=mongod if store == "mongo" else None, **options)
        made.append(stack)
        return stack.start()

    yield make
    problems = [p for stack in made for p in stack.stop()]
    assert not problems, "\n".join(problems)


@pytest.fixture
def make_stack(store, request):
    """Stacks that a test may break."""
    made = []

    def make(**options):
        if store == "mongo" and not options.pop("own_mongod", False):
            options["mongod"] = request.getfixturevalue("mongod")
        options.pop("own_mongod", None)
        name = plain(request.node.name)
        if made:
            name += f"-{len(made) + 1}"
        stack = Stack(name, store, **options)
        made.append(stack)
        return stack.start()

    yield make
    problems = []
    for stack in reversed(made):        # the later may use the earlier's
        problems += stack.stop()
    assert not problems, "\n".join(problems)
