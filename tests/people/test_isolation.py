"""Property, over the whole worker: what happens at one shop changes nothing that another one bids, shows or counts.

Shapes: a day of shop `hats` is lived twice by the same people: alone, and with anything at all going on at shop `boots`
    in between, its training and its new catalogue included. All that `hats` sees of it is put down, and is the same.
Rule: numbers that are drawn anew each time (bids, tokens) are struck out; nothing else is.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import json as msgspec_json
from msgspec.structs import replace

from bidder.chores import catalogues, compact
from bidder.events.dataset import shop_events
from bidder.events.records import Record, ShopEvent
from bidder.learning.training import train_from_events
from bidder.privacy.signals import Signals
from bidder.shop.tokens import shop_token
from bidder.stores.people_writer import PeopleWriter
from bidder.stores.removal import done
from bidder.stores.visitors import VisitorStore
from tests.people.book import PRODUCTS
from tests.people.calls import bid_request
from tests.people.house import RING, START_S, House, Reply, housed
from tests.servers import RealServer

OURS, THEIRS = "hats", "boots"
ONE, TWO = bytes(range(1, 17)), bytes(range(31, 47))
PEOPLE: Final = (ONE, TWO)
LOGINS: Final = ("ab" * 32, "cd" * 32)
SEGMENTS: Final = ("viewers", "trail", "cart", "buyers")
STEP_S: Final = 900.0
FREE: Final = Signals(gdpr=0)
FLOOD: Final = 70
"""More ids than are kept of anybody."""
_TOKEN: Final = re.compile(rb"t=[\w-]{40,}")
_NUMBER: Final = re.compile(rb"\b[0-9a-f]{24}\b|\b[0-9a-f]{16}\b")

KINDS: Final = st.sampled_from(
    ["page_view", "product_view", "product_view", "category_view", "search", "cart", "purchase"]
)
ITEMS: Final = st.integers(1, PRODUCTS)
WHO: Final = st.sampled_from(PEOPLE)
VISITS: Final = st.tuples(st.sampled_from(["pixel", "server"]), KINDS, ITEMS, WHO)
OWN_ACTS: Final = st.one_of(
    VISITS, VISITS, st.tuples(st.just("bid"), st.sampled_from(["id", "match"]), ITEMS, WHO)
)
OTHER_ACTS: Final = st.one_of(
    VISITS,
    VISITS,
    st.tuples(st.sampled_from(["login", "ids", "flood", "train"]), st.just(""), ITEMS, WHO),
    st.tuples(st.just("bid"), st.just("id"), ITEMS, WHO),
)
QUICK: Final = (Phase.explicit, Phase.reuse, Phase.generate)
"""A day takes a while to live: what is found is not made smaller."""
Act = tuple[str, str, int, bytes]
DAYS: Final = st.lists(st.tuples(st.lists(OTHER_ACTS, max_size=3), OWN_ACTS), min_size=1, max_size=6)


class Stage:
    """A worker and a loop that live through all days."""

    def __init__(self, folder: Path, server: RealServer) -> None:
        self.runner, self.folder = asyncio.Runner(), folder
        self._opened = housed(folder / "worker", server.url)
        self.house: House = self.runner.run(self._opened.__aenter__())
        self._acts = 0

    def close(self) -> None:
        self.runner.run(self._opened.__aexit__(None, None, None))
        self.runner.close()

    async def day(self, acts: Sequence[tuple[Sequence[Act], Act]]) -> list[object]:
        """Live one day; all that the shop saw of it."""
        house = self.house
        await done(house.client.flushall())
        writer = PeopleWriter(house.client)
        for person in PEOPLE:
            assert await writer.match("generic", person.hex(), person, START_S)
        house.clock.at_s, self._acts = START_S, 0
        for state in (house.data / "catalogues").glob("*/feed.json"):
            state.unlink()  # feeds are fetched when the day begins
        await catalogues(house.hands)
        before, seen = self._counts(), list[object]()
        for number, (others, own) in enumerate(acts):
            for act in others:
                await self._act(THEIRS, act, f"{number}-{self._acts}")
                self._acts += 1
            seen.append(await self._act(OURS, own, f"{number}"))
            await catalogues(house.hands)
            house.clock.at_s += STEP_S
        seen += [await self._export(person) for person in PEOPLE]
        visitors = VisitorStore(house.client, house.tally)
        seen.append(await visitors.sizes(OURS, SEGMENTS, int(house.clock.at_s)))
        seen.append(await self._files())
        after = self._counts()
        seen.append(
            {
                cell: value - before.get(cell, 0)
                for cell, value in after.items()
                if value != before.get(cell, 0)
            }
        )
        return seen

    async def _act(self, shop: str, act: Act, name: str) -> object:
        kind, what, number, person = act
        if kind == "bid":
            return await self._bid(shop, what, person)
        if kind == "train":
            return await self._train(shop)
        if kind == "login":
            await self._event(shop, name, person, ("product_view", number), login=LOGINS[number % 2])
        elif kind == "ids":
            await self.house.call(f"/sync/generic?uid=other-{number}&gdpr=0", cookies={"pl_id": person.hex()})
        elif kind == "flood":
            for n in range(FLOOD):
                await self._pixel(shop, f"{name}-{n}", person, ("page_view", number), fp=f"{n:032d}")
        elif kind == "pixel":
            return (await self._pixel(shop, name, person, (what, number))).status
        else:
            return (await self._event(shop, name, person, (what, number))).body
        return None

    async def _pixel(self, shop: str, name: str, person: bytes, what: tuple[str, int], **more: str) -> Reply:
        kind, number = what
        query = {"advertiser": shop, "event": kind, "id": name, "gdpr": "0", **more}
        query |= {"product": f"{shop}-{number}", "price": "9.5", "currency": "USD"} if "view" in kind else {}
        query |= {"category": "City"} if kind == "category_view" else {}
        return await self.house.call("/pixel", params=query, cookies={"pl_id": person.hex()})

    async def _event(
        self, shop: str, name: str, person: bytes, what: tuple[str, int], login: str = ""
    ) -> Reply:
        kind, number = what
        told: dict[str, Any] = {"exchanges": {"generic": person.hex()}} | ({"login": login} if login else {})
        event = {"event": kind, "id": name, "items": [{"product": f"{shop}-{number}"}], "person": told}
        event |= {"consent": {"gdpr": 0}, "category": "Trail"}
        return await self.house.call(
            "/v1/events",
            "POST",
            data=msgspec_json.encode({"events": [event]}),
            headers={"Authorization": f"Bearer {shop_token(RING, shop)}"},
        )

    async def _bid(self, shop: str, by: str, person: bytes) -> object:
        """The answer to a request, the ad that it leads to, and where a click on it goes."""
        house = self.house
        user = {"buyeruid": person.hex()} if by == "id" else {"id": person.hex()}
        answer = await house.ask(bid_request(shop, FREE, **user))
        await house.settle()
        seen: list[object] = [answer.status, _struck(answer.body)]
        for path, token in re.findall(r"/(render|imp|bill|click)\?[^\"\\]*?t=([\w-]+)", answer.body.decode()):
            reply = await house.call(f"/{path}?p=1&c=USD&t={token}")
            seen.append((path, reply.status, _struck(reply.body), reply.headers.get("Location")))
            if path == "render":
                for link in re.findall(rb"/click\?t=[\w-]+(?:&amp;[pl]=\w+)+", reply.body):
                    gone = await house.call(link.decode().replace("&amp;", "&"))
                    seen.append((gone.status, gone.headers.get("Location")))
        await house.settle()
        return seen

    async def _train(self, shop: str) -> None:
        """A shop's model is trained of what was recorded, and its catalogue made anew with it."""
        house = self.house
        await house.settle()
        models = house.data / "models" / "affinity"
        await asyncio.to_thread(train_from_events, house.events, models, shop, int(house.clock.at_s))
        await catalogues(house.hands)
        await asyncio.to_thread(house.household._catalogues.refresh)
        house.reload()

    async def _export(self, person: bytes) -> object:
        """What the person is told of this shop."""
        reply = await self.house.call("/privacy/data?format=json", cookies={"pl_id": person.hex()})
        (held,) = json.loads(reply.body)["held"] or [{}]
        return [shop for shop in held.get("shops", []) if shop["shop"] == OURS]

    async def _files(self) -> list[object]:
        """Segments, then their rows in Parquet, then what is trained of them; nothing is left of them."""
        house = self.house
        await house.settle()
        records = [_told(record) for record in house.records() if record.advertiser == OURS]
        house.clock.at_s += 7_200
        assert house.recorder.flush()
        await compact(house.hands)
        rows = [replace(row) for row in shop_events(house.events, OURS)]
        models = self.folder / "models"
        trained = await asyncio.to_thread(
            train_from_events, house.events, models, OURS, int(house.clock.at_s)
        )
        model = None
        if trained is not None:
            from bidder.catalogue.similar import read_model

            found = read_model(models, OURS)
            assert found is not None
            model = [
                np.asarray(part).tolist()
                for part in (found.keys, found.neighbours, found.scores, found.vectors)
            ]
        shutil.rmtree(models, ignore_errors=True)
        shutil.rmtree(house.events)
        house.events.mkdir()
        house._read = 0
        return [records, rows, model]

    def _counts(self) -> dict[object, int]:
        """Every metric that names the shop."""
        return {
            cell: value
            for cell, value in self.house.tally.samples()
            if any(label == OURS or label.startswith(f"{OURS}-") for label in cell.labels)
        }


