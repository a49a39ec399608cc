"""Notices that are doubted: marked and counted, and paid all the same."""

from __future__ import annotations

import pytest

from bidder.clock import ManualClock
from bidder.exchanges import SHIPPED
from bidder.fraud.beacons import Beacons
from bidder.metrics import Tally
from bidder.notices.apply import Kind, Notice, Notices, Receipt, Result
from bidder.notices.clearing import terms_of
from bidder.notices.token import SUSPECT, TEST
from bidder.screening import FraudRules
from tests.bidder.notices.support import LANDING, NOW_S, PERSON, RING, Kept, OneLineItem, sealed


class Desk:
    """A worker's notices with beacons that doubt."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_S)
        self.tally, self.queue = Tally(), Kept()
        self.notices = Notices(
            self.tally, OneLineItem(), RING, terms_of(SHIPPED, None), self.clock, self.queue
        )
        self.notices.doubts = Beacons(FraudRules(), self.tally, NOW_S)

    def send(self, kind: Kind, token: str) -> Receipt:
        return self.notices.receive(Notice(kind, token))

    def marks(self) -> dict[tuple[str, ...], int]:
        return {
            cell.labels: value
            for cell, value in self.tally.samples()
            if cell.name == "paceline_suspect_notices_total" and value
        }


def test_an_ordinary_click() -> None:
    """Nothing is said against a person who clicks after a while."""
    desk, tokens = Desk(), sealed()
    assert not desk.send(Kind.WIN, tokens.exchange_token).suspect
    assert not desk.send(Kind.IMP, tokens.browser_token).suspect
    desk.clock.advance(4)
    assert not desk.send(Kind.CLICK, tokens.browser_token).suspect
    assert desk.marks() == {}


def test_a_click_at_once() -> None:
    """A click right after the impression is suspect, leads where it would, and is counted."""
    desk, tokens = Desk(), sealed()
    desk.send(Kind.IMP, tokens.browser_token)
    desk.clock.advance(0.05)
    receipt = desk.send(Kind.CLICK, tokens.browser_token)
    assert (receipt.result, receipt.landing_url, receipt.suspect) == (Result.ACCEPTED, LANDING, True)
    assert desk.marks() == {("generic", "click", "quick"): 1}


@pytest.mark.parametrize("flags", [0, SUSPECT])
def test_money_is_the_same(flags: int) -> None:
    """A bid on a suspect request is billed as any other; its notices say that it was suspect."""
    desk, tokens = Desk(), sealed(flags=flags)
    receipt = desk.send(Kind.BILL, tokens.exchange_token)
    assert (receipt.result, receipt.spent, receipt.suspect) == (Result.ACCEPTED, 2_250, bool(flags))
    assert len(desk.queue.orders) == 1


def test_duplicates_are_doubted() -> None:
    """A beacon that comes again is counted as a duplicate, and as one that was repeated."""
    desk, tokens = Desk(), sealed()
    desk.send(Kind.IMP, tokens.browser_token)
    assert desk.send(Kind.IMP, tokens.browser_token).result is Result.DUPLICATE
    assert desk.marks() == {("generic", "imp", "repeated"): 1}


def test_tests_and_forgeries_are_not_looked_at() -> None:
    """What is a test, or not ours, is never doubted: it is nobody's traffic."""
    desk = Desk()
    tokens = sealed(flags=TEST)
    for _ in range(2):
        assert desk.send(Kind.IMP, tokens.browser_token).result is Result.TEST
    assert desk.send(Kind.CLICK, "x" * len(tokens.browser_token)).result is not Result.ACCEPTED
    assert desk.marks() == {}


def test_a_refused_notice_is_not_repeated() -> None:
    """A beacon that there was no room for is the first one when it comes again."""
    desk, tokens = Desk(), sealed(person=PERSON)
    desk.queue.room = 0
    assert desk.send(Kind.IMP, tokens.browser_token).result is Result.REFUSED
    desk.queue.room = 10
    assert not desk.send(Kind.IMP, tokens.browser_token).suspect
    assert desk.marks() == {}
