"""A bid's token: what a notice, a beacon or a click must prove that it came from our bid.

Place: respond seals one claim per bid; web/public opens what comes back.
Shapes: a claim is CLAIM_BYTES packed big-endian (version and key id first), a tag of TAG_BYTES follows;
    the text is their base64url, TOKEN_CHARACTERS long and without padding: one claim has one text alone.
    One HMAC-SHA256 over the claim gives both tags: its first half signs what the exchange calls, its
    second half what browsers see, so that a token read in a page cannot be replayed as a bill.
    The person's 16 bytes are mixed (XOR) with a keystream: keyed BLAKE2b of the bid id, under a key of its own
    that is derived from the signing secret; the tags cover what was mixed. So a page cannot tell who it was made
    for, nor that two pages were made for the same person, nor whether it was made for anybody.
Rule: a claim names its advertiser beside its line item, so that a bill finds its wallet though the line item is gone.
Units: prices in CPM micros of the bid's currency; `rate_ppm` millionths of the advertiser's currency per
    unit of the bid's currency; times in seconds since the epoch.
Limits: any other length is refused before it is decoded. A keystream serves one bid: ids are 96 random bits, and
    among 2^40 bids of one key (a year at 35,000 a second) two are alike with odds of 1 in 130,000; such a pair
    would tell the difference of two people's tags to who holds both tokens, and nothing else.
Never: an identifier of a person that could be read without the key.
"""

import binascii
import hmac
import struct
from enum import Enum
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Final

from msgspec import Struct

from bidder.notices.keys import Key, Keyring
from budget import store

VERSION: Final = 3
TEST: Final = 1
"""Flag: the request was a test; the bid never spends."""
DEAL: Final = 2
"""Flag: the bid answered a deal."""
VISITOR: Final = 4
"""Flag: `person` names a visitor by what we saw (address and agent, an id that nobody matched), none of our people."""
MEASURE: Final = 8
"""Flag: `person` is one of our people, and may be recorded with the impression and its clicks."""
PERSONAL: Final = 16
"""Flag: `person` is one of our people, and what is known of them may be shown in the ad."""
SUSPECT: Final = 32
"""Flag: the request may have been invalid traffic."""
BID_ID_BYTES: Final = 12
PERSON_BYTES: Final = 16
NOBODY: Final = bytes(PERSON_BYTES)
"""The person of a bid for which none is counted."""
LATE_S: Final = store.LATE_S
"""How long after its deadline a notice is still believed: late money, charged from what is available then.
Exchanges retry a bill for minutes; an hour outlasts an outage between us and them that somebody notices."""

_CLAIM: Final = struct.Struct(">BB12sIQQQQ3sQHBIIQ16sH")  # together with a tag a multiple of three bytes
CLAIM_BYTES: Final = _CLAIM.size
TAG_BYTES: Final = 16
_BLOCK_BYTES: Final = 64
TOKEN_CHARACTERS: Final = (CLAIM_BYTES + TAG_BYTES) * 4 // 3
assert (CLAIM_BYTES + TAG_BYTES) % 3 == 0, "base64 without padding has one text per claim"

_TO_WEB: Final = bytes.maketrans(b"+/", b"-_")
_PERSON_DOMAIN: Final = b"paceline/person"
_FROM_WEB: Final = str.maketrans(
    "-_+/=", "+/!!!"
)  # the standard alphabet's own two, and padding, are refused


class Claim(Struct, frozen=True, gc=False, kw_only=True):
    """What a token says of a bid."""

    bid_id: bytes
    """BID_ID_BYTES random bytes."""
    exchange: int
    """`key32` of the profile's name."""
    advertiser: int
    """`key64` of the advertiser's id: whose wallet pays."""
    line_item: int
    """`key64` of the advertiser's id, a slash and the line item's id."""
    creative: int
    """`key64` of the advertiser's id, a slash and the creative's id."""
    bid_cpm_micros: int
    currency: str
    """Three letters: the currency of `bid_cpm_micros`."""
    rate_ppm: int
    imp: int
    """Which impression of the request, from 0."""
    flags: int
    issued_s: int
    expires_s: int
    """The last second in which a notice changes anything: the deadline and LATE_S."""
    lease: int = 0
    """The lease that the bid's cost was reserved in, u64; 0: none."""
    person: bytes = NOBODY
    """PERSON_BYTES: the tag under which the impression counts towards frequency caps."""
    placement: int = 0
    """16 bits of a hash of exchange, publisher and tag, to count clicks by; 0: not known. Some placements share one."""

    @property
    def deadline_s(self) -> int:
        """The last second in which the bid's reservation stands."""
        return self.expires_s - LATE_S

    @property
    def test(self) -> bool:
        """Whether the bid answered a test request."""
        return bool(self.flags & TEST)

    @property
    def suspect(self) -> bool:
        """Whether the request that was bid on may have been invalid traffic."""
        return bool(self.flags & SUSPECT)

    @property
    def visitor(self) -> bool:
        """Whether `person` is the tag of a visitor, not of one of our people."""
        return bool(self.flags & VISITOR)

    @property
    def measured(self) -> bool:
        """Whether the person may be recorded with what became of the bid."""
        return bool(self.flags & MEASURE)

    @property
    def personal(self) -> bool:
        """Whether what is known of the person may be shown in the ad."""
        return bool(self.flags & PERSONAL)


