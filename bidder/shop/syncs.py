"""Whose id is whose: ids of exchanges and ours, exchanged by browsers that allow it.

Place: web/sync calls it. An exchange sends browsers to `/sync/{exchange}`; our tag asks `/v1/syncs` for pixels.
Rule: an exchange is told a handle of our id, made for it alone: nothing that a page or an exchange sees here is an id
    that our own pages take. A handle is given, and an id of theirs taken, only where the permissions of the call say
    so, at most syncs_per_day a person and exchange in either way, which also ends a loop of two redirects. Where a
    browser is sent stands in the exchange's profile alone; a call fills in the handle and its consent, each escaped.
    An id that was opted out is not matched and changes nothing in the browser: any page can make a browser bring it.
    Silence about consent is none: a sync knows no country.
Limits: MAX_OFFERED pixels for one page; an exchange's id has 1 to 256 visible ASCII characters; a consent string that
    is handed on has MAX_CONSENT.
Never: a parameter that becomes a target; a store's failure that a browser sees.
"""

import logging
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from bidder.audience.identity import MAX_ID_LENGTH
from bidder.clock import Clock
from bidder.exchanges import Exchange
from bidder.metrics import Tally
from bidder.privacy.gate import Gate
from bidder.privacy.signals import Signals
from bidder.shop import cookies, counts
from bidder.shop.calls import Answer, Call
from bidder.shop.hands import Hands, SyncTimes
from bidder.shop.origins import belongs, page_of
from bidder.shop.people import UNPROVEN_S
from bidder.shop.receive import MAX_WAITING, STORE_ERRORS, Shops
from bidder.shop.scrub import is_personal
from bidder.shop.wire import MAX_CONSENT
from bidder.stores.people_writer import MAX_TTL_S, Matched

MAX_OFFERED: Final = 5

_CONSENT: Final = ("gdpr", "gdpr_consent", "gpp", "gpp_sid", "us_privacy")
_FIELD: Final = re.compile(r"\{(\w+)\}")
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+\Z")

_log = logging.getLogger(__name__)


def filled(template: str, handle: str, call: Call) -> str:
    """An exchange's sync URL with its handle of the person and the call's consent, escaped; what is too long to hand
    on is left out."""
    values = {name: call.first(name)[: MAX_CONSENT + 1] for name in _CONSENT}
    values = {name: value if len(value) <= MAX_CONSENT else "" for name, value in values.items()}
    values["id"] = handle
    return _FIELD.sub(lambda field: quote(values.get(field[1], ""), safe="", errors="replace"), template)


def usable_uid(uid: str) -> bool:
    """Whether an exchange's id may stand in the match table."""
    return len(uid) <= MAX_ID_LENGTH and _VISIBLE.match(uid) is not None and not is_personal(uid)


def says_nothing(signals: Signals) -> bool:
    """Whether a call, of whose country nobody knows, does not tell either that consent is given or not needed."""
    told = signals.tc_string or signals.gpp or signals.gpp_sections or signals.us_privacy
    return signals.gdpr is None and not told


