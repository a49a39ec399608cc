"""What a notice does: its token is checked, it is counted once, and what it asks for is queued.

Place: web/public hands over what came in; a worker holds one `Notices`. Nothing here waits for a store.
Rule: `bill` moves money, or `imp` where the exchange's profile says billing = "beacon": the clearing price, never more
    than the bid, once per bid, whatever else came before or comes after. A win informs, and its hold lasts; a loss
    releases what was reserved and tells why; an impression is a view. A loss after the bill changes nothing, a bill
    after the loss is charged from what is available: who shows the ad is paid.
    A notice after the bid's deadline is `late` and does the same; after the token's end it is `expired` and does
    nothing, as do forged, foreign and repeated ones. Tokens of test requests, and prices rendered for an audit, are
    counted as `test` and do nothing else.
    A click leads to the landing page of the token's line item and creative, or to the page of the product that it
    names, as the advertiser's catalogue has it.
    A line item that nobody remembers (it was removed, then the worker restarted) still owes: the token names the
    advertiser, whose wallet is charged or gets back what was reserved, counted as line item `unknown`. Its clicks lead
    nowhere and its views are kept for nobody. Where the advertiser is unknown too, nothing is done.
Units: Micros of the advertiser's currency.
Limits: repeats are known here per worker and for a bounded time (recent.py): a fast path. That a bid is charged once,
    by whichever workers, is the ledger's doing.
Never: an identifier of a person; an exception for anything that can be sent.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, Protocol

from msgspec import Struct

from bidder.clock import Clock
from bidder.metrics import Tally
from bidder.notices import orders, witness
from bidder.notices.clearing import UNKNOWN, Cost, Terms, other_currency
from bidder.notices.counts import Counts, event_label
from bidder.notices.keys import Keyring
from bidder.notices.orders import Order, Queue
from bidder.notices.recent import Recent
from bidder.notices.token import NOBODY, Audience, Claim, TokenFault, open_token
from bidder.notices.witness import Records, Sight
from budget.accounts import WALLET, Limits, path_at
from budget.money import CpmMicros, Micros, cost_of_one, exchanged
from openrtb import macros

CLICK_GRACE_S: Final = 86_400
"""A page stays open long after its token expired; whoever clicks within a day still gets where they meant."""


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
    LATE = "late"
    """Accepted, after the bid's deadline."""
    DUPLICATE = "duplicate"
    TEST = "test"
    EXPIRED = "expired"
    FORGED = "forged"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    UNKNOWN_LINE_ITEM = "unknown_line_item"
    REFUSED = "refused"
    """Good, but there was no room to keep it: nothing comes of it unless it is sent again."""


class Notice(Struct, frozen=True, gc=False):
    """One call of a notice URL; texts are as they came."""

    kind: Kind
    token: str
    price: str = ""
    currency: str = ""
    reason: str = ""
    event: str = ""
    """Of players: which part of the ad was reached."""
    min_to_win: str = ""
    product: str = ""
    """Of clicks on a product: its key, 16 hexadecimal digits."""
    layout: str = ""
    """Of clicks on a product: how the ad was laid out."""


class Receipt(Struct, frozen=True, gc=False):
    """What a notice did."""

    result: Result
    landing_url: str | None = None
    """Of clicks: where to go."""
    spent: Micros = Micros(0)
    """What the ledger will be asked to charge."""
    suspect: bool = False
    """It, or the request that was bid on, may be invalid traffic; whatever is recorded of it says so."""


class Entry(Struct, frozen=True):
    """What notices need to know of a line item."""

    campaign_id: str
    line_item_id: str
    currency: str
    """The advertiser's."""
    landing_urls: Mapping[int, str]
    """`key64` of a creative to its landing page."""
    advertiser_id: str
    limits: Limits | None
    """What bounds it, for the accounts of the moment of a bid; None: nobody knows, but its lease."""
    campaign_key: int
    line_key: int
    creative_keys: Mapping[int, int]
    """32-bit keys of the log of a person's views; `key64` of a creative to its own."""
    window_s: int
    """The longest window of the caps that bind it; 0: it has none, so nobody's views are kept for it."""


class Directory(Protocol):
    """Line items by their keys, also those that a reload removed a while ago."""

    def line_item(self, key: int) -> Entry | None:
        """The line item of a `key64`; None where there is none any more."""

    def advertiser(self, key: int) -> str | None:
        """The id of an advertiser, by its `key64`, also of one who has no line items any more; None: never heard of."""


