"""The door: who gets in, how, and what he is told first.

Without these a client with a bad token might get a socket, or one with a good
token might be refused because of where he put it.
"""

import re
import subprocess
import time

import pytest

from harness import tokens
from harness.scene import OID, TIME, send, unique, uniques
from harness.stack import Server
from harness.ws import Refused, Ws


@pytest.mark.parametrize("how", ["query", "header", "protocol"])
async def test_token_in_each_place(stack, how):
    user = unique("ann")
    ws = await Ws.connect(stack.ws(), tokens.token(user), how=how)
    first = await ws.recv()
    assert first["event"] == "connected"
    assert first["data"]["userId"] == user
    assert ws.machine.subprotocol == (
        "writeen.v1" if how == "protocol" else None)
    assert await ws.close() == 1000


async def test_connected_says_who_and_where(stack):
    user = unique("tim")
    room = stack.make_room(user, unique("ann"))
    ws = await Ws.hello(stack.ws(), user, role="tutor")
    got = ws.connected
    assert got["userId"] == user
    assert got["role"] == "tutor"
    assert re.match(OID, got["connectionId"])
    assert re.match(TIME, got["serverTime"])
    assert got["resume"] is False
    assert got["conversations"] == 1, room
    await ws.close()

    other = await Ws.hello(stack.ws(), user, resume=True)
    assert other.connected["resume"] is True
    assert other.connected["connectionId"] != got["connectionId"]
    await other.close()


def bad_tokens():
    c = tokens.claims
    now = int(time.time())
    good = tokens.token("mallory")
    head, body, sig = good.split(".")
    return {
        "none at all": None,
        "empty": "",
        "garbage": "garbage",
        "two parts": f"{head}.{body}",
        "four parts": good + ".x",
        "no signature": f"{head}.{body}.",
        "changed signature": f"{head}.{body}.{sig[::-1]}",
        "changed claims": ".".join([
            head, tokens.b64('{"sub":"admin","exp":%d}' % (now + 99)), sig]),
        "another secret": tokens.token("m", secret="x" * 32),
        "alg none": tokens.encode(c("m"), alg="none"),
        "alg NONE": tokens.encode(c("m"), alg="NONE"),
        "alg HS512": tokens.encode(c("m"), alg="HS512"),
        "alg HS384": tokens.encode(c("m"), alg="HS384"),
        "unknown kid": tokens.token("m", kid="nobody"),
        "expired": tokens.token("m", ttl=-60),
        "not yet": tokens.encode(c("m", nbf=now + 600)),
        "without exp": tokens.encode(c("m", exp=None)),
        "exp as text": tokens.encode(c("m", exp=str(now + 600))),
        "without sub": tokens.encode({"role": "student", "exp": now + 600}),
        "empty sub": tokens.encode(c("")),
        "sub with space": tokens.encode(c("a b")),
        "sub too long": tokens.encode(c("a" * 65)),
        "sub a number": tokens.encode({**c("m"), "sub": 7}),
        "unknown role": tokens.encode(c("m", role="root")),
        "too long": tokens.encode(c("m", pad="x" * 9000)),
    }


@pytest.mark.parametrize("what", bad_tokens())
async def test_bad_token_is_401_before_upgrade(stack, what):
    token = bad_tokens()[what]
    with pytest.raises(Refused) as e:
        await Ws.connect(stack.ws(), token)
    assert e.value.status == 401
    assert e.value.json["success"] is False
    assert e.value.json["error"]["code"] == "unauthorized"
    assert e.value.json["message"]
    if token:
        for text in (token, token.split(".")[-1]):
            assert not text or text.encode() not in e.value.body
    reply = stack.rest(token or None).get("/api/conversations")
    reply.refused(401, "unauthorized")


async def test_bad_tokens_in_the_other_places(stack):
    for how in ("header", "protocol"):
        for what, token in bad_tokens().items():
            if token is None or what == "empty":
                continue
            with pytest.raises(Refused) as e:
                await Ws.connect(stack.ws(), token, how=how)
            assert e.value.status == 401, what


