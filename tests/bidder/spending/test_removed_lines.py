"""Bills of line items that were removed, or given to another advertiser, since the bid: who bid pays, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bidder.campaigns.compile import Line, compile_lines
from bidder.campaigns.load import load_book
from bidder.keys import key32, key64
from bidder.live import LineDirectory
from bidder.notices.apply import Kind, Result
from bidder.notices.token import Sealed
from budget.money import Micros
from tests.bidder.auction.support import RATES
from tests.bidder.notices.support import PERSON, sealed
from tests.bidder.spending.house import LEASE, PATH, SHOP, House

BID_COST = 2_250
OTHER = "shop-2"
BOOK = """
advertisers:
  - id: {shop}
    name: Shop
    domain: shop.example
    currency: EUR
    time_zone: Europe/Berlin
    creatives:
      - id: still
        kind: image
        w: 300
        h: 250
        landing_url: "https://s.example"
        image_url: "https://s.example/a"
    campaigns:
      - id: campaign-1
        name: First
        line_items:
          - id: {line}
            goal: {{kind: cpm, value: 1}}
            max_bid_cpm: 2
            budget: {{daily: 50}}
            creatives: [still]
"""


def lines(folder: Path, shop: str, line: str = "line-1") -> list[Line]:
    """Those of campaigns in which one advertiser has one line item."""
    path = folder / f"{shop}-{line}.yaml"
    path.write_text(BOOK.format(shop=shop, line=line))
    return compile_lines(load_book(path), RATES)


def tokens(number: int = 1, exchange: str = "generic") -> Sealed:
    """A bid of SHOP's line-1 out of the lease, for somebody."""
    bid_id = number.to_bytes(12, "big")
    return sealed(lease=LEASE, person=PERSON, bid_id=bid_id, exchange=key32(exchange))


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """SHOP has money and a lease, OTHER has money."""
    found = House(tmp_path / "spool")
    await found.fund()
    await found.ledger.fund(OTHER, "fund", Micros(1_000_000))
    return found


async def restarted(house: House, live: list[Line]) -> None:
    """Workers know from now on what a worker that just started does: the campaigns, and whom the ledger knows."""
    house.directory = directory = LineDirectory()
    directory.adopt(live)
    directory.remember_advertisers(await house.ledger.advertisers())


def spent(house: House, shop: str) -> dict[str, int]:
    """By account."""
    accounts = house.ledger.ledger(shop).balances.accounts
    return {name: account.spent for name, account in accounts.items() if account.spent}


@pytest.mark.parametrize(("exchange", "cost"), [("generic", 1_080), ("prebid", BID_COST)])
async def test_a_bill_after_removal_and_restart_is_charged_once(
    house: House, tmp_path: Path, exchange: str, cost: int
) -> None:
    """Out of its lease and so on every account of the bid's path, at the clearing price or, where the beacon bills,
    at the bid; sent again to another worker it is a duplicate."""
    await restarted(house, lines(tmp_path, SHOP, "line-2"))
    kind, text = Kind.BILL, tokens(exchange=exchange).exchange_token
    if exchange == "prebid":
        kind, text = Kind.IMP, tokens(exchange=exchange).browser_token
    workers = house.worker(0), house.worker(1)
    for worker in workers:
        receipt = worker.send(kind, text)
        assert (receipt.result, receipt.spent) == (Result.ACCEPTED, cost)
        assert worker.send(kind, text).result is Result.DUPLICATE
        assert await worker.drain.step()
    assert spent(house, SHOP) == dict.fromkeys(PATH, cost)
    assert (house.wallet().leased, house.wallet().late) == (500_000 - cost, 0)
    assert [worker.count("charges_total", "unknown", "unknown", "settled") for worker in workers] == [1, 0]
    assert workers[0].count("line_item_spend_micros_total", "unknown", "unknown") == cost
    assert not house.seen.sightings, "nobody knows the caps"
    for worker in workers:
        await worker.drain.close(5.0)


