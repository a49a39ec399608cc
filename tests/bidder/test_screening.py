"""The section `[fraud]` of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from bidder.config import Config, ConfigError, load


def test_defaults_judge() -> None:
    """Unconfigured, requests are screened, nothing is fetched, and data centres alone are never filtered."""
    rules = Config().fraud
    assert rules.enabled
    assert not rules.fetch_sellers
    assert rules.policies.datacentre == rules.policies.address_rate == rules.policies.seller == "mark"
    assert rules.weights.datacentre < rules.threshold


def test_configured(tmp_path: Path) -> None:
    """Policies, weights and lists are the operator's."""
    path = tmp_path / "paceline.toml"
    path.write_text(
        '[fraud]\nthreshold = 80\ndatacenter_networks = ["clouds.txt"]\n'
        '[fraud.policies]\nplacement = "mark"\n[fraud.weights]\nplacement = 10\n'
        '[fraud.exchange_domains]\nmine = "mine.example"\n'
    )
    rules = load(path, {}).fraud
    assert (rules.threshold, rules.policies.placement, rules.weights.placement) == (80, "mark", 10)
    assert rules.datacenter_networks == ("clouds.txt",)
    assert rules.exchange_domains == {"mine": "mine.example"}


@pytest.mark.parametrize(
    "text",
    [
        '[fraud.policies]\ncrawler = "drop"\n',
        "[fraud.weights]\ncrawler = 101\n",
        "[fraud]\nthreshold = 0\n",
        "[fraud]\nperson_share = 2.0\n",
        "[fraud]\nperson_rate = 0\n",
        "[fraud]\nunheard_of = 1\n",
        "[fraud.policies]\nunheard_of = 1\n",
    ],
)
def test_bounds(tmp_path: Path, text: str) -> None:
    """What is out of bounds, or unknown, is refused with its place."""
    path = tmp_path / "paceline.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"\$\.fraud|fraud"):
        load(path, {})
