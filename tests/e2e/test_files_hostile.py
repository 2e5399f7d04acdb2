"""What people should not send, and how it ends.

Without these a virus, a bomb or a page of script could reach somebody else
under the name of a picture, or a sloppy client could bring the uploads of
all to a stop.
"""

import asyncio
import zlib
from urllib.parse import quote

import pytest

from harness import tokens, upload
from harness.cast import Cast
from harness.net import patience
from harness.upload import EICAR, Files, info


async def people(files_stack, *names, sockets=("bob",)):
    cast = await Cast.group(files_stack, *(names or ("ann", "bob")))
    await cast.open(*sockets)
    return cast, Files(cast)


def zip_bomb():
    return upload.archive(("a.txt", b"\0" * (300 * upload.MEGABYTE)))


def big_png():
    """50,000 x 50,000 pixels in a few hundred kilobytes."""
    side = 50000
    row = b"\0" * (1 + side // 8)
    z = zlib.compressobj(9)
    body = b"".join(z.compress(row) for _ in range(side)) + z.flush()

    def chunk(kind, data):
        return (len(data).to_bytes(4, "big") + kind + data
                + zlib.crc32(kind + data).to_bytes(4, "big"))
    size = side.to_bytes(4, "big")
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", size + size + b"\x01\0\0\0\0")
            + chunk(b"IDAT", body) + chunk(b"IEND", b""))


EXE = b"MZ\x90\0" + b"\0" * 56 + b"\x80\0\0\0" + b"\0" * 64 + b"PE\0\0" \
    + b"\x4c\x01" + b"\0" * 300
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg">'
       b"<script>alert(1)</script></svg>")

# name, bytes, status, code
HOSTILE = {
    "eicar in a text": ("a.txt", lambda: EICAR, 422, "infected"),
    "eicar in a docx": ("a.docx", lambda: upload.with_member(
        upload.sample("letter.docx"), "word/media/a.com", EICAR), 422,
        "infected"),
    "eicar in a zip in a docx": ("a.docx", lambda: upload.with_member(
        upload.sample("letter.docx"), "word/media/a.bin",
        upload.archive(("a.com", EICAR))), 422, "infected"),
    "eicar in base64": ("a.txt", lambda: upload.mail_of(EICAR), 422,
                        "infected"),
    "eicar in a zip": ("a.zip", lambda: upload.archive(("a.com", EICAR)),
                       415, "unsupported_type"),
    "a zip named docx": ("a.docx", lambda: upload.archive(
        ("a.com", EICAR)), 415, "unsupported_type"),
    "exe named pdf": ("a.pdf", lambda: EXE, 415, "unsupported_type"),
    "exe named txt": ("a.txt", lambda: EXE, 415, "unsupported_type"),
    "html named png": ("a.png", lambda: HTML, 415, "unsupported_type"),
    "html named txt": ("a.html", lambda: HTML, 415, "unsupported_type"),
    "svg": ("a.svg", lambda: SVG, 415, "unsupported_type"),
    "svg named png": ("a.png", lambda: SVG, 415, "unsupported_type"),
    "png named jpg": ("a.jpg", lambda: upload.sample("shapes.png"), 415,
                      "unsupported_type"),
    "two extensions": ("a.pdf.exe", lambda: upload.sample("paper.pdf"), 415,
                       "unsupported_type"),
    "none": ("paper", lambda: upload.sample("paper.pdf"), 415,
             "unsupported_type"),
    "zip bomb": ("a.zip", zip_bomb, 415, "unsupported_type"),
    "bomb in a docx": ("a.docx", lambda: upload.with_member(
        upload.sample("letter.docx"), "word/media/b.bin",
        b"\0" * (300 * upload.MEGABYTE)), 415, "unsupported_type"),
    "a text with NUL": ("a.txt", lambda: b"a\0b", 415, "unsupported_type"),
    "empty": ("a.txt", lambda: b"", 400, "invalid_request"),
}


