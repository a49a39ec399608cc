"""Step 2 of a bid: may we? From consent signals to Permissions, in one table.

Place: intake asks it once per request; code asks for a permission, never for a consent string.
Shapes: every regime that applies takes permissions away; what none takes away stands.
Limits: a string that does not decode is no consent. Contextual ads need no permission: nothing of the person is
    used for them.
Source: TCF policies 2.3 (purposes 1, 3, 4, 7, special feature 1, vendor consent; legitimate interest is no basis
    for purposes 3 and 4), US privacy string 1.0, GPP 1.1 US sections, COPPA, GPC; geography presumes
    GDPR in the EEA, the United Kingdom and Switzerland, and in the territories of theirs that have codes of their
    own (TFEU article 355), where no regime is named.
"""

from functools import lru_cache

from msgspec import Struct

from bidder.privacy import gpp, tcf, us_privacy
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
_PRESUMED = GDPR_COUNTRIES | GDPR_SHORT
NO_SECTION, TCF_SECTION, USP_SECTION = -1, 2, 6
_OTHER_SECTIONS = (NO_SECTION, TCF_SECTION, USP_SECTION)
CONSENT_CACHE = 4_096
"""Strings remembered: one page asks for several auctions with the same string."""
KEPT_CHARS = 1_024
"""Longer strings are read anew: real ones have some 700 characters, and those of 8,192 that each weigh 60 KB when
they have been read would make the memory of them a quarter of a gigabyte."""
CONSENT_PERIOD_S = 3_600
"""For so long what a TC string allows is remembered; the age of strings is told in days."""
_PROFILE = tcf.purposes_mask(1, 3, 4)
_STORE = tcf.purposes_mask(1)
_MEASURE = tcf.purposes_mask(7)
_PRECISE = tcf.features_mask(1)
_RESTRICTED_PURPOSES = (1, 3, 4, 7)


class Permissions(Struct, frozen=True, gc=False):
    """What may be done with the person behind a request."""

    personalise: bool
    """Use what is known of the person: segments, affinity, recent products."""
    read_id: bool
    write_id: bool
    measure: bool
    """Record the person's id with impressions, clicks and conversions."""
    precise_geo: bool
    child: bool = False
    """The request is about a child: nothing personal at all, and only ads made for it."""
    sync: bool = False
    """Exchange the person's id with exchanges."""
    record: bool = False
    """Record what the person does in a shop, and profile the person by it."""


FULL = Permissions(True, True, True, True, True, False, True, True)
NOTHING = Permissions(False, False, False, False, False)
CHILD = Permissions(False, False, False, False, False, True)


class Gate:
    """The table, for one vendor id of the Global Vendor List."""

    def __init__(self, vendor_id: int) -> None:
        """`vendor_id` 0: not registered, so no TC string can name us and GDPR traffic stays contextual."""
        self._vendor_id = vendor_id
        self._by_text = lru_cache(CONSENT_CACHE)(self._read_consent)

    def permit(self, signals: Signals, now_s: float) -> Permissions:
        """The permissions of one request."""
        if signals.coppa:
            return CHILD
        if signals.limited or signals.gpc or _us_opt_out(signals):
            return NOTHING
        text = signals.gpp
        sections = _sections(text) if len(text) <= KEPT_CHARS else gpp.decode(text)
        if sections is None or _sections_refuse(sections, signals.gpp_sections):
            return NOTHING
        if not _gdpr_applies(signals):
            return FULL
        text = signals.tc_string
        if not text:
            return self._by_consent(sections.tcf, int(now_s))
        read = self._by_text if len(text) <= KEPT_CHARS else self._read_consent
        return read(text, int(now_s) // CONSENT_PERIOD_S)

    def _read_consent(self, text: str, period: int) -> Permissions:
        return self._by_consent(tcf.decode(text), period * CONSENT_PERIOD_S)

    def _by_consent(self, consent: tcf.TcString | None, now_s: int) -> Permissions:
        vendor = self._vendor_id
        if consent is None or not vendor or not tcf.acceptable(consent, now_s):
            return NOTHING
        disclosed = consent.disclosed is None or vendor in consent.disclosed
        if not consent.has_vendor(vendor) or not disclosed:
            return NOTHING
        held = consent.purposes_consent
        for purpose in _RESTRICTED_PURPOSES if consent.restrictions else ():
            if consent.restriction(purpose, vendor) is tcf.RestrictionType.NOT_ALLOWED:
                held &= ~tcf.purposes_mask(purpose)
        store = held & _STORE == _STORE
        profile = held & _PROFILE == _PROFILE
        return Permissions(
            personalise=profile,
            read_id=store and profile,
            write_id=store,
            measure=store and held & _MEASURE == _MEASURE,
            precise_geo=consent.special_features & _PRECISE == _PRECISE,
            sync=store,
            record=store and profile,
        )


def _gdpr_applies(signals: Signals) -> bool:
    """Named by the flag or by gpp_sid; without them presumed where a TC string came along, and by geography."""
    if signals.gdpr is not None:
        return signals.gdpr != 0
    if TCF_SECTION in signals.gpp_sections or signals.tc_string:
        return True
    return signals.country in _PRESUMED or signals.home in _PRESUMED


def _us_opt_out(signals: Signals) -> bool:
    """A string that cannot be read opts out: garbage denies."""
    if not signals.us_privacy:
        return False
    parsed = us_privacy.parse(signals.us_privacy)
    return parsed is None or parsed.opted_out


def _sections_refuse(sections: gpp.Gpp, in_force: tuple[int, ...]) -> bool:
    """Whether a US section opts out or tells of a child, or a section in force cannot be read: a law that we do
    not know allows nothing. Without gpp_sid every section counts as in force."""
    for number in in_force:
        if number not in sections.us and number not in _OTHER_SECTIONS:
            return True
    for number, section in sections.us.items():
        if in_force and number not in in_force:
            continue
        if gpp.opted_out(section) or gpp.gpc(section) or gpp.known_child(section):
            return True
    if in_force and USP_SECTION in in_force and sections.usp is None:
        return True
    return sections.usp is not None and sections.usp.opted_out


@lru_cache(CONSENT_CACHE)
def _sections(text: str) -> gpp.Gpp | None:
    return gpp.decode(text)
