-- Orders that are paid on-chain. The transaction that pays is kept before it is published, once for each entry.

ALTER TABLE entries ADD COLUMN refund_address TEXT NOT NULL DEFAULT '';  -- our own wallet's, made for this order

CREATE TABLE transactions (
    entry  INTEGER PRIMARY KEY REFERENCES entries (number),
    txid   TEXT NOT NULL,
    raw    BLOB NOT NULL,
    paid   INTEGER NOT NULL,
    fee    INTEGER NOT NULL,
    inputs TEXT NOT NULL,     -- outpoints, with spaces between them
    since  INTEGER NOT NULL   -- a height: the inputs' blocks are at or above it
) STRICT;