@pytest.mark.parametrize("what", list(HOSTILE))
async def test_hostile(files_stack, what):
    """Refused with the right word; nobody else ever hears of it."""
    name, make, status, code = HOSTILE[what]
    cast, files = await people(files_stack)
    r = await files.upload("ann", name, make(), timeout=60)
    r.refused(status, code)
    await cast.ws["bob"].quiet(0.2)
    assert cast.rest("bob").history(cast.room) == []
    files.wait_spool_empty()
    await cast.close()


async def test_a_finding_is_kept_and_its_bytes_are_not(files_stack):
    cast, files = await people(files_stack, sockets=("ann", "bob"))
    r = await files.upload("ann", "homework.txt", EICAR + b" for you")
    r.refused(422, "infected")
    end = await cast.ws["ann"].wait(
        "upload_progress", where=lambda e: e["data"]["stage"] == "failed")
    assert end["data"]["error"]["code"] == "infected"
    id = end["data"]["uploadId"]
    u = (await files.progress("ann", id)).data["upload"]
    assert u["status"] == "failed" and u["error"]["code"] == "infected"
    (await files.download("ann", id)).refused(422, "infected")
    for who in "bob", "stranger":
        (await files.download(who, id)).refused(404, "not_found")
        (await files.about(who, id)).refused(404, "not_found")

    boss = files.rest("boss", role="admin")
    r = await boss.aget("/api/files", scanStatus="infected", limit=100)
    found = [f for f in r.data["files"] if f["id"] == id]
    assert len(found) == 1, r
    assert found[0]["uploadedBy"] == cast.ids["ann"]
    assert "Eicar" in str(found[0]["security"]["scanResult"])
    assert found[0]["fileHash"] and found[0]["storage"] is None
    for who, role in ("ann", "student"), ("tia", "tutor"):
        r = await files.rest(who, role=role).aget(
            "/api/files", scanStatus="infected")
        r.refused(403, "forbidden")
    await cast.close()


async def test_polyglot_is_never_a_page(files_stack):
    """A GIF that is a page, too, may pass as the picture that it is, and is
    served as nothing else."""
    cast, files = await people(files_stack)
    data = upload.sample("moving.gif") + b"<script>alert(1)</script>"
    r = await files.upload("ann", "a.gif", data)
    if r.status != 201:
        r.refused(415, "unsupported_type")
        return
    id = info(r.data["message"])["fileId"]
    got = await files.download("bob", id)
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in got.headers["Content-Security-Policy"]
    small = await files.thumbnail("bob", id, "small")
    assert b"<script" not in small.raw
    await cast.close()


@pytest.mark.parametrize("what", ["bomb", "cut"])
async def test_pictures_that_cannot_be_shown(files_stack, what):
    """It costs a preview, not the role: the next one works."""
    cast, files = await people(files_stack)
    data, name = {
        "bomb": (big_png(), "big.png"),
        "cut": (upload.sample("house.jpg")[:-2000], "cut.jpg")}[what]
    r = await files.upload("ann", name, data, timeout=60)
    if r.status == 201:
        file = info(r.data["message"])
        assert file["fileSize"] == len(data)
        got = await files.download("bob", file["fileId"])
        assert got.raw == data
        if what == "bomb":
            assert file["thumbnailUrl"] is None
    else:
        r.refused(415, "unsupported_type")
    r = await files.upload("ann", "shapes.png", upload.sample("shapes.png"))
    assert info(r.data["message"])["thumbnailUrl"]
    await cast.close()


NAMES = {
    "../../etc/passwd.txt": "passwd.txt",
    "..\\..\\boot.txt": "boot.txt",
    "a/b/c.txt": "c.txt",
    'he said "no".txt': None,
    "line\r\nSet-Cookie: a=b.txt": None,
    "\u202etxt.exe.txt": None,
    "x" * 300 + ".txt": None,
    "第一章 — bab 1.txt": "第一章 — bab 1.txt",
    ".htaccess.txt": None,
    "a'b;c=d.txt": None,
    "%2e%2e%2fa.txt": None,
}


