-- 004_files.sql: records of files (the seed's File Uploads collection).

CREATE TABLE file_upload (
    id               TEXT    PRIMARY KEY,
    rev              INTEGER NOT NULL,      -- of the record that is here
    conversation     TEXT    NOT NULL,      -- conversation.id
    message          TEXT,                  -- message.id, once it is sent
    uploaded_by      TEXT    NOT NULL,
    file_name        TEXT    NOT NULL,
    original_name    TEXT    NOT NULL,
    file_size        INTEGER NOT NULL,
    mime_type        TEXT    NOT NULL,
    file_hash        TEXT    NOT NULL,      -- SHA-256, hex
    storage          TEXT,                  -- JSON object; NULL: no bytes
    scan_status      TEXT    NOT NULL,
    scan_result      TEXT,                  -- JSON object
    engine           TEXT,                  -- of scan_result
    scanned_at       INTEGER,
    is_encrypted     INTEGER NOT NULL,
    is_public        INTEGER NOT NULL,
    width            INTEGER NOT NULL,      -- 0: not known, as the next two
    height           INTEGER NOT NULL,
    pages            INTEGER NOT NULL,
    thumbnails       TEXT,                  -- JSON array
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    deleted_at       INTEGER,
    download_count   INTEGER NOT NULL DEFAULT 0,
    accessed_at      INTEGER,
    accessed_entry   INTEGER NOT NULL DEFAULT 0     -- the last one counted
) STRICT;

-- who needs the bytes; what else has a content
CREATE INDEX file_hash ON file_upload (file_hash, created_at);

CREATE INDEX file_message ON file_upload (message)
    WHERE message IS NOT NULL;

CREATE INDEX file_conversation ON file_upload (conversation, created_at);

-- findings; what was scanned longest ago
CREATE INDEX file_status ON file_upload (scan_status, created_at);

CREATE INDEX file_scanned ON file_upload (scan_status, scanned_at);
