"""Files that people send each other: up, seen, down again, and gone.

Without these a file could come back changed, be shown to somebody who has
left, or be sent twice by a client that asked again.
"""

import asyncio
import io
import re

import pytest
from PIL import Image

from harness import tokens, upload
from harness.cast import Cast
from harness.net import patience, until
from harness.scene import OID, TIME, unique
from harness.upload import Files, info, samples


async def people(files_stack, *names, sockets=(), **body):
    cast = await Cast.group(files_stack, *(names or ("ann", "bob")), **body)
    await cast.open(*(sockets or ("ann", "bob")))
    return cast, Files(cast)


@pytest.mark.parametrize("name", list(samples()))
async def test_round_trip(any_files_stack, name):
    """The answer, the event, history, and the bytes again."""
    data, mime, kind = samples()[name]
    cast, files = await people(any_files_stack)
    r = await files.upload("ann", name, data, description="lihat ini",
                           clientMessageId="c-1")
    assert r.status == 201, r
    assert r.json["message"] == "File uploaded successfully"
    assert r.data["upload"] == {"id": r.data["upload"]["id"],
                                "status": "completed", "progress": 100}
    m = r.data["message"]
    assert re.match(OID, m["id"]) and re.match(TIME, m["createdAt"])
    assert m["type"] == kind and m["senderId"] == cast.ids["ann"]
    assert m["content"]["text"] == "lihat ini"
    file = info(m)
    assert file["fileName"] == name
    assert file["fileSize"] == len(data)
    assert file["fileType"].split(";")[0] == mime
    assert file["scanStatus"] == "clean"
    assert file["uploadProgress"] == 100
    id = file["fileId"]
    assert file["downloadUrl"] == f"/api/files/{id}/download"

    event = await cast.told("message_received", "ann", "bob")
    assert event["message"]["content"] == m["content"]
    assert event["message"]["id"] == m["id"]
    assert event["message"]["type"] == kind
    shown = await cast.get("bob", m["id"])
    assert shown["content"] == m["content"] and shown["type"] == kind

    for who in "ann", "bob":
        got = await files.download(who, id)
        assert got.status == 200, got
        assert got.raw == data
        head = got.headers
        assert head["Content-Type"] == "application/octet-stream"
        assert int(head["Content-Length"]) == len(data)
        assert head["X-File-Scan-Status"] == "clean"
        assert head["X-Content-Type-Options"] == "nosniff"
        assert head["Content-Disposition"].startswith("attachment;")
        assert f'filename="{name}"' in head["Content-Disposition"]

    about = (await files.about("bob", id)).data["file"]
    assert about["originalFileName"] == name
    assert about["mimeType"] == file["fileType"]
    assert about["fileSize"] == len(data)
    assert about["messageId"] == m["id"]
    assert about["uploadedBy"] == cast.ids["ann"]
    assert about["security"]["scanStatus"] == "clean"
    s3 = any_files_stack.minio is not None
    assert about["storage"]["provider"] == ("minio" if s3 else "local")
    # MinIO has a key for it, and the stored object says so; a directory not
    assert about["security"]["isEncrypted"] is s3
    assert about["storage"]["cdnUrl"] is None
    assert about["access"]["isPublic"] is False

    await thumbnails(files, file, id, mime)
    files.wait_spool_empty()
    await cast.close()


async def thumbnails(files, file, id, mime):
    if not (mime.startswith("image/") or mime == "application/pdf"):
        assert file["thumbnailUrl"] is None
        r = await files.thumbnail("bob", id, "small")
        r.refused(404, "not_found")
        return
    assert file["thumbnailUrl"] == f"/api/files/{id}/thumbnails/medium"
    longest = {"small": 150, "medium": 300, "large": 600}
    for size, pixels in longest.items():
        r = await files.thumbnail("bob", id, size)
        assert r.status == 200, r
        assert r.headers["Content-Type"] in ("image/jpeg", "image/png")
        assert r.headers["X-Content-Type-Options"] == "nosniff"
        with Image.open(io.BytesIO(r.raw)) as picture:
            picture.load()
            assert max(picture.size) <= pixels
            if max(file.get("width", 0), file.get("height", 0)) >= pixels \
                    or mime == "application/pdf":
                assert max(picture.size) == pixels
            # where a picture was taken is nobody's business
            assert not picture.getexif()
    (await files.thumbnail("bob", id, "huge")).refused(404, "not_found")


