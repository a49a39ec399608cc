"""What is thought of a request: its reasons weighed by the operator's rules.

Place: score.py looks one up by the bits of the reasons; run acts upon it.
Units: scores as in screening.py.
"""

from typing import Final

import msgspec
from msgspec import Struct

from bidder.fraud.reasons import REASONS
from bidder.screening import FraudRules


class Verdict(Struct, frozen=True, gc=False):
    """What is thought of a request."""

    reasons: int = 0
    """Bits of Reason."""
    score: int = 0
    filtered: bool = False
    """It is answered without a bid."""
    suspect: bool = False
    """What is bought is recorded as suspect."""


CLEAN: Final = Verdict()


class Policy:
    """The operator's rules, ready to be looked up by bits."""

    def __init__(self, rules: FraudRules) -> None:
        policies = msgspec.structs.asdict(rules.policies)
        weights = msgspec.structs.asdict(rules.weights)
        self._rules = rules
        self._weights = {int(bit): weights[name] for name, bit in REASONS.items()}
        self.regarded = sum(int(bit) for name, bit in REASONS.items() if policies[name] != "ignore")
        """Bits that are not ignored."""
        self._ending = sum(int(bit) for name, bit in REASONS.items() if policies[name] == "filter")
        self._verdicts: dict[int, Verdict] = {0: CLEAN}

    def verdict(self, reasons: int) -> Verdict:
        """The verdict for a set of reasons; ignored ones are left out."""
        reasons &= self.regarded
        found = self._verdicts.get(reasons)
        if found is None:
            score = sum(weight for bit, weight in self._weights.items() if reasons & bit)
            filtered = bool(reasons & self._ending) or score >= self._rules.threshold
            found = Verdict(reasons, score, filtered, filtered or score >= self._rules.suspect)
            self._verdicts[reasons] = found
        return found
