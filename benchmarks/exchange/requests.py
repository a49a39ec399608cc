"""Seeded bid requests as exchanges send them: production-size ones of our own, and Prebid.js's real shapes.

Place: the simulated exchange posts them; load.py and the Locust users prepare bodies with `prepare`.
Shapes: a Call is ready to be sent: path, headers, encoded body; `request` is what the body says.
Source: data/pbjs_requests.jsonl.gz holds 154 requests written by Prebid.js 11.36.0 from seeded ad units.
Never: talks to anybody; equal seeds give equal bodies.
"""

from __future__ import annotations

import functools
import gzip
import random
from collections.abc import Iterator
from importlib import resources
from typing import Final, NamedTuple

import orjson

from benchmarks.exchange import context, imps
from benchmarks.exchange.browsers import Browsers
from benchmarks.exchange.dialects import DIALECTS, Dialect, Json, thin_out, to_25
from benchmarks.exchange.inventory import BLOCKED_ADVERTISERS, BLOCKED_CATEGORIES
from benchmarks.exchange.population import Human, Population
from benchmarks.exchange.robots import CRAWLER, NUMBER, RATE, Robots

_IMP_COUNTS: Final = (1, 1, 1, 1, 1, 2, 2, 3, 4)


class Call(NamedTuple):
    """One request to the bidder."""

    dialect: Dialect
    human: Human
    request: Json
    body: bytes
    """As it goes over the wire: compressed where the exchange does so."""
    robot: str = ""
    """The kind of robot behind it; empty: the person."""
    viewer: str = ""
    """What tells the person apart at this exchange; empty: the person is the same everywhere."""

    @property
    def tmax_ms(self) -> int:
        """How long the exchange waits."""
        return int(self.request.get("tmax") or self.dialect.tmax_ms or 150)

    def headers(self) -> tuple[tuple[str, str], ...]:
        """All headers but Host and Content-Length."""
        return (
            (*self.dialect.headers, ("Content-Encoding", "gzip"))
            if self.dialect.gzip
            else self.dialect.headers
        )

    def wire(self, host: str, accept: str = "") -> bytes:
        """The call as an HTTP/1.1 request; `accept` is a content coding for the answer."""
        headers = [("Host", host), *self.headers(), ("Content-Length", str(len(self.body)))]
        if accept:
            headers.append(("Accept-Encoding", accept))
        lines = [f"POST {self.dialect.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


class Traffic:
    """An endless seeded stream of calls."""

    browsers: Browsers | None = None
    """Who knows which exchange knows whom; until it is set, exchanges know everybody who is `matched`."""

    def __init__(
        self,
        seed: int,
        people: Population,
        dialects: tuple[Dialect, ...] = DIALECTS,
        robots: Robots | None = None,
    ) -> None:
        self._rng = random.Random(f"traffic:{seed}")
        self._people, self._robots = people, robots
        self._dialects = dialects
        self._shares = [dialect.share for dialect in dialects]
        self._fits = {d.name: _kinds(people, d) for d in dialects}

    def draw(self) -> Call:
        """The next call."""
        rng = self._rng
        dialect = rng.choices(self._dialects, self._shares)[0]
        robot = self._robots.draw() if self._robots is not None else ""
        human = self._viewer(dialect)
        if self._robots is not None and robot == RATE and "web" in dialect.devices:
            human = self._robots.busy
        if rng.random() < dialect.prebid_share and human.device.kind == "web":
            request = _from_prebid(rng, dialect, human)
        else:
            request = _production(rng, dialect, human)
        if self._robots is not None and robot == CRAWLER:
            self._robots.crawl(request)
        viewer = ""
        if self.browsers is not None and human.number != NUMBER:
            viewer = self.browsers.name(dialect.name, human, request)
        body = orjson.dumps(request)
        robot = robot if robot == CRAWLER or human.number == NUMBER else ""
        packed = gzip.compress(body, 1, mtime=0) if dialect.gzip else body
        return Call(dialect, human, request, packed, robot, viewer)

    def _viewer(self, dialect: Dialect) -> Human:
        kinds = dialect.devices
        for _ in range(64):
            human = self._people.draw(self._rng)
            if human.device.kind in kinds:
                return human
        return self._people[self._fits[dialect.name]]


PEOPLE: Final = 20_000
"""Behind prepared calls: so many that few of them are asked for again within the minute that a bid is held."""


def prepare(seed: int, count: int, now_s: float, dialects: tuple[Dialect, ...] = DIALECTS) -> list[Call]:
    """`count` calls of a stream, made at once; `now_s` dates the consent that they carry."""
    traffic = Traffic(seed, Population(seed, PEOPLE, now_s), dialects)
    return [traffic.draw() for _ in range(count)]


def _kinds(people: Population, dialect: Dialect) -> int:
    """The number of somebody whose device suits a dialect; the first person where nobody does."""
    fits: Iterator[int] = (
        i for i in range(min(len(people), 2_000)) if people[i].device.kind in dialect.devices
    )
    return next(fits, 0)


@functools.cache
def prebid_bodies() -> tuple[bytes, ...]:
    """The Prebid.js requests, one JSON text each."""
    packed = resources.files("benchmarks.exchange").joinpath("data/pbjs_requests.jsonl.gz").read_bytes()
    rows = (orjson.loads(line) for line in gzip.decompress(packed).splitlines())
    return tuple(orjson.dumps(row["body"]) for row in rows)


def _from_prebid(rng: random.Random, dialect: Dialect, human: Human) -> Json:
    """A Prebid.js request as it was written, with another id and viewer, and the server's knowledge added."""
    request: Json = orjson.loads(rng.choice(prebid_bodies()))
    request["id"] = context.transaction_id(rng)
    request["tmax"] = max(int(request.get("tmax") or 0), 80)
    device: Json = request.setdefault("device", {})
    device |= {"ua": human.device.ua, "ip": context.ip(rng, human), "geo": context.geo(human, precise=False)}
    if human.limited:
        device["lmt"] = 1
    user: Json = request.setdefault("user", {})
    user |= context.ids(dialect, human)
    request.setdefault("at", dialect.at)
    return request


def _production(rng: random.Random, dialect: Dialect, human: Human) -> Json:
    """A request of 2 to 4 KB with everything that a large exchange adds."""
    media, weights = zip(*dialect.media, strict=True)
    count = 1 if human.device.kind == "ctv" else rng.choice(_IMP_COUNTS)
    slots = [
        {"id": str(i + 1)} | imps.imp(rng, medium, human.device, dialect.currency, dialect.per_usd)
        for i, medium in enumerate(rng.choices(media, weights, k=count))
    ]
    request: Json = {
        "id": context.transaction_id(rng),
        "imp": slots,
        **context.inventory(rng, human),
        "device": context.device(rng, human),
        "user": context.user(rng, dialect, human),
        "regs": context.regs(rng, human),
        "at": dialect.at,
        "tmax": dialect.tmax_ms,
        "cur": [dialect.currency],
        "cattax": 1,
        "bcat": rng.sample(BLOCKED_CATEGORIES, 5),
        "badv": rng.sample(BLOCKED_ADVERTISERS, rng.randint(0, 12)),
        "source": context.source(rng, dialect),
        "ext": {"wt": 1, "ssp": dialect.name},
    }
    if rng.random() < dialect.sloppy:
        thin_out(request, rng)
    return to_25(request) if dialect.version == "2.5" else request
