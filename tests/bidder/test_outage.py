"""An outage is told when it begins and when it is over."""

import logging

import pytest

from bidder.outage import Outage


def test_each_change_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is asked meanwhile; the next outage is told anew. Without words of its own it has some."""
    outage = Outage(logging.getLogger("test"), "the ledger", "the last pace holds")
    outage.ends()
    outage.begins(ConnectionError("Connection refused"))
    outage.begins(ConnectionError("Connection refused"))
    outage.ends()
    outage.ends()
    outage.begins(TimeoutError())
    assert caplog.messages == [
        "the ledger is down, the last pace holds: Connection refused",
        "the ledger answers again",
        "the ledger is down, the last pace holds: no answer in time",
    ]
