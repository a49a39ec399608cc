"""GPP strings: the reference's vectors, headers, and strings nobody should send."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.privacy import gpp
from bidder.privacy.gpp import Gpp, UsSection
from bidder.privacy.gpp_sections import LAYOUTS, Field, Layout
from tests.bidder.privacy import bits
from tests.corpus import rows

VECTORS = rows("privacy/generated/gpp")
VALID = [row for row in VECTORS if row["ok"]]
OPT_OUTS = ("SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut")


def valid(text: str) -> Gpp:
    decoded = gpp.decode(text)
    assert decoded is not None
    return decoded


def fibonacci(value: int) -> str:
    numbers = [1, 2]
    while numbers[-1] < value:
        numbers.append(numbers[-1] + numbers[-2])
    flags = ""
    for number in reversed(numbers):
        if number <= value:
            value -= number
            flags = "1" + flags
        elif flags:
            flags = "0" + flags
    return flags + "1"


def header(groups: list[str], count: int | None = None) -> str:
    number = len(groups) if count is None else count
    return bits.text_of(bits.number(3, 6) + bits.number(1, 6) + bits.number(number, 12) + "".join(groups))


def single(step: int) -> str:
    return "0" + fibonacci(step)


def core_of(layout: Layout, **values: int) -> str:
    """Text of a core whose named fields hold a value in their first element, all others 0."""
    core = 0
    for name, value in values.items():
        field = layout.fields[name]
        core |= value << field.shift + field.bits * (field.elements - 1)
    return bits.text_of(bits.number(core, layout.width))


def one(layout: Layout, text: str) -> UsSection:
    return valid(header([single(layout.section_id)]) + "~" + text).us[layout.section_id]


def value_of(section: UsSection, name: str) -> Any:
    if name == "Gpc":
        return section.gpc
    value = section.field(name)
    return list(value) if isinstance(value, tuple) else value


def test_vectors_are_accepted_and_refused_as_by_the_reference() -> None:
    """Every string that the official library refuses is None, every other one decodes to its sections."""
    for row in VECTORS:
        decoded = gpp.decode(row["gpp"])
        assert (decoded is not None) is row["ok"], row
        if decoded is not None:
            assert list(decoded.section_ids) == row["sectionIds"]


def test_us_fields_are_those_of_the_reference() -> None:
    """All fields of all US sections agree, under the reference's names."""
    seen = set()
    for row in VALID:
        decoded = valid(row["gpp"])
        for section in decoded.us.values():
            expected = dict(row["decoded"][section.layout.name])
            expected.pop("GpcSegmentType", None)
            assert {name: value_of(section, name) for name in expected} == expected
            seen.add(section.layout.section_id)
    assert seen == set(LAYOUTS)


def test_us_privacy_sections_are_those_of_the_reference() -> None:
    """Section 6 is a us_privacy string."""
    found = [(valid(row["gpp"]), row["decoded"]["uspv1"]) for row in VALID if 6 in row["sectionIds"]]
    assert found
    for decoded, expected in found:
        usp = decoded.usp
        assert usp is not None
        answers = (usp.notice, usp.opt_out_sale, usp.lspa_covered)
        assert answers == (expected["Notice"], expected["OptOutSale"], expected["LspaCovered"])
        assert decoded.opted_out(6) is (expected["OptOutSale"] == "Y")


def test_opt_outs_of_the_vectors() -> None:
    """A section opts out if, by the reference, one of its opt-outs is 1; GPC counts for the string's answer."""
    for row in VALID:
        decoded = valid(row["gpp"])
        for section_id, section in decoded.us.items():
            fields = row["decoded"][section.layout.name]
            out = any(fields.get(name) == 1 for name in OPT_OUTS)
            assert gpp.opted_out(section) is out
            assert gpp.gpc(section) is fields.get("Gpc", False)
            assert decoded.opted_out(section_id) is (out or gpp.gpc(section))


