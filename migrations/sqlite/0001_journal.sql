-- The journal: what rekeyd knows, durably. Never a key's value.
-- Times are RFC 3339 in UTC with nine decimals, so that they sort as text.

CREATE TABLE migrations (
    version    INTEGER NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL,
    applied_by TEXT NOT NULL
) STRICT;

-- Whose each rotation is.
CREATE TABLE rotations (
    rotation   TEXT NOT NULL PRIMARY KEY CHECK (length(rotation) = 36),
    credential TEXT NOT NULL CHECK (length(credential) BETWEEN 1 AND 64),
    workspace  TEXT NOT NULL CHECK (length(workspace) BETWEEN 1 AND 64),
    UNIQUE (credential, rotation)
) STRICT, WITHOUT ROWID;

-- What happened to each rotation, in order, for ever.
CREATE TABLE entries (
    rotation TEXT NOT NULL REFERENCES rotations (rotation),
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    at       TEXT NOT NULL CHECK (at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T*Z' AND length(at) = 30),
    event    TEXT NOT NULL,
    body     TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.event') IS event),
    PRIMARY KEY (rotation, sequence),
    CHECK ((sequence = 0) = (event = 'begun'))
) STRICT, WITHOUT ROWID;

CREATE INDEX mints ON entries (at) WHERE event = 'mint_intended';

-- What is known of each credential. `open` is the rotation that is under way.
CREATE TABLE records (
    credential TEXT NOT NULL PRIMARY KEY CHECK (length(credential) BETWEEN 1 AND 64),
    revision   INTEGER NOT NULL CHECK (revision >= 1),
    open       TEXT,
    body       TEXT NOT NULL CHECK (json_valid(body)),
    CHECK (json_extract(body, '$.credential') IS credential),
    CHECK (json_extract(body, '$.revision') IS revision),
    CHECK (json_extract(body, '$.open') IS open),
    FOREIGN KEY (credential, open) REFERENCES rotations (credential, rotation)
) STRICT, WITHOUT ROWID;

-- The newest acknowledgement of each consumer.
CREATE TABLE acks (
    credential  TEXT NOT NULL CHECK (length(credential) BETWEEN 1 AND 64),
    consumer    TEXT NOT NULL CHECK (length(consumer) BETWEEN 1 AND 64),
    fingerprint TEXT NOT NULL CHECK (length(fingerprint) = 16),
    at          TEXT NOT NULL CHECK (at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T*Z' AND length(at) = 30),
    PRIMARY KEY (credential, consumer)
) STRICT, WITHOUT ROWID;

-- The second line of defence: rekeyd checks all of this itself before it writes.

CREATE TRIGGER entries_have_no_gaps BEFORE INSERT ON entries
WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence) + 1, 0) FROM entries WHERE rotation = NEW.rotation)
BEGIN SELECT RAISE(ABORT, 'the entries of a rotation have no gaps'); END;

CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries never change'); END;

CREATE TRIGGER entries_never_go BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;

CREATE TRIGGER rotations_never_change BEFORE UPDATE ON rotations
BEGIN SELECT RAISE(ABORT, 'rotations never change'); END;

CREATE TRIGGER rotations_never_go BEFORE DELETE ON rotations
BEGIN SELECT RAISE(ABORT, 'rotations are never deleted'); END;

CREATE TRIGGER records_begin_at_one BEFORE INSERT ON records
WHEN NEW.revision IS NOT 1
BEGIN SELECT RAISE(ABORT, 'a record begins with revision 1'); END;

CREATE TRIGGER records_go_on_by_one BEFORE UPDATE ON records
WHEN NEW.revision IS NOT OLD.revision + 1 OR NEW.credential IS NOT OLD.credential
BEGIN SELECT RAISE(ABORT, 'each change of a record is one revision'); END;

CREATE TRIGGER records_never_go BEFORE DELETE ON records
BEGIN SELECT RAISE(ABORT, 'records are never deleted'); END;

-- For a person: SELECT * FROM timeline WHERE credential = '...';
CREATE VIEW timeline AS
SELECT e.at, r.credential, r.workspace, e.rotation, e.sequence, e.event, e.body
FROM entries AS e JOIN rotations AS r USING (rotation)
ORDER BY e.at, e.rotation, e.sequence;