class Products(Protocol):
    """Who knows the products of an ad."""

    def product_url(self, advertiser_id: str, product: str) -> str | None:
        """Where a product that the advertiser lists now is sold; None for whatever text leads to none."""

    def clicked(self, line_item: int, layout: str) -> None:
        """Count a click on a product, once per bid; texts that name no layout are passed over."""


class Doubts(Protocol):
    """Who tells invalid traffic among notices."""

    def sees(self, kind: str, bid: Claim, exchange: str, now_s: float, *, repeated: bool = False) -> int:
        """Whatever speaks against a notice, as bits; 0: nothing does."""


_AUDIENCE: Final = {
    kind: Audience.EXCHANGE if kind in (Kind.WIN, Kind.BILL, Kind.LOSS) else Audience.BROWSER for kind in Kind
}
_FAULTS: Final = {fault: Result(fault.value) for fault in TokenFault}
_FREQUENCY: Final = {Kind.WIN: orders.PROLONG, Kind.LOSS: orders.DROP, Kind.IMP: orders.VIEW}


class Notices:
    """Everything that a worker does with what comes back of its bids."""

    def __init__(
        self,
        tally: Tally,
        directory: Directory,
        keyring: Keyring,
        terms: Mapping[int, Terms],
        clock: Clock,
        queue: Queue,
    ) -> None:
        """`terms` are those of clearing.terms_of; `queue` keeps what is to be done. `products` is whoever knows those
        of ads that show some; until it is set, clicks on products lead to the landing page."""
        self.products: Products | None = None
        self.doubts: Doubts | None = None
        """Until it is set, only what was doubted before the bid is suspect."""
        self.records: Records | None = None
        """Whoever records impressions and clicks; until it is set, nobody does."""
        self._counts, self._directory, self._keyring, self._clock = Counts(tally), directory, keyring, clock
        self._terms, self._queue = terms, queue
        self._recent = {kind: Recent() for kind in Kind}

    def receive(self, notice: Notice) -> Receipt:
        """Check, queue and count one notice; never raises for anything that it holds."""
        receipt = self._receive(notice)
        self._counts.result(notice.kind.value, receipt.result.value)
        return receipt

    def _receive(self, notice: Notice) -> Receipt:
        kind, now_s = notice.kind, self._clock.now_s()
        grace_s = CLICK_GRACE_S if kind is Kind.CLICK else 0
        claim = open_token(notice.token, self._keyring, _AUDIENCE[kind], now_s - grace_s)
        if isinstance(claim, TokenFault):
            return Receipt(_FAULTS[claim])
        entry = self._directory.line_item(claim.line_item) or self._removed(claim)
        if entry is None:
            return Receipt(Result.UNKNOWN_LINE_ITEM)
        landing_url = self._landing_url(notice, claim, entry) if kind is Kind.CLICK else None
        if claim.test or notice.price == macros.AUDIT:
            return Receipt(Result.TEST, landing_url)
        identity = _identity(notice, claim)
        terms = self._terms.get(claim.exchange, UNKNOWN)
        if not self._recent[kind].first(identity):
            self._suspect(kind, claim, terms.name, now_s, repeated=True)
            return Receipt(Result.DUPLICATE, landing_url)
        bills = kind is (Kind.IMP if terms.by_beacon else Kind.BILL)
        cost = terms.cost(claim, notice.price, notice.currency, now_s) if bills else None
        verbs = _verbs(kind, claim, entry, bills)
        if verbs and not self._queue.accept(_order(verbs, claim, entry, cost, now_s)):
            self._recent[kind].forget(identity)
            return Receipt(Result.REFUSED, landing_url)
        suspect = self._suspect(kind, claim, terms.name, now_s)
        self._count(notice, claim, entry, terms.name, suspect=suspect)
        if cost is not None:
            self._counts.clearing(terms.name, cost.clearing.value)
        if self.records is not None and (bills or kind in (Kind.IMP, Kind.CLICK)):
            sight = _sight(claim, entry, terms.name, now_s, suspect=suspect)
            if kind is Kind.CLICK:
                self.records.record(witness.click(sight, notice.product, notice.layout))
            else:
                spent = cost.micros if cost is not None else 0
                self.records.record(witness.impression(sight, spent, entry.currency))
        late = now_s > claim.deadline_s and kind not in (Kind.CLICK, Kind.EVENT)
        result = Result.LATE if late else Result.ACCEPTED
        return Receipt(result, landing_url, cost.micros if cost is not None else Micros(0), suspect)

    def _suspect(
        self, kind: Kind, claim: Claim, exchange: str, now_s: float, *, repeated: bool = False
    ) -> bool:
        """Whether a notice, or the request behind its bid, may be invalid traffic."""
        doubts = self.doubts
        marks = (
            doubts.sees(kind.value, claim, exchange, now_s, repeated=repeated) if doubts is not None else 0
        )
        return bool(marks) or claim.suspect

    def _landing_url(self, notice: Notice, claim: Claim, entry: Entry) -> str | None:
        if notice.product and self.products is not None:
            url = self.products.product_url(entry.advertiser_id, notice.product)
            if url is not None:
                return url
        return entry.landing_urls.get(claim.creative)

    def _removed(self, claim: Claim) -> Entry | None:
        """Stands for a line item of which only the advertiser is known."""
        advertiser_id = self._directory.advertiser(claim.advertiser)
        if advertiser_id is None:
            return None
        return Entry(
            campaign_id="",
            line_item_id="",
            currency="",
            landing_urls={},
            advertiser_id=advertiser_id,
            limits=None,
            campaign_key=0,
            line_key=0,
            creative_keys={},
            window_s=0,
        )

    def _count(self, notice: Notice, claim: Claim, entry: Entry, exchange: str, *, suspect: bool) -> None:
        counts, kind = self._counts, notice.kind
        if kind in (Kind.WIN, Kind.IMP, Kind.CLICK, Kind.EVENT):
            counts.of_line(kind.value, (entry.campaign_id, entry.line_item_id), notice.event)
        if kind is Kind.CLICK and notice.layout and self.products is not None and not suspect:
            self.products.clicked(claim.line_item, notice.layout)
        if kind is Kind.LOSS:
            counts.loss(exchange, notice.reason)
        if kind in (Kind.WIN, Kind.LOSS) and not other_currency(notice.currency, claim.currency):
            counts.to_win((exchange, kind.value), notice.min_to_win, claim.bid_cpm_micros)


