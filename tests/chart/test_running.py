"""A service that runs as it would in a pod: configured by the chart, its campaigns swapped as kubelet swaps them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bidder.campaigns.demo import demo_book_path
from tests.bidder.supervisor.serving import Serving, until
from tests.chart.rendering import manifests, one, settings

pytestmark = pytest.mark.process


class ConfigMap:
    """A folder as kubelet keeps it for a mounted ConfigMap: files are links through `..data`, which is swapped."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        self.folder, self._number = folder, 0
        folder.mkdir()
        self.put(files)
        for name in files:
            (folder / name).symlink_to(Path("..data", name))

    def put(self, files: dict[str, str]) -> None:
        """Write a new version beside the old one, and swap the link to it in one step."""
        self._number += 1
        fresh = self.folder / f"..2026_01_01_00_00_00.{self._number}"
        fresh.mkdir()
        for name, text in files.items():
            (fresh / name).write_text(text)
        old = (self.folder / "..data").resolve() if self._number > 1 else None
        part = self.folder / "..data_tmp"
        part.symlink_to(fresh.name)
        part.rename(self.folder / "..data")
        if old is not None:
            for path in old.iterdir():
                path.unlink()
            old.rmdir()


def _book(max_bid: str) -> str:
    """One of the demo's shops, without its feed; whatever it bids, it bids at most so much."""
    source = demo_book_path()
    path = source if source.is_file() else sorted(source.glob("*.yaml"))[0]
    book: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    shop = book["advertisers"][0]
    shop.pop("feed", None)
    shop["creatives"] = [each for each in shop["creatives"] if each["kind"] != "products"]
    names = {each["id"] for each in shop["creatives"]}
    for campaign in shop["campaigns"]:
        lines = campaign["line_items"]
        for line in lines:
            line["creatives"] = [name for name in line["creatives"] if name in names]
        campaign["line_items"] = [line for line in lines if line["creatives"]]
    shop["campaigns"] = [each for each in shop["campaigns"] if each["line_items"]][:1]
    shop["campaigns"][0]["line_items"][0]["max_bid_cpm"] = float(max_bid)
    book["advertisers"] = [shop]
    return yaml.safe_dump(book)


@pytest.fixture
def swapped(tmp_path: Path) -> Iterator[tuple[Serving, ConfigMap]]:
    """A real service with the chart's settings, its paths moved here, on free ports."""
    campaigns = ConfigMap(tmp_path / "campaigns", {"shop.yaml": _book("4.5")})
    config = yaml.safe_load(settings(manifests("default")))
    config["ledger"]["journal_dir"] = str(tmp_path / "shared" / "journal")
    config["events"]["folder"] = str(tmp_path / "shared" / "events")
    config["exchange"]["drain_wait_s"] = 0
    config["campaigns"] = str(campaigns.folder)
    del config["keys_file"], config["public"]["base_url"]
    path = tmp_path / "paceline.yaml"
    path.write_text(yaml.safe_dump(config))
    serving = Serving(tmp_path / "data", standins=False, config=str(path), PACELINE_WORKERS="1")
    try:
        yield serving.until_ready(workers=1), campaigns
    finally:
        serving.process.terminate()
        assert serving.wait() == 0, serving.log.read_text()


def test_campaigns_swapped_by_kubelet_are_taken_over(swapped: tuple[Serving, ConfigMap]) -> None:
    """A changed ConfigMap reaches the running service: the swap of `..data` is seen, a bad one changes nothing, and
    `helm test` is content with the service throughout."""
    serving, campaigns = swapped
    assert _probe(serving) == 0
    campaigns.put({"shop.yaml": _book("3.5")})
    until(lambda: _reloads(serving.log) == 1, "the worker to load anew")
    assert serving.metric("paceline_campaigns_reload_failed") == 0
    campaigns.put({"shop.yaml": "advertisers: {"})
    until(lambda: serving.metric("paceline_campaigns_reload_failed") == 1, "the bad file to be refused")
    assert _probe(serving) == 0
    campaigns.put({"shop.yaml": _book("2.5")})
    until(lambda: serving.metric("paceline_campaigns_reload_failed") == 0, "the good file to be taken")
    assert _reloads(serving.log) == 2


def _reloads(log: Path) -> int:
    return log.read_text().count("campaigns reloaded")


def _probe(serving: Serving) -> int:
    """Run the script of `helm test` as its pod would."""
    (script,) = one(manifests("default"), "Pod", "paceline-test")["spec"]["containers"][0]["args"]
    ports = serving.ports
    environment = {
        "EXCHANGE": f"http://127.0.0.1:{ports['exchange']}",
        "OPS": f"http://127.0.0.1:{ports['ops']}",
        "PATH": os.environ["PATH"],
    }
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    print(run.stdout, run.stderr)
    return run.returncode
