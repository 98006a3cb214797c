-- What people were told, and what they are still to be told. The addresses of those people are not in here.

-- Troubles that somebody was told of and that are not over.
CREATE TABLE notice_threads (
    key  TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.trouble.key') IS key)
) STRICT, WITHOUT ROWID;

-- What was told once, and of which rotation it was last told.
CREATE TABLE notice_tales (
    key      TEXT NOT NULL PRIMARY KEY,
    rotation TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The outbox: deleted when delivered. Numbers are never used again, so that the order of a channel's letters is theirs.
CREATE TABLE notice_letters (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
    channel  TEXT NOT NULL CHECK (length(channel) BETWEEN 1 AND 64),
    failures INTEGER NOT NULL CHECK (failures >= 0),
    due      TEXT NOT NULL CHECK (length(due) = 30),
    body     TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.id') IS id)
) STRICT;

CREATE INDEX notice_letters_of_a_channel ON notice_letters (channel, number);

-- Channels whose last delivery failed.
CREATE TABLE notice_failing (
    channel TEXT NOT NULL PRIMARY KEY CHECK (length(channel) BETWEEN 1 AND 64),
    body    TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.channel') IS channel)
) STRICT, WITHOUT ROWID;
