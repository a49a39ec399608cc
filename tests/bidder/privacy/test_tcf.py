"""TC strings: the reference's vectors, the rules of the text, and strings nobody should send."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.privacy import tcf
from bidder.privacy.tcf import Refusal, RestrictionType, TcString
from tests.bidder.privacy import bits
from tests.corpus import rows

VECTORS = rows("privacy/generated/tcf")
VALID = [row for row in VECTORS if row["ok"]]
CREATED_S = 1_795_219_200
VENDOR_IDS = range(1, 1_501)
KINDS = {kind.value: kind for kind in RestrictionType}


def valid(tc: str) -> TcString:
    decoded = tcf.decode(tc)
    assert decoded is not None
    return decoded


def members(mask: int, width: int) -> list[int]:
    return [place for place in range(1, width + 1) if mask >> (width - place) & 1]


def ids_in(vendors: Any) -> list[int]:
    return [] if vendors is None else [vendor for vendor in VENDOR_IDS if vendor in vendors]


@pytest.mark.parametrize("count", [1, 127, 128, 129, 200])
def test_lists_of_any_length(count: int) -> None:
    """As many entries as are counted are read, not one more; a list that is cut short is refused."""
    section = bits.range_section([(3 * n, 3 * n) for n in range(1, count + 1)])
    tc = valid(bits.core(section))
    assert [vendor for vendor in range(1, 3 * count + 9) if tc.has_vendor(vendor)] == [
        3 * n for n in range(1, count + 1)
    ]
    assert tcf.decode(bits.core(bits.range_section([(2, 2)], count=count + 40))) is None


def test_vectors_are_accepted_and_refused_as_by_the_reference() -> None:
    """Every string that the official library refuses is None, every other one decodes."""
    wrong = [row["tc"] for row in VECTORS if (tcf.decode(row["tc"]) is not None) != row["ok"]]
    assert not wrong
    assert len(VALID) > 300


def test_fields_are_those_of_the_reference() -> None:
    """All exposed fields of the core agree with the official library."""
    for row in VALID:
        expected, tc = row["decoded"], valid(row["tc"])
        assert tc.version == expected["version"]
        assert tc.created_s == expected["created"] // 1000
        assert tc.cmp_id == expected["cmpId"]
        assert tc.policy_version == expected["policyVersion"]
        assert tc.is_service_specific is expected["isServiceSpecific"]
        assert tc.purpose_one_treatment is expected["purposeOneTreatment"]
        assert tc.publisher_cc == expected["publisherCountryCode"]
        assert members(tc.special_features, 12) == expected["specialFeatureOptins"]
        assert members(tc.purposes_consent, 24) == expected["purposeConsents"]
        assert members(tc.purposes_li, 24) == expected["purposeLegitimateInterests"]


def test_vendor_sets_are_those_of_the_reference() -> None:
    """Asked for every vendor id, each set names exactly the reference's vendors."""
    for row in VALID:
        expected, tc = row["decoded"], valid(row["tc"])
        assert [v for v in VENDOR_IDS if tc.has_vendor(v)] == expected["vendorConsents"]
        assert [v for v in VENDOR_IDS if tc.has_vendor_li(v)] == expected["vendorLegitimateInterests"]
        assert ids_in(tc.disclosed) == expected["vendorsDisclosed"]
        assert ids_in(tc.allowed) == expected["vendorsAllowed"]


def test_restrictions_are_those_of_the_reference() -> None:
    """Purpose, type and vendors of every publisher restriction agree."""
    for row in VALID:
        found: dict[str, set[int]] = {}
        for restriction in valid(row["tc"]).restrictions:
            named = {vendor for vendor in VENDOR_IDS if restriction.names(vendor)}
            found.setdefault(f"{restriction.purpose}:{restriction.kind.value}", set()).update(named)
        expected = row["decoded"]["publisherRestrictions"]
        assert found == {key: set(vendors) for key, vendors in expected.items()}


def test_publisher_segments_are_those_of_the_reference() -> None:
    """The publisher's own purposes agree, custom ones included."""
    with_segment = 0
    for row in VALID:
        publisher, expected = valid(row["tc"]).publisher, row["decoded"]
        if publisher is None:
            assert expected["publisherConsents"] == []
            continue
        with_segment += 1
        count = publisher.custom_count
        assert members(publisher.consents, 24) == expected["publisherConsents"]
        assert members(publisher.li, 24) == expected["publisherLegitimateInterests"]
        assert count == expected["numCustomPurposes"]
        assert members(publisher.custom_consents, count) == expected["publisherCustomConsents"]
        assert members(publisher.custom_li, count) == expected["publisherCustomLegitimateInterests"]
    assert with_segment > 10


