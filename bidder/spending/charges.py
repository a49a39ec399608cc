"""Accepted notices become money: settled or released at the ledger, counted when that is done.

Place: the money lane hands over batches; the ledger is any `budget.store.Store`.
Units: Micros of the advertiser's currency.
Rule: settlements go before releases of the same batch: what is billed is owed. The ledger takes each bid once,
    whatever comes twice; spend is counted where it answers SETTLED or LATE. A DUPLICATE counts as settled where
    our own first try was never answered: the batch stands in doubt, by a lost reply or a killed process.
Limits: one call per advertiser and batch, CALLS advertisers at once. A charge that the ledger will never take (our
    bug) is logged whole, counted `fault`, and holds up nobody: it is the operator's loss.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from bidder.clock import Clock
from bidder.metrics import Metric, Tally
from bidder.notices.orders import RELEASE, SETTLE, Order
from bidder.notices.series import LineSeries
from budget.money import Micros
from budget.store import LedgerDown, Release, Settlement, Status, Store

CALLS: Final = 16
Ask = Callable[[str, list[Order]], Awaitable[list[Status]]]
Count = Callable[[Order, Status | None, bool], None]
LAG_BUCKETS_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000, 600_000)

METRICS: Final = (
    Metric(
        "paceline_charges_total",
        "counter",
        "Billed impressions by what the ledger made of them",
        ("campaign", "line_item", "result"),
    ),
    Metric("paceline_releases_total", "counter", "Lost bids by what the ledger made of them", ("result",)),
    Metric(
        "paceline_spend_micros_total",
        "counter",
        "Money spent, late money too, of all line items",
        ("currency",),
    ),
    Metric(
        "paceline_line_item_spend_micros_total",
        "counter",
        "Money spent, late money too, in millionths of the advertiser's currency",
        ("campaign", "line_item"),
    ),
    Metric(
        "paceline_line_item_late_micros_total",
        "counter",
        "Part of the spend whose notice came after its deadline",
        ("campaign", "line_item"),
    ),
    Metric(
        "paceline_line_item_absorbed_micros_total",
        "counter",
        "Late money that found no room in the budget: the operator's loss",
        ("campaign", "line_item"),
    ),
    Metric(
        "paceline_notice_lag_seconds",
        "histogram",
        "From the acceptance of a notice to the ledger's answer",
        (),
        1e-3,
        LAG_BUCKETS_MS,
    ),
    Metric("paceline_ledger_failures_total", "counter", "Calls that the ledger did not answer"),
)
_LAG: Final = next(metric for metric in METRICS if metric.kind == "histogram")
_log = logging.getLogger(__name__)
_MICROS: Final[dict[Status | None, tuple[str, ...]]] = {
    Status.SETTLED: ("paceline_line_item_spend_micros_total",),
    Status.LATE: ("paceline_line_item_spend_micros_total", "paceline_line_item_late_micros_total"),
    Status.ABSORBED: ("paceline_line_item_absorbed_micros_total",),
}
_SPENT: Final = (Status.SETTLED, Status.LATE)
UNKNOWN_CURRENCY: Final = "unknown"
"""Of an advertiser that left the campaign files before this process began."""
FAULT: Final = "fault"


def production() -> float:
    """The ledger's own clock."""
    return 0.0


