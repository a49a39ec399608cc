"""Personal data by its shape: what goes, and what must stay."""

from __future__ import annotations

import string
from ipaddress import IPv4Address
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bidder.shop.scrub import is_personal

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
