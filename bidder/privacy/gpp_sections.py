"""Layouts of the US sections of GPP strings, as a table.

Place: read by `gpp`; one row for each section, in the order of its bits.
Shapes: the first field of a core has 6 bits, every other field 2 bits for each of its elements. A second
  segment carries either GPC (type 2 bits, signal 1 bit) or the sensitive data consents.
Source: IAB GPP sections 7 to 27; widths and order agree with @iabgpp/cmpapi 3.2.0.
"""

from typing import Final, NamedTuple

VERSION_BITS: Final = 6
VALUE_BITS: Final = 2

_OPT_OUTS: Final = frozenset(("SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut"))
_CHILD: Final = "KnownChildSensitiveDataConsents"
_SENSITIVE: Final = "SensitiveDataProcessing"


class Field(NamedTuple):
    """One field of a core; `shift` counts from the end of the core to the field's last bit."""

    shift: int
    elements: int
    is_list: bool
    bits: int


class Layout(NamedTuple):
    """One section. Masks are over the core as an integer of `width` bits."""

    section_id: int
    name: str
    fields: dict[str, Field]
    width: int
    opt_out_mask: int
    child_mask: int
    has_gpc: bool
    has_sensitive: bool


_MSPA: Final = "MspaCoveredTransaction MspaOptOutOptionMode MspaServiceProviderMode"
_OUT: Final = "SaleOptOut TargetedAdvertisingOptOut"
_NOTICES: Final = "SaleOptOutNotice TargetedAdvertisingOptOutNotice"
_SHARING: Final = f"Version SharingNotice {_NOTICES}"
_PROCESSING: Final = f"Version ProcessingNotice {_NOTICES}"
_PROCESSING_NEW: Final = f"MspaVersion MspaCoveredTransaction MspaMode ProcessingNotice {_NOTICES}"
_ADDITIONAL: Final = f"AdditionalDataProcessingConsent {_MSPA}"
_SENSITIVE_APART: Final = f"{_PROCESSING_NEW} {_OUT} {_CHILD} AdditionalDataProcessingConsent"

# id, name, core (lists as name:elements), second segment
_TABLE: Final = (
    (
        7,
        "usnat",
        "Version SharingNotice SaleOptOutNotice SharingOptOutNotice TargetedAdvertisingOptOutNotice "
        "SensitiveDataProcessingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut SharingOptOut "
        f"TargetedAdvertisingOptOut {_SENSITIVE}:16 {_CHILD}:3 PersonalDataConsents {_MSPA}",
        "gpc",
    ),
    (
        8,
        "usca",
        "Version SaleOptOutNotice SharingOptOutNotice SensitiveDataLimitUseNotice SaleOptOut SharingOptOut "
        f"{_SENSITIVE}:9 {_CHILD}:2 PersonalDataConsents {_MSPA}",
        "gpc",
    ),
    (9, "usva", f"{_SHARING} {_OUT} {_SENSITIVE}:8 {_CHILD} {_MSPA}", ""),
    (10, "usco", f"{_SHARING} {_OUT} {_SENSITIVE}:7 {_CHILD} {_MSPA}", "gpc"),
    (
        11,
        "usut",
        f"{_SHARING} SensitiveDataProcessingOptOutNotice {_OUT} {_SENSITIVE}:8 {_CHILD} {_MSPA}",
        "",
    ),
    (12, "usct", f"{_SHARING} {_OUT} {_SENSITIVE}:8 {_CHILD}:3 {_MSPA}", "gpc"),
    (13, "usfl", f"{_PROCESSING} {_OUT} {_SENSITIVE}:8 {_CHILD}:3 {_ADDITIONAL}", ""),
    (14, "usmt", f"{_SHARING} {_OUT} {_SENSITIVE}:8 {_CHILD}:3 {_ADDITIONAL}", "gpc"),
    (15, "usor", f"{_PROCESSING} {_OUT} {_SENSITIVE}:11 {_CHILD}:3 {_ADDITIONAL}", "gpc"),
    (16, "ustx", f"{_PROCESSING} {_OUT} {_SENSITIVE}:8 {_CHILD} {_ADDITIONAL}", "gpc"),
    (17, "usde", f"{_PROCESSING} {_OUT} {_SENSITIVE}:9 {_CHILD}:5 {_ADDITIONAL}", "gpc"),
    (
        18,
        "usia",
        f"{_PROCESSING} SensitiveDataOptOutNotice {_OUT} {_SENSITIVE}:8 {_CHILD} {_MSPA}",
        "gpc",
    ),
    (19, "usne", f"{_PROCESSING} {_OUT} {_SENSITIVE}:8 {_CHILD} {_ADDITIONAL}", "gpc"),
    (20, "usnh", f"{_PROCESSING} {_OUT} {_SENSITIVE}:8 {_CHILD}:3 {_ADDITIONAL}", "gpc"),
    (21, "usnj", f"{_PROCESSING} {_OUT} {_SENSITIVE}:10 {_CHILD}:5 {_ADDITIONAL}", "gpc"),
    (22, "ustn", f"{_PROCESSING} {_OUT} {_SENSITIVE}:8 {_CHILD} {_ADDITIONAL}", "gpc"),
    (23, "usmn", f"{_PROCESSING} {_OUT} {_SENSITIVE}:8 {_CHILD} {_ADDITIONAL}", "gpc"),
    (24, "usmd", f"{_PROCESSING_NEW} {_OUT} AdditionalDataProcessingConsent", "gpc"),
    (25, "usin", _SENSITIVE_APART, "sensitive"),
    (26, "usky", _SENSITIVE_APART, "sensitive"),
    (27, "usri", _SENSITIVE_APART, "sensitive"),
)


def _layout(section_id: int, name: str, core: str, second: str) -> Layout:
    widths: list[tuple[str, int, bool, int]] = []
    for place, word in enumerate(core.split()):
        field, _, elements = word.partition(":")
        count = int(elements or 1)
        bits = VERSION_BITS if place == 0 else VALUE_BITS
        widths.append((field, count, bool(elements), bits))
    width = sum(count * bits for _, count, _, bits in widths)
    fields: dict[str, Field] = {}
    left = width
    for field, count, is_list, bits in widths:
        left -= count * bits
        fields[field] = Field(left, count, is_list, bits)
    return Layout(
        section_id,
        name,
        fields,
        width,
        # The low bit of an opt-out: set for 1 (opted out) and for 3, which has no meaning: caution.
        sum(1 << fields[field].shift for field in _OPT_OUTS & fields.keys()),
        _mask(fields.get(_CHILD)),
        second == "gpc",
        second == "sensitive",
    )


def _mask(field: Field | None) -> int:
    return ((1 << field.elements * field.bits) - 1) << field.shift if field else 0


LAYOUTS: Final = {row[0]: _layout(*row) for row in _TABLE}
"""Section id to layout, 7 to 27."""
