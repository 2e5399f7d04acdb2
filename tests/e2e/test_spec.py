"""docs/api has every route and every event that there is, and no other.

What answers and frames look like is compared wherever a test makes a call or
has a connection (harness/spec.py).
"""

import re

from harness import spec
from harness.parts import REPO

MODULE = REPO / "ngx_writeen_module"

def plain(path):
    """With all parameters alike."""
    return re.sub(r"\{\w+\}", "{}", path)


def of_worker():
    """The table of worker/api_route.c, without what only nginx asks."""
    text = (REPO / "worker" / "api_route.c").read_text()
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
    for folder, ending in ((MODULE, "*.c"), (REPO / "worker", "*.c"),
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


def test_operation_ids():
    """Each has a name of its own, and every parameter of its path."""
    ids = []
    for path, item in spec.documents()[0]["paths"].items():
        for method, op in item.items():
            ids.append(op["operationId"])
            names = {p["name"] for p in map(spec._resolve,
                                            op.get("parameters", []))
                     if p["in"] == "path"}
            assert names == set(re.findall(r"\{(\w+)\}", path)), (method,
                                                                  path)
    assert len(ids) == len(set(ids))