def test_masks_compare_with_the_wire() -> None:
    """A mask of purposes selects those purposes, whatever the order and repetition of its arguments."""
    tc = valid(bits.core(purposes=0b1011 << 20))
    assert tc.purposes_consent == tcf.purposes_mask(1, 3, 4)
    assert tcf.purposes_mask(4, 1, 3, 3) == tcf.purposes_mask(1, 3, 4)
    assert tcf.purposes_mask(24) == 1
    assert tcf.features_mask(1) == 1 << 11


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"service_specific": False}, Refusal.GLOBAL_SCOPE),
        ({"policy_version": 3}, Refusal.OLD_POLICY),
        ({"policy_version": 2, "created_s": tcf.POLICY_4_FROM_S}, Refusal.OLD_POLICY),
        ({"policy_version": 2, "created_s": tcf.POLICY_4_FROM_S - 1}, None),
        ({"created_s": CREATED_S + tcf.CLOCK_TOLERANCE_S}, None),
        ({"created_s": CREATED_S + tcf.CLOCK_TOLERANCE_S + 1}, Refusal.FUTURE),
    ],
)
def test_rules_of_the_text(changes: dict[str, Any], reason: Refusal | None) -> None:
    """A string that decodes is refused for exactly the rule that it breaks."""
    tc = valid(bits.core(**changes) + bits.disclosed((7,), 9))
    assert tcf.refusal(tc, CREATED_S) is reason
    assert tcf.acceptable(tc, CREATED_S) is (reason is None)


@pytest.mark.parametrize(
    ("created_s", "reason"),
    [
        (tcf.DISCLOSED_FROM_S, Refusal.NOT_DISCLOSED),
        (CREATED_S, Refusal.NOT_DISCLOSED),
        (tcf.DISCLOSED_FROM_S - 1, None),
    ],
)
def test_disclosed_vendors_are_asked_of_new_strings(created_s: int, reason: Refusal | None) -> None:
    """A string without the segment of disclosed vendors counts if it was created before March 2026."""
    tc = valid(bits.core(created_s=created_s))
    assert tcf.refusal(tc, CREATED_S) is reason


def test_version_1_decodes_and_is_dead() -> None:
    """The reference still reads version 1; the text calls it dead, whoever it names."""
    tc = valid(bits.version_1(ranges=[(3, 5), (9, 9)]))
    assert [vendor for vendor in range(1, 20) if tc.has_vendor(vendor)] == [3, 4, 5, 9]
    assert tc.purposes_consent == tcf.purposes_mask(1, 2, 3)
    assert tcf.refusal(tc, CREATED_S) is Refusal.DEAD_VERSION


BROKEN = {
    "no text": "",
    "no core": "." + bits.core(),
    "core twice": bits.core() + "." + bits.core(),
    "core not first": bits.text_of("001" + bits.EMPTY_VENDORS) + "." + bits.core(),
    "empty segment": bits.core() + ".",
    "segment of unknown type": bits.core() + "." + bits.text_of("100" + bits.EMPTY_VENDORS),
    "foreign character in a segment": bits.core() + ".I+",
    "disclosed vendors cut": bits.core() + "." + bits.text_of("001" + bits.number(900, 16) + "0"),
    "publisher segment cut": bits.core() + "." + bits.text_of("011" + "0" * 48),
    "custom purposes cut": bits.core() + "." + bits.text_of("011" + "0" * 48 + bits.number(9, 6)),
    "version 3": "D" + bits.core()[1:],
    "version 0": "A" + bits.core()[1:],
    "plus and slash": bits.core()[:-2] + "+/",
    "padding": bits.core() + "=",
    "new line": bits.core() + "\n",
    "beyond ASCII": bits.core() + "é",
    "surrogate": bits.core() + "\ud800",
    "cmp 1": bits.core(cmp_id=1),
    "country beyond z": bits.core(country="A" + chr(65 + 58)),
    "ranges cut": bits.core(bits.range_section([(2, 2)], count=900)),
    "range from 0": bits.core(bits.range_section([(0, 7)])),
    "vendor 0": bits.core(bits.range_section([(5, 5), (0, 0), (9, 9)])),
    "restrictions cut": bits.core(restrictions=[bits.restriction(1, 0, [(7, 7)])])[:-4],
    "restriction of purpose 0": bits.core(restrictions=[bits.restriction(0, 0, [(7, 7)])]),
    "restriction of type 3": bits.core(restrictions=[bits.restriction(1, 3, [(7, 7)])]),
    "restriction backwards": bits.core(restrictions=[bits.restriction(1, 0, [(9, 7)])]),
    "version 1 with default consent": bits.version_1(default_bit="1"),
    "version 1 cut": bits.version_1()[:20],
    "version 1 with a segment": bits.version_1() + "." + bits.text_of("001" + bits.EMPTY_VENDORS),
    "version 1 with a foreign character": bits.version_1() + "!",
}


@pytest.mark.parametrize("tc", BROKEN.values(), ids=BROKEN)
def test_broken_strings_are_no_consent(tc: str) -> None:
    """Each way to be broken gives None."""
    assert tcf.decode(tc) is None


