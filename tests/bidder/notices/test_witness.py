"""What notices record: impressions and clicks, once per bid, of people who may be measured and of nobody else."""

import pytest

from bidder.clock import ManualClock
from bidder.events.records import Click, Impression, Record
from bidder.exchanges import SHIPPED
from bidder.keys import key32, key64
from bidder.metrics import Tally
from bidder.notices.apply import Kind, Notice, Notices, Result
from bidder.notices.clearing import terms_of
from bidder.notices.token import MEASURE, TEST, VISITOR
from tests.bidder.notices.support import NOW_S, PERSON, RING, Kept, OneLineItem, sealed


class Witness:
    """A worker's notices, and what they record."""

    def __init__(self, *, room: int = 1_000) -> None:
        self.records: list[Record] = []
        self.clock = ManualClock(NOW_S)
        self.notices = Notices(Tally(), OneLineItem(), RING, terms_of(SHIPPED), self.clock, Kept(room))
        self.notices.records = self

    def record(self, record: Record) -> bool:
        self.records.append(record)
        return False  # a full queue changes nothing for a notice

    def send(self, kind: Kind, token: str, **fields: str) -> Result:
        return self.notices.receive(Notice(kind, token, **fields)).result


def test_a_bill_is_an_impression_with_its_cost() -> None:
    """The bill tells what was spent; the time is the bid's, and how much later it was shown stands beside it."""
    desk = Witness()
    desk.clock.advance(2.5)
    desk.send(Kind.BILL, sealed(person=PERSON, flags=MEASURE).exchange_token, price="1.20", currency="USD")
    assert desk.records == [
        Impression(
            id=b"bid-00000001".hex(),
            at_ms=NOW_S * 1_000,
            advertiser="shop-1",
            campaign="campaign-1",
            line_item="line-1",
            creative=key64("creative-1"),
            exchange="generic",
            person=PERSON,
            spent_micros=1_080,
            currency="EUR",
            after_ms=2_500,
        )
    ]


def test_the_beacon_is_an_impression_and_costs_where_it_bills() -> None:
    """Where the bill moves money the beacon's impression costs nothing; where the beacon does, it has the cost."""
    desk = Witness()
    desk.send(Kind.IMP, sealed().browser_token)
    desk.send(Kind.IMP, sealed(exchange=key32("prebid"), bid_id=b"bid-00000002").browser_token)
    desk.send(Kind.BILL, sealed(exchange=key32("prebid"), bid_id=b"bid-00000002").exchange_token)
    assert [record.spent_micros for record in desk.records if isinstance(record, Impression)] == [0, 2_250]


@pytest.mark.parametrize(
    ("flags", "person", "named"),
    [
        (MEASURE, PERSON, PERSON),
        (0, PERSON, b""),
        (MEASURE | VISITOR, PERSON, b""),
        (VISITOR, PERSON, b""),
        (MEASURE, bytes(16), b""),
    ],
)
@pytest.mark.parametrize("kind", [Kind.IMP, Kind.CLICK, Kind.BILL])
def test_who_may_not_be_measured_is_nobody(kind: Kind, flags: int, person: bytes, named: bytes) -> None:
    """Only one of our people, and only where the token allows it, is named."""
    desk, tokens = Witness(), sealed(flags=flags, person=person)
    desk.send(kind, tokens.exchange_token if kind is Kind.BILL else tokens.browser_token)
    assert [record.person for record in desk.records] == [named]


@pytest.mark.parametrize(
    ("product", "layout", "kept"),
    [
        ("0123456789abcdef", "grid", ("0123456789abcdef", "grid")),
        ("", "", ("", "")),
        ("me@shop.example", "<script>", ("", "")),
        ("0123456789abcdef0", "x" * 17, ("", "")),
        ("0123456789abcdef\n", "grid\n", ("", "")),
    ],
)
def test_a_click_tells_the_product_and_no_other_text(
    product: str, layout: str, kept: tuple[str, str]
) -> None:
    """What stands in the query is recorded where it is a key and a name, and left out where it is anything else."""
    desk = Witness()
    desk.send(Kind.CLICK, sealed().browser_token, product=product, layout=layout)
    (record,) = desk.records
    assert isinstance(record, Click)
    assert (record.product, record.layout) == kept


@pytest.mark.parametrize("kind", [Kind.WIN, Kind.LOSS, Kind.EVENT])
def test_other_notices_record_nothing(kind: Kind) -> None:
    """A win, a loss and a player's event are no impressions."""
    desk, tokens = Witness(), sealed()
    desk.send(kind, tokens.browser_token if kind is Kind.EVENT else tokens.exchange_token)
    assert not desk.records


def test_repeats_tests_forgeries_and_refusals_record_nothing() -> None:
    """Only what was accepted is recorded, and once."""
    desk = Witness()
    token = sealed().browser_token
    assert desk.send(Kind.IMP, token) is Result.ACCEPTED
    assert desk.send(Kind.IMP, token) is Result.DUPLICATE
    assert desk.send(Kind.IMP, sealed(flags=TEST, bid_id=b"bid-00000002").browser_token) is Result.TEST
    assert desk.send(Kind.IMP, "A" * len(token)) is not Result.ACCEPTED
    full = Witness(room=0)
    assert full.send(Kind.BILL, sealed().exchange_token) is Result.REFUSED
    assert len(desk.records) == 1
    assert not full.records


def test_a_line_item_that_is_gone_is_recorded_of_its_advertiser() -> None:
    """The impression of a line item that nobody remembers has its shop."""
    desk = Witness()
    desk.send(Kind.IMP, sealed(line_item=key64("shop-1/line-9")).browser_token)
    (record,) = desk.records
    assert (record.advertiser, record.campaign) == ("shop-1", "")  # type: ignore[union-attr]  # an impression