async def test_pictures_are_upright(files_stack):
    """house.jpg lies on its side and says so in its EXIF."""
    cast, files = await people(files_stack)
    data = upload.sample("house.jpg")
    with Image.open(io.BytesIO(data)) as picture:
        width, height = picture.size
    r = await files.upload("ann", "house.jpg", data)
    file = info(r.data["message"])
    assert (file["width"], file["height"]) == (height, width)
    small = await files.thumbnail("ann", file["fileId"], "small")
    with Image.open(io.BytesIO(small.raw)) as picture:
        assert (picture.width < picture.height) == (height < width)
    await cast.close()


async def test_progress(files_stack):
    """From received to completed, to the uploader's devices alone."""
    cast, files = await people(files_stack,
                               sockets=("ann", "ann2", "bob"))
    r = await files.upload("ann", "house.jpg", upload.sample("house.jpg"))
    id = r.data["upload"]["id"]
    for device in "ann", "ann2":
        seen = []
        while not seen or seen[-1]["stage"] != "completed":
            e = await cast.ws[device].wait("upload_progress")
            assert e["data"]["uploadId"] == id
            assert e["data"]["conversationId"] == cast.room
            seen.append(e["data"])
        assert [s["stage"] for s in seen] == [
            "received", "scanning", "thumbnailing", "storing", "completed"]
        steps = [s["progress"] for s in seen]
        assert steps == sorted(steps) and steps[-1] == 100
        assert seen[-1]["messageId"] == r.data["message"]["id"]
    e = await cast.ws["bob"].recv()
    assert e["event"] == "message_received"
    await cast.ws["bob"].quiet(0.2)

    u = (await files.progress("ann", id)).data["upload"]
    assert u["id"] == id and u["status"] == "completed"
    assert u["progress"] == 100 and u["messageId"]
    for other in "bob", "stranger":
        (await files.progress(other, id)).refused(404, "not_found")
    await cast.close()


async def test_ranges(files_stack):
    """A download that was cut off goes on where it was."""
    cast, files = await people(files_stack)
    data = upload.text_of(3 * upload.MEGABYTE + 17)
    r = await files.upload("ann", "long.txt", data)
    id = info(r.data["message"])["fileId"]

    whole = await files.download("bob", id)
    assert whole.headers["Accept-Ranges"] == "bytes"
    etag = whole.headers["ETag"]
    first = await files.download("bob", id, Range="bytes=0-999999")
    assert first.status == 206
    assert first.headers["Content-Range"] == f"bytes 0-999999/{len(data)}"
    rest = await files.download("bob", id, Range="bytes=1000000-",
                                If_Range=etag)
    assert rest.status == 206
    assert first.raw + rest.raw == data
    tail = await files.download("bob", id, Range="bytes=-17")
    assert tail.status == 206 and tail.raw == data[-17:]
    two = await files.download("bob", id, Range="bytes=0-99,-17")
    if files_stack.minio is None:
        assert two.status == 206
        assert two.headers["Content-Type"].startswith("multipart/byteranges")
        assert data[:100] in two.raw and data[-17:] in two.raw
        assert len(two.raw) < 1000
    else:
        assert two.status == 200 and two.raw == data
    other = await files.download("bob", id, Range="bytes=5-", If_Range='"x"')
    assert other.status == 200 and other.raw == data
    beyond = await files.download("bob", id, Range=f"bytes={len(data)}-")
    assert beyond.status == 416
    same = await files.download("bob", id, If_None_Match=etag)
    assert same.status == 304 and same.raw == b""
    head = await files.get("bob", f"/api/files/{id}/download", method="HEAD")
    assert head.status == 200 and head.raw == b""
    assert int(head.headers["Content-Length"]) == len(data)
    await cast.close()


