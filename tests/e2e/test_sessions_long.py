"""Sessions in which a lot was said are written up in little memory.

Without these whoever sends large messages into a room for some minutes would
have the process that writes it up take all the memory there is.
"""

import asyncio
import os
from pathlib import Path

from harness import tokens
from harness.scene import message, uniques
from harness.stack import Server
from harness.ws import Ws

SAID, LENGTH = 3000, 16000          # 48 MB
# KiB: pages of SQLite that a connection keeps (store_sqlite.c), and what a page
# of messages on its way out of the store, what is kept of all of them, and a
# piece of the transcript take
ALLOWED = 32 * 1024 + 40 * 1024
# what the address sanitizer keeps of freed memory is not meant, and what it
# puts around each allocation not either
if "ASAN_OPTIONS" in os.environ:
    ALLOWED += 40 * 1024
QUARANTINE = ":quarantine_size_mb=4:thread_local_quarantine_size_kb=64"


class Peak:
    """How much memory processes take at most from now on, beside what they
    have."""

    def __init__(self, pids):
        self.have = {}
        for pid in pids:
            Path("/proc", str(pid), "clear_refs").write_text("5")
            self.have[pid] = self.most(pid)

    @staticmethod
    def most(pid):
        status = Path("/proc", str(pid), "status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    def more(self):
        return max(self.most(p) - kib for p, kib in self.have.items())


async def say_a_lot(stack, user, room):
    ws = await Ws.hello(stack.ws(0, "bulk"), user)
    ws.ignore.add("message_received")
    for at in range(0, SAID, 50):
        for i in range(at, at + 50):
            ws.send("send_message", message(
                room, f"{i} kuesioner ".ljust(LENGTH, "x"), f"m{i}"))
        for _ in range(50):
            await ws.wait("message_status")
    await ws.close()


async def test_in_little_memory(make_stack):
    """Of a group by the janitor, of a consultation by an api process."""
    options = os.environ.get("ASAN_OPTIONS", "detect_leaks=0")
    stack = make_stack(
        env={"SESSION_GAP_S": "5", "ASAN_OPTIONS": options + QUARANTINE},
        servers={"bulk": Server("writeen_rate 100000 burst=100000 "
                                "user=100000; writeen_api_timeout 60s;")})
    ani, tia = uniques("ani", "tia")
    number = f"consult-{ani}"
    lms = stack.rest(tokens.token("lms", role="service"), 0, "bulk")
    group = await asyncio.to_thread(stack.make_room, ani, tia)
    r = await lms.acall("POST", f"/api/consultations/{number}/confirm", {
        "title": "Thesis", "participants": [
            {"userId": ani, "role": "student"},
            {"userId": tia, "role": "tutor"}]})
    room = r.data["conversation"]["id"]

    async def sessions():
        r = await lms.aget("/api/sessions", conversationId=group)
        return [s for s in r.data["sessions"] if s["status"] == "completed"]

    janitor = Peak(stack.worker.role("janitor"))
    await say_a_lot(stack, ani, group)
    while not await sessions():
        await asyncio.sleep(0.2)
    found, = await sessions()
    assert found["summary"]["totalMessages"] == SAID
    assert "kuesioner" in found["summary"]["keyTopics"]
    assert janitor.more() < ALLOWED

    await lms.acall("POST", f"/api/consultations/{number}/start")
    await say_a_lot(stack, ani, room)
    # who ends it waits for what was said for some seconds only, then 503
    await asyncio.to_thread(stack.wait_applied, 60)
    api = Peak(stack.worker.role("api"))

    # it may take longer than writeen_api_timeout of one call
    session = {"status": None}
    while session["status"] != "completed":
        r = await asyncio.to_thread(
            lms.call, "POST", f"/api/consultations/{number}/end", timeout=60)
        assert r.status in (200, 503), r
        session = r.data["session"] if r.status == 200 else session
    r = await lms.acall("POST", f"/api/consultations/{number}/end")
    assert r.status == 200 and r.data["session"] == session, r
    assert session["summary"]["totalMessages"] == SAID
    assert session["transcript"]["parts"] > SAID * LENGTH // (256 * 1024)

    # nor is it read as a whole to be answered
    for of in (f"consultations/{number}", f"sessions/{found['id']}"):
        r = await lms.aget(f"/api/{of}/transcript")
        r.refused(413, "too_large")
    assert api.more() < ALLOWED

    # nor to take out of it what was deleted
    r = await lms.aget(f"/api/conversations/{room}/messages", beforeSeq=9)
    mid = r.data["messages"][0]["id"]
    ani = stack.rest(tokens.token(ani), 0, "bulk")
    r = await ani.acall("DELETE", f"/api/conversations/{room}/messages/{mid}")
    assert r.status == 200, r
    # which may take longer than one call, too
    while True:
        r = await asyncio.to_thread(
            lms.call, "GET", f"/api/consultations/{number}/summary",
            timeout=60)
        assert r.status in (200, 503), r
        if r.status == 200:
            break
    told = r.data["session"]["transcript"]
    assert told["run"] != session["transcript"]["run"]
    assert told["head"] == session["transcript"]["head"]
    assert r.data["summary"]["totalMessages"] == SAID
    with stack.redis_client() as redis:
        while redis.zcard("wrt:sessions:redact"):
            await asyncio.sleep(0.2)
    assert api.more() < ALLOWED
    assert janitor.more() < ALLOWED


test_in_little_memory.limit = 180
