#!/usr/bin/env python3
"""lint.py: what the compiler does not check.

Style of the C sources, who may include what, things that stand in two places
and must agree, cppcheck and shellcheck.  Each check is a function below; its
first line of documentation is its name in the output.  Problems are printed
as file:line: text; the last line has the totals, which also go to
build/test-results/lint.txt.
"""

import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(os.environ.get("TEST_RESULTS", ROOT / "build/test-results"))

COLUMNS = 80
FILE_LINES = 800
FUNCTION_LINES = 100

SKIP = {"build", "run", ".git", "__pycache__", "node_modules", "corpus",
        ".pytest_cache", ".hypothesis"}


class Source:
    """One text file, as written and, for C, without comments and strings."""

    def __init__(self, path):
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.split("\n")
        if self.text.endswith("\n"):
            self.lines.pop()
        self.comments = []          # (first line, text)
        self.is_c = path.suffix in (".c", ".h")
        if self.is_c:
            self.code = self.blank_c()

    def blank_c(self):
        """Lines with comments and literals replaced by blanks; // stays."""
        token = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
                           r"|'(?:\\.|[^'\\\n])*'|//[^\n]*", re.S)

        def blank(match):
            s = match.group(0)
            if s.startswith("/*"):
                line = self.text.count("\n", 0, match.start()) + 1
                self.comments.append((line, s))
            elif s.startswith("//"):
                return s
            elif len(s) >= 2:
                return s[0] + " " * (len(s) - 2) + s[-1]
            return re.sub(r"[^\n]", " ", s)

        return token.sub(blank, self.text).split("\n")

    def includes(self):
        for n, line in enumerate(self.lines, 1):
            m = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
            if m:
                yield n, m.group(1)


def files():
    for dirpath, dirs, names in os.walk(ROOT):
        dirs[:] = sorted(d for d in dirs if d not in SKIP)
        for name in sorted(names):
            yield Path(dirpath) / name


def load(*patterns):
    """By name, or by path from the top: there, * goes into folders, too."""
    return [s for s in SOURCES
            if any(fnmatch.fnmatchcase(s.name if "/" in p else s.path.name, p)
                   for p in patterns)]


def read_sources():
    suffixes = {".c", ".h", ".lua", ".py", ".sh", ".mk", ".t", ".pm", ".js",
                ".sql", ".in", ".md", ".json", ".yml", ".conf"}
    names = {"Makefile", "config", "CHANGES", ".gitignore"}
    return [Source(p) for p in files()
            if p.suffix in suffixes or p.name in names]


# ---- style ----

def check_blanks():
    """no tabs, no blanks at the end of a line, a newline at the end"""
    for s in SOURCES:
        tabs = s.name.endswith((".mk", "Makefile", ".md", ".json"))
        given = s.name.endswith("websocket_load_test.js")   # as it came to us
        for n, line in enumerate(s.lines, 1):
            if "\t" in line and not tabs:
                yield s, n, "tab"
            if "\r" in line:
                yield s, n, "carriage return"
            if line != line.rstrip() and not given:
                yield s, n, "blank at the end"
        if s.text and not s.text.endswith("\n"):
            yield s, len(s.lines), "no newline at the end"


def check_columns():
    """at most 80 columns"""
    for s in load("*.c", "*.h", "*.lua", "*.py", "*.sh", "*.in", "*.mk",
                  "config", "Makefile"):
        for n, line in enumerate(s.lines, 1):
            if len(line.expandtabs(8)) > COLUMNS:
                yield s, n, f"{len(line.expandtabs(8))} columns"


def check_comments():
    """no // comments, no code in comments, no #if 0, nothing left to do"""
    code = re.compile(r"^\s*/?\**\s*(\w[\w>.\[\]-]*\s*[-+|&]?=\s*[^=].*;"
                      r"|\w+\([^)]*\);|(if|for|while|switch)\s*\(.*\)\s*\{"
                      r"|return\b[^.]*;|[{}]|#\s*(if|define|include)\b.*)"
                      r"\s*(\*/)?\s*$")
    for s in SOURCES:
        if s.name.endswith(".md") or s.name == "tools/lint.py":
            continue
        for n, line in enumerate(s.lines, 1):
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", line):
                yield s, n, "left to do"
        if not s.is_c:
            continue
        for n, line in enumerate(s.code, 1):
            if "//" in line:
                yield s, n, "// comment"
            if re.match(r"\s*#\s*if\s+0\b", line):
                yield s, n, "#if 0"
        for first, text in s.comments:
            if "set by ngx_pcalloc():" in text:     # nginx's own habit
                continue
            for k, line in enumerate(text.split("\n")):
                if code.match(line):
                    yield s, first + k, "code in a comment"


