"""The chore: what is due is fetched and published, what fails leaves the last good catalogue."""

import fcntl
import os
from pathlib import Path

import pytest
from msgspec import Struct, convert, structs

from bidder.campaigns.model import Advertiser
from bidder.catalogue.product import EVERYTHING
from bidder.catalogue.refresh import (
    BUILT,
    BUSY,
    FAILED,
    UNCHANGED,
    Places,
    Refreshed,
    read_state,
    refresh_catalogues,
)
from bidder.catalogue.sections import pointer
from bidder.catalogue.similar import write_model
from bidder.catalogue.snapshot import Catalogue, Catalogues
from bidder.keys import product_key
from bidder.learning.affinity import train
from bidder.metrics import Tally
from tests.bidder.catalogue.test_feed import HEADER, good

NOW_S = 1_790_000_000


class Rules(Struct, frozen=True):
    timeout_s: float = 20.0
    max_bytes: int = 100_000
    private_networks: tuple[str, ...] = ()


def shop(name: str = "shop", **feed: str) -> Advertiser:
    raw = {
        "id": name,
        "name": name,
        "domain": f"{name}.example",
        "currency": "EUR",
        "creatives": [{"id": "c", "kind": "products", "landing_url": "https://s.example/"}],
        "campaigns": [
            {
                "id": "a",
                "name": "a",
                "line_items": [
                    {"id": "l", "goal": {"kind": "cpm", "value": 1}, "max_bid_cpm": 1, "creatives": ["c"]}
                ],
            }
        ],
        "feed": {"location": "feed.csv", "format": "csv", "every": "1h"} | feed,
    }
    return convert(raw, Advertiser, strict=False)


