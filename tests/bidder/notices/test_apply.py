"""What notices do: counted once, money moved by the one that bills, and never more than the bid."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.clock import ManualClock
from bidder.exchanges import SHIPPED
from bidder.keys import key32
from bidder.metrics import Tally
from bidder.notices.apply import CLICK_GRACE_S, Kind, Notice, Notices, Result
from bidder.notices.clearing import MAX_PRICE_AGE_S, terms_of
from bidder.notices.counts import loss_reason
from bidder.notices.orders import DROP, PROLONG, RELEASE, SETTLE, VIEW
from bidder.notices.token import LATE_S, TEST, VISITOR
from openrtb.prices import google_encrypt, google_iv
from tests.bidder.notices.support import LANDING, NOW_S, PERSON, RING, Kept, OneLineItem, sealed

BID_COST = 2_250  # 2.50 USD CPM is 2.25 EUR CPM; one impression of a thousand
GOOGLE_KEYS = {"encryption_key": "11" * 32, "integrity_key": "22" * 32}
GOOGLE_BYTES = (b"\x11" * 32, b"\x22" * 32)


class Desk:
    """A worker's notices with a clock to move and counters to read."""

    def __init__(self, price_keys: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.clock = ManualClock(NOW_S)
        self.tally = Tally()
        self.queue = Kept()
        terms = terms_of(SHIPPED, price_keys)
        self.notices = Notices(self.tally, OneLineItem(), RING, terms, self.clock, self.queue)

    def send(self, kind: Kind, token: str, **fields: str) -> Result:
        return self.notices.receive(Notice(kind, token, **fields)).result

    def counts(self) -> dict[str, int]:
        return {
            "/".join((cell.name.removeprefix("paceline_"), *cell.labels)): value
            for cell, value in self.tally.samples()
            if value
        }


LINE = "campaign-1/line-1"


def test_a_bid_lives_through_its_notices() -> None:
    """Win, bill, impression and click each count once at the line item, and the bill alone moves money."""
    desk, tokens = Desk(), sealed()
    assert desk.send(Kind.WIN, tokens.exchange_token, price="1.20") is Result.ACCEPTED
    assert desk.send(Kind.IMP, tokens.browser_token) is Result.ACCEPTED
    assert desk.send(Kind.BILL, tokens.exchange_token, price="1.20", currency="USD") is Result.ACCEPTED
    assert desk.send(Kind.CLICK, tokens.browser_token) is Result.ACCEPTED
    assert desk.counts() == {
        **{f"notices_total/{kind}/accepted": 1 for kind in ("win", "imp", "bill", "click")},
        "clearing_prices_total/generic/read": 1,
        f"line_item_wins_total/{LINE}": 1,
        f"line_item_impressions_total/{LINE}": 1,
        f"line_item_clicks_total/{LINE}": 1,
    }
    assert [(order.verbs, order.amount) for order in desk.queue.orders] == [(SETTLE, 1_080)]


@pytest.mark.parametrize("kind", list(Kind))
def test_a_repeat_counts_as_a_duplicate_and_moves_nothing(kind: Kind) -> None:
    """The same notice twice is one effect."""
    desk, tokens = Desk(), sealed()
    token = tokens.browser_token if kind in (Kind.IMP, Kind.CLICK, Kind.EVENT) else tokens.exchange_token
    assert desk.send(kind, token, price="1.00") is Result.ACCEPTED
    before = desk.counts()
    assert desk.send(kind, token, price="2.00") is Result.DUPLICATE
    assert desk.counts() == before | {f"notices_total/{kind.value}/duplicate": 1}


def test_the_beacon_moves_money_where_the_exchange_sends_no_bill() -> None:
    """At an exchange billed by the beacon, the beacon spends and a stray bill does not."""
    desk, tokens = Desk(), sealed(exchange=key32("prebid"))
    desk.send(Kind.BILL, tokens.exchange_token, price="2.00")
    assert not desk.queue.orders
    desk.send(Kind.IMP, tokens.browser_token, price="2.50")
    assert [(order.verbs, order.amount) for order in desk.queue.orders] == [(SETTLE, BID_COST)]


@pytest.mark.parametrize("price", ["0", "0.000001", "2.00", "99", "", "nan"])
def test_a_price_that_a_browser_could_write_is_not_read(price: str) -> None:
    """A plain price in the beacon's address is anybody's: the bid is charged, whatever it says."""
    desk, tokens = Desk(), sealed(exchange=key32("prebid"))
    assert desk.notices.receive(Notice(Kind.IMP, tokens.browser_token, price)).spent == BID_COST
    assert desk.counts()["clearing_prices_total/prebid/unsealed"] == 1


@pytest.mark.parametrize("kind", [Kind.WIN, Kind.LOSS, Kind.IMP, Kind.CLICK])
def test_nothing_but_the_bill_moves_money(kind: Kind) -> None:
    """A win notice never spends; nor do losses, beacons and clicks where the bill does."""
    desk, tokens = Desk(), sealed()
    token = tokens.browser_token if kind in (Kind.IMP, Kind.CLICK, Kind.EVENT) else tokens.exchange_token
    assert desk.notices.receive(Notice(kind, token, price="2.00")).spent == 0


@pytest.mark.parametrize(
    ("price", "currency", "cost", "clearing"),
    [
        ("1.20", "USD", 1_080, "read"),
        ("1.20", "usd", 1_080, "read"),
        ("1.20", "", 1_080, "read"),
        ("1.20", "${AUCTION_CURRENCY}", 1_080, "read"),
        ("0", "USD", 0, "read"),
        ("0.000001", "USD", 1, "read"),
        ("2.50", "USD", BID_COST, "read"),
        ("2.500001", "USD", BID_COST, "above_bid"),
        ("9999999", "USD", BID_COST, "above_bid"),
        ("", "USD", BID_COST, "unreadable_price"),
        ("${AUCTION_PRICE}", "USD", BID_COST, "unreadable_price"),
        ("-1", "USD", BID_COST, "unreadable_price"),
        ("nan", "USD", BID_COST, "unreadable_price"),
        ("1,20", "USD", BID_COST, "unreadable_price"),
        ("1.20", "EUR", BID_COST, "unreadable_price"),
    ],
)
def test_the_clearing_price_rule(price: str, currency: str, cost: int, clearing: str) -> None:
    """A readable price is charged, rounded up; without one the bid is charged; never more than the bid."""
    desk = Desk()
    receipt = desk.notices.receive(Notice(Kind.BILL, sealed().exchange_token, price, currency))
    assert receipt.spent == cost
    assert desk.counts()[f"clearing_prices_total/generic/{clearing}"] == 1


@given(st.text(max_size=40), st.text(max_size=5), st.text(max_size=8))
def test_no_text_costs_more_than_the_bid(price: str, currency: str, reason: str) -> None:
    """Whatever stands in a bill, it costs between nothing and the bid, and raises nothing."""
    desk = Desk()
    notice = Notice(Kind.BILL, sealed().exchange_token, price, currency, reason)
    assert 0 <= desk.notices.receive(notice).spent <= BID_COST


def test_an_encrypted_price_is_read_with_its_keys() -> None:
    """Google's price decrypts with the configured keys and is charged."""
    desk = Desk({"google": GOOGLE_KEYS})
    price = google_encrypt(1_200_000, GOOGLE_BYTES, google_iv(NOW_S))
    token = sealed(exchange=key32("google")).browser_token
    assert desk.notices.receive(Notice(Kind.IMP, token, price)).spent == 1_080


def test_a_sealed_price_that_was_kept_is_not_believed() -> None:
    """A genuine price of the day before yesterday charges the bid."""
    desk = Desk({"google": GOOGLE_KEYS})
    price = google_encrypt(1_200_000, GOOGLE_BYTES, google_iv(NOW_S - MAX_PRICE_AGE_S - 60))
    token = sealed(exchange=key32("google")).browser_token
    assert desk.notices.receive(Notice(Kind.IMP, token, price)).spent == BID_COST


def test_without_its_keys_no_price_is_believed(caplog: pytest.LogCaptureFixture) -> None:
    """An exchange with sealed prices and no keys is charged the bid, even if a plain number comes."""
    desk = Desk()
    assert "google" in caplog.text
    token = sealed(exchange=key32("google")).browser_token
    assert desk.notices.receive(Notice(Kind.IMP, token, "0.01")).spent == BID_COST


def test_tests_and_audits_are_counted_but_never_money() -> None:
    """A test request's bill, and a price rendered as AUDIT, count as test; a real bill may follow."""
    desk = Desk()
    tokens = sealed()
    assert desk.send(Kind.BILL, sealed(flags=TEST).exchange_token, price="1.00") is Result.TEST
    assert desk.send(Kind.BILL, tokens.exchange_token, price="AUDIT") is Result.TEST
    assert desk.counts() == {"notices_total/bill/test": 2}
    assert desk.send(Kind.BILL, tokens.exchange_token, price="1.00") is Result.ACCEPTED


def test_every_fault_of_a_token_is_counted_by_its_name() -> None:
    """Malformed, forged, expired, of an unknown key, of an unknown line item and advertiser: one result
    each, no effect."""
    desk, tokens = Desk(), sealed()
    assert desk.send(Kind.BILL, "nonsense") is Result.MALFORMED
    assert desk.send(Kind.BILL, tokens.browser_token) is Result.FORGED
    assert desk.send(Kind.BILL, "AwI" + tokens.exchange_token[3:]) is Result.UNKNOWN_KEY
    assert desk.send(Kind.BILL, sealed(line_item=5, advertiser=6).exchange_token) is Result.UNKNOWN_LINE_ITEM
    desk.clock.advance(900 + LATE_S + 1)
    assert desk.send(Kind.BILL, tokens.exchange_token) is Result.EXPIRED
    assert set(desk.counts()) == {
        f"notices_total/bill/{result.value}"
        for result in (
            Result.MALFORMED,
            Result.FORGED,
            Result.UNKNOWN_KEY,
            Result.UNKNOWN_LINE_ITEM,
            Result.EXPIRED,
        )
    }


def test_a_click_leads_to_the_landing_page_within_a_day_of_expiry() -> None:
    """Clicks on a page that stayed open still lead; after a day of grace they do not."""
    desk, token = Desk(), sealed().browser_token
    desk.clock.advance(900 + LATE_S + CLICK_GRACE_S)
    assert desk.notices.receive(Notice(Kind.CLICK, token)).landing_url == LANDING
    desk.clock.advance(1)
    assert desk.notices.receive(Notice(Kind.CLICK, token)).landing_url is None


def test_clicks_redirect_also_when_repeated_or_testing_but_not_for_unknown_creatives() -> None:
    """Whoever clicks twice gets there twice; a creative that is gone has no page."""
    desk, token = Desk(), sealed().browser_token
    for expected in (Result.ACCEPTED, Result.DUPLICATE):
        receipt = desk.notices.receive(Notice(Kind.CLICK, token))
        assert (receipt.result, receipt.landing_url) == (expected, LANDING)
    assert desk.notices.receive(Notice(Kind.CLICK, sealed(flags=TEST).browser_token)).landing_url == LANDING
    gone = desk.notices.receive(Notice(Kind.CLICK, sealed(creative=9, bid_id=b"b" * 12).browser_token))
    assert (gone.result, gone.landing_url) == (Result.ACCEPTED, None)


def test_loss_reasons_are_counted_by_exchange() -> None:
    """A loss tells its reason; an exchange that left the configuration is `unknown`."""
    desk = Desk()
    desk.send(Kind.LOSS, sealed().exchange_token, reason="102")
    desk.send(Kind.LOSS, sealed(exchange=3, bid_id=b"x" * 12).exchange_token, reason="")
    counts = desk.counts()
    assert counts["loss_reasons_total/generic/102"] == 1
    assert counts["loss_reasons_total/unknown/none"] == 1


@pytest.mark.parametrize(
    ("text", "label"),
    [("0", "0"), ("102", "102"), ("0102", "102"), ("1000", "exchange_specific"), ("", "none")]
    + [(text, "none") for text in ("${AUCTION_LOSS}", "AUDIT", "-1", "1.5", "²", "1" * 7, "٣")],
)
def test_loss_reason_labels_are_few(text: str, label: str) -> None:
    """Codes stay codes, an exchange's own fall together, anything else is none."""
    assert loss_reason(text) == label


def test_player_events_count_once_each_and_unknown_names_fall_together() -> None:
    """Start and complete of one ad are two events; a repeat is a duplicate; odd names make no new series."""
    desk, token = Desk(), sealed().browser_token
    for event in ("start", "complete", "start", "x" * 50, "y"):
        desk.send(Kind.EVENT, token, event=event)
    counts = desk.counts()
    assert {name: value for name, value in counts.items() if "events" in name} == {
        f"line_item_events_total/{LINE}/{event}": 1 for event in ("start", "complete", "other")
    }
    assert counts["notices_total/event/duplicate"] == 2


KINDS_OF_EXCHANGE = (Kind.WIN, Kind.BILL, Kind.LOSS)
LEASE = 7 << 32 | 9


def asked(desk: Desk, kind: Kind, **changes: object) -> list[int]:
    """The verbs that a notice of such a bid asks for."""
    tokens = sealed(**changes)
    desk.send(
        kind, tokens.exchange_token if kind in KINDS_OF_EXCHANGE else tokens.browser_token, price="1.20"
    )
    return [order.verbs for order in desk.queue.orders]


@pytest.mark.parametrize(
    ("kind", "exchange", "verbs"),
    [
        (Kind.WIN, "generic", PROLONG),
        (Kind.BILL, "generic", SETTLE | VIEW),
        (Kind.LOSS, "generic", RELEASE | DROP),
        (Kind.IMP, "generic", VIEW),
        (Kind.WIN, "prebid", PROLONG),
        (Kind.IMP, "prebid", SETTLE | VIEW),
        (Kind.LOSS, "prebid", RELEASE | DROP),
        (Kind.BILL, "prebid", 0),
        (Kind.CLICK, "generic", 0),
        (Kind.EVENT, "generic", 0),
    ],
)
def test_what_each_notice_asks_for(kind: Kind, exchange: str, verbs: int) -> None:
    """One order per notice that does something: the rule of orders.py, for a bid that was reserved for somebody."""
    desk = Desk()
    found = asked(desk, kind, exchange=key32(exchange), lease=LEASE, person=PERSON)
    assert found == ([verbs] if verbs else [])


@pytest.mark.parametrize(
    ("kind", "verbs"), [(Kind.BILL, [SETTLE]), (Kind.LOSS, []), (Kind.WIN, []), (Kind.IMP, [])]
)
def test_without_a_lease_nothing_is_released_and_without_a_person_nothing_is_seen(
    kind: Kind, verbs: list[int]
) -> None:
    """A bid that reserved nothing, for nobody: only its bill does anything."""
    assert asked(Desk(), kind) == verbs


def test_an_order_is_complete_in_itself() -> None:
    """It names the advertiser, the accounts of the moment of the bid, what was reserved and what it costs."""
    desk = Desk()
    token = sealed(lease=LEASE, person=PERSON, flags=VISITOR).exchange_token
    desk.clock.advance(60)
    desk.send(Kind.BILL, token, price="1.20", currency="USD")
    (order,) = desk.queue.orders
    assert (order.advertiser_id, order.lease, order.bid_id) == ("shop-1", LEASE, b"bid-00000001")
    assert order.path == ("wallet", "campaign/campaign-1", "line/line-1", "line/line-1/day/2026-09-21")
    assert (order.price, order.amount) == (BID_COST, 1_080)
    assert (order.issued_s, order.deadline_s, order.accepted_s) == (NOW_S, NOW_S + 900, NOW_S + 60)
    assert (order.person, order.visitor, order.window_s) == (PERSON, True, 86_400)
    assert (order.campaign_key, order.line_key, order.creative_key) == (11, 12, 13)


@pytest.mark.parametrize(
    ("after_s", "result"), [(900, Result.ACCEPTED), (901, Result.LATE), (4_500, Result.LATE)]
)
def test_a_notice_after_the_deadline_is_late_and_counts(after_s: int, result: Result) -> None:
    """Up to the deadline accepted, then late until the token ends; both are queued alike."""
    desk = Desk()
    desk.clock.advance(after_s)
    assert desk.send(Kind.BILL, sealed().exchange_token, price="1.20") is result
    assert len(desk.queue.orders) == 1


def test_after_the_token_nothing_is_queued() -> None:
    """A second after its last hour a bill is expired: no order, no view, no spend."""
    desk = Desk()
    desk.clock.advance(900 + LATE_S + 1)
    assert desk.send(Kind.BILL, sealed(lease=LEASE, person=PERSON).exchange_token) is Result.EXPIRED
    assert not desk.queue.orders


@given(st.permutations([Kind.WIN, Kind.BILL, Kind.BILL, Kind.LOSS, Kind.IMP, Kind.IMP, Kind.WIN]))
def test_in_any_order_a_bid_is_charged_once(kinds: list[Kind]) -> None:
    """Duplicates of win, bill, loss and impression, shuffled: one settlement, one release, one effect of each."""
    desk, tokens = Desk(), sealed(lease=LEASE, person=PERSON)
    for kind in kinds:
        desk.send(
            kind, tokens.exchange_token if kind in KINDS_OF_EXCHANGE else tokens.browser_token, price="1.20"
        )
    assert sorted(order.verbs for order in desk.queue.orders) == sorted(
        [PROLONG, SETTLE | VIEW, RELEASE | DROP, VIEW]
    )


def test_what_finds_no_room_is_told_and_may_come_again() -> None:
    """A full queue refuses a bill without counting anything of it; sent again it is the first."""
    desk, token = Desk(), sealed().exchange_token
    desk.queue.room = 0
    assert desk.send(Kind.BILL, token, price="1.20") is Result.REFUSED
    assert desk.counts() == {"notices_total/bill/refused": 1}
    desk.queue.room = 1
    assert desk.send(Kind.BILL, token, price="1.20") is Result.ACCEPTED
    assert desk.send(Kind.BILL, token, price="1.20") is Result.DUPLICATE


def test_an_unknown_exchange_is_billed_by_its_bill_at_the_bid() -> None:
    """An exchange that left the configuration reads no prices and bills by burl."""
    desk = Desk()
    receipt = desk.notices.receive(Notice(Kind.BILL, sealed(exchange=5).exchange_token, "0.01"))
    assert (receipt.result, receipt.spent) == (Result.ACCEPTED, BID_COST)


def to_win(desk: Desk) -> dict[tuple[str, ...], int]:
    """Per mille of the bid that would have won, by exchange and kind, summed."""
    return {
        cell.labels: value
        for cell, value in desk.tally.samples()
        if cell.name == "paceline_minimum_to_win_ratio" and cell.part == "sum"
    }


def test_what_would_have_won_is_kept_by_exchange() -> None:
    """A loss at 3.00 against our 2.50 is 1.2, a win at 2.00 is 0.8; in another currency it tells nothing."""
    desk = Desk()
    desk.send(Kind.LOSS, sealed().exchange_token, min_to_win="3.00", currency="USD")
    desk.send(Kind.WIN, sealed(bid_id=b"x" * 12).exchange_token, min_to_win="2.00")
    desk.send(Kind.LOSS, sealed(bid_id=b"y" * 12).exchange_token, min_to_win="2.00", currency="JPY")
    assert to_win(desk) == {("generic", "loss"): 1_200, ("generic", "win"): 800}


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "nan", "inf", "AUDIT", "${AUCTION_MIN_TO_WIN}", "1,2", "٣", "1" * 99]
)
def test_what_is_no_price_to_win_is_not_kept(text: str) -> None:
    """Anything but a positive price leaves no trace, and the loss counts all the same."""
    desk = Desk()
    assert desk.send(Kind.LOSS, sealed().exchange_token, min_to_win=text) is Result.ACCEPTED
    assert not to_win(desk)


@given(st.text(max_size=30))
def test_no_price_to_win_is_an_error(text: str) -> None:
    """Whatever stands there, the ratio is bounded."""
    desk = Desk()
    desk.send(Kind.LOSS, sealed(bid_cpm_micros=1).exchange_token, min_to_win=text)
    assert sum(to_win(desk).values()) <= 1_000_000
