-- 006_devices.sql: who is reached by push, and when he does not want to be
-- (docs/push.md).

CREATE TABLE device (
    id               TEXT    PRIMARY KEY,   -- of its token
    user             TEXT    NOT NULL,      -- who registered it last
    platform         TEXT    NOT NULL,      -- android | ios | web
    token            TEXT    NOT NULL,
    locale           TEXT,
    at               INTEGER NOT NULL       -- when
) STRICT;

CREATE INDEX device_user ON device (user, at, id);

CREATE TABLE push_setting (
    user             TEXT    PRIMARY KEY,
    quiet            TEXT                   -- JSON object; NULL: no quiet hours
) STRICT;

CREATE TABLE mute (
    user             TEXT    NOT NULL,
    conversation     TEXT    NOT NULL,
    until            INTEGER,               -- NULL: until he says so
    PRIMARY KEY (user, conversation)
) STRICT, WITHOUT ROWID;
