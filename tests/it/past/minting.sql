-- The journal of a daemon of commit 412e970 that was killed in the phase minting, over the sandbox of seed 1. Never edited.
PRAGMA foreign_keys = OFF;
PRAGMA application_id = 1919640953;
PRAGMA user_version = 4;
BEGIN TRANSACTION;
CREATE TABLE acks (
    credential  TEXT NOT NULL CHECK (length(credential) BETWEEN 1 AND 64),
    consumer    TEXT NOT NULL CHECK (length(consumer) BETWEEN 1 AND 64),
    fingerprint TEXT NOT NULL CHECK (length(fingerprint) = 16),
    at          TEXT NOT NULL CHECK (at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T*Z' AND length(at) = 30), health TEXT NOT NULL DEFAULT 'using' CHECK (health IN ('using', 'failing')), since TEXT CHECK (since IS NULL OR length(since) = 30),
    PRIMARY KEY (credential, consumer)
) STRICT, WITHOUT ROWID;
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
INSERT INTO "audit" VALUES(1,'2026-11-20T08:00:00.093224323Z','policy',NULL,'adopted','tts-backend','sandbox',NULL,'{"key":"efdb8b80625616bda0b4"}','0000000000000000000000000000000000000000000000000000000000000000','9865fbd722049f24b15ed90da0cca1ad0e6a26fb91d218847d190a56b9b6cd69');
INSERT INTO "audit" VALUES(2,'2026-11-20T08:00:00.096454401Z','policy',NULL,'begun','tts-backend','sandbox','01a1f7f8-3060-73fb-b8f1-ffc827f79979','{"destinations":["local:tts-backend"],"emergency":false,"entry":0,"entry_sha256":"65f261c6c25c8423450944031dc86b86ebf7d01813edc274c347a57f882ca442","key":"efdb8b80625616bda0b4","reason":"adoption","service_account":"0a2b54bd310c1bca3193af6bafe8"}','9865fbd722049f24b15ed90da0cca1ad0e6a26fb91d218847d190a56b9b6cd69','53fb4686fdac1efe9b87721f231b25380fb1afcf6f9c710642d18560da65728f');
INSERT INTO "audit" VALUES(3,'2026-11-20T08:00:00.099548455Z','policy',NULL,'mint_intended','tts-backend','sandbox','01a1f7f8-3060-73fb-b8f1-ffc827f79979','{"entry":1,"entry_sha256":"f260907284680596900fdf4c623ed4393d54d13d192e42b51e761eed353f6df0","permissions":"text_to_speech, voices_read"}','53fb4686fdac1efe9b87721f231b25380fb1afcf6f9c710642d18560da65728f','f6052d6a18808ada4ba875d08848351a5ccb41b880b2b245da9fee7622e0b509');
CREATE TABLE entries (
    rotation TEXT NOT NULL REFERENCES rotations (rotation),
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    at       TEXT NOT NULL CHECK (at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T*Z' AND length(at) = 30),
    event    TEXT NOT NULL,
    body     TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.event') IS event), actor TEXT CHECK (actor IN ('policy', 'operator', 'consumer', 'reporter', 'breaker')), by TEXT, key TEXT,
    PRIMARY KEY (rotation, sequence),
    CHECK ((sequence = 0) = (event = 'begun'))
) STRICT, WITHOUT ROWID;
INSERT INTO "entries" VALUES('01a1f7f8-3060-73fb-b8f1-ffc827f79979',0,'2026-11-20T08:00:00.096454401Z','begun','{"event":"begun","rotation":"01a1f7f8-3060-73fb-b8f1-ffc827f79979","credential":"tts-backend","workspace":"sandbox","account":"0a2b54bd310c1bca3193af6bafe8","reason":"adoption","begun_at":"2026-11-20T08:00:00.0964402Z","old":"efdb8b80625616bda0b4","first":null,"key_lifetime":null,"allow_unrestricted":false,"destinations":[{"store":"local","secret":"tts-backend","json_field":null,"create":true}],"terms":{"at_least":"PT0.3S","at_most":"PT1H","then":"hold","gates":[{"acks":["tts-api"]}],"acks_valid_for":null,"canary":null,"quarantine":"PT0.2S"},"expire_old_key":null,"emergency":false,"urgency":null}','policy',NULL,'efdb8b80625616bda0b4');
INSERT INTO "entries" VALUES('01a1f7f8-3060-73fb-b8f1-ffc827f79979',1,'2026-11-20T08:00:00.099548455Z','mint_intended','{"event":"mint_intended","request":{"grants":{"permissions":{"only":["text_to_speech","voices_read"]},"character_limit":null,"allowed_ips":null,"third_party_disable_allowed":null,"concurrency":{"text_to_speech":null,"dubbing":null,"music":null}},"expires_at":null},"before":[{"version":null,"fingerprint":null}]}','policy',NULL,NULL);
CREATE TABLE holds (
    scope TEXT NOT NULL,
    what  TEXT NOT NULL CHECK (what IN ('everything', 'minting', 'revoking')),
    by    TEXT NOT NULL,
    body  TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.by') = by),
    PRIMARY KEY (scope, what)
) STRICT, WITHOUT ROWID;
CREATE TABLE lifts (
    scope TEXT NOT NULL,
    what  TEXT NOT NULL CHECK (what IN ('everything', 'minting', 'revoking')),
    at    TEXT NOT NULL CHECK (length(at) = 30),
    PRIMARY KEY (scope, what)
) STRICT, WITHOUT ROWID;
CREATE TABLE migrations (
    version    INTEGER NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    checksum   TEXT NOT NULL,
    applied_by TEXT NOT NULL
) STRICT;
INSERT INTO "migrations" VALUES(1,'0001_journal','3ea32ffb2e02a90d1d0c90cf54dfc9cd24308b72f358f66d02ff4adfec81b95e','0.1.0');
INSERT INTO "migrations" VALUES(2,'0002_evidence','9958bba9007148e81239bb9776f0db69007063a269022620a09701c63fa6104e','0.1.0');
INSERT INTO "migrations" VALUES(3,'0003_notices','86cbb10d9b5bbdb80536c4d6b256e5406400dfe49fb526bca1cd60450d301d11','0.1.0');
INSERT INTO "migrations" VALUES(4,'0004_audit','5f6adf650b93c2b9b11242ce488a7eab727aff36fd6727789c860ee46503c29c','0.1.0');
CREATE TABLE notice_failing (
    channel TEXT NOT NULL PRIMARY KEY CHECK (length(channel) BETWEEN 1 AND 64),
    body    TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.channel') IS channel)
) STRICT, WITHOUT ROWID;
CREATE TABLE notice_letters (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE CHECK (length(id) = 32),
    channel  TEXT NOT NULL CHECK (length(channel) BETWEEN 1 AND 64),
    failures INTEGER NOT NULL CHECK (failures >= 0),
    due      TEXT NOT NULL CHECK (length(due) = 30),
    body     TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.id') IS id)
) STRICT;
CREATE TABLE notice_tales (
    key      TEXT NOT NULL PRIMARY KEY,
    rotation TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE notice_threads (
    key  TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.trouble.key') IS key)
) STRICT, WITHOUT ROWID;
CREATE TABLE observations (
    credential TEXT NOT NULL PRIMARY KEY CHECK (length(credential) BETWEEN 1 AND 64),
    rotation   TEXT NOT NULL REFERENCES rotations (rotation),
    at         TEXT NOT NULL CHECK (length(at) = 30),
    body       TEXT NOT NULL CHECK (json_valid(body))
) STRICT, WITHOUT ROWID;
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
INSERT INTO "records" VALUES('tts-backend',3,'01a1f7f8-3060-73fb-b8f1-ffc827f79979','{"credential":"tts-backend","revision":3,"account":"0a2b54bd310c1bca3193af6bafe8","current":{"key":"efdb8b80625616bda0b4","fingerprint":null,"since":"2026-11-20T08:00:00Z","expires_at":null,"usage_hash":"789c2ad5b0d59cf93f2bd9072740510c","grants":{"permissions":{"only":["text_to_speech","voices_read"]},"character_limit":null,"allowed_ips":null,"third_party_disable_allowed":null,"concurrency":{"text_to_speech":null,"dubbing":null,"music":null}}},"published":[],"due":{"at":"2026-11-21T08:00:00Z","schedule":"every PT24H jitter PT0S"},"open":"01a1f7f8-3060-73fb-b8f1-ffc827f79979","last":null,"aborts":0,"asked":false,"obstacle":null,"findings":[],"accepted":[],"emergency":null,"answered":null}');
CREATE TABLE rotations (
    rotation   TEXT NOT NULL PRIMARY KEY CHECK (length(rotation) = 36),
    credential TEXT NOT NULL CHECK (length(credential) BETWEEN 1 AND 64),
    workspace  TEXT NOT NULL CHECK (length(workspace) BETWEEN 1 AND 64),
    UNIQUE (credential, rotation)
) STRICT, WITHOUT ROWID;
INSERT INTO "rotations" VALUES('01a1f7f8-3060-73fb-b8f1-ffc827f79979','tts-backend','sandbox');
CREATE INDEX mints ON entries (at) WHERE event = 'mint_intended';
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
CREATE VIEW timeline AS
SELECT e.at, r.credential, r.workspace, e.rotation, e.sequence, e.event, e.body
FROM entries AS e JOIN rotations AS r USING (rotation)
ORDER BY e.at, e.rotation, e.sequence;
CREATE INDEX events ON entries (event, at);
CREATE INDEX notice_letters_of_a_channel ON notice_letters (channel, number);
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
DELETE FROM "sqlite_sequence";
COMMIT;
