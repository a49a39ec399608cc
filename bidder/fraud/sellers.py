"""Who may sell whose space: ads.txt, app-ads.txt and sellers.json, read with care for what the world puts into them.

Place: supply.py asks what these say; fetch.py brings them; pure.
Shapes: ads.txt lines `domain, seller id, DIRECT|RESELLER[, authority]  # comment`, variables `NAME=value`; sellers.json
    {"sellers": [{"seller_id", "seller_type", "domain"}]}. Domains are lower case; seller ids are kept as they are, for
    some exchanges tell cases apart.
Limits: MAX_BYTES, MAX_LINES, MAX_LINE of an ads.txt; MAX_SELLERS_BYTES and MAX_SELLERS of a sellers.json.
Raises: nothing: what cannot be read is None (no file) or is passed over and counted (a line).
Source: ads.txt 1.1 and app-ads.txt 1.0 (IAB Tech Lab), sellers.json 1.0.
"""

import re
from typing import Final

import msgspec
from msgspec import Struct

MAX_BYTES: Final = 1 << 20
MAX_LINES: Final = 20_000
MAX_LINE: Final = 1_024
MAX_SELLERS_BYTES: Final = 256 << 20
MAX_SELLERS: Final = 2_000_000
MAX_ID: Final = 256
_DOMAIN: Final = re.compile(
    r"(?=.{4,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+(?!\d+\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)
_EOL: Final = re.compile(r"[\r\n]+")
RELATIONS: Final = ("DIRECT", "RESELLER")


class AdsTxt(Struct, frozen=True):
    """What a publisher says of who sells its space."""

    sellers: dict[tuple[str, str], str]
    """(exchange's domain, seller id) to DIRECT or RESELLER; empty: nobody is authorised."""
    variables: dict[str, tuple[str, ...]]
    """subdomain, inventorypartnerdomain, ownerdomain, managerdomain, contact: names in lower case."""
    bad_lines: int = 0


class Seller(Struct, frozen=True, gc=False):
    """One entry of a sellers.json."""

    kind: str
    """PUBLISHER, INTERMEDIARY, BOTH or "" where it says nothing that we know."""
    domain: str
    """"" where it is confidential."""


class Sellers(Struct, frozen=True):
    """What an exchange says of those whose space it sells."""

    by_id: dict[str, Seller]
    domains: frozenset[str]
    """Of all of them."""
    bad_entries: int = 0


class _Entry(Struct, gc=False):
    seller_id: str | int | None = None
    seller_type: str | None = None
    domain: str | None = None


class _File(Struct, gc=False):
    sellers: list[msgspec.Raw]


_decode_file = msgspec.json.Decoder(_File).decode
_decode_entry = msgspec.json.Decoder(_Entry).decode


def is_domain(text: str) -> bool:
    """Whether a text is a host name of at least two labels, in lower case, and no address."""
    return _DOMAIN.fullmatch(text) is not None


def read_ads_txt(data: bytes) -> AdsTxt | None:
    """What an ads.txt or app-ads.txt says; None where the data is none: too large, binary, or a web page."""
    if len(data) > MAX_BYTES or b"\0" in data:
        return None
    text = data.decode("utf-8-sig", "replace")
    if text.lstrip()[:1] == "<":
        return None
    sellers: dict[tuple[str, str], str] = {}
    variables: dict[str, list[str]] = {}
    bad = 0
    lines = _EOL.split(text, MAX_LINES)
    for line in lines[:MAX_LINES]:
        bare = line.partition("#")[0].strip()
        if bare and (len(line) > MAX_LINE or not (_record(bare, sellers) or _variable(bare, variables))):
            bad += 1
    bad += len(lines) > MAX_LINES
    return AdsTxt(sellers, {name: tuple(values) for name, values in variables.items()}, bad)


def _record(line: str, sellers: dict[tuple[str, str], str]) -> bool:
    fields = [field.strip() for field in line.partition(";")[0].split(",")]
    if len(fields) < 3:
        return False
    domain, seller, relation = fields[0].lower(), fields[1], fields[2].upper()
    if relation not in RELATIONS or not seller or len(seller) > MAX_ID or not is_domain(domain):
        return False
    if domain != "placeholder.example.com":  # how the standard writes "nobody may sell this"
        sellers.setdefault((domain, seller), relation)
    return True


def _variable(line: str, variables: dict[str, list[str]]) -> bool:
    name, equals, value = line.partition("=")
    name = name.strip().lower()
    if not equals or not name.isidentifier() or len(variables) >= 64:
        return False
    variables.setdefault(name, []).append(value.strip().lower()[:MAX_ID])
    return True


def read_sellers_json(data: bytes) -> Sellers | None:
    """What a sellers.json says; None where the data is none."""
    if len(data) > MAX_SELLERS_BYTES:
        return None
    try:
        entries = _decode_file(data).sellers
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    by_id: dict[str, Seller] = {}
    bad = max(0, len(entries) - MAX_SELLERS)
    for raw in entries[:MAX_SELLERS]:
        try:
            entry = _decode_entry(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            bad += 1
            continue
        name = str(entry.seller_id).strip() if entry.seller_id is not None else ""
        if not name or len(name) > MAX_ID:
            bad += 1
            continue
        kind, domain = (entry.seller_type or "").upper(), (entry.domain or "").strip().lower()
        known = kind in ("PUBLISHER", "INTERMEDIARY", "BOTH")
        by_id[name] = Seller(kind if known else "", domain if is_domain(domain) else "")
    return Sellers(by_id, frozenset(seller.domain for seller in by_id.values() if seller.domain), bad)
