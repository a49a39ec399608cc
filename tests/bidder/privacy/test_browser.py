"""Signals of a browser's own call."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.privacy.browser import MAX_SECTIONS, signals_from
from bidder.privacy.gate import CHILD, FULL, NOTHING, Gate
from bidder.privacy.gpp import MAX_GPP_CHARS
from bidder.privacy.signals import Signals
from bidder.privacy.tcf import MAX_TC_CHARS
from tests.bidder.auction.support import NOW_S
from tests.bidder.privacy.signals import VENDOR, string

GATE = Gate(VENDOR)
CONSENT = string(1, 3, 4, 7)


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ({}, {}, Signals()),
        ({"gdpr": "1", "gdpr_consent": "x"}, {}, Signals(gdpr=1, tc_string="x")),
        ({"gdpr": "0"}, {}, Signals(gdpr=0)),
        ({"gdpr": ""}, {}, Signals()),
        ({"gdpr": "yes"}, {}, Signals(gdpr=1)),
        ({"gdpr": "${GDPR}"}, {}, Signals(gdpr=1)),
        ({"gdpr": "-1"}, {}, Signals(gdpr=1)),
        ({"gpp": "y", "gpp_sid": "7"}, {}, Signals(gpp="y", gpp_sections=(7,))),
        ({"gpp_sid": "7,8"}, {}, Signals(gpp_sections=(7, 8))),
        ({"gpp_sid": "7_8"}, {}, Signals(gpp_sections=(7, 8))),
        ({"gpp_sid": " 7 , 8 "}, {}, Signals(gpp_sections=(7, 8))),
        ({"gpp_sid": "-1"}, {}, Signals(gpp_sections=(-1,))),
        ({"gpp_sid": "seven"}, {}, Signals(gpp_sections=(0,))),
        ({"gpp_sid": "7,"}, {}, Signals(gpp_sections=(7, 0))),
        ({"gpp_sid": "99999"}, {}, Signals(gpp_sections=(0,))),
        ({"gpp_sid": "٧"}, {}, Signals(gpp_sections=(0,))),
        ({"gpp_sid": "--1"}, {}, Signals(gpp_sections=(0,))),
        ({"us_privacy": "1YYN"}, {}, Signals(us_privacy="1YYN")),
        ({}, {"sec-gpc": "1"}, Signals(gpc=True)),
        ({}, {"sec-gpc": "0"}, Signals()),
        ({}, {"sec-gpc": "true"}, Signals(gpc=True)),
        ({}, {"dnt": "1"}, Signals(limited=True)),
        ({}, {"dnt": "0"}, Signals()),
        ({}, {"dnt": "null"}, Signals()),
        ({}, {"dnt": "unspecified"}, Signals()),
    ],
    ids=str,
)
def test_parameters_and_headers(query: dict[str, str], headers: dict[str, str], expected: Signals) -> None:
    """Each parameter and header is read; what is no number where one should be is a law that nobody knows."""
    assert signals_from(query, headers, "") == expected


def test_the_country_presumes() -> None:
    """Without a flag the country decides."""
    assert GATE.permit(signals_from({}, {}, "deu"), NOW_S) == NOTHING
    assert GATE.permit(signals_from({}, {}, "USA"), NOW_S) == FULL
    assert GATE.permit(signals_from({"gdpr": "1", "gdpr_consent": CONSENT}, {}, "DEU"), NOW_S).record


@pytest.mark.parametrize(
    ("name", "most"), [("gdpr_consent", MAX_TC_CHARS), ("gpp", MAX_GPP_CHARS), ("us_privacy", 8)]
)
def test_text_is_bounded(name: str, most: int) -> None:
    """The longest text is kept; a longer one is not, and denies."""
    field = {"gdpr_consent": "tc_string"}.get(name, name)
    assert getattr(signals_from({name: "C" * most}, {}, ""), field) == "C" * most
    signals = signals_from({"gdpr": "1", name: "C" * (most + 1)}, {}, "")
    assert len(getattr(signals, field)) == 1
    assert GATE.permit(signals, NOW_S) == NOTHING


def test_sections_are_bounded() -> None:
    """The longest list is read; one number more, and it names a section that nobody knows."""
    longest = ",".join(["-1"] * MAX_SECTIONS)
    assert signals_from({"gpp_sid": longest}, {}, "").gpp_sections == (-1,) * MAX_SECTIONS
    signals = signals_from({"gpp_sid": longest + ",-1"}, {}, "")
    assert len(signals.gpp_sections) == 1
    assert GATE.permit(signals, NOW_S) == NOTHING


_names = ("gdpr", "gdpr_consent", "gpp", "gpp_sid", "us_privacy", "other")


@given(
    query=st.dictionaries(st.sampled_from(_names), st.text(max_size=60)),
    headers=st.dictionaries(st.sampled_from(("sec-gpc", "dnt", "cookie")), st.text(max_size=12)),
    country=st.text(max_size=4),
)
def test_any_call_has_signals(query: dict[str, str], headers: dict[str, str], country: str) -> None:
    """No text raises, neither here nor in the gate; and what is no good value of its parameter denies."""
    signals = signals_from(query, headers, country)
    allowed = GATE.permit(signals, NOW_S)
    denies: list[Any] = [
        query.get("gdpr", "").strip() not in ("", "0"),
        query.get("gpp") not in (None, ""),
        len(query.get("us_privacy", "")) not in (0, 4),
    ]
    if any(denies):
        assert allowed in (NOTHING, CHILD)
