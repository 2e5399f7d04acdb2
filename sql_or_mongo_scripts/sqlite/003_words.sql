-- 003_words.sql: an index of folded words for searching
-- (worker/store/sqlite/store_sqlite_text.c says how it is used).

DROP TABLE message_fts;
DROP VIEW message_text;

-- message.n grows with the time of creation from here on: milliseconds * 32768,
-- and a count.  By way of negative numbers, so that none meets another.
CREATE TEMP TABLE moved AS
    SELECT n AS was, created_at * 32768 - 1 + row_number()
           OVER (PARTITION BY created_at ORDER BY n) AS now
      FROM message;

UPDATE message SET n = -1 - now FROM moved WHERE was = n;
UPDATE message_edit SET message = now FROM moved WHERE was = message;
UPDATE message SET n = -1 - n;

DROP TABLE moved;

-- Tokens between blanks: each word, and /<conversation.n>/<word>.  The text is
-- not kept here a second time, nor where in it or how often a word stands.
CREATE VIRTUAL TABLE message_words USING fts5 (
    words, content='', columnsize=0, detail=none,
    tokenize="ascii tokenchars '/'"
);

INSERT INTO message_words (rowid, words)
    SELECT n, tokens
      FROM (SELECT n, wrt_words(conversation, content) AS tokens
              FROM message WHERE deleted_at IS NULL)
     WHERE tokens IS NOT NULL;
