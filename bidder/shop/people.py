"""Whom an event is about: our cookie, a first-party id, an advertising id or an exchange's, in that order.

Place: receive asks it where the permissions allow to know, never before.
Rule: a first-party id leads to a person of ours, and never the other way: who sends one is not told who is behind it
    (no cookie is set for it), since the person holds more than this shop's part. A shop's word makes rows of its own
    ids and of advertising ids that nobody had; an exchange's id leads to a person only where the exchange said so.
    An id that was opted out tells of itself, and not of a browser that sends it: any page may make a browser send any
    id. Nor does a browser's cookie take an id from somebody who is still known.
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
from bidder.shop.intake import Intake
from bidder.stores.keys import OPTED_OUT
from bidder.stores.people_writer import MAX_TTL_S, Matched

IFA: Final = "ifa"
UNPROVEN_S: Final = 86_400


class Found(Struct, frozen=True):
    """A person, or none."""

    person: bytes | None = None
    keep: bool = False
    """The browser may keep it, or the choice of none, in a cookie."""
    proven: bool = True
    """Whoever it is has been here before."""
    opted_out: bool = False


NOBODY: Final = Found()
OUT: Final = Found(keep=True, opted_out=True)
"""The person has opted out."""
ID_OUT: Final = Found(opted_out=True)
"""An id was opted out: nothing is kept, and the browser is told nothing."""


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
        return await _with_id_out(hands, cookies, cookie)
    if found is not None and cookie in (None, found):
        return Found(found, cookie is not None)
    if cookie is not None and found is not None and await hands.visitors.lives(found):
        return Found(cookie, True)
    person = cookie or new_person()
    ttl_s = MAX_TTL_S if cookie is not None else UNPROVEN_S
    if not (matched := await hands.matcher.match(source, fp, person, now_s, ttl_s)):
        return OUT if matched is Matched.PERSON_OUT else ID_OUT
    return Found(person, True, cookie is not None)


async def _with_id_out(hands: Hands, cookies: Mapping[str, str], cookie: bytes | None) -> Found:
    """Who it is that brings a first-party id which was opted out."""
    if cookie is not None and await hands.matcher.opted_out(cookie):
        return OUT
    return Found(cookie or new_person(), True, cookie is not None) if opted_in(cookies) else ID_OUT


async def of_server(hands: Hands, advertiser_id: str, event: Intake, now_s: float) -> Found:
    """The person that a server names; somebody new where it names an id of the shop's or a device's that nobody had.
    Nobody for an event of before the erasure of whoever one of the ids led to."""
    if event.person is None:
        return NOBODY
    told = event.person
    own = [(first_party(advertiser_id), told.fp)] if told.fp else []
    ifa = (told.ifa or "").lower()
    if ifa and ifa != ZERO_IFA:
        own.append((IFA, ifa))
    keys = [match_key(*each) for each in [*own, *told.exchanges.items()]]
    found, guard_s = await hands.visitors.traced(keys) if keys else (None, -1)
    if found == OPTED_OUT:
        return ID_OUT
    if int(event.at_s) <= guard_s:
        return NOBODY
    if found is None and own:
        found = new_person()
        if not await hands.matcher.match(*own[0], found, now_s):
            return ID_OUT
    if found is not None and told.login:
        await hands.visitors.join(found, advertiser_id, told.login, int(now_s))
    return Found(found)