async def test_interrupted_download(files_stack):
    """Read a part, hang up, ask for the rest."""
    cast, files = await people(files_stack)
    data = upload.text_of(8 * upload.MEGABYTE)
    r = await files.upload("ann", "long.txt", data)
    id = info(r.data["message"])["fileId"]
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", files_stack.port())
    token = tokens.token(cast.ids["bob"])
    writer.write(f"GET /api/files/{id}/download HTTP/1.1\r\nHost: x\r\n"
                 f"Authorization: Bearer {token}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head
    got = b""
    while len(got) < 1000000:
        got += await reader.read(65536)
    writer.transport.abort()
    rest = await files.download("bob", id, Range=f"bytes={len(got)}-")
    assert rest.status == 206
    assert got + rest.raw == data
    await cast.close()


async def test_downloads_are_counted(files_stack):
    cast, files = await people(files_stack)
    r = await files.upload("ann", "notes.txt", upload.TEXT.encode())
    id = info(r.data["message"])["fileId"]
    before = (await files.about("ann", id)).data["file"]["access"]
    assert before["downloadCount"] == 0 and before["lastAccessedAt"] is None
    await files.download("bob", id)
    await files.download("bob", id, Range="bytes=0-3")
    await files.download("bob", id, Range="bytes=4-7")      # goes on

    async def counted():
        access = (await files.about("ann", id)).data["file"]["access"]
        return access["downloadCount"] == 2 and access
    access = await until(counted, "downloadCount to be 2", 10)
    assert re.match(TIME, access["lastAccessedAt"])
    await cast.close()


async def test_ten_megabytes_and_one_more(files_stack):
    cast, files = await people(files_stack)
    data = upload.text_of(10 * upload.MEGABYTE)
    r = await files.upload("ann", "ten.txt", data)
    assert r.status == 201, r
    got = await files.download("bob", info(r.data["message"])["fileId"])
    assert got.raw == data
    await cast.told("message_received", "ann", "bob")
    r = await files.upload("ann", "more.txt", data + b"!")
    assert r.refused(413, "too_large")["field"] == "file"
    await cast.ws["bob"].quiet(0.2)
    files.wait_spool_empty()
    await cast.close()


async def test_too_large_is_refused_before_it_is_sent(files_stack):
    """Only the head of the request goes out."""
    cast, files = await people(files_stack)
    token = tokens.token(cast.ids["ann"])
    for more in "", "Expect: 100-continue\r\n":
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", files_stack.port())
        writer.write(
            f"POST /api/conversations/{cast.room}/upload HTTP/1.1\r\n"
            f"Host: x\r\nAuthorization: Bearer {token}\r\n{more}"
            f"Content-Type: multipart/form-data; boundary=b\r\n"
            f"Content-Length: {11 * upload.MEGABYTE}\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"),
                                      patience(10))
        assert head.startswith(b"HTTP/1.1 413 "), head
        writer.transport.abort()
    assert files.spool() == []
    await cast.close()


async def test_settings_of_the_room(files_stack):
    cast, files = await people(files_stack, settings={
        "maxFileSize": 1000, "allowedFileTypes": [".txt"]})
    ok = await files.upload("bob", "a.txt", b"x" * 1000)
    assert ok.status == 201, ok
    e = (await files.upload("bob", "a.txt", b"x" * 1001)).refused(
        413, "too_large")
    assert e["field"] == "file"
    (await files.upload("bob", "a.pdf", upload.sample("paper.pdf")[:900])
     ).refused(415, "unsupported_type")
    r = await cast.do("ann", "PATCH", "", {"settings": {
        "allowFileUpload": False}})
    assert r.status == 200, r
    (await files.upload("bob", "a.txt", b"x")).refused(403, "forbidden")
    await cast.close()


