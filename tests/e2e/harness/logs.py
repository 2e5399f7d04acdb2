"""What must never stand in a log.

A log is an output like any other: an [alert] that nobody asked for, a
sanitizer's report or a piece of a token fails the test that caused it.
"""

import glob
import os
import re

from . import tokens

# nginx levels that mean a bug or a broken set-up; and what sanitizers, libc
# and the worker print when they die.
BAD = re.compile(
    r"\[(?:alert|crit|emerg)\]"
    r"|Sanitizer|runtime error:|core dumped|\(core"
    r"|[Aa]ssertion|double free|corrupted|stack smashing"
    r"|worker process \d+ exited on signal"
    r"|segfault|SIGSEGV|SIGABRT"
    r"|child_died .*signal=(?!9\b)\d|crash_guard|dead_letter"
    r"|\b(?:panic|fatal)\b", re.I)

KILLED = re.compile(r"worker process (\d+) exited on signal 9")

RUN = re.compile(rb"[A-Za-z0-9_-]{20,}")


class LogWatch:
    """Reads the logs of one stack from where it stopped the last time."""

    def __init__(self):
        self.files = {}         # path -> offset read so far
        self.allowed = []       # (regex, reason)
        self.killed = set()     # nginx workers that a test killed
        self.lines = 0

    def add(self, path):
        self.files.setdefault(path, 0)

    def allow(self, pattern, reason):
        self.allowed.append((re.compile(pattern), reason))

    def _is_allowed(self, line):
        killed = KILLED.search(line)
        if killed:
            return int(killed.group(1)) in self.killed
        return any(rx.search(line) for rx, _ in self.allowed)

    def new_problems(self):
        """Bad lines and token bytes written since the last call."""
        found = []
        for path in list(self.files):
            if not path.exists():
                continue
            with open(path, "rb") as f:
                f.seek(self.files[path])
                data = f.read()
            # a line still being written is left for the next time
            cut = data.rfind(b"\n") + 1
            self.files[path] += cut
            data = data[:cut]
            self.lines += data.count(b"\n")
            for line in data.decode("utf-8", "replace").splitlines():
                if BAD.search(line) and not self._is_allowed(line):
                    found.append(f"{path.name}: {line}")
            found += [f"{path.name}: token bytes: {t}"
                      for t in token_bytes(data)]
        return found


class SanitizerFiles:
    """Reports that sanitizers write to files (log_path=... in their
    options): those that were not there when we began."""

    def __init__(self):
        self.paths = {m.group(1) for m in (
            re.search(r"log_path=([^:]+)", os.environ.get(name, ""))
            for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS")) if m}
        self.known = self._files()

    def _files(self):
        return {f for p in self.paths for f in glob.glob(p + ".*")}

    def new_problems(self):
        new = self._files() - self.known
        self.known |= new
        out = []
        for path in sorted(new):
            with open(path, errors="replace") as f:
                lines = [line.strip() for line in f
                         if "ERROR" in line or "SUMMARY" in line
                         or "runtime error" in line]
            out += [f"{path}: {line}" for line in lines]
        return out


def token_bytes(data):
    """Pieces of 20 bytes or more of any token of this run."""
    pieces = set()
    for part in tokens.minted:
        pieces.add(part[:20].encode())
        pieces.add(part[-20:].encode())
    out = []
    for run in set(RUN.findall(data)):
        if run.startswith(b"eyJ"):
            out.append(run[:24].decode() + "...")
            continue
        for i in range(len(run) - 19):
            if run[i:i + 20] in pieces:
                out.append(run[i:i + 20].decode() + "...")
                break
    return out
