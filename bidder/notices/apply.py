"""What a notice does: its token is checked, it is counted once, and the one that bills moves money.

Place: web/public hands over what came in; a worker holds one `Notices`.
Rule: `bill` moves money, or `imp` where the exchange's profile says billing = "beacon"; once per bid. A win
    informs; a loss tells why; a click leads to the landing page of the token's line item and creative.
    Tokens of test requests, and prices rendered for an audit, are counted as `test` and do nothing else.
Units: spend in micros of the advertiser's currency.
Limits: repeats are known per worker and for a bounded time (recent.py).
Never: an identifier of a person; an exception for anything that can be sent.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, Protocol

from msgspec import Struct

from bidder.clock import Clock
from bidder.exchanges import Exchange
from bidder.keys import key32
from bidder.metrics import Metric, Tally
from bidder.notices.clearing import SEALED, Cost, clearing_cost, decoders, unreadable, unsealed_cost
from bidder.notices.keys import Keyring
from bidder.notices.recent import Recent
from bidder.notices.token import Audience, Claim, TokenFault, open_token
from budget.money import Micros
from openrtb import macros
from openrtb.vast import EVENTS

CLICK_GRACE_S: Final = 86_400
"""A page stays open long after its token expired; whoever clicks within a day still gets where they meant."""
MAX_LOSS_REASON: Final = 499  # the codes above it are each exchange's own

METRICS: Final = (
    Metric(
        "paceline_notices_total", "counter", "Notices, beacons and clicks by their result", ("kind", "result")
    ),
    Metric(
        "paceline_loss_reasons_total",
        "counter",
        "Loss notices by the OpenRTB reason code that the exchange gave",
        ("exchange", "reason"),
    ),
    Metric(
        "paceline_clearing_prices_total",
        "counter",
        "Charged impressions by how their price was found; unless read, the bid was charged",
        ("exchange", "clearing"),
    ),
    Metric(
        "paceline_line_item_wins_total", "counter", "Auctions won, by win notices", ("campaign", "line_item")
    ),
    Metric(
        "paceline_line_item_impressions_total",
        "counter",
        "Impressions, by the beacon in the markup",
        ("campaign", "line_item"),
    ),
    Metric("paceline_line_item_clicks_total", "counter", "Clicks, once per bid", ("campaign", "line_item")),
    Metric(
        "paceline_line_item_events_total",
        "counter",
        "How far players got through video and audio ads",
        ("campaign", "line_item", "event"),
    ),
    Metric(
        "paceline_line_item_spend_micros_total",
        "counter",
        "Money spent, in millionths of the advertiser's currency",
        ("campaign", "line_item"),
    ),
)


class Kind(Enum):
    """What a notice tells; the value is its path."""

    WIN = "win"
    BILL = "bill"
    LOSS = "loss"
    IMP = "imp"
    CLICK = "click"
    EVENT = "event"


class Result(Enum):
    """What became of a notice; exactly one is counted for each."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    TEST = "test"
    EXPIRED = "expired"
    FORGED = "forged"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    UNKNOWN_LINE_ITEM = "unknown_line_item"


class Notice(Struct, frozen=True, gc=False):
    """One call of a notice URL; texts are as they came."""

    kind: Kind
    token: str
    price: str = ""
    currency: str = ""
    reason: str = ""
    event: str = ""
    """Of players: which part of the ad was reached."""


class Receipt(Struct, frozen=True, gc=False):
    """What a notice did."""

    result: Result
    landing_url: str | None = None
    """Of clicks: where to go."""
    spent: Micros = Micros(0)


class Entry(Struct, frozen=True):
    """What notices need to know of a line item."""

    campaign_id: str
    line_item_id: str
    currency: str
    """The advertiser's."""
    landing_urls: Mapping[int, str]
    """`key64` of a creative to its landing page."""


class Directory(Protocol):
    """Line items by their keys, also those that a reload removed a while ago."""

    def line_item(self, key: int) -> Entry | None:
        """The line item of a `key64`; None where there is none any more."""


LINE_ITEM_SERIES: Final = 1_000
OTHERS: Final = ("other", "other")

_AUDIENCE: Final = {
    kind: Audience.EXCHANGE if kind in (Kind.WIN, Kind.BILL, Kind.LOSS) else Audience.BROWSER for kind in Kind
}
_FAULTS: Final = {fault: Result(fault.value) for fault in TokenFault}
_COUNTED_AS: Final = {
    Kind.WIN: "paceline_line_item_wins_total",
    Kind.IMP: "paceline_line_item_impressions_total",
    Kind.CLICK: "paceline_line_item_clicks_total",
}


