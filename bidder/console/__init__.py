"""The operator's page: one look at a running service, on the operators' port.

Place: the supervisor serves it; it reads merged counters, and touches no worker.
Order: totals.py picks a second's numbers out of a scrape; look.py compares them with those before; state.py makes of
    that what shapes.py names; rules.py says whether all is well; feed.py sends it to whoever watches; page.py holds the
    page, and the form that asks for a token.
"""
