"""What each exchange is like: its clock, its currency of answers, its habits of notice.

Place: intake, respond and the ports read a profile; none of them knows an exchange by name.
Source: the public facts of each exchange are in README "Exchanges"; all of it can be configured.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Milliseconds = Annotated[int, Meta(ge=1, le=60_000)]
Name = Annotated[str, Meta(pattern=r"^(?!ifa\Z)[a-z0-9][a-z0-9_-]{0,31}\Z")]
"""Not `ifa`: that is the source of advertising ids in the match table."""
# The host stands before the first field, so that nothing of a call decides where a browser goes.
SyncUrl = Annotated[
    str,
    Meta(
        pattern=r"^(https?://[A-Za-z0-9.:-]+[/?]([^\s\"'<>{}\\\\\x00-\x1f\x7f]|"
        r"\{(id|gdpr|gdpr_consent|gpp|gpp_sid|us_privacy)\})*)?\Z",
        max_length=1_000,
    ),
]


class Exchange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One exchange's profile."""

    name: Name
    seat: Annotated[str, Meta(max_length=64)] = ""
    """Our seat id at this exchange; empty: none is sent."""
    tmax_default_ms: Milliseconds = 150
    """Where the request names no tmax."""
    margin_ms: Annotated[int, Meta(ge=0, le=10_000)] = 20
    """Kept back from tmax for the network there and back."""
    no_bid: Literal["204", "json"] = "204"
    ext_prebid_type: bool = False
    """Send bid.ext.prebid.type beside mtype."""
    billing: Literal["burl", "beacon"] = "burl"
    """What moves money: the billing notice, or the impression beacon in the markup."""
    price_decoder: Literal["plain", "google"] = "plain"
    exp_s: Annotated[int, Meta(ge=1, le=86_400)] = 300
    """Sent as bid.exp where the imp asks for none: how long our bid stands."""
    notice_delay_s: Annotated[int, Meta(ge=0, le=86_400)] = 600
    """How long after `exp` a notice may still come."""
    eid_sources: tuple[str, ...] = ()
    """Sources of user.eids whose ids stand in the match table."""
    gzip_answers: bool = True
    sync_url: SyncUrl = ""
    """Where a browser hands the exchange an id of the person, made for that exchange: a URL with {id}, and {gdpr}
    {gdpr_consent} {gpp} {gpp_sid} {us_privacy} where the exchange takes them. Empty: it is never told one."""
    syncs_per_day: Annotated[int, Meta(ge=1, le=100)] = 1
    """How often one person's id is handed to it within a day (UTC)."""


SHIPPED: tuple[Exchange, ...] = (
    Exchange(name="generic"),
    Exchange(name="prebid", seat="paceline", ext_prebid_type=True, billing="beacon", margin_ms=30),
    Exchange(name="google", tmax_default_ms=100, margin_ms=20, price_decoder="google", billing="beacon"),
    Exchange(name="xandr", tmax_default_ms=100, margin_ms=15),
    Exchange(name="index", tmax_default_ms=100, margin_ms=20),
    Exchange(name="magnite", tmax_default_ms=150, margin_ms=25),
)
