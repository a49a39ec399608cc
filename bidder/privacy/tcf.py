"""TC strings of the Transparency and Consent Framework, decoded to masks and vendor sets.

Place: called by `signals`; `gate` asks `acceptable` and then for purposes and vendors.
Shapes: purposes and special features stay in the order of the wire; `purposes_mask` and `features_mask` build
  the masks to compare with, once, at start.
Units: `created_s` seconds since 1970.
Limits: MAX_TC_CHARS.
Raises: nothing; what the official library refuses is None.
Source: TCF string and API text v2.3; judged like @iabtechlabtcf/core 1.5.21, except that the core segment
  must come first and only once.
"""

from enum import Enum
from struct import Struct as Packing
from typing import Final

from msgspec import Struct

from bidder.privacy.base64url import decode_base64url
from bidder.privacy.vendors import (
    EMPTY,
    VendorSet,
    bits_text,
    end_of_entries,
    has_reversed_range,
    names,
    read_vendors,
)

MAX_TC_CHARS: Final = 8192
"""Longest string read: servers commonly cut request lines and headers at 8 KiB, so none travels longer."""

POLICY_4_FROM_S: Final = 1_696_118_400
"""2023-10-01 UTC: strings created after 30 September 2023 need policy version 4 or later."""

DISCLOSED_FROM_S: Final = 1_772_323_200
"""2026-03-01 UTC: strings created after 28 February 2026 need the segment of disclosed vendors."""

CLOCK_TOLERANCE_S: Final = 86_400
"""`created` has the precision of a day and is written by a browser's clock: a day ahead is no lie."""

_PURPOSES: Final = 24
_FEATURES: Final = 12
_CORE_WORDS: Final = Packing(">QQQQ")
_CORE_MIN_CHARS: Final = 44  # 259 bits: the fixed fields, two empty vendor sections, no restriction
_V1_MIN_CHARS: Final = 29
_LETTERS: Final = tuple(chr(65 + code).upper() for code in range(58))  # the reference takes A to z
_SEGMENT_TYPE: Final = {
    char: place >> 3
    for place, char in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
}
_DISCLOSED, _ALLOWED, _PUBLISHER = 1, 2, 3
_SINGLE_BITS: Final = 17  # an entry of one vendor; one of a range is longer
_RESTRICTION_HEAD_BITS: Final = 20  # purpose 6, kind 2, count of entries 12


class Refusal(Enum):
    """Why a string that decodes is no consent all the same."""

    DEAD_VERSION = "version is not 2"
    GLOBAL_SCOPE = "not service-specific: global scope is dead"
    OLD_POLICY = "policy version below 4, created after 30 September 2023"
    NOT_DISCLOSED = "no segment of disclosed vendors, created after 28 February 2026"
    FUTURE = "created in the future"


class RestrictionType(Enum):
    """What a publisher imposes on vendors for a purpose."""

    NOT_ALLOWED = 0
    REQUIRE_CONSENT = 1
    REQUIRE_LI = 2


_RESTRICTIONS: Final = tuple(RestrictionType)


class Restriction(Struct, frozen=True, gc=False):
    """One publisher restriction; `entries` as in `vendors`."""

    purpose: int
    kind: RestrictionType
    entries: str

    def names(self, vendor_id: int) -> bool:
        """Whether it holds for this vendor."""
        return names(self.entries, vendor_id)


class PublisherTc(Struct, frozen=True, gc=False):
    """The publisher's own purposes, read when asked for: a bidder seldom does."""

    segment: bytes
    custom_count: int

    @property
    def consents(self) -> int:
        """Purposes consented to, as `TcString.purposes_consent`."""
        return _uint(self.segment, 3, _PURPOSES)

    @property
    def li(self) -> int:
        """Purposes under legitimate interest, as `TcString.purposes_li`."""
        return _uint(self.segment, 27, _PURPOSES)

    @property
    def custom_consents(self) -> int:
        """Consent to custom purposes; purpose k stands at bit `custom_count - k`."""
        return _uint(self.segment, 57, self.custom_count)

    @property
    def custom_li(self) -> int:
        """Legitimate interests of custom purposes, likewise."""
        return _uint(self.segment, 57 + self.custom_count, self.custom_count)


