-- What the client asked for and paid. Times are microseconds since 1970 UTC.

CREATE TABLE entries (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    node         TEXT NOT NULL,
    lsp          TEXT NOT NULL,
    lsp_address  TEXT NOT NULL,
    method       TEXT NOT NULL,
    parameters   TEXT NOT NULL,
    state        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    order_id     TEXT,
    payment_hash BLOB,
    note         TEXT NOT NULL,
    reply        BLOB NOT NULL  -- the LSP's newest order object, JSON
) STRICT;

CREATE INDEX entries_unfinished ON entries (node, lsp, method, parameters)
    WHERE state IN ('asked', 'ordered', 'paying');
