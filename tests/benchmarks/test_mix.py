"""Mixes of exchanges, and the judgement of a run by kinds of fault."""

import pytest

from benchmarks.judge import FAILED, INVALID, LATE, kind, verdicts
from benchmarks.locust_report import with_head
from benchmarks.mix import fixed_of, shares_of


def test_shares_add_up_to_one() -> None:
    """Given as weights, they become shares; without any the market's own hold."""
    assert shares_of("google=3, index=1") == {"google": 0.75, "index": 0.25}
    assert shares_of("xandr") == {"xandr": 1.0}
    assert len(shares_of("")) == len(shares_of("all")) == 6
    assert fixed_of("magnite=2") == {"magnite": 2}
    assert fixed_of("") == {}


@pytest.mark.parametrize("text", ["gogle=1", "google=x", "google=-1", "google=nan", "google=0"])
def test_a_wrong_mix_is_refused(text: str) -> None:
    """With a line that says what there is."""
    with pytest.raises(ValueError, match=r"no exchange|not a share"):
        shares_of(text)


def test_faults_are_counted_by_kind() -> None:
    """However a tool wraps what was told; each kind has its own limit, and one over it fails."""
    told = {
        "CatchResponseError('late: after tmax of 100 ms')": 10,
        "CatchResponseError('invalid: 204 with a body')": 2,
        "ConnectionRefusedError(111)": 1,
        "CatchResponseError('status 503')": 0,
    }
    assert [kind(text) for text in told] == [LATE, INVALID, FAILED, FAILED]
    found = {verdict.kind: verdict for verdict in verdicts(1_000, told)}
    assert {name: verdict.count for name, verdict in found.items()} == {LATE: 10, INVALID: 2, FAILED: 1}
    assert [found[name].holds for name in (LATE, INVALID, FAILED)] == [True, False, True]


def test_a_run_without_requests_holds_nothing() -> None:
    """Nothing sent is nothing proven."""
    assert not any(verdict.holds for verdict in verdicts(0, {}))


def test_the_block_goes_into_the_body() -> None:
    """Scripts of the page may hold the word, too."""
    assert (
        with_head("<script>'<body>'</script><body a=1><p>", "X") == "<script>'<body>'</script><body a=1>X<p>"
    )
