"""A process that starts beside the one it will follow: it leaves the cores to those who answer meanwhile.

Place: commands/serve.py begins it for a worker that succeeds another as planned; app.py ends it when that is ready.
Shapes: after each SPELL_S of CPU a signal lets the main thread sleep, so that SHARE of a core is what it takes.
Limits: LONGEST_S; what runs in other threads, or long in C, is not held back.
Source: measured (benchmarks.restart), two workers and 3,800 requests/s on two cores: of 140,000 answers 3 are late
    beside such a successor; of 96,000 beside one in haste, 143. Niceness could not be taken back without a privilege.
"""

import signal
import time
from typing import Final

SHARE: Final = 0.3
SPELL_S: Final = 0.005
LONGEST_S: Final = 20.0
_REST_S: Final = SPELL_S / SHARE - SPELL_S


def begin() -> None:
    """From now on; in the main thread."""
    over_s = time.monotonic() + LONGEST_S

    def rest(*_: object) -> None:
        if time.monotonic() < over_s:
            time.sleep(_REST_S)
        else:
            end()

    signal.signal(signal.SIGPROF, rest)
    signal.setitimer(signal.ITIMER_PROF, SPELL_S, SPELL_S)


def end() -> None:
    """No longer; nothing where it never began, or is over."""
    if signal.getitimer(signal.ITIMER_PROF)[1]:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)  # one may be on its way
