"""Where the signals of consent stand in a request."""

from __future__ import annotations

from typing import Any

import pytest

from bidder.privacy.signals import Signals, signals_of
from tests.bidder.auction.support import request_of
from tests.corpus import compact


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, Signals()),
        ({"regs": {"gdpr": 1}, "user": {"consent": "x"}}, Signals(gdpr=1, tc_string="x")),
        ({"regs": {"ext": {"gdpr": 1}}, "user": {"ext": {"consent": "x"}}}, Signals(gdpr=1, tc_string="x")),
        ({"user": {"consent": "x"}}, Signals(tc_string="x")),
        ({"regs": {"coppa": 1}}, Signals(coppa=True)),
        ({"regs": {"coppa": True}}, Signals(coppa=True)),
        ({"regs": {"ext": {"s22580": 1}}}, Signals(minor=True)),
        ({"regs": {"ext": {"s22580": "1", "gpc": "0"}}}, Signals(minor=True)),
        ({"regs": {"ext": {"s22580": 0}}}, Signals()),
        ({"regs": {"ext": {"gpc": "1"}}}, Signals(gpc=True)),
        ({"regs": {"ext": {"gpc": 0}}}, Signals()),
        ({"regs": {"coppa": 2, "ext": {"gpc": -1}}}, Signals(coppa=True, gpc=True)),
        ({"regs": {"coppa": 0, "ext": {"gpc": False}}}, Signals()),
        ({"device": {"lmt": 2}}, Signals(limited=True)),
        ({"device": {"dnt": -1}}, Signals(limited=True)),
        ({"device": {"ext": {"atts": 4}}}, Signals(limited=True)),
        ({"regs": {"gpp": "y", "gpp_sid": [7, 8]}}, Signals(gpp="y", gpp_sections=(7, 8))),
        ({"regs": {"ext": {"gpp": "y", "gpp_sid": [7]}}}, Signals(gpp="y", gpp_sections=(7,))),
        ({"regs": {"us_privacy": "1YYN"}}, Signals(us_privacy="1YYN")),
        ({"regs": {"ext": {"us_privacy": "1YYN"}}}, Signals(us_privacy="1YYN")),
        ({"device": {"lmt": 1}}, Signals(limited=True)),
        ({"device": {"lmt": "1"}}, Signals(limited=True)),
        ({"device": {"dnt": 1}}, Signals(limited=True)),
        ({"device": {"ext": {"atts": 2}}}, Signals(limited=True)),
        ({"device": {"ext": {"atts": 0}}}, Signals(limited=True)),
        ({"device": {"ext": {"atts": 3}}}, Signals()),
        ({"device": {"lmt": 0, "dnt": 0}}, Signals()),
        ({"regs": {"gdpr": None, "ext": None}, "device": {"lmt": 1}}, Signals(limited=True)),
    ],
    ids=lambda value: str(value)[:60],
)
def test_signals_of(body: dict[str, Any], expected: Signals) -> None:
    """Every signal is read, from both of the places where it may stand."""
    request = request_of(compact({"id": "r", "imp": [{"id": "1", "banner": {"w": 1, "h": 1}}]} | body))
    assert signals_of(request) == expected
