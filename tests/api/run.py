#!/usr/bin/env python3
"""schemathesis against a stack of our own: does it do what openapi.yaml says?

A room with messages, files and a consultation is made, with ids that stand in
about half of the calls (hooks.py): as an admin, who may do nearly everything,
and, at the same time, as a member of the room.  Every answer has to be one
that openapi.yaml has, in its status, its type and its members; wrong input has
to be refused, right input not as malformed; without a token nothing is told.

    make api
    build/venv-api/bin/python tests/api/run.py --seconds 20 --seed 7
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from harness import tokens                                    # noqa: E402
from harness.stack import Server, Stack                       # noqa: E402
from harness.upload import file_form, sample                  # noqa: E402

# What is right in form may still be forbidden, elsewhere, or too late; and of
# some bodies a schema can not say what is right.
# 405 to methods that nginx knows and we do not (TRACE) is nginx's own page.
CONFIG = """\
[checks.unsupported_method]
enabled = false
[checks.allow_header_conformance]
enabled = false
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 401, 403, 404, 409, 412, 413, 415, 416, 422, 425]
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422, 425]
""" + "".join(f"""\
[[operations]]
include-operation-id = "{name}"
checks.positive_data_acceptance.enabled = false
""" for name in (
    "create_conversation",          # a direct room has exactly two people
    "confirm_consultation",
    "reschedule_consultation",      # a time, in one of two places
    "upload",                       # what is in the file
    "put_push_settings",            # known time zones; end is not start
    "mute",                         # until is in the future
    "messages", "search",           # what a word is, in any script
))


def ok(reply):
    assert reply.status in (200, 201), reply
    return reply.json["data"]


def people(stack):
    """ids that exist, by the names of parameters; the tokens of the runs."""
    ann, bob, tia = "ann", "bob", "tia"
    rest = {name: stack.rest(tokens.token(name, role=role), server="bulk")
            for name, role in ((ann, "student"), (bob, "student"),
                               (tia, "tutor"), ("root", "admin"))}
    room = ok(rest[ann].call("POST", "/api/conversations", {
        "type": "group", "title": "Kelas", "participantIds": [bob],
        "participants": [{"userId": tia, "role": "tutor"}]}))[
            "conversation"]["id"]
    path = f"/api/conversations/{room}"
    message = ok(rest[ann].call("POST", path + "/messages", {
        "content": {"text": "Berapa responden?"}}))["message"]["id"]
    kind, body = file_form("shapes.png", sample("shapes.png"))
    file = ok(rest[ann].call("POST", path + "/upload", raw=body, headers={
        "Content-Type": kind}))["upload"]["id"]
    consult = "consult-1"
    consult_path = f"/api/consultations/{consult}"
    ok(rest[tia].call("POST", consult_path + "/confirm", {
        "participants": [{"userId": ann, "role": "student"},
                         {"userId": tia, "role": "tutor"}],
        "topic": "Bab 3"}))
    ok(rest[tia].call("POST", consult_path + "/start"))
    session = ok(rest[tia].call("POST", consult_path + "/end"))[
        "session"]["id"]
    hold = ok(rest["root"].call("POST", "/api/admin/holds", {
        "type": "user", "id": bob, "reason": "case 12"}))["hold"]["id"]
    return ({"id": room, "conversationId": room, "messageId": message,
             "threadOf": message, "userId": bob, "from": ann, "fileId": file,
             "uploadId": file, "consultationId": consult,
             "sessionId": session, "holdId": hold, "size": "small"},
            {name: r.token for name, r in rest.items()})


def start(stack, who, token, args, folder, more):
    """schemathesis with this token; its output goes to a file."""
    out = open(folder / f"{who}.out", "w+", encoding="utf-8")
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file", str(folder / "schemathesis.toml"), "run",
        str(ROOT / "docs" / "api" / "openapi.yaml"),
        "--url", stack.http(server="bulk"),
        "--header", f"Authorization: Bearer {token}",
        "--exclude-path", "/ws", "--phases", "coverage,fuzzing",
        "--max-time", str(args.seconds), "--continue-on-failure",
        "--seed", str(args.seed), "--warnings", "off", "--no-color", *more]
    return out, subprocess.Popen(
        command, cwd=folder, stdout=out, stderr=subprocess.STDOUT,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "hooks",
             "PYTHONPATH": str(HERE),
             "WRT_API_IDS": str(folder / "ids.json")})


def run(stack, args, folder, more):
    """Each of the two; how many found nothing, how many did."""
    ids, all_tokens = people(stack)
    (folder / "schemathesis.toml").write_text(CONFIG)
    (folder / "ids.json").write_text(json.dumps(ids))
    runs = [(who, *start(stack, who, all_tokens[who], args, folder, more))
            for who in ("root", "ann")]
    good = 0
    for who, out, process in runs:
        good += process.wait() == 0
        out.seek(0)
        print(f"== as {who}\n{out.read()}", flush=True)
        out.close()
    return good, len(runs) - good


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--seconds", type=int, default=60)
    p.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    p.add_argument("--result", type=Path)
    args, more = p.parse_known_args()
    print(f"seed {args.seed}", flush=True)

    passed, failed = 0, 1
    stack = Stack("api", "sqlite", files="local", servers={"bulk": Server(
        "writeen_rate 100000 burst=100000 user=100000;")},
        env={"CLAMAV": "off"})
    with tempfile.TemporaryDirectory() as folder:
        try:
            stack.start()
            passed, failed = run(stack, args, Path(folder), more)
        finally:
            problems = stack.stop()
    print(*problems, sep="\n")
    failed += bool(problems)
    print(f"{passed} passed, {failed} failed")
    if args.result:
        args.result.write_text(f"passed={passed} failed={failed}\n")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
