"""docs/api has every route and every event that there is, and no other.

What answers and frames look like is compared wherever a test makes a call or
has a connection (harness/spec.py).
"""

import json
import re

import pytest

from harness import spec, story
from harness.parts import REPO
from harness.scene import uniques

MODULE = REPO / "ngx_writeen_module"

def plain(path):
    """With all parameters alike."""
    return re.sub(r"\{\w+\}", "{}", path)


def of_worker():
    """The table of worker/api/api_route.c, without what only nginx asks."""
    text = (REPO / "worker/api/api_route.c").read_text()
    table = text[text.index("api_routes[] = {"):]
    table = table[:table.index("};")]
    found = re.findall(r'\{\s*"([A-Z]+)",\s*"(/[^"]*)",', table)
    assert len(found) > 50, "the table of routes looks different now"
    return {(method, re.sub(r"[:*]", "{}", path)) for method, path in found}


def of_module():
    """What the module answers by itself: calls of api_tail(), the table of
    file.c, and what the example of a configuration has on."""
    text = {p.name[len("ngx_http_writeen_"):]: p.read_text()
            for p in MODULE.glob("*.c")}
    tails = {t for s in text.values()
             for t in re.findall(r'_api_tail\(r, "(/\w+)"', s)}
    files = {re.sub(r"(/thumbnails)/\w+", r"\1/{}", t) for t in re.findall(
        r'\{ ngx_string\("(/[^"]+)"\), ngx_string', text["file.c"])}
    conf = re.sub(r"#.*", "",
                  (REPO / "tools" / "nginx.conf.in").read_text())
    places = re.findall(r"location = (/\w+) \{[^}]*?writeen_(\w+)\s+on;",
                        conf)
    assert {what for _, what in places} == {"websocket", "health", "metrics"}
    assert len(tails) >= 2 and len(files) >= 2
    return ({("POST", "/api/conversations/{}" + t) for t in tails}
            | {("GET", "/api/files/{}" + t) for t in files}
            | {("GET", path) for path, _ in places})


def events_of(text, pattern):
    found = set(re.findall(pattern, text))
    assert found
    return found


def test_routes():
    described = {(method, plain(path)) for method, path in spec.routes()}
    served = of_worker() | of_module()
    assert described - served == set(), "docs/api/openapi.yaml has more"
    assert served - described == set(), "docs/api/openapi.yaml lacks some"


def test_what_clients_may_say():
    text = (MODULE / "ngx_http_writeen_event.c").read_text()
    table = text[text.index("ngx_http_writeen_events[] = {"):]
    table = table[:table.index("};")]
    assert spec.sides()[0] == events_of(table, r'\{ "(\w+)",')


def test_what_clients_are_told():
    """Wherever an event is made, its name stands as text."""
    said = set()
    for folder, ending in ((MODULE, "*.c"), (REPO / "worker", "**/*.c"),
                           (REPO / "common", "*.c"),
                           (REPO / "sql_or_mongo_scripts" / "redis",
                            "*.lua")):
        for path in folder.glob(ending):
            text = path.read_text().replace('\\"', '"')
            said |= set(re.findall(r'\{"event":"(\w+)"', text))
            said |= set(re.findall(r'"event",\s*"(\w+)"', text))
            said |= set(re.findall(
                r'change_event\([^;]*?"(\w+_(?:updated|deleted))"', text))
    assert spec.sides()[1] == said


def test_operations():
    """Each has a name of its own, every parameter of its path, and 404 for
    what is no id in it."""
    ids = []
    for path, item in spec.documents()[0]["paths"].items():
        for method, op in item.items():
            ids.append(op["operationId"])
            names = {p["name"] for p in map(spec._resolve,
                                            op.get("parameters", []))
                     if p["in"] == "path"}
            assert names == set(re.findall(r"\{(\w+)\}", path)), (method,
                                                                  path)
            assert not names or "404" in op["responses"], (method, path)
    assert len(ids) == len(set(ids))


