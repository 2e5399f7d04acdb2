"""Parts are killed while people send files.

Each upload ends completed, once, or failed with a reason; and nothing of one
is left behind: no body in the spool, no blob without a file, no message
without its bytes.
"""

import asyncio
import io
import os
import random
import shutil
import signal
import threading
import time
from http.client import HTTPException

import pytest
from PIL import Image

from harness import net, upload
from harness.cast import Cast
from harness.parts import descendants
from harness.record import drained
from harness.upload import Files, info

SECONDS = 25


class Sender:
    """Sends files until each is known to have arrived, as an app does."""

    def __init__(self, files, who, name):
        self.files = files
        self.who = who
        self.name = name
        self.rng = random.Random(name)
        self.sent = {}          # clientMessageId -> (file id, bytes)
        self.stopping = False
        self.problems = []

    def pick(self):
        name, (data, _, _) = self.rng.choice(list(upload.samples().items()))
        if name == "notes.txt":
            data = upload.text_of(self.rng.randrange(1, 400000))
        return name, data

    async def run(self):
        n = 0
        while not self.stopping:
            n += 1
            name, data = self.pick()
            cmid = f"{self.name}-{n}"
            file = None
            while file is None:
                file = await self.once(name, data, cmid)
                if file is None:
                    await asyncio.sleep(0.3)
            self.sent[cmid] = file, data

    async def once(self, name, data, cmid):
        """The id of its file, or None: again."""
        try:
            r = await self.files.upload(
                self.who, name, data, nginx=self.rng.randrange(2),
                clientMessageId=cmid)
        except (OSError, HTTPException):
            return None
        if r.status in (200, 201):
            return info(r.json["data"]["message"])["fileId"]
        if r.status == 202:
            return await self.ended(r.json["data"]["upload"]["id"])
        if r.status not in (429, 502, 503):
            self.problems.append(f"{cmid}: {r}")
        return None

    async def ended(self, id):
        end = time.monotonic() + net.patience(60)
        while time.monotonic() < end:
            try:
                r = await self.files.progress(self.who, id,
                                              self.rng.randrange(2))
            except (OSError, HTTPException):
                r = None
            if r is not None and r.status == 200:
                u = r.data["upload"]
                if u["status"] == "completed":
                    return u["fileId"]
                if u["status"] == "failed":
                    assert u["error"]["code"], u
                    return None
            await asyncio.sleep(0.2)
        self.problems.append(f"upload {id} never ended")
        return None


def again(part, pause=0.0):
    part.kill()
    time.sleep(pause)
    part.start()


def faults(stack):
    """name -> what happens"""
    worker = stack.worker
    out = {
        "files": lambda: worker.kill_role("files"),
        "files, the other": lambda: worker.kill_role("files", 1),
        "scanner": lambda: worker.kill_role("scanner"),
        "projector": lambda: worker.kill_role("projector"),
        "api": lambda: worker.kill_role("api"),
        "nginx": lambda: again(stack.nginx[0]),
        "redis": lambda: again(stack.redis[0]),
        "pool": lambda: again(worker, 0.5),
    }
    if stack.minio:
        out["storage"] = lambda: again(stack.minio, 0.5)
    if stack.clamd:
        out["clamd"] = lambda: again(stack.clamd, 0.5)
    return out


def blobs_of(records):
    """The keys that storage should have."""
    keys = set()
    for r in records:
        if r["storage"] and not r["deleted"]:
            keys.add(r["hash"])
            keys.update(r["thumbnails"])
    return keys


def stored(stack):
    """The keys that it has."""
    if stack.minio:
        return upload.minio_keys(stack.minio)
    return {p.name for p in stack.blobs.rglob("*") if p.is_file()}


