"""Writes consent strings bit by bit, to make what the reference encoders would not."""

from collections.abc import Iterable

CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def text_of(bits: str) -> str:
    """Base64url text of '0' and '1', padded with 0 to whole characters."""
    bits += "0" * (-len(bits) % 6)
    return "".join(CHARS[int(bits[place : place + 6], 2)] for place in range(0, len(bits), 6))


def number(value: int, width: int) -> str:
    """`value` in `width` bits."""
    return f"{value:0{width}b}"


def bit_field(ids: Iterable[int], max_id: int) -> str:
    """A vendor section as a bit field."""
    chosen = set(ids)
    return number(max_id, 16) + "0" + "".join("01"[i in chosen] for i in range(1, max_id + 1))


def entries(ranges: Iterable[tuple[int, int]]) -> str:
    """Entries (first, last), a single id where both are equal."""
    return "".join(
        "0" + number(first, 16) if first == last else "1" + number(first, 16) + number(last, 16)
        for first, last in ranges
    )


def range_section(ranges: list[tuple[int, int]], count: int | None = None) -> str:
    """A vendor section as ranges; `count` lies about their number."""
    return number(1200, 16) + "1" + number(len(ranges) if count is None else count, 12) + entries(ranges)


def restriction(purpose: int, kind: int, ranges: list[tuple[int, int]]) -> str:
    """One publisher restriction."""
    return number(purpose, 6) + number(kind, 2) + number(len(ranges), 12) + entries(ranges)


EMPTY_VENDORS = bit_field((), 0)


def core(
    consents: str = EMPTY_VENDORS,
    li: str = EMPTY_VENDORS,
    restrictions: Iterable[str] = (),
    *,
    created_s: int = 1_795_219_200,
    cmp_id: int = 300,
    policy_version: int = 4,
    service_specific: bool = True,
    purposes: int = 0,
    features: int = 0,
    undisclosed_purpose_one: bool = False,
    country: str = "DE",
) -> str:
    """Text of a core segment of version 2."""
    listed = list(restrictions)
    letters = "".join(number(ord(letter) - 65, 6) for letter in country)
    return text_of(
        number(2, 6)
        + number(created_s * 10, 36) * 2
        + number(cmp_id, 12)
        + number(1, 12)
        + number(1, 6)
        + "000100001101"
        + number(17, 12)
        + number(policy_version, 6)
        + ("1" if service_specific else "0")
        + "0"
        + number(features, 12)
        + number(purposes, 24)
        + number(0, 24)
        + ("1" if undisclosed_purpose_one else "0")
        + letters
        + consents
        + li
        + number(len(listed), 12)
        + "".join(listed)
    )


def disclosed(ids: Iterable[int], max_id: int) -> str:
    """The segment of disclosed vendors, with the dot before it."""
    return "." + text_of("001" + bit_field(ids, max_id))


def version_1(default_bit: str = "0", ranges: list[tuple[int, int]] | None = None) -> str:
    """A string of the dead version 1, with vendors as ranges."""
    fields = number(1, 6) + number(15_000_000_000, 36) * 2 + number(7, 12) + number(1, 12) + number(1, 6)
    listed = ranges or []
    vendors = number(500, 16) + "1" + default_bit + number(len(listed), 12) + entries(listed)
    return text_of(fields + "000100001101" + number(100, 12) + number(0b111 << 21, 24) + vendors)
