"""What a request says about consent, gathered from wherever exchanges put it.

Place: intake fills it; the gate turns it into Permissions; nothing else reads a consent string.
Shapes: absent is None or "". A flag is set by any number but 0: garbage denies.
"""

from msgspec import Struct

from openrtb.request import BidRequest, Device, Geo

ATT_AUTHORISED = 3
"""device.ext.atts on iOS: 3 = tracking authorised; any other denies it or has not asked."""


class Signals(Struct, frozen=True, gc=False):
    """The signals of one request."""

    gdpr: int | None = None
    tc_string: str = ""
    gpp: str = ""
    gpp_sections: tuple[int, ...] = ()
    """gpp_sid: the sections in force."""
    us_privacy: str = ""
    coppa: bool = False
    gpc: bool = False
    limited: bool = False
    """device.lmt or device.dnt, or tracking not authorised by the operating system."""
    country: str = ""
    """Of device.geo, ISO 3166-1 in upper case, to presume a regime where none is named."""
    home: str = ""
    """The same of user.geo: either is enough to presume."""
    minor: bool = False
    """regs.ext.s22580: directed to minors of California, whom we treat as children."""


def signals_of(request: BidRequest) -> Signals:
    """The signals of a request that has been through `upgrade`."""
    regs, device, user = request.regs, request.device, request.user
    country = _country(device.geo) if device is not None else ""
    home = _country(user.geo) if user is not None else ""
    limited = device is not None and bool(device.lmt or device.dnt or _att_denied(device))
    consent = user.consent if user is not None else None
    if regs is None:
        return Signals(None, consent or "", limited=limited, country=country, home=home)
    return Signals(
        regs.gdpr,
        consent or "",
        regs.gpp or "",
        tuple(regs.gpp_sid or ()),
        regs.us_privacy or "",
        bool(regs.coppa),
        regs.ext is not None and bool(regs.ext.gpc),
        limited,
        country,
        home,
        regs.ext is not None and bool(regs.ext.s22580),
    )


def _att_denied(device: Device) -> bool:
    ext = device.ext
    return ext is not None and ext.atts is not None and ext.atts != ATT_AUTHORISED


def _country(geo: Geo | None) -> str:
    return geo.country.upper() if geo is not None and geo.country else ""
