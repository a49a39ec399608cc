"""Personal data by its shape: what goes, and what must stay."""

from __future__ import annotations

import re
import string
from ipaddress import IPv4Address
from re import _parser  # type: ignore[attr-defined]  # the shapes of patterns stand nowhere else
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bidder.shop import scrub
from bidder.shop.scrub import MAX_TEXT, is_personal

LOCAL = st.text(string.ascii_letters + string.digits + "._+-", min_size=1, max_size=20)
DOMAIN = st.from_regex(r"[a-z0-9]{1,12}(\.[a-z0-9]{1,8})?\.[a-z]{2,6}", fullmatch=True)
EMAIL = st.builds("{}@{}".format, LOCAL, DOMAIN)
AROUND = st.sampled_from(["", " ", "mail: ", "a,", "<", "x=", "Jane Doe <"])
DIGITS = st.text(string.digits, min_size=8, max_size=15)
SEPARATOR = st.sampled_from(["", " ", "-", ".", "/"])


@given(EMAIL, AROUND, st.booleans(), st.integers(0, 3))
def test_every_address_is_found(email: str, before: str, prose: bool, escaped: int) -> None:
    """Anywhere in a text, in any field, behind up to three layers of URL escapes."""
    text = before + email
    for _ in range(escaped):
        text = quote(text, safe="")
    assert is_personal(text, prose=prose)


@given(DIGITS, st.data(), st.booleans())
def test_every_international_number_is_found(digits: str, data: st.DataObject, prose: bool) -> None:
    """A plus and 8 to 15 digits, however they are parted; escaped, or with the plus that a query made a blank."""
    parted = digits[0] + "".join(data.draw(SEPARATOR) + digit for digit in digits[1:])
    assert is_personal(f"+{parted}", prose=prose)
    assert is_personal(quote(f"+{parted}", safe=""), prose=prose)
    assert is_personal(f" {parted}", prose=prose)


PHONES = (
    "+49 171 1234567", "+1 (555) 123-4567", "+1-555-123-4567", "(555) 123-4567", "(555)123-4567", "555-123-4567",
    "1 555 123 4567", "0049 171 1234567", "0171 1234567", "0171/1234567", "0171-1234567", "(030) 1234567",
    "06 12 34 56 78", "06.12.34.56.78", "tel:5551234567", "call +4915112345678 now", "＋４９１７１１２３４５６７",
)  # fmt: skip


@pytest.mark.parametrize("text", PHONES)
def test_usual_forms_of_numbers_are_found(text: str) -> None:
    """As people of several countries write them, in any field."""
    assert is_personal(text)
    assert is_personal(text, prose=True)


@pytest.mark.parametrize("text", ["01711234567", "ring 0171-123-45-67", "0 17 11 23 45 67"])
def test_prose_has_no_numbers_of_its_own(text: str) -> None:
    """Where no number stands for itself, a leading 0 and nine digits are a phone number, however they are parted."""
    assert is_personal(text, prose=True)


@pytest.mark.parametrize(
    "text",
    [
        "jane(at)mail.example",
        "jane[at]mail.example",
        "jane&#64;mail.example",
        "jane＠mail.example",
        "é@ü.example",
    ],
)
def test_other_ways_to_write_an_address_are_found(text: str) -> None:
    """Those that people use to hide it from machines, and full-width ones."""
    assert is_personal(text)


ADDRESSES = (
    "203.0.113.177", "from 8.8.8.8", "203.0.113.177:8080", "http://203.0.113.177/", "192.0.2.1.", "203%2E0%2E113%2E177",
    "2001:db8::1", "[2001:db8:77:ca:7a:0:177:1]", "ip=2001:DB8::7:1,",
)  # fmt: skip
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64)",
    "ua=Opera/9.80 (Android)",
    "Dalvik/2.1.0",
    "Mozilla%2F5.0+(iPhone)",
)


@pytest.mark.parametrize("text", [*ADDRESSES, *AGENTS])
def test_addresses_and_agents_are_found(text: str) -> None:
    """Those of browsers, wherever they stand in a text."""
    assert is_personal(text)
    assert is_personal(text, prose=True)


@given(st.ip_addresses(v=4).filter(lambda address: address.packed[0] > 0))
def test_every_ipv4_address_is_found(address: IPv4Address) -> None:
    """None is taken for an article's number."""
    assert is_personal(str(address))


NAMES = (
    "SKU-12345678", "boot-1", "4006381333931", "00012345678905", "978-3-16-148410-0", "0-306-40615-2", "0123456789",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "2026-11-22", "ORD-2026-0001234", "ABC.1234567890", "A-555-123-4567",
    "2026112212345678", "10-20-30-40", "product@2x", "100% cotton", "12 (3)", "#12345678", "x2 (12) pack", "",
    "Shoes > Boots", "Größe 42", "42 43 44 45 46", "€ 12.50", "1.2.3", "v2.10.1", "10.20.30.400", "1.2.3.4.5",
    "0.1.2.3", "SKU1.2.3.4", "12:30:45", "Foo::Bar", "a:b:c", "Mozilla", "mug/2", "1:2:3:4",
)  # fmt: skip


