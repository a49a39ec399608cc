"""Simulated people in shops and on the privacy pages, against answers of the test's own."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from benchmarks.exchange.browsers import Browser, Browsers, Told
from benchmarks.exchange.client import Answer
from benchmarks.exchange.leaving import EVERY_S, Leaving
from benchmarks.exchange.population import Population
from benchmarks.exchange.report import Totals
from benchmarks.exchange.shelves import shops_of
from benchmarks.exchange.shopping import SYNC_URL, VISITS_PER_S, Shopping
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.shop.cookies import forgetting, keeping, new_person, opting_out

NOW_S = 1_795_000_000
SHOPS = shops_of(load_book(demo_book_path()), demo_book_path())
PEOPLE = Population(2, 300, NOW_S)
ALL = next(PEOPLE[n].consent for n in range(300) if PEOPLE[n].consent and PEOPLE[n].agrees)
FORM = b'<form method="post"><input type="hidden" name="form" value="abc"></form>'


def agreed(query: dict[str, list[str]]) -> bool:
    """Whether a call says that somebody agrees."""
    if "dnt" in query or query.get("us_privacy") == ["1YYN"]:
        return False
    return query["gdpr"] == ["0"] or query.get("gdpr_consent") == [ALL]


class Service:
    """Answers at once, as the service would; a careless one gives an id to everybody."""

    base = "https://bidder.example"

    def __init__(self, *, careless: bool = False) -> None:
        self.totals, self.careless = Totals(), careless
        self.paths: list[str] = []
        self.queries: list[dict[str, list[str]]] = []

    def after(self, mean_s: float, action: Callable[[], None]) -> None:
        """At once."""
        action()

    def call(self, request: bytes, done: Callable[[Answer], None], what: str) -> None:
        """Answer a request by its path."""
        head, _, body = request.decode().partition("\r\n\r\n")
        target = urlsplit(head.split(" ")[1])
        query = parse_qs(target.query) | ({"dnt": ["1"]} if "\r\nDNT: 1" in head else {})
        self.paths.append(target.path)
        self.queries.append(query)
        jar = dict(
            pair.split("=", 1)
            for line in head.splitlines()
            if line.startswith("Cookie: ")
            for pair in line[8:].split("; ")
        )
        done(self.answer(target.path, query, jar, body))

    def answer(self, path: str, query: dict[str, list[str]], jar: dict[str, str], body: str) -> Answer:
        """What the service says."""
        own = bytes.fromhex(jar["pl_id"]) if "pl_id" in jar else new_person()
        if path == "/pixel":
            return self.made(200, keeping(own) if agreed(query) or self.careless else ())
        if path.startswith("/sync/"):
            exchange = path.rpartition("/")[2]
            return self.made(
                302, keeping(own), f"{SYNC_URL.format(exchange=exchange)}?id={exchange}-{own.hex()}"
            )
        if path == "/privacy/choice":
            return self.made(303, opting_out(jar), "/privacy?lang=en&done=out")
        if path == "/privacy/erase" and body:
            return self.made(303, forgetting(jar), "/privacy?lang=en&done=erased")
        return Answer(200, FORM, 0.0)

    def made(self, status: int, cookies: tuple[str, ...], location: str = "") -> Answer:
        """An answer with cookies."""
        return Answer(status, b"", 0.0, tuple(cookie.encode() for cookie in cookies), location.encode())


def shopping(service: Service, seconds: float) -> tuple[Browsers, list[Browser]]:
    """So many seconds of visits; everybody, and those who have an id."""
    browsers = Browsers(lambda _: False)
    Shopping(service, 1, PEOPLE, browsers, SHOPS).due(seconds)
    return browsers, [each for each in browsers.all() if each.id()]


def test_people_visit_at_a_rate() -> None:
    """Some dozens of calls of the pixel a second, of all three shops, with products that they sell."""
    service = Service()
    shopping(service, 20)
    pixels = [query for path, query in zip(service.paths, service.queries, strict=True) if path == "/pixel"]
    assert 0.7 < len(pixels) / 20 / VISITS_PER_S < 1.3
    assert service.totals.people.visits == len(pixels)
    assert {query["advertiser"][0] for query in pixels} == {shop.id for shop in SHOPS}
    products = {product.id for shop in SHOPS for product in shop.products}
    assert {query["product"][0] for query in pixels if "product" in query} <= products
    assert service.totals.people.orders == sum(query["event"] == ["purchase"] for query in pixels) > 0


def test_exchanges_learn_whom_they_asked_for() -> None:
    """Each exchange once, with its own id of the person, and it keeps what it is told of ours."""
    service = Service()
    _, known = shopping(service, 20)
    syncs = [path for path in service.paths if path.startswith("/sync/")]
    assert len(syncs) == service.totals.people.syncs > 50
    assert all(
        told == Told(f"{exchange}-{browser.id()}", browser.id())
        for browser in known
        for exchange, told in browser.partners.items()
    )
    assert any(len(browser.partners) == 6 for browser in known)


@pytest.mark.parametrize(("careless", "wrong"), [(False, False), (True, True)])
def test_an_id_without_consent_is_told(careless: bool, wrong: bool) -> None:
    """A service that gives ids to people who never agreed is found out."""
    service = Service(careless=careless)
    shopping(service, 20)
    pixels = [query for path, query in zip(service.paths, service.queries, strict=True) if path == "/pixel"]
    silent = [query for query in pixels if not agreed(query)]
    assert len(silent) > 20
    assert service.totals.people.kept_without_consent == (len(silent) if wrong else 0)


def test_some_opt_out_and_some_are_erased() -> None:
    """In turns, by the forms; their browsers have no id afterwards, and the ids are remembered for the proof."""
    service = Service()
    browsers, known = shopping(service, 20)
    had = {browser.id() for browser in known}
    leaving, people = Leaving(service, 1, browsers), service.totals.people
    for turn in range(1, 7):
        leaving.due(turn * EVERY_S)
    assert (people.opted_out, people.erased) == (3, 3)
    assert {*people.opted_out_ids, *people.erased_ids} <= had
    gone = [each for each in browsers.all() if each.opted_out or each.erased]
    assert len(gone) == 6
    assert not any(each.id() for each in gone)
    assert not service.totals.errors, service.totals.examples


def test_a_form_that_does_nothing_is_an_error() -> None:
    """Whoever is not sent on with the word that it was done has not left."""
    service = Service()
    browsers, _ = shopping(service, 20)
    service.made = lambda *_: Answer(303, b"", 0.0, (), b"/privacy?done=form")  # type: ignore[method-assign,misc]  # a service that refuses
    Leaving(service, 1, browsers).due(EVERY_S)
    assert service.totals.error_kinds == {"privacy": 1}
    assert not service.totals.people.erased
