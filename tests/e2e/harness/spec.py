"""docs/api/ as the judge of everything that the tests say and are told.

    spec.check_answer("GET", "/api/unread", 200, "application/json", raw)
    spec.check_frame(event)             # from the server
    spec.allowed(text)                  # from a client: True, False, None

Answers and frames of the server have to be as they are described, member for
member: here, objects may have no others than those.  A client may say more
than is described, and often does in tests; what counts is that the server
refuses what is not described, and nothing that is (Judge).
"""

import copy
import functools
import json
import re
from pathlib import Path

import jsonschema_rs
import yaml

API = Path(__file__).resolve().parents[3] / "docs" / "api"
METHODS = ("get", "post", "put", "patch", "delete")
MOVED = (301, 302, 307, 308)
EMPTY = {101, 304}                  # answers without a body
DEPTH = 8                           # WRT_JSON_DEPTH_MAX


@functools.cache
def documents():
    """(openapi, asyncapi) as they are."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(yaml.load((API / name).read_text(), loader)
                 for name in ("openapi.yaml", "asyncapi.yaml"))


def routes():
    """{(METHOD, path)} of openapi.yaml."""
    return {(method.upper(), path)
            for path, item in documents()[0]["paths"].items()
            for method in item if method in METHODS}


@functools.cache
def schemas(closed):
    """All schemas of both documents in one, those of events as ws_<name>."""
    rest, events = documents()
    out = copy.deepcopy(rest["components"]["schemas"])
    for name, schema in copy.deepcopy(
            events["components"]["schemas"]).items():
        out["ws_" + name] = schema
    for name, schema in out.items():
        _prepare(schema, closed, name.startswith("ws_"))
    return out


def _prepare(schema, closed, of_events):
    if isinstance(schema, list):
        for s in schema:
            _prepare(s, closed, of_events)
    if not isinstance(schema, dict):
        return
    ref = schema.get("$ref")
    if ref and ref.startswith("#") and of_events:
        schema["$ref"] = ref.replace("/schemas/", "/schemas/ws_")
    elif ref:
        schema["$ref"] = "#" + ref.split("#")[1]
    if closed and "properties" in schema:
        schema.setdefault("additionalProperties", False)
    for value in schema.values():
        _prepare(value, closed, of_events)


@functools.cache
def validator(name, closed=True):
    return jsonschema_rs.Draft202012Validator({
        "$ref": f"#/components/schemas/{name}",
        "components": {"schemas": schemas(closed)}})


def complain(what, name, value):
    """What is wrong, for people; None: nothing."""
    v = validator(name)
    if v.is_valid(value):
        return None
    # of alternatives the first that is not about the alternatives themselves
    wrong = [f"/{'/'.join(map(str, e.instance_path))}: {e.message[:300]}"
             for e in v.iter_errors(value)]
    return f"{what} is not as docs/api says ({name}): " + "; ".join(wrong[:3])


# ---- REST ---------------------------------------------------------------

@functools.cache
def _paths():
    """[(pattern, path item)], those without parameters first."""
    paths = documents()[0]["paths"]
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + r"\Z"), item)
            for path, item in sorted(paths.items(),
                                     key=lambda p: p[0].count("{"))]


def operation(method, path):
    """What openapi.yaml says of it, or None."""
    method = "get" if method == "HEAD" else method.lower()
    for pattern, item in _paths():
        if pattern.match(path) and method in item:
            return item[method]
    return None


def _resolve(node):
    while "$ref" in node:
        at = documents()[0]
        for part in node["$ref"][2:].split("/"):
            at = at[part]
        node = at
    return node


def check_answer(method, path, status, content_type, raw):
    """Fails unless openapi.yaml has such an answer."""
    path = path.split("?")[0]           # there may be a token behind it
    what = f"{status} to {method} {path}"
    op = operation(method, path)
    content_type = (content_type or "").split(";")[0]

    # a configuration's own: pages that it serves, where it sends browsers
    if (op is None and not path.startswith("/api/")) or status in MOVED:
        return

    if op is None:
        # no such route: an error, with or without us
        assert status >= 400 or method == "OPTIONS", \
            f"{what}: docs/api has no such route"
        answer = {"content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/Error"}}}}
        if content_type != "application/json":
            return
    else:
        answer = op["responses"].get(str(status))
        if answer is None and status >= 400 and not path.startswith("/api/"):
            return                      # where it is, a configuration says
        assert answer is not None, f"{what}: docs/api has no such answer"
        answer = _resolve(answer)

    if status in EMPTY or method == "HEAD":
        return
    content = answer.get("content", {})
    if not content:
        return
    assert content_type in content, \
        f"{what}: {content_type} is not in docs/api, but {list(content)}"
    if content_type == "application/json":
        ref = content[content_type]["schema"]["$ref"]
        wrong = complain(what, ref.rsplit("/", 1)[1], json.loads(raw))
        assert wrong is None, wrong


# ---- events -------------------------------------------------------------

@functools.cache
def sides():
    """({what clients may say}, {what they are told})."""
    ops = documents()[1]["operations"]
    return tuple({m["$ref"].rsplit("/", 1)[1] for m in ops[o]["messages"]}
                 for o in ("fromClient", "toClient"))


def check_frame(event):
    """An event of the server (parsed) is as asyncapi.yaml says."""
    name = event.get("event")
    assert name in sides()[1], f"asyncapi.yaml has no event {name!r}"
    wrong = complain(f"event {name}", f"ws_{name}_frame", event)
    assert wrong is None, wrong


class _Twice(ValueError):
    pass


def _once(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise _Twice("a member stands twice")
    return out


def _depth(value):
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def allowed(text):
    """May a client say this?  None: it is about what a schema can not say
    (lengths in bytes, how a number is spelled)."""
    try:
        frame = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return False
    if not isinstance(frame, dict) or _depth(frame) > DEPTH:
        return False
    name = frame.get("event")
    if not isinstance(name, str) or name not in sides()[0]:
        return False
    if not validator(f"ws_{name}_frame", False).is_valid(frame):
        return False
    if not text.isascii() or "\\u" in text or re.search(r"\d[.eE]", text):
        return None
    return True


# Of these a part is looked at by the worker pool, after what came later.
LATER = re.compile(r'"event"\s*:\s*"(add_reaction|remove_reaction|'
                   r'set_presence|edit_message|delete_message)"')


class Judge:
    """Of one connection: the server refuses what is not described, and
    nothing that is."""

    REFUSED = {"invalid_request", "too_large"}

    def __init__(self):
        self.unsure = False         # raw bytes were sent, fragments
        self.wrong = []             # frames that have to be refused
        self.maybe = 0

    def said(self, text):
        may = allowed(text)
        if may is False:
            self.wrong.append(text[:300])
        self.maybe += may is None

    def told(self, event):
        """An event of the server; fails when it refused what is right."""
        check_frame(event)
        if event["event"] != "error":
            return
        data = event["data"]
        if data["code"] not in self.REFUSED | {"rate_limited"}:
            return
        if self.wrong:
            del self.wrong[0]
        elif self.maybe:
            self.maybe -= 1
        else:
            assert self.unsure or data["code"] not in self.REFUSED, \
                f"refused, but right by asyncapi.yaml: {event}"

    def over(self):
        """Close was answered, so everything before it was: fails when
        something was taken that is not right."""
        left = [w for w in self.wrong if not LATER.search(w)]
        assert self.unsure or len(left) <= self.maybe, \
            f"taken, but not right by asyncapi.yaml: {left}"
