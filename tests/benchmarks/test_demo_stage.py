"""The book and the rules of one run of the demo."""

from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks.demo import stage
from benchmarks.demo.stage import Load, write_book, write_rules
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.config import load

START_S = 1_795_000_000.5


def test_every_campaign_flies_for_the_seconds_of_the_run(tmp_path: Path) -> None:
    """One flight for all, and total budgets alone: no day, no hour; line items' add up to their campaign's."""
    path = tmp_path / "book.yaml"
    write_book(path, Load(500, 60), START_S)
    for shop in load_book(path).advertisers:
        for campaign in shop.campaigns:
            assert campaign.start is not None
            assert campaign.end is not None
            assert (campaign.start.timestamp(), campaign.end.timestamp()) == (START_S, START_S + 60)
            budgets = [line.budget for line in campaign.line_items]
            assert campaign.budget.total == sum(budget.total or 0 for budget in budgets)
            assert [b for b in (campaign.budget, *budgets) if b.daily] == []
            assert [b for b in budgets if b.hourly] == []


def test_the_rest_is_the_demos_book(tmp_path: Path) -> None:
    """The same shops, creatives, line items and caps."""
    path = tmp_path / "book.yaml"
    write_book(path, Load(500, 60), START_S)
    for own, other in zip(load_book(path).advertisers, load_book(demo_book_path()).advertisers, strict=True):
        assert (own.id, own.creatives, own.frequency) == (other.id, other.creatives, other.frequency)
        for campaign, original in zip(own.campaigns, other.campaigns, strict=True):
            assert (campaign.id, campaign.frequency) == (original.id, original.frequency)
            assert [(line.id, line.goal, line.creatives, line.frequency) for line in campaign.line_items] == [
                (line.id, line.goal, line.creatives, line.frequency) for line in original.line_items
            ]


def test_all_kinds_of_pacing_are_shown(tmp_path: Path) -> None:
    """Even, by traffic, front-loaded and as soon as possible; one campaign has more than there is to buy."""
    path = tmp_path / "book.yaml"
    write_book(path, Load(500, 60), START_S)
    campaigns = [campaign for shop in load_book(path).advertisers for campaign in shop.campaigns]
    assert {campaign.pacing for campaign in campaigns} == {"even", "traffic", "front_loaded", "asap"}
    assert {campaign.id for campaign in campaigns} == stage.DEMANDS.keys()
    assert sum(demand.share > 1 for demand in stage.DEMANDS.values()) == 1


@pytest.mark.parametrize(
    ("load", "share"), [(Load(250, 60), 0.5), (Load(500, 30), 29 / 59), (Load(5, 1), 0.25 / 59 / 100)]
)
def test_budgets_follow_the_load(load: Load, share: float, tmp_path: Path) -> None:
    """Half the requests, half the money; the slow start of the load is not counted as full."""
    totals = []
    for of in (Load(500, 60), load):
        write_book(tmp_path / "book.yaml", of, START_S)
        shops = load_book(tmp_path / "book.yaml").advertisers
        totals.append(
            sum(campaign.budget.total or Decimal(0) for shop in shops for campaign in shop.campaigns)
        )
    assert float(totals[1] / totals[0]) == pytest.approx(share, rel=5e-3)


def test_the_rules_are_a_configuration(tmp_path: Path) -> None:
    """Seconds for what takes minutes in earnest, for every exchange; visitors are capped."""
    write_rules(tmp_path / "service.yaml", Load(500, 60), 0.01, tmp_path)
    config = load(tmp_path / "service.yaml", {})
    assert config.ledger.pacing_period_s == stage.PACING_PERIOD_S
    assert config.frequency.visitors
    assert {profile.notice_delay_s for profile in config.profiles()} == {stage.NOTICE_S}
    assert all(profile.sync_url for profile in config.profiles())
    assert config.privacy.vendor_id
    assert config.catalogue.folder == str(tmp_path)


@pytest.mark.parametrize(
    ("rate", "busiest", "person_rate"), [(500, 0.0065, 6.5), (5_000, 0.0065, 65), (5_000, 0.0, 8)]
)
def test_nobody_of_the_people_is_a_robot_by_rate(
    rate: float, busiest: float, person_rate: float, tmp_path: Path
) -> None:
    """The bound is far above what the most active person of the run sees, whatever the rate."""
    write_rules(tmp_path / "service.yaml", Load(rate, 60), busiest)
    assert load(tmp_path / "service.yaml", {}).fraud.person_rate == pytest.approx(person_rate)
