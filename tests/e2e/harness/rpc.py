"""A call as nginx makes it (docs/redis.md, RPC): what the worker pool says to
those questions that no route asks for."""

import asyncio
import json
import secrets
import time

from .net import patience, wait_until
from .rest import Reply


def call(stack, method, path, query="", *, user=None, role="student",
         body="", timeout=10, deadline=None):
    """user None: nginx asks for itself; deadline: seconds that it would wait
    (as long as we do)."""
    id = secrets.token_hex(12)
    allowed = patience(timeout)
    channel = "wrt:reply:" + secrets.token_hex(8)
    who = {"sub": user, "role": role, "name": "", "avatar": None}
    with stack.redis_client() as c:
        sub = c.pubsub(ignore_subscribe_messages=True)
        sub.subscribe(channel)
        # the answer may come before we look
        wait_until(lambda: c.pubsub_numsub(channel)[0][1] == 1, timeout,
                   "the subscription")
        c.xadd("wrt:rpc", {
            "i": id, "r": channel, "m": method, "p": path, "q": query,
            "d": int((time.time() + (deadline or allowed)) * 1000), "b": body,
            "u": json.dumps(who) if user else ""})
        head = None
        end = time.monotonic() + allowed
        while time.monotonic() < end:
            m = sub.get_message(timeout=end - time.monotonic())
            if m is None:
                continue
            data = m["data"]
            data = data.encode() if isinstance(data, str) else data
            head, _, raw = data.partition(b"\n")
            kind, of, status, _ = head.decode().split(" ")
            if (kind, of) == ("R", id):
                sub.close()
                return Reply(int(status), {"Content-Type":
                                           "application/json"}, raw)
        raise TimeoutError(f"{method} {path}: no answer ({head})")


async def acall(*args, **kw):
    return await asyncio.to_thread(call, *args, **kw)
