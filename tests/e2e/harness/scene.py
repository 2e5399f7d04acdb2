"""Small words that the tests are written in."""

import secrets

OID = r"^[0-9a-f]{24}$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


def unique(name):
    """An id that no other test uses."""
    return f"{name}-{secrets.token_hex(4)}"


def uniques(*names):
    return [unique(n) for n in names]


def message(room, text, cmid=None, **more):
    """data of send_message."""
    data = {"conversationId": room, "type": "text",
            "content": {"text": text}}
    if cmid is not None:
        data["clientMessageId"] = cmid
    data.update(more)
    return data


async def send(ws, room, text, cmid=None, **more):
    """Send a message and return the data of its ack."""
    cmid = cmid or unique("c")
    ws.send("send_message", message(room, text, cmid, **more))
    status = await ws.wait(
        "message_status",
        where=lambda e: e["data"].get("clientMessageId") == cmid)
    assert status["data"]["status"] == "sent", status
    return status["data"]


async def fill(ws, room, n, *, start=1, text="m"):
    """Send n messages, 40 under way; returns the acks in order.  More than
    the rate limit lets through need a server without one ("bulk")."""
    todo = [(f"{text} {i}", unique("f")) for i in range(start, start + n)]
    acks = []
    for at in range(0, n, 40):
        for body, cmid in todo[at:at + 40]:
            ws.send("send_message", message(room, body, cmid))
        for _ in todo[at:at + 40]:
            status = await ws.wait("message_status")
            acks.append(status["data"])
    return acks


async def join(ws, room, after=None, **kw):
    """Join; returns the data of conversation_joined."""
    data = {"conversationId": room}
    if after is not None:
        data["afterSeq"] = after
    ws.send("join_conversation", data)
    joined = await ws.wait(
        "conversation_joined",
        where=lambda e: e["data"]["conversationId"] == room, **kw)
    return joined["data"]


async def received(ws, n, room=None, timeout=10):
    """The next n message_received (of a room), as their data."""
    out = []
    for _ in range(n):
        e = await ws.wait(
            "message_received", timeout,
            where=lambda e: room in (None, e["data"]["conversationId"]))
        out.append(e["data"])
    return out


def seqs(events):
    return [e["seq"] for e in events]


def texts(events):
    return [e["message"]["content"]["text"] for e in events]
