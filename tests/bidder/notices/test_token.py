"""Tokens of bids: what is sealed opens again, and nothing else does."""

import base64
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.keys import key32, key64
from bidder.notices.keys import Keyring
from bidder.notices.token import (
    CLAIM_BYTES,
    DEAL,
    LATE_S,
    NOBODY,
    TEST,
    TOKEN_CHARACTERS,
    VISITOR,
    Audience,
    Claim,
    TokenFault,
    open_token,
    seal,
)

RING = Keyring(((7, b"n" * 32), (3, b"o" * 32)))
NOW = 1_790_000_000
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
claims = st.builds(
    Claim,
    bid_id=st.binary(min_size=12, max_size=12),
    exchange=u32,
    advertiser=u64,
    line_item=u64,
    creative=u64,
    bid_cpm_micros=u64,
    currency=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3),
    rate_ppm=u64,
    imp=st.integers(0, 65_535),
    flags=st.integers(0, 255),
    issued_s=u32,
    expires_s=st.integers(NOW, 2**32 - 1),
    lease=u64,
    person=st.binary(min_size=16, max_size=16) | st.just(NOBODY),
)
CLAIM = Claim(
    bid_id=b"123456789012",
    exchange=key32("generic"),
    advertiser=key64("shop"),
    line_item=key64("shop/line"),
    creative=key64("shop/creative"),
    bid_cpm_micros=2_500_000,
    currency="USD",
    rate_ppm=900_000,
    imp=1,
    flags=DEAL,
    issued_s=NOW,
    expires_s=NOW + 900,
)


@given(claims)
def test_both_tokens_open_for_their_own_audience(claim: Claim) -> None:
    """Every claim comes back whole from either token, and the tokens are plain base64url of one length."""
    sealed = seal(claim, RING.signing)
    assert open_token(sealed.exchange_token, RING, Audience.EXCHANGE, NOW) == claim
    assert open_token(sealed.browser_token, RING, Audience.BROWSER, NOW) == claim
    for text in (sealed.exchange_token, sealed.browser_token):
        assert len(text) == TOKEN_CHARACTERS
        assert set(text) <= set(ALPHABET)


@given(claims)
def test_a_browser_token_is_no_bill(claim: Claim) -> None:
    """A token seen in a page is forged to the exchange's notices, and the other way round."""
    sealed = seal(claim, RING.signing)
    assert open_token(sealed.browser_token, RING, Audience.EXCHANGE, NOW) is TokenFault.FORGED
    assert open_token(sealed.exchange_token, RING, Audience.BROWSER, NOW) is TokenFault.FORGED


@given(st.integers(0, TOKEN_CHARACTERS - 1), st.sampled_from(ALPHABET), st.sampled_from(list(Audience)))
def test_every_changed_character_is_noticed(place: int, letter: str, audience: Audience) -> None:
    """No single changed character leaves a token valid: there is one text per claim."""
    sealed = seal(CLAIM, RING.signing)
    text = sealed.exchange_token if audience is Audience.EXCHANGE else sealed.browser_token
    changed = text[:place] + letter + text[place + 1 :]
    opened = open_token(changed, RING, audience, NOW)
    assert (opened == CLAIM) if changed == text else isinstance(opened, TokenFault)


@given(st.text(max_size=2 * TOKEN_CHARACTERS) | st.text(min_size=TOKEN_CHARACTERS, max_size=TOKEN_CHARACTERS))
def test_any_text_is_a_fault_and_never_an_error(text: str) -> None:
    """Whatever is sent as a token, opening it returns a fault."""
    assert isinstance(open_token(text, RING, Audience.EXCHANGE, NOW), TokenFault)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "A",
        lambda text: text[:-4] + "====",
        lambda text: "+" + text[1:],
        lambda text: "/" + text[1:],
        lambda text: text[:-1] + "é",
        lambda text: text[:-1] + "\n",
        lambda text: "AQ" + text[2:],  # version 1
        lambda text: "Ag" + text[2:],  # version 2
    ],
)
def test_malformed_texts(change) -> None:  # type: ignore[no-untyped-def]  # a table of lambdas
    """Wrong length, alphabet, padding and version are malformed, not forged."""
    text = seal(CLAIM, RING.signing).exchange_token
    assert open_token(change(text), RING, Audience.EXCHANGE, NOW) is TokenFault.MALFORMED


