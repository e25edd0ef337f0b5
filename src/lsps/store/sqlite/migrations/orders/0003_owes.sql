-- What is too little to go back by itself is looked at again at each start: the operator may have changed his mind.

ALTER TABLE orders ADD COLUMN owes INTEGER NOT NULL DEFAULT 0 CHECK (owes IN (0, 1));
UPDATE orders SET owes = 1 WHERE address IS NOT NULL;

CREATE INDEX orders_owing ON orders (lsp, id) WHERE owes = 1;
