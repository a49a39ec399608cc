"""GPP strings: a header that lists section ids, then one section for each.

Place: called by `signals`, which asks for the sections in force (gpp_sid).
Shapes: US sections keep their core as one integer and are read by the table in `gpp_sections`.
Limits: MAX_GPP_CHARS; a header cannot name more sections than the string has.
Raises: nothing; what the official library refuses is None.
Source: IAB GPP 1.1; judged like @iabgpp/cmpapi 3.2.0, except that three things make the whole string None
  as well: a us_privacy section against its own grammar, a TC string that the TCF reference refuses, and a
  section id of more than MAX_ID_BITS.
"""

from functools import lru_cache
from typing import Final

from msgspec import Struct

from bidder.privacy import tcf, us_privacy
from bidder.privacy.base64url import decode_base64url
from bidder.privacy.gpp_sections import LAYOUTS, VALUE_BITS, Layout
from bidder.privacy.tcf import TcString
from bidder.privacy.us_privacy import UsPrivacy

MAX_GPP_CHARS: Final = 2 * tcf.MAX_TC_CHARS
"""Longest string read: a TC string of the longest kind and as much again for all other sections."""

MAX_ID_BITS: Final = 32
"""Longest Fibonacci code of a section id, good for ids beyond two millions: foreign numbers stay small."""

TCFEUV2: Final = 2
USPV1: Final = 6
USNAT: Final = 7

_HEADER_START: Final = "DB"  # type 3, version 1
_TC_START: Final = "C"  # a bare TC string, from before GPP
_GPC_BITS: Final = 3
_SENSITIVE_ELEMENTS: Final = 8
_HEADERS_KEPT: Final = 512  # real traffic has a few dozen combinations of sections
_SHORT_CHARS: Final = 3  # of the second segments that there are: few, and told from each other at once
_SHORT_KEPT: Final = 4_096
_VALUE_MASK: Final = (1 << VALUE_BITS) - 1


class UsSection(Struct, frozen=True, gc=False):
    """One US section; `core` holds `layout.width` bits."""

    layout: Layout
    core: int
    gpc: bool = False
    sensitive: int = 0

    def field(self, name: str) -> int | tuple[int, ...] | None:
        """The field's value, a tuple for a list; None if this section has no such field."""
        if name == "SensitiveDataProcessing" and self.layout.has_sensitive:
            return _values(self.sensitive, _SENSITIVE_ELEMENTS)
        field = self.layout.fields.get(name)
        if field is None:
            return None
        value = self.core >> field.shift
        if not field.is_list:
            return value & ((1 << field.bits) - 1)
        values = _values(value, field.elements)
        return values[: _USNAT_V1_ELEMENTS.get(name)] if self._is_usnat_v1() else values

    def _is_usnat_v1(self) -> bool:
        return self.layout.section_id == USNAT and self.core >> (self.layout.width - 6) == 1


class Gpp(Struct, frozen=True, gc=False):
    """A decoded string: every section as text, those that we understand decoded."""

    sections: dict[int, str]
    us: dict[int, UsSection]
    tcf: TcString | None = None
    usp: UsPrivacy | None = None

    @property
    def section_ids(self) -> tuple[int, ...]:
        """Ids of all sections, in the order of the string."""
        return tuple(self.sections)

    def opted_out(self, section_id: int) -> bool:
        """Whether this section tells of an opt-out, its GPC signal included; False if it is not there."""
        if section_id == USPV1:
            return self.usp is not None and self.usp.opted_out
        section = self.us.get(section_id)
        return section is not None and (section.gpc or opted_out(section))

    def known_child(self, section_id: int) -> bool:
        """Whether this section speaks of a known child; False if it is not there."""
        section = self.us.get(section_id)
        return section is not None and known_child(section)

    def tc_string(self) -> str:
        """The TC string of section 2 as text; empty if it is not there. Decoded, it is `tcf`."""
        return self.sections.get(TCFEUV2, "")


def decode(gpp: str) -> Gpp | None:
    """The string's sections, or None where the official library refuses it. The empty string has none."""
    if len(gpp) > MAX_GPP_CHARS:
        return None
    if gpp.startswith(_TC_START):
        return _read_sections({TCFEUV2: gpp})
    header, *texts = gpp.split("~")
    if not gpp:
        return Gpp({}, {})
    ids = _section_ids(header, len(texts)) if header.startswith(_HEADER_START) else None
    if ids is None or len(ids) != len(texts) or not all(map(str.strip, texts)):
        return None
    return _read_sections(dict(zip(ids, texts, strict=True)))


