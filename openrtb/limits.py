"""How much of anything one request may hold; what is over a limit is an `OverLimit`.

Limits: the work that one request causes grows with imps x formats x deals, with the ids of a person, and with the
    lists that every candidate is held against; what a text may weigh in memory grows with its length.
Source: the most seen in 2,725 real requests is named with each; production requests had at most 9 KB.
"""

from __future__ import annotations

MAX_IMPS = 100  # seen: 10
MAX_FORMATS = 100  # sizes per banner; seen: 3
MAX_DEALS = 500  # per imp; seen: 3, though a marketplace may list a whole catalogue of deals
MAX_EIDS = 100  # sources of ids per person; seen: 6
MAX_UIDS = 100  # ids per source; seen: 2
MAX_NODES = 100  # sellers in a supply chain; seen: 3
MAX_LISTED = 2_000  # domains, apps, categories or seats in a list of what is blocked or allowed; seen: 40
MAX_CODES = 256  # currencies, languages, media types, numbers of an enumeration, durations; seen: 12
MAX_CATEGORIES = 256  # of a site, a section, a page or a piece of content; seen: 16
MAX_WORDS = 1_000  # in one kwarray, and segments of one provider; seen: 3
MAX_PROVIDERS = 100  # of data on a person or on content; seen: 5
MAX_ASSETS = 100  # of a native request, and its event trackers; seen: 6
MAX_NAME_CHARS = (
    256  # of a country, city, language or category: whoever remembers by them stays small; seen: 19
)
MAX_KEYWORDS_CHARS = 16_384  # of comma-separated keywords; seen: 29
MAX_NATIVE_CHARS = 16_384  # of a native request; seen: 683
