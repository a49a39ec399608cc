"""Handles of people: stable for one exchange, unlinkable for two, opened by every key of the ring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.audience.handles import HANDLE_DIGITS, Handles

OLD, NEW = (1, b"o" * 32), (255, b"n" * 32)
HANDLES = Handles((NEW, OLD))
ME = bytes(range(16))


@given(person=st.binary(min_size=16, max_size=16))
def test_a_handle_leads_back_to_the_person(person: bytes) -> None:
    """For its exchange; it is the same each time, in either case, and it is not our id."""
    told = HANDLES.handle("google", person)
    assert len(told) == HANDLE_DIGITS
    assert told.startswith("ff")
    assert HANDLES.person("google", told) == HANDLES.person("google", told.upper()) == person
    assert told == HANDLES.handle("google", person) == Handles((NEW,)).handle("google", person)
    assert person.hex() not in told


def test_exchanges_cannot_compare_theirs() -> None:
    """Another exchange or another key makes another handle, and opens it as somebody who is nobody."""
    told = {each: HANDLES.handle(each, ME) for each in ("google", "xandr", "g", "")}
    assert len({handle[2:] for handle in told.values()}) == len(told)
    assert HANDLES.person("xandr", told["google"]) not in (None, ME)
    stranger = Handles(((255, b"s" * 32),))
    assert stranger.handle("google", ME) != told["google"]
    assert stranger.person("google", told["google"]) not in (None, ME)


def test_old_handles_open_until_their_key_is_dropped() -> None:
    """A rotation makes new handles and knows the old ones."""
    before = Handles((OLD,)).handle("google", ME)
    assert HANDLES.person("google", before) == ME
    assert HANDLES.handle("google", ME) != before
    assert Handles((NEW,)).person("google", before) is None


@given(text=st.text(max_size=40) | st.text("0123456789abcdef", min_size=32, max_size=36))
def test_what_is_no_handle_opens_as_nobody(text: str) -> None:
    """Any text: 16 bytes for 34 digits of a key that is known, else None."""
    found = HANDLES.person("google", text)
    well_formed = len(text) == HANDLE_DIGITS and text[:2].lower() in ("01", "ff")
    assert found is None or (well_formed and len(found) == 16)


@pytest.mark.parametrize(
    "text", ["", ME.hex(), "ff" + "g" * 32, "ff" + "é" * 32, "\ud800" * 34, "02" + "0" * 32, " ff" + "0" * 31]
)
def test_garbage(text: str) -> None:
    """Our bare id, other characters, a key that is not there."""
    assert HANDLES.person("google", text) is None


def test_long_secrets_and_wrong_lengths() -> None:
    """A secret longer than BLAKE2b takes serves by its beginning; an id of another length and no key are our bugs."""
    handles = Handles(((7, b"x" * 100),))
    assert handles.person("google", handles.handle("google", ME)) == ME
    with pytest.raises(ValueError, match="16 bytes"):
        handles.handle("google", ME + ME)
    with pytest.raises(ValueError, match="need a key"):
        Handles(())
