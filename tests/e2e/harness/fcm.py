"""A double of FCM: OAuth's token endpoint, HTTP v1 send, and a webhook.

It speaks what Google documents: the assertion of the token request is
verified (RS256 by the account's public key, issuer, scope, audience, times),
sends need the token it gave out, and errors have FCM's form.  How it answers
is set by behave(), delays included; what came is in `log`.

    with Fcm(dir) as fcm:
        env = fcm.env()             # settings of the worker
        fcm.behave(match="bad", status=404, code="UNREGISTERED")
        fcm.sends()                 # messages that were accepted

As a program it serves the unit tests: see main().
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import secrets
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

PROJECT = "writeen-test"
EMAIL = "push@writeen-test.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
HOOK_SECRET = "webhook-secret-of-tests"

STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED",
          403: "PERMISSION_DENIED", 404: "NOT_FOUND",
          429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}

# DER of the DigestInfo of SHA-256 (RFC 8017, 9.2)
SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def rs256_valid(signed, signature, modulus, exponent=65537):
    size = (modulus.bit_length() + 7) // 8
    if len(signature) != size:
        return False
    have = pow(int.from_bytes(signature, "big"), exponent, modulus)
    digest = SHA256 + hashlib.sha256(signed).digest()
    want = b"\0\1" + b"\xff" * (size - 3 - len(digest)) + b"\0" + digest
    return have.to_bytes(size, "big") == want


def openssl(*args, text=None):
    return subprocess.run(["openssl", *args], input=text, check=True,
                          capture_output=True, text=True).stdout


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.fcm.handle(self, self.path, body)

    def do_GET(self):
        self.server.fcm.handle(self, self.path, b"")

    def answer(self, status, value, headers=None):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, content in (headers or {}).items():
            self.send_header(name, content)
        self.end_headers()
        self.wfile.write(text)


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """Who hangs up is no error of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Fcm:
    def __init__(self, folder, *, host="127.0.0.1", tls=False):
        self.dir = Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.lock = threading.Condition()
        self.rules = []
        self.log = []               # every request but our own
        self.tokens = {}            # access token -> until when
        self.token_life = 3600
        self.server = Listener((host, 0), Handler)
        self.server.fcm = self
        self.port = self.server.server_address[1]
        scheme = "http"
        if tls:
            scheme = "https"
            self._tls()
        self.url = f"{scheme}://{host}:{self.port}"
        self._account()
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       kwargs={"poll_interval": 0.05},
                                       daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def _tls(self):
        self.cert = self.dir / "cert.pem"
        key = self.dir / "tls.pem"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                "-subj", "/CN=double", "-addext",
                "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out",
                str(self.cert))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, key)
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True,
            do_handshake_on_connect=False)

    def _account(self):
        key = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt",
                      "rsa_keygen_bits:2048")
        text = openssl("rsa", "-noout", "-modulus", text=key)
        self.modulus = int(text.strip().split("=")[1], 16)
        self.credentials = self.dir / "account.json"
        self.credentials.write_text(json.dumps({
            "type": "service_account", "project_id": PROJECT,
            "private_key_id": "key1", "private_key": key,
            "client_email": EMAIL, "token_uri": self.url + "/token"},
            indent=2))

    def env(self):
        return {"FCM_CREDENTIALS": str(self.credentials),
                "FCM_ENDPOINT": self.url}

    def hook_env(self):
        return {"WEBHOOK_URL": self.url + "/hook",
                "WEBHOOK_SECRET": HOOK_SECRET,
                "WEBHOOK_ALLOW_PRIVATE": "on"}

    # ---- by command ----

    def behave(self, *, path="send", match="", status=200, code=None,
               times=None, retry_after=None, delay=0, message=None,
               close=False):
        """How requests to this path ("send", "token", "hook") whose body has
        `match` in it are answered, so many times; close: not at all."""
        with self.lock:
            self.rules.append({
                "path": path, "match": match, "status": status, "code": code,
                "left": times, "retry_after": retry_after, "delay": delay,
                "message": message, "close": close})

    def calm(self):
        with self.lock:
            self.rules.clear()

    def forget_tokens(self):
        with self.lock:
            self.tokens.clear()

    def _rule(self, path, body):
        with self.lock:
            for rule in self.rules:
                if rule["path"] == path and rule["left"] != 0 \
                        and rule["match"] in body:
                    if rule["left"]:
                        rule["left"] -= 1
                    return dict(rule)
        return None

    # ---- what came ----

    def note(self, entry):
        with self.lock:
            entry["at"] = time.time()
            self.log.append(entry)
            self.lock.notify_all()

    def entries(self, path):
        with self.lock:
            return [e for e in self.log if e["path"] == path]

    def sends(self, token=None, kind=None):
        """Messages that were accepted."""
        return [e["message"] for e in self.entries("send")
                if e["status"] == 200
                and (token is None or e["message"]["token"] == token)
                and (kind is None or e["message"]["data"]["kind"] == kind)]

    def wait(self, condition, timeout=20, what="at the double"):
        """Until condition() is true; looked at whenever something came."""
        from .net import patience       # a program has no package
        timeout = patience(timeout)
        end = time.monotonic() + timeout
        with self.lock:
            while True:
                value = condition()
                if value:
                    return value
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(
                        f"nothing {what} in {timeout} s; it has "
                        f"{self.log[-5:]}")
                self.lock.wait(min(left, 0.5))

    # ---- answering ----

    def handle(self, h, path, body):
        text = body.decode("utf-8", "replace")
        if path == "/token":
            self._token(h, text)
        elif path == f"/v1/projects/{PROJECT}/messages:send":
            self._send(h, text)
        elif path.startswith("/hook"):
            self._hook(h, body)
        elif path == "/double/behave":
            self.behave(**json.loads(text))
            h.answer(200, {})
        elif path == "/double/calm":
            self.calm()
            h.answer(200, {})
        elif path == "/double/forget":
            self.forget_tokens()
            h.answer(200, {})
        elif path == "/double/log":
            with self.lock:
                h.answer(200, self.log)
        else:
            h.answer(404, {"error": {"code": 404, "status": "NOT_FOUND",
                                     "message": "no such path"}})

    def _answer(self, h, entry, status, value, headers=None):
        """What came is noted before who sent it knows."""
        self.note({**entry, "status": status})
        h.answer(status, value, headers)

    def _ruled(self, h, rule, entry):
        """Answer as the rule says.  False: as always."""
        if rule is None:
            return False
        if rule["delay"]:
            time.sleep(rule["delay"])
        if rule["close"]:
            self.note({**entry, "status": 0})
            h.close_connection = True
            return True
        if rule["status"] == 200:
            return False
        details = []
        if rule["code"]:
            details.append({
                "@type": "type.googleapis.com/"
                         "google.firebase.fcm.v1.FcmError",
                "errorCode": rule["code"]})
        headers = {}
        if rule["retry_after"] is not None:
            headers["Retry-After"] = str(rule["retry_after"])
        if rule["status"] // 100 == 3:
            headers["Location"] = self.url + "/elsewhere"
        self._answer(h, entry, rule["status"], {"error": {
            "code": rule["status"],
            "status": STATUS.get(rule["status"], "UNKNOWN"),
            "message": rule["message"] or "as the test wants it",
            "details": details}}, headers)
        return True

    def _assertion(self, text):
        """Why it is refused, None: it is right."""
        form = parse_qs(text)
        if form.get("grant_type") != [GRANT]:
            return "unsupported_grant_type"
        parts = form.get("assertion", [""])[0].split(".")
        if len(parts) != 3:
            return "invalid_grant"
        head, claims = (json.loads(unbase64(p)) for p in parts[:2])
        now = time.time()
        ok = (head.get("alg") == "RS256" and head.get("kid") == "key1"
              and claims.get("iss") == EMAIL
              and claims.get("scope") == SCOPE
              and claims.get("aud") == self.url + "/token"
              and abs(claims.get("iat", 0) - now) < 300
              and now < claims.get("exp", 0) <= claims["iat"] + 3600
              and rs256_valid(".".join(parts[:2]).encode(),
                              unbase64(parts[2]), self.modulus))
        return None if ok else "invalid_grant"

    def _token(self, h, text):
        entry = {"path": "token"}
        if self._ruled(h, self._rule("token", text), entry):
            return
        why = self._assertion(text)
        if why:
            self._answer(h, entry, 400, {
                "error": why, "error_description": "Invalid JWT Signature."})
            return
        token = "ya29." + secrets.token_urlsafe(24)
        with self.lock:
            self.tokens[token] = time.time() + self.token_life
        self._answer(h, entry, 200, {
            "access_token": token, "token_type": "Bearer",
            "expires_in": self.token_life})

    def _send(self, h, text):
        bearer = h.headers.get("Authorization", "")
        message = json.loads(text)["message"]
        entry = {"path": "send", "message": message}
        with self.lock:
            known = self.tokens.get(bearer.removeprefix("Bearer "), 0)
        if not bearer.startswith("Bearer ") or known < time.time():
            self._answer(h, entry, 401, {"error": {
                "code": 401, "status": "UNAUTHENTICATED",
                "message": "Request had invalid authentication "
                           "credentials."}})
        elif not all(isinstance(v, str) for v in message["data"].values()):
            self._answer(h, entry, 400, {"error": {
                "code": 400, "status": "INVALID_ARGUMENT",
                "message": "Invalid value at 'message.data'"}})
        elif not self._ruled(h, self._rule("send", text), entry):
            self._answer(h, entry, 200, {
                "name": f"projects/{PROJECT}/messages/"
                        + secrets.token_hex(8)})

    def _hook(self, h, body):
        text = body.decode()
        entry = {"path": "hook", "message": json.loads(text),
                 "signed": hook_signed(h.headers, body)}
        if not self._ruled(h, self._rule("hook", text), entry):
            self._answer(h, entry, 200, {})


