"""Whether an answer to a prepared call is a good one, as far as a load test looks.

Place: the Locust users judge by it; the simulated exchange looks much closer.
"""

from __future__ import annotations

import msgspec

from benchmarks.exchange.requests import Call
from openrtb.response import BidResponse

_decode = msgspec.json.Decoder(BidResponse).decode


def fault(call: Call, status: int, body: bytes, elapsed_ms: float) -> str | None:
    """Why an answer is a failure; None for a good one."""
    if elapsed_ms > call.tmax_ms:
        return f"late: after tmax of {call.tmax_ms} ms"
    if status == 204:
        return "204 with a body" if body else None
    if status != 200:
        return f"status {status}"
    try:
        response = _decode(body)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        return f"no bid response: {error}"
    return None if response.id == call.request["id"] else "the answer is to another request"
