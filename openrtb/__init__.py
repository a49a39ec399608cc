"""OpenRTB as a bidder reads and writes it. Pure: standard library and msgspec. Knows nothing of bidder or budget."""
