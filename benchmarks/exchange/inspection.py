"""What an exchange checks of every answer before it takes part in an auction.

Place: simulation.py hands in each 200; openrtb.check is the oracle.
Raises: msgspec.DecodeError for an answer that is no BidResponse.
"""

from __future__ import annotations

import gzip
import random
from typing import NamedTuple

import msgspec

from benchmarks.exchange.requests import Call
from bidder.campaigns.rates import load_rates
from openrtb.check import Fault, faults
from openrtb.codec import decode_request
from openrtb.request import BidRequest
from openrtb.response import BidResponse
from openrtb.upgrade import upgrade


class Inspected(NamedTuple):
    """An answer and what is wrong with it."""

    request: BidRequest
    response: BidResponse
    faults: list[Fault]


class Inspection:
    """Checks answers; a seeded share of them thoroughly, markup included."""

    def __init__(self, rng: random.Random, thorough_share: float) -> None:
        self._rng, self._thorough_share = rng, thorough_share
        self._rates = load_rates()
        self._decode = msgspec.json.Decoder(BidResponse).decode

    def convert(self, amount: float, source: str, target: str) -> float | None:
        """An amount in another currency by the shipped rates; None where one is missing."""
        factor = 1.0 if source == target else self._rates.factor(source, target)
        return None if factor is None else amount * factor

    def answer(self, call: Call, body: bytes) -> Inspected:
        """An answer, decoded and checked against what was asked."""
        response = self._decode(body)
        request = decode_request(gzip.decompress(call.body) if call.dialect.gzip else call.body)
        upgrade(request)
        thorough = self._rng.random() < self._thorough_share
        return Inspected(request, response, faults(request, response, self.convert, thorough=thorough))
