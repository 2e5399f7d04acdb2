#!/usr/bin/env python3
"""leash.py [--cpu FILE] COMMAND...: runs it; nothing it started outlives it.

What a suite starts may go into a session of its own or lose its parent.
Orphans become children of this process (a "subreaper"), so that all of them
can be found: what is still there GRACE seconds after the command has ended
is named, killed, and makes this fail.  HUP, INT and TERM interrupt the
command, which has GRACE seconds to put its things in order.

FILE gets the seconds of processor time that all of them took.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE = 15
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def family():
    """All processes below this one that are not dead yet: pid -> title."""
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path("/proc", entry, "stat").read_text()
        except OSError:
            continue
        state, parent = stat.rsplit(")", 1)[1].split()[:2]
        if state != "Z":
            children.setdefault(int(parent), []).append(int(entry))
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return {pid: title(pid) for pid in found}


def title(pid):
    try:
        raw = Path("/proc", str(pid), "cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode("utf-8", "replace").strip()


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def kill_family():
    """Until nobody is left: who is killed may have forked meanwhile."""
    while kill_once():
        time.sleep(0.02)
        reap()


def kill_once():
    left = family()
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return left


def wait_family():
    """What has not gone by itself."""
    end = time.monotonic() + GRACE
    while (left := family()) and time.monotonic() < end:
        time.sleep(0.05)
        reap()
    return left


def main(command):
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        sys.exit("leash.py: " + os.strerror(ctypes.get_errno()))
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    stopped = []

    def interrupt(number, _):
        stopped.append(number)
        signal.alarm(GRACE)
        try:
            os.killpg(child.pid, signal.SIGINT)
        except ProcessLookupError:
            pass

    def too_long(*_):
        kill_once()
        signal.alarm(1)

    def fresh():
        # a shell ignores INT for what it runs in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    child = subprocess.Popen(command, start_new_session=True,
                             preexec_fn=fresh)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    signal.signal(signal.SIGALRM, too_long)

    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child.pid:
            break
    signal.alarm(0)
    code = os.waitstatus_to_exitcode(status)

    left = {} if stopped else wait_family()
    for pid, what in left.items():
        print(f"leash.py: {pid} was left behind: {what}", flush=True)
    kill_family()

    if stopped:
        return 128 + stopped[0]
    return 1 if left and code == 0 else code if code >= 0 else 128 - code


def note_cpu(path):
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    Path(path).write_text(f"{used.ru_utime + used.ru_stime:.0f}\n")


if __name__ == "__main__":
    args = sys.argv[1:]
    cpu = None
    if args[:1] == ["--cpu"] and len(args) > 1:
        cpu, args = args[1], args[2:]
    if not args:
        sys.exit(__doc__.split("\n", maxsplit=1)[0])
    rc = main(args)
    if cpu:
        note_cpu(cpu)
    sys.exit(rc)
