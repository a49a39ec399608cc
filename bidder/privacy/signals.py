"""What a request says about consent, gathered from wherever exchanges put it.

Place: intake fills it; the gate turns it into Permissions; nothing else reads a consent string.
Shapes: absent is None or "".
"""

from msgspec import Struct


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
    """ISO 3166-1 alpha-3, to presume a regime where none is named."""
