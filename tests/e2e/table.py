"""Who may do what, as a table: routes of docs/api/openapi.yaml, events of
docs/api/asyncapi.yaml.

A Row is one thing to do, by REST, as an event, or both (then both doors must
say the same).  It is tried by each of ACTORS: those in `ok` succeed, those in
`no` are told `forbidden`; for everybody else the room is not there at all
(404 not_found, the same bytes as for a room that never was), and who has no
valid token is told so (401).

In paths and bodies: {room}, {theirs} a message of the author's, {mine} one of
the actor's own (of the author's, when he can not have any), {deleted} a
deleted message of the author's, {file} a clean file of the author's (and of
an upload), {hidden} one that is still being scanned, {author}, {new} a user
who is not in the room, {former} one who has left it; {other} and {direct} in
a direct room.  A body that is a Form goes as multipart/form-data.
"""

from dataclasses import dataclass, field

from harness.upload import file_form

# The people.  name -> (role in the token, what they are in the room)
ACTORS = {
    "creator": ("student", "made it"),
    "tutor": ("tutor", "tutor in the room"),
    "assistant": ("tutor", "student in the room, tutor by his token"),
    "author": ("student", "wrote the message that is asked for"),
    "member": ("student", "member"),
    "mute": ("student", "member who may read, not write"),
    "former": ("student", "was in it and left"),
    "stranger": ("student", "never was in it"),
    "lecturer": ("tutor", "tutor by his token, never was in it"),
    "service": ("service", "not in it"),
    "admin": ("admin", "not in it"),
    "expired": ("student", "the creator, with a token that has expired"),
    "nobody": (None, "no token"),
}

WRITERS = "creator tutor assistant author member"
ROOM = WRITERS + " mute"
STAFF = "service admin"
LEADERS = "creator tutor assistant " + STAFF
PLAIN = "author member mute"        # members who do not lead
OUTSIDE = "former stranger lecturer"
REFUSED = {"expired": (401, "unauthorized"), "nobody": (401, "unauthorized")}


@dataclass
class Row:
    name: str
    rest: tuple = None          # (method, path, body)
    event: tuple = None         # (name, data)
    ok: str = ""
    no: str = ""                # 403 forbidden
    status: int = 200
    changes: bool = True        # a success changes the room
    again: int = 200            # the same once more, by REST
    # (what to change in the body, the field that is named)
    bad: list = field(default_factory=list)

    def expect(self, actor):
        """(HTTP status, error code or None)."""
        if actor in self.ok.split():
            return self.status, None
        if actor in REFUSED:
            return REFUSED[actor]
        if actor in self.no.split():
            return 403, "forbidden"
        return 404, "not_found"


class Form:
    """A body with a file."""

    def encode(self):
        return file_form("notes.txt", b"Bab satu.\n")


def text(s):
    return {"content": {"text": s}}


BAD_TEXT = [
    ({"content": None}, "content"),
    ({"content": "x"}, "content"),
    ({"content": []}, "content"),
    ({"content": {}}, "content.text"),
    ({"content": {"text": 5}}, "content.text"),
    ({"content": {"text": ""}}, "content.text"),
    ({"content": {"text": " \n\t"}}, "content.text"),
]

BAD_ID = [None, 5, "", "a b", "x" * 65, "a:b", True, [], {}]

A = "/api/conversations/{room}"
F = "/api/files/{file}"

