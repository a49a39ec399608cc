"""How much of anything one request may hold; what is over a limit is an `OverLimit`.

Limits: the work that one request causes grows with imps x formats x deals and with the ids of a person.
Source: the most seen in 2,725 real requests is named with each; production requests had at most 9 KB.
"""

from __future__ import annotations

MAX_IMPS = 100  # seen: 10
MAX_FORMATS = 100  # sizes per banner; seen: 3
MAX_DEALS = 500  # per imp; seen: 3, though a marketplace may list a whole catalogue of deals
MAX_EIDS = 100  # sources of ids per person; seen: 6
MAX_UIDS = 100  # ids per source; seen: 2
MAX_NODES = 100  # sellers in a supply chain; seen: 3
