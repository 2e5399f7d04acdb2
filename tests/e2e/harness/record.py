"""Records of files, put past the files role (docs/redis.md, payload `b`): how
far a file has come is then for the test to say."""

import json
import secrets

from .net import wait_until
from .parts import function


def drained(stack, room):
    """Until the store has all of the room's shard."""
    _, tag = stack.conversation_key(room)

    def empty():
        with stack.redis_of_room(room) as c:
            return c.xlen(f"{tag}:ingest") == 0
    wait_until(empty, 30, "the records to be stored", 0.01)


def put(stack, room, op):
    """What is for the projector alone; returns when it is stored."""
    _, tag = stack.conversation_key(room)
    with stack.redis_of_room(room) as c:
        said = c.fcall(function("wrt_record"), 1, f"{tag}:ingest", room,
                       "b 0 - -\n" + json.dumps(op), "", 1000000)
    assert said[0] in (b"ok", "ok"), said
    drained(stack, room)


def record(stack, room, by, scan, rev=1, id=None, **more):
    """A file that has come so far; returns its id."""
    id = id or secrets.token_hex(12)
    put(stack, room, {"op": "put", "file": {
        "id": id, "rev": rev, "conversationId": room,
        "messageId": None, "uploadedBy": by,
        "fileName": "bab.pdf", "originalFileName": "bab.pdf",
        "fileSize": 1000, "mimeType": "application/pdf",
        "fileHash": secrets.token_hex(32), "storage": None,
        "security": {"scanStatus": scan, "scanResult": None,
                     "scannedAt": None, "isEncrypted": False},
        "isPublic": False, "width": 0, "height": 0, "pages": 0,
        "thumbnails": [], "createdAt": "2024-01-15T10:00:00.000Z",
        "updatedAt": "2024-01-15T10:00:00.000Z", "deletedAt": None,
        **more}})
    return id
