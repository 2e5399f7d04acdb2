"""Ports and waiting.

Ports come from 20000-29999: below the kernel's ephemeral range, so that no
outgoing connection can sit on one of them.
"""

import random
import socket
import time

_random = random.SystemRandom()
_given = set()


def free_port():
    """A TCP port on loopback that nobody uses and this run never gave out."""
    for _ in range(500):
        port = _random.randint(20000, 29999)
        if port in _given:
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port in 20000-29999")


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
