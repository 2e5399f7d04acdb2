"""The stores themselves, read past the servers.

Both give messages(room): what the database holds of a conversation, in order
of seq, as (seq, id, sender, clientMessageId, text).
"""

import contextlib
import json
import sqlite3

from .net import patience

DAY = 86400 * 1000      # milliseconds


class Sqlite:
    def __init__(self, path):
        self.path = path
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True,
                                  timeout=patience(10))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.db.close()

    def messages(self, room):
        rows = self.db.execute(
            "SELECT m.seq, m.id, m.sender, m.client_message_id, m.content"
            " FROM message m JOIN conversation c ON c.n = m.conversation"
            " WHERE c.id = ? ORDER BY m.seq", (room,))
        return [(seq, id, sender, cmid, json.loads(content).get("text"))
                for seq, id, sender, cmid, content in rows]

    def message_ids(self, room):
        return [row[1] for row in self.messages(room)]

    def age(self, room, days, ids):
        """Messages of these ids were made so many days earlier."""
        self._write(
            "UPDATE message SET created_at = created_at - ? WHERE id IN"
            " (SELECT value FROM json_each(?))",
            days * DAY, json.dumps(ids))

    def written_up(self, room):
        """All that sessions of the room say: records and transcripts."""
        return "".join(row[0] for row in self.db.execute(
            "SELECT document FROM chat_session WHERE conversation = ?1"
            " UNION ALL SELECT p.text FROM session_part p JOIN chat_session s"
            " ON s.id = p.session WHERE s.conversation = ?1", (room,)))

    def idle(self, room, days):
        """The room was last used so many days earlier."""
        self._write(
            "UPDATE conversation SET activity_at = activity_at - ?"
            " WHERE id = ?", days * DAY, room)

    def _write(self, sql, *args):
        with contextlib.closing(sqlite3.connect(
                self.path, timeout=patience(10))) as db:
            with db:
                assert db.execute(sql, args).rowcount > 0

    def count(self):
        return self.db.execute("SELECT count(*) FROM message").fetchone()[0]


class Mongo:
    def __init__(self, mongod, database):
        self.client = mongod.client()
        self.db = self.client[database]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def messages(self, room):
        rows = self.db.messages.find(
            {"conversationId": room}).sort("seq", 1)
        return [(m["seq"], str(m["_id"]), m["senderId"],
                 m.get("metadata", {}).get("clientMessageId"),
                 m["content"].get("text")) for m in rows]

    def message_ids(self, room):
        return [row[1] for row in self.messages(room)]

    def age(self, room, days, ids):
        done = self.db.messages.update_many(
            {"_id": {"$in": ids}},
            [{"$set": {"createdAt": {"$subtract": [
                "$createdAt", days * DAY]}}}])
        assert done.modified_count == len(ids)

    def written_up(self, room):
        records = list(self.db.chatSessions.find({"conversationId": room}))
        parts = self.db.sessionParts.find(
            {"sessionId": {"$in": [r["_id"] for r in records]}})
        return json.dumps(records + [p["text"] for p in parts],
                          ensure_ascii=False, default=str)

    def idle(self, room, days):
        done = self.db.conversations.update_one(
            {"_id": room},
            [{"$set": {"metadata.activityAt": {"$subtract": [
                "$metadata.activityAt", days * DAY]}}}])
        assert done.modified_count == 1

    def count(self):
        return self.db.messages.count_documents({})
