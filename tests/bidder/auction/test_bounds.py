"""What one request can make us do is bounded: work is counted here, not timed."""

from typing import Any

import pytest

from bidder.auction import choose
from bidder.auction.fit import NATIVE_CACHE
from bidder.auction.intake import LONG_LIST, read_request
from bidder.outcome import Outcome
from tests.bidder.auction.market import market
from tests.bidder.auction.support import Asked, Bench, config_of
from tests.corpus import compact

Json = dict[str, Any]
MARKET = market()


def _request(**more: Any) -> Json:
    banner = {"format": [{"w": 300, "h": 250}] * 100, "btype": [1, 2, 3, 4] * 64}
    return {"id": "r", "site": {"domain": "news.example"}, "imp": [{"id": "1", "banner": banner}], **more}


def _asked(bench: Bench, body: Json, monkeypatch: pytest.MonkeyPatch) -> tuple[Asked, int]:
    """The call, and how many candidates were held against the filters."""
    count = 0
    fit = choose.fit

    def counted(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        return fit(*arguments)

    monkeypatch.setattr(choose, "fit", counted)
    (call,) = bench.ask(body)
    return call, count


def test_a_size_that_is_named_often_is_one_size() -> None:
    """A hundred equal formats ask for each creative once."""
    bench = Bench(MARKET)
    (call,) = bench.ask(_request(imp=[{"id": "1", "banner": {"format": [{"w": 300, "h": 250}] * 100}}]))
    assert call.outcome is Outcome.BID
    assert read_request(call.body).imp[0].banner is not None


def test_a_request_that_refuses_everything_asks_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond MAX_ASKED candidates nobody is asked any more; the rest is counted under the limit."""
    monkeypatch.setattr(choose, "MAX_ASKED", 2)
    bench = Bench(MARKET, config=config_of(max_candidates=1_000))
    call, asked = _asked(bench, _request(), monkeypatch)
    assert call.outcome in (Outcome.FILTERED, Outcome.NO_CANDIDATE)
    assert asked <= 3  # the best is asked first by itself, then again in its turn
    assert bench.drops().get("candidate_limit", 0) > 0
    assert bench.balance() == 0


@pytest.mark.parametrize("length", [LONG_LIST, LONG_LIST + 1])
def test_long_lists_block_as_short_ones_do(length: int) -> None:
    """A list is looked up in the same way whether it became a set or not."""
    junk = [f"IAB{n}-9" for n in range(100, 100 + length - 1)]
    plain = Bench(MARKET).ask(_request(imp=[{"id": "1", "banner": {"w": 300, "h": 250}}]))[0]
    assert plain.outcome is Outcome.BID
    category = plain.bids[0].cat
    assert category
    bench = Bench(MARKET)
    (call,) = bench.ask(
        _request(imp=[{"id": "1", "banner": {"w": 300, "h": 250}}], bcat=[*junk, category[0]])
    )
    assert all(category[0] not in (bid.cat or ()) for bid in call.bids)
    assert bench.balance() == 0


def test_native_answers_are_remembered_in_bounds() -> None:
    """More native requests than are remembered are answered all the same, and a new book's ads are not mixed up."""
    assets = '{"assets":[{"id":%d,"required":0,"title":{"len":140}}]}'
    bench = Bench(MARKET)
    for number in (1, 2, NATIVE_CACHE + 1, 1):
        body = _request(imp=[{"id": "1", "native": {"request": assets % number}}])
        for asked in (bench, Bench(MARKET)):
            (call,) = asked.ask(compact(body))
            if call.bids:
                assert f'"id":{number}' in (call.bids[0].adm or "")
