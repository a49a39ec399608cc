"""Which ids of a request lead to a person, best first."""

from __future__ import annotations

from typing import Any

import pytest

from bidder.auction.identify import lookup_of
from bidder.audience.handles import Handles
from bidder.audience.identity import MAX_ID_LENGTH, MAX_MATCHES, Lookup
from bidder.exchanges import Exchange
from tests.bidder.auction.support import request_of, uid
from tests.corpus import compact

PROFILE = Exchange(name="x", eid_sources=("a.example", "b.example"))
IFA = "6D92078A-8246-4BA4-AE5B-76104861E7DC"


def _lookup(profile: Exchange = PROFILE, **body: Any) -> Lookup | None:
    request = {"id": "r", "imp": [{"id": "1", "banner": {"w": 1, "h": 1}}], **body}
    return lookup_of(request_of(compact(request)), profile)


def _eid(source: str, *ids: str, **more: Any) -> dict[str, Any]:
    return {"source": source, "uids": [{"id": each} for each in ids], **more}


@pytest.mark.parametrize(
    ("body", "matches"),
    [
        ({}, None),
        ({"user": {}}, None),
        ({"user": {"id": "u"}}, ("x/u",)),
        ({"user": {"buyeruid": "not ours", "id": "u"}}, ("x/u",)),
        ({"user": {"eids": [_eid("a.example", "1", "2")]}}, ("a.example/1", "a.example/2")),
        ({"user": {"eids": [_eid("other.example", "1")]}}, None),
        ({"user": {"eids": [_eid("a.example", "1", mm=3), _eid("b.example", "2", mm=2)]}}, ("b.example/2",)),
        ({"user": {"ext": {"eids": [_eid("a.example", "1")]}}}, ("a.example/1",)),
        ({"user": {"eids": [{"source": "a.example"}, {"uids": [{}]}]}}, None),
        ({"device": {"ifa": IFA}}, (f"ifa/{IFA.lower()}",)),
        ({"device": {"ifa": "00000000-0000-0000-0000-000000000000"}}, None),
        ({"device": {"ifa": ""}}, None),
        ({"device": {"ifa": IFA, "ext": {"ifa_type": "sessionid"}}}, None),
        ({"device": {"ifa": IFA, "ext": {"ifa_type": "aaid"}}}, (f"ifa/{IFA.lower()}",)),
        (
            {"user": {"id": "u", "eids": [_eid("a.example", "1")]}, "device": {"ifa": IFA}},
            ("a.example/1", "x/u", f"ifa/{IFA.lower()}"),
        ),
    ],
    ids=lambda value: str(value)[:70],
)
def test_matches(body: dict[str, Any], matches: tuple[str, ...] | None) -> None:
    """Eids of the sources that we match, then the exchange's id, then the device's."""
    assert _lookup(**body) == (None if matches is None else Lookup(None, matches))


def test_our_own_id_is_enough() -> None:
    """With a buyeruid of ours nothing else is looked up."""
    assert _lookup(user={"buyeruid": uid(5), "id": "u"}) == Lookup((5).to_bytes(16, "big"))


def test_what_an_exchange_was_told_is_opened() -> None:
    """A handle of this exchange leads to the person, one of a key that left the ring to nobody; our id itself is
    taken."""
    handles, me = Handles(((1, b"k" * 32),)), (5).to_bytes(16, "big")
    gone = Handles(((2, b"k" * 32),)).handle("x", me)
    for told, found in (
        (handles.handle("x", me), Lookup(me)),
        (uid(5), Lookup(me)),
        (gone, Lookup(None, ("x/u",))),
        ("z" * 34, Lookup(None, ("x/u",))),
    ):
        user = {"buyeruid": told, "id": "u"}
        request = request_of(
            compact({"id": "r", "imp": [{"id": "1", "banner": {"w": 1, "h": 1}}], "user": user})
        )
        assert lookup_of(request, PROFILE, handles=handles) == found
    assert _lookup(user={"buyeruid": handles.handle("y", me)}) is None


def test_no_more_than_a_few_matches() -> None:
    """A request with many ids costs no more than MAX_MATCHES look-ups."""
    found = _lookup(user={"eids": [_eid("a.example", *map(str, range(50)))]})
    assert found is not None
    assert len(found.matches) == MAX_MATCHES


def test_an_endless_id_is_passed_over() -> None:
    """Longer than MAX_ID_LENGTH with its source: never a key."""
    assert _lookup(user={"id": "u" * MAX_ID_LENGTH}) is None
    assert _lookup(user={"id": "u" * (MAX_ID_LENGTH - 2)}) is not None


@pytest.mark.parametrize(
    ("device", "found"),
    [
        ({"ip": "203.0.113.7", "ua": "agent"}, True),
        ({"ipv6": "2001:db8::1", "ua": "agent"}, True),
        ({"ip": "203.0.113.7"}, False),
        ({"ua": "agent"}, False),
        ({"ip": "not one", "ua": "agent"}, False),
        (None, False),
    ],
)
def test_visitors(device: dict[str, Any] | None, found: bool) -> None:
    """With a secret, who has no id is told apart by address and agent, where both are there; without it nobody is."""
    body = {
        "id": "r",
        "imp": [{"id": "1", "banner": {"w": 1, "h": 1}}],
        **({"device": device} if device else {}),
    }
    lookup = lookup_of(request_of(compact(body)), PROFILE, b"secret")
    assert (lookup is not None and lookup.visitor is not None) is found
    assert lookup_of(request_of(compact(body)), PROFILE) is None


def test_an_id_goes_before_an_address() -> None:
    """Whoever has an id is no visitor."""
    body = {"id": "r", "imp": [{"id": "1", "banner": {"w": 1, "h": 1}}], "user": {"id": "u"}}
    body["device"] = {"ip": "203.0.113.7", "ua": "agent"}
    assert lookup_of(request_of(compact(body)), PROFILE, b"secret") == Lookup(None, ("x/u",))
