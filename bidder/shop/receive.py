"""An event's way: whose it is, what it says, what may be done with it, who it is about, then kept and recorded.

Place: web/shop calls it for pixels and batches. The one place that knows the order; the steps do not know each other.
Rule: events are kept as far as the permissions of their moment go: with the person, without one, or (a shop meant for
    children, a child) not at all. What is not kept is counted; a server is told of each event whether it was taken, and
    whether its person was kept. A page is told what is wrong with an event, and nothing of the person.
Limits: MAX_WAITING pixels wait for the stores at a time, MAX_WAITING_OF_SHOP of one shop and MAX_WAITING_OF_PERSON of
    one person, others are recorded without a person; MAX_BATCHES batches, MAX_BATCHES_OF_SHOP of one shop, more are
    asked to come again. A long event is read in several turns of the loop.
Raises: Busy, where a server is to send the batch again; Refusal, for a batch that cannot be read.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from redis import RedisError

from bidder.campaigns.model import Advertiser
from bidder.campaigns.rates import Rates
from bidder.clock import Clock
from bidder.metrics import Tally
from bidder.privacy.browser import signals_from
from bidder.privacy.gate import Gate, Permissions
from bidder.shop import cookies, counts, people
from bidder.shop.agents import device_of
from bidder.shop.calls import Answer, Call
from bidder.shop.hands import Hands
from bidder.shop.intake import Intake, Reading, Refusal, read_batch, read_event, read_pixel
from bidder.shop.keeper import Keeper, Shop, compile_shops
from bidder.shop.origins import belongs, page_of
from bidder.shop.slots import Share, Slots
from bidder.shop.wire import ConsentIn

MAX_WAITING: Final = 256
MAX_WAITING_OF_SHOP: Final = 128
MAX_WAITING_OF_PERSON: Final = 8
"""A page has a handful of pixels; a person's browser that has more at a time takes no place of others."""
MAX_BATCHES: Final = 16
MAX_BATCHES_OF_SHOP: Final = 4
RETRY_AFTER_S: Final = 5

STORE_ERRORS: Final = (RedisError, OSError)

_log = logging.getLogger(__name__)


class Busy(Exception):
    """The stores do not take it now: send it again after RETRY_AFTER_S."""


class Result(Struct, frozen=True, omit_defaults=True):
    """What became of one event of a batch."""

    index: int
    status: str
    """accepted, repeated or refused."""
    id: str = ""
    reason: str = ""
    error: str = ""
    dropped: tuple[str, ...] = ()
    """Fields that held personal data."""
    person: str = ""
    """What became of its person: kept, unconsented, unnamed (no id that leads to anybody) or opted_out; of a refused
    event there is none."""


