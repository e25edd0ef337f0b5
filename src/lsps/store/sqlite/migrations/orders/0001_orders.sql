-- Orders, leases and what hangs on them. Times are microseconds since 1970 UTC, ids are text as the specifications
-- write them. What is queried or constrained is a column; the rest of an order is JSON in `body`.

CREATE TABLE lsps (
    node_id TEXT NOT NULL PRIMARY KEY,
    secret  BLOB NOT NULL CHECK (length(secret) = 32)  -- preimages derive from it
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    seq            INTEGER PRIMARY KEY,  -- ids are random: this is the order in which orders came
    lsp            TEXT NOT NULL REFERENCES lsps (node_id),
    id             TEXT NOT NULL,
    version        INTEGER NOT NULL CHECK (version > 0),
    principal      TEXT NOT NULL,
    state          TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    closed_at      INTEGER,
    payment_hash   BLOB CHECK (length(payment_hash) = 32),
    due_at         INTEGER,
    due_height     INTEGER,
    unpaid         INTEGER NOT NULL CHECK (unpaid IN (0, 1)),
    watched        INTEGER NOT NULL CHECK (watched IN (0, 1)),
    prunable_since INTEGER,
    body           TEXT NOT NULL,
    UNIQUE (lsp, id),
    UNIQUE (lsp, payment_hash)
) STRICT;

CREATE INDEX orders_by_age ON orders (lsp, seq);
CREATE INDEX orders_due ON orders (lsp, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX orders_due_at_height ON orders (lsp, due_height) WHERE due_height IS NOT NULL;
CREATE INDEX orders_watched ON orders (lsp, id) WHERE watched = 1;
CREATE INDEX orders_prunable ON orders (lsp, prunable_since) WHERE prunable_since IS NOT NULL;

-- How many orders await payment, counted by the triggers below in the statement that changes an order, so that it can
-- neither drift nor cost more the more orders there are. The principal '' is all of them.
CREATE TABLE unpaid_counts (
    lsp       TEXT NOT NULL,
    principal TEXT NOT NULL,
    orders    INTEGER NOT NULL CHECK (orders >= 0),
    PRIMARY KEY (lsp, principal)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER unpaid_placed AFTER INSERT ON orders WHEN NEW.unpaid = 1 BEGIN
    INSERT INTO unpaid_counts (lsp, principal, orders) VALUES (NEW.lsp, NEW.principal, 1), (NEW.lsp, '', 1)
        ON CONFLICT DO UPDATE SET orders = orders + 1;
END;

CREATE TRIGGER unpaid_again AFTER UPDATE OF unpaid ON orders WHEN OLD.unpaid = 0 AND NEW.unpaid = 1 BEGIN
    INSERT INTO unpaid_counts (lsp, principal, orders) VALUES (NEW.lsp, NEW.principal, 1), (NEW.lsp, '', 1)
        ON CONFLICT DO UPDATE SET orders = orders + 1;
END;

CREATE TRIGGER unpaid_no_more AFTER UPDATE OF unpaid ON orders WHEN OLD.unpaid = 1 AND NEW.unpaid = 0 BEGIN
    UPDATE unpaid_counts SET orders = orders - 1 WHERE lsp = OLD.lsp AND principal IN (OLD.principal, '');
    DELETE FROM unpaid_counts WHERE lsp = OLD.lsp AND principal = OLD.principal AND orders = 0;
END;

CREATE TRIGGER unpaid_deleted AFTER DELETE ON orders WHEN OLD.unpaid = 1 BEGIN
    UPDATE unpaid_counts SET orders = orders - 1 WHERE lsp = OLD.lsp AND principal IN (OLD.principal, '');
    DELETE FROM unpaid_counts WHERE lsp = OLD.lsp AND principal = OLD.principal AND orders = 0;
END;

CREATE TABLE leases (
    lsp                  TEXT NOT NULL REFERENCES lsps (node_id),
    channel_id           TEXT NOT NULL,
    version              INTEGER NOT NULL CHECK (version > 0),
    peer                 TEXT NOT NULL,
    expiration_block     INTEGER NOT NULL,
    provisional_from     INTEGER,
    expires_at           INTEGER,
    original_order_id    TEXT,
    original_service     TEXT,
    extension_order_ids  TEXT NOT NULL,  -- a JSON array, the newest ten
    ended                INTEGER NOT NULL CHECK (ended IN (0, 1)),
    PRIMARY KEY (lsp, channel_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX leases_open ON leases (lsp, channel_id) WHERE ended = 0;

-- A settled payment has exactly one extension (money rule 2).
CREATE TABLE extensions (
    lsp        TEXT NOT NULL,
    order_id   TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    previous   INTEGER NOT NULL,
    new        INTEGER NOT NULL CHECK (new > previous),
    PRIMARY KEY (lsp, order_id),
    FOREIGN KEY (lsp, order_id) REFERENCES orders (lsp, id),
    FOREIGN KEY (lsp, channel_id) REFERENCES leases (lsp, channel_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE effects (
    lsp       TEXT NOT NULL,
    order_id  TEXT NOT NULL,
    name      TEXT NOT NULL,
    principal TEXT NOT NULL,
    due       INTEGER NOT NULL,
    attempt   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (lsp, order_id, name),
    FOREIGN KEY (lsp, order_id) REFERENCES orders (lsp, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX effects_due ON effects (lsp, due);
CREATE INDEX effects_of_principal ON effects (lsp, principal);

-- The inputs of openings whose outcome is not known yet: no two orders may choose the same (money rule 3).
CREATE TABLE reserved_inputs (
    lsp      TEXT NOT NULL,
    outpoint TEXT NOT NULL,
    order_id TEXT NOT NULL,
    PRIMARY KEY (lsp, outpoint),
    FOREIGN KEY (lsp, order_id) REFERENCES orders (lsp, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX reserved_inputs_of_order ON reserved_inputs (lsp, order_id);

CREATE TABLE tokens (
    lsp      TEXT NOT NULL REFERENCES lsps (node_id),
    code     TEXT NOT NULL,
    reserved INTEGER NOT NULL CHECK (reserved >= 0),
    consumed INTEGER NOT NULL CHECK (consumed >= 0),
    PRIMARY KEY (lsp, code)
) STRICT, WITHOUT ROWID;
