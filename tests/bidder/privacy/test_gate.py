"""The gate: every signal alone and combined, and what it must never allow."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.privacy import gpp, tcf
from bidder.privacy.gate import (
    CHILD,
    FULL,
    KEPT_CHARS,
    NOTHING,
    Gate,
    Permissions,
    _sections,
)
from bidder.privacy.gpp_sections import LAYOUTS
from bidder.privacy.regimes import GDPR_COUNTRIES, GDPR_SHORT
from bidder.privacy.signals import Signals
from tests.bidder.auction.support import NOW_S
from tests.bidder.privacy.bits import bit_field, core, disclosed, restriction, text_of
from tests.bidder.privacy.signals import GARBAGE, GPP_CLEAN, SIGNALS, VENDOR, by_consent, purposes, string
from tests.bidder.privacy.test_gpp import core_of, header, single

GATE = Gate(VENDOR)
CONSENT = string(1, 3, 4, 7)


FULL_UNDER_CONSENT = by_consent(True, True, True)


def permit(gate: Gate = GATE, **signals: Any) -> Permissions:
    return gate.permit(Signals(**signals), NOW_S)


# -- each signal alone


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ({}, FULL),
        ({"country": "USA"}, FULL),
        ({"coppa": True}, CHILD),
        ({"limited": True}, NOTHING),
        ({"gpc": True}, NOTHING),
        ({"us_privacy": "1YYN"}, NOTHING),
        ({"us_privacy": "1-Y-"}, NOTHING),
        ({"us_privacy": "1YNN"}, FULL),
        ({"us_privacy": "1---"}, FULL),
        ({"us_privacy": "1yyn"}, NOTHING),
        ({"us_privacy": "2YNN"}, NOTHING),
        ({"us_privacy": "1YN"}, NOTHING),
        ({"us_privacy": "1YNNN"}, NOTHING),
        ({"us_privacy": " "}, NOTHING),
        ({"gpp": GPP_CLEAN}, FULL),
        ({"gpp": "garbage"}, NOTHING),
        ({"gpp": "DBABTA~1YYN", "gpp_sections": (6,)}, NOTHING),
        ({"gpp": "DBABTA~1YNN", "gpp_sections": (6,)}, FULL),
        ({"gpp_sections": (2,)}, NOTHING),
        ({"gdpr": 0}, FULL),
        ({"gdpr": 1}, NOTHING),
        ({"gdpr": 1, "tc_string": CONSENT}, FULL_UNDER_CONSENT),
        ({"gdpr": 1, "tc_string": ""}, NOTHING),
        ({"tc_string": CONSENT}, FULL_UNDER_CONSENT),
        ({"tc_string": "garbage"}, NOTHING),
        ({"tc_string": "garbage", "gdpr": 0}, FULL),
        ({"gpp_sections": (5,)}, NOTHING),
        ({"gpp_sections": (6,)}, NOTHING),
        ({"gpp_sections": (7,)}, NOTHING),
        ({"gpp_sections": (99,)}, NOTHING),
        ({"gpp_sections": (-1,)}, FULL),
        ({"country": "DEU"}, NOTHING),
        ({"country": "USA", "home": "DEU"}, NOTHING),
        ({"home": "DE"}, NOTHING),
        ({"country": "DEU", "tc_string": CONSENT}, FULL_UNDER_CONSENT),
        ({"country": "DEU", "gdpr": 0}, FULL),
        ({"country": "USA", "gdpr": 1}, NOTHING),
        ({"gdpr": 0, "gpp_sections": (2,)}, FULL),
        ({"minor": True}, CHILD),
        ({"minor": True, "gdpr": 1, "tc_string": CONSENT}, CHILD),
        ({"gpp": f"DBABMA~{CONSENT}"}, FULL_UNDER_CONSENT),
        ({"gpp": f"DBABMA~{string(1)}"}, by_consent(store=True)),
        ({"gpp": f"DBABMA~{string(1)}", "gpp_sections": (-1,)}, FULL),
        ({"gpp": "DBABTA~1YYN", "gpp_sections": (-1,)}, FULL),
        ({"gpp": "DBABRg~anything"}, NOTHING),
        ({"gpp": "DBABRg~anything", "gpp_sections": (-1,)}, FULL),
    ],
    ids=str,
)
def test_a_signal_alone(signals: dict[str, Any], expected: Permissions) -> None:
    """Each signal by itself, and the absence of all."""
    assert permit(**signals) == expected


@pytest.mark.parametrize("country", sorted(GDPR_COUNTRIES | GDPR_SHORT))
def test_geography_presumes_gdpr(country: str) -> None:
    """In the EEA, the United Kingdom, Switzerland and their territories silence is no consent, whichever code the
    exchange writes."""
    assert permit(country=country) == NOTHING


def test_short_codes_are_those_of_the_long_ones() -> None:
    """Each country has one code of each kind; Greece and the United Kingdom have two short ones."""
    assert len(GDPR_SHORT) == len(GDPR_COUNTRIES) + 2
    assert {len(code) for code in GDPR_COUNTRIES} == {3}
    assert {len(code) for code in GDPR_SHORT} == {2}


def test_long_strings_are_read_and_not_remembered() -> None:
    """A flood of strings of the longest kind costs time, never memory."""
    gate = Gate(VENDOR)
    long = CONSENT.partition(".")[0] + disclosed((VENDOR,), 9 * KEPT_CHARS)
    assert len(long) > KEPT_CHARS
    remembered = _sections.cache_info().currsize
    assert permit(gate, gdpr=1, tc_string=long) == FULL_UNDER_CONSENT
    assert permit(gate, gdpr=1, tc_string=CONSENT[:-20].ljust(KEPT_CHARS + 1, "A")) == NOTHING
    assert permit(gate, gpp="DBABTA~1YYN" + "A" * KEPT_CHARS) == NOTHING
    assert gate._by_text.cache_info().currsize == 0
    assert _sections.cache_info().currsize <= remembered + 1  # that of the empty string


DENIALS: dict[str, dict[str, Any]] = {
    "coppa": {"coppa": True},
    "limited": {"limited": True},
    "gpc": {"gpc": True},
    "us": {"us_privacy": "1YYN"},
    "gpp": {"gpp": "DBABTA~1YYN"},
    "gdpr": {"gdpr": 1},
}


@pytest.mark.parametrize(("one", "two"), list(combinations(DENIALS, 2)))
def test_denials_add_up(one: str, two: str) -> None:
    """Two denials deny; COPPA says in addition that it is a child."""
    expected = CHILD if "coppa" in (one, two) else NOTHING
    assert permit(**DENIALS[one] | DENIALS[two]) == expected


@pytest.mark.parametrize("denial", [name for name in DENIALS if name != "gdpr"])
def test_consent_heals_no_other_denial(denial: str) -> None:
    """A valid TC string does not undo what another regime takes away."""
    expected = CHILD if denial == "coppa" else NOTHING
    assert permit(gdpr=1, tc_string=CONSENT, **DENIALS[denial]) == expected


# -- GDPR, purpose by purpose


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ((), NOTHING),
        ((1,), by_consent(False, True)),
        ((3, 4), NOTHING),
        ((1, 3), by_consent(False, True)),
        ((1, 4), by_consent(False, True)),
        ((1, 7), by_consent(False, True, True)),
        ((7,), NOTHING),
        ((1, 3, 4), by_consent(True, True)),
        ((1, 3, 4, 7), by_consent(True, True, True)),
        ((1, 2, 5, 6, 7, 8, 9, 10, 11), by_consent(False, True, True)),
    ],
    ids=str,
)
def test_purposes(held: tuple[int, ...], expected: Permissions) -> None:
    """Storing needs purpose 1, personalising 1, 3 and 4, measuring 1 and 7."""
    assert permit(gdpr=1, tc_string=string(*held)) == expected


def test_precise_geo_needs_special_feature_1() -> None:
    """A place is used where the person opted in to it."""
    assert not permit(gdpr=1, tc_string=CONSENT).precise_geo
    assert permit(gdpr=1, tc_string=string(1, 3, 4, 7, features=1 << 11)) == FULL
    assert permit(gdpr=1, tc_string=string(features=1 << 11)) == by_consent(geo=True)
    assert permit(gdpr=1, tc_string=string(features=0x7FF)) == NOTHING


@pytest.mark.parametrize(
    "bad",
    [
        string(1, 3, 4, 7, vendors=(41, 43)),
        string(1, 3, 4, 7, vendors=()),
        string(1, 3, 4, 7, service_specific=False),
        string(1, 3, 4, 7, policy_version=3),
        string(1, 3, 4, 7, created_s=int(NOW_S) + 30 * 86_400),
        string(1, 3, 4, 7, cmp_id=0),
        core(bit_field((VENDOR,), 100), purposes=purposes(1, 3, 4, 7)),
        core(bit_field((VENDOR,), 100), purposes=purposes(1, 3, 4, 7)) + disclosed((41, 43), 100),
        *GARBAGE,
    ],
)
def test_a_string_that_is_no_consent_to_us(bad: str) -> None:
    """Another vendor, a dead scope or policy, the future, garbage: nothing is allowed, and nothing is raised."""
    assert permit(gdpr=1, tc_string=bad) == NOTHING


def test_without_a_vendor_id_nobody_can_consent_to_us() -> None:
    """Vendor 0 is nobody, even where a string names everybody."""
    everybody = string(*range(1, 25), vendors=tuple(range(1, 101)))
    assert permit(Gate(0), gdpr=1, tc_string=everybody) == NOTHING


def test_legitimate_interest_is_no_basis() -> None:
    """Vendor and purposes under legitimate interest alone allow nothing."""
    interest = core(li=bit_field((VENDOR,), 100), purposes=0) + disclosed((VENDOR,), 100)
    assert permit(gdpr=1, tc_string=interest) == NOTHING


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [
        (1, NOTHING),
        (3, by_consent(False, True, True)),
        (4, by_consent(False, True, True)),
        (7, by_consent(True, True)),
        (2, FULL_UNDER_CONSENT),
    ],
)
def test_what_a_publisher_forbids(purpose: int, expected: Permissions) -> None:
    """A purpose that a publisher does not allow us, or only on legitimate interest, is taken away; a restriction of
    another purpose takes nothing."""
    for kind in (0, 2):
        restrictions = [restriction(purpose, kind, [(VENDOR, VENDOR)])]
        assert permit(gdpr=1, tc_string=string(1, 3, 4, 7, restrictions=restrictions)) == expected


def test_restrictions_of_others_and_of_other_kinds_do_not_matter() -> None:
    """What is forbidden to another vendor, or must rest on consent, leaves our consent as it is."""
    restrictions = [restriction(3, 0, [(1, 41)]), restriction(4, 1, [(VENDOR, VENDOR)])]
    assert permit(gdpr=1, tc_string=string(1, 3, 4, 7, restrictions=restrictions)) == FULL_UNDER_CONSENT


def test_a_tc_string_within_gpp_counts() -> None:
    """Section 2 of a GPP string is a TC string; user.consent goes before it."""
    gpp = f"DBABMA~{CONSENT}"
    assert permit(gdpr=1, gpp=gpp, gpp_sections=(2,)) == FULL_UNDER_CONSENT
    assert permit(gpp=gpp, gpp_sections=(2,)) == FULL_UNDER_CONSENT
    assert permit(gdpr=1, gpp=gpp, gpp_sections=(2,), tc_string=string(1)).personalise is False


# -- US sections, and our own opt-out


@pytest.mark.parametrize(
    ("number", "values", "expected"),
    [
        (8, {}, FULL),
        (8, {"SaleOptOut": 1}, NOTHING),
        (8, {"SharingOptOut": 1}, NOTHING),
        (8, {"SaleOptOut": 2, "SharingOptOut": 2}, FULL),
        (9, {"TargetedAdvertisingOptOut": 1}, NOTHING),
        (9, {"KnownChildSensitiveDataConsents": 1}, CHILD),
        (9, {"KnownChildSensitiveDataConsents": 2}, CHILD),
        (9, {"KnownChildSensitiveDataConsents": 1, "SaleOptOut": 1}, CHILD),
    ],
    ids=str,
)
def test_us_sections(number: int, values: dict[str, int], expected: Permissions) -> None:
    """Any opt-out denies; a known child is a child, whatever was consented to, and whatever else denies."""
    layout = LAYOUTS[number]
    text = f"{header([single(number)])}~{core_of(layout, Version=1, **values)}"
    assert permit(gpp=text) == expected
    assert permit(gpp=text, gpp_sections=(number,)) == expected
    assert permit(gpp=text, gpp_sections=(-1,)) == FULL
    assert permit(gpp=text, limited=True) == (CHILD if expected is CHILD else NOTHING)


def test_gpc_of_a_section() -> None:
    """The Global Privacy Control of a section in force denies."""
    text = f"{header([single(8)])}~{core_of(LAYOUTS[8], Version=1)}."
    assert permit(gpp=text + text_of("01" + "0")) == FULL
    assert permit(gpp=text + text_of("01" + "1")) == NOTHING


@pytest.mark.parametrize("in_force", [(), (2,), (-1,)])
def test_our_own_opt_out(in_force: tuple[int, ...]) -> None:
    """Who opted out with us has consented to nothing, whatever a string says; a child stays one."""
    signals = Signals(gdpr=1, tc_string=CONSENT, gpp_sections=in_force)
    assert GATE.permit(signals, NOW_S) == FULL_UNDER_CONSENT
    assert GATE.permit(signals, NOW_S, opted_out=True) == NOTHING
    assert GATE.permit(Signals(), NOW_S, opted_out=True) == NOTHING
    assert GATE.permit(Signals(coppa=True), NOW_S, opted_out=True) == CHILD


def test_purpose_one_that_was_not_disclosed() -> None:
    """Where a publisher's law needs no consent to purpose 1, there is none to rest on: nothing is stored."""
    assert permit(gdpr=1, tc_string=string(3, 4, 7, undisclosed_purpose_one=True)) == NOTHING