class Notices:
    """Everything that a worker does with what comes back of its bids."""

    def __init__(
        self,
        tally: Tally,
        directory: Directory,
        keyring: Keyring,
        profiles: tuple[Exchange, ...],
        clock: Clock,
        price_keys: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """`price_keys`: exchange name to the keys of its price decoder."""
        self._tally, self._directory, self._keyring, self._clock = tally, directory, keyring, clock
        self._profiles = {key32(profile.name): profile for profile in profiles}
        self._decoders = decoders(profiles, price_keys or {})
        self._recent = {kind: Recent() for kind in Kind}
        self._named: set[tuple[str, str]] = set()

    def receive(self, notice: Notice) -> Receipt:
        """Check, apply and count one notice; never raises for anything that it holds."""
        receipt = self._receive(notice)
        self._tally.count("paceline_notices_total", notice.kind.value, receipt.result.value)
        return receipt

    def _receive(self, notice: Notice) -> Receipt:
        now_s = self._clock.now_s() - (CLICK_GRACE_S if notice.kind is Kind.CLICK else 0)
        claim = open_token(notice.token, self._keyring, _AUDIENCE[notice.kind], now_s)
        if isinstance(claim, TokenFault):
            return Receipt(_FAULTS[claim])
        entry = self._directory.line_item(claim.line_item)
        if entry is None:
            return Receipt(Result.UNKNOWN_LINE_ITEM)
        landing_url = entry.landing_urls.get(claim.creative) if notice.kind is Kind.CLICK else None
        if claim.test or notice.price == macros.AUDIT:
            return Receipt(Result.TEST, landing_url)
        if not self._recent[notice.kind].first(_identity(notice, claim)):
            return Receipt(Result.DUPLICATE, landing_url)
        return Receipt(Result.ACCEPTED, landing_url, self._apply(notice, claim, entry))

    def _apply(self, notice: Notice, claim: Claim, entry: Entry) -> Micros:
        profile = self._profiles.get(claim.exchange)
        exchange = profile.name if profile else "unknown"
        counter = _COUNTED_AS.get(notice.kind)
        names = self._series(entry)
        if counter:
            self._tally.count(counter, *names)
        if notice.kind is Kind.LOSS:
            self._tally.count("paceline_loss_reasons_total", exchange, loss_reason(notice.reason))
        if notice.kind is Kind.EVENT:
            self._tally.count("paceline_line_item_events_total", *names, _event(notice))
        billing = Kind.IMP if profile and profile.billing == "beacon" else Kind.BILL
        if notice.kind is not billing:
            return Micros(0)
        cost = self._cost(notice, claim, profile)
        self._tally.count("paceline_clearing_prices_total", exchange, cost.clearing.value)
        self._tally.count("paceline_line_item_spend_micros_total", *names, by=cost.micros)
        return cost.micros

    def _cost(self, notice: Notice, claim: Claim, profile: Exchange | None) -> Cost:
        """What the impression costs; a price that a browser could have written is not read."""
        if notice.kind is Kind.IMP and (profile is None or profile.price_decoder not in SEALED):
            return unsealed_cost(claim)
        decode = self._decoders.get(profile.name, unreadable) if profile else unreadable
        return clearing_cost(claim, notice.price, notice.currency, decode, self._clock.now_s())

    def _series(self, entry: Entry) -> tuple[str, str]:
        """The labels of a line item; above LINE_ITEM_SERIES of them the rest share one series."""
        names = (entry.campaign_id, entry.line_item_id)
        if names not in self._named:
            if len(self._named) >= LINE_ITEM_SERIES:
                return OTHERS
            self._named.add(names)
        return names


def _event(notice: Notice) -> str:
    return notice.event if notice.event in EVENTS else "other"


def _identity(notice: Notice, claim: Claim) -> bytes:
    """What may be counted once: a bid's notice of a kind, and of players each event."""
    return claim.bid_id + _event(notice).encode() if notice.kind is Kind.EVENT else claim.bid_id


def loss_reason(text: str) -> str:
    """A loss reason as a label of few values: the OpenRTB code, `exchange_specific` from 500 on, `none`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        return "none"
    code = int(text)
    return str(code) if code <= MAX_LOSS_REASON else "exchange_specific"
