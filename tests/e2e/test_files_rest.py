"""Files by REST: who may upload, see, share and list them, and what they are
told (docs/api/openapi.yaml; docs/redis.md, RPC)."""

import json
import re
import secrets
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest

from harness import rpc, tokens
from harness.cast import Cast
from harness.record import drained
from harness.record import record as put_record
from harness.scene import OID, TIME
from harness.stack import Server, Stack
from harness.upload import Files, info, sample

CDN = "https://cdn.example/files"
FILE_MAX = 10 * 1024 * 1024
OVERHEAD = 64 * 1024


@pytest.fixture(scope="module")
def place(store, request):
    """A stack with files: on disk with one store, in MinIO with the other."""
    mongod = (request.getfixturevalue("mongod") if store == "mongo"
              else None)
    stack = Stack(f"files-rest-{store}", store, nginx=2, mongod=mongod,
                  files="s3" if store == "mongo" else "local",
                  servers={"bulk": Server("writeen_rate 100000 burst=100000 "
                                          "user=100000;")},
                  env={"CLAMAV": "off", "CDN_BASE_URL": CDN})
    stack.start()
    yield stack
    problems = stack.stop()
    assert not problems, "\n".join(problems)


@pytest.fixture
def stack(place):
    yield place
    problems = place.watch.new_problems()
    assert not problems, "\n".join(problems)


async def room(stack, **body):
    """Ann made it, tia is its tutor, kim may read and write only, fay left
    it; eve never was in it."""
    cast = Cast(stack, ["ann", "bob", "tia:tutor", "kim", "fay", "eve"])
    others = [{"userId": cast.ids[n], "role": cast.roles[n],
               **({"permissions": ["read", "write"]} if n == "kim" else {})}
              for n in ("bob", "tia", "kim", "fay")]
    await cast._make("ann", {"type": "group", "title": "Bab satu",
                             "participants": others, **body})
    r = await cast.do("fay", "DELETE", "/participants/" + cast.ids["fay"])
    assert r.status == 200, r
    return cast


# ---- before an upload ---------------------------------------------------

async def ask(cast, name, length="1000", role=None):
    return await rpc.acall(cast.stack, "UPLOAD", cast.room, length,
                           user=cast.ids.get(name, name),
                           role=role or cast.roles.get(name, "student"))


async def test_who_may_upload(stack):
    cast = await room(stack)
    for name in ("ann", "bob", "tia"):
        assert (await ask(cast, name)).data == {"maxFileSize": FILE_MAX}
    (await ask(cast, "kim")).refused(403, "forbidden")
    # a room that is not one's own is none, as when one sends
    for name, role in (("fay", None), ("eve", None), ("svc", "service"),
                       ("adm", "admin")):
        (await ask(cast, name, role=role)).refused(404, "not_found")
    (await rpc.acall(stack, "UPLOAD", "f" * 24, "10",
                     user=cast.ids["ann"])).refused(404, "not_found")
    # nobody's upload is nobody's
    (await rpc.acall(stack, "UPLOAD", cast.room, "10")).refused(
        404, "not_found")