async def test_origin(stack):
    token = tokens.token(unique("ann"))

    async def status(server, origin):
        try:
            ws = await Ws.connect(stack.ws(server=server), token,
                                  origin=origin)
        except Refused as e:
            assert e.json["error"]["code"] == "forbidden"
            return e.status
        await ws.close()
        return 101

    assert await status("cors", None) == 101            # an app
    assert await status("cors", "https://app.example") == 101
    assert await status("cors", "https://b.example") == 101
    assert await status("cors", "https://evil.example") == 403
    assert await status("cors", "https://app.example.evil.org") == 403
    assert await status("cors", "http://app.example") == 403
    assert await status("cors", "null") == 403
    assert await status("anyorigin", "https://evil.example") == 101
    assert await status("main", "https://evil.example") == 403
    assert await status("main", stack.http()) == 101    # its own pages


async def test_not_a_websocket_request(stack):
    token = tokens.token(unique("ann"))
    url = stack.ws()
    with pytest.raises(Refused) as e:
        await Ws.connect(url, token, headers=[("Sec-WebSocket-Version",
                                               "12")])
    assert e.value.status in (400, 426)
    assert e.value.headers["Sec-WebSocket-Version"] == "13"
    for drop in ("Upgrade", "Connection", "Sec-WebSocket-Key",
                 "Sec-WebSocket-Version"):
        with pytest.raises(Refused) as e:
            await Ws.connect(url, token, drop=[drop])
        assert e.value.status in (400, 426), drop
    with pytest.raises(Refused) as e:
        await Ws.connect(url, token, headers=[("Sec-WebSocket-Key", "abc")])
    assert e.value.status == 400


async def test_issuer_and_audience(stack):
    url = stack.ws(server="claims")
    user = unique("ann")

    async def status(**more):
        try:
            ws = await Ws.connect(url, tokens.token(user, **more))
        except Refused as e:
            return e.status
        assert (await ws.recv())["event"] == "connected"
        await ws.close()
        return 101

    assert await status(iss="writeen-auth", aud="chat") == 101
    assert await status(iss="writeen-auth", aud=["x", "mobile"]) == 101
    assert await status(iss="writeen-auth", aud="other") == 401
    assert await status(iss="writeen-auth") == 401
    assert await status(iss="other", aud="chat") == 401
    assert await status(aud="chat") == 401