def test_known_children_of_the_vectors() -> None:
    """A section speaks of a known child if, by the reference, one of its child consents is not 0."""
    for row in VALID:
        decoded = valid(row["gpp"])
        for section_id, section in decoded.us.items():
            value = row["decoded"][section.layout.name].get("KnownChildSensitiveDataConsents", 0)
            child = any(value) if isinstance(value, list) else value != 0
            assert gpp.known_child(section) is child
            assert decoded.known_child(section_id) is child


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_each_opt_out_of_each_section(layout: Layout) -> None:
    """1 opts out, 0 and 2 do not, and 3, which means nothing, is read as caution."""
    for name in OPT_OUTS:
        if name in layout.fields:
            out = [gpp.opted_out(one(layout, core_of(layout, **{name: value}))) for value in range(4)]
            assert out == [False, True, False, True]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_core_of_each_section_needs_all_its_bits(layout: Layout) -> None:
    """A core that lacks a character is refused; more characters do no harm."""
    text = core_of(layout)
    start = header([single(layout.section_id)]) + "~"
    assert gpp.decode(start + text) is not None
    assert gpp.decode(start + text + "A") is not None
    shortest = 60 if layout.name == "usnat" else layout.width  # usnat of version 1 is shorter
    assert gpp.decode(start + text[: (shortest - 1) // 6]) is None


def test_first_fields_and_widths() -> None:
    """The version stands in the first 6 bits, the last field ends with the core."""
    for layout in LAYOUTS.values():
        places = list(layout.fields.values())
        assert places[0] == Field(layout.width - 6, 1, False, 6)
        assert places[-1].shift == 0


def test_second_segments() -> None:
    """GPC and the sensitive data consents are read from their segment, and default to nothing without it."""
    california, kentucky = LAYOUTS[8], LAYOUTS[26]
    assert one(california, core_of(california) + "." + bits.text_of("011")).gpc
    assert not one(california, core_of(california) + "." + bits.text_of("010")).gpc
    assert not one(california, core_of(california)).gpc
    sensitive = one(kentucky, core_of(kentucky) + "." + bits.text_of("0110" + "00" * 5 + "01"))
    assert sensitive.field("SensitiveDataProcessing") == (1, 2, 0, 0, 0, 0, 0, 1)
    assert one(kentucky, core_of(kentucky)).field("SensitiveDataProcessing") == (0,) * 8
    assert one(kentucky, core_of(kentucky)).field("SharingNotice") is None


def test_national_section_of_version_1() -> None:
    """usnat of version 1 has 60 bits: 12 sensitive elements and 2 child consents, what follows is moved on."""
    values = [
        (1, 6),
        *[(n % 3, 2) for n in range(9)],
        *[(2, 2)] * 12,
        (1, 2),
        (2, 2),
        (2, 2),
        (1, 2),
        (2, 2),
        (1, 2),
    ]
    text = bits.text_of("".join(bits.number(value, width) for value, width in values))
    for written in (text, text + "A"):
        section = one(LAYOUTS[7], written)
        assert section.field("Version") == 1
        assert section.field("TargetedAdvertisingOptOut") == 2
        assert section.field("SensitiveDataProcessing") == (2,) * 12
        assert section.field("KnownChildSensitiveDataConsents") == (1, 2)
        assert section.field("PersonalDataConsents") == 2
        assert section.field("MspaCoveredTransaction") == 1
        assert section.field("MspaServiceProviderMode") == 1
        assert gpp.known_child(section)


def test_tc_strings() -> None:
    """Section 2 is decoded as a TC string, and a bare TC string counts as one section 2."""
    tc = bits.core(bits.bit_field((5,), 8))
    for text in (header([single(2)]) + "~" + tc, tc):
        decoded = valid(text)
        assert decoded.section_ids == (2,)
        assert decoded.tc_string() == tc
        assert decoded.tcf is not None
        assert decoded.tcf.has_vendor(5)
    assert valid("DBAA").tc_string() == ""


def test_sections_that_are_not_there() -> None:
    """No section, unknown sections and sections not asked for: nothing is said of an opt-out or a child."""
    for text in ("", "DBAA", header([single(40)]) + "~anything"):
        decoded = valid(text)
        assert not any(decoded.opted_out(section) or decoded.known_child(section) for section in range(60))
    assert valid(header([single(40)]) + "~anything").sections == {40: "anything"}


@given(st.sets(st.integers(28, 3_000), min_size=1, max_size=12))
def test_headers_list_any_ids(ids: set[int]) -> None:
    """Ids beyond those that we know are listed and kept as text, as singles or as ranges."""
    listed = sorted(ids)
    singles = [single(step - before) for before, step in zip([0, *listed], listed, strict=False)]
    assert valid("~".join([header(singles), *["x"] * len(listed)])).section_ids == tuple(listed)
    span = "1" + fibonacci(listed[0]) + fibonacci(3)
    assert valid("~".join([header([span]), *"abcd"])).section_ids == tuple(range(listed[0], listed[0] + 4))


BROKEN = {
    "other type": "EBAA",
    "other version": "DCAA",
    "header too short": "DBA",
    "foreign character in the header": "DB!A~x",
    "group missing": header([single(30)], count=2) + "~x~y",
    "number without an end": header(["0" + "01" * 9]) + "~x",
    "range without an end": header(["1" + fibonacci(30)]) + "~x",
    "number of more than MAX_ID_BITS": header(["0" + "0" * gpp.MAX_ID_BITS + "11"]) + "~x",
    "more ids than sections": header(["1" + fibonacci(30) + fibonacci(2_000_000)]) + "~x",
    "more sections than ids": header([single(30)]) + "~x~y",
    "blank section": header([single(30)]) + "~ ",
    "us_privacy against its grammar": header([single(6)]) + "~1ynn",
    "TC string broken": header([single(2)]) + "~CQuC",
    "bare TC string broken": "CQuC",
    "empty core": header([single(8)]) + "~.YA",
    "empty second segment": header([single(8)]) + "~" + core_of(LAYOUTS[8]) + ".",
    "sensitive segment cut": header([single(26)]) + "~" + core_of(LAYOUTS[26]) + ".YA",
    "usnat of version 1 with a foreign character": header([single(7)]) + "~" + "!" * 10,
    "beyond ASCII": header([single(8)]) + "~" + core_of(LAYOUTS[8]) + "é",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_broken_strings_are_none(text: str) -> None:
    """Each way to be broken gives None."""
    assert gpp.decode(text) is None


def test_longest_string() -> None:
    """A string of the limit is read; one character more and it is not looked at."""
    start = header([single(30)]) + "~"
    longest = start + "x" * (gpp.MAX_GPP_CHARS - len(start))
    assert gpp.decode(longest) is not None
    assert gpp.decode(longest + "x") is None


@given(st.text(max_size=200), st.booleans())
def test_any_text_is_decoded_or_none(text: str, as_gpp: bool) -> None:
    """No text raises, with or without the start of a header."""
    decoded = gpp.decode("DB" + text if as_gpp else text)
    assert decoded is None or isinstance(decoded, Gpp)


@given(
    st.sampled_from([row["gpp"] for row in VALID]),
    st.lists(st.tuples(st.integers(0, 120), st.sampled_from([*bits.CHARS, "", ".", "~", "!"]))),
)
def test_mutated_strings_never_raise(text: str, changes: list[tuple[int, str]]) -> None:
    """A damaged string is None or answers every question."""
    for place, char in changes:
        place %= len(text) + 1
        text = text[:place] + char + text[place + 1 :]
    decoded = gpp.decode(text)
    if decoded is not None:
        for section in decoded.us.values():
            assert all(section.field(name) is not None for name in section.layout.fields)
        for section_id in decoded.section_ids:
            assert decoded.opted_out(section_id) in (True, False)
            assert decoded.known_child(section_id) in (True, False)