class Stage:
    """A folder of feeds and what becomes of them."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(folder / "catalogues", folder / "models", folder / "feeds")
        self.places.feeds.mkdir()
        self.tally = Tally()
        self.write(HEADER + good(1, 2, 3, 4, 5))

    def write(self, text: str) -> None:
        (self.places.feeds / "feed.csv").write_text(text)

    async def refresh(self, now_s: int, *shops: Advertiser) -> list[Refreshed]:
        return await refresh_catalogues(shops or [shop()], self.places, Rules(), now_s, self.tally)

    async def results(self, now_s: int, *shops: Advertiser) -> list[str]:
        return [found.result for found in await self.refresh(now_s, *shops)]

    def catalogue(self, name: str = "shop") -> Catalogue:
        catalogues = Catalogues(self.places.catalogues)
        catalogues.refresh()
        found = catalogues.of(name)
        assert found is not None
        return found


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_a_feed_is_looked_at_when_it_is_due(stage: Stage) -> None:
    """Built at first, left alone within the hour, unchanged after it, built anew when it has changed."""
    assert await stage.results(NOW_S) == [BUILT]
    assert await stage.results(NOW_S + 3_599) == []
    assert await stage.results(NOW_S + 3_600) == [UNCHANGED]
    stage.write(HEADER + good(1, 2))
    assert await stage.results(NOW_S + 3_700) == []
    assert await stage.results(NOW_S + 7_200) == [BUILT]
    assert stage.catalogue().count == 2


async def test_what_is_out_of_stock_is_gone_with_the_next_snapshot(stage: Stage) -> None:
    """One reload takes it out of every list."""
    await stage.refresh(NOW_S)
    stage.write(HEADER + good(1, 2, 3).replace("in stock", "out of stock", 1))
    await stage.refresh(NOW_S + 3_600)
    catalogue = stage.catalogue()
    gone = catalogue.find(product_key("shop", "b1"))
    assert gone >= 0
    assert gone not in catalogue.best(EVERYTHING)


async def test_another_place_or_a_clock_set_back_is_due_at_once(stage: Stage) -> None:
    """`every` counts for one location and format alone."""
    await stage.refresh(NOW_S)
    (stage.places.feeds / "other.csv").write_text(HEADER + good(9))
    assert await stage.results(NOW_S + 1, shop(location="other.csv")) == [BUILT]
    assert await stage.results(NOW_S - 10, shop(location="other.csv")) == [UNCHANGED]


async def test_a_feed_that_fails_leaves_the_last_good_one(stage: Stage) -> None:
    """Refused, absent: the catalogue stays, the state says why, and it is tried again when due."""
    await stage.refresh(NOW_S)
    stage.write(HEADER + "b1,\nb2,\n")
    (failed,) = await stage.refresh(NOW_S + 3_600)
    assert failed.result == FAILED
    assert "no product that can be used" in failed.detail
    assert stage.catalogue().count == 5
    assert "no product" in read_state(stage.places.catalogues / "shop").problem
    assert await stage.results(NOW_S + 3_700) == []
    (stage.places.feeds / "feed.csv").unlink()
    assert await stage.results(NOW_S + 7_200) == [FAILED]
    stage.write(HEADER + good(1))
    assert await stage.results(NOW_S + 10_800) == [BUILT]
    assert stage.catalogue().count == 1


async def test_what_is_logged_of_a_feed_that_fails(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """The path, and whether there is a catalogue from before."""
    path = stage.places.feeds / "feed.csv"
    text = path.read_text()
    path.unlink()
    (first,) = await stage.refresh(NOW_S)
    stage.write(text)
    (built,) = await stage.refresh(NOW_S + 3_600)
    path.unlink()
    (second,) = await stage.refresh(NOW_S + 7_200)
    assert (first.version, second.version) == ("", built.version)
    words = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    absent = f"{path} cannot be read: No such file or directory"
    assert words == [
        f"the feed of shop cannot be used, there is no catalogue yet: {absent}",
        f"the feed of shop cannot be used, the last good catalogue stays: {absent}",
    ]


async def test_a_feed_that_failed_is_read_again_though_it_has_not_changed(stage: Stage) -> None:
    """Bad, then good, then bad for another reason: what was fetched last is never taken for what was built."""
    await stage.refresh(NOW_S)
    text = (stage.places.feeds / "feed.csv").read_text()
    stage.write("nothing")
    assert await stage.results(NOW_S + 3_600) == [FAILED]
    assert await stage.results(NOW_S + 7_200) == [FAILED]
    stage.write(text)
    assert await stage.results(NOW_S + 10_800) == [UNCHANGED]


async def test_one_shops_bad_feed_is_not_anothers(stage: Stage) -> None:
    """The others are built."""
    found = await stage.results(NOW_S, shop("bad", location="none.csv"), shop("good"))
    assert found == [FAILED, BUILT]
    assert stage.catalogue("good").count == 5


async def test_a_new_model_makes_a_new_snapshot_of_the_same_feed(stage: Stage) -> None:
    """Before the feed is due; a damaged model does not hold up stock and prices, and is not tried for ever."""
    await stage.refresh(NOW_S)
    keys = [product_key("shop", f"b{number}") for number in (1, 2)]
    version = write_model(stage.places.models, "shop", train([keys, keys]), NOW_S)
    assert await stage.results(NOW_S + 10) == [BUILT]
    assert await stage.results(NOW_S + 20) == []
    catalogue = stage.catalogue()
    assert catalogue.facts.model == version
    assert catalogue.similar(catalogue.find(keys[0]))[0].tolist() == [catalogue.find(keys[1])]
    second = write_model(stage.places.models, "shop", train([keys]), NOW_S)
    file = stage.places.models / "shop" / f"{second}.bin"
    file.write_bytes(file.read_bytes()[:-1])
    assert await stage.results(NOW_S + 30) == [BUILT]
    assert stage.catalogue().facts.model == ""
    assert await stage.results(NOW_S + 40) == []


async def test_who_has_no_feed_has_nothing_to_refresh(stage: Stage) -> None:
    """Advertisers without a feed are passed by."""
    bare = shop()
    bare = convert(
        {**{name: getattr(bare, name) for name in bare.__struct_fields__}, "feed": None}, Advertiser
    )
    assert await stage.results(NOW_S, bare) == []


async def test_two_at_once_do_not_build_the_same(stage: Stage) -> None:
    """Whoever comes second leaves it to the first."""
    folder = stage.places.catalogues / "shop"
    folder.mkdir(parents=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert await stage.results(NOW_S) == [BUSY]
    finally:
        os.close(descriptor)
    assert pointer(folder) is None


async def test_a_damaged_state_is_none(stage: Stage) -> None:
    """The feed is looked at again."""
    await stage.refresh(NOW_S)
    (stage.places.catalogues / "shop" / "feed.json").write_text("{")
    assert await stage.results(NOW_S + 1) == [UNCHANGED]


async def test_the_age_of_a_feed_counts_from_when_it_was_last_good(stage: Stage) -> None:
    """Each good look makes it young, unchanged or not; a failure does not, nor a restart after one; who has no
    feed any more is told of no longer."""

    def told(tally: Tally) -> dict[str, int]:
        found = {
            cell.labels: value
            for cell, value in tally.samples()
            if cell.name == "paceline_catalogue_age_seconds"
        }
        return {labels[0]: value for labels, value in found.items()}

    await stage.refresh(NOW_S)
    await stage.refresh(NOW_S + 10)
    assert told(stage.tally) == {"shop": NOW_S}
    await stage.refresh(NOW_S + 3_600)
    assert told(stage.tally) == {"shop": NOW_S + 3_600}
    stage.write("")
    await stage.refresh(NOW_S + 7_200)
    assert told(stage.tally) == {"shop": NOW_S + 3_600}
    await refresh_catalogues([shop()], stage.places, Rules(), NOW_S + 7_300, fresh := Tally())
    assert told(fresh) == {"shop": NOW_S}, "when its catalogue was published"
    await stage.refresh(NOW_S + 7_300, structs.replace(shop(), feed=None))
    assert told(stage.tally) == {"shop": 0}


async def test_results_are_counted(stage: Stage) -> None:
    """Each look by what came of it, and the lines that were skipped."""
    stage.write(HEADER + good(1, 2, 3, 4, 5) + "b9,\n")
    await stage.refresh(NOW_S, shop(), shop("none", location="absent"))
    cells = {(cell.name, cell.labels): value for cell, value in stage.tally.samples()}
    assert cells["paceline_feed_refreshes_total", ("built",)] == 1
    assert cells["paceline_feed_refreshes_total", ("failed",)] == 1
    assert cells["paceline_feed_bad_lines_total", ()] == 1
