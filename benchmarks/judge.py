"""Whether an answer to a prepared call is a good one, as far as a load test looks, and how many may not be.

Place: the Locust users judge by it; the simulated exchange looks much closer.
Shapes: a fault is one line that begins with its kind where that is LATE or INVALID; all else is FAILED: another status,
    no connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from benchmarks.exchange.requests import Call
from openrtb.response import BidResponse

LATE: Final = "late"
INVALID: Final = "invalid"
FAILED: Final = "failed"
LIMITS: Final = {LATE: 0.01, INVALID: 0.001, FAILED: 0.001}
"""The share of requests of each kind beyond which a run fails. Exchanges slow a bidder down whose answers are late more
often than one in a hundred or so; an invalid one is a fault of ours."""

_decode = msgspec.json.Decoder(BidResponse).decode
_KIND: Final = re.compile(rf"\b({LATE}|{INVALID}): ")


class Verdict(msgspec.Struct, frozen=True):
    """One kind of fault over a run."""

    kind: str
    count: int
    share: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether there were few enough."""
        return self.share <= self.limit


def fault(call: Call, status: int, body: bytes, elapsed_ms: float) -> str | None:
    """Why an answer is a failure; None for a good one."""
    if elapsed_ms > call.tmax_ms:
        return f"{LATE}: after tmax of {call.tmax_ms} ms"
    if status == 204:
        return f"{INVALID}: 204 with a body" if body else None
    if status != 200:
        return f"status {status}"
    try:
        response = _decode(body)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        return f"{INVALID}: no bid response: {error}"
    return None if response.id == call.request["id"] else f"{INVALID}: the answer is to another request"


def kind(told: str) -> str:
    """LATE, INVALID or FAILED, by what a load tool tells of a failure."""
    found = _KIND.search(told)
    return found[1] if found else FAILED


def verdicts(requests: int, told: Mapping[str, int], limits: Mapping[str, float] = LIMITS) -> list[Verdict]:
    """All kinds, from the failures by what was told of them."""
    counts = dict.fromkeys(limits, 0)
    for text, count in told.items():
        counts[kind(text)] += count
    return [Verdict(name, n, n / requests if requests else 1.0, limits[name]) for name, n in counts.items()]
