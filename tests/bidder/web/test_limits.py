"""How often a caller may call: the buckets, and the public port that asks them."""

from __future__ import annotations

import random

import aiohttp
import msgspec
import pytest

from bidder.clock import ManualClock
from bidder.settings import PRIVATE, PublicPort, Rate, Rates
from bidder.web.callers import Callers
from bidder.web.limits import KEY_S, KINDS, SHARED, WAYS, Buckets, Limits, kind_of, may_refuse
from bidder.web.public import PublicServer, public_app
from tests.bidder.notices.support import sealed
from tests.bidder.web.test_public import Port

TWO = (0.5, 1.5)
"""Three calls at once, then two a second, as Buckets takes it."""


def test_a_burst_then_a_rate() -> None:
    """So many calls at once, then one whenever enough time has passed; what is refused costs nothing."""
    buckets = Buckets(8)
    assert [buckets.take(b"a", TWO, 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert buckets.take(b"a", TWO, 100.4) == pytest.approx(0.1)
    assert buckets.take(b"a", TWO, 100.5) == 0.0
    assert buckets.take(b"a", TWO, 100.5) == pytest.approx(0.5)
    assert [buckets.take(b"a", TWO, 500.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_callers_are_apart() -> None:
    """What one takes, another does not lack."""
    buckets = Buckets(1_024)
    for name in (b"a", b"b", b"c"):
        assert [bool(buckets.take(name, TWO, 1.0)) for _ in range(4)] == [False, False, False, True]


def test_memory_is_fixed_and_who_is_held_back_stays_so() -> None:
    """However many callers come, the table is as large as it was; those who come once push out those who come once,
    and not the one who is over the limit."""
    buckets, rng = Buckets(16), random.Random(5)
    size = len(buckets._owners), len(buckets._full_s)
    while not buckets.take(b"flood", TWO, 1.0):
        pass
    for _ in range(20_000):
        buckets.take(rng.randbytes(8), TWO, 1.0 + rng.random() / 100)
    assert (len(buckets._owners), len(buckets._full_s)) == size == (16 * WAYS, 16 * WAYS)
    assert buckets.take(b"flood", TWO, 1.0) > 0


def test_nothing_of_an_address_outlives_its_window() -> None:
    """The table holds no address, but a hash under a key that is gone after KEY_S, and then no hash of it."""
    buckets, name = Buckets(8), b"shop \xc0\x00\x02\x01"
    buckets.take(name, TWO, 1.0)
    key = buckets._key
    held = buckets._owners.tobytes()
    assert name not in held
    assert b"\xc0\x00\x02\x01" not in held
    assert any(buckets._owners)
    buckets.take(b"other", TWO, 1.0 + KEY_S)
    assert buckets._key != key
    assert sum(map(bool, buckets._owners)) == 1


class Limited(Port):
    """A public port that believes this machine to be a proxy, and has small limits."""

    def __init__(self, **rates: tuple[float, int]) -> None:
        super().__init__()
        self.ticks = ManualClock(1_000.0)
        chosen = Rates(**{name: Rate(per_s=per_s, burst=burst) for name, (per_s, burst) in rates.items()})
        self.limits = Limits(chosen, Callers(PRIVATE), self.ticks, self.tally)
        self.app = public_app(self.routes, self.tally, self.limits)
        self.server = PublicServer(self.app, self.tally)

    async def status(self, path: str, caller: str = "192.0.2.1", method: str = "GET") -> tuple[int, str]:
        headers = {"X-Forwarded-For": caller} if caller else {}
        url = path if path.startswith("http") else self.base + path
        async with self.browser.request(method, url, headers=headers, allow_redirects=False) as answer:
            await answer.read()
            return answer.status, answer.headers.get("Retry-After", "")

    def limited(self) -> dict[str, int]:
        """How many calls of each kind were refused."""
        name = "paceline_public_limited_total"
        return {cell.labels[0]: value for cell, value in self.tally.samples() if cell.name == name and value}


async def test_over_the_limit_is_429_with_retry_after() -> None:
    """One call too many is refused, counted by its kind, and told when to come again; another address is not."""
    async with Limited(beacons=(0.5, 2)) as port:
        click = port.urls()["click"]
        assert [(await port.status(click))[0] for _ in range(2)] == [302, 302]
        assert await port.status(click) == (429, "2")
        assert (await port.status(click, "192.0.2.2"))[0] == 302
        assert (await port.status(click, "2001:db8::1"))[0] == 302
        assert port.limited() == {"beacons": 1}
        port.ticks.advance(2.0)
        assert (await port.status(click))[0] == 302


async def test_a_refused_call_does_nothing() -> None:
    """A click that is refused counts no click."""
    async with Limited(beacons=(0.5, 1)) as port:
        await port.status(port.urls()["event"])
        click = port.urls()["click"]
        assert (await port.status(click))[0] == 429
        assert port.count("paceline_notices_total", "click", "accepted") == 0


async def test_money_is_never_limited() -> None:
    """Of bills, wins, losses and impressions with good tokens every single one is taken, a thousand times beyond every
    limit, also while the same address floods with forged ones."""
    strict = {field.name: (0.001, 1) for field in msgspec.structs.fields(Rates)}
    async with Limited(**strict) as port:
        for index in range(40):
            urls = port.urls(bid_id=index.to_bytes(12, "big"))
            for kind in ("win", "bill", "imp"):
                await port.status(f"/{kind}?t=forged{index}")
                assert (await port.status(urls[kind]))[0] in (200, 204)
        assert port.count("paceline_notices_total", "bill", "accepted") == 40
        assert port.count("paceline_notices_total", "win", "accepted") == 40
        assert len(port.queue.orders) == 40
        assert port.limited() == {"forgeries": 119}


async def test_who_forges_many_is_told_to_stop() -> None:
    """A forged, malformed or foreign token gets the usual answer until there were too many of an address; then 429."""
    async with Limited(forgeries=(1.0, 3)) as port:
        bad = [f"/bill?t={sealed().browser_token}", "/imp?t=x", "/loss", "/win?t=y"]
        assert [(await port.status(path))[0] for path in bad] == [204, 200, 204, 429]
        assert (await port.status("/win?t=y", "192.0.2.9"))[0] == 204
        assert port.count("paceline_notices_total", "win", "malformed") == 2


async def test_who_claims_a_private_address_is_not_unlimited() -> None:
    """Calls through a proxy that name nobody, or an address that nobody on the open internet has, share a larger
    bucket, whatever they claim; callers who are known have their own, probes none."""
    async with Limited(other=(0.001, 1)) as port:
        claims = [
            "",
            "10.9.9.9",
            "192.168.0.7",
            "unknown",
            "fc00::1",
            "198.51.100.7, 10.1.1.1, 127.0.0.1, nonsense",
        ]
        taken = [(await port.status("/nothing", claims[at % len(claims)]))[0] for at in range(SHARED)]
        assert set(taken) == {404}
        for claim in (*claims, "172.16.5.5"):
            assert (await port.status("/nothing", claim))[0] == 429
        assert [(await port.status("/nothing"))[0] for _ in range(2)] == [404, 429]
        assert {(await port.status("/healthz", ""))[0] for _ in range(5)} == {200}


async def test_money_of_the_unknown_is_taken() -> None:
    """Also where everybody whose caller is not known has forged too often, each good token of theirs counts."""
    async with Limited(forgeries=(0.001, 1)) as port:
        forged = [(await port.status("/bill?t=x", "10.9.9.9"))[0] for _ in range(SHARED + 1)]
        assert forged == [204] * SHARED + [429]
        for index in range(5):
            urls = port.urls(bid_id=index.to_bytes(12, "big"))
            assert (await port.status(urls["bill"], "10.9.9.9"))[0] == 204
        assert len(port.queue.orders) == 5


async def test_a_network_of_ipv6_has_a_bucket_of_its_own() -> None:
    """Who has a /48 and calls from one of its /64s after the other is refused when all of them called too often;
    another /48 is not, and one /64 alone takes nothing from its neighbours once it is refused."""
    async with Limited(other=(0.001, 1)) as port:
        flooding = [(await port.status("/nothing", "2001:db8:1::1"))[0] for _ in range(2 * SHARED)]
        assert flooding == [404] + [429] * (2 * SHARED - 1)
        others = [(await port.status("/nothing", f"2001:db8:1:{at:x}::1"))[0] for at in range(1, SHARED + 3)]
        assert others == [404] * (SHARED - 1) + [429] * 3
        assert (await port.status("/nothing", "2001:db8:2::1"))[0] == 404


async def test_connections_of_a_proxy_are_not_counted() -> None:
    """`max_per_address` bounds callers that connect by themselves; a proxy may hold more."""
    async with Limited() as port:
        port.server._open = msgspec.structs.replace(port.server._open, most=1, callers=Callers(PRIVATE))
        async with aiohttp.ClientSession() as first, aiohttp.ClientSession() as second:
            for client in (first, second):
                async with client.get(f"{port.base}/healthz") as answer:
                    assert answer.status == 200
        assert port.count("paceline_public_refused_total") == 0


def test_every_kind_has_a_rate_and_a_use() -> None:
    """Kinds of paths are fields of `public.rates`, and no field is idle."""
    fields = {field.name for field in msgspec.structs.fields(Rates)}
    asked = {"forgeries", "events", "other"}
    assert {kind for kind in KINDS.values() if kind} | asked == fields
    assert kind_of("HEAD", "/bill") == "beacons"
    assert kind_of("GET", "/bill") == ""
    assert kind_of("GET", "/what") == "other"
    assert may_refuse("GET", "/bill")
    assert not may_refuse("GET", "/healthz")


def test_defaults_are_above_what_an_office_does() -> None:
    """A rate of the defaults lets a hundred people behind one address load a page at the same moment."""
    for field in msgspec.structs.fields(Rates):
        rate = getattr(PublicPort().rates, field.name)
        assert rate.burst >= 100
        assert rate.per_s >= 10