class Charges:
    """Makes work of orders, and counts what came of it."""

    def __init__(
        self,
        store: Store,
        tally: Tally,
        series: LineSeries,
        clock: Clock,
        ledger_now_s: Callable[[], float] = production,
    ) -> None:
        """`ledger_now_s` tells simulated days' ledgers the time."""
        self._store, self._ledger_now_s = store, ledger_now_s
        self._tally, self._series, self._clock = tally, series, clock
        self.currencies: dict[str, str] = {}
        """Advertiser to currency, of all that were ever live here."""
        self._lag = tally.histogram(_LAG)

    def plan(self, orders: Sequence[Order], doubtful: bool) -> "ChargeWork":
        """See lane.Plan."""
        return ChargeWork(self, orders, doubtful)

    def settled(self, order: Order, status: Status | None, doubtful: bool) -> None:
        """Count a settlement; None: the ledger would not take it."""
        if status is Status.DUPLICATE and doubtful:
            status = Status.SETTLED
        names = self._series.of(order.campaign_id, order.line_item_id)
        result = FAULT if status is None else status.value
        self._tally.count("paceline_charges_total", *names, result)
        for metric in _MICROS.get(status, ()):
            self._tally.count(metric, *names, by=order.amount)
        if status in _SPENT:
            currency = self.currencies.get(order.advertiser_id, UNKNOWN_CURRENCY)
            self._tally.count("paceline_spend_micros_total", currency, by=order.amount)
        self._measure(order)

    def released(self, order: Order, status: Status | None, doubtful: bool) -> None:
        """Count a release; None: the ledger would not take it."""
        if status is Status.DUPLICATE and doubtful:
            status = Status.RELEASED
        self._tally.count("paceline_releases_total", FAULT if status is None else status.value)
        self._measure(order)

    async def settle(self, advertiser: str, orders: list[Order]) -> list[Status]:
        """Ask the ledger to charge them."""
        asked = [
            Settlement(
                bid_id=order.bid_id,
                lease_id=order.lease,
                price=Micros(order.price),
                amount=Micros(order.amount),
                deadline_s=order.deadline_s,
                path=order.path,
            )
            for order in orders
        ]
        return await self._store.settle(advertiser, asked, self._ledger_now_s())

    async def release(self, advertiser: str, orders: list[Order]) -> list[Status]:
        """Ask the ledger to free them."""
        asked = [
            Release(order.bid_id, order.lease, Micros(order.price), order.deadline_s) for order in orders
        ]
        return await self._store.release(advertiser, asked, self._ledger_now_s())

    def failed(self) -> None:
        """Count a call without an answer."""
        self._tally.count("paceline_ledger_failures_total")

    def _measure(self, order: Order) -> None:
        self._lag.observe(max(0, int((self._clock.now_s() - order.accepted_s) * 1_000)))


class ChargeWork:
    """One batch on its way to the ledger; what is answered leaves it."""

    def __init__(self, charges: Charges, orders: Sequence[Order], doubtful: bool) -> None:
        self._charges = charges
        self._settlements: dict[str, list[Order]] = {}
        self._releases: dict[str, list[Order]] = {}
        for order in orders:
            if order.verbs & SETTLE:
                self._settlements.setdefault(order.advertiser_id, []).append(order)
            elif order.verbs & RELEASE:
                self._releases.setdefault(order.advertiser_id, []).append(order)
        advertisers = self._settlements.keys() | self._releases.keys()
        self._waiting = dict.fromkeys(advertisers, doubtful)
        """Advertiser to whether some of its orders may have been applied."""
        self._calls = asyncio.Semaphore(CALLS)

    async def go_on(self) -> bool:
        """See lane.Work."""
        waiting = list(self._waiting)
        if len(waiting) == 1:
            return await self._apply(waiting[0])
        return all(await asyncio.gather(*[self._apply(advertiser) for advertiser in waiting]))

    async def _apply(self, advertiser: str) -> bool:
        charges = self._charges
        async with self._calls:
            try:
                orders = self._settlements.get(advertiser, [])
                await self._drain(advertiser, orders, charges.settle, charges.settled)
                orders = self._releases.get(advertiser, [])
                await self._drain(advertiser, orders, charges.release, charges.released)
            except LedgerDown:
                self._waiting[advertiser] = True
                charges.failed()
                return False
        del self._waiting[advertiser]
        return True

    async def _drain(self, advertiser: str, orders: list[Order], ask: Ask, count: Count) -> None:
        """Ask for all of them at once; where that is our bug, for each alone. Raises LedgerDown."""
        size = len(orders)
        while orders:
            asked = orders[:size]
            try:
                answers: list[Status | None] = [*await ask(advertiser, asked)]
            except LedgerDown:
                raise
            except Exception:
                self._waiting[advertiser] = True
                if size > 1:
                    size = 1
                    continue
                _log.exception("the ledger cannot take %r", msgspec.json.encode(_told(asked[0])))
                answers = [None]
            for order, status in zip(asked, answers, strict=True):
                count(order, status, self._waiting[advertiser])
            del orders[: len(asked)]


def _told(order: Order) -> dict[str, object]:
    """What a log may say of an order: nothing of a person."""
    fields = ("advertiser_id", "campaign_id", "line_item_id", "price", "amount", "deadline_s")
    return {"bid_id": order.bid_id.hex(), **{name: getattr(order, name) for name in fields}}