# ---- the judge himself --------------------------------------------------

PONG = {"event": "pong", "data": {"serverTime": "2024-01-15T14:30:00.000Z"}}


def test_frames_of_the_server():
    spec.check_frame(PONG)
    for wrong in ({"event": "gong", "data": {}},
                  {"event": "pong", "data": {}},
                  {"event": "pong", "data": {"serverTime": "today"}},
                  {**PONG, "more": 1},
                  {"event": "pong", "data": {**PONG["data"], "more": 1}}):
        with pytest.raises(AssertionError):
            spec.check_frame(wrong)


def test_frames_of_clients():
    say = json.dumps
    join = {"event": "join_conversation", "data": {"conversationId": "r"}}
    for text in (say(join), say({**join, "id": "1", "more": 1}),
                 '{"event":"ping"}', say({"event": "ping", "data": None})):
        assert spec.allowed(text) is True, text
    for text in ("", "[]", "{", say({"event": "dance", "data": {}}),
                 say({**join, "id": 5}),
                 say({"event": "join_conversation", "data": {}}),
                 '{"event":"ping","event":"ping"}',
                 say({**join, "data": {"conversationId": "a b"}}),
                 '{"event":"ping","data":' + '{"a":' * 9 + "1" + "}" * 10):
        assert spec.allowed(text) is False, text


def test_judge():
    refused = {"event": "error", "data": {
        "code": "invalid_request", "message": "no", "retryable": False}}
    judge = spec.Judge()
    judge.said("{")
    judge.told(refused)
    judge.over()
    with pytest.raises(AssertionError, match="refused, but right"):
        judge.told(refused)
    judge.said("{")
    judge.told(PONG)
    with pytest.raises(AssertionError, match="taken, but not right"):
        judge.over()


def test_answers():
    def check(data, path="/api/unread", status=200, kind="application/json"):
        spec.check_answer("GET", path, status, kind,
                          json.dumps({"success": True, "data": data}))
    right = {"total": 0, "conversations": []}
    check(right)
    for wrong in ({"total": 0}, {**right, "more": 1}, {**right, "total": "0"}):
        with pytest.raises(AssertionError, match="not as docs/api"):
            check(wrong)
    with pytest.raises(AssertionError, match="no such answer"):
        check(right, status=418)
    with pytest.raises(AssertionError, match="no such route"):
        check(right, path="/api/nothing")
    with pytest.raises(AssertionError, match="text/html"):
        check(right, kind="text/html")


# ---- the transcript -----------------------------------------------------

def told(lines):
    """What happens, without what comes when it likes."""
    names = [(line["do"], line.get("frame", {}).get("event"))
             for line in lines if line["do"] != "rest"]
    return [n for n in names if n[1] not in (
        "user_presence", "upload_progress", "ack")]


def test_transcript():
    """Its frames are as they are described, and who follows them ends where
    it says."""
    text = (spec.API / "transcript.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        if line["do"] == "get":
            spec.check_frame(line["frame"])
        elif line["do"] == "send":
            assert spec.allowed(json.dumps(line["frame"])) is not False
        elif line["do"] == "rest":
            spec.check_answer(line["method"], line["path"], line["status"],
                              "application/json", json.dumps(line["answer"]))
    view = story.replay(lines)
    assert view == {key: lines[-1][key] for key in view}
    assert len(view["messages"]) == 6
    assert "eyJ" not in text, "a token"


async def test_transcript_as_it_would_be_now(stack):
    """The same afternoon once more takes the same course."""
    text = (spec.API / "transcript.jsonl").read_text(encoding="utf-8")
    before = [json.loads(line) for line in text.splitlines()]
    now = await story.record(stack, *uniques("ani", "budi"))
    view = story.replay(now)
    assert view == {key: now[-1][key] for key in view}
    assert told(now) == told(before)