def _struck(body: bytes) -> bytes:
    return _NUMBER.sub(b"N", _TOKEN.sub(b"t=T", body))


def _told(record: Record) -> Record:
    return record if isinstance(record, ShopEvent) else msgspec.structs.replace(record, id="")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One worker and one store for all examples."""
    folder = tmp_path_factory.mktemp("isolation")
    server = RealServer(folder / "store")
    server.start()
    stage = Stage(folder, server)
    yield stage
    stage.close()
    server.close()


@settings(
    max_examples=16,
    phases=QUICK,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(DAYS)
def test_what_happens_at_one_shop_changes_nothing_of_another(
    stage: Stage, acts: list[tuple[list[Act], Act]]
) -> None:
    """Bids to the byte, prices, products, clicks, segments, sizes, records, rows, models, exports and metrics."""
    alone = stage.runner.run(stage.day([([], own) for _, own in acts]))
    among = stage.runner.run(stage.day(acts))
    assert among == alone


def test_what_is_compared_would_tell(stage: Stage) -> None:
    """A visit and a purchase at the shop's own change what is compared: the property can fail."""
    look: Act = ("bid", "id", 1, ONE)
    nothing = stage.runner.run(stage.day([([], look)]))
    viewed = stage.runner.run(stage.day([([], ("pixel", "product_view", 1, ONE)), ([], look)]))
    bought = stage.runner.run(
        stage.day([([], ("pixel", "product_view", 1, ONE)), ([], ("server", "purchase", 1, ONE)), ([], look)])
    )
    assert b"Hats no." in str(viewed[1]).encode()
    assert viewed[1] != nothing[0]
    assert bought[2] == nothing[0], "who bought is shown no more"
    assert len({str(day[-4:]) for day in (nothing, viewed, bought)}) == 3