def opted_out(section: UsSection) -> bool:
    """Whether the person opted out of sale, sharing or targeted advertising."""
    return section.core & section.layout.opt_out_mask != 0


def gpc(section: UsSection) -> bool:
    """Whether the section carries the Global Privacy Control signal."""
    return section.gpc


def known_child(section: UsSection) -> bool:
    """Whether the section speaks of a known child, with or without consent; only 0 says that it does not."""
    return section.core & section.layout.child_mask != 0


def _read_sections(sections: dict[int, str]) -> Gpp | None:
    us: dict[int, UsSection] = {}
    tc = usp = None
    for section_id, text in sections.items():
        layout = LAYOUTS.get(section_id)
        if layout is not None:
            section = _read_us(layout, text)
            if section is None:
                return None
            us[section_id] = section
        elif section_id == TCFEUV2:
            tc = tcf.decode(text)
            if tc is None:
                return None
        elif section_id == USPV1:
            usp = us_privacy.parse(text.partition(".")[0])
            if usp is None:
                return None
    return Gpp(sections, us, tc, usp)


def _read_us(layout: Layout, text: str) -> UsSection | None:
    core_text, *rest = text.split(".")
    core = _core(layout, core_text)
    if core is None:
        return None
    if not rest or not (layout.has_gpc or layout.has_sensitive):
        return UsSection(layout, core)
    width = _GPC_BITS if layout.has_gpc else _SENSITIVE_ELEMENTS * VALUE_BITS
    second = _short_bits(rest[0], width) if len(rest[0]) <= _SHORT_CHARS else _leading_bits(rest[0], width)
    if second is None:
        return None
    if layout.has_gpc:
        return UsSection(layout, core, gpc=second & 1 == 1)
    return UsSection(layout, core, sensitive=second)


def _core(layout: Layout, text: str) -> int | None:
    if layout.section_id == USNAT and len(text) in _USNAT_V1_CHARS:
        short = _leading_bits(text, _USNAT_V1_BITS)
        return None if short is None else _widen_usnat(short)
    return _leading_bits(text, layout.width)


def _leading_bits(text: str, width: int) -> int | None:
    """The first `width` bits of base64url text; None if it is shorter or no base64url."""
    bits = decode_base64url(text)
    if bits is None or 6 * len(text) < width:
        return None
    return int.from_bytes(bits, "big") >> (8 * len(bits) - width)


_short_bits = lru_cache(_SHORT_KEPT)(_leading_bits)

# usnat of version 1: 12 sensitive data elements instead of 16, 2 child consents instead of 3, so 60 bits,
# written with or without padding to whole bytes.
_USNAT_V1_BITS: Final = 60
_USNAT_V1_CHARS: Final = (10, 11)
_USNAT_V1_ELEMENTS: Final = {"SensitiveDataProcessing": 12, "KnownChildSensitiveDataConsents": 2}


def _widen_usnat(short: int) -> int:
    """The 60 bits of version 1 as the 70 bits of version 2, added elements being 0."""
    notices_and_sensitive, children, rest = short >> 12, short >> 8 & 0xF, short & 0xFF
    return notices_and_sensitive << 22 | children << 10 | rest


def _values(bits: int, elements: int) -> tuple[int, ...]:
    return tuple(bits >> VALUE_BITS * place & _VALUE_MASK for place in range(elements - 1, -1, -1))


@lru_cache(maxsize=_HEADERS_KEPT)
def _section_ids(header: str, most: int) -> tuple[int, ...] | None:
    """Section ids of the header; None if it is broken or names more than `most`."""
    text = header.partition(".")[0]
    bits = decode_base64url(text)
    length = 6 * len(text)
    if bits is None or length < 24:
        return None
    flags = bin(int.from_bytes(b"\x01" + bits, "big"))[3 : 3 + length]
    ids: list[int] = []
    place, last = 24, 0
    for _ in range(int(flags[12:24], 2)):
        is_range = flags[place : place + 1] == "1"
        first, place = _fibonacci(flags, place + 1)
        end = first
        if is_range:
            end, place = _fibonacci(flags, place)
        if place > length:
            return None
        first += last
        last = first + end if is_range else first
        if len(ids) + last - first >= most:
            return None
        ids.extend(range(first, last + 1))
    return tuple(ids)


def _fibonacci(flags: str, start: int) -> tuple[int, int]:
    """The Fibonacci-coded number at `start` and the place after it, beyond the end if it is not complete."""
    end = flags.find("11", start, start + MAX_ID_BITS)
    if end < 0:
        return 0, len(flags) + 1
    value, this, following = 0, 1, 2
    for flag in flags[start : end + 1]:
        if flag == "1":
            value += this
        this, following = following, this + following
    return value, end + 2
