"""What looks after changed files goes on, whatever is wrong with them."""

import asyncio
from pathlib import Path

import pytest

from bidder.config import Config
from bidder.supervisor import service
from bidder.supervisor.service import Supervisor
from tests.servers import eventually


async def test_an_error_of_loading_does_not_end_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and the next change is loaded: the service would end with its watch."""
    monkeypatch.setattr(service, "WATCH_S", 0.001)
    campaigns, loads = tmp_path / "campaigns.yaml", 0
    supervisor = Supervisor(Config(campaigns=str(campaigns), data_dir=str(tmp_path / "data")), {})

    def load() -> None:
        nonlocal loads
        loads += 1
        if loads == 1:
            raise RuntimeError("half a file")

    monkeypatch.setattr(supervisor, "_reload", load)
    watching = asyncio.create_task(supervisor._watch())
    await asyncio.sleep(0)  # it has had its first look
    campaigns.write_text("advertisers: []\n")
    await eventually(lambda: loads == 1)
    campaigns.write_text("advertisers: [ ]\n")
    await eventually(lambda: loads == 2 or watching.done())
    assert not watching.done()
    assert "half a file" in caplog.text
    watching.cancel()
