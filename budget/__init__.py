"""Money: ledger, journal and audit; leases and what workers hold; plans and pacing. Knows no openrtb and no bidder."""
