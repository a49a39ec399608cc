"""The simulated exchanges against a small bidder of the test's own: auctions, notices, errors, the end."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from benchmarks.exchange.report import Totals
from benchmarks.exchange.simulation import Settings, Simulation, full_seconds
from benchmarks.exchange.witness import Witness
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.keys import key32, key64
from bidder.notices.keys import Keyring
from bidder.notices.token import Claim, seal

NOW_S = 1_795_000_000
Reply = Callable[[dict[str, Any], str], web.Response]
PRICE = 25.0
KEYRING = Keyring(((1, bytes(32)),))


class Bidder:
    """Answers every banner with one bid; counts the notices that come back."""

    def __init__(self, reply: Reply | None = None) -> None:
        self.notices: Counter[str] = Counter()
        self.queries: dict[str, list[dict[str, str]]] = {}
        self.base = "https://bidder.example"
        self.reply = reply or self.bid

    def bid(self, request: dict[str, Any], exchange: str) -> web.Response:
        """A bid for the first banner that is no private auction; 204 without one."""
        for imp in request["imp"]:
            if imp.get("banner") and not imp.get("pmp"):
                return web.json_response(self.answer(request, imp))
        return web.Response(status=204)

    def answer(self, request: dict[str, Any], imp: dict[str, Any]) -> dict[str, Any]:
        """A faultless bid."""
        base, size = self.base, imp["banner"]["format"][0]
        price = "p=${AUCTION_PRICE}&r=${AUCTION_LOSS}"
        beacon = f'<a href="{base}/click?i=1"><img src="{base}/imp?{price}"></a>'
        bid = {
            "id": "1", "impid": imp["id"], "price": PRICE, "crid": "c", "cid": "campaign-1", "mtype": 1,
            "adomain": ["shop.example"], "adm": beacon, **size,
            **{name: f"{base}/{name}?{price}" for name in ("nurl", "burl", "lurl")},
        }  # fmt: skip
        return {"id": request["id"], "cur": (request.get("cur") or ["USD"])[0], "seatbid": [{"bid": [bid]}]}

    async def _bid(self, request: web.Request) -> web.Response:
        body = await request.read()
        return self.reply(json.loads(body), request.match_info["exchange"])

    async def _notice(self, request: web.Request) -> web.Response:
        kind = request.match_info["kind"]
        self.notices[kind] += 1
        self.queries.setdefault(kind, []).append(dict(request.query))
        return web.Response(
            status=302 if kind == "click" else 204, headers={"Location": "https://shop.example/"}
        )


@asynccontextmanager
async def running(bidder: Bidder) -> AsyncIterator[int]:
    """The bidder on a free port."""
    app = web.Application()
    app.router.add_post("/bid/{exchange}", bidder._bid)
    app.router.add_route("*", "/{kind}", bidder._notice)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port: int = runner.addresses[0][1]
    try:
        yield port
    finally:
        await runner.cleanup()


async def simulate(
    bidder: Bidder, limit: int = 400, witness: Witness | None = None
) -> tuple[Totals, list[int]]:
    """A short run; the totals, and how many requests each snapshot had."""
    seen: list[int] = []
    async with running(bidder) as port:
        settings = Settings(
            exchange_port=port, public_port=port, public_base=bidder.base, rate=400, seconds=60, limit=limit,
            seed=5, people=500, now_s=NOW_S, thorough_share=0.0, patience=1_000,
        )  # fmt: skip
        run = Simulation(settings, witness)
        totals = await run.run(lambda t: seen.append(t.requests), asyncio.Event())
    return totals, seen


class SealedBidder(Bidder):
    """Its tokens are those of one capped line item of the demo's book, at a price of 25 CPM in any currency."""

    def answer(self, request: dict[str, Any], imp: dict[str, Any]) -> dict[str, Any]:
        made = super().answer(request, imp)
        claim = Claim(
            bid_id=bytes(12), exchange=key32("generic"), advertiser=key64("fernhill"),
            line_item=key64("fernhill/fernhill-cart"), creative=0,
            bid_cpm_micros=25_000_000, currency="USD", rate_ppm=1_000_000, imp=0, flags=0,
            issued_s=NOW_S, expires_s=NOW_S,
        )  # fmt: skip
        bid = made["seatbid"][0]["bid"][0]
        bid["nurl"] += f"&t={seal(claim, KEYRING.signing).exchange_token}"
        return made


async def test_a_run_adds_up() -> None:
    """Every request ends in one way, every bid is won or lost, every notice that was sent arrived."""
    bidder = Bidder()
    totals, snapshots = await simulate(bidder)
    assert not totals.errors, totals.examples
    assert not totals.faults, totals.examples
    assert totals.requests == totals.bid_responses + totals.no_bids == totals.latency_us.total
    assert totals.bids == totals.wins + totals.losses > 50
    assert totals.wins > 50
    assert totals.impressions == bidder.notices["imp"]
    assert 0 < totals.billed == sum(totals.campaigns_billed.values()) <= totals.impressions
    assert totals.clicks == bidder.notices["click"]
    assert totals.notices == sum(bidder.notices.values())
    assert snapshots == sorted(snapshots)


