"""A public port with the privacy pages, on a real socket, over a real store."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable

from bidder.campaigns.model import Advertiser
from bidder.clock import ManualClock
from bidder.metrics import Tally
from bidder.notices.keys import Keyring
from bidder.rights.pages import Operator
from bidder.rights.readable import Catalogues
from bidder.stores.removal import Client
from bidder.web.privacy_pages import Desk, privacy_routes
from bidder.web.public import PublicServer, public_app
from bidder.web.sockets import shared_socket

KEYRING = Keyring(((1, b"k" * 32),))
OPERATOR = Operator(
    host="ads.example",
    controller="Example Ads GmbH, Musterstraße 1, Berlin",
    contact="privacy@ads.example",
    days=30,
    exchanges=("google", "xandr"),
)


def desk_of(
    client: Client,
    clock: ManualClock,
    advertisers: Iterable[Advertiser] = (),
    catalogues: Catalogues | None = None,
) -> Desk:
    """A desk over a store."""
    return Desk(
        client=client,
        keyring=KEYRING,
        operator=OPERATOR,
        origin="https://ads.example",
        advertisers=lambda: advertisers,
        catalogues=catalogues,
        tally=Tally(),
        clock=clock,
    )


@contextlib.asynccontextmanager
async def serving(desk: Desk) -> AsyncIterator[str]:
    """The base URL of a port that serves the pages."""
    server = PublicServer(public_app(privacy_routes(desk), desk.tally), desk.tally)
    bound = shared_socket("127.0.0.1", 0)
    port = bound.getsockname()[1]
    await server.start(bound)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop()
