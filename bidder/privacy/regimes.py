"""Which law is in force for a request, and what the US ones say.

Place: `gate` and `explain` ask here; it knows signals and decoded GPP strings, no permissions.
Shapes: without gpp_sid every section of a GPP string counts as in force; -1 says that none is.
Source: geography presumes GDPR in the EEA, the United Kingdom and Switzerland, and in the territories of theirs that
    have codes of their own (TFEU article 355), where no regime is named.
"""

from enum import IntEnum
from typing import Final

from bidder.privacy import gpp
from bidder.privacy.signals import Signals

GDPR_COUNTRIES = frozenset(
    {
        *("AUT", "BEL", "BGR", "CHE", "CYP", "CZE", "DEU", "DNK"),
        *("ESP", "EST", "FIN", "FRA", "GBR", "GRC", "HRV", "HUN"),
        *("IRL", "ISL", "ITA", "LIE", "LTU", "LUX", "LVA", "MLT"),
        *("NLD", "NOR", "POL", "PRT", "ROU", "SVK", "SVN", "SWE"),
        *("ALA", "GGY", "GIB", "GLP", "GUF", "IMN", "JEY", "MAF"),
        *("MTQ", "MYT", "REU", "SJM"),
    }
)
GDPR_SHORT = frozenset(
    {
        *("AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "EL", "ES", "FI"),
        *("FR", "GB", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV"),
        *("MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK", "UK", "AX", "GG"),
        *("GI", "GP", "GF", "IM", "JE", "MF", "MQ", "YT", "RE", "SJ"),
    }
)
"""The same in two letters, which OpenRTB does not ask for and exchanges send (EL and UK are the Union's own)."""
PRESUMED: Final = GDPR_COUNTRIES | GDPR_SHORT
NO_SECTION, TCF_SECTION, USP_SECTION = -1, gpp.TCFEUV2, gpp.USPV1
_OTHER_SECTIONS: Final = (NO_SECTION, TCF_SECTION, USP_SECTION)


class SectionsSay(IntEnum):
    """What the sections in force say, the gravest word."""

    NOTHING = 0
    REFUSED = 1
    """An opt-out, a GPC signal, or a section that cannot be read."""
    CHILD = 2


_SILENT: Final = SectionsSay.NOTHING  # an attribute of an Enum takes 40 ns to find
_REFUSED: Final = SectionsSay.REFUSED


def gdpr_applies(signals: Signals, sections: gpp.Gpp) -> bool:
    """Named by the flag or by gpp_sid; without them presumed where a TC string came along, and by geography."""
    if signals.gdpr is not None:
        return signals.gdpr != 0
    in_force = signals.gpp_sections
    if TCF_SECTION in in_force or signals.tc_string or (sections.tcf is not None and not in_force):
        return True
    return signals.country in PRESUMED or signals.home in PRESUMED


def sections_say(sections: gpp.Gpp, in_force: tuple[int, ...]) -> SectionsSay:
    """What the sections in force say of the person: a law that we do not know allows nothing."""
    said = _REFUSED if unread(sections, in_force) else _SILENT
    for number, section in sections.us.items():
        if in_force and number not in in_force:
            continue
        if gpp.known_child(section):
            return SectionsSay.CHILD
        if gpp.opted_out(section) or gpp.gpc(section):
            said = _REFUSED
    usp = sections.usp
    if usp is not None and usp.opted_out and (not in_force or USP_SECTION in in_force):
        return _REFUSED
    return said


def unread(sections: gpp.Gpp, in_force: tuple[int, ...]) -> list[int]:
    """Sections in force that are unknown to us, or are not in the string. (Section 2 is for the TCF to miss.)"""
    us = sections.us
    missing = [n for n in in_force or sections.sections if n not in us and n not in _OTHER_SECTIONS]
    if USP_SECTION in in_force and sections.usp is None:
        missing.append(USP_SECTION)
    return missing