async def test_settings_decide_before_the_body(stack):
    cast = await room(stack, settings={"maxFileSize": 4096})
    assert (await ask(cast, "bob", "-")).data == {"maxFileSize": 4096}
    assert (await ask(cast, "bob", str(4096 + OVERHEAD))).data == {
        "maxFileSize": 4096}
    refused = await ask(cast, "bob", str(4096 + OVERHEAD + 1))
    assert refused.refused(413, "too_large")["field"] == "file"
    assert "4096 bytes" in refused.json["message"]
    for wrong in ("", "x", "-1", "1 ", "9" * 16):
        error = (await ask(cast, "bob", wrong)).refused(
            400, "invalid_request")
        assert error["field"] == "Content-Length", wrong

    # what was changed a moment ago counts
    r = await cast.do("tia", "PATCH", "", {"settings": {
        "allowFileUpload": False}})
    assert r.status == 200, r
    refused = await ask(cast, "bob")
    refused.refused(403, "forbidden")
    assert "conversation" in refused.json["message"]
    r = await cast.do("tia", "PATCH", "", {"settings": {
        "allowFileUpload": True, "maxFileSize": FILE_MAX}})
    assert r.status == 200, r
    assert (await ask(cast, "bob")).data == {"maxFileSize": FILE_MAX}

    assert (await cast.do("tia", "POST", "/archive")).status == 200
    (await ask(cast, "bob")).refused(409, "conversation_archived")
    # who may not says nothing of it
    (await ask(cast, "kim")).refused(403, "forbidden")
    (await ask(cast, "eve")).refused(404, "not_found")
    # the same from the store
    await cast.forget()
    (await ask(cast, "bob")).refused(409, "conversation_archived")
    (await ask(cast, "eve")).refused(404, "not_found")
    assert (await cast.do("tia", "POST", "/unarchive")).status == 200
    assert (await ask(cast, "bob")).data == {"maxFileSize": FILE_MAX}


async def test_who_is_blocked_uploads_nothing(stack):
    cast = await Cast.direct(stack)
    assert (await cast.do("ann", "POST", "/block")).status == 200
    (await ask(cast, "bob")).refused(403, "forbidden")
    assert (await ask(cast, "ann")).status == 200
    assert (await cast.do("ann", "DELETE", "/block")).status == 200
    assert (await ask(cast, "bob")).status == 200


# ---- records ------------------------------------------------------------

def record(cast, by, scan, rev=1, id=None, **more):
    """A file of that state; returns its id."""
    return put_record(cast.stack, cast.room, cast.ids[by], scan, rev, id,
                      **more)


async def sent(cast, name="house.jpg", by="ann"):
    """A clean one; (its id, its message, its bytes)."""
    data = sample(name)
    r = await Files(cast, "bulk").upload(by, name, data)
    assert r.status == 201, r
    m = r.json["data"]["message"]
    return info(m)["fileId"], m, data


def who(cast, name):
    """The caller of a name; "svc" and "adm" run the place."""
    role = {"svc": "service", "adm": "admin"}.get(name)
    return cast.rest(name, 1, role)


async def get(cast, name, path, **kw):
    return await who(cast, name).acall("GET", "/api/files/" + path, **kw)


OUTSIDE = ("fay", "eve")


async def test_a_record_has_the_seeds_shape(stack):
    cast = await room(stack)
    before = datetime.now(timezone.utc)
    id, message, data = await sent(cast)
    f = (await get(cast, "bob", id)).data["file"]
    assert set(f) == {
        "id", "messageId", "conversationId", "uploadedBy", "fileName",
        "originalFileName", "fileSize", "mimeType", "fileHash", "storage",
        "security", "access", "thumbnails", "width", "height", "pages",
        "createdAt", "updatedAt", "deletedAt"}
    assert f["id"] == id and f["messageId"] == message["id"]
    assert f["conversationId"] == cast.room
    assert f["uploadedBy"] == cast.ids["ann"]
    assert f["fileName"] == f["originalFileName"] == "house.jpg"
    assert f["fileSize"] == len(data) and f["mimeType"] == "image/jpeg"
    assert re.match(r"^[0-9a-f]{64}$", f["fileHash"])
    assert re.match(TIME, f["createdAt"]) and re.match(TIME, f["updatedAt"])
    # a file system's clock is some milliseconds behind
    assert datetime.fromisoformat(f["createdAt"].replace("Z", "+00:00")
                                  ) > before - timedelta(milliseconds=50)
    assert f["createdAt"] <= message["createdAt"]
    assert f["deletedAt"] is None
    s3 = stack.files == "s3"
    assert f["storage"] == {
        "provider": "minio" if s3 else "local",
        "bucket": "writeen" if s3 else None, "key": f["fileHash"],
        "region": "us-east-1" if s3 else None,
        "url": f"/api/files/{id}/download", "cdnUrl": None}
    security = f["security"]
    assert set(security) == {"scanStatus", "scanResult", "scannedAt",
                             "isEncrypted", "encryptionKey"}
    assert security["scanStatus"] == "clean"
    assert security["isEncrypted"] is s3
    assert security["encryptionKey"] is None
    assert f["access"] == {"isPublic": False, "allowedUsers": [],
                           "downloadCount": 0, "lastAccessedAt": None}
    assert [t["size"] for t in f["thumbnails"]] == ["small", "medium",
                                                    "large"]
    for t in f["thumbnails"]:
        assert t["url"] == f"/api/files/{id}/thumbnails/{t['size']}"
        assert re.match(r"^\d+x\d+$", t["dimensions"])
    assert f["width"] > 0 and f["height"] > 0


