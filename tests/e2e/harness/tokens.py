"""JWTs made by hand, so that wrong ones can be made, too.

Every token is remembered: at the end of a stack no log may hold a piece of
one (logs.py).
"""

import base64
import hashlib
import hmac
import json
import subprocess
import time

SECRET = "e2e-secret-0123456789abcdef0123456789"

minted = set()      # the signatures and payloads of all tokens of this run


def b64(data):
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _remember(token):
    for part in token.split(".")[1:]:
        if len(part) >= 20:
            minted.add(part)
    return token


def encode(claims, *, alg="HS256", secret=SECRET, kid=None, header=None):
    """An HS* token, or an unsigned one for alg none."""
    head = {"alg": alg, "typ": "JWT"}
    if kid is not None:
        head["kid"] = kid
    if header:
        head.update(header)
    signed = b64(json.dumps(head)) + "." + b64(json.dumps(claims))
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384,
              "HS512": hashlib.sha512}.get(alg)
    if digest is None:
        return _remember(signed + ".")
    mac = hmac.new(secret.encode(), signed.encode(), digest).digest()
    return _remember(signed + "." + b64(mac))


def claims(sub, *, role="student", name=None, ttl=3600, **more):
    out = {"sub": sub, "role": role, "name": name or sub.title(),
           "iat": int(time.time()), "exp": int(time.time()) + ttl}
    out.update(more)
    return {k: v for k, v in out.items() if v is not None}


def token(sub, *, secret=SECRET, kid=None, **more):
    """A good token."""
    return encode(claims(sub, **more), secret=secret, kid=kid)


def _der_to_raw(der, size):
    """ECDSA's DER signature as JOSE wants it: r and s, each of fixed size."""
    def number(at):
        n = der[at + 1]
        value = der[at + 2:at + 2 + n].lstrip(b"\0")
        return value.rjust(size, b"\0"), at + 2 + n

    r, at = number(2)
    s, _ = number(at)
    return r + s


def encode_pem(claims_, alg, key_path, kid=None):
    """An RS256 or ES256 token, signed by the openssl program."""
    head = {"alg": alg, "typ": "JWT"}
    if kid is not None:
        head["kid"] = kid
    signed = b64(json.dumps(head)) + "." + b64(json.dumps(claims_))
    sig = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", str(key_path)],
        input=signed.encode(), check=True, capture_output=True).stdout
    if alg.startswith("ES"):
        sig = _der_to_raw(sig, 32)
    return _remember(signed + "." + b64(sig))
