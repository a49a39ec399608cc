"""Whom an event is about: our cookie, a first-party id, an advertising id or an exchange's, in that order.

Place: receive asks it where the permissions allow to know, never before.
Rule: a first-party id leads to a person of ours, and never the other way: who sends one is not told who is behind it
    (no cookie is set for it), since the person holds more than this shop's part. A shop's word makes rows of its own
    ids and of advertising ids that nobody had; an exchange's id leads to a person only where the exchange said so.
    A number that was erased is nobody's: browsers bring it out of cookies that our pages could not reach.
Limits: UNPROVEN_S for somebody new whose browser has not yet shown that it keeps our cookie: browsers that keep none
    would leave a person behind with each page.
Raises: redis.RedisError, OSError.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from bidder.audience.identity import ZERO_IFA, match_key
from bidder.shop.cookies import new_person, opted_in, person_of
from bidder.shop.hands import Hands
from bidder.shop.wire import PersonIn
from bidder.stores.keys import OPTED_OUT
from bidder.stores.people_writer import MAX_TTL_S

IFA: Final = "ifa"
UNPROVEN_S: Final = 86_400


class Found(Struct, frozen=True):
    """A person, or none."""

    person: bytes | None = None
    keep: bool = False
    """The browser may keep it in a cookie."""
    proven: bool = True
    """Whoever it is has been here before."""
    opted_out: bool = False


NOBODY: Final = Found()
OUT: Final = Found(opted_out=True)


def first_party(advertiser_id: str) -> str:
    """The source of an advertiser's first-party ids in the match table."""
    return f"shop.{advertiser_id}"


async def of_browser(
    hands: Hands, advertiser_id: str, cookies: Mapping[str, str], fp: str, now_s: float
) -> Found:
    """The person of a browser's cookie; without one, who the shop's first-party id leads to, else somebody new."""
    cookie = person_of(cookies)
    if cookie is not None and await hands.visitors.erased(cookie):
        cookie = None
    if not fp:
        return Found(cookie or new_person(), True, cookie is not None)
    source = first_party(advertiser_id)
    found = await hands.visitors.resolve([match_key(source, fp)])
    if found == OPTED_OUT:
        if not opted_in(cookies):
            return OUT
        await hands.matcher.allow(source, fp)
        found = None
    if found is not None and cookie in (None, found):
        return Found(found, cookie is not None)
    person = cookie or new_person()
    ttl_s = MAX_TTL_S if cookie is not None else UNPROVEN_S
    if not await hands.matcher.match(source, fp, person, now_s, ttl_s):
        return OUT
    return Found(person, True, cookie is not None)


async def of_server(hands: Hands, advertiser_id: str, told: PersonIn | None, now_s: float) -> Found:
    """The person that a server names; somebody new where it names an id of the shop's or a device's that nobody had."""
    if told is None:
        return NOBODY
    own = [(first_party(advertiser_id), told.fp)] if told.fp else []
    ifa = (told.ifa or "").lower()
    if ifa and ifa != ZERO_IFA:
        own.append((IFA, ifa))
    keys = [match_key(*each) for each in [*own, *told.exchanges.items()]]
    found = await hands.visitors.resolve(keys) if keys else None
    if found == OPTED_OUT:
        return OUT
    if found is None and own:
        found = new_person()
        if not await hands.matcher.match(*own[0], found, now_s):
            return OUT
    if found is not None and told.login:
        await hands.visitors.join(found, advertiser_id, told.login, int(now_s))
    return Found(found)
