"""The shape of what the page is told each second.

Place: state.py fills it, rules.py judges it, console.js reads it by these names.
Units: rates per second; times in ms where the name says so; money in millionths of each advertiser's currency; shares
    from 0 to 1; None where there is nothing to say.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Level = Literal["ok", "note", "attention", "broken"]
"""A note is worth knowing, and all is well with it."""
Point = tuple[float, float, float, float | None, float | None, float]
"""(at, requests/s, bids/s, p50 ms, p99 ms, bad share)"""
Ranked = list[tuple[str, float]]
"""Names and rates, the most frequent first."""


class Finding(Struct, frozen=True):
    """What a rule found: the name is an alert's, and a heading of helm/RUNBOOKS.md."""

    rule: str
    level: Level
    text: str


class Exchange(Struct, frozen=True):
    """One exchange now."""

    name: str
    requests: float
    bids: float
    late: float


class Traffic(Struct, frozen=True):
    """What comes, and what goes out."""

    requests: float
    bids: float
    impressions: float
    clicks: float
    bad_share: float
    """Of the last minute's requests: late, shed, without time, or failed by a fault of ours."""
    in_flight: float
    connections: float
    exchanges: list[Exchange]


class Stage(Struct, frozen=True):
    """Where time goes."""

    name: str
    mean_ms: float | None
    p99_ms: float | None


class Latency(Struct, frozen=True):
    """From the arrival of a request to the write of its answer."""

    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    queue_p99_ms: float | None
    stages: list[Stage]


class LineItem(Struct, frozen=True):
    """Money against plan."""

    campaign: str
    line_item: str
    budget: float | None
    """The tightest that bounds it."""
    used: float | None
    """Spent of that budget."""
    planned: float | None
    """Of that budget, what its plan has due by now."""
    spent: float
    """In all."""
    reserved: float
    pace_error: float
    multiplier: float
    rate: float
    """Spent a minute."""


class Wallet(Struct, frozen=True):
    """An advertiser's money."""

    advertiser: str
    funded: float
    spent: float
    leased: float
    available: float


class Money(Struct, frozen=True):
    """How spending stands."""

    lines: list[LineItem]
    wallets: list[Wallet]
    spend: Mapping[str, float]
    """A minute, by currency."""
    within_share: float | None
    """Of the last minute's pacing periods, those that kept to their plan; None where no request came."""
    overspent: float
    stranded: Mapping[str, float]
    pace_age_s: float


class Reasons(Struct, frozen=True):
    """How requests ended, why candidates were dropped, why bids lost; of the last minute, per second."""

    outcomes: Ranked
    drops: Ranked
    losses: Ranked


class Stores(Struct, frozen=True):
    """Where people and money are kept."""

    breaker: int
    """0 closed, 1 open, 2 probing."""
    reads: float
    failed_share: float
    found_share: float | None
    read_p50_ms: float | None
    read_p99_ms: float | None
    ledger_up: bool
    lag_p99_ms: float | None
    spool_bytes: float
    journal_age_s: float | None


class Process(Struct, frozen=True):
    """What a process uses."""

    name: str
    resident_bytes: float
    cpu: float
    """Cores."""


class Workers(Struct, frozen=True):
    """The processes of this host."""

    up: int
    configured: int
    failing: int
    restarts: float
    processes: list[Process]


class Campaigns(Struct, frozen=True):
    """How old is what is live."""

    line_items: float
    loaded_age_s: float | None
    reload_failed: bool
    catalogue_age_s: float | None
    rates_age_s: float | None
    rates_shipped: bool
    """They came with the version: good for a first look, and nobody's deployment."""


class People(Struct, frozen=True):
    """What the law let us do, and who is suspected to be nobody."""

    consent: Ranked
    invalid: Ranked
    """Marked or filtered invalid traffic, as shares of requests."""


class State(Struct, frozen=True):
    """All of it."""

    at_s: float
    minute_s: float
    """How far what is said of the last minute reaches back: less where nobody was watching before."""
    version: str
    level: Level
    findings: list[Finding]
    traffic: Traffic
    latency: Latency
    money: Money
    reasons: Reasons
    stores: Stores
    workers: Workers
    campaigns: Campaigns
    people: People
    point: Point