async def test_public_keys_and_rotation(make_stack, tmp_path):
    """RS256 and ES256 by file, several keys by kid; no key is taken for
    another's algorithm."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True,
                       cwd=tmp_path)

    openssl("genrsa", "-out", "rs.key", "2048")
    openssl("rsa", "-in", "rs.key", "-pubout", "-out", "rs.pub")
    for n in ("es1", "es2"):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout",
                "-out", f"{n}.key")
        openssl("ec", "-in", f"{n}.key", "-pubout", "-out", f"{n}.pub")
    pub = tmp_path / "rs.pub"
    stack = make_stack(servers={"keys": Server(
        f"writeen_jwt_key RS256 file:{pub} kid=rs;"
        f"writeen_jwt_key ES256 file:{tmp_path}/es1.pub kid=es1;"
        f"writeen_jwt_key ES256 file:{tmp_path}/es2.pub kid=es2;"
        f"writeen_jwt_key HS256 {tokens.SECRET} kid=hs;")})
    url = stack.ws(server="keys")
    c = tokens.claims(unique("ann"))

    async def status(token):
        try:
            ws = await Ws.connect(url, token)
        except Refused as e:
            return e.status
        await ws.close()
        return 101

    key = {n: tmp_path / f"{n}.key" for n in ("rs", "es1", "es2")}
    assert await status(tokens.encode_pem(c, "RS256", key["rs"], "rs")) == 101
    assert await status(tokens.encode_pem(c, "ES256", key["es1"],
                                          "es1")) == 101
    assert await status(tokens.encode_pem(c, "ES256", key["es2"],
                                          "es2")) == 101
    assert await status(tokens.encode(c, kid="hs")) == 101
    # the key of another kid, no kid, another algorithm under a kid
    assert await status(tokens.encode_pem(c, "ES256", key["es1"],
                                          "es2")) == 401
    assert await status(tokens.encode_pem(c, "RS256", key["rs"])) == 401
    assert await status(tokens.encode(c, kid="es1")) == 401
    # the classic: a public key taken for an HMAC secret
    assert await status(tokens.encode(c, secret=pub.read_text(),
                                      kid="rs")) == 401


async def test_keys_are_rotated_by_reloads(make_stack, tmp_path):
    """A second key, then the first one goes: who was told to come back comes
    with a token of the second, and one of the first opens no door."""
    file = tmp_path / "secret"
    secrets = ["first-secret-0123456789abcdef0123456789",
               "second-secret-0123456789abcdef012345678"]
    file.write_text(secrets[0] + "\n")
    first = f"writeen_jwt_key HS256 file:{file} kid=k1;"
    both = first + f"writeen_jwt_key HS256 {secrets[1]} kid=k2;"
    second = both.replace(first, "")
    stack = make_stack(servers={"keys": Server(first)})
    nginx = stack.nginx[0]
    user = unique("ann")
    old, new = (tokens.token(user, secret=s, kid=f"k{i}")
                for i, s in enumerate(secrets, 1))

    def reload(conf, instead):
        assert conf in nginx.conf
        nginx.conf = nginx.conf.replace(conf, instead)
        status, said = nginx.test()
        assert status == 0, said
        nginx.reload()

    async def doors(token):
        try:
            ws = await Ws.connect(stack.ws(server="keys"), token)
            await ws.close()
            socket = 101
        except Refused as e:
            socket = e.status
        rest = await stack.rest(token, server="keys").aget("/api/unread")
        return socket, rest.status

    assert await doors(old) == (101, 200)
    assert await doors(new) == (401, 401)

    reload(first, both)
    assert await doors(old) == (101, 200)
    assert await doors(new) == (101, 200)
    ws = await Ws.connect(stack.ws(server="keys"), old)
    await ws.wait("connected")
    ws.send("refresh_token", {"token": new}, id="r")
    assert (await ws.wait(("ack", "error")))["event"] == "ack"

    reload(both, second)
    assert (await ws.wait_closed())[0] == 1012
    assert await doors(old) == (401, 401)
    assert await doors(new) == (101, 200)

    # the same kid, another secret in its file
    reload(second, first)
    assert await doors(old) == (101, 200)
    file.write_text(secrets[1] + "\n")
    nginx.reload()
    assert await doors(old) == (401, 401)


async def test_token_expires_unless_refreshed(stack):
    url = stack.ws(server="quick")
    users = uniques("ann", "bob", "cho")
    ttl = 8                         # time to connect and to refresh it
    end = time.time() + ttl
    gone = await Ws.hello(url, users[0], ttl=ttl)
    kept = await Ws.hello(url, users[1], ttl=ttl)
    await gone.wait("token_expiring", 2)
    await kept.wait("token_expiring", 2)
    kept.send("refresh_token", {"token": tokens.token(users[1])}, id="r1")
    ack = await kept.wait("ack")
    assert ack["data"]["id"] == "r1"
    code, _ = await gone.wait_closed(ttl + 6)
    assert code == 4401
    assert time.time() < end + 4    # the usual leeway would be 5 s more
    await kept.quiet(1.5)
    kept.send("ping")
    await kept.wait("pong")
    await kept.close()

    # 60 s before the end, not earlier
    start = time.time()             # of the token: not what comes after it
    soon = await Ws.hello(url, users[2], ttl=62)
    await soon.wait("token_expiring", 5)
    assert time.time() - start > 0.8
    await soon.close()


async def test_refresh_with_a_wrong_token(stack):
    """Neither a bad token nor another user's changes anything."""
    user, other = uniques("ann", "eve")
    ws = await Ws.hello(stack.ws(), user)
    for token in ("garbage", tokens.token(user, ttl=-60),
                  tokens.token(user, secret="y" * 32),
                  tokens.token(other)):
        ws.send("refresh_token", {"token": token}, id="x")
        error = await ws.wait("error")
        assert error["data"]["id"] == "x"
        assert error["data"]["event"] == "refresh_token"
        assert error["data"]["code"] in ("unauthorized", "forbidden")
        assert error["data"]["retryable"] is False
        assert token not in str(error)
    room = stack.make_room(user, other)
    await send(ws, room, "still me")
    m = stack.rest(tokens.token(user)).history(room)[-1]
    assert m["senderId"] == user
    await ws.close()
