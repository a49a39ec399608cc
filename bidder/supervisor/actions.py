"""What operators ask of a running service on its port: reload, restart, pause and resume.

Place: service.py hands this to web/admin, which has looked at the token before.
Rule: a pause is the ledger's own, as `paceline budget pause` sets it: it outlives the service, and holds for every
    service that shares the ledger. What no campaign file names is not paused.
Limits: LEDGER_S for the ledger's answer; a call that takes longer goes on, since what is under way is never cut off,
    and nobody knows what will come of it.
Raises: Undone.
"""

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import CampaignError, load_book
from bidder.config import Config
from bidder.stores.errors import AddressError
from bidder.supervisor.ledger import opened
from bidder.web.admin import Target, Undone
from budget.accounts import WALLET
from budget.store import LedgerDown, Unconfirmed

LEDGER_S: Final = 10.0


class Actions:
    """Carries out what web/admin was asked for."""

    def __init__(
        self,
        config: Config,
        ledger_url: Callable[[], str],
        reload: Callable[[], None],
        restart: Callable[[], bool],
    ) -> None:
        """`restart` begins to replace all workers, and tells whether it did: not while it is at it."""
        self._config, self._ledger_url = config, ledger_url
        self._reload, self._restart = reload, restart
        self._late: set[asyncio.Task[None]] = set()

    async def reload(self) -> None:
        """Have workers read campaigns and rates anew; they say in their logs what came of it."""
        self._reload()

    async def restart(self) -> None:
        """Begin to replace all workers, one after the other."""
        if not self._restart():
            raise Undone("busy", "workers are being replaced already, or the service ends")

    async def pause(self, target: Target, paused: bool) -> None:
        """Let no more money of this out, or let it out again."""
        account = await asyncio.to_thread(self._account, target)
        asking = asyncio.create_task(self._ask(target.advertiser, account, paused))
        self._late.add(asking)
        asking.add_done_callback(self._answered)
        done, _ = await asyncio.wait([asking], timeout=LEDGER_S)
        if not done:
            raise Undone(
                "unconfirmed",
                "the ledger has not answered yet: see `paceline budget show` for what came of it",
            )
        try:
            asking.result()
        except Unconfirmed:
            raise Undone("unconfirmed", "too few replicas of the ledger have it yet: ask again") from None
        except (LedgerDown, AddressError, TimeoutError, OSError) as error:
            why = f"the ledger does not answer ({type(error).__name__}): see `paceline budget show` once it does"
            raise Undone("unreachable", why) from None

    async def _ask(self, advertiser: str, account: str, paused: bool) -> None:
        async with opened(self._config.ledger_store(self._ledger_url())) as ledger:
            await ledger.pause(advertiser, secrets.token_hex(8), account, paused)

    def _answered(self, asking: "asyncio.Task[None]") -> None:
        self._late.discard(asking)
        if not asking.cancelled():
            asking.exception()  # whoever still waits is told; nobody else is to hear of it

    def _account(self, target: Target) -> str:
        """Its account in the ledger, where the campaign files name it."""
        try:
            book = load_book(Path(self._config.campaigns) if self._config.campaigns else demo_book_path())
        except CampaignError:
            raise Undone(
                "unknown", "the campaign files cannot be read: see `paceline campaigns check`"
            ) from None
        for advertiser in book.advertisers:
            if advertiser.id == target.advertiser:
                break
        else:
            raise Undone("unknown", "no campaign file names this advertiser")
        lines = {line.id for campaign in advertiser.campaigns for line in campaign.line_items}
        if target.campaign is not None:
            known, account = (
                target.campaign in {c.id for c in advertiser.campaigns},
                f"campaign/{target.campaign}",
            )
        elif target.line_item is not None:
            known, account = target.line_item in lines, f"line/{target.line_item}"
        else:
            known, account = True, WALLET
        if not known:
            raise Undone("unknown", f"the advertiser has no {account}")
        return account
