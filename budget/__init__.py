"""Money: amounts here; ledger, leases and pacing join them. Knows nothing of openrtb or bidder."""
