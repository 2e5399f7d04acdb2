"""How a client applies events: pure functions over its own memory.

This is what an app has to do to show the truth.  A Room is what it keeps of
one conversation.  It begins with what REST says (or empty, when it follows
the room from event 1 on), and from then on events alone keep it right:

  message_received      a message, new or (in compact catch-up) as it is now;
                        one of type system moves a member in or out
  message_updated       the whole message as it is now
  message_deleted       the same: content {}, no reactions, deletedAt
  reaction_updated      all reactions that stand
  conversation_updated  title, settings, archived or not
  message_status        delivered and read: cursors of members, which only
                        rise; who reads has been delivered to
  conversation_joined   where the cursors stand (moves are sent live only: one
                        that got lost comes with the next join); in compact
                        catch-up also the conversation as it stands
  presence and typing   no state that a catch-up would have to end in

An event about a message that is not here is about one that was deleted
meanwhile (its deletion follows) or that is older than what was loaded: it is
passed over.  Numbers rise; one that is passed over was taken out of the log.

A compact catch-up sends messages in the order of their last change.  It
counts only when it is whole: a client that loses its connection before that
resumes from where it began (`last`), not from the last number it saw
(`seen`), and takes what it gets again as it then is.

Unread is counted, never sent: others' messages that stand, above one's own
read cursor and above where one joined.
"""

CHANGES = {"message_updated", "message_deleted"}
NUMBERED = CHANGES | {"message_received", "reaction_updated",
                      "conversation_updated"}

# What a message is made of, besides what follows from others' cursors
# (status, readBy), from another message (replyPreview) or from a profile
# (sender).
FIELDS = ("id", "seq", "conversationId", "senderId", "type", "content",
          "replyTo", "clientMessageId", "createdAt", "editedAt", "deletedAt")


def plain(message):
    """A message as it is compared: absent and null are the same."""
    out = {k: message.get(k) for k in FIELDS}
    out["reactions"] = sorted(
        (r["userId"], r["emoji"], r["addedAt"])
        for r in message.get("reactions") or ())
    return out


class Room:
    def __init__(self, id, me):
        self.id = id
        self.me = me
        self.last = 0           # it has everything up to this number
        self.seen = 0           # number of the last event on this connection
        self.upto = 0           # where a compact catch-up ends ...
        self.due = 0            # ... after so many events
        self.first = 0          # messages up to this number are not here
        self.since = 0          # number at which I joined
        self.messages = {}      # message id -> as plain() has it
        self.members = {}       # user id -> role, of those who are in
        self.cursors = {}       # user id -> [read, delivered]
        self.title = None
        self.settings = None
        self.archived = False
        self.stood = 0          # ... as of this number, at least

    # ---- the beginning --------------------------------------------------

    def load(self, conversation, rows):
        """From GET /api/conversations/:id, taken first, and the history."""
        self.last = self.seen = conversation["seq"]
        self.messages = {m["id"]: plain(m) for m in rows}
        self.stands(conversation, self.last)
        return self

    def stands(self, conversation, seq=0):
        """What is no message, as it was at this number."""
        self.stood = seq
        self.title = conversation["title"]
        self.settings = conversation["settings"]
        self.archived = conversation["isArchived"]
        self.members = {p["userId"]: p["role"]
                        for p in conversation["participants"]
                        if not p.get("leftAt")}

    # ---- events ---------------------------------------------------------

    def apply(self, name, data):
        if name in NUMBERED:
            self.seen = data["seq"]
            self._came(1)
        getattr(self, "_" + name, lambda _: None)(data)

    def _message_received(self, data):
        m = data["message"]
        self.messages[m["id"]] = plain(m)
        system = m["content"].get("systemMessage")
        if system and system["action"] == "user_joined":
            who = system["data"]
            self.members[who["userId"]] = who["role"]
            if who["userId"] == self.me:
                self.since = m["seq"]
        elif system and system["action"] == "user_left":
            self.members.pop(system["data"]["userId"], None)

    def _message_updated(self, data):
        if data["message"]["seq"] > self.first:
            self.messages[data["messageId"]] = plain(data["message"])

    _message_deleted = _message_updated

    def _reaction_updated(self, data):
        m = self.messages.get(data["messageId"])
        if m is not None and m["deletedAt"] is None:
            m["reactions"] = plain(data)["reactions"]

    def _conversation_updated(self, data):
        # what is not said is as it was: a message that takes a room out of
        # the archive says nothing of the others
        c = data["conversation"]
        self.title = c.get("title", self.title)
        self.settings = c.get("settings", self.settings)
        self.archived = c["isArchived"]

    def _message_status(self, data):
        if data["status"] == "read":
            for r in data["readBy"]:
                self.move(r["userId"], data["seq"], data["seq"])
        elif data["status"] == "delivered":
            for r in data["deliveredTo"]:
                self.move(r["userId"], 0, data["seq"])

    def _conversation_joined(self, data):
        # settings and cursors come here, not as events: the last number
        # that follows may be lower than where the room stands
        self.seen, self.upto, self.due = self.last, 0, 0
        if data.get("compact"):
            self.upto, self.due = data["seq"], data["missed"]
            self._came(0)
        for c in data["cursors"]:
            self.move(c["userId"], c["readSeq"], c["deliveredSeq"])
        if "conversation" in data:
            # as it is, perhaps later than the events that follow
            self.stands(data["conversation"], max(
                data["seq"], data["conversation"]["seq"]))

    def _came(self, n):
        """n more events; is that all of a compact catch-up?"""
        self.due = max(0, self.due - n)
        if self.due == 0:
            self.last = max(self.last, self.seen, self.upto)

    def move(self, user, read, delivered):
        """A cursor never goes back, whatever comes in whatever order."""
        c = self.cursors.setdefault(user, [0, 0])
        c[0] = max(c[0], read)
        c[1] = max(c[1], delivered, read)

    # ---- what it shows --------------------------------------------------

    @property
    def unread(self):
        read = max(self.since, self.cursors.get(self.me, (0, 0))[0])
        return sum(m["seq"] > read and m["senderId"] != self.me
                   and m["deletedAt"] is None
                   for m in self.messages.values())

    def read_by(self, message):
        """Who has read it: what history derives, without the times."""
        return {u for u, (read, _) in self.cursors.items()
                if read >= message["seq"] and u != message["senderId"]}

    def view(self):
        """All of it, to be compared with another client's or with what
        REST says."""
        return {
            "messages": sorted(self.messages.values(),
                               key=lambda m: m["seq"]),
            "members": self.members,
            "cursors": {u: tuple(c) for u, c in self.cursors.items()
                        if any(c)},
            "title": self.title, "settings": self.settings,
            "archived": self.archived, "unread": self.unread}


def differences(name, have, want):
    """What differs between two views, in words."""
    out = []
    for key in want:
        if have[key] == want[key]:
            continue
        if key != "messages":
            out.append(f"{name}: {key} {have[key]}, not {want[key]}")
            continue
        a = {m["seq"]: m for m in have[key]}
        b = {m["seq"]: m for m in want[key]}
        out += [f"{name}: message {n}: {a.get(n)}, not {b.get(n)}"
                for n in sorted(a.keys() | b.keys())
                if a.get(n) != b.get(n)]
    return out
