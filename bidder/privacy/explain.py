"""Why a request may or may not do what it wants: every cause, where the gate stops at the first.

Place: behind `Gate.explain`, for `paceline privacy explain` and tests; never on the path of a bid.
Shapes: an Explanation has a Line for each Activity, and the facts that the judgement rests on.
Units: `now_s` in whole seconds since the epoch.
Never: a reason that differs from the gate's answer: a property test holds them against each other.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from bidder.privacy import gpp, tcf, us_privacy
from bidder.privacy.permissions import (
    CHILDREN,
    FEATURES,
    PURPOSES,
    TABLE,
    Activity,
    Cause,
    Permissions,
    permissions_without,
)
from bidder.privacy.regimes import PRESUMED, TCF_SECTION, USP_SECTION, gdpr_applies, unread
from bidder.privacy.signals import Signals

CHILD_LINE: Final = "only ads made for children"
_OPT_OUTS: Final = ("SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut")
_NO_SECTIONS: Final = gpp.Gpp({}, {})


class Denial(Struct, frozen=True):
    """One cause, and where it was found; no detail where the cause says it all."""

    cause: Cause
    detail: str = ""

    @property
    def words(self) -> str:
        """Both, in one line."""
        return f"{self.cause.value}: {self.detail}" if self.detail else self.cause.value


class Line(Struct, frozen=True):
    """One activity; reasons against it, or what goes with it where it is allowed."""

    activity: Activity
    allowed: bool
    reasons: tuple[str, ...]


class Explanation(Struct, frozen=True):
    """The whole of a judgement."""

    permissions: Permissions
    lines: tuple[Line, ...]
    """In the order of Activity."""
    facts: tuple[str, ...]
    """The laws in force and what their strings say."""


def explained(vendor_id: int, signals: Signals, now_s: int, opted_out: bool) -> Explanation:
    """What the gate of this vendor id says to these signals, and why."""
    sections = gpp.decode(signals.gpp)
    denials = [
        *_own(signals, opted_out),
        *_of_sections(sections, signals.gpp_sections),
        *_of_us_privacy(signals.us_privacy),
    ]
    facts = [*_facts_of_gpp(signals, sections)]
    readable = _NO_SECTIONS if sections is None else sections
    if gdpr_applies(signals, readable):
        text = signals.tc_string or readable.tc_string()
        consent = tcf.decode(signals.tc_string) if signals.tc_string else readable.tcf
        facts += [_presumed_by(signals, readable), *_facts_of_consent(consent, vendor_id)]
        denials += _of_consent(bool(text), consent, vendor_id, now_s)
    else:
        facts.append(_not_presumed(signals))
    permissions = permissions_without(frozenset(denial.cause for denial in denials))
    return Explanation(permissions, tuple(_line(activity, denials) for activity in Activity), tuple(facts))


def _line(activity: Activity, denials: list[Denial]) -> Line:
    reasons = [denial.words for denial in denials if activity in TABLE[denial.cause]]
    if activity is Activity.BID_CONTEXTUAL and any(denial.cause in CHILDREN for denial in denials):
        return Line(activity, True, (CHILD_LINE,))
    return Line(activity, not reasons, tuple(dict.fromkeys(reasons)))


def _own(signals: Signals, opted_out: bool) -> Iterator[Denial]:
    held = (
        (opted_out, Cause.OPTED_OUT),
        (signals.coppa, Cause.COPPA),
        (signals.minor, Cause.MINOR),
        (signals.limited, Cause.LIMITED),
        (signals.gpc, Cause.GPC),
    )
    return (Denial(cause) for holds, cause in held if holds)


def _of_us_privacy(text: str) -> Iterator[Denial]:
    if text and us_privacy.parse(text) is None:
        yield Denial(Cause.US_PRIVACY_UNREAD, _shortened(text))
    elif us_privacy.opted_out(text):
        yield Denial(Cause.US_PRIVACY, text)


def _of_sections(sections: gpp.Gpp | None, in_force: tuple[int, ...]) -> Iterator[Denial]:
    if sections is None:
        yield Denial(Cause.GPP_UNREAD)
        return
    for number in unread(sections, in_force):
        place = "unknown to us" if number in sections.sections else "not in the string"
        yield Denial(Cause.SECTION_UNREAD, f"section {number} is {place}")
    for number, section in sections.us.items():
        if not in_force or number in in_force:
            yield from _of_section(section)
    usp = sections.usp
    if usp is not None and usp.opted_out and (not in_force or USP_SECTION in in_force):
        yield Denial(Cause.SECTION_OPT_OUT, f"section {USP_SECTION} (uspv1), OptOutSale")


def _of_section(section: gpp.UsSection) -> Iterator[Denial]:
    place = f"section {section.layout.section_id} ({section.layout.name})"
    if gpp.opted_out(section):
        said = [name for name in _OPT_OUTS if section.field(name) in (1, 3)]
        yield Denial(Cause.SECTION_OPT_OUT, f"{place}, {', '.join(said)}")
    if gpp.gpc(section):
        yield Denial(Cause.SECTION_GPC, place)
    if gpp.known_child(section):
        yield Denial(Cause.SECTION_CHILD, place)


def _of_consent(given: bool, consent: tcf.TcString | None, vendor_id: int, now_s: int) -> Iterator[Denial]:
    if consent is None:
        yield Denial(Cause.STRING_UNREAD if given else Cause.NO_STRING)
        return
    refusal = tcf.refusal(consent, now_s)
    if refusal is not None:
        yield Denial(Cause.STRING_REFUSED, refusal.value)
    if not vendor_id:
        yield Denial(Cause.NO_VENDOR_ID)
    elif not consent.has_vendor(vendor_id):
        yield Denial(Cause.NO_VENDOR, f"vendor {vendor_id}")
    if vendor_id and consent.disclosed is not None and vendor_id not in consent.disclosed:
        yield Denial(Cause.NOT_DISCLOSED, f"vendor {vendor_id}")
    yield from _of_purposes(consent, vendor_id)


def _of_purposes(consent: tcf.TcString, vendor_id: int) -> Iterator[Denial]:
    for purpose, cause in PURPOSES.items():
        kind = consent.withheld(purpose, vendor_id) if vendor_id else None
        if not consent.purposes_consent & tcf.purposes_mask(purpose):
            undisclosed = purpose == 1 and consent.purpose_one_treatment
            country = f"not disclosed by a publisher of {consent.publisher_cc}" if undisclosed else ""
            yield Denial(cause, country)
        elif kind is not None:
            yield Denial(cause, f"the publisher says {kind.name.lower().replace('_', ' ')}")
    for feature, cause in FEATURES.items():
        if not consent.special_features & tcf.features_mask(feature):
            yield Denial(cause)


def _presumed_by(signals: Signals, sections: gpp.Gpp) -> str:
    """By which sign GDPR applies."""
    if signals.gdpr is not None:
        return f"GDPR applies: the gdpr flag is {signals.gdpr}"
    if TCF_SECTION in signals.gpp_sections:
        return f"GDPR applies: gpp_sid names section {TCF_SECTION}"
    if signals.tc_string:
        return "GDPR is presumed: a TC string came along"
    if sections.tcf is not None and not signals.gpp_sections:
        return "GDPR is presumed: the GPP string has a TC string, and gpp_sid is missing"
    countries = sorted({country for country in (signals.country, signals.home) if country in PRESUMED})
    return f"GDPR is presumed: country {' and '.join(countries)}"


def _not_presumed(signals: Signals) -> str:
    if signals.gdpr is not None:
        return f"GDPR does not apply: the gdpr flag is {signals.gdpr}"
    return f"GDPR is not presumed: no flag, no TC string, country {_shortened(signals.country or 'unknown')}"


def _facts_of_consent(consent: tcf.TcString | None, vendor_id: int) -> Iterator[str]:
    if consent is None:
        return
    created = datetime.fromtimestamp(consent.created_s, UTC).date().isoformat()
    purposes = [p for p in range(1, 25) if consent.purposes_consent & tcf.purposes_mask(p)]
    listed = ", ".join(map(str, purposes)) or "none"
    yield (
        f"TC string: version {consent.version}, policy {consent.policy_version}, CMP {consent.cmp_id}, "
        f"created {created}; consent to purposes {listed}; we are vendor {vendor_id or 'of no id'}"
    )


def _facts_of_gpp(signals: Signals, sections: gpp.Gpp | None) -> Iterator[str]:
    if not signals.gpp and not signals.gpp_sections:
        return
    listed = ", ".join(map(str, sections.section_ids)) if sections is not None else "not readable"
    in_force = ", ".join(map(str, signals.gpp_sections)) or "all, as gpp_sid is missing"
    yield f"GPP: sections {listed or 'none'}; in force: {in_force}"


def _shortened(text: str) -> str:
    return ascii(text if len(text) <= 12 else text[:12] + "...")
