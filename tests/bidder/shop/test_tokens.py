"""Tokens of shops and secrets of exchanges: whose they are, and what no longer proves anything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bidder.notices.keys import Keyring
from bidder.shop.tokens import (
    MAX_TOKEN,
    check_shop_token,
    check_signature,
    exchange_secret,
    is_recent,
    shop_token,
    sign,
)

OLD = Keyring(((1, b"o" * 32),))
BOTH = Keyring(((2, b"n" * 32), (1, b"o" * 32)))
NEW = Keyring(((2, b"n" * 32),))
IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", fullmatch=True)


@given(IDS)
def test_a_token_names_its_advertiser(advertiser_id: str) -> None:
    """Whatever id the campaign files allow; it is short, and of characters that any header takes."""
    token = shop_token(NEW, advertiser_id)
    assert check_shop_token(NEW, token) == advertiser_id
    assert len(token) <= MAX_TOKEN
    assert token.isascii()
    assert " " not in token


def test_keys_are_changed_without_a_gap() -> None:
    """Every key of the ring verifies; the first makes; a key that is gone takes its tokens along."""
    old, new = shop_token(OLD, "boots"), shop_token(BOTH, "boots")
    assert new == shop_token(NEW, "boots") != old
    assert [check_shop_token(BOTH, token) for token in (old, new)] == ["boots", "boots"]
    assert check_shop_token(NEW, old) is None
    secret = exchange_secret(OLD, "google")
    assert check_signature(BOTH, "google", "1", sign(secret, "1", b"x"), b"x")
    assert not check_signature(NEW, "google", "1", sign(secret, "1", b"x"), b"x")


@given(st.text(max_size=160))
def test_other_texts_are_nobodys(token: str) -> None:
    """Any text is answered, and none that we did not make is a token."""
    assert check_shop_token(BOTH, token) is None
    assert check_shop_token(BOTH, f"boots.{token}") is None


def test_a_changed_token_is_nobodys() -> None:
    """Another advertiser, another character, one more or one less."""
    token = shop_token(NEW, "boots")
    changed = [f"hats{token[5:]}", token[:-1], token + "A", token[:-1] + ("A" if token[-1] != "A" else "B")]
    assert [check_shop_token(NEW, each) for each in changed] == [None] * 4


def test_a_secret_is_not_a_token_nor_anothers() -> None:
    """Shops and exchanges of one name have nothing in common."""
    assert exchange_secret(NEW, "boots") not in shop_token(NEW, "boots")
    assert exchange_secret(NEW, "a") != exchange_secret(NEW, "b")


def test_signatures_are_read_in_either_case() -> None:
    """Hexadecimal digits may be capitals."""
    assert check_signature(NEW, "google", "1", sign(exchange_secret(NEW, "google"), "1", b"x").upper(), b"x")


def test_times_are_whole_seconds_around_now() -> None:
    """Within 300 s; anything but digits is no time."""
    assert [is_recent(at, 1_000.0) for at in ("700", "1300", "699", "1301")] == [True, True, False, False]
    assert not any(is_recent(at, 1_000.0) for at in ("", "1e3", " 1000", "1000.0", "-1", "١٠٠٠", "9" * 13))