class TcString(Struct, frozen=True, gc=False):
    """A decoded string. Masks are in wire order: see `purposes_mask` and `features_mask`."""

    version: int
    created_s: int
    cmp_id: int
    policy_version: int
    is_service_specific: bool
    special_features: int
    purposes_consent: int
    purposes_li: int
    purpose_one_treatment: bool
    publisher_cc: str
    vendor_consents: VendorSet
    vendor_li: VendorSet
    restrictions: tuple[Restriction, ...] = ()
    disclosed: VendorSet | None = None
    allowed: VendorSet | None = None
    publisher: PublisherTc | None = None

    def has_vendor(self, vendor_id: int) -> bool:
        """Whether this vendor has consent."""
        return vendor_id in self.vendor_consents

    def has_vendor_li(self, vendor_id: int) -> bool:
        """Whether this vendor may claim a legitimate interest."""
        return vendor_id in self.vendor_li

    def restriction(self, purpose: int, vendor_id: int) -> RestrictionType | None:
        """The strictest restriction of this purpose for this vendor: not allowed, else consent, else LI."""
        kinds = [r.kind for r in self.restrictions if r.purpose == purpose and r.names(vendor_id)]
        return min(kinds, key=lambda kind: kind.value) if kinds else None

    def withheld(self, purpose: int, vendor_id: int) -> RestrictionType | None:
        """The restriction by which consent to this purpose is of no use to a vendor that asks for nothing but consent:
        it is not allowed, or may rest on legitimate interest alone; None if it is of use."""
        kind = self.restriction(purpose, vendor_id)
        return None if kind is RestrictionType.REQUIRE_CONSENT else kind


def purposes_mask(*purposes: int) -> int:
    """Mask of these purposes (1 to 24): consent to all of them is `tc.purposes_consent & mask == mask`."""
    return sum(1 << _PURPOSES - purpose for purpose in set(purposes))


def features_mask(*features: int) -> int:
    """Mask of these special features (1 to 12), to compare with `tc.special_features`."""
    return sum(1 << _FEATURES - feature for feature in set(features))


def decode(tc: str) -> TcString | None:
    """The string's fields, or None where the official library refuses it."""
    if len(tc) > MAX_TC_CHARS:
        return None
    if "." not in tc:
        return _read_core(tc, _NO_SEGMENTS)
    core, *rest = tc.split(".")
    segments = _read_segments(rest)
    if segments is None or core[:1] != "C":  # version 1 knows no further segments
        return None
    return _read_core(core, segments)


def refusal(tc: TcString, now_s: int) -> Refusal | None:
    """The first rule of the text that this string breaks; None if it may be used at `now_s`."""
    if tc.version != 2:
        return Refusal.DEAD_VERSION
    if not tc.is_service_specific:
        return Refusal.GLOBAL_SCOPE
    if tc.policy_version < 4 and tc.created_s >= POLICY_4_FROM_S:
        return Refusal.OLD_POLICY
    if tc.disclosed is None and tc.created_s >= DISCLOSED_FROM_S:
        return Refusal.NOT_DISCLOSED
    if tc.created_s > now_s + CLOCK_TOLERANCE_S:
        return Refusal.FUTURE
    return None


def acceptable(tc: TcString, now_s: int) -> bool:
    """Whether the string is consent at all; see `refusal` for the reason if not."""
    return refusal(tc, now_s) is None


_Segments = tuple[VendorSet | None, VendorSet | None, PublisherTc | None]
_NO_SEGMENTS: Final[_Segments] = (
    None,
    None,
    None,
)  # disclosed vendors, allowed vendors, publisher's purposes


