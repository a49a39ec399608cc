"""Our cookies: the id of a browser's person, once for all sites and once for this site alone, and the choice of none.

Place: receive and syncs read them and say which to set; web/shop and web/sync set them. rights/ has its own pages for
    the choice.
Shapes: `pl_id` and `pl_pid` hold 32 hexadecimal digits of a random number; `pl_optout` holds 1, or `pl_optin` does
    where the person took part again: then a first-party id that was opted out does not stand in the way of our cookie.
    It lifts no tombstone of a row: anybody can opt in, and send somebody else's id with it. A browser that keeps no
    third-party cookies may keep `pl_pid`, which is partitioned: another on each shop's site.
Limits: ID_S, OPT_OUT_S; browsers cut what is longer than 400 days.
Source: RFC 6265bis (SameSite, HttpOnly), CHIPS (Partitioned). Secure cookies also work on http to a loopback address.
Never: a cookie but the opt-out for who opted out; anything that came with the call in a cookie.
"""

import secrets
from collections.abc import Mapping
from typing import Final

from bidder.audience.identity import is_visitor, person_id

ID: Final = "pl_id"
PARTITIONED_ID: Final = "pl_pid"
OPT_OUT: Final = "pl_optout"
OPT_IN: Final = "pl_optin"
ID_S: Final = 30 * 86_400
OPT_OUT_S: Final = 390 * 86_400
PERSON_BYTES: Final = 16

_SAFE: Final = "Path=/; Secure; HttpOnly; SameSite=None"
_NOBODY: Final = (bytes(PERSON_BYTES), b"\xff" * PERSON_BYTES)


def person_of(cookies: Mapping[str, str]) -> bytes | None:
    """The 16 bytes that a browser brings; None where it brings none."""
    for name in (ID, PARTITIONED_ID):
        found = person_id(cookies.get(name, ""))
        if found is not None and found not in _NOBODY and not is_visitor(found):
            return found
    return None


def opted_out(cookies: Mapping[str, str]) -> bool:
    """Whether the browser says that its person wants no part in this."""
    return bool(cookies.get(OPT_OUT))


def opted_in(cookies: Mapping[str, str]) -> bool:
    """Whether the browser's person opted out once, and in again."""
    return bool(cookies.get(OPT_IN)) and not opted_out(cookies)


def new_person() -> bytes:
    """16 random bytes."""
    while True:
        made = secrets.token_bytes(PERSON_BYTES)
        if made not in _NOBODY and not is_visitor(made):
            return made


def keeping(person: bytes, ttl_s: float = ID_S) -> tuple[str, ...]:
    """Set-Cookie: the browser's person, for 30 days from now at most."""
    age = f"Max-Age={min(int(ttl_s), ID_S)}"
    return (
        f"{ID}={person.hex()}; {age}; {_SAFE}",
        f"{PARTITIONED_ID}={person.hex()}; {age}; {_SAFE}; Partitioned",
    )


def forgetting(cookies: Mapping[str, str]) -> tuple[str, ...]:
    """Set-Cookie: our ids go, those that the browser brought."""
    gone = []
    if ID in cookies:
        gone.append(f"{ID}=; Max-Age=0; {_SAFE}")
    if PARTITIONED_ID in cookies:
        gone.append(f"{PARTITIONED_ID}=; Max-Age=0; {_SAFE}; Partitioned")
    return tuple(gone)


def opting_out(cookies: Mapping[str, str]) -> tuple[str, ...]:
    """Set-Cookie: the choice is told on this site, too, and our ids go."""
    return (
        f"{OPT_OUT}=1; Max-Age={OPT_OUT_S}; {_SAFE}",
        f"{OPT_OUT}=1; Max-Age={OPT_OUT_S}; {_SAFE}; Partitioned",
        *forgetting(cookies),
    )
