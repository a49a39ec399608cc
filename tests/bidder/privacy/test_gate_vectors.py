"""The gate's answers to the check vectors: those of the reference's fields."""

from __future__ import annotations

from typing import Any

import pytest

from bidder.privacy.gate import FULL, NOTHING, Gate, Permissions
from bidder.privacy.signals import Signals
from bidder.privacy.tcf import DISCLOSED_FROM_S, POLICY_4_FROM_S
from tests.bidder.auction.support import NOW_S
from tests.bidder.privacy.signals import VENDOR, by_consent
from tests.corpus import rows

VECTORS_S = 1_800_000_000.0  # after the youngest of the vectors
GATE = Gate(VENDOR)


def permit(**signals: Any) -> Permissions:
    return GATE.permit(Signals(**signals), NOW_S)


@pytest.mark.parametrize("in_force", [True, False], ids=["gpp_sid", "no gpp_sid"])
def test_gpp_vectors(in_force: bool) -> None:
    """An opt-out, a GPC signal or a known child in any section in force denies, and nothing else does."""
    for row in rows("privacy/generated/gpp"):
        sections = tuple(row.get("sectionIds", ())) if in_force else ()
        allowed = permit(gpp=row["gpp"], gpp_sections=tuple(s for s in sections if s != 2)).personalise
        if not row["ok"]:
            assert not allowed, row["gpp"]
        elif all(isinstance(section, dict) for section in row["decoded"].values()):
            assert allowed is not _denied(row["decoded"]), row["gpp"]


def _denied(decoded: dict[str, dict[str, Any]]) -> bool:
    return any(_section_denies(name, section) for name, section in decoded.items())


def _section_denies(name: str, section: dict[str, Any]) -> bool:
    if name == "uspv1":
        return bool(section.get("OptOutSale", section.get("optOutSale")) == "Y")
    outs = ("SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut")
    child = section.get("KnownChildSensitiveDataConsents", 0)
    children = child if isinstance(child, list) else [child]
    return any(section.get(out) == 1 for out in outs) or bool(section.get("Gpc")) or any(children)


def test_sections_out_of_force_do_not_count() -> None:
    """An opt-out in a section that gpp_sid does not name leaves the permissions as they are; a section that it
    names and the string lacks allows nothing."""
    opted_out = next(
        row
        for row in rows("privacy/generated/gpp")
        if row["ok"] and row["sectionIds"] == [7, 23] and _section_denies("usnat", row["decoded"]["usnat"])
    )["gpp"]
    assert not permit(gpp=opted_out, gpp_sections=(7,)).personalise
    assert permit(gpp=opted_out, gpp_sections=(-1,)) == FULL
    assert permit(gpp=opted_out, gpp_sections=(9,)) == NOTHING


def test_tcf_vectors() -> None:
    """A string that the library refuses allows nothing; one that it reads allows what its fields say, by the rules of
    the text, for every one of some vendors."""
    gates = {vendor: Gate(vendor) for vendor in (2, 6, 32, 91, 755)}
    allowed = 0
    for row in rows("privacy/generated/tcf"):
        for vendor, gate in gates.items():
            found = gate.permit(Signals(gdpr=1, tc_string=row["tc"]), VECTORS_S)
            expected = _by_reference(row["decoded"], vendor) if row["ok"] else NOTHING
            assert found == expected, (vendor, row["tc"])
            allowed += found.personalise
    assert allowed > 20


def _by_reference(tc: dict[str, Any], vendor: int) -> Permissions:
    """What the reference's fields allow a vendor that asks for nothing but consent."""
    created_s = tc["created"] / 1000
    usable = (
        tc["version"] == 2
        and tc["isServiceSpecific"]
        and (tc["policyVersion"] >= 4 or created_s < POLICY_4_FROM_S)
        and (tc["vendorsDisclosed"] or created_s < DISCLOSED_FROM_S)
        and vendor in tc["vendorConsents"]
        and (not tc["vendorsDisclosed"] or vendor in tc["vendorsDisclosed"])
    )
    if not usable:
        return NOTHING
    held = set(tc["purposeConsents"])
    for key, vendors in tc["publisherRestrictions"].items():
        purpose, kind = map(int, key.split(":"))
        or_consent = vendor in tc["publisherRestrictions"].get(f"{purpose}:1", ())
        if vendor in vendors and (kind == 0 or (kind == 2 and not or_consent)):
            held.discard(purpose)
    return by_consent({1, 3, 4} <= held, 1 in held, {1, 7} <= held, 1 in tc["specialFeatureOptins"])
