"""Ports and waiting.

Ports come from 20000-29999: below the kernel's ephemeral range, so that no
outgoing connection can sit on one of them.  Of several processes that test at
the same time each has a part of these for itself.
"""

import os
import random
import socket
import time

_random = random.SystemRandom()
_given = set()

# "gw0", "gw1"...; alone: ""
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
_PARTS = 8
_part = range(20000, 30000)
if WORKER:
    _size = len(_part) // _PARTS
    _first = 20000 + int(WORKER[2:]) % _PARTS * _size
    _part = range(_first, _first + _size)


def free_port():
    """A TCP port on loopback that nobody uses and this run never gave out."""
    for _ in range(500):
        port = _random.choice(_part)
        if port in _given:
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError(f"no free port in {_part}")


def wait_until(check, timeout, what, step=0.02):
    """Poll check() until it is true; its last value is returned."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() >= end:
            raise TimeoutError(f"waited {timeout} s for {what}")
        time.sleep(step)


def port_open(port):
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex(("127.0.0.1", port)) == 0