async def test_who_sees_and_has_a_clean_file(stack):
    cast = await room(stack)
    id, _, data = await sent(cast)
    for name in ("ann", "bob", "tia", "svc", "adm"):
        assert (await get(cast, name, id)).status == 200, name
        r = await get(cast, name, id + "/download")
        assert r.status == 200 and r.raw == data, name
        assert (await get(cast, name, id + "/thumbnails/small")).status \
            == 200, name
    # kim may read, not download
    assert (await get(cast, "kim", id)).status == 200
    for path in ("/download", "/thumbnails/small"):
        (await get(cast, "kim", id + path)).refused(403, "forbidden")
    (await who(cast, "kim").acall("POST", f"/api/files/{id}/link")).refused(
        403, "forbidden")
    # for who is outside it is a file that never was
    never = secrets.token_hex(12)
    for name in OUTSIDE:
        for method, path, body in (
                ("GET", "", None), ("GET", "/download", None),
                ("GET", "/thumbnails/small", None),
                ("PATCH", "", {"isPublic": True}),
                ("POST", "/link", None)):
            seen = [await who(cast, name).acall(
                method, f"/api/files/{f}{path}", body) for f in (id, never)]
            seen[0].refused(404, "not_found")
            assert seen[0].raw == seen[1].raw, (name, path)
    # no token, one that has expired
    for token in (None, tokens.token(cast.ids["ann"], ttl=-60)):
        rest = stack.rest(token, 0, "bulk")
        for method, path in (
                ("GET", f"/api/files/{id}"),
                ("GET", f"/api/files/{id}/download"),
                ("GET", f"/api/files/{id}/thumbnails/small"),
                ("PATCH", f"/api/files/{id}"),
                ("POST", f"/api/files/{id}/link"), ("GET", "/api/files"),
                ("GET", f"/api/uploads/{id}")):
            (await rest.acall(method, path)).refused(401, "unauthorized")


async def test_membership_ends_and_so_does_access(stack):
    cast = await room(stack)
    id, _, data = await sent(cast, by="bob")
    assert (await get(cast, "bob", id + "/download")).raw == data
    r = await cast.do("tia", "DELETE", "/participants/" + cast.ids["bob"])
    assert r.status == 200, r
    # his own, too
    for path in ("", "/download", "/thumbnails/large"):
        (await get(cast, "bob", id + path)).refused(404, "not_found")
        assert (await get(cast, "ann", id + path)).status == 200


