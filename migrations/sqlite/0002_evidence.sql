-- What consumers say beside which key they use, what rekeyd found out by itself, and what is held back.

ALTER TABLE acks ADD COLUMN health TEXT NOT NULL DEFAULT 'using' CHECK (health IN ('using', 'failing'));
-- Since when the consumer says the same; for rows of before, since its newest word.
ALTER TABLE acks ADD COLUMN since TEXT CHECK (since IS NULL OR length(since) = 30);

-- The evidence of one rotation's overlap, as it was last gathered.
CREATE TABLE observations (
    credential TEXT NOT NULL PRIMARY KEY CHECK (length(credential) BETWEEN 1 AND 64),
    rotation   TEXT NOT NULL REFERENCES rotations (rotation),
    at         TEXT NOT NULL CHECK (length(at) = 30),
    body       TEXT NOT NULL CHECK (json_valid(body))
) STRICT, WITHOUT ROWID;

-- What must not be done, by whose word: an operator's pause, or a breaker that tripped.
CREATE TABLE holds (
    scope TEXT NOT NULL,
    what  TEXT NOT NULL CHECK (what IN ('everything', 'minting', 'revoking')),
    by    TEXT NOT NULL,
    body  TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.by') = by),
    PRIMARY KEY (scope, what)
) STRICT, WITHOUT ROWID;

-- When such a hold was last lifted: what failed before that is done with.
CREATE TABLE lifts (
    scope TEXT NOT NULL,
    what  TEXT NOT NULL CHECK (what IN ('everything', 'minting', 'revoking')),
    at    TEXT NOT NULL CHECK (length(at) = 30),
    PRIMARY KEY (scope, what)
) STRICT, WITHOUT ROWID;

CREATE INDEX events ON entries (event, at);
