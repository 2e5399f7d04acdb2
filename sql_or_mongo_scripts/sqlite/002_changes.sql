-- 002_changes.sql: edits, deletions, reactions, blocks, managed profiles.
--
-- message.edit_history of 001 stays empty: previous texts in the message's row
-- would be read with every page of messages.

ALTER TABLE message ADD COLUMN edited_at INTEGER;
ALTER TABLE message ADD COLUMN deleted_by TEXT;

-- What a message said before its edit number seq.
CREATE TABLE message_edit (
    message          INTEGER NOT NULL,      -- message.n
    seq              INTEGER NOT NULL,
    edited_at        INTEGER NOT NULL,
    edited_by        TEXT    NOT NULL,
    previous         TEXT    NOT NULL,      -- its text
    PRIMARY KEY (message, seq)
) STRICT;

-- permissions stay as they were given; who is blocked has no write, no upload
ALTER TABLE member ADD COLUMN blocked_by TEXT;

-- 1: a service set it; what tokens say does not change it
ALTER TABLE user ADD COLUMN managed INTEGER NOT NULL DEFAULT 0;

-- Counting what is unread is to read this index alone: for that, SQLite wants
-- deleted_at in it, although it is NULL throughout.
DROP INDEX message_unread;

CREATE INDEX message_unread ON message (conversation, seq, sender, deleted_at)
    WHERE deleted_at IS NULL;

-- The text of a deleted message can not be found.
DROP VIEW message_text;

CREATE VIEW message_text (n, text) AS
    SELECT n, json_extract(content, '$.text') FROM message
     WHERE deleted_at IS NULL
       AND json_type(content, '$.text') = 'text'
       AND json_extract(content, '$.text') <> '';