async def test_notices_carry_prices_not_macros() -> None:
    """No macro reaches the bidder; winners are told a price at or below the bid, losers a reason."""
    bidder = Bidder()
    await simulate(bidder)
    assert not [query for queries in bidder.queries.values() for query in queries if "$" in str(query)]
    assert all(0 < float(query["p"]) <= PRICE for query in bidder.queries["nurl"])
    assert all(int(query["r"]) > 0 for query in bidder.queries.get("lurl", []))


async def test_equal_seeds_give_equal_auctions() -> None:
    """Against the same bidder, the same requests have the same winners, looks and clicks."""
    first, _ = await simulate(Bidder(), 300)
    again, _ = await simulate(Bidder(), 300)
    for totals in (first, again):
        assert totals.requests == 300
    counts = [(t.wins, t.losses, t.impressions, t.billed, t.clicks, t.loss_reasons) for t in (first, again)]
    assert counts[0] == counts[1]
    assert first.wins > 50


async def test_bad_answers_are_errors_and_faults() -> None:
    """A 500, an answer that is no JSON, and one to another request: each is counted, none takes part."""
    bidder = Bidder()

    def reply(request: dict[str, Any], exchange: str) -> web.Response:
        match exchange:
            case "google":
                return web.Response(status=500)
            case "index":
                return web.Response(text="{")
            case "xandr":
                return web.json_response(
                    bidder.answer({"id": "other"}, {"id": "1", "banner": {"format": [{}]}})
                )
            case _:
                return web.Response(status=204)

    bidder.reply = reply
    totals, _ = await simulate(bidder)
    assert totals.error_kinds["status 500"] == totals.exchanges["google"].requests
    assert totals.error_kinds["unreadable answer"] == totals.exchanges["index"].requests
    assert totals.faults == totals.exchanges["xandr"].requests > 0
    assert totals.wins == totals.losses == 0
    assert totals.examples


async def test_a_bidder_that_is_gone_is_an_error_and_the_run_ends() -> None:
    """Nobody listens: every request is an error, and nothing hangs."""
    async with running(Bidder()) as port:
        pass
    settings = Settings(
        exchange_port=port, public_port=port, public_base="https://b.example", rate=50, seconds=1.5,
        seed=1, people=50, now_s=NOW_S,
    )  # fmt: skip
    totals = await Simulation(settings).run(lambda t: None, asyncio.Event())
    assert totals.errors == totals.requests == totals.error_kinds["no answer"] > 0


async def test_stop_ends_a_run_early() -> None:
    """The event ends a run that would go on for an hour; what is under way is finished."""
    bidder, stop = Bidder(), asyncio.Event()
    async with running(bidder) as port:
        settings = Settings(
            exchange_port=port, public_port=port, public_base=bidder.base, rate=50, seconds=3_600,
            seed=1, people=50, now_s=NOW_S,
        )  # fmt: skip
        totals = await Simulation(settings).run(lambda t: stop.set(), stop)
    assert totals.requests == totals.bid_responses + totals.no_bids
    assert not totals.errors


async def test_a_stop_before_the_start_ends_it() -> None:
    """A run that waits for its hour is as easily ended."""
    stop = asyncio.Event()
    stop.set()
    settings = Settings(
        exchange_port=1, public_port=1, public_base="https://b.example", rate=50, seconds=3_600,
        seed=1, people=50, now_s=NOW_S, start_s=1e11,
    )  # fmt: skip
    totals = await Simulation(settings).run(lambda t: None, stop)
    assert totals.requests == totals.errors == 0


async def test_a_witness_sees_what_really_happened() -> None:
    """Every ad on a screen counts for its viewer, more of them than the caps allow; every bill is summed up."""
    witness = Witness(load_book(demo_book_path()), KEYRING, {})
    totals, _ = await simulate(SealedBidder(), witness=witness)
    assert not totals.errors, totals.examples
    assert totals.capped_views == totals.impressions > 50
    assert totals.cap_violations["line item fernhill-cart: 1 per 5s"] > 0
    assert 0 < totals.due_micros["fernhill"] <= totals.billed * 25_000


async def test_tokens_that_a_witness_cannot_open_are_errors() -> None:
    """So a run against another service than was told proves nothing, and says so."""
    totals, _ = await simulate(Bidder(), witness=Witness(load_book(demo_book_path()), KEYRING, {}))
    assert totals.error_kinds == {"token": totals.impressions + totals.billed}
    assert totals.due_micros == {}


@pytest.mark.parametrize(("elapsed", "full"), [(0, 0), (1, 0.25), (2, 1), (60, 59)])
def test_a_run_begins_slowly(elapsed: float, full: float) -> None:
    """The rate rises from nothing within two seconds."""
    assert full_seconds(elapsed) == full
