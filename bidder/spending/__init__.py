"""A worker's hands in the ledger, in the background: no bid ever waits for them."""