def check_end(stack, cast, files, senders):
    """When all is quiet."""
    with stack.redis_client() as c:
        spool = (stack.spool / "id").read_text().strip()
        net.wait_until(lambda: c.xlen(f"wrt:files:{spool}") == 0, 60,
                       "all uploads to end")
        assert c.xlen(f"wrt:files:{spool}:dead") == 0
        for key in c.scan_iter("wrt:upload:*", count=1000):
            u = upload.loads(c.hget(key, "shown"))
            assert u["status"] in ("completed", "failed"), u
            if u["status"] == "failed":
                assert u["error"]["code"] and u["error"]["message"], u
    stack.wait_applied()

    sent = {k: v for s in senders for k, v in s.sent.items()}
    history = cast.rest("bob").history(cast.room)
    shown = {}
    for m in history:
        assert m["clientMessageId"] not in shown, m
        shown[m["clientMessageId"]] = info(m)["fileId"]
    assert shown == {k: file for k, (file, _) in sent.items()}

    rest = files.rest("cho")
    for file, data in sent.values():
        got = rest.call("GET", f"/api/files/{file}/download", timeout=30)
        assert got.status == 200, got
        assert got.raw == data
    files.wait_spool_empty(30)
    wanted = blobs_of(upload.records(stack))
    net.wait_until(lambda: stored(stack) == wanted, 60,
                   "storage to hold what is needed and nothing else")


async def send_while(cast, files, fault):
    """Senders at work; fault() runs in a thread."""
    senders = [Sender(files, who, f"{who}{i}")
               for i, who in enumerate(("ann", "ann", "bob", "cho"))]
    tasks = [asyncio.create_task(s.run()) for s in senders]
    try:
        await asyncio.to_thread(fault)
    finally:
        for s in senders:
            s.stopping = True
    await asyncio.wait_for(asyncio.gather(*tasks), net.patience(120))
    assert [p for s in senders for p in s.problems] == []
    assert sum(len(s.sent) for s in senders) > 10
    return senders


@pytest.mark.parametrize("kind,clamd", [("sqlite-local", False),
                                        ("mongo-s3", True)])
async def test_parts_are_killed(make_files_stack, kind, clamd):
    """Every part at some moment, in random order, twice."""
    stack = make_files_stack(kind, clamd=clamd, waits="")
    rng = random.Random(7)
    cast = await Cast.group(stack, "ann", "bob", "cho")
    files = Files(cast)
    todo = list(faults(stack).items()) * 2
    rng.shuffle(todo)

    def happen():
        for _, fault in todo:
            time.sleep(SECONDS / len(todo) * (0.5 + rng.random()))
            fault()
    senders = await send_while(cast, files, happen)
    await asyncio.to_thread(check_end, stack, cast, files, senders)


test_parts_are_killed.limit = 300


def hold(stack, stage):
    """Make uploads stop in this stage; returns what lets them go on, and what
    says whether one has stopped, as far as that is to be seen."""
    if stage == "thumbnailing":
        return hold_thumbnailer(stack)
    pids = {"received": lambda: stack.worker.role("files"),
            "scanning": lambda: stack.worker.role("scanner"),
            "storing": lambda: [stack.minio.pid]}[stage]()
    return upload.hold(pids), lambda: True


def large_picture():
    """It takes a while to make it small: PNG has to be decoded as a whole."""
    out = io.BytesIO()
    Image.effect_noise((90, 90), 60).resize((5000, 5000)).save(
        out, "png", compress_level=1)
    return out.getvalue()


def hold_thumbnailer(stack):
    """It lives for a moment: it is stopped as soon as it is seen."""
    over, held = threading.Event(), []

    def watch():
        while not over.is_set() and not held:
            for pid, title in descendants(stack.worker.pid):
                if "writeen-thumb" in title:
                    held.append(pid)
                    os.kill(pid, signal.SIGSTOP)
    thread = threading.Thread(target=watch)
    thread.start()

    def go():
        over.set()
        thread.join()
        for pid in held:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
    return go, lambda: held


@pytest.mark.parametrize("what", ["files", "pool", "nginx", "redis",
                                  "scanner", "storage"])
@pytest.mark.parametrize("stage", ["received", "scanning", "thumbnailing",
                                   "storing"])
