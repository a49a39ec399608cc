"""People on a cluster while a primary dies and while slots move: bids stay in time, caps are kept."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from pathlib import Path

import pytest

from bidder.stores import keys
from tests.bidder.supervisor.serving import until
from tests.cluster.fleet import fleet
from tests.cluster.shards import Shards
from tests.service import money
from tests.service.client import Crowd, load
from tests.service.people import (
    CONTEXTUAL,
    PERSONAL,
    VISITOR,
    remember,
    stranger_request,
    visitor_request,
)
from tests.service.reckoning import LATE_SHARE
from tests.service.service import BOOK, PLENTY, Service
from tests.service.test_frequency_bursts import CAPS, SITES, Browser, Page

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

PEOPLE = 5
PAGES = 4
PAUSE_S = 0.05
"""Between pages: the load, not a wait for anything."""
TAG = keys.person_tag(bytes.fromhex(VISITOR))


def _gone_contextual(crowd: Crowd, goal: int) -> bool:
    return crowd.by_body[0, CONTEXTUAL] >= goal


async def test_a_dead_primary_costs_its_people_for_seconds_and_no_bid(tmp_path: Path, shards: Shards) -> None:
    """kill -9 of the primary of a person's shard: contextual bids, in time, until its replica serves; then personal
    bids again, without a restart of ours."""
    await remember(shards.urls)
    await asyncio.to_thread(shards.whole)
    with fleet(tmp_path, shards, {"ledger": PLENTY}, campaigns=BOOK) as both:
        one = both.start("one")
        workers = one.workers()
        async with load(one.exchange, [visitor_request(), stranger_request()], rate=200) as crowd:
            await crowd.sees(PERSONAL, 50)
            losing = asyncio.create_task(asyncio.to_thread(shards.lose, TAG))
            await crowd.until(partial(_gone_contextual, crowd, 50))
            start_s = time.monotonic()
            _, promoted_s = await losing
            await crowd.sees(PERSONAL, 1)
            back_s = time.monotonic() - start_s
            await crowd.sees(PERSONAL, 100)
        assert set(crowd.by_body) == {(0, PERSONAL), (0, CONTEXTUAL), (1, CONTEXTUAL)}
        assert set(crowd.statuses) == {200}, crowd.statuses
        assert crowd.lost == crowd.refused == 0
        assert one.workers() == workers
        seen = one.settled()
        late = seen.total("paceline_late_answers_total")
        assert late <= LATE_SHARE * crowd.answered
        seen.conserved()
        print(
            f"\nanother primary after {promoted_s:.2f} s, personal bids after {back_s:.2f} s;"
            f" {crowd.answered} answers, {crowd.by_body[0, CONTEXTUAL]} contextual, {late} late"
        )


async def reshard(shards: Shards, people: list[Browser]) -> int:
    """Move each person's slot, and that of the shop's money, to another primary."""
    moved = 0
    primaries = await asyncio.to_thread(shards.primaries)
    for tag in ["shy", *(keys.person_tag(bytes.fromhex(browser.person)) for browser in people)]:
        here = await asyncio.to_thread(shards.primary, tag)
        target = primaries[(primaries.index(here) + 1) % len(primaries)]
        moved += await asyncio.to_thread(shards.move, tag, target)
    return moved


async def test_slots_move_under_load_and_no_cap_is_lost(tmp_path: Path, shards: Shards) -> None:
    """The slots of people, and of the shop's money, are moved key by key (MIGRATE, ASK, MOVED, TRYAGAIN) while their
    pages are viewed: no more is shown than the cap, no request fails, none is late, every charge arrives."""
    site, chance = "thrice.example", random.Random(5)
    with fleet(tmp_path, shards, {"ledger": PLENTY}, campaigns=CAPS) as both:
        one = both.start("one", workers=2)
        browsers = [Browser(one, site, chance) for _ in range(PEOPLE)]
        for browser in browsers:
            await browser.view(Page(1, 1))
        moving = asyncio.create_task(reshard(shards, browsers))
        pages = 0
        while not moving.done() or pages < PAGES:
            pages += 1
            await asyncio.gather(*[browser.view(Page(2, 1)) for browser in browsers])
            await asyncio.sleep(PAUSE_S)
        moved = await moving
        for browser in browsers:
            await browser.leave()
            await browser.view(Page(4, 1))
        shown = [browser.shown for browser in browsers]
        assert max(shown) <= SITES[site], "impressions above the cap"
        assert min(shown) == SITES[site], "once its slot has moved a person is known again"
        for browser in browsers:
            await browser.leave()
        await asyncio.to_thread(until, lambda: not spooled(one), "the last charge")
        seen = one.settled()
        seen.conserved()
        asked = seen.total("paceline_requests_total")
        assert set(seen.by("paceline_outcomes_total", "outcome")) <= {"bid", "filtered", "no_candidate"}
        assert not seen.total("paceline_frequency_lost_total")
        proof = money.proof(shards.urls, both.journal, "shy")
        assert not proof.findings
        assert proof.spent
        late = seen.total("paceline_late_answers_total")
        assert late <= LATE_SHARE * asked
        followed = seen.total("paceline_store_moved_total")
        print(
            f"\n{moved} keys in {PEOPLE + 1} slots moved, {asked} requests, {followed} redirections, {late} late"
        )


def spooled(service: Service) -> int:
    """Accepted notices that wait."""
    return service.scrape().total("paceline_spool_bytes")