async def test_what_is_not_clean_is_its_uploaders_alone(stack):
    cast = await room(stack)
    later = {"clean": None, "pending": (425, "scan_pending"),
             "scanning": (425, "scan_pending"), "infected": (422, "infected"),
             "error": (415, "unsupported_type")}
    for scan, refusal in later.items():
        if refusal is None:
            continue
        id = record(cast, "bob", scan)
        for name in ("bob", "svc", "adm"):
            f = (await get(cast, name, id)).data["file"]
            assert f["security"]["scanStatus"] == scan, name
            assert f["storage"] is None and f["thumbnails"] == []
            (await get(cast, name, id + "/download")).refused(*refusal)
            (await get(cast, name, id + "/thumbnails/small")).refused(
                *refusal)
            (await who(cast, name).acall(
                "POST", f"/api/files/{id}/link")).refused(*refusal)
            (await who(cast, name).acall(
                "PATCH", f"/api/files/{id}", {"isPublic": True})).refused(
                    *refusal)
        for name in ("ann", "tia", "kim", *OUTSIDE):
            (await get(cast, name, id)).refused(404, "not_found")
            (await get(cast, name, id + "/download")).refused(
                404, "not_found")
            (await who(cast, name).acall(
                "POST", f"/api/files/{id}/link")).refused(404, "not_found")


async def test_found_infected_later(stack):
    """Who was told of it is told why it is gone."""
    cast = await room(stack)
    id, message, _ = await sent(cast)
    record(cast, "ann", "infected", 9, id, messageId=message["id"],
           fileName="house.jpg")
    for name in ("ann", "bob", "tia", "adm"):
        for path in ("/download", "/thumbnails/small"):
            (await get(cast, name, id + path)).refused(422, "infected")
        f = (await get(cast, name, id)).data["file"]
        assert f["security"]["scanStatus"] == "infected"
    for name in OUTSIDE:
        (await get(cast, name, id + "/download")).refused(404, "not_found")


async def test_with_its_message_a_file_is_gone(stack):
    cast = await room(stack)
    id, message, data = await sent(cast)
    link = (await who(cast, "bob").acall(
        "POST", f"/api/files/{id}/link")).data["url"]
    nobody = stack.rest(None, 0, "bulk")
    assert (await nobody.acall("GET", link)).raw == data
    assert (await cast.delete("ann", message["id"])).status == 200
    for name in ("ann", "bob", "tia", "svc", "adm"):
        for path in ("", "/download", "/thumbnails/small"):
            (await get(cast, name, id + path)).refused(404, "not_found")
    (await nobody.acall("GET", link)).refused(404, "not_found")


async def test_only_text_is_edited(stack):
    cast = await room(stack)
    _, message, _ = await sent(cast)
    (await cast.edit("ann", message["id"], "another text")).refused(
        409, "conflict")


async def test_downloads_are_counted(stack):
    cast = await room(stack)
    id, _, data = await sent(cast, "paper.pdf")
    link = (await who(cast, "bob").acall(
        "POST", f"/api/files/{id}/link")).data["url"]
    assert (await get(cast, "bob", id + "/download")).raw == data
    assert (await stack.rest(None, 0, "bulk").acall("GET", link)).raw == data
    # neither parts, nor thumbnails, nor a look at the headers
    for range_, part in (("bytes=0-9", data[:10]), ("bytes=10-", data[10:])):
        r = await get(cast, "bob", id + "/download",
                      headers={"Range": range_})
        assert r.status == 206 and r.raw == part
    assert (await get(cast, "bob", id + "/thumbnails/small")).status == 200
    assert (await who(cast, "bob").acall(
        "HEAD", f"/api/files/{id}/download")).status == 200
    (await get(cast, "kim", id + "/download")).refused(403, "forbidden")
    drained(stack, cast.room)
    access = (await get(cast, "ann", id)).data["file"]["access"]
    assert access["downloadCount"] == 3, access
    assert re.match(TIME, access["lastAccessedAt"])


# ---- links --------------------------------------------------------------

