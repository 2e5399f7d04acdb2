"""Services as their systemd units say, without a systemd.

What is read: user, environment, directories, the commands.  What a unit says
of sandboxes is left out: a container has none to give.
"""

import os
import shlex
import signal
import subprocess
import time


class Unit:
    def __init__(self, root, name):
        self.root = root
        self.name = name
        self.process = None
        self.values = {}
        text = (root / f"lib/systemd/system/{name}.service").read_text()
        section = None
        for line in text.splitlines():
            line = line.strip()
            if line.startswith("["):
                section = line
            elif "=" in line and line[0] not in "#;" and (
                    section == "[Service]"):
                key, value = line.split("=", 1)
                self.values.setdefault(key, []).append(value)

    def last(self, key, default=None):
        return self.values.get(key, [default])[-1]

    def environment(self):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        for file in self.values.get("EnvironmentFile", []):
            for line in (self.root / file.lstrip("/")).read_text().split("\n"):
                if line.strip() and line[0] not in "#;":
                    key, value = line.split("=", 1)
                    env[key] = " ".join(shlex.split(value))
        return env

    def chroot(self, command):
        user, group = self.last("User", "root"), self.last("Group", "root")
        return ["chroot", f"--userspec={user}:{group}", str(self.root), "env",
                "-C", self.last("WorkingDirectory", "/"),
                *shlex.split(command)]

    def run(self, command):
        subprocess.run(self.chroot(command), check=True,
                       env=self.environment())

    def start(self, log):
        if self.last("RuntimeDirectory"):
            path = "/run/" + self.last("RuntimeDirectory")
            mode = self.last("RuntimeDirectoryMode", "0755")
            subprocess.run(
                ["chroot", self.root, "install", "-d", "-m", mode,
                 "-o", self.last("User"), "-g", self.last("Group"), path],
                check=True)
        for command in self.values.get("ExecStartPre", []):
            self.run(command)
        command = self.last("ExecStart")
        if self.last("Type") == "forking":
            self.run(command)
            return
        self.process = subprocess.Popen(
            self.chroot(command), env=self.environment(), stdout=log,
            stderr=log, stdin=subprocess.DEVNULL,
            umask=int(self.last("UMask", "0022"), 8), start_new_session=True)

    def pid(self):
        """A chroot becomes env, and that the command: one process."""
        if self.process:
            return self.process.pid
        file = self.root / self.last("PIDFile").lstrip("/")
        return int(file.read_text())

    def reload(self):
        self.run(self.last("ExecReload"))

    def stop(self, limit=30):
        """Its exit status.  What has gone into the background is a child of
        the first process of the namespace, which this is."""
        pid = self.pid()
        os.kill(pid, signal.SIGTERM)
        if self.process:
            code = self.process.wait(limit)
            self.process = None
            return code
        end = time.monotonic() + limit
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > end:
                raise SystemExit(f"{self.name} does not stop")
            time.sleep(0.02)
