"""Cookies of simulated people, and what exchanges are told of them."""

import pytest

from benchmarks.exchange.browsers import Browser, Browsers, Told, wire
from benchmarks.exchange.population import Human, Population
from bidder.shop.cookies import forgetting, keeping, opting_out

PEOPLE = Population(3, 400, 1_795_000_000)
OTHER = bytes(range(16))


def somebody(*, anonymous: bool = False, kind: str = "web") -> Human:
    """The first who is so."""
    humans = (PEOPLE[number] for number in range(len(PEOPLE)))
    return next(human for human in humans if human.anonymous == anonymous and human.device.kind == kind)


def encoded(cookies: tuple[str, ...]) -> list[bytes]:
    """As an answer sets them."""
    return [cookie.encode() for cookie in cookies]


def test_a_browser_keeps_and_forgets() -> None:
    """What the service sets is sent again, what it takes back is gone; only ids of this run count as issued."""
    browser = Browser(somebody(), before=False)
    assert browser.id() == ""
    browser.keep(encoded(keeping(OTHER)))
    assert browser.id() == OTHER.hex()
    assert browser.issued == {OTHER.hex()}
    assert f"pl_id={OTHER.hex()}".encode() in wire("https://b.example/pixel?a=1", browser)
    browser.keep(encoded(opting_out(browser.jar())))
    assert browser.id() == ""
    assert browser.jar() == {"pl_optout": "1"}


def test_who_was_here_before_has_the_seeded_id() -> None:
    """Nothing is issued when the service keeps it, and exchanges were told where the two were matched."""
    human = somebody()
    browser = Browser(human, before=True)
    browser.keep(encoded(keeping(bytes.fromhex(human.id))))
    assert browser.id() == human.id
    assert not browser.issued
    assert bool(browser.partners) == human.matched
    browser.keep(encoded(forgetting(browser.jar())))
    assert browser.jar() == {}


def test_a_browser_without_third_party_cookies_is_another_in_each_shop() -> None:
    """It keeps what is partitioned, shop by shop, and nothing elsewhere."""
    browser = Browser(somebody(anonymous=True), before=False)
    browser.keep(encoded(keeping(OTHER)), "fernhill")
    assert browser.jar("fernhill") == {"pl_pid": OTHER.hex()}
    assert browser.id("solepath") == browser.id() == ""


@pytest.mark.parametrize("kind", ["web", "app"])
def test_exchanges_know_whom_they_were_told(kind: str) -> None:
    """What a sync told stands in requests of that exchange alone; a device's id where it agreed."""
    human = somebody(kind=kind)
    browsers = Browsers(lambda _: False)
    browsers.of(human).partners["google"] = Told("told", OTHER.hex())
    for exchange in ("google", "xandr"):
        request = {"user": {"id": "x", "buyeruid": "whatever"}}
        viewer = browsers.name(exchange, human, request)
        told, known = ("told", OTHER.hex()) if exchange == "google" else (None, None)
        if kind != "web":
            told = known = human.id if human.matched and human.agrees else None
        assert request["user"].get("buyeruid") == told
        assert viewer == (known or f"{exchange}/{human.id}")


def test_who_is_in_the_table_is_one_person_at_all_exchanges() -> None:
    """As long as they are not erased; then each exchange has another one."""
    human = next(
        PEOPLE[n]
        for n in range(len(PEOPLE))
        if not (PEOPLE[n].matched or PEOPLE[n].anonymous) and PEOPLE[n].device.kind == "web"
    )
    browsers = Browsers(lambda _: True)
    assert {browsers.name(name, human, {}) for name in ("google", "xandr")} == {human.id}
    browsers.of(human).left = True
    assert len({browsers.name(name, human, {}) for name in ("google", "xandr")}) == 2


def test_a_form_is_posted_from_its_own_site() -> None:
    """The origin is the service's, as browsers say it."""
    text = wire("https://b.example/privacy/erase", Browser(somebody(), before=False), form=b"a=b").decode()
    assert text.startswith("POST /privacy/erase HTTP/1.1\r\nHost: b.example\r\n")
    assert "\r\nOrigin: https://b.example\r\n" in text
    assert text.endswith("\r\nContent-Length: 3\r\n\r\na=b")