ROWS = [
    # ---- reading --------------------------------------------------------
    Row("show the room", ("GET", A, None), ok=ROOM + " " + STAFF,
        changes=False),
    Row("history", ("GET", A + "/messages", None), ok=ROOM + " " + STAFF,
        changes=False),
    Row("thread", ("GET", A + "/messages?threadOf={theirs}", None),
        ok=ROOM + " " + STAFF, changes=False),
    Row("search the room", ("GET", A + "/messages?search=halo", None),
        ok=ROOM + " " + STAFF, changes=False),
    Row("one message", ("GET", A + "/messages/{theirs}", None),
        ok=ROOM + " " + STAFF, changes=False),
    Row("what it read before", ("GET", A + "/messages/{theirs}/history",
                                None), ok=ROOM + " " + STAFF,
        changes=False),
    Row("join", event=("join_conversation", {"conversationId": "{room}"}),
        ok=ROOM, changes=False,
        bad=[({"conversationId": v}, "conversationId") for v in BAD_ID]
        + [({"afterSeq": v}, "afterSeq") for v in ("1", -1, 1.5, [])]),
    Row("resume", event=("resume", {"conversations": {"{room}": 0}}),
        ok=ROOM, changes=False,
        bad=[({"conversations": v}, "conversations") for v in (
            None, [], "x", 5, {"a b": 1}, {"r": "1"}, {"r": -1})]),

    # ---- messages -------------------------------------------------------
    Row("send", ("POST", A + "/messages", {"type": "text", **text("halo")}),
        ("send_message", {"conversationId": "{room}", "type": "text",
                          **text("halo")}),
        ok=WRITERS, no="mute", status=201, again=201,
        bad=BAD_TEXT + [
            ({"type": 5}, "type"), ({"type": "video"}, "type"),
            ({"type": "system"}, "type"), ({"type": "file"}, "type"),
            ({"clientMessageId": 5}, "clientMessageId"),
            ({"clientMessageId": "a b"}, "clientMessageId"),
            ({"clientMessageId": "c" * 129}, "clientMessageId"),
            ({"replyTo": 5}, "replyTo"), ({"replyTo": "a b"}, "replyTo"),
            ({"type": "sticker", "content": {"sticker": "x"}},
             "content.sticker"),
            ({"type": "sticker", "content": {"sticker": {
                "pack": "p", "id": "../x"}}}, "content.sticker.id")]),
    Row("edit one's own", ("PATCH", A + "/messages/{mine}", text("new")),
        ("edit_message", {"conversationId": "{room}", "messageId": "{mine}",
                          **text("new")}),
        ok=WRITERS, no="mute " + STAFF,
        bad=BAD_TEXT + [({"messageId": v}, "messageId") for v in BAD_ID]),
    Row("edit another's", ("PATCH", A + "/messages/{theirs}", text("new")),
        ("edit_message", {"conversationId": "{room}",
                          "messageId": "{theirs}", **text("new")}),
        ok="author", no="creator tutor assistant member mute " + STAFF),
    Row("delete one's own", ("DELETE", A + "/messages/{mine}", None),
        ("delete_message", {"conversationId": "{room}",
                            "messageId": "{mine}"}),
        ok=WRITERS + " admin", no="mute service",
        bad=[({"messageId": v}, "messageId") for v in BAD_ID]),
    Row("delete another's", ("DELETE", A + "/messages/{theirs}", None),
        ("delete_message", {"conversationId": "{room}",
                            "messageId": "{theirs}"}),
        ok="author tutor assistant admin", no="creator member mute service"),
    Row("react", ("PUT", A + "/messages/{theirs}/reactions/%F0%9F%91%8D",
                  None),
        ("add_reaction", {"conversationId": "{room}",
                          "messageId": "{theirs}", "emoji": "👍"}),
        ok=WRITERS, no="mute " + STAFF,
        bad=[({"messageId": v}, "messageId") for v in BAD_ID]
        + [({"emoji": v}, "emoji") for v in (
            None, 5, "", " ", "a", "ok", "12", "👍 ", "\n", "👍" * 17)]),
    Row("take a reaction back",
        ("DELETE", A + "/messages/{theirs}/reactions/%F0%9F%91%8D", None),
        ("remove_reaction", {"conversationId": "{room}",
                             "messageId": "{theirs}", "emoji": "👍"}),
        ok=WRITERS, no="mute " + STAFF),

    # ---- receipts, typing -----------------------------------------------
    Row("read", ("POST", A + "/read", {"messageId": "{theirs}"}),
        ("mark_read", {"conversationId": "{room}",
                       "messageId": "{theirs}"}), ok=ROOM,
        bad=[({"messageId": v}, "messageId") for v in BAD_ID]),
    Row("delivered", ("POST", A + "/delivered", {"messageId": "{theirs}"}),
        ("mark_delivered", {"conversationId": "{room}",
                            "messageId": "{theirs}"}), ok=ROOM,
        bad=[({"messageId": v}, "messageId") for v in BAD_ID]),
    Row("type", event=("typing", {"conversationId": "{room}",
                                  "isTyping": True}),
        ok=WRITERS, no="mute", changes=False,
        bad=[({"isTyping": v}, "isTyping") for v in (None, 1, "true", [])]
        + [({"conversationId": v}, "conversationId") for v in BAD_ID]),

    # ---- files ----------------------------------------------------------
    Row("upload", ("POST", A + "/upload", Form()), ok=WRITERS, no="mute",
        status=201, again=201),
    Row("what is known of a file", ("GET", F, None), ok=ROOM + " " + STAFF,
        changes=False),
    Row("download", ("GET", F + "/download", None),
        ok=WRITERS + " " + STAFF, no="mute", changes=False),
    Row("thumbnail", ("GET", F + "/thumbnails/small", None),
        ok=WRITERS + " " + STAFF, no="mute", changes=False),
    Row("link to a file", ("POST", F + "/link", None),
        ok=WRITERS + " " + STAFF, no="mute", changes=False),
    Row("make a file public", ("PATCH", F, {"isPublic": True}),
        ok="author tutor assistant " + STAFF, no="creator member mute",
        changes=False, bad=[({"isPublic": v}, "isPublic") for v in (
            None, 1, "true", [], {})]),
    Row("an upload", ("GET", "/api/uploads/{file}", None),
        ok="author admin", changes=False),
    Row("a file that is being scanned", ("GET", "/api/files/{hidden}", None),
        ok="author " + STAFF, changes=False),

    # ---- push -----------------------------------------------------------
    Row("mute", ("PUT", A + "/mute", {"muted": True}), ok=ROOM,
        changes=False,
        bad=[({"muted": v}, "muted") for v in (None, 1, "true", [])]
        + [({"until": v}, "until") for v in (
            5, "", "soon", [], "2024-01-01T00:00:00Z")]),

    # ---- the room's life ------------------------------------------------
    Row("title", ("PATCH", A, {"title": "Kelas B"}), ok=LEADERS, no=PLAIN,
        bad=[({"title": v}, "title") for v in (5, [], "x" * 257)]),
    Row("settings", ("PATCH", A, {"settings": {"allowFileUpload": False}}),
        ok=LEADERS, no=PLAIN,
        bad=[({"settings": v}, "settings") for v in (5, [], "x")] + [
            ({"settings": {k: v}}, f"settings.{k}") for k, v in [
                ("allowFileUpload", 1), ("allowFileUpload", "true"),
                ("maxFileSize", 0), ("maxFileSize", "1"),
                ("maxFileSize", 10 * 1024 * 1024 + 1),
                ("allowedFileTypes", ".pdf"), ("allowedFileTypes", [5]),
                ("allowedFileTypes", [".exe"]),
                ("allowedFileTypes", [".txt", ".txt"]), ("autoArchive", 0),
                ("retention", 0), ("retention", 36501),
                ("retention", 1.5)]]),
    Row("archive", ("POST", A + "/archive", None), ok=LEADERS, no=PLAIN),
    Row("unarchive", ("POST", A + "/unarchive", None), ok=LEADERS,
        no=PLAIN),
    Row("add somebody", ("POST", A + "/participants",
                         {"userId": "{new}", "role": "student"}),
        ok=LEADERS, no=PLAIN, status=201,
        bad=[({"userId": v}, "userId") for v in BAD_ID]
        + [({"role": v}, "role") for v in (5, "king", "admin")]
        + [({"permissions": v}, "permissions") for v in (
            "read", ["fly"], [], ["write"], [5])]),
    Row("bring back who left", ("POST", A + "/participants",
                                {"userId": "{former}"}),
        ok=LEADERS, no=PLAIN, status=201),
    Row("put somebody out", ("DELETE", A + "/participants/{author}", None),
        ok="author " + LEADERS, no="member mute", again=404),
    Row("leave", ("DELETE", A + "/participants/{me}", None),
        ok=ROOM, again=404),
]

