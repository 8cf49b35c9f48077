-- State of one installation. `doc` is the record as JSON; other columns exist to be searched.
CREATE TABLE systems (
    name TEXT PRIMARY KEY NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE versions (
    system TEXT NOT NULL REFERENCES systems (name),
    version TEXT NOT NULL,
    added INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (system, version)
) STRICT;

CREATE TABLE transitions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    system TEXT NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE INDEX transitions_system ON transitions (system, seq);

CREATE TABLE incidents (
    id TEXT PRIMARY KEY NOT NULL,
    revision INTEGER NOT NULL,
    system TEXT NOT NULL,
    state TEXT NOT NULL,
    opened INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE INDEX incidents_opened ON incidents (opened DESC);

CREATE TABLE reviews (
    ticket TEXT PRIMARY KEY NOT NULL,
    system TEXT NOT NULL,
    state TEXT NOT NULL,
    at INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;
CREATE INDEX reviews_state ON reviews (state, at DESC);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE users (
    name TEXT PRIMARY KEY NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE sessions (
    hash TEXT PRIMARY KEY NOT NULL,
    user TEXT NOT NULL,
    expires INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT;

CREATE TABLE records (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    system TEXT NOT NULL,
    at INTEGER NOT NULL,
    state TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;
CREATE INDEX records_at ON records (kind, at DESC);

-- The audit log's head as last seen from here: a log that is shorter was cut, one with another root was rewritten.
CREATE TABLE audit_anchor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    root TEXT NOT NULL
) STRICT;
