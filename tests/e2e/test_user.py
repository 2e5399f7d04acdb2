"""The pool started as root, with and without a user to become.

Without these a hole in what reads strangers' files would be a hole in the
whole machine, wherever somebody starts the pool from a script of his own.
"""

import os
import pwd
import shutil

from conftest import FILES_HTTP, FILES_SERVERS
from harness import upload
from harness.cast import Cast
from harness.parts import BUILD, REPO, Clamd, descendants
from harness.stack import Stack
from harness.upload import Files

USER = "nobody"
EXIT_CONFIG = 78


def about(pid):
    """Fields of /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(line.strip().split(":\t", 1) for line in f
                    if ":\t" in line)


def give(stack, user):
    """What a package would make: directories of the user, and a spool that
    nginx writes to, too; programs and scripts where all may read them."""
    own = stack.dir / "own"
    stack.dir.chmod(0o711)
    for path, mode in ((own, 0o750), (stack.blobs, 0o750),
                       (stack.spool, 0o2770)):
        path.mkdir()
        os.chown(path, user.pw_uid, user.pw_gid)
        path.chmod(mode)
    scripts, thumb = stack.dir / "scripts", stack.dir / "writeen-thumb"
    shutil.copytree(REPO / "sql_or_mongo_scripts", scripts)
    shutil.copy(BUILD / "writeen-thumb", thumb)
    known = Clamd("signatures", stack.dir / "sigs",
                  stack.logs / "sigs.log").signatures
    stack.worker.env.update(
        SQLITE_PATH=str(own / "writeen.db"), SCRIPTS_DIR=str(scripts),
        THUMBNAILER=str(thumb), PID_FILE=str(own / "pid"),
        CLAMAV_DB=str(known), WORKER_USER=user.pw_name)
    return own


async def test_root_becomes_a_user():
    """All processes of the pool are his and nobody else's, for good; chat,
    files and what is written are as ever."""
    stack = Stack("user", files="local", http=FILES_HTTP,
                  servers=FILES_SERVERS)
    if os.geteuid() != 0:
        stack.worker.env["WORKER_USER"] = "root"
        status, text = stack.worker.run_once("--check")
        assert status == EXIT_CONFIG and "without rights" in text, text
        stack.stop()
        return
    user = pwd.getpwnam(USER)
    own = give(stack, user)
    with stack:
        cast = await Cast.group(stack, "ann", "bob")
        await cast.open("ann")
        await cast.say("ann", "hello")
        files = Files(cast)
        r = await files.upload("ann", "house.jpg",
                               upload.sample("house.jpg"))
        assert r.status == 201, r
        thumb = await files.thumbnail("bob", r.data["message"]["id"],
                                      "small", 0)
        assert thumb.status == 200, thumb
        files.wait_spool_empty()
        pids = [stack.worker.pid, *(p for p, _ in descendants(
            stack.worker.pid))]
        assert len(pids) >= 6, pids
        for pid in pids:
            it = about(pid)
            assert it["Uid"].split() == [str(user.pw_uid)] * 4, it
            assert it["Gid"].split() == [str(user.pw_gid)] * 4, it
            assert set(it["Groups"].split()) <= {str(user.pw_gid)}, it
            assert int(it["CapPrm"], 16) == 0, it
        for path in (own / "writeen.db", own / "pid"):
            assert path.stat().st_uid == user.pw_uid, path
        await cast.close()
        assert "warn" not in roots(stack)


def roots(stack):
    text = (stack.logs / "worker.log").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines()
                     if " root " in line)


async def test_root_without_a_user_is_told(make_stack):
    """It works, and the log says what to do."""
    stack = make_stack()
    told = roots(stack)
    if os.geteuid() == 0:
        assert "warn" in told and "WORKER_USER" in told, told
    else:
        assert told == ""


async def test_a_user_who_is_none(make_stack):
    """Refused, and with what is to be done, rather than going on as root."""
    stack = make_stack()
    for name, why in (("writeen-nobody", "there is no such user"),
                      ("root", "without rights")):
        stack.worker.env["WORKER_USER"] = name
        for args in ((), ("--check",)):
            status, text = stack.worker.run_once(*args)
            assert status == EXIT_CONFIG, text
            assert f'WORKER_USER is "{name}"' in text and why in text, text
    del stack.worker.env["WORKER_USER"]