def test_expiry_is_the_last_second() -> None:
    """A token is good up to and in the second named, not after."""
    text = seal(CLAIM, RING.signing).exchange_token
    assert open_token(text, RING, Audience.EXCHANGE, CLAIM.expires_s) == CLAIM
    assert open_token(text, RING, Audience.EXCHANGE, CLAIM.expires_s + 0.001) is TokenFault.EXPIRED


def test_rotation_keeps_what_older_keys_signed() -> None:
    """A token of an older key opens while the ring holds that key, and is of an unknown key afterwards."""
    text = seal(CLAIM, Keyring(((3, b"o" * 32),)).signing).exchange_token
    assert open_token(text, RING, Audience.EXCHANGE, NOW) == CLAIM
    newer = Keyring(((7, b"n" * 32),))
    assert open_token(text, newer, Audience.EXCHANGE, NOW) is TokenFault.UNKNOWN_KEY


def test_another_secret_under_the_same_id_is_forged() -> None:
    """The key's id alone proves nothing."""
    other = Keyring(((7, b"x" * 32),))
    text = seal(CLAIM, other.signing).exchange_token
    assert open_token(text, RING, Audience.EXCHANGE, NOW) is TokenFault.FORGED


def test_a_field_outside_its_width_is_our_bug() -> None:
    """Sealing refuses numbers that do not fit, rather than cutting them."""
    with pytest.raises(struct.error):
        seal(msgspec.structs.replace(CLAIM, bid_cpm_micros=2**64), RING.signing)


def test_flags() -> None:
    """The test flag alone makes a claim a test, the visitor flag alone makes its person a visitor."""
    assert not CLAIM.test
    assert not CLAIM.visitor
    assert msgspec.structs.replace(CLAIM, flags=TEST | DEAL).test
    assert msgspec.structs.replace(CLAIM, flags=VISITOR | DEAL).visitor


def test_a_token_outlives_its_deadline_by_the_late_hour() -> None:
    """The deadline, up to which the reservation stands, is LATE_S before the end of the token."""
    assert CLAIM.deadline_s == CLAIM.expires_s - LATE_S


def _body(claim: Claim) -> bytes:
    text = seal(claim, RING.signing).browser_token
    return base64.urlsafe_b64decode(text)[:CLAIM_BYTES]


@given(claims, st.binary(min_size=16, max_size=16))
def test_a_page_does_not_tell_who_it_was_made_for(claim: Claim, person: bytes) -> None:
    """No 16 bytes of a token are the person's, and without a person it looks no different."""
    named = _body(msgspec.structs.replace(claim, person=person))
    nobody = _body(msgspec.structs.replace(claim, person=NOBODY))
    assert person not in (named if any(person) else b"")
    assert NOBODY not in nobody[-18:]
    assert named[:-18] == nobody[:-18]


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=12, max_size=12), st.integers(0, 95))
def test_one_person_looks_different_in_every_bid_and_under_every_key(
    person: bytes, bid_id: bytes, bit: int
) -> None:
    """The same person under another bid id, or another secret, leaves other bytes in the token."""
    other_id = (int.from_bytes(bid_id, "big") ^ (1 << bit)).to_bytes(12, "big")
    first = msgspec.structs.replace(CLAIM, person=person, bid_id=bid_id)
    second = msgspec.structs.replace(first, bid_id=other_id)
    assert _body(first)[-18:] != _body(second)[-18:]
    other_key = seal(first, Keyring(((7, b"x" * 32),)).signing).browser_token
    assert base64.urlsafe_b64decode(other_key)[CLAIM_BYTES - 18 : CLAIM_BYTES] != _body(first)[-18:]