@pytest.mark.parametrize("name", list(NAMES), ids=range(len(NAMES)))
async def test_names_are_data(files_stack, name):
    cast, files = await people(files_stack)
    r = await files.upload("ann", name, upload.TEXT.encode())
    assert r.status == 201, r
    file = info(r.data["message"])
    shown = file["fileName"]
    want = NAMES[name]
    if want is not None:
        assert shown == want
    assert shown.endswith(".txt") and len(shown.encode()) <= 255
    assert not set(shown) & set('/\\"\r\n\0\u202e')
    assert not shown.startswith(".")
    got = await files.download("bob", file["fileId"])
    assert got.raw == upload.TEXT.encode()
    head = got.headers["Content-Disposition"]
    assert "Set-Cookie" not in got.headers
    if not shown.isascii():
        assert "filename*=UTF-8''" + quote(shown, safe="!#$&+-.^_`|~") \
            in head
    await cast.close()


BROKEN = {
    "two files": lambda: upload.form(
        upload.part("file", "a", "a.txt"), upload.part("file", "b",
                                                       "b.txt")),
    "a second file by another name": lambda: upload.form(
        upload.part("file", "a", "a.txt"), upload.part("extra", "b",
                                                       "b.txt")),
    "no file": lambda: upload.form(upload.part("description", "x")),
    "a file without a name": lambda: upload.form(upload.part("file", "x")),
    "no boundary": lambda: ("multipart/form-data", b"--b\r\n\r\n--b--\r\n"),
    "another boundary": lambda: ("multipart/form-data; boundary=other",
                                 upload.file_form("a.txt", b"x")[1]),
    "a name with NUL": lambda: upload.file_form("nul\0.txt", b"x"),
    "no end": lambda: (lambda k, b: (k, b[:-6]))(
        *upload.file_form("a.txt", b"x")),
    "a reply to nothing": lambda: upload.file_form(
        "a.txt", b"x", replyTo="not an id!"),
    "a description that is not UTF-8": lambda: upload.form(
        upload.part("description", b"\xff\xfe"),
        upload.part("file", "x", "a.txt")),
    "too long a description": lambda: upload.file_form(
        "a.txt", b"x", description="y" * 5000),
    "too many parts": lambda: upload.form(
        *(upload.part(f"f{i}", "x") for i in range(40)),
        upload.part("file", "x", "a.txt")),
}


@pytest.mark.parametrize("what", list(BROKEN))
async def test_broken_forms(files_stack, what):
    cast, files = await people(files_stack)
    r = await files.send("ann", *BROKEN[what]())
    r.refused(400, "invalid_request")
    await cast.ws["bob"].quiet(0.2)
    files.wait_spool_empty()
    await cast.close()


async def test_other_types_of_body(files_stack):
    cast, files = await people(files_stack)
    for kind in ("application/json", "application/x-www-form-urlencoded",
                 "text/plain", "multipart/mixed; boundary=b"):
        r = await files.send("ann", kind, b"{}")
        r.refused(415, "unsupported_type")
    await cast.close()


def head_of(cast, kind, *more):
    token = tokens.token(cast.ids["ann"])
    lines = [f"POST /api/conversations/{cast.room}/upload HTTP/1.1",
             "Host: x", f"Authorization: Bearer {token}",
             f"Content-Type: {kind}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def answer(reader):
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"),
                                  patience(30))
    return int(head.split()[1])


@pytest.mark.parametrize("size,status", [(1000, 201), (10485760, 201),
                                         (10485761, 413),
                                         (13 * 1024 * 1024, 413)])
async def test_chunked(files_stack, size, status):
    """A body that does not say how long it is has the same limits."""
    cast, files = await people(files_stack)
    kind, body = upload.file_form("a.txt", upload.text_of(size))
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", files_stack.port())
    writer.write(head_of(cast, kind, "Transfer-Encoding: chunked"))

    async def send():
        try:
            for at in range(0, len(body), 65536):
                piece = body[at:at + 65536]
                writer.write(f"{len(piece):x}\r\n".encode() + piece
                             + b"\r\n")
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        except ConnectionError:
            pass
    task = asyncio.create_task(send())
    assert await answer(reader) == status
    task.cancel()
    writer.transport.abort()
    files.wait_spool_empty()
    await cast.close()


