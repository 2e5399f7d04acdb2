"""Files by REST: who may upload, see, share and list them, and what they are
told (CONTRACT 3; docs/redis.md, RPC)."""

import pytest

from harness import rpc
from harness.cast import Cast
from harness.stack import Server, Stack

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
                  env={"CLAMAV": "off"})
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
