"""Every statement of the order store and the journal. A test asks SQLite for each one's plan: none may scan a table of
orders, leases or entries, or sort. `:lsp` is the LSP the store was opened for.
"""
# ruff: noqa: S105, S608  (table and column names alone are put together here, and no statement is a password)

from __future__ import annotations

# --- the LSP --------------------------------------------------------------------------------------------------------

ADD_LSP = "INSERT INTO lsps (node_id, secret) VALUES (:lsp, :secret)"
SECRET = "SELECT secret FROM lsps WHERE node_id = :lsp"
READ_TO = "SELECT read_to FROM lsps WHERE node_id = :lsp"
SET_READ_TO = "UPDATE lsps SET read_to = :read_to WHERE node_id = :lsp"
LSPS = "SELECT node_id FROM lsps ORDER BY node_id"

# --- orders ---------------------------------------------------------------------------------------------------------

_ORDER = "id, lsp, version, principal, state, created_at, closed_at, payment_hash, address, body"

ORDER = f"SELECT {_ORDER} FROM orders WHERE lsp = :lsp AND id = :id"
ORDER_OF_ADDRESS = f"SELECT {_ORDER} FROM orders WHERE lsp = :lsp AND address = :address"
ORDERS_WITH_DEPOSITS = (
    f"SELECT {_ORDER} FROM orders INDEXED BY orders_with_deposits"
    " WHERE lsp = :lsp AND deposits_until >= :until AND (deposits_until, id) > (:until, :after)"
    " ORDER BY deposits_until, id LIMIT :limit"
)
ORDER_OF_HASH = f"SELECT {_ORDER} FROM orders WHERE lsp = :lsp AND payment_hash = :payment_hash"
WATCHED_ORDERS = (
    f"SELECT {_ORDER} FROM orders INDEXED BY orders_watched"
    " WHERE lsp = :lsp AND watched = 1 AND id > :after ORDER BY id LIMIT :limit"
)
OWING_ORDERS = (
    "SELECT id FROM orders INDEXED BY orders_owing"
    " WHERE lsp = :lsp AND owes = 1 AND id > :after ORDER BY id LIMIT :limit"
)
NEWEST_ORDERS = f"SELECT {_ORDER} FROM orders WHERE lsp = :lsp ORDER BY seq DESC LIMIT :limit"
NEWEST_ORDERS_BEFORE = (
    f"SELECT {_ORDER} FROM orders"
    " WHERE lsp = :lsp AND seq < (SELECT seq FROM orders WHERE lsp = :lsp AND id = :before)"
    " ORDER BY seq DESC LIMIT :limit"
)
DUE_ORDERS = "SELECT id FROM orders WHERE lsp = :lsp AND due_at <= :now ORDER BY due_at LIMIT :limit"
NEXT_DUE_ORDER = "SELECT min(due_at) FROM orders WHERE lsp = :lsp AND due_at > :after"
ORDERS_DUE_AT_HEIGHT = "SELECT id FROM orders WHERE lsp = :lsp AND due_height <= :tip ORDER BY due_height LIMIT :limit"
ORDERS_WITH_DUE_HEIGHT = f"SELECT {_ORDER}, due_height FROM orders WHERE lsp = :lsp AND due_height > -1"
SET_DUE_HEIGHT = "UPDATE orders SET due_height = :due_height WHERE lsp = :lsp AND id = :id"
INSERT_ORDER = (
    "INSERT INTO orders (lsp, id, version, principal, state, created_at, closed_at, payment_hash, address,"
    " deposits_until, due_at, due_height, unpaid, watched, owes, prunable_since, body) VALUES (:lsp, :id, :version,"
    " :principal, :state, :created_at, :closed_at, :payment_hash, :address, :deposits_until, :due_at, :due_height,"
    " :unpaid, :watched, :owes, :prunable_since, :body) ON CONFLICT (lsp, id) DO NOTHING"
)
UPDATE_ORDER = (
    "UPDATE orders SET version = :version, principal = :principal, state = :state, created_at = :created_at,"
    " closed_at = :closed_at, payment_hash = :payment_hash, address = :address, deposits_until = :deposits_until,"
    " due_at = :due_at, due_height = :due_height,"
    " unpaid = :unpaid, watched = :watched, owes = :owes, prunable_since = :prunable_since, body = :body"
    " WHERE lsp = :lsp AND id = :id AND version = :version - 1"
)
PRUNE = (
    "DELETE FROM orders WHERE seq IN (SELECT seq FROM orders WHERE lsp = :lsp AND prunable_since < :closed_before"
    " ORDER BY prunable_since LIMIT :limit)"
)
UNPAID = "SELECT orders FROM unpaid_counts WHERE lsp = :lsp AND principal = :principal"

