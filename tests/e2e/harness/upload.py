"""Uploads, made as apps make them, and what strangers may send instead."""

import base64
import io
import os
import secrets
import signal
import sqlite3
import zipfile
from json import loads

from . import tokens
from .net import patience, wait_until
from .parts import REPO

FILES = REPO / "tests" / "unit" / "files"
MEGABYTE = 1024 * 1024

# A test string that every scanner finds; in two pieces, so that none finds
# it here.
EICAR = (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS"
         b"-TEST-FILE!$H+H*")

TEXT = "Bab satu.\nLatar belakang: chapter one, ångström, 第一章.\n"


def sample(name):
    return (FILES / name).read_bytes()


def samples():
    """name -> (bytes, MIME type, message type) of all eight kinds."""
    office = "application/vnd.openxmlformats-officedocument."
    jpg = sample("house.jpg")
    return {
        "paper.pdf": (sample("paper.pdf"), "application/pdf", "file"),
        "letter.docx": (sample("letter.docx"), office
                        + "wordprocessingml.document", "file"),
        "slides.pptx": (sample("slides.pptx"), office
                        + "presentationml.presentation", "file"),
        "notes.txt": (TEXT.encode(), "text/plain", "file"),
        "house.jpg": (jpg, "image/jpeg", "image"),
        "photo.jpeg": (jpg, "image/jpeg", "image"),
        "shapes.png": (sample("shapes.png"), "image/png", "image"),
        "moving.gif": (sample("moving.gif"), "image/gif", "image"),
    }


def text_of(size):
    """A text of exactly so many bytes, not two alike."""
    line = (secrets.token_hex(31) + "\n").encode()
    return (line * (size // len(line) + 1))[:size]


def archive(*members):
    """A zip of (name, bytes)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members:
            z.writestr(name, data)
    return out.getvalue()


def with_member(office, name, data):
    """A .docx or .pptx with one more thing in it."""
    out = io.BytesIO(office)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as z:
        z.writestr(name, data)
    return out.getvalue()


def mail_of(data):
    return (b"From: a@example.org\nMIME-Version: 1.0\n"
            b"Content-Type: application/octet-stream; name=\"a.com\"\n"
            b"Content-Transfer-Encoding: base64\n"
            b"Content-Disposition: attachment; filename=\"a.com\"\n\n"
            + base64.encodebytes(data))


def part(name, data, filename=None, kind=None):
    """One part; a file name is written as browsers write it."""
    if isinstance(data, str):
        data = data.encode()
    head = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        escaped = (filename.replace('"', "%22").replace("\r", "%0D")
                   .replace("\n", "%0A"))
        head += f'; filename="{escaped}"'
    if kind:
        head += f"\r\nContent-Type: {kind}"
    return head.encode() + b"\r\n\r\n" + data


def form(*parts):
    """(Content-Type, body)"""
    boundary = secrets.token_hex(16)
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + p + b"\r\n"
                    for p in parts)
    return (f"multipart/form-data; boundary={boundary}",
            body + b"--" + boundary.encode() + b"--\r\n")


def file_form(name, data, **fields):
    return form(*(part(k, v) for k, v in fields.items()),
                part("file", data, name, "application/octet-stream"))


class Files:
    """What people of a cast do with files in its room."""

    def __init__(self, cast, server="main"):
        self.cast = cast
        self.server = server

    def rest(self, name, nginx=0, role=None):
        ids = self.cast.ids
        return self.cast.stack.rest(
            tokens.token(ids.get(name, name), role=role
                         or self.cast.roles.get(name, "student")),
            nginx, self.server)

    async def send(self, by, kind, body, nginx=0, timeout=40):
        """A body as it is."""
        return await self.rest(by, nginx).acall(
            "POST", f"/api/conversations/{self.cast.room}/upload", raw=body,
            headers={"Content-Type": kind}, timeout=timeout)

    async def upload(self, by, name, data, nginx=0, timeout=40, **fields):
        kind, body = file_form(name, data, **fields)
        return await self.send(by, kind, body, nginx, timeout)

    async def get(self, name, path, nginx=0, method="GET", role=None,
                  **headers):
        return await self.rest(name, nginx, role).acall(
            method, path, timeout=40,
            headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def download(self, name, file, nginx=1, **headers):
        return await self.get(name, f"/api/files/{file}/download", nginx,
                              **headers)

    async def thumbnail(self, name, file, size, nginx=1):
        return await self.get(name, f"/api/files/{file}/thumbnails/{size}",
                              nginx)

    async def about(self, name, file, nginx=1):
        return await self.get(name, f"/api/files/{file}", nginx)

    async def progress(self, name, upload, nginx=1):
        return await self.get(name, f"/api/uploads/{upload}", nginx)

    def spool(self):
        """Bodies that nginx or the worker have there."""
        return sorted(p.name for p in self.cast.stack.spool.rglob("*")
                      if p.is_file() and p.name != "id")

    def wait_spool_empty(self, timeout=10):
        wait_until(lambda: not self.spool(), timeout,
                   "the spool to be empty")


def info(message):
    return message["content"]["fileInfo"]


def records(stack):
    """What the store knows of files, past the servers."""
    if stack.store == "sqlite":
        db = sqlite3.connect(f"file:{stack.dir}/writeen.db?mode=ro",
                             uri=True, timeout=patience(10))
        rows = db.execute("SELECT file_hash, storage, thumbnails,"
                          " deleted_at FROM file_upload").fetchall()
        db.close()
        return [{"hash": hash, "storage": storage,
                 "thumbnails": [t["key"] for t in loads(thumbnails or "[]")],
                 "deleted": deleted}
                for hash, storage, thumbnails, deleted in rows]
    with stack.mongod.client() as c:
        return [{"hash": f["fileHash"], "storage": f["storage"],
                 "thumbnails": [t["key"] for t in f["thumbnails"]],
                 "deleted": f["deletedAt"]}
                for f in c[stack.database].fileUploads.find()]


def minio_keys(minio, bucket="writeen"):
    """The objects of a bucket, as they lie on its disk."""
    root = minio.dir / "data" / bucket
    return {p.parent.name for p in root.rglob("xl.meta")}


def hold(pids):
    """Stop processes; returns what lets them go on."""
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    def go():
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
    return go