def test_longest_string() -> None:
    """A string of the limit is read; one character more and it is not looked at."""
    core = bits.core()
    longest = core + "A" * (tcf.MAX_TC_CHARS - len(core))
    assert tcf.decode(longest) is not None
    assert tcf.decode(longest + "A") is None


def test_odd_but_valid_strings() -> None:
    """The reference takes ranges that are empty or backwards, restrictions of nobody and repeated segments."""
    backwards = valid(bits.core(bits.range_section([(9, 7), (20, 20)]), bits.range_section([])))
    assert [vendor for vendor in VENDOR_IDS if backwards.has_vendor(vendor)] == [20]
    assert valid(bits.core(restrictions=[bits.restriction(0, 3, [])])).restrictions == ()
    twice = [bits.text_of("001" + bits.bit_field(ids, 8)) for ids in ((1,), (2,))]
    assert ids_in(valid(".".join([bits.core(), *twice])).disclosed) == [2]
    assert ids_in(valid(bits.core() + "." + bits.text_of("010" + bits.bit_field((3,), 8))).allowed) == [3]


def test_strictest_restriction_wins() -> None:
    """Where several restrictions name a vendor, not allowed wins over consent, consent over LI."""
    listed = [
        bits.restriction(2, 2, [(1, 9)]),
        bits.restriction(2, 1, [(4, 9)]),
        bits.restriction(2, 0, [(7, 7)]),
    ]
    tc = valid(bits.core(restrictions=listed))
    found = [tc.restriction(2, vendor) for vendor in (1, 4, 7, 10)]
    assert found == [
        RestrictionType.REQUIRE_LI,
        RestrictionType.REQUIRE_CONSENT,
        RestrictionType.NOT_ALLOWED,
        None,
    ]
    assert tc.restriction(3, 7) is None


def test_impossible_vendor_ids_are_in_no_set() -> None:
    """Ids outside 1 to 65535 are never named, neither by a bit field nor by ranges."""
    tc = valid(bits.core(bits.bit_field(range(1, 101), 100), bits.range_section([(1, 0xFFFF)])))
    assert tc.has_vendor(100)
    assert tc.has_vendor_li(0xFFFF)
    for vendor in (-1, 0, 101, 0x10000, 0x20000):
        assert not tc.has_vendor(vendor)
    for vendor in (-1, 0, 0x10000, 0x20000):
        assert not tc.has_vendor_li(vendor)


RANGES = st.lists(
    st.tuples(st.integers(1, 1_300), st.integers(0, 60)).map(lambda pair: (pair[0], sum(pair))), max_size=90
)


@given(RANGES, RANGES)
def test_ranges_name_what_they_hold(consents: list[tuple[int, int]], li: list[tuple[int, int]]) -> None:
    """Any list of ranges, in any order, names exactly its vendors, next to another list."""
    tc = valid(bits.core(bits.range_section(consents), bits.range_section(li)))
    for found, ranges in ((tc.has_vendor, consents), (tc.has_vendor_li, li)):
        expected = {vendor for first, last in ranges for vendor in range(first, last + 1)}
        assert {vendor for vendor in VENDOR_IDS if found(vendor)} == expected


@given(
    st.lists(
        st.sampled_from([(1, 1), (8, 8), (9, 9), (512, 512), (1024, 1024), (1, 2), (16, 90)]), max_size=12
    ),
    st.sampled_from([(0, 0), (0, 1), (0, 900)]),
    st.integers(0, 12),
)
def test_vendor_0_is_found_wherever_it_stands(
    ranges: list[tuple[int, int]], zero: tuple[int, int], place: int
) -> None:
    """Id 0 breaks the string among any neighbours, also such as look like it across their borders."""
    valid(bits.core(li=bits.range_section(ranges)))
    assert tcf.decode(bits.core(li=bits.range_section([*ranges[:place], zero, *ranges[place:]]))) is None


@given(st.text(max_size=400))
def test_any_text_is_decoded_or_none(text: str) -> None:
    """No text raises."""
    assert tcf.decode(text) is None or text[:1] in ("B", "C")


@given(
    st.sampled_from([row["tc"] for row in VALID]),
    st.lists(st.tuples(st.integers(0, 700), st.sampled_from([*bits.CHARS, "", ".", "=", "!", "AAAA"]))),
    st.integers(0, 3_000),
)
def test_mutated_strings_never_raise(tc: str, changes: list[tuple[int, str]], vendor: int) -> None:
    """A damaged string is None or answers every question."""
    for place, char in changes:
        place %= len(tc) + 1
        tc = tc[:place] + char + tc[place + 1 :]
    decoded = tcf.decode(tc)
    if decoded is not None:
        assert decoded.has_vendor(vendor) in (True, False)
        assert decoded.has_vendor_li(vendor) in (True, False)
        assert decoded.restriction(2, vendor) in (None, *KINDS.values())
        assert tcf.acceptable(decoded, CREATED_S) in (True, False)