def check_headers():
    """every C file opens with a comment that names it and what it owns"""
    for s in load("*.c", "*.h"):
        if not s.comments or s.comments[0][0] != 1:
            yield s, 1, "does not open with a comment"
        elif Path(s.name).name not in s.comments[0][1]:
            yield s, 1, "its opening comment does not name the file"


def check_file_length():
    """at most 800 lines a file"""
    for s in load("*.c", "*.h", "*.lua", "*.py", "*.sh", "*.t", "*.pm",
                  "*.js"):
        if len(s.lines) > FILE_LINES:
            yield s, len(s.lines), f"{len(s.lines)} lines"


def functions(s):
    """(line of its name, line of {, line of }) of each function."""
    start = None
    for n, line in enumerate(s.code, 1):
        if line.startswith("{"):
            start = n
        elif line.startswith("}") and start:
            if line.rstrip() == "}":
                yield start, n
            start = None


def check_function_length():
    """at most 100 lines a function, unless a comment says "Long because" """
    for s in load("*.c"):
        for start, end in functions(s):
            if end - start - 1 <= FUNCTION_LINES:
                continue
            above = [t for n, t in s.comments
                     if n == 1 or 0 < start - n - t.count("\n") <= 8]
            if not any("Long because" in t for t in above):
                yield s, start, f"function of {end - start - 1} lines"


def check_function_gap():
    """two blank lines between functions"""
    for s in load("*.c"):
        for _, end in functions(s):
            rest = s.lines[end:end + 3]
            blanks = 0
            for line in rest:
                if line:
                    break
                blanks += 1
            last = not any(s.lines[end:])
            directive = len(rest) > blanks and rest[blanks].startswith("#")
            if not last and blanks != 2 and not directive:
                yield s, end, f"{blanks} blank lines after a function"


def check_calls():
    """no unbounded string functions in what is shipped"""
    for s in load("common/*.[ch]", "worker/*.[ch]",
                  "ngx_writeen_module/*.[ch]"):
        for n, line in enumerate(s.code, 1):
            m = re.search(r"\b(strcpy|strcat|sprintf|vsprintf|gets|alloca)\(",
                          line)
            if m:
                yield s, n, m.group(1)


def check_skips():
    """no test is skipped"""
    for s in load("*.py", "*.t", "*.c", "*.js"):
        if not s.name.startswith(("tests/", "t/")):
            continue
        for n, line in enumerate(s.lines, 1):
            if re.search(r"pytest\.(mark\.)?skip|\bxfail\b|SKIP:|skip_all"
                         r"|--- SKIP|\bskip\(\)|\bt\.skip", line):
                yield s, n, "skipped test"


# ---- layers ----

# Foreign headers, and the files that may know them: one home for each library.
HOMES = {
    r"jwt\.h": r"ngx_writeen_module/ngx_http_writeen_auth\.c"
               r"|worker/(token|push/push_token)\.c",
    r"hiredis/.*": r"ngx_writeen_module/ngx_http_writeen_"
                   r"(bus|redis_adapter)(_\w+)?\.[ch]"
                   r"|worker/pool/redis\w*\.[ch]",
    r"(ngx_writeen_module/)?ngx_http_writeen_redis_adapter\.h":
        r"ngx_writeen_module/ngx_http_writeen_(bus|redis_adapter)"
        r"(_\w+)?\.[ch]",
    r"sqlite3\.h": r"worker/store/sqlite/\w+\.[ch]",
    r"(mongoc|bson)/.*": r"worker/store/mongo/\w+\.[ch]",
    r"utf8proc\.h": r"worker/store/words\.c",
    r"jansson\.h": r"common/wrt_(envelope|command)\.c|worker/[\w/]+\.[ch]",
    r"yajl/.*": r"worker/projector/event_pick\.c",
    r"curl/.*": r"worker/(files/blob/blob_s3|push/push)_http\.c",
    r"glib\.h": r"worker/push/push_zone\.c",
    r"expat\.h": r"worker/files/blob/blob_s3_xml\.c",
    r"gmime/.*": r"worker/files/upload/upload_mime\.c",
    r"magic\.h": r"worker/files/upload/upload_type\.c",
    r"zip\.h": r"worker/files/upload/upload_office\.c",
    r"clamav\.h": r"worker/files/scan/scan_libclamav\.c",
    r"vips/.*": r"worker/files/thumb/thumb_child\.c",
    r"seccomp\.h": r"worker/files/jail/jail\.c",
    r"zlib\.h": r"common/wrt_deflate\.c",
    r"(ngx_writeen_module/)?ngx_(?!http_writeen).*":
        r"ngx_writeen_module/\w+\.[ch]",
}

