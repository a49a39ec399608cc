"""What operators ask of the ledger: a call that is under way is never cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.config import Config
from bidder.supervisor import actions
from bidder.supervisor.actions import Actions
from bidder.web.admin import Target, Undone
from budget.store import LedgerDown, Unconfirmed

SHOP = load_book(demo_book_path()).advertisers[0].id


class Ledger:
    """Answers when it is let go, and knows whether it was cut off."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.problem: Exception | None = None
        self.ended = ""

    @asynccontextmanager
    async def opened(self, store: Any) -> AsyncIterator[Ledger]:
        yield self

    async def pause(self, advertiser: str, op_id: str, account: str, paused: bool) -> None:
        try:
            await self.let_go.wait()
            self.ended = f"{account} {paused}"
        except asyncio.CancelledError:
            self.ended = "cut off"
            raise
        if self.problem is not None:
            raise self.problem


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """In the place of the real one."""
    made = Ledger()
    monkeypatch.setattr(actions, "opened", made.opened)
    return made


def desk() -> Actions:
    return Actions(Config(), lambda: "redis://127.0.0.1:1", lambda: None, lambda: True)


async def test_a_slow_ledger(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what came of it, and that is said; the call goes on to its end."""
    monkeypatch.setattr(actions, "LEDGER_S", 0.01)
    asked = desk()
    with pytest.raises(Undone, match="has not answered yet") as told:
        await asked.pause(Target(SHOP), True)
    assert told.value.result == "unconfirmed"
    assert ledger.ended == ""
    (late,) = asked._late
    ledger.let_go.set()
    await late
    assert ledger.ended == "wallet True"
    assert not asked._late


@pytest.mark.parametrize(
    ("problem", "result"), [(Unconfirmed("replicas"), "unconfirmed"), (LedgerDown("gone"), "unreachable")]
)
async def test_what_the_ledger_cannot(ledger: Ledger, problem: Exception, result: str) -> None:
    """Done without enough replicas is another thing than not reached."""
    ledger.problem = problem
    ledger.let_go.set()
    with pytest.raises(Undone) as told:
        await desk().pause(Target(SHOP), True)
    assert told.value.result == result
