"""Ports and waiting.

Ports come from 20000-26999: below the kernel's ephemeral range, so that no
outgoing connection can sit on one of them, and below those of the unit tests.
"""

import asyncio
import os
import random
import socket
import time

# Of several processes that share the tests, this one: "gw0"...; alone: ""
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")

# How many times as long as usual is waited for what has to come.  Waiting ends
# when it has, so that only a failure takes longer; and it is none of these
# tests' business how fast a machine is that others use, too.
PATIENCE = float(os.environ.get("WRT_PATIENCE", "4"))

_random = random.SystemRandom()
_claims = []


def free_port():
    """A TCP port on loopback that nobody uses, and that neither this process
    nor another one of the tests gives out as long as this one lives."""
    for _ in range(500):
        port = _random.randint(20000, 26999)
        # a name that the kernel lets one process have, until it ends
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0writeen-tests-port-{port}")
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return port
    raise RuntimeError("no free port in 20000-26999")


def patience(seconds):
    return seconds * PATIENCE


def wait_until(check, timeout, what, step=0.02):
    """Poll check() until it is true; its last value is returned."""
    timeout = patience(timeout)
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() >= end:
            raise TimeoutError(f"waited {timeout} s for {what}")
        time.sleep(step)


async def until(check, what=None, timeout=20, step=0.05):
    """The same for a coroutine function, whose name says what is waited for
    where nothing else does."""
    timeout = patience(timeout)
    end = time.monotonic() + timeout
    while not (value := await check()):
        if time.monotonic() >= end:
            raise TimeoutError(
                f"waited {timeout} s for {what or check.__name__}")
        await asyncio.sleep(step)
    return value


def port_open(port):
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex(("127.0.0.1", port)) == 0