# What is pure may ask nothing of the system.
COMMON_LIBC = {"stddef.h", "stdint.h", "string.h", "stdlib.h", "limits.h",
               "inttypes.h"}


def check_libraries():
    """each library has its one home"""
    for s in load("common/*.[ch]", "worker/*.[ch]",
                  "ngx_writeen_module/*.[ch]"):
        for n, header in s.includes():
            for pattern, home in HOMES.items():
                if re.fullmatch(pattern, header) \
                        and not re.fullmatch(home, s.name):
                    yield s, n, f"{header} does not belong here"


def check_layers():
    """common knows libc alone; module and worker know common, not each other

    They meet in Redis only, by the names of common/wrt_names.h."""
    for s in load("common/*.[ch]"):
        for n, header in s.includes():
            if header not in COMMON_LIBC \
                    and header not in ("jansson.h", "zlib.h") \
                    and not header.startswith("common/"):
                yield s, n, f"{header} in common/"
        for n, line in enumerate(s.code, 1):
            if re.match(r"(static\s+)?(?!const\b)[\w ]+\**\s+\**\w+(\[.*\])?"
                        r"\s*(=|;)", line) and "static const" not in line \
                    and re.match(r"static\b(?!.*\()", line):
                yield s, n, "a variable that outlives the call, in common/"
    other = {"ngx_writeen_module": "worker/", "worker": "ngx_"}
    for folder, foreign in other.items():
        for s in load(f"{folder}/*.[ch]"):
            for n, header in s.includes():
                if header.startswith((foreign, "tests/")):
                    yield s, n, f"{header} in {folder}/"


def check_store_layer():
    """a store knows nothing of Redis"""
    for s in load("worker/store/*.[ch]"):
        for n, header in s.includes():
            if re.search(r"redis|wrt_names|worker/worker\.h|wrt_url", header):
                yield s, n, f"{header} in a store"


def check_blob_layer():
    """the storage of files knows nothing of Redis or stores"""
    for s in load("worker/files/blob/*.[ch]"):
        for n, header in s.includes():
            if header.startswith(("worker/", "common/")) \
                    and not re.fullmatch(r"worker/files/blob/\w+\.h"
                                         r"|common/wrt_(limits|id)\.h",
                                         header):
                yield s, n, f"{header} in the storage of files"


def check_upload_layer():
    """what reads bytes of strangers knows nothing of Redis or stores"""
    for s in load("worker/files/upload/*.[ch]", "worker/files/scan/*.[ch]",
                  "worker/files/thumb/*.[ch]", "worker/files/jail/*.[ch]"):
        for n, header in s.includes():
            if header.startswith(("worker/", "common/")) \
                    and not re.fullmatch(r"worker/files/"
                                         r"(upload|scan|thumb|jail)/\w+\.h"
                                         r"|common/wrt_(limits|id|utf8)\.h",
                                         header):
                yield s, n, f"{header} where uploads are read"


def check_push_layer():
    """what reaches push services knows nothing of Redis or stores"""
    for s in load("worker/push/*.[ch]"):
        for n, header in s.includes():
            if header.startswith(("worker/", "common/")) \
                    and not re.fullmatch(r"worker/push/\w+\.h"
                                         r"|common/wrt_(limits|id|utf8)\.h",
                                         header):
                yield s, n, f"{header} in what pushes"


