"""Hours of people, pages, notices and dying workers: no impression above any cap, and the day can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvloop

from benchmarks.frequency_day import Day, Plan, simulate
from tests.servers import RealServer


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """On the loop that serves."""
    return {"uvloop": uvloop.new_event_loop}


async def test_no_impression_above_a_cap(redis_server: RealServer) -> None:
    """Page bursts, parallel requests on four workers, notices late, lost and repeated, workers that die: of all
    impressions that were ever told of, none is above a cap; those that nobody told of explain the rest."""
    day = await simulate(Plan(people=12, hours=1.0, deaths=0.02), redis_server.url, 20)
    assert day.above == 0
    assert day.above_untold <= day.untold
    _took_place(day)


async def test_without_holds_caps_break(redis_server: RealServer) -> None:
    """The same day without heeding what is under way has impressions above caps: the day can tell."""
    day = await simulate(Plan(people=12, hours=1.0, deaths=0.02, heed=False), redis_server.url, 20)
    assert day.above > 10
    _took_place(day)


async def test_care_has_a_price(redis_server: RealServer) -> None:
    """Refusals because of bids under way are counted, with those that hindsight calls unneeded; without losses that
    are told, holds stand for their time and refuse more."""
    told = await simulate(Plan(people=6, hours=0.5), redis_server.url, 20)
    redis_server.flush()
    silent = await simulate(Plan(people=6, hours=0.5, silent=1.0, hold_s=300), redis_server.url, 20)
    assert 0 < told.unneeded <= told.held < told.asked
    assert 0 < told.unneeded_by_marks <= told.held_by_marks < told.held
    assert silent.held / silent.asked > told.held / told.asked


def _took_place(day: Day) -> None:
    assert day.requests > 300
    assert day.bids > 100
    assert day.impressions > 50
    assert day.reached > 0
