"""The yardstick of the protocol: our own exchange port, deciding nothing.

Place: `python -m benchmarks.peers.lean`; make bench measures it as (a), to which all ratios refer. With the files of a
    certificate and its key it speaks TLS: for benchmarks/micro/tls.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import uvloop

from benchmarks.peers import ANSWER
from bidder.clock import SystemClock
from bidder.exchanges import SHIPPED
from bidder.metrics import Tally
from bidder.outcome import Outcome
from bidder.settings import ExchangePort, Tls
from bidder.web.exchange import Call, ExchangeServer
from bidder.web.tls import PortTls
from openrtb.codec import decode_request


def decide(batch: list[Call]) -> None:
    """Decode each request and answer the constant."""
    for call in batch:
        decode_request(call.body)
        call.answer(Outcome.BID, ANSWER)


async def serve(files: list[str]) -> None:
    """Listen on a free port of this machine until the process is stopped."""
    port = ExchangePort(host="127.0.0.1", port=0)
    server = ExchangeServer(port, SHIPPED, decide, Tally(), SystemClock())
    tls = Tls(cert_file=files[0], key_file=files[1]) if files else Tls()
    await server.start(tls=PortTls(tls, "exchange", Tally()))
    server.set_ready(True)
    print(json.dumps({"port": server.port, "pid": os.getpid()}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1:]))
