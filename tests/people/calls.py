"""Signals as exchanges, browsers and servers tell them: the same facts in each one's words.

Rule: the way from facts to words is written here anew: a test does not ask the reader of the words what it read.
"""

from __future__ import annotations

from typing import Any, Final

from bidder.privacy.signals import Signals
from tests.people.book import site

AGENT: Final = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0"


def bid_request(shop: str, signals: Signals, **user: Any) -> dict[str, Any]:
    """A request of a site that a shop bids on."""
    said: dict[str, Any] = {
        "gdpr": signals.gdpr,
        "gpp": signals.gpp or None,
        "gpp_sid": list(signals.gpp_sections) or None,
        "us_privacy": signals.us_privacy or None,
        "coppa": int(signals.coppa) or None,
        "ext": {},
    }
    regs = {name: value for name, value in said.items() if value is not None}
    for name, holds in (("gpc", signals.gpc), ("s22580", signals.minor)):
        if holds:
            regs["ext"][name] = 1
    device: dict[str, Any] = {"ua": AGENT, "ip": "192.0.2.1", "devicetype": 2}
    if signals.country:
        device["geo"] = {"country": signals.country}
    if signals.limited:
        device["lmt"] = 1
    if "ifa" in user:
        device["ifa"] = user.pop("ifa")
    if signals.home:
        user["geo"] = {"country": signals.home}
    if signals.tc_string:
        user["consent"] = signals.tc_string
    return {
        "id": "r",
        "at": 1,
        "tmax": 10_000,
        "imp": [{"id": "1", "banner": {"format": [{"w": 300, "h": 250}]}, "secure": 0}],
        "site": {"id": shop, "domain": site(shop), "publisher": {"id": "p"}},
        "device": device,
        "user": user,
        "regs": regs,
    }


def parameters(signals: Signals, *, upload: bool = False) -> dict[str, str]:
    """The same of a call of a browser; of a line of an upload, what it can say."""
    told = {
        "gdpr": "" if signals.gdpr is None else str(signals.gdpr),
        "gdpr_consent": signals.tc_string,
        "gpp": signals.gpp,
        "gpp_sid": ",".join(map(str, signals.gpp_sections)),
        "us_privacy": signals.us_privacy,
    }
    if not upload:
        told["coppa"] = "1" if signals.coppa else ""
    return {name: value for name, value in told.items() if value}


def headers(signals: Signals) -> dict[str, str]:
    """What goes with it in a browser's headers."""
    told = {"User-Agent": AGENT}
    if signals.gpc:
        told["Sec-GPC"] = "1"
    if signals.limited:
        told["DNT"] = "1"
    return told


def consent(signals: Signals) -> dict[str, Any]:
    """The same as a shop's server tells it."""
    told: dict[str, Any] = {
        "gdpr_consent": signals.tc_string,
        "gpp": signals.gpp,
        "gpp_sid": list(signals.gpp_sections),
        "us_privacy": signals.us_privacy,
        "gpc": int(signals.gpc),
        "coppa": int(signals.coppa),
        "country": signals.country,
    }
    return told if signals.gdpr is None else {**told, "gdpr": signals.gdpr}
