"""Which law is in force for a request, and what the US ones say.

Place: `gate` and `explain` ask here; it knows signals and decoded GPP strings, no permissions.
Shapes: without gpp_sid every section of a GPP string counts as in force; -1 says that none is.
Source: geography presumes GDPR in the EEA, the United Kingdom and Switzerland, and in the territories of theirs that
    have codes of their own (TFEU article 355), where no regime is named.
"""

from enum import IntEnum
from typing import Final

from bidder.privacy import gpp
from bidder.privacy.gpp_sections import LAYOUTS
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
_UNITED_STATES: Final = frozenset({"USA", "US"})


class Regime(IntEnum):
    """Which law is in force for a request: of several, the first here."""

    COPPA = 0
    """Or another law for children."""
    GDPR = 1
    US = 2
    """A state's: named by a string or a section, or presumed by geography."""
    OTHER = 3
    """A section in force that is of no law above, such as Canada's."""
    NONE = 4


_COPPA, _GDPR, _US = Regime.COPPA, Regime.GDPR, Regime.US  # as below: 40 ns


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


def regime_of(signals: Signals, sections: gpp.Gpp, child: bool) -> Regime:
    """The law in force; `child`: the request is about one."""
    if child:
        return _COPPA
    if gdpr_applies(signals, sections):
        return _GDPR
    if signals.us_privacy or signals.country in _UNITED_STATES or signals.home in _UNITED_STATES:
        return _US
    in_force = signals.gpp_sections or sections.sections
    if any(number == USP_SECTION or number in LAYOUTS for number in in_force):
        return _US
    return Regime.OTHER if any(number not in _OTHER_SECTIONS for number in in_force) else Regime.NONE


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