class Sealed(Struct, frozen=True, gc=False):
    """One claim's two tokens."""

    exchange_token: str
    """For the notices that the exchange sends: win, bill, loss."""
    browser_token: str
    """For what stands in the markup: impression beacon, click."""


class Audience(Enum):
    """Who was given a token; the value is where its tag stands in the HMAC."""

    EXCHANGE = slice(0, TAG_BYTES)
    BROWSER = slice(TAG_BYTES, 2 * TAG_BYTES)


class TokenFault(Enum):
    """Why a token is not believed."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    FORGED = "forged"
    EXPIRED = "expired"


def seal(claim: Claim, key: Key) -> Sealed:
    """Both tokens of a claim; a field outside its width raises struct.error (our bug)."""
    packed = _CLAIM.pack(
        VERSION,
        key.id,
        claim.bid_id,
        claim.exchange,
        claim.advertiser,
        claim.line_item,
        claim.creative,
        claim.bid_cpm_micros,
        claim.currency.encode(),
        claim.rate_ppm,
        claim.imp,
        claim.flags,
        claim.issued_s,
        claim.expires_s,
        claim.lease,
        _mixed(claim.person, claim.bid_id, key.secret),
        claim.placement,
    )
    tags = _tags(key.secret, packed)
    both = binascii.b2a_base64(packed + tags[:TAG_BYTES] + packed + tags[TAG_BYTES:], newline=False)
    text = both.translate(_TO_WEB).decode("ascii")
    return Sealed(text[:TOKEN_CHARACTERS], text[TOKEN_CHARACTERS:])


def _tags(secret: bytes, packed: bytes) -> bytes:
    """HMAC-SHA256, as RFC 2104 spells it: 0.8 us, where `hmac.digest` takes 1.4 to find its way into OpenSSL."""
    inner, outer = _pads(secret)
    return sha256(outer + sha256(inner + packed).digest()).digest()


@lru_cache(16)
def _pads(secret: bytes) -> tuple[bytes, bytes]:
    if len(secret) > _BLOCK_BYTES:
        secret = sha256(secret).digest()
    key = secret.ljust(_BLOCK_BYTES, b"\0")
    return bytes([byte ^ 0x36 for byte in key]), bytes([byte ^ 0x5C for byte in key])


def _mixed(person: bytes, bid_id: bytes, secret: bytes) -> bytes:
    """A person's bytes XOR the keystream of a bid: hides them, and shows them again."""
    keyed = _keystream(secret).copy()  # 0.36 us; made anew with its key it would be 0.55
    keyed.update(bid_id)
    stream = keyed.digest()
    if person is NOBODY:
        return stream
    mixed = int.from_bytes(person, "big") ^ int.from_bytes(stream, "big")
    return mixed.to_bytes(PERSON_BYTES, "big")


@lru_cache(16)
def _keystream(secret: bytes) -> blake2b:
    key = blake2b(secret, digest_size=32, person=_PERSON_DOMAIN).digest()
    return blake2b(key=key, digest_size=PERSON_BYTES, person=_PERSON_DOMAIN)


def open_token(text: str, keys: Keyring, audience: Audience, now_s: float) -> Claim | TokenFault:
    """The claim of a token that we sealed for this audience and that has not expired; else why not."""
    packed = _decode(text)
    if packed is None or packed[0] != VERSION:
        return TokenFault.MALFORMED
    secret = keys.secret(packed[1])
    if secret is None:
        return TokenFault.UNKNOWN_KEY
    body, tag = packed[:CLAIM_BYTES], packed[CLAIM_BYTES:]
    if not hmac.compare_digest(hmac.digest(secret, body, "sha256")[audience.value], tag):
        return TokenFault.FORGED
    claim = _unpack(body, secret)
    return claim if now_s <= claim.expires_s else TokenFault.EXPIRED


def _decode(text: str) -> bytes | None:
    if len(text) != TOKEN_CHARACTERS:
        return None
    try:
        return binascii.a2b_base64(text.translate(_FROM_WEB), strict_mode=True)
    except ValueError:  # binascii.Error, and text that is not ASCII
        return None


def _unpack(body: bytes, secret: bytes) -> Claim:
    fields = _CLAIM.unpack(body)
    return Claim(
        bid_id=fields[2],
        exchange=fields[3],
        advertiser=fields[4],
        line_item=fields[5],
        creative=fields[6],
        bid_cpm_micros=fields[7],
        currency=fields[8].decode("ascii", "replace"),
        rate_ppm=fields[9],
        imp=fields[10],
        flags=fields[11],
        issued_s=fields[12],
        expires_s=fields[13],
        lease=fields[14],
        person=_mixed(fields[15], fields[2], secret),
        placement=fields[16],
    )
