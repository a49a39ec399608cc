"""Step 3 of a bid, its first half: which ids of the request may lead to a person.

Place: run asks it after the gate; the look-ups of the whole batch become one read.
Limits: MAX_MATCHES keys; ids longer than MAX_ID_LENGTH, inferred ones (eid.mm 3-5) and session ids are passed over.
Source: OpenRTB 2.6 sections 3.2.18, 3.2.20, 3.2.27.
"""

from bidder.audience.handles import Handles
from bidder.audience.identity import MAX_ID_LENGTH, MAX_MATCHES, ZERO_IFA, Lookup, person_id, visitor_id
from bidder.exchanges import Exchange
from openrtb.request import BidRequest, Device, User

IFA_SOURCE = "ifa"
SESSION_ID = "sessionid"
_INFERRED = (3, 4, 5)


def lookup_of(
    request: BidRequest, exchange: Exchange, visitor_secret: bytes = b"", handles: Handles | None = None
) -> Lookup | None:
    """Where to look for the person; None where the request carries no usable id.

    With a secret, of 64 bytes at most, a request without an id is a visitor's: its truncated address and user
    agent, for whom views are counted. `handles` open what the exchange was told of a person; our id itself, which
    somebody may have been told in another way, is taken, too.
    """
    user = request.user
    if user is not None and user.buyeruid:
        own = handles.person(exchange.name, user.buyeruid) if handles is not None else None
        own = own or person_id(user.buyeruid)
        if own is not None:
            return Lookup(own)
    keys: list[str] = []
    if user is not None:
        if user.eids and exchange.eid_sources:
            keys += _eids(user, exchange)
        if user.id:
            keys.append(f"{exchange.name}/{user.id}")
    if request.device is not None and request.device.ifa:
        keys += _ifa(request.device)
    usable = [key for key in keys if len(key) <= MAX_ID_LENGTH]
    if usable:
        return Lookup(None, tuple(usable[:MAX_MATCHES]))
    return _visitor(request.device, visitor_secret) if visitor_secret else None


def _visitor(device: Device | None, secret: bytes) -> Lookup | None:
    """A visitor; None where the request tells no address or no user agent: too many would share the rest."""
    if device is None or not device.ua:
        return None
    visitor = visitor_id(secret, device.ip or device.ipv6 or "", device.ua)
    return Lookup(None, (), visitor) if visitor is not None else None


def _eids(user: User, exchange: Exchange) -> list[str]:
    return [
        f"{eid.source}/{uid.id}"
        for eid in user.eids or ()
        if eid.source in exchange.eid_sources and eid.mm not in _INFERRED
        for uid in eid.uids or ()
        if uid.id
    ]


def _ifa(device: Device) -> list[str]:
    ifa = (device.ifa or "").lower()
    if ifa == ZERO_IFA or (device.ext is not None and device.ext.ifa_type == SESSION_ID):
        return []
    return [f"{IFA_SOURCE}/{ifa}"]