async def test_without_its_lease_the_wallet_pays(house: House, tmp_path: Path) -> None:
    """The worker that bid was taken for dead: late money, from what is available in the wallet."""
    await restarted(house, lines(tmp_path, SHOP, "line-2"))
    house.clock.advance(3_600 + 600 + 1)
    await house.ledger.reclaim(SHOP, "reclaim", LEASE >> 32)
    worker = house.worker()
    assert worker.send(Kind.BILL, tokens().exchange_token).result is Result.LATE
    assert await worker.drain.step()
    assert spent(house, SHOP) == {"wallet": 1_080}
    assert (house.wallet().leased, house.wallet().late) == (0, 1_080)
    await worker.drain.close(5.0)


async def test_a_loss_after_removal_and_restart_frees_the_lease(house: House, tmp_path: Path) -> None:
    """What was reserved is the worker's again."""
    await restarted(house, lines(tmp_path, SHOP, "line-2"))
    worker = house.worker()
    assert worker.send(Kind.LOSS, tokens().exchange_token).result is Result.ACCEPTED
    assert await worker.drain.step()
    assert worker.count("releases_total", "released") == 1
    (heard,) = (await house.ledger.poll(SHOP, LEASE >> 32, "", 60.0)).entries
    assert (heard.lease_id, heard.price, heard.amount) == (LEASE, BID_COST, 0)
    assert not house.seen.sightings
    await worker.drain.close(5.0)


async def test_what_moves_no_money_is_counted_and_leads_nowhere(house: House, tmp_path: Path) -> None:
    """Win, view, event and click of a line item that is gone: counted as unknown, nothing is queued."""
    await restarted(house, lines(tmp_path, SHOP, "line-2"))
    worker, bid = house.worker(), tokens()
    assert worker.send(Kind.WIN, bid.exchange_token).result is Result.ACCEPTED
    for kind in (Kind.IMP, Kind.EVENT, Kind.CLICK):
        receipt = worker.send(kind, bid.browser_token)
        assert (receipt.result, receipt.landing_url) == (Result.ACCEPTED, None)
    for name in ("wins", "impressions", "clicks"):
        assert worker.count(f"line_item_{name}_total", "unknown", "unknown") == 1
    assert worker.count("spool_records_total", "disk") == 0
    await worker.drain.close(5.0)


@pytest.mark.parametrize("restarts", [False, True])
async def test_who_bid_pays_for_a_line_item_that_moved(house: House, tmp_path: Path, restarts: bool) -> None:
    """The id stands under another advertiser now: that one's wallet stays as it was, before a restart and after."""
    directory = LineDirectory()
    directory.adopt(lines(tmp_path, SHOP))
    moved = lines(tmp_path, OTHER)
    directory.adopt(moved)
    house.directory = directory
    if restarts:
        await restarted(house, moved)
    worker = house.worker()
    assert worker.send(Kind.BILL, tokens().exchange_token).spent == 1_080
    assert await worker.drain.step()
    assert spent(house, SHOP) == dict.fromkeys(PATH, 1_080)
    assert spent(house, OTHER) == {}
    labels = ("unknown", "unknown") if restarts else ("campaign-1", "line-1")
    assert worker.count("charges_total", *labels, "settled") == 1
    await worker.drain.close(5.0)


async def test_of_an_unknown_advertiser_nothing_is_known(house: House, tmp_path: Path) -> None:
    """In no campaign and not in the ledger: the notice is counted so, and nothing is queued."""
    house.directory = directory = LineDirectory()
    directory.adopt(lines(tmp_path, OTHER))
    worker = house.worker()
    assert worker.send(Kind.BILL, tokens().exchange_token).result is Result.UNKNOWN_LINE_ITEM
    assert worker.count("spool_records_total", "disk") == 0
    await worker.drain.close(5.0)


def test_advertisers_of_retired_line_items_are_known(tmp_path: Path) -> None:
    """Whoever had a line item while this worker lived, whoever has one, and whoever it was told of."""
    directory = LineDirectory()
    directory.adopt(lines(tmp_path, SHOP))
    directory.adopt(lines(tmp_path, OTHER))
    directory.remember_advertisers(["shop-3"])
    for name in (SHOP, OTHER, "shop-3"):
        assert directory.advertiser(key64(name)) == name
    assert directory.advertiser(key64("shop-4")) is None
