-- The audit log: who did or decided what, chained by hashes. docs/audit.md says what is hashed.

-- Who made an event happen, and which key it is about; rows of before do not say.
ALTER TABLE entries ADD COLUMN actor TEXT CHECK (actor IN ('policy', 'operator', 'consumer', 'reporter', 'breaker'));
ALTER TABLE entries ADD COLUMN by TEXT;
ALTER TABLE entries ADD COLUMN key TEXT;

CREATE TABLE audit (
    sequence   INTEGER NOT NULL PRIMARY KEY CHECK (sequence >= 1),
    at         TEXT NOT NULL CHECK (length(at) = 30),
    actor      TEXT NOT NULL CHECK (actor IN ('policy', 'operator', 'consumer', 'reporter', 'breaker')),
    by         TEXT,
    what       TEXT NOT NULL,
    credential TEXT,
    workspace  TEXT,
    rotation   TEXT,
    details    TEXT NOT NULL CHECK (json_valid(details)),
    previous   TEXT NOT NULL CHECK (length(previous) = 64),
    hash       TEXT NOT NULL CHECK (length(hash) = 64)
) STRICT;

CREATE TRIGGER audit_has_no_gaps BEFORE INSERT ON audit
WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence) + 1, 1) FROM audit)
BEGIN SELECT RAISE(ABORT, 'the records of the audit log have no gaps'); END;

CREATE TRIGGER audit_is_a_chain BEFORE INSERT ON audit
WHEN NEW.sequence > 1 AND NEW.previous IS NOT (SELECT hash FROM audit WHERE sequence = NEW.sequence - 1)
BEGIN SELECT RAISE(ABORT, 'each record of the audit log follows the one before it'); END;

CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log never changes'); END;

CREATE TRIGGER audit_never_goes BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is never deleted'); END;
