"""The parent of all workers: it claims ports, starts the store, keeps workers running, tells how they are.

Place: `paceline serve`; service.py holds the order of things. It never sees a bid.
"""