def _read_core(core: str, segments: _Segments) -> TcString | None:
    version = core[:1]
    if version != "C":
        return _read_v1(core) if version == "B" else None
    bits = decode_base64url(core)
    end_bit = 6 * len(core)
    if bits is None or len(core) < _CORE_MIN_CHARS:
        return None
    # Four words of 64 bits; a field keeps its distance from the end of its word.
    first, second, third, fourth = _CORE_WORDS.unpack_from(bits)
    cmp_id = second >> 38 & 0xFFF
    country = _country(fourth >> 43 & 0xFFF)
    if cmp_id < 2 or country is None:
        return None
    consents = read_vendors(bits, 213, end_bit)
    if consents is None:
        return None
    interests = read_vendors(bits, consents.end_bit, end_bit)
    if interests is None:
        return None
    restrictions = _read_restrictions(bits, interests.end_bit, end_bit)
    if restrictions is None:
        return None
    return TcString(
        2,
        (first >> 22 & 0xFFFFFFFFF) // 10,
        cmp_id,
        third >> 54 & 0x3F,
        third >> 53 & 1 == 1,
        third >> 40 & 0xFFF,
        third >> 16 & 0xFFFFFF,
        (third & 0xFFFF) << 8 | fourth >> 56,
        fourth >> 55 & 1 == 1,
        country,
        consents,
        interests,
        restrictions,
        *segments,
    )


def _country(letters: int) -> str | None:
    high, low = letters >> 6, letters & 63
    return _LETTERS[high] + _LETTERS[low] if high < len(_LETTERS) and low < len(_LETTERS) else None


def _read_v1(core: str) -> TcString | None:
    bits = decode_base64url(core)
    if bits is None or len(core) < _V1_MIN_CHARS:
        return None
    cmp_id = _uint(bits, 78, 12)
    consents = read_vendors(bits, 156, 6 * len(core), default_bit=True)
    if cmp_id < 2 or consents is None:
        return None
    return TcString(
        version=1,
        created_s=_uint(bits, 6, 36) // 10,
        cmp_id=cmp_id,
        policy_version=1,
        is_service_specific=False,
        special_features=0,
        purposes_consent=_uint(bits, 132, _PURPOSES),
        purposes_li=0,
        purpose_one_treatment=False,
        publisher_cc="AA",
        vendor_consents=consents,
        vendor_li=EMPTY,
    )


def _read_restrictions(bits: bytes, bit: int, end_bit: int) -> tuple[Restriction, ...] | None:
    if bit + 12 > end_bit:
        return None
    count = _uint(bits, bit, 12)
    if count == 0:
        return ()
    text = bits_text(bits, bit + 12, end_bit)
    restrictions = []
    place = 0
    for _ in range(count):
        start = place + _RESTRICTION_HEAD_BITS
        if start > len(text):
            return None
        head = int(text[place:start], 2)
        place = end_of_entries(text, start, head & 0xFFF)
        if place < 0:
            return None
        if place == start:  # restricts nobody
            continue
        purpose, kind, entries = head >> 14, head >> 12 & 3, text[start:place]
        if purpose == 0 or kind >= len(_RESTRICTIONS):
            return None
        if place - start > _SINGLE_BITS * (head & 0xFFF) and has_reversed_range(entries):
            return None
        restrictions.append(Restriction(purpose, _RESTRICTIONS[kind], entries))
    return tuple(restrictions)


def _read_segments(texts: list[str]) -> _Segments | None:
    disclosed = allowed = publisher = None
    for text in texts:
        kind = _SEGMENT_TYPE.get(text[:1])
        bits = decode_base64url(text)
        if bits is None:
            return None
        if kind == _PUBLISHER:
            publisher = _read_publisher(bits, 6 * len(text))
            if publisher is None:
                return None
            continue
        vendors = read_vendors(bits, 3, 6 * len(text))
        if vendors is None:
            return None
        if kind == _DISCLOSED:
            disclosed = vendors
        elif kind == _ALLOWED:
            allowed = vendors
        else:
            return None
    return disclosed, allowed, publisher


def _read_publisher(bits: bytes, end_bit: int) -> PublisherTc | None:
    if end_bit < 57:
        return None
    count = (bits[6] & 0x1F) << 1 | bits[7] >> 7  # bits 51 to 56
    if 57 + 2 * count > end_bit:
        return None
    return PublisherTc(bits, count)


def _uint(bits: bytes, bit: int, width: int) -> int:
    end = bit + width
    return int.from_bytes(bits[bit >> 3 : (end + 7) >> 3], "big") >> (-end & 7) & ((1 << width) - 1)
