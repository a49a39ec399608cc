"""Explanations: they are the gate's own answers, each with its reasons."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bidder.privacy.explain import CHILD_LINE, Explanation
from bidder.privacy.gate import Gate, Permissions
from bidder.privacy.permissions import TABLE, Activity, Cause, permissions_without
from bidder.privacy.signals import Signals
from tests.bidder.auction.support import NOW_S
from tests.bidder.privacy.bits import bit_field, core, disclosed, restriction
from tests.bidder.privacy.signals import SIGNALS, VENDOR, purposes, string

GATE = Gate(VENDOR)
CLEAN = string(1, 3, 4, 7, features=1 << 11)


def explain(gate: Gate = GATE, opted_out: bool = False, **signals: Any) -> Explanation:
    return gate.explain(Signals(**signals), NOW_S, opted_out)


def reasons(explanation: Explanation, activity: Activity) -> tuple[str, ...]:
    return next(line.reasons for line in explanation.lines if line.activity is activity)


@settings(max_examples=600)
@given(signals=SIGNALS, opted_out=st.sampled_from((False, False, True)), vendor=st.sampled_from((42, 42, 0)))
def test_the_gate_and_its_explanation_agree(signals: Signals, opted_out: bool, vendor: int) -> None:
    """For any signals the short way and the long way through the table allow the same, activity by activity."""
    gate = Gate(vendor)
    permissions, explanation = gate.permit(signals, NOW_S, opted_out), gate.explain(signals, NOW_S, opted_out)
    assert explanation.permissions == permissions
    assert [line.activity for line in explanation.lines] == list(Activity)
    for line in explanation.lines:
        if line.activity is Activity.BID_CONTEXTUAL:
            assert line.allowed
            assert line.reasons == ((CHILD_LINE,) if permissions.child else ())
        else:
            assert line.allowed is getattr(permissions, line.activity.value)
            assert line.allowed is (not line.reasons)


@pytest.mark.parametrize(
    ("signals", "cause"),
    [
        ({"coppa": True}, Cause.COPPA),
        ({"minor": True}, Cause.MINOR),
        ({"limited": True}, Cause.LIMITED),
        ({"gpc": True}, Cause.GPC),
        ({"us_privacy": "1YYN"}, Cause.US_PRIVACY),
        ({"us_privacy": "what"}, Cause.US_PRIVACY_UNREAD),
        ({"gpp": "garbage"}, Cause.GPP_UNREAD),
        ({"gpp_sections": (99,)}, Cause.SECTION_UNREAD),
        ({"gpp": "DBABTA~1YYN"}, Cause.SECTION_OPT_OUT),
        ({"gdpr": 1}, Cause.NO_STRING),
        ({"country": "FRA"}, Cause.NO_STRING),
        ({"gdpr": 1, "tc_string": "garbage"}, Cause.STRING_UNREAD),
        ({"tc_string": string(1, 3, 4, 7, features=1 << 11, policy_version=3)}, Cause.STRING_REFUSED),
        (
            {
                "tc_string": core(bit_field((41,), 100), purposes=purposes(1, 3, 4, 7), features=1 << 11)
                + disclosed((VENDOR,), 100)
            },
            Cause.NO_VENDOR,
        ),
        (
            {
                "tc_string": core(bit_field((VENDOR,), 100), purposes=purposes(1, 3, 4, 7), features=1 << 11)
                + disclosed((41,), 100)
            },
            Cause.NOT_DISCLOSED,
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_cause_takes_everything_personal(signals: dict[str, Any], cause: Cause) -> None:
    """A cause by itself is the one reason against everything personal, and never against a contextual bid."""
    explanation = explain(**signals)
    assert explanation.permissions == permissions_without(frozenset({cause}))
    for activity in Activity:
        if activity is not Activity.BID_CONTEXTUAL:
            (reason,) = reasons(explanation, activity)
            assert reason.startswith(cause.value)


@pytest.mark.parametrize(
    ("held", "features", "cause"),
    [
        ((3, 4, 7), 1 << 11, Cause.PURPOSE_1),
        ((1, 4, 7), 1 << 11, Cause.PURPOSE_3),
        ((1, 3, 7), 1 << 11, Cause.PURPOSE_4),
        ((1, 3, 4), 1 << 11, Cause.PURPOSE_7),
        ((1, 3, 4, 7), 0, Cause.FEATURE_1),
    ],
)
def test_a_purpose_takes_what_the_table_says(held: tuple[int, ...], features: int, cause: Cause) -> None:
    """What needs a purpose that is missing is denied for that purpose; the rest is allowed."""
    explanation = explain(tc_string=string(*held, features=features))
    for line in explanation.lines:
        assert line.reasons == ((cause.value,) if line.activity in TABLE[cause] else ())


def test_every_reason_is_told() -> None:
    """Where several things deny, each is said, with where it was found."""
    refused = string(1, 7, vendors=(41,), restrictions=[restriction(7, 0, [(1, 90)])])
    explanation = explain(
        opted_out=True, limited=True, us_privacy="1-Y-", gpp="DBABTA~1YYN", gdpr=1, tc_string=refused
    )
    assert reasons(explanation, Activity.MEASURE) == (
        "the person opted out with us",
        "tracking is limited (LMT, DNT or ATT)",
        "a GPP section opts out: section 6 (uspv1), OptOutSale",
        "us_privacy opts out of sale: 1-Y-",
        "no consent to us as a vendor: vendor 42",
        "we were not disclosed to the person: vendor 42",
        "no consent to purpose 7, measure ads: the publisher says not allowed",
    )
    assert explanation.facts[0] == "GPP: sections 6; in force: all, as gpp_sid is missing"
    assert explanation.facts[1] == "GDPR applies: the gdpr flag is 1"
    assert "consent to purposes 1, 7; we are vendor 42" in explanation.facts[2]


@pytest.mark.parametrize(
    ("signals", "fact"),
    [
        ({}, "GDPR is not presumed: no flag, no TC string, country 'unknown'"),
        ({"country": "USA"}, "GDPR is not presumed: no flag, no TC string, country 'USA'"),
        ({"gdpr": 0, "country": "DEU"}, "GDPR does not apply: the gdpr flag is 0"),
        ({"country": "USA", "home": "DEU"}, "GDPR is presumed: country DEU"),
        ({"tc_string": CLEAN}, "GDPR is presumed: a TC string came along"),
        ({"gpp_sections": (2,)}, "GDPR applies: gpp_sid names section 2"),
        (
            {"gpp": f"DBABMA~{CLEAN}", "country": "USA"},
            "GDPR is presumed: the GPP string has a TC string, and gpp_sid is missing",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_the_law_in_force_is_named(signals: dict[str, Any], fact: str) -> None:
    """An explanation says whether GDPR applies, and by which sign."""
    assert fact in explain(**signals).facts


def test_purpose_one_treatment_and_no_vendor_id_are_named() -> None:
    """A publisher that did not disclose purpose 1, and a bidder without an id, are told as such."""
    text = string(3, 4, 7, features=1 << 11, undisclosed_purpose_one=True, country="AT")
    (reason,) = reasons(explain(tc_string=text), Activity.WRITE_ID)
    assert reason.endswith("not disclosed by a publisher of AT")
    (reason,) = reasons(explain(Gate(0), tc_string=CLEAN), Activity.WRITE_ID)
    assert reason == Cause.NO_VENDOR_ID.value


def test_hostile_text_is_not_repeated_at_length() -> None:
    """What stands in a signal is shown shortened and escaped, so that a terminal shows nothing else."""
    explanation = explain(us_privacy="\x1b[2J" * 50, country="\x1b]0;" * 20)
    shown = "".join(reason for line in explanation.lines for reason in line.reasons)
    assert "\x1b" not in shown + "".join(explanation.facts)
    assert len(max(explanation.facts, key=len)) < 120


def test_permissions_have_a_field_for_each_activity() -> None:
    """The table's activities are the fields of Permissions, and `child` beside them."""
    fields = {field.name for field in msgspec.structs.fields(Permissions)}
    assert fields == {a.value for a in Activity if a is not Activity.BID_CONTEXTUAL} | {"child"}
    assert all(Activity.BID_CONTEXTUAL not in taken for taken in TABLE.values())