@pytest.mark.parametrize("text", NAMES)
def test_names_of_things_stay(text: str) -> None:
    """SKUs, EANs, GTINs, ISBNs, UUIDs, dates, times, versions, plain numbers."""
    assert not is_personal(text)


@given(st.from_regex(r"[A-Z]{1,6}[-_]?[0-9]{1,12}([-_][A-Z0-9]{1,6})?", fullmatch=True))
@example("SKU-12345678")
def test_article_numbers_stay(text: str) -> None:
    """Letters, then digits: no such name of a product is dropped."""
    assert not is_personal(text)


@given(st.text(string.digits, max_size=20))
def test_plain_numbers_stay(text: str) -> None:
    """Digits alone are a product's, an order's or an event's name, as long as no plus stands before them."""
    assert not is_personal(text)


@given(st.uuids(), st.integers(0, 2**128 - 1))
def test_random_ids_stay(uuid: object, number: int) -> None:
    """UUIDs and hexadecimal ids are never taken for a number."""
    assert not is_personal(str(uuid))
    assert not is_personal(f"{number:032x}")


@given(st.text(max_size=128), st.booleans())
def test_any_text_is_answered(text: str, prose: bool) -> None:
    """No text makes it fail, and without a sign that such things have, or seven digits, it finds nothing."""
    found = is_personal(text, prose=prose)
    could = not text.isascii() or set(text) & set("@%&#([.:/") or sum(c.isdigit() for c in text) >= 7
    assert could or not found


FAMILIES = (
    "1", "(1)1", "(1)11 ", "1 ", "01 ", "0 ", "01.", "+1", "+1 ", "+(", "(0", "00 1", "tel:1", "tel:", "1-800-",
    "255.", "1.", "1.1", ":", "a:", ":a ", "::1", "@", "@a.", "a@", ".1", "(at)", "&#64;", "mozilla/", "1a", "(", "()",
    "%", "%25", "%2", "％", "\ufdfa", "½", "-", "0-", " 1", "\u0301\u0323",
)  # fmt: skip
BEFORE = ("", "(1)", "+0", "@", "123456a:")


@pytest.mark.parametrize("end", ["a", "-"])
@pytest.mark.parametrize("piece", FAMILIES)
def test_no_text_keeps_a_pattern_busy(piece: str, end: str) -> None:
    """10,000 characters that almost match, of every family and before every end, come back from each pattern."""
    for before in BEFORE:
        text = before + (piece * 10_000)[:10_000] + end
        for pattern in (*scrub._FORMS, scrub._PROSE, scrub._AT, scrub._AGENT, scrub._HINT):
            assert all(found[0] in text for found in pattern.finditer(text))
        scrub.is_address(text)
        scrub._is_email(text)


@pytest.mark.parametrize(
    "pattern",
    [
        *scrub._FORMS,
        scrub._PROSE,
        scrub._IPV4,
        scrub._IPV6,
        scrub._AT,
        scrub._BEHIND,
        scrub._AGENT,
        scrub._HINT,
    ],
    ids=lambda pattern: pattern.pattern[:24],
)
def test_no_repeat_without_end_stands_in_another(pattern: re.Pattern[str]) -> None:
    """Unless it never gives back what it took: else the two share out the same characters in ever more ways."""
    assert not _nested(_parser.parse(pattern.pattern, pattern.flags), endless=False)


def test_the_shape_is_seen() -> None:
    """The check above finds what it looks for, and lets the mended shape pass."""
    assert _nested(_parser.parse(r"x\d{2,}(?:[ .]?\d{2,})*y"), endless=False)
    assert not _nested(_parser.parse(r"x\d{2,}+(?:[ .]\d{2,}+)*y"), endless=False)


def _nested(part: Any, endless: bool) -> bool:
    """Whether a repeat without end stands in another that gives back what it took."""
    if isinstance(part, list | tuple):
        return any(_nested(each, endless) for each in part)
    if not isinstance(part, _parser.SubPattern):
        return False
    for name, told in part:
        without_end = str(name) in ("MAX_REPEAT", "MIN_REPEAT") and told[1] == _parser.MAXREPEAT
        if (endless and without_end) or _nested(
            told, (endless or without_end) and str(name) != "POSSESSIVE_REPEAT"
        ):
            return True
    return False


@pytest.mark.parametrize(
    "text", ["a" * (MAX_TEXT + 1), "1" * 10_000, "\ufdfa" * 14, "a" + "\ufdfa" * 60, "%EF%B7%BA" * 14]
)
def test_what_cannot_be_read_counts_as_personal(text: str) -> None:
    """More than MAX_TEXT characters, or characters that stand for many others, escaped or not."""
    assert is_personal(text)
    assert is_personal(text, prose=True)


@pytest.mark.parametrize(
    "text", ["a" * MAX_TEXT, "½", "Size ½", "㎡", "①②③", "Größe ㎝ × ㎝", "ﬁne oﬀer", "ハﾝドバッグ"]
)
def test_usual_signs_that_fold_stay(text: str) -> None:
    """Fractions, units, circled numbers, ligatures, half-width letters, and MAX_TEXT characters."""
    assert not is_personal(text)