# Rows that belong to no room: who gets what.
EVERYBODY = ROOM + " former stranger lecturer " + STAFF

ANYWHERE = [
    Row("list of rooms", ("GET", "/api/conversations", None), ok=EVERYBODY),
    Row("unread", ("GET", "/api/unread", None), ok=EVERYBODY),
    Row("search", ("GET", "/api/search?q=halo", None), ok=EVERYBODY),
    Row("presence", ("PUT", "/api/presence", {"status": "away"}),
        ("set_presence", {"status": "away"}), ok=EVERYBODY,
        bad=[({"status": v}, "status") for v in (
            None, 5, "", "asleep", "ONLINE", [])]),
    Row("somebody's presence", ("GET", "/api/users/{author}/presence", None),
        ok=ROOM + " " + STAFF),
    Row("a profile", ("PUT", "/api/users/{new}", {"name": "Dr. New"}),
        ok=STAFF, no=ROOM + " former stranger lecturer",
        bad=[({"name": v}, "name") for v in (None, 5, "", "x" * 257)]
        + [({"avatar": v}, "avatar") for v in (5, [], "x" * 2049)]
        + [({"role": v}, "role") for v in (5, "king")]),
    Row("findings", ("GET", "/api/files?limit=1", None), ok=STAFF,
        no=ROOM + " former stranger lecturer"),
    Row("holds", ("GET", "/api/admin/holds", None), ok="admin",
        no=ROOM + " former stranger lecturer service"),
    Row("hold somebody", ("POST", "/api/admin/holds", {
        "type": "user", "id": "{new}", "reason": "case 12"}), ok="admin",
        no=ROOM + " former stranger lecturer service", status=201,
        bad=[({"type": v}, "type") for v in (None, 5, "", "room", [])]
        + [({"id": v}, "id") for v in BAD_ID]
        + [({"reason": v}, "reason") for v in (
            None, 5, "", " ", [], "x" * 1025)]),
    Row("the log of acts", ("GET", "/api/admin/audit", None), ok="admin",
        no=ROOM + " former stranger lecturer service"),
    Row("devices", ("GET", "/api/devices", None), ok=EVERYBODY),
    Row("register a device", ("POST", "/api/devices", {
        "platform": "android", "token": "token-of-{new}"}), ok=EVERYBODY,
        bad=[({"platform": v}, "platform") for v in (
            None, 5, "", "palm", "IOS", [])]
        + [({"token": v}, "token") for v in (
            None, 5, "", "a b", "a\n", "é", [], "x" * 4097)]
        + [({"locale": v}, "locale") for v in (5, "x", "a b", "x" * 17)]),
    Row("remove a device", ("DELETE", "/api/devices", {
        "token": "token-of-{new}"}), ok=EVERYBODY,
        bad=[({"token": v}, "token") for v in (None, 5, "", "a b")]),
    Row("push settings", ("GET", "/api/push/settings", None), ok=EVERYBODY),
    Row("quiet hours", ("PUT", "/api/push/settings", {"quietHours": {
        "start": "22:00", "end": "06:00", "timezone": "Asia/Jakarta"}}),
        ok=EVERYBODY,
        bad=[({"quietHours": v}, "quietHours") for v in (5, "", [])]
        + [({"quietHours": {"start": s, "end": e, "timezone": z}},
            "quietHours." + name) for s, e, z, name in (
            ("24:00", "06:00", "UTC", "start"),
            (5, "06:00", "UTC", "start"),
            ("22:00", "6:00", "UTC", "end"),
            ("22:00", "22:00", "UTC", "end"),
            ("22:00", None, "UTC", "end"),
            ("22:00", "06:00", "Asia/Nowhere", "timezone"),
            ("22:00", "06:00", "../etc/passwd", "timezone"),
            ("22:00", "06:00", None, "timezone"))]),
    Row("ping", event=("ping", {}), ok=EVERYBODY),
]