def hook_signed(headers, body, secret=HOOK_SECRET):
    """Is X-Writeen-Signature right, as a receiver would check it?"""
    value = headers.get("X-Writeen-Signature", "")
    parts = dict(p.split("=", 1) for p in value.split(",") if "=" in p)
    t = parts.get("t", "0")
    want = hmac.new(secret.encode(), t.encode() + b"." + body,
                    hashlib.sha256).hexdigest()
    return hmac.compare_digest(want, parts.get("v1", "")) \
        and abs(int(t) - time.time()) < 300


def main():
    """fcm.py --dir DIR [--tls] -- COMMAND...: run it beside a double, with
    its address in WRT_TEST_FCM and its account's file in
    WRT_TEST_FCM_ACCOUNT."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", required=True)
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()

    with Fcm(Path(args.dir) / "plain") as fcm, \
            Fcm(Path(args.dir) / "tls", tls=True) as tls:
        env = {"WRT_TEST_FCM": fcm.url,
               "WRT_TEST_FCM_ACCOUNT": str(fcm.credentials),
               "WRT_TEST_TLS": tls.url,
               "WRT_TEST_TLS_ACCOUNT": str(tls.credentials),
               "WRT_TEST_TLS_CERT": str(tls.cert)}
        os.environ.update(env)
        return subprocess.run(args.command).returncode


if __name__ == "__main__":
    sys.exit(main())
