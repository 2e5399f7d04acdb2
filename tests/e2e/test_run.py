"""What `make run` starts, used as the README tells a newcomer to.

tools/run.sh in a folder of its own: two people chat, parts are killed and
come back, the second start has the first one's data, TERM leaves nothing.
"""

import asyncio
import json
import re
import urllib.parse

import pytest

from harness import upload
from harness.run import Run
from harness.scene import received, send, texts, uniques


@pytest.fixture(name="run")
def made_run():
    run = Run()
    run.start()
    yield run
    run.clean()


async def test_a_newcomers_first_minutes(run):
    ani, budi = uniques("ani", "budi")
    room = run.room(ani, budi)
    one, two = await run.ws(ani), await run.ws(budi)
    await send(one, room, "Hello")
    for ws in (one, two):
        assert texts(await received(ws, 1)) == ["Hello"]

    # the sockets outlive the pool and Redis
    for n, part in enumerate(("worker", "redis")):
        await asyncio.to_thread(run.kill, part)
        await send(two, room, f"after {part}")
        assert texts(await received(one, 1)) == [f"after {part}"]
        assert texts(await received(two, 1)) == [f"after {part}"], n
    kind, form = upload.file_form("house.jpg", upload.sample("house.jpg"))
    r = await run.rest(ani).acall(
        "POST", f"/api/conversations/{room}/upload", raw=form,
        headers={"Content-Type": kind}, timeout=30)
    assert r.status == 201, r
    file = r.data["message"]["content"]["fileInfo"]
    await received(two, 1)

    for ws in (one, two):
        await ws.close()
    await asyncio.to_thread(run.kill, "nginx")

    # a second start has all of it
    await asyncio.to_thread(run.stop)
    await asyncio.to_thread(run.start)
    path = f"/api/conversations/{room}/messages"
    messages = run.rest(budi).call("GET", path).data["messages"]
    assert [m["content"]["text"] for m in messages] == [
        "", "after redis", "after worker", "Hello"]
    got = run.rest(budi).call("GET", file["downloadUrl"])
    assert got.status == 200 and got.raw == upload.sample("house.jpg")
    assert run.rest(budi).call("GET", file["thumbnailUrl"]).status == 200
    await asyncio.to_thread(run.stop)


async def test_sticker_packs_are_served(run):
    """Every picture that the lists name, as a picture that can run nothing;
    nothing else of the checkout."""
    packs = json.loads(run.get("/stickers/packs.json").raw)["packs"]
    assert packs
    for pack in packs:
        r = run.get(f"/stickers/{pack}/pack.json")
        assert r.headers["Content-Type"] == "application/json"
        listed = json.loads(r.raw)
        assert listed["id"] == pack
        assert len({s["id"] for s in listed["stickers"]}) \
            == len(listed["stickers"]) > 0
        for sticker in listed["stickers"]:
            assert sticker["label"]["id"] and sticker["label"]["en"]
            r = run.get(f"/stickers/{pack}/{sticker['file']}")
            assert r.status == 200, r
            assert r.headers["Content-Type"] == "image/svg+xml"
            assert r.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in r.headers["Content-Security-Policy"]
            assert r.raw.startswith(b"<svg")
            assert b"<script" not in r.raw
    for path in ("/stickers/../README.md", "/stickers/%2e%2e/README.md",
                 "/app/../README.md", "/README.md",
                 "/stickers/none/pack.json"):
        assert run.get(path).status in (400, 404), path


async def test_the_browser_client_is_served(run):
    """All that the page loads, with nothing inline, under a policy that
    forbids it; the people to sign in as only with the development secret."""
    seen, todo = set(), ["/"]
    while todo:
        path = todo.pop()
        r = run.get(path)
        assert r.status == 200, path
        policy = r.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert r.headers["X-Content-Type-Options"] == "nosniff"
        text = r.raw.decode()
        assert " style=" not in text and not re.search(
            r"<script(?![^>]*\bsrc=)|\bon\w+=[\"']", text), path
        for ref in re.findall(r'(?:from|src=|href=)\s*"(/?[\w./-]+)"', text):
            target = urllib.parse.urljoin(path, ref)
            if target not in seen:
                seen.add(target)
                todo.append(target)
    assert {"/writeen.js", "/app/main.js", "/app/style.css"} <= seen
    assert run.get("/dev/people.json").status == 404
