"""The caretaker's part: ads.txt are fetched where the operator wants them, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from msgspec import structs

from bidder import chores
from bidder.chores import Hands, sellers
from bidder.clock import ManualClock
from bidder.config import Config
from bidder.fraud.refresh import Refreshed
from bidder.metrics import Tally
from bidder.screening import FraudRules


class Setup:
    """Where the data lies."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = str(data_dir)


def _hands(folder: Path, **rules: Any) -> Hands:
    config = structs.replace(Config(), fraud=FraudRules(**rules))
    return Hands(config, cast(Any, Setup(folder)), cast(Any, None), Tally(), ManualClock())


@pytest.mark.parametrize(
    ("rules", "asked"),
    [({}, 0), ({"fetch_sellers": True}, 1), ({"fetch_sellers": True, "enabled": False}, 0)],
)
async def test_off_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: dict[str, Any], asked: int
) -> None:
    """Nothing is fetched unless both the screen and the fetching are switched on; what was is counted."""
    calls: list[tuple[Path, Path]] = []

    async def fetching(run: Path, folder: Path, rules: FraudRules, now_s: float) -> Refreshed:
        calls.append((run, folder))
        return Refreshed(3, 2, 1)

    monkeypatch.setattr(chores, "refresh_from", fetching)
    hands = _hands(tmp_path, **rules)
    await sellers(hands)
    assert calls == [(tmp_path / "run", tmp_path / "sellers")] * asked
    counted = {
        cell.labels: value for cell, value in hands.tally.samples() if "fetches" in cell.name and value
    }
    assert counted == ({("fetched",): 3, ("failed",): 2} if asked else {})