async def test_who_may_not(files_stack):
    """Strangers and former members are told of no room; a member without the
    right is told so."""
    cast = Cast(files_stack, ["ann", "bob", "cho"])
    await cast._make("ann", {"type": "group", "title": "Room",
                             "participants": [
                                 {"userId": cast.ids["bob"], "role":
                                  "student", "permissions":
                                  ["read", "write"]},
                                 {"userId": cast.ids["cho"],
                                  "role": "student"}]})
    files = Files(cast)
    text = upload.TEXT.encode()
    r = await files.upload("ann", "notes.txt", text)
    id = info(r.data["message"])["fileId"]
    (await files.upload("bob", "notes.txt", text)).refused(403, "forbidden")
    (await files.download("bob", id)).refused(403, "forbidden")
    assert (await files.download("cho", id)).raw == text

    r = await cast.do("ann", "DELETE", f"/participants/{cast.ids['cho']}")
    assert r.status == 200, r
    for who in "cho", "stranger":
        (await files.upload(who, "notes.txt", text)).refused(
            404, "not_found")
        (await files.download(who, id)).refused(404, "not_found")
        (await files.about(who, id)).refused(404, "not_found")
        (await files.thumbnail(who, id, "small")).refused(404, "not_found")
        r = await files.get(who, f"/api/files/{id}/link", method="POST")
        r.refused(404, "not_found")
    r = await cast.do("ann", "POST", "/archive")
    assert r.status == 200, r
    (await files.upload("ann", "notes.txt", text)).refused(
        409, "conversation_archived")
    assert (await files.download("ann", id)).raw == text


async def test_links(files_stack):
    """For image widgets that cannot send headers; and only while the one who
    asked for it is a member."""
    cast, files = await people(files_stack)
    data = upload.sample("shapes.png")
    r = await files.upload("ann", "shapes.png", data)
    id = info(r.data["message"])["fileId"]
    r = await files.get("bob", f"/api/files/{id}/link", method="POST")
    link = r.data
    assert re.match(TIME, link["expiresAt"])
    nobody = files_stack.rest()
    got = await nobody.acall("GET", link["url"])
    assert got.status == 200 and got.raw == data
    for size, url in link["thumbnails"].items():
        got = await nobody.acall("GET", url)
        assert got.status == 200, (size, got)
        Image.open(io.BytesIO(got.raw)).load()
    (await nobody.acall("GET", link["url"][:-1] + (
        "0" if link["url"][-1] != "0" else "1"))).refused(
            401, "unauthorized")
    (await nobody.acall("GET", f"/api/files/{id}/download")).refused(
        401, "unauthorized")
    r = await cast.do("ann", "DELETE", f"/participants/{cast.ids['bob']}")
    assert r.status == 200, r
    (await nobody.acall("GET", link["url"])).refused(404, "not_found")
    await cast.close()


async def test_the_same_again_is_one_message(files_stack):
    """A client that lost the answer asks again with its clientMessageId."""
    cast, files = await people(files_stack)
    data = upload.sample("paper.pdf")
    cmid = unique("retry")
    first = await files.upload("ann", "paper.pdf", data,
                               clientMessageId=cmid)
    assert first.status == 201
    again = await files.upload("ann", "paper.pdf", data,
                               clientMessageId=cmid, nginx=1)
    assert again.status == 200, again
    assert again.data["message"]["id"] == first.data["message"]["id"]
    assert info(again.data["message"]) == info(first.data["message"])

    both = await asyncio.gather(*(
        files.upload("ann", "paper.pdf", data, clientMessageId=cmid + "b",
                     nginx=i % 2) for i in range(6)))
    assert {r.data["message"]["id"] for r in both} == {
        both[0].data["message"]["id"]}
    assert sorted(r.status for r in both) == [200] * 5 + [201]
    history = cast.rest("bob").history(cast.room)
    assert [m["type"] for m in history] == ["file", "file"]
    await cast.close()