# In a direct room: ann and bob, bob blocked by ann or not.
D = "/api/conversations/{direct}"


@dataclass
class State:
    """What a state of things forbids to one who otherwise may."""
    name: str
    actor: str
    rest: tuple
    event: tuple
    want: tuple                 # (HTTP status, code)


def every(name, want, *doors):
    return [State(f"{name}: {rest[0]} {rest[1].split('}', 1)[1]}", actor,
                  rest, event, want) for actor, rest, event in doors]


STATES = {
    "archived": every(
        "archived", (409, "conversation_archived"),
        ("member", ("POST", A + "/messages", text("x")),
         ("send_message", {"conversationId": "{room}", "type": "text",
                           **text("x")})),
        ("author", ("PATCH", A + "/messages/{theirs}", text("x")),
         ("edit_message", {"conversationId": "{room}",
                           "messageId": "{theirs}", **text("x")})),
        ("author", ("DELETE", A + "/messages/{theirs}", None),
         ("delete_message", {"conversationId": "{room}",
                             "messageId": "{theirs}"})),
        ("tutor", ("DELETE", A + "/messages/{theirs}", None),
         ("delete_message", {"conversationId": "{room}",
                             "messageId": "{theirs}"})),
        ("member", ("PUT", A + "/messages/{theirs}/reactions/%E2%9D%A4",
                    None),
         ("add_reaction", {"conversationId": "{room}",
                           "messageId": "{theirs}", "emoji": "❤"})),
        ("member", ("POST", A + "/upload", Form()), None),
        ("creator", ("POST", A + "/participants", {"userId": "{new}"}),
         None)),
    "deleted": every(
        "deleted message", (404, "not_found"),
        ("author", ("PATCH", A + "/messages/{deleted}", text("x")),
         ("edit_message", {"conversationId": "{room}",
                           "messageId": "{deleted}", **text("x")})),
        ("author", ("GET", A + "/messages/{deleted}/history", None), None),
        ("member", ("PUT", A + "/messages/{deleted}/reactions/%E2%9D%A4",
                    None),
         ("add_reaction", {"conversationId": "{room}",
                           "messageId": "{deleted}", "emoji": "❤"}))),
    "nowhere": every(
        "no such message", (404, "not_found"),
        *((actor, rest, event) for actor in ("member", "tutor")
          for rest, event in [
              (("GET", A + "/messages/{elsewhere}", None), None),
              (("GET", A + "/messages/{elsewhere}/history", None), None),
              (("PATCH", A + "/messages/{elsewhere}", text("x")),
               ("edit_message", {"conversationId": "{room}",
                                 "messageId": "{elsewhere}", **text("x")})),
              (("DELETE", A + "/messages/{elsewhere}", None),
               ("delete_message", {"conversationId": "{room}",
                                   "messageId": "{elsewhere}"})),
              (("PUT", A + "/messages/{elsewhere}/reactions/%E2%9D%A4",
                None),
               ("add_reaction", {"conversationId": "{room}", "emoji": "❤",
                                 "messageId": "{elsewhere}"})),
              (("POST", A + "/read", {"messageId": "{elsewhere}"}),
               ("mark_read", {"conversationId": "{room}",
                              "messageId": "{elsewhere}"})),
              (("POST", A + "/delivered", {"messageId": "{elsewhere}"}),
               ("mark_delivered", {"conversationId": "{room}",
                                   "messageId": "{elsewhere}"}))])),
    "scanned": every(
        "not scanned yet", (425, "scan_pending"),
        ("author", ("GET", "/api/files/{hidden}/download", None), None),
        ("author", ("GET", "/api/files/{hidden}/thumbnails/small", None),
         None),
        ("author", ("POST", "/api/files/{hidden}/link", None), None),
        ("author", ("PATCH", "/api/files/{hidden}", {"isPublic": True}),
         None)),
    "hidden": every(
        "not scanned yet, of another", (404, "not_found"),
        *((actor, rest, None) for actor in ("member", "tutor", "creator")
          for rest in (
              ("GET", "/api/files/{hidden}", None),
              ("GET", "/api/files/{hidden}/download", None),
              ("GET", "/api/files/{hidden}/thumbnails/small", None),
              ("POST", "/api/files/{hidden}/link", None),
              ("PATCH", "/api/files/{hidden}", {"isPublic": True})))),
    "direct": every(
        "direct room", (409, "conflict"),
        ("ann", ("POST", D + "/participants", {"userId": "{new}"}), None),
        ("ann", ("DELETE", D + "/participants/{other}", None), None),
        ("ann", ("DELETE", D + "/participants/{me}", None), None)),
    "blocked": every(
        "blocked", (403, "forbidden"),
        ("bob", ("POST", D + "/messages", text("x")),
         ("send_message", {"conversationId": "{direct}", "type": "text",
                           **text("x")})),
        ("bob", ("POST", D + "/upload", Form()), None),
        ("bob", ("PATCH", D, {"title": "x"}), None),
        ("bob", ("PATCH", D, {"settings": {"allowFileUpload": False}}), None),
        ("bob", ("POST", D + "/archive", None), None),
        ("bob", ("POST", D + "/unarchive", None), None)),
}
