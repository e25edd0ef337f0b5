"""The messages of the node contract over our own BOLT 8 transport: no node is needed, only an identity key."""
