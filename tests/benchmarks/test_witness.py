"""What simulated exchanges know of the truth: whose bid it was, who saw it, what its bill comes to."""

import pytest

from benchmarks.exchange.dialects import BY_NAME
from benchmarks.exchange.market import Verdict
from benchmarks.exchange.notices import Sale, parse_keys
from benchmarks.exchange.report import Totals
from benchmarks.exchange.requests import Call, prepare
from benchmarks.exchange.viewings import Viewer
from benchmarks.exchange.witness import Witness, due, viewer_of
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.keys import key32, key64
from bidder.notices.keys import Keyring
from bidder.notices.token import Claim, seal
from openrtb.response import Bid

KEYRING = Keyring(((1, bytes(32)),))
PRICE_KEYS = parse_keys(f"google:{'ab' * 32}:{'cd' * 32}")
CALLS = prepare(3, 400, 1_795_000_000)


def claim(line: str = "fernhill/fernhill-cart", rate_ppm: int = 1_000_000) -> Claim:
    """A bid of 2.50 CPM."""
    return Claim(
        bid_id=bytes(12), exchange=key32("generic"), advertiser=key64("fernhill"), line_item=key64(line),
        creative=key64("fernhill/fernhill-film"), bid_cpm_micros=2_500_000, currency="USD", rate_ppm=rate_ppm,
        imp=0, flags=0, issued_s=1_795_000_000, expires_s=1_795_004_000,
    )  # fmt: skip


def bid(of: Claim, keyring: Keyring = KEYRING) -> Bid:
    """As the service would have made it."""
    token = seal(of, keyring.signing).exchange_token
    return Bid("b1", "1", 2.5, nurl=f"https://bidder.example/win?p=${{AUCTION_PRICE}}&t={token}")


def sale(exchange: str, price: float, of: Claim | None = None) -> Sale:
    """A bid that was sold at a price."""
    return Sale(BY_NAME[exchange], "r1", bid(of or claim()), Verdict(0, price, price), "USD")


@pytest.mark.parametrize(
    ("exchange", "price", "rate_ppm", "micros"),
    [
        ("generic", 1.25, 1_000_000, 1_250),
        ("generic", 1.2345678, 1_000_000, 1_235),  # told as 1.234568
        ("generic", 1.25, 920_000, 1_150),
        ("generic", 0.000001, 920_001, 1),  # rounded up twice
        ("generic", 9.0, 1_000_000, 2_500),  # never above the bid
        ("google", 1.25, 1_000_000, 1_250),  # sealed
        ("prebid", 1.25, 1_000_000, 2_500),  # a browser could have written it
    ],
)
def test_what_a_bill_comes_to(exchange: str, price: float, rate_ppm: int, micros: int) -> None:
    """The told price, never above the bid, in the advertiser's currency, a fraction of a micro rounded up."""
    assert due(claim(rate_ppm=rate_ppm), sale(exchange, price), PRICE_KEYS) == micros


def test_bills_are_summed_by_advertiser() -> None:
    """Whose line item it was, by the token."""
    witness, totals = Witness(load_book(demo_book_path()), KEYRING, PRICE_KEYS), Totals()
    for line, price in (
        ("fernhill/fernhill-cart", 1.0),
        ("fernhill/fernhill-deal", 2.0),
        ("voltaro/voltaro-deal", 0.5),
    ):
        witness.billed(sale("generic", price, claim(line)), totals)
    assert totals.due_micros == {"fernhill": 3_000, "voltaro": 500}


def test_a_view_beyond_a_cap_is_counted() -> None:
    """Two views of a film with a gap of 10 s, of one person within 9 s: one of them is beyond it."""
    witness, totals = Witness(load_book(demo_book_path()), KEYRING, PRICE_KEYS), Totals()
    for at_s in (0.0, 9.0):
        witness.saw(CALLS[0], bid(claim("fernhill/fernhill-screens")), at_s, totals)
    assert totals.capped_views == 2
    assert totals.cap_violations == {"creative fernhill/fernhill-film: 1 per 10s": 1}


@pytest.mark.parametrize(
    "strange",
    [
        bid(claim(), Keyring(((1, bytes(range(32))),))),
        bid(claim("fernhill/somebody-elses")),
        bid(claim("voltaro/fernhill-cart")),
        Bid("b1", "1", 2.5),
        Bid("b1", "1", 2.5, nurl="https://bidder.example/win?t=nonsense"),
    ],
)
def test_a_strange_token_is_an_error(strange: Bid) -> None:
    """Of another key, of another book, none, or no token at all."""
    witness = Witness(load_book(demo_book_path()), KEYRING, PRICE_KEYS)
    with pytest.raises(ValueError, match="token of bid b1"):
        witness.saw(CALLS[0], strange, 0.0, Totals())


def test_viewers_are_people_or_visitors() -> None:
    """Whom an exchange can tell apart is a person; the others are an address without its end, and a browser."""
    hidden = [call for call in CALLS if call.human.anonymous]
    assert hidden
    assert all(not _ids(call) for call in hidden)
    call = hidden[0]
    address, _, agent = viewer_of(call).name.partition(" ")
    assert viewer_of(call).visitor
    assert call.request["device"]["ip"].startswith(f"{address}.")
    assert agent == call.human.device.ua
    known = next(call for call in CALLS if not call.human.anonymous)
    assert viewer_of(known) == Viewer(known.human.id)
    assert _ids(known)


def _ids(call: Call) -> list[str]:
    """Everything by which an exchange may know the person."""
    user, device = call.request["user"], call.request["device"]
    return [user[name] for name in ("id", "buyeruid") if name in user] + [
        device[n] for n in ("ifa",) if n in device
    ]
