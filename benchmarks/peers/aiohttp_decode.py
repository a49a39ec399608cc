"""The yardstick of a framework: an aiohttp application that decodes a request into our Structs.

Place: `python -m benchmarks.peers.aiohttp_decode`; make bench measures it as (b).
"""

from __future__ import annotations

import asyncio
import json
import os

import uvloop
from aiohttp import web

from benchmarks.peers import ANSWER
from openrtb.codec import decode_request


async def bid(request: web.Request) -> web.Response:
    """Decode the body and answer the constant."""
    decode_request(await request.read())
    return web.Response(body=ANSWER, content_type="application/json")


async def serve() -> None:
    """Listen on a free port of this machine until the process is stopped."""
    app = web.Application()
    app.router.add_post("/bid/{exchange}", bid)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    _, port = runner.addresses[0][:2]
    print(json.dumps({"port": port, "pid": os.getpid()}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