def check_session_layer():
    """what sums up a session knows messages, not where they come from"""
    for s in load("worker/session/*.[ch]"):
        for n, header in s.includes():
            if header.startswith(("worker/", "common/")) \
                    and not re.fullmatch(r"worker/session/\w+\.h|worker/store/"
                                         r"(words|store_internal)\.h"
                                         r"|common/wrt_(limits|id|utf8)\.h",
                                         header):
                yield s, n, f"{header} in what sums up a session"


def check_names():
    """names in Redis are built in common/wrt_names alone"""
    for s in load("common/*.[ch]", "worker/*.[ch]",
                  "ngx_writeen_module/*.[ch]", "*.lua"):
        if re.fullmatch(r"common/wrt_names\.[ch]", s.name):
            continue
        for n, line in enumerate(s.lines, 1):
            if re.search(r"""["']wrt[:@]""", line):
                yield s, n, "a name in Redis"


# ---- what stands in two places ----

def source(name):
    for s in SOURCES:
        if s.name == name:
            return s
    return None


def defines(name):
    return dict(re.findall(r"^#define (\w+)\s+(\S.*?)\s*(?:/\*.*)?$",
                           source(name).text, re.M))


def check_lua():
    """writeen.lua has the numbers of wrt_limits.h and the version"""
    lua = source("sql_or_mongo_scripts/redis/writeen.lua")
    limits = defines("common/wrt_limits.h")
    pairs = re.findall(r"^local (\w+) = '?(\d+)'?\s*-- (WRT_\w+)",
                       lua.text, re.M)
    if not pairs:
        yield lua, 1, "no numbers named after wrt_limits.h"
    for _, value, name in pairs:
        text = limits.get(name, "")
        known = re.fullmatch(r"[\d\s()*+]+", text) and eval(text)
        if known != int(value):
            yield lua, 1, f"{name} is {value} here, {text or 'nothing'} there"
    version = re.search(r"^local VERSION = '(\w+)'", lua.text, re.M)
    there = defines("common/wrt_names.h").get("WRT_LIBRARY_VERSION")
    if not version or f'"{version.group(1)}"' != there:
        yield lua, 1, f"WRT_LIBRARY_VERSION is {there}"


def check_config():
    """config and common.mk list every source file"""
    on_disk = {s.name for s in load("ngx_writeen_module/*.c", "common/*.c")}
    conf = source("config")
    listed = re.findall(r"\$ngx_addon_dir/(\S+\.c)", conf.text)
    for name in sorted(on_disk ^ set(listed)):
        yield conf, 1, f"{name}: in the list or on disk alone"
    if len(listed) != len(set(listed)):
        yield conf, 1, "a file is listed twice"
    mk = source("common/common.mk")
    for s in load("common/*.c"):
        if mk and s.name not in mk.text and "wildcard" not in mk.text:
            yield mk, 1, f"{s.name} is not listed"


def command_table():
    """Directive -> its flags, as the module's command tables have them."""
    table = {}
    for s in load("ngx_writeen_module/*.c"):
        table.update(re.findall(r'ngx_string\("(writeen_\w+)"\),\s*'
                                r'((?:NGX_HTTP_|NGX_CONF)[\w|\s]+),', s.text))
    return table


def c_number(text):
    """The value of an expression of C, names of wrt_limits.h included."""
    limits = defines("common/wrt_limits.h")
    text = re.sub(r"\bWRT_\w+", lambda m: limits.get(m.group(0), "?"), text)
    return eval(text) if re.fullmatch(r"[\d\s()*+]+", text) else None


def conf_number(text):
    """64k, 25s, 1h, on as the module keeps it: bytes or milliseconds."""
    m = re.fullmatch(r"(\d+)(k|m|ms|s|h|d)?", text)
    units = {None: 1, "k": 1 << 10, "m": 1 << 20, "ms": 1, "s": 1000,
             "h": 3600000, "d": 86400000}
    return (int(m.group(1)) * units[m.group(2)] if m
            else {"on": 1, "off": 0, "log": 0, "store": 1}.get(text))


