"""Operators' tokens: whose they are, until when, by which key."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.notices.keys import Keyring
from bidder.web.roles import DAY_S, MAX_DAYS, MAX_TOKEN, ROLES, Holder, Role, check_token, make_token
from tests.bidder.web.operators import NEW_KEY, OLD_KEY, RING

NOW_S = 1_790_000_000.0
HOLDER = Holder("ada@example.com", Role.OPERATOR, int(NOW_S) + 60)


@pytest.mark.parametrize("role", Role)
def test_a_token_tells_who_and_what(role: Role) -> None:
    """What goes in comes out, for every role, until the second it ends."""
    holder = Holder("ada", role, int(NOW_S) + 60)
    token = make_token(RING, holder)
    assert check_token(RING, token, NOW_S) == holder
    assert check_token(RING, token, NOW_S + 59.9) == holder
    assert check_token(RING, token, NOW_S + 60) is None


def test_who_may_what() -> None:
    """A role may do all that a lesser one may, and nothing more."""
    may = {name: [other for other in Role if Holder("x", role, 0).may(other)] for name, role in ROLES.items()}
    assert may == {
        "viewer": [Role.VIEWER],
        "operator": [Role.VIEWER, Role.OPERATOR],
        "admin": [Role.VIEWER, Role.OPERATOR, Role.ADMIN],
    }


def test_keys_rotate() -> None:
    """The newest key signs, every key of the ring verifies; one that left takes its tokens with it, also where its
    number is used again."""
    old, both, new = Keyring((OLD_KEY,)), RING, Keyring((NEW_KEY,))
    before, after = make_token(old, HOLDER), make_token(both, HOLDER)
    assert check_token(both, before, NOW_S) == check_token(both, after, NOW_S) == HOLDER
    assert check_token(new, before, NOW_S) is None
    assert check_token(new, after, NOW_S) == HOLDER
    assert check_token(Keyring(((1, NEW_KEY[1]),)), before, NOW_S) is None


def test_nobody_signs_for_longer_than_is_allowed() -> None:
    """A token that would outlive MAX_DAYS is none, whoever signed it."""
    longest = Holder("ada", Role.VIEWER, int(NOW_S) + MAX_DAYS * DAY_S)
    assert check_token(RING, make_token(RING, longest), NOW_S) == longest
    beyond = Holder("ada", Role.VIEWER, longest.expires_s + 1)
    assert check_token(RING, make_token(RING, beyond), NOW_S) is None


@pytest.mark.parametrize("name", ["", " ada", "a b", "a\n", "é", "-x", "x" * 65, 'a"'])
def test_names_are_plain(name: str) -> None:
    """What stands in an audit line cannot break it."""
    with pytest.raises(ValueError, match="a name has"):
        make_token(RING, Holder(name, Role.VIEWER, 1))


def test_every_cut_and_every_change_is_refused() -> None:
    """No shorter token, and none with another character anywhere, is believed; an overlong one is not looked at."""
    token = make_token(RING, HOLDER)
    assert len(token) < MAX_TOKEN
    for end in range(len(token)):
        assert check_token(RING, token[:end], NOW_S) is None
    spare = 0
    for place, letter in enumerate(token):
        for other in "A0_." if letter not in "A0_." else "Bz":
            changed = token[:place] + other + token[place + 1 :]
            found = check_token(RING, changed, NOW_S)
            assert found is None, changed
            spare += found is not None
    assert check_token(RING, token + "A", NOW_S) is None
    assert check_token(RING, token + "A" * MAX_TOKEN, NOW_S) is None


@given(
    st.one_of(
        st.text(max_size=300), st.lists(st.text(string.ascii_letters + "._-=", max_size=80)).map(".".join)
    )
)
def test_other_text_is_nobody(text: str) -> None:
    """Whatever comes is answered, and is nobody."""
    assert check_token(RING, text, NOW_S) is None
    assert check_token(RING, f"plo1.{text}.{'A' * 43}", NOW_S) is None


def test_a_token_of_another_kind_is_none() -> None:
    """A shop's token, made of the same keys, opens nothing here."""
    from bidder.shop.tokens import shop_token

    assert check_token(RING, shop_token(RING, "plo1.W10"), NOW_S) is None
