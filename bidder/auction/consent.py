"""What a request let us do with the person behind it, as one small number: for the count of consent outcomes.

Place: run notes it when the gate has spoken, pending changes it when the store knows of an opt-out, counts counts it.
Shapes: a number is that of the regime times len(Consent), plus that of the outcome.
"""

from enum import IntEnum
from typing import Final

from bidder.privacy.regimes import Regime
from bidder.privacy.signals import Signals


class Consent(IntEnum):
    """What we may do with the person behind a request."""

    PERSONAL = 0
    """What is known of the person may be used."""
    CONTEXTUAL = 1
    """Nobody agreed to that: no consent under the GDPR, or a child."""
    OPTED_OUT = 2
    """Somebody said no: with us, by LMT, DNT, ATT, GPC or a law's opt-out, or in words that cannot be read."""


_COUNT: Final = len(Consent)
_CONTEXTUAL, _OPTED_OUT = int(Consent.CONTEXTUAL), int(Consent.OPTED_OUT)
_GDPR, _COPPA = Regime.GDPR, Regime.COPPA


def consent_of(regime: Regime, signals: Signals, personal: bool) -> int:
    """The number of a request. Where the law says no until somebody says yes, silence is no opt-out."""
    if personal:
        return regime * _COUNT
    asks = regime is _GDPR or regime is _COPPA
    said_no = not asks or signals.limited or signals.gpc
    return regime * _COUNT + (_OPTED_OUT if said_no else _CONTEXTUAL)


def opted_out(consent: int) -> int:
    """The same request, of a person who opted out with us."""
    return consent - consent % _COUNT + _OPTED_OUT