def defaults():
    """Directive -> its default, where the module keeps a number."""
    text = source("ngx_writeen_module/ngx_http_writeen_module.c").text
    fields = {field: name for name, field in re.findall(
        r'ngx_string\("(writeen_\w+)"\),[^{}]*?offsetof\(\w+, (\w+)\)',
        text)}
    fields.update(shards="writeen_shards", ack_store="writeen_ack",
                  leeway="writeen_jwt_leeway")
    out = {}
    for kind, field, value in re.findall(
            r"ngx_conf_(?:merge|init)_(?:(\w+)_)?value\(\w+->(\w+),"
            r"\s*(?:prev->\w+,\s*)?([^;]*)\);", text):
        number = c_number(value)
        if field in fields and number is not None:
            out[fields[field]] = number * (1000 if kind == "sec" else 1)
    return out


def sections(text, mark="###"):
    """Heading -> what stands under it."""
    parts = re.split(rf"^{mark} (.*)$", text, flags=re.M)
    return {h.strip(): re.split(r"^#{1,3} ", body, flags=re.M)[0]
            for h, body in zip(parts[1::2], parts[2::2])}


def check_directives():
    """docs/directives.md and nginx.conf.in are what the command table is"""
    table = command_table()
    conf = source("tools/nginx.conf.in")
    docs = source("docs/directives.md")
    known = defaults()
    if len(table) < 20 or len(known) < 10:
        yield docs, 1, "the module's tables were not understood"
    pages = {h: body for h, body in sections(docs.text).items()
             if h.startswith("writeen_")}
    for name in sorted(set(table) ^ set(pages)):
        yield docs, 1, f"{name}: has a section or is a directive alone"
    for name in sorted(set(table) & set(pages)):
        body = pages[name]
        m = re.search(r"^- Context: (.*)$", body, re.M)
        want = ("http" if "MAIN" in table[name] else "location"
                if "NGX_HTTP_LOC_CONF" in table[name]
                else "http, server, location")
        if not m or m.group(1) != want:
            yield docs, 1, f"{name}: the context is {want}"
        m = re.search(rf"^- Syntax: \*\*{name}\*\* .*;$", body, re.M)
        if not m:
            yield docs, 1, f"{name}: no line of syntax"
        m = re.search(rf"^- Default: (?:{name} (\S+?);)?", body, re.M)
        there = m and m.group(1) and conf_number(m.group(1))
        if not m or name in known and there != known[name]:
            yield docs, 1, f"{name}: the default is {known.get(name)}"
    for name in sorted(table):
        if not re.search(rf"\b{name}\s", conf.text):
            yield conf, 1, f"{name} is not shown"
    for s in load("tools/*.conf.in", "docker/nginx/*.in", "examples/*.conf",
                  "docs/*.md"):
        for n, line in enumerate(s.lines, 1):
            for name in re.findall(r"^\s*#?\s*(writeen_\w+)\s.*;", line):
                if name not in table:
                    yield s, n, f"{name} is no directive"


# ---- docs/operations.md: what is measured and logged ----

def metric_names():
    """Every metric that /metrics can have, out of the sources."""
    stats = source("ngx_writeen_module/ngx_http_writeen_stats.h").text
    names = set(re.findall(r"^    X\((\w+), (?:gauge|counter), ", stats, re.M))
    text = source("ngx_writeen_module/ngx_http_writeen_metrics.c").text
    names.update(f"{n}_up" for n in re.findall(r'^        \{ "(\w+)", "',
                                               text, re.M))
    names.update(re.findall(r'^\s+"# TYPE writeen_(\w+) ', text, re.M))
    text = source("ngx_writeen_module/ngx_http_writeen_rate.c").text
    names.update(re.findall(r'\{ "(\w+_total)", "', text))
    text = source("worker/pool/metrics.c").text
    names.update(re.findall(r'^    \{ "(\w+)", "(?:gauge|counter)"', text,
                            re.M))
    names.update(re.findall(r'metrics_(?:head|streams)\(out, (?:node, )?'
                            r'"(\w+)"', text))
    return {f"writeen_{n}" for n in names}


def worker_events():
    """Name -> levels of each line that the worker can log."""
    events = {}
    for s in load("worker/*.c"):
        for level, name in re.findall(
                r'\blog_(error|warn|info|debug)\("(\w+)"', s.text):
            events.setdefault(name, set()).add(level)
    return events


