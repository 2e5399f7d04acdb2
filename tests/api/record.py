#!/usr/bin/env python3
"""Writes docs/api/transcript.jsonl anew, from servers of its own.

    BUILD=$PWD/build build/venv/bin/python tests/api/record.py
"""

import asyncio
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from harness import story                                     # noqa: E402
from harness.stack import Stack                               # noqa: E402


def main():
    with Stack("record", "sqlite", files="local",
               env={"CLAMAV": "off"}) as stack:
        lines = asyncio.run(story.record(stack))
    assert story.replay(lines) == {
        k: v for k, v in lines[-1].items()
        if k not in ("t", "do", "conversationId")}
    with open(ROOT / "docs" / "api" / "transcript.jsonl", "w",
              encoding="utf-8") as f:
        for line in lines:
            f.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
