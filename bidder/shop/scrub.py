"""Personal data that shops send by mistake, found by its shape: e-mail addresses, phone numbers, addresses, agents.

Place: intake asks it about every text of an event before anything else sees the text.
Shapes: what is looked at is the text as sent, and the same with its URL escapes undone, up to UNQUOTED times (`%40`,
    `%2540`), full-width letters and digits folded (NFKC).
Rule: an e-mail address anywhere in a text is one; so are four numbers up to 255 with dots between them and nothing
    around them (IPv4), an IPv6 address of three groups or more, and what browsers begin their user agent with. What is
    a phone number depends on the field:
    in names (product, order, event ids) digits are ordinary, so it takes a form that only phone numbers have: a plus
    or `tel:` before 8 to 15 digits; 00 and separated groups; brackets around an area code; the North American
    3-3-4 with separators; a leading 0 and groups parted by blanks, dots or slashes, or by one hyphen after an area
    code. `SKU-12345678`, EANs, GTINs, ISBNs, UUIDs and plain numbers stay.
    In prose (categories) a leading 0 with 9 to 15 digits is a phone number, too, however it is parted.
Limits: a text of more than MAX_TEXT characters, or one that folding more than doubles (a single character may stand
    for eighteen), is not read but counts as personal: nobody can tell. No pattern has two ways to match the same
    characters, so that the work grows with the length of a text and no faster.
Never: an answer that holds the text.
"""

import re
import unicodedata
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import unquote

MAX_TEXT: Final = 512
"""Twice the longest that is kept of anybody: the user id of an exchange."""
UNQUOTED: Final = 3
"""Escapes within escapes; a text that goes through four systems was not sent by mistake."""

_GROWTH, _SPARE = 2, 8  # a short text may hold a fraction or a unit that is folded to several characters
_AT: Final = re.compile(r"\(at\)|\[at\]|&#64;|&#x40;|&commat;", re.I)
_BEHIND: Final = re.compile(r"[^\s@<>\"',;]+\.[^\W\d_]{2,}")
_NO_NAME: Final = frozenset(" \t\r\n@<>\"',;")
_MIN_DIGITS, _MAX_DIGITS = 8, 15  # ITU-T E.164: 15 at most; the shortest international ones have 8
_SEP: Final = r"[\s./()‐-―-]{0,3}"
_BEFORE, _AFTER = r"(?<![\w.-])", r"(?![\w-])"
_FORMS: Final = [  # candidates; their digits are counted
    re.compile(pattern, re.I)
    for pattern in (
        rf"{_BEFORE}\+{_SEP}\d(?:{_SEP}\d){{7,14}}{_AFTER}",
        rf"tel:{_SEP}\+?\d(?:{_SEP}\d){{5,14}}{_AFTER}",
        rf"{_BEFORE}00[1-9]\d{{0,2}}[\s./()-]{{1,3}}\d(?:{_SEP}\d){{5,12}}{_AFTER}",
        rf"{_BEFORE}(?:\+?1[\s.-])?\d{{3}}[\s.-]\d{{3}}[\s.-]\d{{4}}{_AFTER}",
        rf"{_BEFORE}(?:\+?\d{{1,3}}[\s.-]?)?\(\d{{1,6}}+\)[\s.-]?\d{{2,}}+(?:[\s.-]\d{{2,}}+)*{_AFTER}",
        rf"{_BEFORE}0\d{{1,5}}(?:[\s./]\d{{1,8}})+{_AFTER}",
        rf"{_BEFORE}0[1-9]\d{{1,4}}-\d{{5,8}}{_AFTER}",
        rf"{_BEFORE}0[1-9](?:[\s.-]\d\d){{4}}{_AFTER}",
    )
]
_PROSE: Final = re.compile(rf"(?<!\w)\(?0\d?(?:{_SEP}\d){{7,13}}(?!\w)")
_MIN_NATIONAL: Final = 9
_OCTET: Final = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4: Final = re.compile(rf"(?<![\w.])(?!0\.)(?:{_OCTET}\.){{3}}{_OCTET}(?!\w|\.\w)")
_IPV6: Final = re.compile(r"(?<![\w:])[0-9a-f:]{2,39}+(?![\w:])", re.I)
_AGENT: Final = re.compile(r"\b(?:mozilla|opera|dalvik)/\d", re.I)
_MIN_GROUPS, _MIN_COLONS = 3, 2
_HINT: Final = re.compile(r"[@%&#(\[]|[^\x00-\x7f]|(?:\d\D*+){7}|\d\.\d++\.\d++\.\d|:[^:]*+:|[a-z]/\d", re.I)
"""Without one of these a text is neither; most texts end here."""


def is_personal(text: str, *, prose: bool = False) -> bool:
    """Whether a text holds an e-mail address or a phone number, or is none that can be read; `prose` where no number
    stands for itself."""
    if len(text) > MAX_TEXT:
        return True
    if not text or not _HINT.search(text):
        return False
    readings = _readings(text)
    return readings is None or any(
        _is_email(form) or is_address(form) or _AGENT.search(form) or _is_phone(form, prose)
        for form in readings
    )


def is_address(text: str) -> bool:
    """Whether a text holds an IPv4 or IPv6 address."""
    return _IPV4.search(text) is not None or any(_is_ipv6(found[0]) for found in _IPV6.finditer(text))


def _is_ipv6(text: str) -> bool:
    if text.count(":") < _MIN_COLONS:
        return False
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return sum(map(bool, text.split(":"))) >= _MIN_GROUPS


def _readings(text: str) -> list[str] | None:
    """The text, and what it reads as with its escapes undone; None where folding makes too much of it."""
    readings: list[str] = []
    for _ in range(UNQUOTED + 1):
        undone = unquote(readings[-1], errors="replace") if readings else text
        folded = unicodedata.normalize("NFKC", undone)
        if len(folded) > _GROWTH * len(undone) + _SPARE:
            return None
        if readings and folded == readings[-1]:
            break
        readings.append(folded)
    return readings


def _is_email(text: str) -> bool:
    text = _AT.sub("@", text)
    at = text.find("@")
    while at >= 0:
        if at and text[at - 1] not in _NO_NAME and _BEHIND.match(text, at + 1):
            return True
        at = text.find("@", at + 1)
    return False


def _is_phone(text: str, prose: bool) -> bool:
    if text[:1] == " " and text[1:2].isdigit():  # a plus that a query's decoding made a blank
        text = f"+{text[1:]}"
    if any(_enough(found[0], _MIN_DIGITS) for form in _FORMS for found in form.finditer(text)):
        return True
    return prose and any(_enough(found[0], _MIN_NATIONAL) for found in _PROSE.finditer(text))


def _enough(text: str, least: int) -> bool:
    return least <= sum(character.isdigit() for character in text) <= _MAX_DIGITS