# -- properties


def _consents(text: str) -> bool:
    """Whether a TC string is valid, names and discloses us, and has consent to purposes 1, 3 and 4."""
    tc = tcf.decode(text)
    if tc is None or tcf.refusal(tc, int(NOW_S)) is not None or tc.disclosed is None:
        return False
    mask = tcf.purposes_mask(1, 3, 4)
    return VENDOR in tc.disclosed and tc.has_vendor(VENDOR) and tc.purposes_consent & mask == mask


@given(signals=SIGNALS)
def test_the_gate_never_allows_too_much(signals: Signals) -> None:
    """No person under COPPA, LMT, GPC, a US opt-out, or GDPR without full consent; reading needs personalising."""
    allowed = GATE.permit(signals, NOW_S)
    refused = (
        signals.coppa
        or signals.minor
        or signals.limited
        or signals.gpc
        or (signals.us_privacy != "" and signals.us_privacy[2:3] == "Y")
        or (signals.us_privacy != "" and (len(signals.us_privacy) != 4 or signals.us_privacy[0] != "1"))
        or (signals.gpp == "DBABTA~1YYN" and (not signals.gpp_sections or 6 in signals.gpp_sections))
    )
    decoded = gpp.decode(signals.gpp)
    within = decoded.tc_string() if decoded is not None else ""
    named = signals.tc_string or 2 in signals.gpp_sections or (within and not signals.gpp_sections)
    presumed = named or signals.country == "DEU" or signals.home == "FR"
    applies = signals.gdpr == 1 or (signals.gdpr is None and presumed)
    consented = _consents(signals.tc_string or within)
    if refused or (applies and not consented):
        assert not allowed.personalise
        assert not allowed.read_id
    if refused:
        assert allowed in (NOTHING, CHILD)
    assert not allowed.read_id or allowed.personalise
    assert not allowed.measure or allowed.write_id
    assert not allowed.child or allowed == CHILD
    assert allowed.child or not (signals.coppa or signals.minor)
    assert not allowed.record or (allowed.write_id and allowed.personalise)
    assert allowed.sync is allowed.write_id


@given(text=st.text(max_size=300), name=st.sampled_from(("tc_string", "gpp", "us_privacy")))
def test_garbage_denies(text: str, name: str) -> None:
    """Whatever text stands where consent should: no consent under GDPR, and never an exception."""
    signals: dict[str, Any] = {"gdpr": 1, name: text}
    assert permit(**signals) == NOTHING