async def test_links(stack):
    cast = await room(stack)
    id, _, data = await sent(cast)
    nobody = stack.rest(None, 0, "bulk")
    for name in ("ann", "bob", "svc", "adm"):
        made = (await who(cast, name).acall(
            "POST", f"/api/files/{id}/link")).data
        assert set(made) == {"url", "expiresAt", "thumbnails"}
        assert re.match(TIME, made["expiresAt"])
        assert set(made["thumbnails"]) == {"small", "medium", "large"}
        assert made["url"].startswith(f"/api/files/{id}/download?")
        r = await nobody.acall("GET", made["url"])
        assert r.status == 200 and r.raw == data, name
        assert r.headers["X-File-Scan-Status"] == "clean"
        for size, url in made["thumbnails"].items():
            assert url.startswith(f"/api/files/{id}/thumbnails/{size}?")
            r = await nobody.acall("GET", url)
            assert r.status == 200, (name, size)
            assert r.headers["Content-Type"] == "image/jpeg"
    # what has no picture has no thumbnails
    text = await Files(cast, "bulk").upload("ann", "a.txt", b"halo semua\n")
    made = (await who(cast, "bob").acall(
        "POST", f"/api/files/{text.json['data']['upload']['id']}/link")).data
    assert set(made) == {"url", "expiresAt"}


def with_query(url, **change):
    parts = urlsplit(url)
    query = {k: v[0] for k, v in parse_qs(parts.query).items()}
    query.update(change)
    return parts.path + "?" + "&".join(f"{k}={v}" for k, v in query.items())


async def test_a_changed_link_opens_nothing(stack):
    cast = await room(stack)
    id, _, _ = await sent(cast)
    other, _, _ = await sent(cast, "shapes.png")
    url = (await who(cast, "bob").acall(
        "POST", f"/api/files/{id}/link")).data["url"]
    query = {k: v[0] for k, v in parse_qs(urlsplit(url).query).items()}
    never = secrets.token_hex(12)
    wrong = [url.replace(id, other), url.replace(id, never),
             with_query(url, u=cast.ids["ann"]),
             with_query(url, e=int(query["e"]) + 1),
             with_query(url, e="0" + query["e"]),
             with_query(url, s="0" * 64), with_query(url, s="ab"),
             with_query(url, s=query["s"].swapcase())]
    nobody = stack.rest(None, 0, "bulk")
    for path in wrong:
        r = await nobody.acall("GET", path)
        r.refused(401, "unauthorized")
        assert r.raw == (await nobody.acall("GET", wrong[1])).raw
    # the other routes of a file know no links
    for method, path in (("GET", f"/api/files/{id}"),
                         ("POST", f"/api/files/{id}/link"),
                         ("PATCH", f"/api/files/{id}")):
        (await nobody.acall(method, path + "?" + urlsplit(url).query)
         ).refused(401, "unauthorized")


async def test_an_expired_link_opens_nothing(stack):
    """Made with the deployment's own key, a second too late."""
    import hashlib
    import hmac
    import time
    cast = await room(stack)
    id, _, data = await sent(cast)
    await who(cast, "bob").acall("POST", f"/api/files/{id}/link")
    with stack.redis_client() as c:
        key = bytes.fromhex(c.hget("wrt:config", "links"))
    nobody = stack.rest(None, 0, "bulk")

    def link(user, expires):
        sign = hmac.new(key, f"{id}\n{user}\n{expires}".encode(),
                        hashlib.sha256).hexdigest()
        return f"/api/files/{id}/download?u={user}&e={expires}&s={sign}"

    now = int(time.time())
    r = await nobody.acall("GET", link(cast.ids["bob"], now + 60))
    assert r.status == 200 and r.raw == data
    (await nobody.acall("GET", link(cast.ids["bob"], now - 1))).refused(
        401, "unauthorized")
    # a good signature does not make a member
    (await nobody.acall("GET", link(cast.ids["eve"], now + 60))).refused(
        404, "not_found")
    (await nobody.acall("GET", link(cast.ids["kim"], now + 60))).refused(
        403, "forbidden")


async def test_a_link_ends_with_membership(stack):
    cast = await room(stack)
    id, _, data = await sent(cast)
    made = (await who(cast, "bob").acall(
        "POST", f"/api/files/{id}/link")).data
    nobody = stack.rest(None, 0, "bulk")
    assert (await nobody.acall("GET", made["url"])).raw == data
    r = await cast.do("bob", "DELETE", "/participants/" + cast.ids["bob"])
    assert r.status == 200, r
    (await nobody.acall("GET", made["url"])).refused(404, "not_found")
    (await nobody.acall("GET", made["thumbnails"]["small"])).refused(
        404, "not_found")


