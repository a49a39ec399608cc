"""Step 2 of a bid: may we? From consent signals to Permissions.

Place: intake asks `permit` once per request, as do the public pages; `paceline privacy explain` asks `explain`.
Shapes: `permissions` holds the table; `permit` is the short way through it, `explain` the long one, and they agree.
Limits: a string that does not decode is no consent. Contextual ads need no permission: nothing of the person is
    used for them.
"""

from functools import lru_cache
from typing import Final

from bidder.privacy import gpp, tcf, us_privacy
from bidder.privacy.explain import Explanation, explained
from bidder.privacy.permissions import (
    CHILD,
    FULL,
    NOTHING,
    PURPOSES,
    Activity,
    Permissions,
    features_for,
    purposes_for,
)
from bidder.privacy.regimes import Regime, SectionsSay, gdpr_applies, regime_of, sections_say
from bidder.privacy.signals import Signals

__all__ = ["CHILD", "FULL", "NOTHING", "Explanation", "Gate", "Permissions"]

CONSENT_CACHE = 4_096
"""Strings remembered: one page asks for several auctions with the same string."""
KEPT_CHARS = 1_024
"""Longer strings are read anew: real ones have some 700 characters, and those of 8,192 that each weigh 60 KB when
they have been read would make the memory of them a quarter of a gigabyte."""
CONSENT_PERIOD_S = 3_600
"""For so long what a TC string allows is remembered; the age of strings is told in days."""

_PROFILE: Final = tcf.purposes_mask(*purposes_for(Activity.BID_PERSONALISED))
_READ: Final = tcf.purposes_mask(*purposes_for(Activity.READ_ID))
_WRITE: Final = tcf.purposes_mask(*purposes_for(Activity.WRITE_ID))
_SYNC: Final = tcf.purposes_mask(*purposes_for(Activity.SYNC))
_RECORD: Final = tcf.purposes_mask(*purposes_for(Activity.RECORD))
_MEASURE: Final = tcf.purposes_mask(*purposes_for(Activity.MEASURE))
_PRECISE: Final = tcf.features_mask(*features_for(Activity.PRECISE_GEO))
_NO_SECTIONS: Final = gpp.Gpp({}, {})
_SILENT: Final = SectionsSay.NOTHING
_CHILD: Final = SectionsSay.CHILD
_GDPR: Final = Regime.GDPR


class Gate:
    """The table, for one vendor id of the Global Vendor List."""

    def __init__(self, vendor_id: int) -> None:
        """`vendor_id` 0: not registered, so no TC string can name us and GDPR traffic stays contextual."""
        self._vendor_id = vendor_id
        self._by_text = lru_cache(CONSENT_CACHE)(self._read_consent)

    def permit(self, signals: Signals, now_s: float, opted_out: bool = False) -> Permissions:
        """The permissions of one request; `opted_out`: the person said no to us, by cookie or in the store."""
        if signals.coppa or signals.minor:
            return CHILD
        text, in_force = signals.gpp, signals.gpp_sections
        sections = _NO_SECTIONS
        if text or in_force:
            decoded = _sections(text) if len(text) <= KEPT_CHARS else gpp.decode(text)
            if decoded is None:
                return NOTHING
            sections = decoded
            said = sections_say(sections, in_force)
            if said is not _SILENT:
                return CHILD if said is _CHILD else NOTHING
        if opted_out or signals.limited or signals.gpc or us_privacy.opted_out(signals.us_privacy):
            return NOTHING
        if not gdpr_applies(signals, sections):
            return FULL
        text = signals.tc_string
        if not text:
            return self._by_consent(sections.tcf, int(now_s) // CONSENT_PERIOD_S)
        read = self._by_text if len(text) <= KEPT_CHARS else self._read_consent
        return read(text, int(now_s) // CONSENT_PERIOD_S)

    def regime(self, signals: Signals, permissions: Permissions) -> Regime:
        """The law that a request was permitted under: to be counted. Of a GPP string that is not remembered, gpp_sid
        alone is looked at."""
        if signals.gdpr and not permissions.child:
            return _GDPR
        text = signals.gpp
        sections = _sections(text) if text and len(text) <= KEPT_CHARS else None
        return regime_of(signals, sections or _NO_SECTIONS, permissions.child)

    def explain(self, signals: Signals, now_s: float, opted_out: bool = False) -> Explanation:
        """The same permissions, each with every reason against it: for people, at a hundred times the cost."""
        asked_s = int(now_s) // CONSENT_PERIOD_S * CONSENT_PERIOD_S
        return explained(self._vendor_id, signals, asked_s, opted_out)

    def _read_consent(self, text: str, period: int) -> Permissions:
        return self._by_consent(tcf.decode(text), period)

    def _by_consent(self, consent: tcf.TcString | None, period: int) -> Permissions:
        vendor = self._vendor_id
        if consent is None or not vendor or not tcf.acceptable(consent, period * CONSENT_PERIOD_S):
            return NOTHING
        disclosed = consent.disclosed is None or vendor in consent.disclosed
        if not consent.has_vendor(vendor) or not disclosed:
            return NOTHING
        held = consent.purposes_consent
        for purpose in PURPOSES if consent.restrictions else ():
            if consent.withheld(purpose, vendor):
                held &= ~tcf.purposes_mask(purpose)
        return Permissions(
            personalise=held & _PROFILE == _PROFILE,
            read_id=held & _READ == _READ,
            write_id=held & _WRITE == _WRITE,
            measure=held & _MEASURE == _MEASURE,
            precise_geo=consent.special_features & _PRECISE == _PRECISE,
            sync=held & _SYNC == _SYNC,
            record=held & _RECORD == _RECORD,
        )


@lru_cache(CONSENT_CACHE)
def _sections(text: str) -> gpp.Gpp | None:
    return gpp.decode(text)
