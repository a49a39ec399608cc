"""The us_privacy string: Prebid Server's cases, and every string of the grammar."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidder.privacy import us_privacy
from tests.corpus import rows


@pytest.mark.corpus
def test_cases_of_prebid_server() -> None:
    """Good strings say whether the person opted out, bad ones are None; the empty one says nothing."""
    for row in rows("privacy/usp_vectors"):
        text, parsed = row["usp"], us_privacy.parse(row["usp"])
        if row["optOut"] is None:
            assert parsed is None, row
        elif text:
            assert parsed is not None
            assert parsed.opted_out is row["optOut"], row
        else:
            assert parsed is None
            assert us_privacy.opted_out(text) is row["optOut"]


def test_whole_grammar() -> None:
    """All 27 strings are read back answer by answer, and only "1---" does not apply."""
    for answers in itertools.product("YN-", repeat=3):
        parsed = us_privacy.parse("1" + "".join(answers))
        assert parsed is not None
        assert (parsed.notice, parsed.opt_out_sale, parsed.lspa_covered) == answers
        assert parsed.opted_out is (answers[1] == "Y")
        assert parsed.applies is (answers != ("-", "-", "-"))


@pytest.mark.parametrize("text", ["1NY", "2---", "1X--", "1y--", "1YNNN", " 1YN", "1YN\n", "null", "１YNN"])
def test_garbage_is_none_and_counts_as_an_opt_out(text: str) -> None:
    """A string against the grammar has no answers; asked shortly, it denies."""
    assert us_privacy.parse(text) is None
    assert us_privacy.opted_out(text)


def test_short_question() -> None:
    """Asked shortly, a good string says yes or no, and the empty one says nothing."""
    assert us_privacy.opted_out("1YYN")
    assert not us_privacy.opted_out("1YNN")
    assert not us_privacy.opted_out("")


@given(st.text(max_size=8))
def test_any_text_is_parsed_or_none(text: str) -> None:
    """No text raises."""
    assert us_privacy.parse(text) is None or len(text) == 4
