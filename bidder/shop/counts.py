"""What the shop's endpoints count.

Place: receive, syncs and matches count here; the supervisor exposes it.
Limits: labels are advertisers and exchanges that are configured, kinds and words of this package: so the number of
    series is bounded.
"""

from typing import Final

from bidder.metrics import Metric

EVENTS: Final = Metric(
    "paceline_shop_events_total",
    "counter",
    "Shop events taken, by where they came from",
    ("advertiser", "kind", "source"),
)
REPEATED: Final = Metric(
    "paceline_shop_events_repeated_total",
    "counter",
    "Shop events that were known already",
    ("advertiser",),
)
REFUSED: Final = Metric(
    "paceline_shop_events_refused_total",
    "counter",
    "Shop events refused: fields, undeclared, personal, age, json, currency, origin, child, token, batch, busy or "
    "advertiser",
    ("advertiser", "reason"),
)
SCRUBBED: Final = Metric(
    "paceline_shop_fields_dropped_total",
    "counter",
    "Fields dropped because they held an e-mail address or a phone number",
    ("advertiser", "field"),
)
PEOPLE: Final = Metric(
    "paceline_shop_people_total",
    "counter",
    "Shop events by what became of the person: kept, unconsented, opted_out, unnamed, failed",
    ("advertiser", "person"),
)
SYNCS: Final = Metric(
    "paceline_syncs_total",
    "counter",
    "Cookie syncs: matched, unnamed, unconsented, opted_out, id_opted_out, refused or failed",
    ("exchange", "result"),
)
SYNCS_SENT: Final = Metric(
    "paceline_syncs_sent_total",
    "counter",
    "Times that we handed our id to an exchange: by redirect, or by a pixel of the tag",
    ("exchange", "way"),
)
UPLOADS: Final = Metric(
    "paceline_match_uploads_total",
    "counter",
    "Lines of uploaded matches: matched, unconsented, opted_out, erased, refused or failed; and calls: unsigned, batch",
    ("exchange", "result"),
)

METRICS: Final = (EVENTS, REPEATED, REFUSED, SCRUBBED, PEOPLE, SYNCS, SYNCS_SENT, UPLOADS)
NOBODY: Final = "none"
"""The advertiser of a call that names none of ours."""