class Syncs:
    """Cookie syncs of a worker."""

    keep_s: float = cookies.ID_S
    """How long a browser keeps our id; the configuration may shorten it."""

    def __init__(
        self,
        exchanges: Iterable[Exchange],
        hands: Hands,
        times: SyncTimes,
        gate: Gate,
        tally: Tally,
        clock: Clock,
    ) -> None:
        self._exchanges = {exchange.name: exchange for exchange in exchanges}
        self._limits = [(each.name, each.syncs_per_day) for each in self._exchanges.values() if each.sync_url]
        self._matcher, self._visitors, self._times = hands.matcher, hands.visitors, times
        self._handles = hands.handles
        self._gate, self._tally, self._clock = gate, tally, clock
        self._waiting = 0

    def knows(self, name: str) -> bool:
        """Whether there is such an exchange."""
        return name in self._exchanges

    async def sync(self, name: str, call: Call) -> Answer:
        """A browser that an exchange sent: 302 to the exchange with its handle, else 200 for the GIF; 400 for an id
        that cannot be one, 404 for an exchange that is none of ours."""
        exchange = self._exchanges.get(name)
        if exchange is None:
            return Answer(404, "exchange: unknown")
        uid = call.first("uid")
        if uid and not usable_uid(uid):
            return self._ended(
                name, "refused", Answer(400, f"uid: expected 1 to {MAX_ID_LENGTH} visible characters")
            )
        if cookies.opted_out(call.cookies):
            return self._ended(name, "opted_out", Answer(cookies=cookies.forgetting(call.cookies)))
        signals = call.signals("")
        permissions = self._gate.permit(signals, self._clock.now_s())
        if says_nothing(signals) or not (permissions.sync and permissions.write_id):
            return self._ended(name, "unconsented", Answer())
        if self._waiting >= MAX_WAITING:
            return self._ended(name, "failed", Answer())
        self._waiting += 1
        try:
            return await self._synced(exchange, uid, call)
        except STORE_ERRORS as error:
            _log.warning("the store of people did not take a sync: %s", type(error).__name__)
            return self._ended(name, "failed", Answer())
        finally:
            self._waiting -= 1

    async def _synced(self, exchange: Exchange, uid: str, call: Call) -> Answer:
        own, now_s = cookies.person_of(call.cookies), self._clock.now_s()
        if own is not None and await self._visitors.erased(own):
            own = None
        person = own or cookies.new_person()
        if uid:
            ttl_s = MAX_TTL_S if own else UNPROVEN_S
            matched = await self._matcher.match(exchange.name, uid, person, now_s, ttl_s)
            if matched is Matched.PERSON_OUT:
                return self._ended(
                    exchange.name, "opted_out", Answer(cookies=cookies.opting_out(call.cookies))
                )
            if not (matched or cookies.opted_in(call.cookies)):  # any page can make a browser bring any id
                return self._ended(exchange.name, "id_opted_out", Answer())
        location = ""
        if exchange.sync_url:
            limits = [(exchange.name, exchange.syncs_per_day)]
            granted = await self._times.take(person, limits, 1, now_s)
            if granted is None:
                return self._ended(
                    exchange.name, "opted_out", Answer(cookies=cookies.opting_out(call.cookies))
                )
            if granted:
                location = self._url(exchange, person, call)
                self._tally.count(counts.SYNCS_SENT.name, exchange.name, "redirect")
        answer = Answer(
            302 if location else 200, cookies=cookies.keeping(person, self.keep_s), location=location
        )
        return self._ended(exchange.name, "matched" if uid else "unnamed", answer)

    async def offered(self, shops: Shops, call: Call) -> tuple[Answer, list[str]]:
        """The pixels that a page of a shop loads for a browser that keeps our cookie; 400 and 403 say what is wrong."""
        advertiser = shops.advertiser(call.first("advertiser"))
        if advertiser is None:
            return Answer(400, "advertiser: unknown"), []
        if not belongs(page_of(call.headers) or "", advertiser):
            return Answer(403, "origin: this page is not the advertiser's"), []
        signals = call.signals(advertiser.country)
        person = None
        if not (advertiser.child_directed or signals.coppa or cookies.opted_out(call.cookies)):
            permissions = self._gate.permit(signals, self._clock.now_s())
            person = cookies.person_of(call.cookies) if permissions.sync and permissions.read_id else None
        if person is None or not self._limits or self._waiting >= MAX_WAITING:
            return Answer(), []
        self._waiting += 1
        try:
            names = await self._times.take(person, self._limits, MAX_OFFERED, self._clock.now_s())
        except STORE_ERRORS as error:
            _log.warning("the store of people did not tell of syncs: %s", type(error).__name__)
            return Answer(), []
        finally:
            self._waiting -= 1
        if names is None:
            return Answer(cookies=cookies.opting_out(call.cookies)), []
        for name in names:
            self._tally.count(counts.SYNCS_SENT.name, name, "tag")
        return Answer(), [self._url(self._exchanges[name], person, call) for name in names]

    def _url(self, exchange: Exchange, person: bytes, call: Call) -> str:
        return filled(exchange.sync_url, self._handles.handle(exchange.name, person), call)

    def _ended(self, name: str, result: str, answer: Answer) -> Answer:
        self._tally.count(counts.SYNCS.name, name, result)
        return answer
