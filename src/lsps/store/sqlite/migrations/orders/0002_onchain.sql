-- On-chain payments. An address belongs to one order for ever: what is paid to it late is still given back.

ALTER TABLE orders ADD COLUMN address TEXT;
-- The last block that told something of the order's deposits, 2^32-1 while one is under way.
ALTER TABLE orders ADD COLUMN deposits_until INTEGER;

CREATE UNIQUE INDEX orders_of_address ON orders (lsp, address) WHERE address IS NOT NULL;
CREATE INDEX orders_with_deposits ON orders (lsp, deposits_until, id) WHERE deposits_until IS NOT NULL;

-- Up to this block the wallet's deposits have been read.
ALTER TABLE lsps ADD COLUMN read_to INTEGER NOT NULL DEFAULT 0;

ALTER TABLE leases ADD COLUMN confirmed_at INTEGER;
