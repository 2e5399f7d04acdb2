-- 005_life.sql: how long things live: legal holds, erasures under way, and the
-- log of administrative acts (docs/life-of-data.md).

CREATE TABLE hold (
    id               TEXT    PRIMARY KEY,
    type             TEXT    NOT NULL,      -- conversation | user
    target           TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    created_by       TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    released_by      TEXT,
    released_at      INTEGER
) STRICT;

CREATE INDEX hold_target ON hold (type, target) WHERE released_at IS NULL;
CREATE INDEX hold_created ON hold (created_at);

CREATE TABLE audit (
    id               TEXT    PRIMARY KEY,
    at               INTEGER NOT NULL,
    action           TEXT    NOT NULL,
    actor            TEXT    NOT NULL,
    role             TEXT    NOT NULL,
    target_type      TEXT    NOT NULL,
    target           TEXT    NOT NULL,
    source           TEXT    NOT NULL,      -- from where: address, host
    details          TEXT    NOT NULL       -- JSON object
) STRICT;

CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_target ON audit (target, at, id);
CREATE INDEX audit_actor ON audit (actor, at, id);

-- who is being erased; gone when it is done
CREATE TABLE erasure (
    user             TEXT    PRIMARY KEY,
    alias            TEXT    NOT NULL,      -- what stands in his place
    requested_by     TEXT    NOT NULL,
    requested_at     INTEGER NOT NULL
) STRICT;

-- whose rooms a user is or was in, those he left too
CREATE INDEX member_ever ON member (user, conversation);

-- what was deleted lies about in the index of words until it is merged
CREATE TABLE untidy (
    what             TEXT    PRIMARY KEY
) STRICT;