async def test_hanging_up_in_the_middle(files_stack):
    """Leaves nothing, whatever was there already."""
    cast, files = await people(files_stack)
    kind, body = upload.file_form("a.txt", upload.text_of(500000))
    for length in 0, 100, 5000, 300000, len(body) - 1:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", files_stack.port())
        writer.write(head_of(cast, kind, f"Content-Length: {len(body)}")
                     + body[:length])
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
    await asyncio.to_thread(files.wait_spool_empty)
    await cast.ws["bob"].quiet(0.3)
    assert cast.rest("bob").history(cast.room) == []
    await cast.close()


async def test_a_byte_a_second(files_stack):
    """Slow uploads keep nobody from anything."""
    cast, files = await people(files_stack, sockets=("ann", "bob"))
    kind, body = upload.file_form("a.txt", upload.text_of(100000))
    writers = []
    for _ in range(20):
        _, w = await asyncio.open_connection("127.0.0.1",
                                             files_stack.port())
        w.write(head_of(cast, kind, f"Content-Length: {len(body)}"))
        writers.append(w)
    for i in range(3):
        for w in writers:
            w.write(body[i:i + 1])
        r = await files.upload("ann", "notes.txt", upload.TEXT.encode())
        assert r.status == 201, r
        await asyncio.sleep(1)
    for w in writers:
        w.transport.abort()
    await asyncio.to_thread(files.wait_spool_empty)
    await cast.close()


async def test_two_hundred_at_once(files_stack):
    """All arrive, once; a client that is told to wait waits."""
    cast, files = await people(files_stack)
    todo = {f"n{i}.txt": upload.text_of(20000 + i) for i in range(200)}
    got = {}

    async def one(i, name):
        while name not in got:
            r = await files.upload("ann", name, todo[name], nginx=i % 2,
                                   timeout=120, clientMessageId=name)
            if r.status in (200, 201):
                got[name] = info(r.data["message"])["fileId"]
            elif r.status == 202:
                got[name] = r.data["upload"]["id"]
            else:
                assert r.status in (429, 503), r
                await asyncio.sleep(float(r.headers["Retry-After"]))
    await asyncio.gather(*(one(i, n) for i, n in enumerate(todo)))
    seen = {}
    while len(seen) < 200:
        e = await cast.ws["bob"].wait("message_received", 60)
        file = info(e["data"]["message"])
        assert file["fileName"] not in seen
        seen[file["fileName"]] = file["fileId"]
    assert seen == got
    for name in list(todo)[::20]:
        assert (await files.download("bob", seen[name])).raw == todo[name]
    await asyncio.to_thread(files.wait_spool_empty)
    await cast.close()


test_two_hundred_at_once.limit = 180


async def test_nobody_sees_it_while_it_is_scanned(files_stack):
    """202 after a while; a fellow member and a stranger both try."""
    cast, files = await people(files_stack, sockets=("ann", "bob"))
    hasty = Files(cast, "hasty")
    data = upload.sample("paper.pdf")
    go = upload.hold(files_stack.worker.role("scanner"))
    try:
        r = await hasty.upload("ann", "paper.pdf", data)
        assert r.status == 202, r
        u = r.json["data"]["upload"]
        assert u["status"] == "processing"
        id = u["id"]
        await cast.ws["ann"].wait(
            "upload_progress",
            where=lambda e: e["data"]["stage"] == "scanning")
        for who in "bob", "stranger":
            for path in ("", "/download", "/thumbnails/small"):
                r = await files.get(who, f"/api/files/{id}{path}")
                r.refused(404, "not_found")
            (await files.progress(who, id)).refused(404, "not_found")
            r = await files.get(who, f"/api/files/{id}/link", method="POST")
            r.refused(404, "not_found")
        (await files.download("ann", id)).refused(425, "scan_pending")
        about = (await files.about("ann", id)).data["file"]
        assert about["security"]["scanStatus"] in ("pending", "scanning")
        u = (await files.progress("ann", id)).data["upload"]
        assert u["status"] == "processing" and u["progress"] < 100
        # chat goes on
        await cast.say("ann", "wait for it")
        await cast.told("message_received", "bob")
        await cast.ws["bob"].quiet(0.2)
    finally:
        go()
    e = await cast.ws["bob"].wait("message_received", 20)
    assert info(e["data"]["message"])["fileId"] == id
    assert (await files.download("bob", id)).raw == data
    await cast.close()
