"""A form's token is good in one browser, for one hour, and cannot be made without the key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bidder.notices.keys import Keyring
from bidder.rights.forms import LIFE_S, TOKEN_CHARACTERS, check_form, form_token, is_nonce, new_nonce

OLD, NEW = Keyring(((1, b"o" * 32),)), Keyring(((2, b"n" * 32), (1, b"o" * 32)))
NOW_S = 1_790_000_000.0


def test_a_token_is_good_for_its_browser_and_hour() -> None:
    """Not for another nonce, not before it was made, not afterwards; an older key of the ring still verifies."""
    nonce = new_nonce()
    token = form_token(OLD, nonce, NOW_S)
    assert len(token) == TOKEN_CHARACTERS
    assert check_form(OLD, token, nonce, NOW_S)
    assert check_form(NEW, token, nonce, NOW_S + LIFE_S)
    assert not check_form(OLD, token, nonce, NOW_S + LIFE_S + 1)
    assert not check_form(OLD, token, nonce, NOW_S - 2)
    assert not check_form(OLD, token, new_nonce(), NOW_S)
    assert not check_form(OLD, form_token(NEW, nonce, NOW_S), nonce, NOW_S)
    assert form_token(NEW, nonce, NOW_S) != token


@given(st.text(max_size=60) | st.just("a" * TOKEN_CHARACTERS), st.text(max_size=40))
def test_no_other_text_is_a_token(token: str, nonce: str) -> None:
    """Anything else is refused, and nothing raises."""
    assert not check_form(OLD, token, nonce, NOW_S)
    assert not check_form(OLD, token, "ab" * 16, NOW_S)


@given(st.integers(0, TOKEN_CHARACTERS - 1), st.sampled_from("Aa0-_"))
def test_no_letter_may_change(at: int, letter: str) -> None:
    """A token with one letter changed is none."""
    nonce = "ab" * 16
    token = form_token(OLD, nonce, NOW_S)
    changed = token[:at] + letter + token[at + 1 :]
    assert check_form(OLD, changed, nonce, NOW_S) == (changed == token)


def test_nonces_are_recognised() -> None:
    """Those that we make, and nothing else that a cookie may hold."""
    assert is_nonce(new_nonce())
    assert not any(is_nonce(text) for text in ("", "x" * 32, "AB" * 16, "ab" * 17))