def nginx_lines():
    """Lines that the module can write into the error log; what is put in
    is an ellipsis."""
    lines = set()
    for s in load("ngx_writeen_module/*.c"):
        for m in re.finditer(r"\bngx_log_error\((\w+),(?:[^;\"]*?),\s*"
                             r'("(?:\\.|[^"\\])*"(?:\s*"(?:\\.|[^"\\])*")*)',
                             s.text):
            text = "".join(re.findall(r'"((?:\\.|[^"\\])*)"', m.group(2)))
            if not text.startswith("writeen: "):
                continue
            text = re.sub(r"%(?:\*s|u?[A-Za-z]\w?)(?=\W|$)|%\w+", "…",
                          text.replace('\\"', '"'))
            lines.add((m.group(1)[8:].lower(), text[9:]))
    return lines


def rows(text):
    """Of a table: (what stands in backticks in the first column, the rest)."""
    for line in text.split("\n"):
        m = re.match(r"\| (`[^|]*) \| (.*) \|$", line)
        if m:
            for name in re.findall(r"`([^`]+)`", m.group(1)):
                yield name, m.group(2)


def check_operations():
    """docs/operations.md explains each metric, log line and setting"""
    doc = source("docs/operations.md")
    pages = sections(doc.text)

    def differ(title, have, want):
        if title not in pages:
            yield doc, 1, f"no section {title}"
        for name in sorted(set(have) - set(want)):
            yield doc, 1, f"{title}: there is no {name}"
        for name in sorted(set(want) - set(have)):
            yield doc, 1, f"{title}: {name} is not explained"

    metrics = metric_names()
    have = {n for title in ("Metrics of nginx", "Metrics of the worker pools")
            for n, _ in rows(pages.get(title, ""))}
    yield from differ("Metrics of nginx", have, metrics)

    events = worker_events()
    have = dict(rows(pages.get("The worker's log", "")))
    yield from differ("The worker's log", have, events)
    for name in sorted(set(have) & set(events)):
        levels = set(re.findall(r"\w+", have[name].split("|")[0]))
        if levels != events[name]:
            yield doc, 1, (f"The worker's log: {name} is "
                           f"{', '.join(sorted(events[name]))}")

    have = {(rest.split("|")[0].strip(), n)
            for n, rest in rows(pages.get("nginx's error log", ""))}
    yield from differ("nginx's error log", map(" ".join, have),
                      map(" ".join, nginx_lines()))

    headings = {h.lower() for h in sections(doc.text)} \
        | {h.lower() for h in sections(doc.text, "##")}
    for name in ("docker/prometheus/writeen.rules.yml",
                 "docker/prometheus/writeen.test.yml",
                 "docker/grafana/dashboards/writeen.json"):
        s = source(name)
        for n, line in enumerate(s.lines, 1):
            for metric in re.findall(r"\bwriteen_\w+", line):
                if metric not in metrics and metric not in command_table():
                    yield s, n, f"{metric} is no metric"
            m = re.search(r"docs/operations\.md, ([^\"]+)\"", line)
            if m and m.group(1).lower() not in headings:
                yield s, n, f"no section {m.group(1)} in docs/operations.md"


def check_settings():
    """settings and options of the worker: its manual page, --help"""
    man = (ROOT / "worker/writeen-worker.8").read_text()
    usage = source("worker/pool/main.c")
    help_ = usage.text.split("main_usage[] =")[1].split(";\n")[0]
    names = set()
    for s in load("worker/conf/*.c"):
        names.update(re.findall(r'conf_value\(x, "(\w+)"', s.text))
        names.update(re.findall(r'^    \{ "([A-Z_0-9]+)", ', s.text, re.M))
        names.update(re.findall(r'conf_\w+\(x, "([A-Z][A-Z_0-9]+)"', s.text))
    names.update(re.findall(r'main_getenv\("(\w+)"', usage.text))
    conf = source("worker/conf/conf.c")
    if len(names) < 20:
        yield conf, 1, "the settings were not found"
    for name in sorted(names):
        if not re.search(rf"\b{name}\b", man):
            yield conf, 1, f"{name} is not in worker/writeen-worker.8"
        if not re.search(rf"\b{name}\b", help_):
            yield usage, 1, f"{name} is not in --help"
    for name in sorted(set(re.findall(r"\bEv ([A-Z_0-9]+)", man)) - names):
        yield conf, 1, f"{name} of the manual page is no setting"
    for name in sorted(set(re.findall(r"--([a-z][a-z-]+)", help_))
                       ^ set(re.findall(r"Fl -([a-z-]+)", man))):
        yield usage, 1, f"--{name} is not in --help and the manual page"


