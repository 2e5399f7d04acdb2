-- 001_initial.sql: conversations, messages, members, cursor moves, users.
--
-- Run by worker/store/sqlite/store_sqlite.c inside one transaction; it sets
-- PRAGMA user_version to the number of the last script that ran.
-- Times are milliseconds since 1970 in UTC, JSON is text.

CREATE TABLE conversation (
    n                INTEGER PRIMARY KEY,   -- internal key, short in indexes
    id               TEXT    NOT NULL UNIQUE,
    type             TEXT    NOT NULL,      -- direct | consultation | group
    title            TEXT,
    consultation_id  TEXT,
    settings         TEXT    NOT NULL,      -- JSON object
    context          TEXT,                  -- JSON object
    created_by       TEXT,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    archived_at      INTEGER,
    activity_at      INTEGER NOT NULL,      -- last message, or creation
    seq              INTEGER NOT NULL,      -- number of the last event
    message_count    INTEGER NOT NULL,
    last_at          INTEGER,               -- the newest message, in short
    last_sender      TEXT,
    last_type        TEXT,
    last_content     TEXT
) STRICT;

CREATE TABLE member (
    conversation     INTEGER NOT NULL,      -- conversation.n
    user             TEXT    NOT NULL,
    role             TEXT    NOT NULL,
    permissions      INTEGER NOT NULL,      -- 1 read 2 write 4 upload 8 download
    position         INTEGER NOT NULL,      -- order of participants
    joined_at        INTEGER NOT NULL,
    left_at          INTEGER,
    join_seq         INTEGER NOT NULL,
    read_seq         INTEGER NOT NULL DEFAULT 0,
    read_at          INTEGER,
    delivered_seq    INTEGER NOT NULL DEFAULT 0,
    delivered_at     INTEGER,
    PRIMARY KEY (conversation, user)
) STRICT, WITHOUT ROWID;

-- the rooms a user is in
CREATE INDEX member_user ON member (user, conversation, join_seq, read_seq)
    WHERE left_at IS NULL;

CREATE TABLE message (
    n                INTEGER PRIMARY KEY,   -- rowid of message_fts
    conversation     INTEGER NOT NULL,      -- conversation.n
    seq              INTEGER NOT NULL,      -- its creation's number
    change_seq       INTEGER NOT NULL,      -- its last change's number
    id               TEXT    NOT NULL UNIQUE,
    sender           TEXT    NOT NULL,
    type             TEXT    NOT NULL,
    content          TEXT    NOT NULL,      -- JSON object
    client_message_id TEXT,
    reply_to         TEXT,
    reactions        TEXT,                  -- JSON array, NULL: none
    edit_history     TEXT,                  -- JSON array, NULL: none
    device_info      TEXT,
    ip_address       TEXT,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    deleted_at       INTEGER
) STRICT;

CREATE UNIQUE INDEX message_seq ON message (conversation, seq);

CREATE UNIQUE INDEX message_once
    ON message (conversation, sender, client_message_id)
    WHERE client_message_id IS NOT NULL;

-- counting what is unread reads this index alone
CREATE INDEX message_unread ON message (conversation, seq, sender)
    WHERE deleted_at IS NULL;

CREATE INDEX message_time ON message (conversation, created_at, seq);

CREATE INDEX message_thread ON message (conversation, reply_to, seq)
    WHERE reply_to IS NOT NULL;

-- catching up: messages changed after their creation
CREATE INDEX message_changed ON message (conversation, change_seq)
    WHERE change_seq > seq;

-- The text that can be searched; a row goes in with its message.  The view
-- shows FTS5 the text inside the JSON, so that it is not stored twice.
CREATE VIEW message_text (n, text) AS
    SELECT n, json_extract(content, '$.text') FROM message
     WHERE json_type(content, '$.text') = 'text'
       AND json_extract(content, '$.text') <> '';

CREATE VIRTUAL TABLE message_fts USING fts5 (
    text, content='message_text', content_rowid='n',
    tokenize="unicode61 remove_diacritics 2"
);

-- How far a member's cursor was moved, and when: 'r' read, 'd' delivered.
CREATE TABLE cursor_move (
    conversation     INTEGER NOT NULL,      -- conversation.n
    user             TEXT    NOT NULL,
    kind             TEXT    NOT NULL,
    seq              INTEGER NOT NULL,
    at               INTEGER NOT NULL,
    PRIMARY KEY (conversation, user, kind, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE user (
    id               TEXT    PRIMARY KEY,
    name             TEXT    NOT NULL,
    avatar           TEXT,
    role             TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