# ---- public or not ------------------------------------------------------

async def test_who_may_publish(stack):
    cast = await room(stack)
    id, _, _ = await sent(cast)

    async def patch(name, body):
        return await who(cast, name).acall("PATCH", f"/api/files/{id}", body)

    for name in ("bob", "kim"):
        (await patch(name, {"isPublic": True})).refused(403, "forbidden")
    for name in OUTSIDE:
        (await patch(name, {"isPublic": True})).refused(404, "not_found")
    for body in ({}, {"isPublic": None}, {"isPublic": "true"},
                 {"isPublic": 1}, {"isPublic": []}):
        error = (await patch("ann", body)).refused(400, "invalid_request")
        assert error["field"] == "isPublic", body
    f = (await get(cast, "bob", id)).data["file"]
    assert f["access"]["isPublic"] is False
    assert f["storage"]["cdnUrl"] is None

    for public, name in ((True, "ann"), (False, "tia"), (True, "svc"),
                         (False, "adm"), (True, "ann"), (True, "ann")):
        f = (await patch(name, {"isPublic": public})).data["file"]
        assert f["access"]["isPublic"] is public
        # and everybody reads it
        f = (await get(cast, "bob", id)).data["file"]
        assert f["access"]["isPublic"] is public
        url = f["storage"]["cdnUrl"]
        if public:
            assert url.startswith(CDN + "/") and url.endswith(f["fileHash"])
            assert "?" not in url and "writeen" not in url
        else:
            assert url is None
    # public or not, downloads ask for more
    for name in OUTSIDE:
        (await get(cast, name, id + "/download")).refused(404, "not_found")
    # what is found infected is nobody's
    record(cast, "ann", "infected", 9, id)
    f = (await get(cast, "ann", id)).data["file"]
    assert f["access"]["isPublic"] is True and f["storage"] is None


# ---- findings -----------------------------------------------------------

async def test_findings(stack):
    cast = await room(stack)
    ids = [record(cast, "bob", "infected", security={
        "scanStatus": "infected", "isEncrypted": False,
        "scannedAt": "2024-01-15T10:00:00.000Z",
        "scanResult": {"engine": "e", "finding": "Eicar-Test"}},
        createdAt=f"2034-01-15T10:00:0{n}.000Z") for n in range(3)]
    bad = record(cast, "bob", "error", createdAt="2034-01-15T10:00:00.000Z")
    for name in ("ann", "bob", "tia", "eve"):
        (await who(cast, name).acall("GET", "/api/files")).refused(
            403, "forbidden")
    for name in ("svc", "adm"):
        data = (await who(cast, name).aget("/api/files", limit=3)).data
        assert [f["id"] for f in data["files"]] == ids[::-1]
        f = data["files"][0]
        assert f["security"]["scanResult"]["finding"] == "Eicar-Test"
        assert f["uploadedBy"] == cast.ids["bob"] and f["storage"] is None
        p = data["pagination"]
        assert (p["page"], p["limit"]) == (1, 3) and p["total"] >= 3
        data = (await who(cast, name).aget(
            "/api/files", scanStatus="infected", limit=1, page=2)).data
        assert [f["id"] for f in data["files"]] == [ids[1]]
        data = (await who(cast, name).aget(
            "/api/files", scanStatus="error", limit=1)).data
        assert [f["id"] for f in data["files"]] == [bad]
    for query, field in (({"scanStatus": "clean"}, "scanStatus"),
                         ({"page": 0}, "page"), ({"limit": 101}, "limit")):
        error = (await who(cast, "adm").aget("/api/files", **query)).refused(
            400, "invalid_request")
        assert error["field"] == field


