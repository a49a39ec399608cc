"""Many requests over a few connections, and what an exchange would say of each answer.

Shapes: a request to send is (name, exchange, body, bytes on the wire).
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import msgspec

from bidder.campaigns.rates import load_rates
from openrtb.check import Fault, faults
from openrtb.codec import decode_request
from openrtb.response import BidResponse
from openrtb.upgrade import upgrade
from tests.service.client import Answer, Client
from tests.service.service import Service

CONNECTIONS = 8

_decode_response = msgspec.json.Decoder(BidResponse).decode
_factor = load_rates(None).factor


class Sent(NamedTuple):
    """One request and what came of it."""

    name: str
    exchange: str
    body: bytes
    answer: Answer


async def send_all(service: Service, requests: list[tuple[str, str, bytes, bytes]]) -> list[Sent]:
    """Send them over a few keep-alive connections, none of which may be cut."""
    todo = iter(requests)
    done: list[Sent] = []

    async def drain(client: Client) -> None:
        for name, exchange, body, wire in todo:
            done.append(Sent(name, exchange, body, await client.ask(wire)))

    clients = [Client(service.exchange) for _ in range(CONNECTIONS)]
    try:
        await asyncio.gather(*[drain(client) for client in clients])
    finally:
        for client in clients:
            await client.close()
    assert [client.connections for client in clients] == [1] * CONNECTIONS, "no connection is dropped"
    return done


def wrong(sent: Sent) -> list[Fault]:
    """What an exchange would find fault with in a 200."""
    request = decode_request(sent.body)
    upgrade(request)

    def convert(amount: float, source: str, target: str) -> float | None:
        factor = _factor(source, target)
        return None if factor is None else amount * factor

    return faults(request, _decode_response(sent.answer.body), convert, thorough=True)