class Shops:
    """The shops of a worker."""

    def __init__(
        self, hands: Hands, gate: Gate, tally: Tally, clock: Clock, ttl_s: float = cookies.ID_S
    ) -> None:
        """`ttl_s`: how long a person is kept after an event; 30 days at most. `adopt` brings the advertisers."""
        self._keeper, self._gate, self._clock = Keeper(hands, tally, ttl_s), gate, clock
        self._shops: dict[str, Shop] = {}
        self._waiting, self._batches = Slots(MAX_WAITING), Slots(MAX_BATCHES)

    def adopt(self, advertisers: Iterable[Advertiser], rates: Rates) -> None:
        """Know these advertisers from now on, and no others."""
        self._shops = compile_shops(advertisers)
        self._keeper.rates = rates

    def advertiser(self, advertiser_id: str) -> Advertiser | None:
        """One of them."""
        shop = self._shops.get(advertiser_id)
        return shop.advertiser if shop else None

    async def pixel(self, call: Call) -> Answer:
        """One event of a browser: 200 for the GIF; 400 and 403 say what is wrong."""
        shop = self._shops.get(call.first("advertiser"))
        if shop is None:
            self._keeper.refuse(counts.NOBODY, "advertiser")
            return Answer(400, "advertiser: unknown")
        advertiser, now_s = shop.advertiser, self._clock.now_s()
        signals = call.signals(advertiser.country)
        permissions = self._gate.permit(signals, now_s)
        if advertiser.child_directed or permissions.child:
            self._keeper.refuse(advertiser.id, "child")
            return Answer()
        page = page_of(call.headers)
        if page is not None and not belongs(page, advertiser):
            self._keeper.refuse(advertiser.id, "origin")
            return Answer(403, "origin: this page is not the advertiser's")
        try:
            read = await _in_turns(read_pixel(call.query, advertiser.events, now_s))
            event = self._keeper.named(read, advertiser)
        except Refusal as refusal:
            self._keeper.refuse(advertiser.id, refusal.reason)
            return Answer(400, str(refusal))
        agent = call.headers.get("user-agent", "")
        event = replace(event, device=device_of(agent), referrer=event.referrer or page or "")
        if cookies.opted_out(call.cookies):
            self._keeper.record(shop, event, _source(call), None, "opted_out")
            return Answer(cookies=cookies.forgetting(call.cookies))
        return await self._kept(shop, event, call, permissions)

    async def _kept(self, shop: Shop, event: Intake, call: Call, permissions: Permissions) -> Answer:
        """Keep what the permissions allow; the answer's cookies follow from it."""
        keeper = self._keeper
        if not permissions.write_id:
            keeper.record(shop, event, _source(call), None, "unconsented")
            return Answer()
        if not permissions.record:
            keeper.record(shop, event, _source(call), None, "unconsented")
            own = cookies.person_of(call.cookies) or cookies.new_person()
            return Answer(cookies=cookies.keeping(own, keeper.ttl_s))
        with self._waiting.place(*_shares(shop, event, call)) as free:
            try:
                if free:
                    return await self._recognised(shop, event, call)
            except STORE_ERRORS as error:
                _log.warning("the store of people did not take an event: %s", type(error).__name__)
        keeper.record(shop, event, _source(call), None, "failed")
        return Answer()

    async def _recognised(self, shop: Shop, event: Intake, call: Call) -> Answer:
        """Keep an event with its person; raises what stores raise."""
        keeper, now_s = self._keeper, self._clock.now_s()
        fp = (event.person and event.person.fp) or ""
        found = await people.of_browser(keeper.hands, shop.advertiser.id, call.cookies, fp, now_s)
        found, repeated = await keeper.observed(shop, event, found, now_s)
        if found.opted_out:
            keeper.record(shop, event, _source(call), None, "opted_out")
            return Answer(cookies=cookies.opting_out(call.cookies) if found.keep else ())
        if repeated:
            keeper.repeated(shop.advertiser.id)
        keeper.record(shop, event, _source(call), found.person, "kept")
        return Answer(
            cookies=cookies.keeping(found.person, keeper.ttl_s) if found.keep and found.person else ()
        )

    async def batch(self, advertiser_id: str, body: bytes) -> list[Result]:
        """The events of a server whose token was checked, one result each, in order."""
        shop = self._shops.get(advertiser_id)
        if shop is None:
            self._keeper.refuse(counts.NOBODY, "advertiser")
            raise Refusal("advertiser", "the token's advertiser is not among the campaigns")
        with self._batches.place(Share(advertiser_id, MAX_BATCHES_OF_SHOP)) as free:
            try:
                if free:
                    return await self._batch(shop, body)
            except Refusal as refusal:
                self._keeper.refuse(advertiser_id, refusal.reason)
                raise
            except STORE_ERRORS as error:
                _log.warning("the store of people did not take a batch of events: %s", type(error).__name__)
        self._keeper.refuse(advertiser_id, "busy")
        raise Busy

    async def _batch(self, shop: Shop, body: bytes) -> list[Result]:
        results: list[Result] = []
        told: dict[str, str] = {}
        for index, raw in enumerate(read_batch(body)):
            try:
                results.append(await self._served(shop, raw, index, told))
            except Refusal as refusal:
                self._keeper.refuse(shop.advertiser.id, refusal.reason)
                results.append(Result(index, "refused", reason=refusal.reason, error=str(refusal)))
            await asyncio.sleep(0)  # bids go on between two events
        return results

    async def _served(self, shop: Shop, raw: msgspec.Raw, index: int, told: dict[str, str]) -> Result:
        """Keep one event of a server; `told`: what became of the person, by the ids of the batch so far. Raises
        Refusal, Busy, store errors."""
        advertiser, keeper, now_s = shop.advertiser, self._keeper, self._clock.now_s()
        if advertiser.child_directed:
            raise Refusal("child", "nothing is kept of a shop that is directed to children")
        event = keeper.named(await _in_turns(read_event(raw, advertiser.events, now_s)), advertiser)
        permissions = _permitted(self._gate, event, advertiser, now_s)
        if permissions.child:
            raise Refusal("child", "nothing is kept of a child")
        if event.id in told:
            keeper.repeated(advertiser.id)
            return Result(index, "repeated", event.id, person=told[event.id])
        found, repeated = people.NOBODY, False
        if permissions.record:
            found = await people.of_server(keeper.hands, advertiser.id, event, now_s)
            found, repeated = await keeper.observed(shop, event, found, now_s)
        became = _became(permissions, found)
        if not keeper.record(shop, event, "server", found.person, became):
            keeper.refuse(advertiser.id, "busy")
            raise Busy
        told[event.id] = became
        if repeated:
            keeper.repeated(advertiser.id)
        status = "repeated" if repeated else "accepted"
        return Result(index, status, event.id, dropped=event.dropped, person=became)


async def _in_turns(reading: Reading) -> Intake:
    """An event that is read; bids go on between the parts of a long one. Raises Refusal."""
    while True:
        try:
            next(reading)
        except StopIteration as read:
            event: Intake = read.value
            return event
        await asyncio.sleep(0)


def _shares(shop: Shop, event: Intake, call: Call) -> list[Share]:
    """Of whom a pixel's call is: its shop, and who its cookie or the shop's id says."""
    shares = [Share(shop.advertiser.id, MAX_WAITING_OF_SHOP)]
    who: bytes | tuple[str, str] | None = cookies.person_of(call.cookies)
    if who is None and event.person and event.person.fp:
        who = (shop.advertiser.id, event.person.fp)
    return shares if who is None else [*shares, Share(who, MAX_WAITING_OF_PERSON)]


def _source(call: Call) -> str:
    """Whether our tag made a call: it says so."""
    return "tag" if call.first("via") == "tag" else "pixel"


def _became(permissions: Permissions, found: people.Found) -> str:
    if not permissions.record:
        return "unconsented"
    if found.opted_out:
        return "opted_out"
    return "unnamed" if found.person is None else "kept"


def _permitted(gate: Gate, event: Intake, advertiser: Advertiser, now_s: float) -> Permissions:
    """What a server's word about consent allows."""
    consent = event.consent or ConsentIn()
    sections = consent.gpp_sid
    told = {
        "gdpr": "" if consent.gdpr is None else str(int(consent.gdpr)),
        "gdpr_consent": consent.gdpr_consent,
        "gpp": consent.gpp,
        "gpp_sid": sections if isinstance(sections, str) else ",".join(map(str, sections)),
        "us_privacy": consent.us_privacy,
    }
    signals = signals_from(told, {}, consent.country or advertiser.country)
    limited = signals.limited or bool(event.person and event.person.lmt)
    signals = replace(signals, gpc=bool(consent.gpc), coppa=bool(consent.coppa), limited=limited)
    return gate.permit(signals, now_s)