async def test_the_same_again_of_what_is_no_file(files_stack):
    """With the clientMessageId of a text, or of a file that was deleted
    since: the answer is that message, and the next upload goes as ever."""
    cast, files = await people(files_stack)
    data = upload.sample("paper.pdf")
    said = await cast.say("ann", "a text")
    again = await files.upload("ann", "paper.pdf", data,
                               clientMessageId=said["clientMessageId"])
    assert again.status == 200, again
    assert again.data["message"]["id"] == said["messageId"]
    assert again.data["message"]["content"] == {"text": "a text"}

    cmid = unique("gone")
    first = await files.upload("ann", "paper.pdf", data,
                               clientMessageId=cmid)
    assert (await cast.delete("ann", first.data["message"]["id"])
            ).status == 200
    again = await files.upload("ann", "paper.pdf", data,
                               clientMessageId=cmid)
    assert again.status == 200, again
    assert again.data["message"]["id"] == first.data["message"]["id"]
    assert again.data["message"]["content"] == {}
    assert (await files.upload("ann", "paper.pdf", data)).status == 201
    await cast.close()


async def test_deleting_the_message(files_stack):
    """Takes its file along; another message's file of the same content
    stays."""
    cast, files = await people(files_stack)
    data = upload.text_of(5000)
    one = (await files.upload("ann", "a.txt", data)).data["message"]
    two = (await files.upload("bob", "b.txt", data)).data["message"]
    assert info(one)["fileId"] != info(two)["fileId"]
    r = await cast.delete("ann", one["id"])
    assert r.status == 200, r
    for who in "ann", "bob":
        (await files.download(who, info(one)["fileId"])).refused(
            404, "not_found")
        (await files.about(who, info(one)["fileId"])).refused(
            404, "not_found")
        assert (await files.download(who, info(two)["fileId"])).raw == data
    await cast.close()


async def test_found_by_name_and_description(files_stack):
    cast, files = await people(files_stack)
    r = await files.upload("ann", "Metodologi penelitian.pdf",
                           upload.sample("paper.pdf"),
                           description="rancangan kuesioner")
    id = r.data["message"]["id"]
    for q in "metodologi", "kuesioner":
        r = await cast.rest("bob", 1).aget("/api/search", q=q,
                                           conversationId=cast.room)
        assert [x["message"]["id"] for x in r.data["results"]] == [id], q
    await cast.close()


async def test_a_reply_with_a_file(files_stack):
    cast, files = await people(files_stack)
    ack = await cast.say("bob", "where is it?")
    r = await files.upload("ann", "notes.txt", upload.TEXT.encode(),
                           replyTo=ack["messageId"])
    m = r.data["message"]
    assert m["replyTo"] == ack["messageId"]
    shown = await cast.get("bob", m["id"])
    assert shown["replyPreview"]["text"] == "where is it?"
    await cast.close()


async def test_those_who_were_away(files_stack):
    """A file message comes with a resume as any other."""
    cast, files = await people(files_stack, sockets=("ann",))
    r = await files.upload("ann", "notes.txt", upload.TEXT.encode())
    await cast.open("bob")
    cast.ws["bob"].send("join_conversation",
                        {"conversationId": cast.room, "afterSeq": 0})
    e = await cast.ws["bob"].wait("message_received")
    assert e["data"]["message"]["content"] == r.data["message"]["content"]
    await cast.forget()
    ws = (await cast.open("bob2"))[0]
    ws.send("join_conversation", {"conversationId": cast.room,
                                  "afterSeq": 0})
    e = await ws.wait("message_received")
    assert e["data"]["message"]["content"] == r.data["message"]["content"]
    await cast.close()
