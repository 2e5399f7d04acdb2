-- 007_sessions.sql: consultations, and the seed's Chat Sessions.

-- A scheduled consultation and the room it takes place in.  A room may see
-- several, one after the other: the messages from from_seq on are this one's,
-- up to the next one.
CREATE TABLE consultation (
    id               TEXT    PRIMARY KEY,   -- of the scheduling system
    conversation     TEXT    NOT NULL,      -- conversation.id
    from_seq         INTEGER NOT NULL,
    rev              INTEGER NOT NULL,      -- number of the event that said so
    status           TEXT    NOT NULL,
    context          TEXT,                  -- JSON object
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
) STRICT;

CREATE INDEX consultation_room ON consultation (conversation, from_seq);

INSERT INTO consultation
    SELECT consultation_id, id, 0, 0, 'confirmed', context, created_at,
           updated_at
      FROM conversation WHERE consultation_id IS NOT NULL ORDER BY n
        ON CONFLICT DO NOTHING;

-- Of the room's present consultation: its status, and the session under way.
ALTER TABLE conversation ADD COLUMN consultation_status TEXT;
ALTER TABLE conversation ADD COLUMN session TEXT;

UPDATE conversation SET consultation_status = 'confirmed'
 WHERE consultation_id IS NOT NULL;

CREATE TABLE chat_session (
    id               TEXT    PRIMARY KEY,
    rev              INTEGER NOT NULL,      -- of the record that is here
    conversation     TEXT    NOT NULL,      -- conversation.id
    consultation     TEXT,                  -- consultation.id
    type             TEXT    NOT NULL,      -- consultation | general
    status           TEXT    NOT NULL,      -- active | ended | completed
    start_seq        INTEGER NOT NULL,      -- first event
    end_seq          INTEGER,               -- last event
    start_at         INTEGER NOT NULL,
    end_at           INTEGER,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    document         TEXT    NOT NULL       -- the record, JSON object
) STRICT;

CREATE INDEX session_room ON chat_session (conversation, start_at);

CREATE INDEX session_consultation ON chat_session (consultation, start_at)
    WHERE consultation IS NOT NULL;

CREATE INDEX session_start ON chat_session (start_at);

-- those whose summary is still to be made
CREATE INDEX session_ended ON chat_session (end_at) WHERE status = 'ended';

-- The transcript in pieces; run tells two attempts apart.
CREATE TABLE session_part (
    session          TEXT    NOT NULL,      -- chat_session.id
    run              TEXT    NOT NULL,
    part             INTEGER NOT NULL,      -- from 0 on
    text             TEXT    NOT NULL,
    PRIMARY KEY (session, run, part)
) STRICT, WITHOUT ROWID;

-- How satisfied a participant was; the first word counts.
CREATE TABLE session_rating (
    session          TEXT    NOT NULL,      -- chat_session.id
    user             TEXT    NOT NULL,
    rating           INTEGER NOT NULL,      -- 1 to 5
    comment          TEXT,
    at               INTEGER NOT NULL,
    PRIMARY KEY (session, user)
) STRICT, WITHOUT ROWID;
