-- State of one installation, shared by its replicas. `doc` is the record as JSON; other columns exist to be searched.
CREATE TABLE systems (
    name TEXT PRIMARY KEY,
    doc TEXT NOT NULL
);

CREATE TABLE versions (
    system TEXT NOT NULL REFERENCES systems (name),
    version TEXT NOT NULL,
    added BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (system, version)
);

CREATE TABLE transitions (
    seq BIGSERIAL PRIMARY KEY,
    system TEXT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX transitions_system ON transitions (system, seq);

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    revision BIGINT NOT NULL,
    system TEXT NOT NULL,
    state TEXT NOT NULL,
    opened BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX incidents_opened ON incidents (opened DESC);

CREATE TABLE reviews (
    ticket TEXT PRIMARY KEY,
    system TEXT NOT NULL,
    state TEXT NOT NULL,
    at BIGINT NOT NULL,
    doc TEXT NOT NULL
);
CREATE INDEX reviews_state ON reviews (state, at DESC);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    doc TEXT NOT NULL
);

CREATE TABLE users (
    name TEXT PRIMARY KEY,
    doc TEXT NOT NULL
);

CREATE TABLE sessions (
    hash TEXT PRIMARY KEY,
    "user" TEXT NOT NULL,
    expires BIGINT NOT NULL,
    doc TEXT NOT NULL
);

CREATE TABLE records (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    system TEXT NOT NULL,
    at BIGINT NOT NULL,
    state TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX records_at ON records (kind, at DESC);

CREATE TABLE audit_anchor (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    size BIGINT NOT NULL,
    root TEXT NOT NULL
);

-- The audit log's tiles, bundles and signed checkpoint, by their path; `written` is the log's size after the append
-- that wrote the row, so that a replica fetches what is new to it.
CREATE TABLE audit_files (
    path TEXT PRIMARY KEY,
    written BIGINT NOT NULL,
    bytes BYTEA NOT NULL
);
CREATE INDEX audit_files_written ON audit_files (written);