def _verbs(kind: Kind, claim: Claim, entry: Entry, bills: bool) -> int:
    """What is to be done; 0: nothing."""
    money = orders.SETTLE if bills else 0
    if kind is Kind.LOSS and claim.lease:
        money = orders.RELEASE
    if claim.person == NOBODY or not entry.window_s:
        return money
    return money | (orders.VIEW if bills else _FREQUENCY.get(kind, 0))


def _order(verbs: int, claim: Claim, entry: Entry, cost: Cost | None, now_s: float) -> Order:
    return Order(
        verbs=verbs,
        advertiser_id=entry.advertiser_id,
        campaign_id=entry.campaign_id,
        line_item_id=entry.line_item_id,
        bid_id=claim.bid_id,
        lease=claim.lease,
        price=cost_of_one(exchanged(CpmMicros(claim.bid_cpm_micros), claim.rate_ppm)),
        amount=0 if cost is None else cost.micros,
        path=_path(entry.limits, claim.issued_s) if verbs & orders.SETTLE else (),
        issued_s=claim.issued_s,
        deadline_s=claim.deadline_s,
        accepted_s=now_s,
        person=claim.person,
        visitor=claim.visitor,
        campaign_key=entry.campaign_key,
        line_key=entry.line_key,
        creative_key=entry.creative_keys.get(claim.creative, 0),
        window_s=entry.window_s,
    )


def _sight(claim: Claim, entry: Entry, exchange: str, now_s: float, *, suspect: bool) -> Sight:
    return Sight(
        bid=claim,
        advertiser_id=entry.advertiser_id,
        campaign_id=entry.campaign_id,
        line_item_id=entry.line_item_id,
        exchange=exchange,
        now_s=now_s,
        suspect=suspect,
    )


def _path(limits: Limits | None, issued_s: int) -> tuple[str, ...]:
    """The accounts of a bid, should its lease be gone: a lease that lives knows its own."""
    return (WALLET,) if limits is None else tuple([level.account for level in path_at(limits, issued_s)])


def _identity(notice: Notice, claim: Claim) -> bytes:
    """What may be counted once: a bid's notice of a kind, and of players each event."""
    return claim.bid_id + event_label(notice.event).encode() if notice.kind is Kind.EVENT else claim.bid_id
