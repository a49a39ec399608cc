"""The stage of the properties about permissions: a whole worker, somebody it knows, what was done and what may be."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st

from bidder.audience.history import History, pack_history
from bidder.audience.person import Profile, field_name
from bidder.audience.visit import EventKind, Visit
from bidder.keys import product_key, segment_key
from bidder.privacy.gate import Gate
from bidder.privacy.permissions import Activity
from bidder.privacy.signals import Signals
from bidder.stores import keys
from bidder.stores.people_writer import PeopleWriter
from bidder.stores.removal import done
from tests.bidder.privacy.signals import SIGNALS, VENDOR
from tests.people.book import COUNTRY
from tests.people.house import EIDS, START_S, House, housed
from tests.people.monitor import Command, Monitor
from tests.servers import RealServer

OWN: Final = bytes(range(1, 17))
UID, FP, IFA, EID = "exchange-uid-1", "f" * 32, "6d92078a-8246-4ba4-ae5b-76104861e7dc", "eid-1"
LOGIN: Final = "ab" * 32
NEW_UID: Final = "exchange-uid-2"
PERSONAL: Final = (
    b"p:{",
    b"m:{",
    b"h:{",
    b"f:{",
    b"b:{",
    b"c:{",
    b"g:{",
    b"x:{",
    b"j:",
    b"erasures",
    b"deletions",
)
FREE: Final = Signals(gdpr=0)
"""Somebody outside the GDPR who said nothing."""
GATE: Final = Gate(VENDOR)
MATCHES: Final = {f"generic/{UID}", f"ifa/{IFA}", f"{EIDS}/{EID}"}
TOKENS: Final = re.compile(r"/(bill|imp|click|render)\?[^\"\\]*?t=([\w-]+)")

CHOICES: Final = st.sampled_from(["none", "none", "none", "browser", "store"])
SHOPS: Final = st.sampled_from(["boots", "boots", "hats", "hats", "mugs", "toys"])
ANYBODY: Final = st.one_of(st.just(FREE), SIGNALS, SIGNALS, SIGNALS)


class Allowed:
    """What the table allows, asked of its long way."""

    def __init__(self, signals: Signals, *, opted_out: bool = False, nothing: bool = False) -> None:
        told = GATE.explain(signals, START_S, opted_out)
        self.child = nothing or told.permissions.child
        self.activities = {line.activity for line in told.lines if line.allowed and not self.child}

    def __contains__(self, activity: Activity) -> bool:
        return activity in self.activities


class Stage:
    """A worker, a monitor, and a loop that both live on."""

    def __init__(self, folder: Path, server: RealServer) -> None:
        self.runner, self._server = asyncio.Runner(), server
        self._opened = housed(folder, server.url)
        self.house: House = self.runner.run(self._opened.__aenter__())
        self.monitor = Monitor(server.port)
        self.runner.run(self.monitor.open())
        self._dumps: dict[str, list[tuple[bytes, bytes]]] = {}

    def close(self) -> None:
        self.runner.run(self.monitor.close())
        self.runner.run(self._opened.__aexit__(None, None, None))
        self.runner.close()

    async def populate(self, choice: str) -> None:
        """A store in which all shops know one person by every id; who may have opted out."""
        client, kind = self.house.client, "store" if choice == "store" else "none"
        if kind not in self._dumps:
            await self._write_people(kind)
            names = [name async for name in client.scan_iter()]
            self._dumps[kind] = [(name, await done(client.dump(name))) for name in names]
        pipeline = client.pipeline(transaction=False)
        pipeline.flushall()
        for name, value in self._dumps[kind]:
            pipeline.restore(name, 86_400_000, value)
        await pipeline.execute()
        await self.house.settle()
        self.house.records()
        await self.monitor.seen()

    async def _write_people(self, choice: str) -> None:
        house, now_s = self.house, START_S - 3_600
        client, writer = house.client, PeopleWriter(house.client)
        await done(client.flushall())
        profiles = {shop: _profile(shop) for shop in COUNTRY}
        await writer.save(OWN, profiles, now_s)
        history = keys.history_key(keys.person_tag(OWN))
        for shop in COUNTRY:
            visit = Visit(EventKind.PRODUCT_VIEW, int(now_s), product_key(shop, f"{shop}-1"))
            await done(client.hset(history, field_name(shop), pack_history(History((visit,)))))
        await done(client.expire(history, 86_400))
        for match in (*MATCHES, *(f"shop.{shop}/{FP}" for shop in COUNTRY)):
            source, _, uid = match.partition("/")
            assert await writer.match(source, uid, OWN, now_s)
        if choice == "store":
            await writer.opt_out(OWN, now_s)

    async def looked(self) -> tuple[list[Command], list[Any]]:
        """What was done with people since `populate`, and what was recorded."""
        await self.house.settle()
        commands = [
            command
            for command in await self.monitor.seen()
            if any(argument.startswith(PERSONAL) for argument in command.arguments)
        ]
        return commands, self.house.records()


def _profile(shop: str) -> Profile:
    viewers = ((segment_key(shop, "viewers"), int(START_S) + 86_400),)
    return Profile(
        int(START_S) - 3_600,
        np.ones(32, np.float16),
        viewers,
        ((product_key(shop, f"{shop}-1"), int(START_S) - 3_600),),
    )