# --- leases and extensions ------------------------------------------------------------------------------------------

_LEASE = (
    "channel_id, lsp, version, peer, expiration_block, provisional_from, confirmed_at, expires_at,"
    " original_order_id, original_service, extension_order_ids, ended"
)

LEASE = f"SELECT {_LEASE} FROM leases WHERE lsp = :lsp AND channel_id = :channel_id"
OPEN_LEASES = (
    f"SELECT {_LEASE} FROM leases INDEXED BY leases_open"
    " WHERE lsp = :lsp AND ended = 0 AND channel_id > :after ORDER BY channel_id LIMIT :limit"
)
INSERT_LEASE = (
    "INSERT INTO leases (lsp, channel_id, version, peer, expiration_block, provisional_from, confirmed_at, expires_at,"
    " original_order_id, original_service, extension_order_ids, ended) VALUES (:lsp, :channel_id, :version, :peer,"
    " :expiration_block, :provisional_from, :confirmed_at, :expires_at, :original_order_id, :original_service,"
    " :extension_order_ids, :ended) ON CONFLICT (lsp, channel_id) DO NOTHING"
)
UPDATE_LEASE = (
    "UPDATE leases SET version = :version, peer = :peer, expiration_block = :expiration_block,"
    " provisional_from = :provisional_from, confirmed_at = :confirmed_at, expires_at = :expires_at,"
    " original_order_id = :original_order_id,"
    " original_service = :original_service, extension_order_ids = :extension_order_ids, ended = :ended"
    " WHERE lsp = :lsp AND channel_id = :channel_id AND version = :version - 1"
)
INSERT_EXTENSION = (
    "INSERT INTO extensions (lsp, order_id, channel_id, previous, new)"
    " VALUES (:lsp, :order_id, :channel_id, :previous, :new)"
)

# --- effects --------------------------------------------------------------------------------------------------------

EFFECTS_OF_ORDER = "SELECT name FROM effects WHERE lsp = :lsp AND order_id = :order_id"
INSERT_EFFECT = (
    "INSERT INTO effects (lsp, order_id, name, principal, due) VALUES (:lsp, :order_id, :name, :principal, :due)"
)
DELETE_EFFECT = "DELETE FROM effects WHERE lsp = :lsp AND order_id = :order_id AND name = :name"
DUE_EFFECTS = (
    "SELECT order_id, name, due, attempt FROM effects WHERE lsp = :lsp AND due <= :now ORDER BY due LIMIT :limit"
)
NEXT_DUE_EFFECT = "SELECT min(due) FROM effects WHERE lsp = :lsp AND due > :after"
PUT_OFF = (
    "UPDATE effects SET due = :due, attempt = attempt + 1"
    " WHERE lsp = :lsp AND order_id = :order_id AND name = :name AND attempt = :attempt"
)
HASTEN_BEYOND = "UPDATE effects INDEXED BY effects_due SET due = :now WHERE lsp = :lsp AND due > :latest"
HASTEN = (
    "UPDATE effects INDEXED BY effects_of_principal SET due = :now"
    " WHERE lsp = :lsp AND principal = :principal AND due > :now"
)

# --- inputs and tokens ----------------------------------------------------------------------------------------------

