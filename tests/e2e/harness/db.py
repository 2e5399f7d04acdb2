"""The stores themselves, read past the servers.

Both give messages(room): what the database holds of a conversation, in order
of seq, as (seq, id, sender, clientMessageId, text).
"""

import json
import sqlite3


class Sqlite:
    def __init__(self, path):
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True,
                                  timeout=10)

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

    def count(self):
        return self.db.messages.count_documents({})