# ---- how an upload goes on ----------------------------------------------

async def test_who_sees_an_upload(stack):
    cast = await room(stack)
    id, message, _ = await sent(cast)
    for name in ("ann", "adm"):
        up = (await who(cast, name).acall(
            "GET", "/api/uploads/" + id)).data["upload"]
        assert (up["id"], up["status"], up["progress"]) == (
            id, "completed", 100)
        assert up["fileId"] == id and up["messageId"] == message["id"]
        assert up["conversationId"] == cast.room and up["error"] is None
    never = secrets.token_hex(12)
    assert re.match(OID, never)
    for name in ("bob", "tia", "kim", "svc", *OUTSIDE):
        seen = [await who(cast, name).acall("GET", "/api/uploads/" + u)
                for u in (id, never)]
        seen[0].refused(404, "not_found")
        assert seen[0].raw == seen[1].raw

    # when Redis has forgotten it the store says the same
    with stack.redis_client() as c:
        assert c.delete("wrt:upload:" + id) == 1
    again = (await who(cast, "ann").acall(
        "GET", "/api/uploads/" + id)).data["upload"]
    same = ("id", "conversationId", "status", "stage", "progress",
            "fileName", "fileId", "messageId", "error")
    assert {k: again[k] for k in same} == {k: up[k] for k in same}
    (await who(cast, "bob").acall("GET", "/api/uploads/" + id)).refused(
        404, "not_found")
    for scan, status, code in (("infected", "failed", "infected"),
                               ("error", "failed", "unsupported_type"),
                               ("scanning", "processing", None)):
        up = (await who(cast, "bob").acall(
            "GET", "/api/uploads/" + record(cast, "bob", scan))
            ).data["upload"]
        assert up["status"] == status, scan
        assert (up["error"] or {}).get("code") == code, scan


async def test_under_way_it_is_pending_for_its_uploader(stack):
    """Redis knows of it, the store does not."""
    cast = await room(stack)
    id = secrets.token_hex(12)
    with stack.redis_client() as c:
        c.hset("wrt:upload:" + id, mapping={
            "owner": cast.ids["bob"], "shown": json.dumps({
                "id": id, "conversationId": cast.room,
                "status": "processing", "stage": "received",
                "progress": 10})})
        c.expire("wrt:upload:" + id, 60)
    for path in ("", "/download", "/thumbnails/small"):
        (await get(cast, "bob", id + path)).refused(425, "scan_pending")
        for name in ("ann", "tia", "eve", "fay"):
            (await get(cast, name, id + path)).refused(404, "not_found")


async def test_one_sees_what_was_sent_at_once(stack):
    """Whoever reads right behind the 201 finds it, on each nginx."""
    cast = await room(stack)
    for n in range(10):
        r = await Files(cast, "bulk").upload("ann", "a.txt",
                                             f"halo {n}\n".encode())
        id = r.json["data"]["upload"]["id"]
        assert (await get(cast, "bob", id)).status == 200
        r = await get(cast, "bob", id + "/download")
        assert r.raw == f"halo {n}\n".encode()


async def test_nobody_works_on_it_yet(make_stack):
    """What the answer 202 names can be asked for, whatever else is up."""
    stack = make_stack(files="local", env={"SPOOL": ""}, nginx=2,
                       waits="    writeen_upload_wait 200ms;\n",
                       servers={"bulk": Server()})
    cast = await room(stack)
    r = await Files(cast).upload("bob", "a.txt", b"halo\n")
    assert r.status == 202, r
    shown = r.json["data"]["upload"]
    assert shown["status"] == "processing" and shown["progress"] == 0
    assert shown["conversationId"] == cast.room
    for name in ("bob", "adm"):
        assert (await who(cast, name).acall(
            "GET", "/api/uploads/" + shown["id"])).data["upload"] == shown
    (await who(cast, "ann").acall(
        "GET", "/api/uploads/" + shown["id"])).refused(404, "not_found")