def check_map():
    """docs/architecture.md has a place for every source file"""
    doc = source("docs/architecture.md")
    module, worker = (doc.text.split(title)[1].split("\n## ")[0] for title in (
        "## The module, file by file", "## The worker, folder by folder"))
    places = [("ngx_writeen_module/ngx_http_writeen_", files)
              for files in re.findall(r"^\| (.*?) \|", module, re.M)]
    places += re.findall(r"^\| `(worker/[\w/]*)` \| .*? \| (.*) \|$",
                         worker, re.M)
    known = set()
    for place, files in places:
        for p in re.findall(r"`([\w*]+)`", files):
            found = set(ROOT.glob(f"{place}{p}.c"))
            if not found:
                yield doc, 1, f"there is no {place}{p}.c"
            known |= found
    for s in load("ngx_writeen_module/*.c", "worker/*.c"):
        if s.path not in known:
            yield doc, 1, f"{s.name} is in no row"
    for path in sorted(ROOT.glob("tests/*/")):
        if path.name not in SKIP and f"`{path.name}`" not in doc.text:
            yield doc, 1, f"tests/{path.name} is not there"


def check_security():
    """the tests that docs/security.md names are there"""
    doc = source("docs/security.md")
    for n, line in enumerate(doc.lines, 1):
        for name, sep, what in re.findall(
                r"`((?:t|tests)/[\w./-]+)(#|::)?(\w*)`", line):
            there = source(name)
            want = {"#": rf"^=== TEST {what}:", "::": rf"def {what}\(",
                    "": ""}[sep]
            if there is None or not re.search(want, there.text, re.M):
                yield doc, n, f"there is no {name}{sep}{what}"


# Commands of Redis that could be called from here, and those that are one
# with a subcommand.
REDIS_COMMANDS = set("""
    BLMOVE BLPOP BRPOP BZPOPMAX BZPOPMIN COPY DECR DECRBY DEL EVAL EVALSHA
    EXEC EXISTS EXPIRE EXPIREAT FCALL GET GETDEL GETEX HDEL HEXISTS HGET
    HGETALL HINCRBY HKEYS HLEN HMGET HSCAN HSET HSETNX HVALS INCR INCRBY INFO
    KEYS LINDEX LLEN LPOP LPUSH LRANGE LREM LTRIM MGET MSET MULTI PERSIST
    PEXPIRE PEXPIREAT PING PSUBSCRIBE PTTL PUBLISH RENAME RPOP RPUSH SADD SCAN
    SCARD SELECT SET SETEX SETNX SISMEMBER SMEMBERS SPOP SREM SSCAN STRLEN
    SUBSCRIBE TIME TTL TYPE UNLINK UNSUBSCRIBE WAIT WATCH XACK XADD XAUTOCLAIM
    XCLAIM XDEL XLEN XPENDING XRANGE XREAD XREADGROUP XREVRANGE XTRIM ZADD
    ZCARD ZCOUNT ZINCRBY ZMSCORE ZPOPMAX ZPOPMIN ZRANGE ZRANGEBYSCORE ZRANK
    ZREM ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE ZSCAN
    ZSCORE""".split())
REDIS_FAMILIES = "CLIENT|CONFIG|FUNCTION|MEMORY|SCRIPT|XGROUP|XINFO"


def redis_calls(*patterns):
    """Commands called by these files and by the functions they call."""
    calls = set()
    for s in load(*patterns, "*.lua"):
        calls.update(re.findall(r"redis\.p?call\(\s*'(\w+)'", s.text))
        if s.is_c:
            calls.update(c for c in re.findall(
                r'(?:\b(?:rds|cmd|wrt_cmd)_\w+\(|redisAsyncCommand\(|_lit\(|='
                r'|_queue\(|_call\()[^;"]*"([A-Z]+)[" ]', s.text)
                if c in REDIS_COMMANDS)
            calls.update(f"{c}|{sub}" for c, sub in re.findall(
                rf'"({REDIS_FAMILIES})"[^;]*?;?\s*[^;]*?"([A-Z]+)"',
                s.text))
    return {c.lower() for c in calls}


