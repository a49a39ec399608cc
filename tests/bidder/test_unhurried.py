"""A process that starts without haste: what it takes of a core, for how long, and that it ends."""

import subprocess
import sys

import pytest

from bidder.unhurried import SHARE

BUSY = """
import signal, sys, time
from bidder import unhurried
unhurried.end()
print(signal.getsignal(signal.SIGPROF) == signal.SIG_DFL)
unhurried.LONGEST_S = float(sys.argv[1])
unhurried.begin()
began_s, used_s = time.monotonic(), time.process_time()
while time.process_time() - used_s < 0.3:
    pass
print(0.3 / (time.monotonic() - began_s), signal.getitimer(signal.ITIMER_PROF)[1] > 0)
unhurried.end()
print(signal.getitimer(signal.ITIMER_PROF), signal.getsignal(signal.SIGPROF) == signal.SIG_IGN)
signal.raise_signal(signal.SIGPROF)
print("unharmed")
"""


def busy(longest_s: float) -> list[str]:
    """What a process says that had something to do."""
    command = [sys.executable, "-c", BUSY, str(longest_s)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.split("\n")


@pytest.mark.process
def test_it_takes_its_share_until_it_is_told() -> None:
    """Hardly more than SHARE of a core; afterwards no timer is set, and a signal that is on its way harms nobody."""
    before, during, after, last, _ = busy(60.0)
    assert before == "True", "who never began has changed nothing"
    share, timed = during.split()
    assert float(share) < 1.5 * SHARE
    assert timed == "True"
    assert after == "(0.0, 0.0) True"
    assert last == "unharmed"


@pytest.mark.process
def test_it_ends_by_itself() -> None:
    """Who takes too long to start makes haste."""
    assert busy(0.0)[1].split()[1] == "False"
