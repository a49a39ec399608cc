"""How each exchange speaks: versions, places of the signals, currencies, codings, clocks, habits of notice.

Place: requests.py builds a request in the form of OpenRTB 2.6; a dialect makes it what the exchange sends.
Units: `tmax_ms` milliseconds; `per_usd` units of the exchange's currency for one US dollar.
Source: the public facts of each exchange; the places of 2.5 are those that Prebid.js and Prebid Server write.
"""

from __future__ import annotations

import random
from typing import Any, Final, NamedTuple

Json = dict[str, Any]


class Dialect(NamedTuple):
    """One simulated exchange."""

    name: str
    share: float
    """Its part of the traffic."""
    media: tuple[tuple[str, float], ...]
    """Media and their weights."""
    at: int | None = None
    tmax_ms: int | None = None
    currency: str = "USD"
    per_usd: float = 1.0
    version: str = "2.6"
    """2.5 puts the privacy signals, ids and supply chain under ext."""
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    gzip: bool = False
    billing: str = "burl"
    """burl, or beacon: the impression pixel in the markup is the billable event."""
    losses: str = "price"
    """What a loss notice tells: price, reason alone, or none where no loss notices are sent."""
    notices: str = "GET"
    """The method of its notices."""
    devices: tuple[str, ...] = ("web", "app")
    prebid_share: float = 0.0
    """How many requests are Prebid.js's own shapes."""
    sloppy: float = 0.0
    """How many requests lack a random half of the fields that are not required."""

    @property
    def path(self) -> str:
        """Where this exchange posts its requests."""
        return f"/bid/{self.name}"


_JSON: Final = ("Content-Type", "application/json")
DIALECTS: Final = (
    Dialect("generic", 0.15, (("banner", 6), ("native", 2), ("video", 1.5), ("audio", 0.5)), 1, 150),
    Dialect(
        "prebid", 0.25, (("banner", 7), ("native", 2), ("video", 1)), 1, 250, version="2.5",
        headers=(("Content-Type", "text/plain"), ("X-Prebid", "pbs-go/4")),
        billing="beacon", losses="none", prebid_share=0.7,
    ),
    Dialect(
        "google", 0.25, (("banner", 6), ("native", 2), ("video", 2)), 1, 120, "EUR", 0.92, version="2.5",
        headers=(_JSON, ("x-openrtb-version", "2.5")), billing="beacon", losses="reason",
    ),
    Dialect(
        "xandr", 0.15, (("banner", 8), ("native", 1), ("video", 1)), 2, 100, version="2.5", notices="POST",
        headers=(_JSON, ("x-openrtb-version", "2.5")),
    ),
    Dialect(
        "index", 0.15, (("banner", 7), ("native", 1), ("video", 2)), 1, 100, gzip=True,
        headers=(_JSON, ("x-openrtb-version", "2.6")),
    ),
    Dialect(
        "magnite", 0.05, (("video", 9), ("audio", 1)), 1, 200, devices=("ctv",), sloppy=0.3,
        headers=(_JSON, ("x-openrtb-version", "2.6")), losses="reason",
    ),
)  # fmt: skip
BY_NAME: Final = {dialect.name: dialect for dialect in DIALECTS}

_REGS: Final = ("gdpr", "us_privacy", "gpp", "gpp_sid")
_OPTIONAL: Final = ("wlang", "bcat", "badv", "source", "cattax", "at", "tmax")


def to_25(request: Json) -> Json:
    """Move, in place, what 2.6 took into the core back under ext, where 2.5 has it."""
    _move(request.get("regs"), _REGS)
    _move(request.get("user"), ("consent", "eids"))
    _move(request.get("source"), ("schain",))
    _move(request.get("device"), ("sua",))
    for imp in request["imp"]:
        if "rwdd" in imp:
            imp.setdefault("ext", {}).setdefault("prebid", {})["is_rewarded_inventory"] = imp.pop("rwdd")
    return request


def thin_out(request: Json, rng: random.Random) -> Json:
    """Drop, in place, each field that a request need not have with even odds."""
    for holder, names in (
        (request, _OPTIONAL),
        (request.get("app") or {}, ("cat", "keywords", "ver", "storeurl", "content")),
        (request.get("device") or {}, ("make", "model", "osv", "w", "h", "pxratio", "language", "sua")),
    ):
        for name in names:
            if name in holder and rng.random() < 0.5:
                del holder[name]
    return request


def _move(holder: Json | None, names: tuple[str, ...]) -> None:
    if not holder:
        return
    moved = {name: holder.pop(name) for name in names if name in holder}
    if moved:
        holder.setdefault("ext", {}).update(moved)
