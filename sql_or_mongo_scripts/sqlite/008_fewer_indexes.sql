-- 008_fewer_indexes.sql: one index over a room's numbers instead of three.
--
-- A message of a busy server is mostly the only one of its room in its
-- transaction, and then costs a page in each index that begins with the room:
-- of 49 us a message these two were 17 (tests/bench/bench_store.c).
--
-- What they told, this one tells: numbers and times go up together within a
-- room (writeen.lua), so a time is found by its number; and no number is given
-- twice, which store_plan.c sees before anything is written.

DROP INDEX message_time;
DROP INDEX message_unread;
DROP INDEX message_seq;

-- Counting what is unread is to read this index alone.
CREATE INDEX message_seq ON message (conversation, seq, sender, deleted_at);
