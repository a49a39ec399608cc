"""The section `[fraud]` of the configuration: which reasons count how much, and what is done about them.

Place: config.py holds one; the room of invalid traffic (fraud/) obeys it.
Rule: a reason that is `ignore`d is not looked at; one that is `mark`ed adds its weight to the score; one that says
    `filter` ends the request at once. Where the weights of the marked reasons reach `threshold` the request ends, too.
Units: weights from 0 to 100, a score is their sum; rates in requests per second, as one worker sees them.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

Policy = Literal["ignore", "mark", "filter"]
Weight = Annotated[int, Meta(ge=0, le=100)]
Rate = Annotated[float, Meta(gt=0, le=1_000_000)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Seconds = Annotated[float, Meta(gt=0, le=604_800)]
EXCHANGE_DOMAINS: Final = {
    "google": "google.com",
    "xandr": "appnexus.com",
    "index": "indexexchange.com",
    "magnite": "rubiconproject.com",
}
"""What the shipped exchanges are called in ads.txt."""


class Policies(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done about each reason."""

    crawler: Policy = "filter"
    tool: Policy = "filter"
    no_agent: Policy = "mark"
    contradiction: Policy = "mark"
    datacentre: Policy = "mark"
    """Marked alone: VPNs, company proxies and iCloud Private Relay stand in the same networks as bots."""
    placement: Policy = "filter"
    tiny: Policy = "mark"
    nameless: Policy = "mark"
    mismatch: Policy = "mark"
    person_rate: Policy = "filter"
    address_rate: Policy = "mark"
    source_rate: Policy = "mark"
    seller: Policy = "mark"
    schain: Policy = "mark"


class Weights(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each reason adds to the score."""

    crawler: Weight = 100
    tool: Weight = 100
    no_agent: Weight = 50
    contradiction: Weight = 30
    datacentre: Weight = 50
    placement: Weight = 100
    tiny: Weight = 30
    nameless: Weight = 20
    mismatch: Weight = 20
    person_rate: Weight = 100
    address_rate: Weight = 50
    source_rate: Weight = 40
    seller: Weight = 60
    schain: Weight = 20


class FraudRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Invalid traffic: what is suspected, and what is done about it."""

    enabled: bool = True
    threshold: Annotated[int, Meta(ge=1, le=1_000)] = 100
    """The score at which a request is answered without a bid, whatever its reasons' policies."""
    suspect: Annotated[int, Meta(ge=1, le=1_000)] = 50
    """The score from which what is bought is recorded as suspect."""
    policies: Policies = Policies()
    weights: Weights = Weights()
    datacenter_networks: tuple[str, ...] = ()
    """Files of networks in CIDR notation, IPv4 and IPv6, one per line; `#` begins a comment."""
    person_rate: Rate = 8.0
    """Requests per second of one id, kept up for a minute, that no person reaches: the busiest pages of several
    exchanges at once, one after the other, stay below half of it."""
    person_share: Share = 0.0005
    """And its share of all traffic has to be above this."""
    address_rate: Rate = 50.0
    """The same of a truncated address with one agent: behind it may stand a mobile network."""
    address_share: Share = 0.01
    source_suspects: Share = 0.5
    """A placement is suspect where so many of its requests are, for other reasons than this one."""
    source_requests: Count = 200
    """And it has sent so many within the last minutes."""
    sellers_dir: str = ""
    """The folder of cached ads.txt, app-ads.txt and sellers.json; empty: `sellers` in the data directory."""
    exchange_domains: dict[str, str] = field(default_factory=EXCHANGE_DOMAINS.copy)
    """What each exchange is called in ads.txt: its requests without a supply chain are its own inventory."""
    fetch_sellers: bool = False
    """Whether the caretaker fetches ads.txt of the domains that ask most often."""
    fetch_domains: Annotated[int, Meta(ge=1, le=100_000)] = 500
    fetch_every_s: Seconds = 86_400.0
    report_every_s: Seconds = 10.0
    """How often a worker writes down its sources for `paceline fraud report`, and looks whether a list has changed."""
    person_clicks: Count = 20
    """Clicks of one person within an hour that no person makes."""
    placement_click_rate: Share = 0.25
    """Clicks per impression of a placement that no ad earns."""
    placement_clicks: Count = 50
    """So many clicks within an hour before that is believed."""
    quick_click_ms: Annotated[int, Meta(ge=0, le=10_000)] = 500
    """A click sooner than this after the impression is nobody's: seeing and pointing take longer."""