RESERVED_INPUTS = "SELECT outpoint FROM reserved_inputs WHERE lsp = :lsp"
INPUTS_OF_ORDER = "SELECT outpoint FROM reserved_inputs WHERE lsp = :lsp AND order_id = :order_id"
RESERVE_INPUT = (
    "INSERT INTO reserved_inputs (lsp, outpoint, order_id) VALUES (:lsp, :outpoint, :order_id)"
    " ON CONFLICT (lsp, outpoint) DO NOTHING"
)
FREE_INPUT = "DELETE FROM reserved_inputs WHERE lsp = :lsp AND outpoint = :outpoint AND order_id = :order_id"
TOKEN = "SELECT reserved, consumed FROM tokens WHERE lsp = :lsp AND code = :code"
INSERT_TOKEN = (
    "INSERT INTO tokens (lsp, code, reserved, consumed) VALUES (:lsp, :code, 0, 0) ON CONFLICT (lsp, code) DO NOTHING"
)
CHANGE_TOKEN = (
    "UPDATE tokens SET reserved = reserved + :reserved, consumed = consumed + :consumed"
    " WHERE lsp = :lsp AND code = :code"
)

# --- the journal ----------------------------------------------------------------------------------------------------

_ENTRY = (
    "number, node, lsp, lsp_address, method, parameters, state, created_at, updated_at, expires_at, order_id,"
    " payment_hash, note, reply, refund_address, txid, raw, paid, fee, inputs, since"
)
_ENTRIES = "entries{} LEFT JOIN transactions ON entry = number"

ADD_ENTRY = (
    "INSERT INTO entries (node, lsp, lsp_address, method, parameters, state, created_at, updated_at, expires_at,"
    " order_id, payment_hash, note, reply, refund_address) VALUES (:node, :lsp, :lsp_address, :method, :parameters,"
    " :state, :created_at, :updated_at, :expires_at, :order_id, :payment_hash, :note, :reply, :refund_address)"
)
UPDATE_ENTRY = (
    "UPDATE entries SET node = :node, lsp = :lsp, lsp_address = :lsp_address, method = :method,"
    " parameters = :parameters, state = CASE WHEN :state = 'abandoned' AND EXISTS (SELECT 1 FROM transactions WHERE"
    " entry = number) THEN state ELSE :state END, created_at = :created_at, updated_at = :updated_at,"
    " expires_at = :expires_at, order_id = :order_id, payment_hash = :payment_hash, note = :note, reply = :reply,"
    " refund_address = :refund_address WHERE number = :number"
)
END_UNPAID = f"{UPDATE_ENTRY} AND state IN ('asked', 'ordered')"
UNFINISHED_ENTRIES = (
    f"SELECT {_ENTRY} FROM {_ENTRIES.format(' INDEXED BY entries_unfinished')}"
    " WHERE node = :node AND lsp = :lsp AND method = :method"
    " AND state IN ('asked', 'ordered', 'paying') AND (state <> 'asked' OR order_id IS NULL)"
)
NEWEST_ENTRIES = f"SELECT {_ENTRY} FROM {_ENTRIES.format('')} ORDER BY number DESC LIMIT :limit"
ENTRY = f"SELECT {_ENTRY} FROM {_ENTRIES.format('')} WHERE number = :number"
KEEP_TRANSACTION = (
    "INSERT INTO transactions (entry, txid, raw, paid, fee, inputs, since)"
    " SELECT number, :txid, :raw, :paid, :fee, :inputs, :since FROM entries WHERE number = :entry"
    " ON CONFLICT (entry) DO NOTHING"
)
PAYING = "UPDATE entries SET state = :state WHERE number = :number"
INPUTS_OF_OTHERS = (
    "SELECT inputs FROM entries INDEXED BY entries_unfinished JOIN transactions ON entry = number"
    " WHERE node = (SELECT node FROM entries WHERE number = :entry) AND state IN ('asked', 'ordered', 'paying')"
    " AND number <> :entry"
)
INPUTS_IN_USE = (
    "SELECT inputs FROM entries INDEXED BY entries_unfinished JOIN transactions ON entry = number"
    " WHERE node = :node AND state IN ('asked', 'ordered', 'paying')"
)