def check_redis_users():
    """docker/redis/users.acl allows what is called and no more"""
    acl = Source(ROOT / "docker/redis/users.acl")
    for n, (user, pattern) in enumerate((
            ("writeen-nginx", "ngx_writeen_module/*.c"),
            ("writeen-worker", "worker/*.c")), 2):
        m = re.search(rf"^user {user} .*$", acl.text, re.M)
        allowed = set(re.findall(r" \+(\S+)", m.group(0) if m else ""))
        calls = redis_calls(pattern)
        for name in sorted(calls - allowed):
            yield acl, n, f"{user} may not {name}, but calls it"
        for name in sorted(allowed - calls):
            yield acl, n, f"{user} may {name}, which it does not call"


def check_secret():
    """run.sh and writeen-token have the same development secret"""
    token = source("worker/token.c")
    run = source("tools/run.sh")
    m = re.search(r"^dev_secret=(\S+)$", run.text, re.M)
    if not m or f'"{m.group(1)}"' not in token.text:
        yield run, 1, "dev_secret is not that of worker/token.c"


def check_packages():
    """debian/ has the worker's version and what install.sh installs"""
    header = source("worker/worker.h")
    control = Source(ROOT / "debian/control")
    changelog = Source(ROOT / "debian/changelog")
    version = re.search(r'WORKER_VERSION\s+"([^"]+)"', header.text)
    if not changelog.text.startswith(f"writeen ({version.group(1)})"):
        yield changelog, 1, f"is not of version {version.group(1)}"
    install = source("tools/install.sh").text
    wanted = re.search(r"^need_for_run\(\) \{\n(.*?)^\}", install, re.M | re.S)
    libraries = set(re.findall(r"\blib[\w.+-]+-dev\b|\bzlib1g-dev\b",
                               wanted.group(1))) - {"libc6-dev"}
    depends = re.search(r"^Build-Depends:\n((?: .*\n)+)", control.text, re.M)
    listed = set(re.findall(r"^ ([\w.+-]+-dev)\b", depends.group(1), re.M))
    for name in sorted(libraries ^ listed):
        yield control, 1, (f"Build-Depends: {name} is not in both this and "
                           "tools/install.sh")


def check_links():
    """links between documents lead somewhere"""
    for s in load("*.md"):
        for n, line in enumerate(s.lines, 1):
            for to in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", line):
                if not (s.path.parent / to).exists():
                    yield s, n, f"{to} does not exist"


# ---- programs ----

def run(*command):
    done = subprocess.run(command, cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def check_cppcheck():
    """cppcheck"""
    code, out = run("cppcheck", "-q", "-j2", "--std=c11", "-I.",
                    "--enable=warning,performance,portability",
                    "--suppressions-list=tools/cppcheck.txt",
                    "--error-exitcode=1", "common", "worker",
                    "ngx_writeen_module", "tests/unit")
    if code:
        yield None, 0, out.strip()


def check_shellcheck():
    """shellcheck"""
    scripts = [s.name for s in load("*.sh")]
    scripts += [str(p.relative_to(ROOT)) for p in sorted(
        (ROOT / "debian").glob("*.p*[mt]"))]
    code, out = run("shellcheck", "-x", ".ci/run", *scripts)
    if code:
        yield None, 0, out.strip()


def main():
    checks = [f for name, f in globals().items()
              if name.startswith("check_")]
    failed = 0

    for check in checks:
        problems = list(check())
        title = check.__doc__.split("\n")[0].strip()
        print(f"{'not ok' if problems else 'ok'}: {title}")
        for where, n, text in problems:
            print(f"  {where.name}:{n}: {text}" if where else text)
        failed += bool(problems)

    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "lint.txt").write_text(
        f"passed={len(checks) - failed} failed={failed}\n")
    print(f"lint: {len(checks) - failed} passed, {failed} failed")

    return 1 if failed else 0


SOURCES = read_sources()

if __name__ == "__main__":
    sys.exit(main())
