"""Small benchmarks still measure what they say: they run, and stop where a request ends in a fault."""

import pytest

from benchmarks.micro import personal
from benchmarks.micro.auction import Ask
from bidder.exchanges import SHIPPED
from bidder.outcome import Outcome


def test_each_side_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The gate, segments and affinity, switched on and off: every side decides every request."""
    monkeypatch.setattr(personal, "REQUESTS", 32)
    monkeypatch.setattr("sys.argv", ["personal", "--line-items", "60", "--batches", "16", "--rounds", "2"])
    personal.main()
    told = capsys.readouterr().out
    assert "60 line items, batch 16: off " in told
    assert all(f"  {side} +" in told for side in personal.SIDES if side not in ("off", "gate"))


def test_a_fault_is_no_measure() -> None:
    """What fails is soon done."""
    call = Ask(b"{}", SHIPPED[0])
    assert call.answer(Outcome.BID)
    with pytest.raises(RuntimeError, match="fault"):
        call.answer(Outcome.FAULT)