async def test_killed_in_a_stage(make_files_stack, stage, what):
    """Exactly there: held in the stage, then killed."""
    stack = make_files_stack("mongo-s3", waits="")
    cast = await Cast.group(stack, "ann", "bob", "cho")
    files = Files(cast)
    await cast.open("bob")
    go, held = hold(stack, stage)
    name, data = (("large.png", large_picture()) if stage == "thumbnailing"
                  else ("house.jpg", upload.sample("house.jpg")))
    try:
        task = asyncio.create_task(files.upload(
            "ann", name, data, nginx=0, clientMessageId="only"))
        with stack.redis_client() as c:
            def there():
                for key in c.scan_iter("wrt:upload:*"):
                    u = upload.loads(c.hget(key, "shown") or "{}")
                    return u.get("stage") == stage and held()
                # taken by nobody yet
                return stage == "received" and files.spool()
            await asyncio.to_thread(net.wait_until, there, 15,
                                    f"the upload to be {stage}")
        await asyncio.to_thread(
            faults(stack)["storage" if what == "storage" else what])
    finally:
        go()
    try:
        await task
    except (OSError, HTTPException):
        pass                    # nginx was killed
    sender = Sender(files, "ann", "again")
    file = None
    while file is None:
        file = await sender.once(name, data, "only")
        await asyncio.sleep(0.1)
    assert sender.problems == []
    sender.sent["only"] = file, data
    await asyncio.to_thread(check_end, stack, cast, files, [sender])
    await cast.close()


test_killed_in_a_stage.limit = 180


@pytest.mark.parametrize("kind", ["sqlite-local", "mongo-s3"])
async def test_given_up(make_files_stack, kind):
    """It ends whoever works on it: it is tried five times, and then nothing
    of it is left but the reason."""
    stack = make_files_stack(kind, waits="")
    cast = await Cast.group(stack, "ann", "bob", "cho")
    files = Files(cast)
    go, _ = hold(stack, "scanning")
    try:
        task = asyncio.create_task(files.upload(
            "ann", "house.jpg", upload.sample("house.jpg")))
        with stack.redis_client() as c:
            def tries(n):
                for key in c.scan_iter("wrt:upload:*"):
                    tried, shown = c.hmget(key, "tries", "shown")
                    return (tried == str(n)
                            and upload.loads(shown)["stage"] == "scanning")

            def kill():
                for n in range(1, 6):
                    net.wait_until(lambda n=n: tries(n), 30, f"try {n}")
                    stack.worker.kill_role("files")
                    stack.worker.kill_role("files", 1)
            await asyncio.to_thread(kill)
            r = await task
            if r.status == 202:
                id = r.json["data"]["upload"]["id"]

                def failed():
                    u = files.rest("ann").call(
                        "GET", f"/api/uploads/{id}").data["upload"]
                    return u["status"] == "failed" and (
                        u["error"]["code"] == "unavailable")
                await asyncio.to_thread(net.wait_until, failed, 30,
                                        "the upload to fail")
            else:
                assert r.status == 503, r
            spool = (stack.spool / "id").read_text().strip()
            assert c.xlen(f"wrt:files:{spool}:dead") == 1
            assert c.delete(f"wrt:files:{spool}:dead") == 1
    finally:
        go()
    await asyncio.to_thread(drained, stack, cast.room)
    await asyncio.to_thread(check_end, stack, cast, files, [])
    [record] = upload.records(stack)
    assert record["deleted"] and not record["storage"]
    await cast.close()


test_given_up.limit = 120


@pytest.mark.parametrize("kind", ["sqlite-local", "mongo-local"])
async def test_another_directory_in_place_of_the_spool(make_files_stack,
                                                       kind):
    """Somebody empties it with its directory, or puts a disk there: nginx
    writes into what is there now, and so whoever has it open looks again."""
    stack = make_files_stack(kind)
    cast = await Cast.group(stack, "ann", "bob", "cho")
    files = Files(cast)
    sender = Sender(files, "ann", "spool")

    async def one(name, cmid):
        data = upload.samples()[name][0]
        r = await files.upload("ann", name, data, clientMessageId=cmid)
        assert r.status == 201, r
        sender.sent[cmid] = info(r.json["data"]["message"])["fileId"], data

    await one("letter.docx", "before")
    name = (stack.spool / "id").read_text()
    shutil.rmtree(stack.spool)
    stack.spool.mkdir(mode=0o770)
    await one("letter.docx", "after")
    await one("house.jpg", "again")
    assert (stack.spool / "id").read_text() == name
    # the scanner takes things apart there
    r = await files.upload("ann", "a.docx", upload.with_member(
        upload.sample("letter.docx"), "word/a.com", upload.EICAR))
    r.refused(422, "infected")
    await asyncio.to_thread(check_end, stack, cast, files, [sender])
    await cast.close()


test_another_directory_in_place_of_the_spool.limit = 120
