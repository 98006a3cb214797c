-- Notifications under the names that the rest of rekeyd uses: incidents, occurrences, notifications, failing channels.

-- Alerts that at least one channel was notified of and that are not resolved.
CREATE TABLE incidents (
    key  TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.alert.key') IS key)
) STRICT, WITHOUT ROWID;

-- The newest rotation of each occurrence that was reported.
CREATE TABLE occurrences (
    key      TEXT NOT NULL PRIMARY KEY,
    rotation TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The outbox: a row is deleted when it is delivered. Numbers are never reused: they are the order of a channel.
CREATE TABLE notifications (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
    channel  TEXT NOT NULL CHECK (length(channel) BETWEEN 1 AND 64),
    failures INTEGER NOT NULL CHECK (failures >= 0),
    due      TEXT NOT NULL CHECK (length(due) = 30),
    body     TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.id') IS id)
) STRICT;

CREATE INDEX notifications_of_a_channel ON notifications (channel, number);

-- Channels whose last delivery failed.
CREATE TABLE failing_channels (
    channel TEXT NOT NULL PRIMARY KEY CHECK (length(channel) BETWEEN 1 AND 64),
    body    TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.channel') IS channel)
) STRICT, WITHOUT ROWID;

-- Keys stay as they are: receivers know an incident by its key.
INSERT INTO incidents (key, body)
SELECT key,
       json_remove(
           json_set(
               body,
               '$.alert', json_remove(json_set(body -> '$.trouble', '$.reason', body ->> '$.trouble.what'), '$.what'),
               '$.channels', json(body -> '$.told')
           ),
           '$.trouble', '$.told'
       )
FROM notice_threads;

INSERT INTO occurrences (key, rotation) SELECT key, rotation FROM notice_tales;

INSERT INTO notifications (number, id, channel, failures, due, body)
SELECT number, id, channel, failures, due,
       json_remove(
           json_set(
               body,
               '$.event', body ->> '$.news',
               '$.alert', json_remove(json_set(body -> '$.trouble', '$.reason', body ->> '$.trouble.what'), '$.what')
           ),
           '$.news', '$.trouble'
       )
FROM notice_letters;

DELETE FROM sqlite_sequence WHERE name = 'notifications';
INSERT INTO sqlite_sequence (name, seq) SELECT 'notifications', seq FROM sqlite_sequence WHERE name = 'notice_letters';

INSERT INTO failing_channels (channel, body) SELECT channel, body FROM notice_failing;

DROP TABLE notice_threads;
DROP TABLE notice_tales;
DROP TABLE notice_letters;
DROP TABLE notice_failing;
