"""Signals of all kinds: TC strings for our vendor, garbage, and hypothesis' mixtures of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from bidder.privacy.gate import Permissions
from bidder.privacy.gpp_sections import LAYOUTS
from bidder.privacy.signals import Signals
from tests.bidder.privacy.bits import bit_field, core, disclosed, restriction, text_of
from tests.bidder.privacy.test_gpp import core_of, header, single
from tests.corpus import rows

VENDOR = 42


def purposes(*numbers: int) -> int:
    """A purpose mask in wire order: purpose 1 is the first of 24 bits."""
    return sum(1 << 24 - number for number in numbers)


def string(*numbers: int, vendors: tuple[int, ...] = (VENDOR,), **fields: Any) -> str:
    """A TC string with consent to some purposes and vendors, who were disclosed."""
    return core(bit_field(vendors, 100), purposes=purposes(*numbers), **fields) + disclosed(vendors, 100)


def by_consent(
    personalise: bool = False, store: bool = False, measure: bool = False, geo: bool = False
) -> Permissions:
    """What a TC string allows: storing brings syncs, personalising reading and recording."""
    return Permissions(personalise, personalise, store, measure, geo, False, sync=store, record=personalise)


_CONSENT = string(1, 3, 4, 7)
GPP_CLEAN = "DBAA"
"""No section at all."""
GARBAGE = ("x", "BOOO", _CONSENT[:-20], _CONSENT + "!", "C" * 5_000, "1YNN", "null", "\x00", "ÿ")

_US_FIELDS = ("SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut", "KnownChildSensitiveDataConsents")


_FLAWS: tuple[dict[str, Any], ...] = (
    *({},) * 8,
    {"policy_version": 3},
    {"service_specific": False},
    {"created_s": 1_799_000_000},
    {"cmp_id": 1},
)


@st.composite
def tc_strings(draw: st.DrawFn) -> str:
    """Consent to any of our purposes, restricted in any way, and often with a flaw."""
    vendors = draw(st.sampled_from((*((VENDOR,),) * 6, (41,), ())))
    restrictions = draw(
        st.lists(
            st.builds(
                restriction,
                st.sampled_from((1, 2, 3, 4, 7)),
                st.sampled_from((0, 1, 2)),
                st.sampled_from(([(VENDOR, VENDOR)], [(1, 41)])),
            ),
            max_size=2,
        )
    )
    given = draw(st.one_of(st.just({1, 3, 4, 7}), st.sets(st.sampled_from((1, 3, 4, 7, 2)))))
    text = core(
        bit_field(vendors, 100),
        purposes=purposes(*given),
        features=draw(st.sampled_from((0, 1 << 11, 0x7FF))),
        restrictions=restrictions,
        undisclosed_purpose_one=draw(st.booleans()),
        **draw(st.sampled_from(_FLAWS)),
    )
    segment = draw(st.sampled_from((*((VENDOR,),) * 6, (41,), None)))
    return text if segment is None else text + disclosed(segment, 100)


@st.composite
def _us_sections(draw: st.DrawFn) -> str:
    number = draw(st.sampled_from(sorted(LAYOUTS)))
    layout = LAYOUTS[number]
    names = [name for name in _US_FIELDS if name in layout.fields]
    values = {name: draw(st.sampled_from((0, 0, 0, 2, 1, 3))) for name in names}
    text = core_of(layout, **values)
    if layout.has_gpc and draw(st.booleans()):
        text += "." + text_of("01" + draw(st.sampled_from("01")))
    return f"{header([single(number)])}~{text}"


_words = st.one_of(st.just(""), st.text(max_size=40), tc_strings(), st.sampled_from((_CONSENT, *GARBAGE)))
_gpp = st.one_of(
    st.just(""),
    _words,
    _us_sections(),
    tc_strings().map("DBABMA~{}".format),
    st.sampled_from((GPP_CLEAN, "DBABTA~1YYN", "DBABTA~1YNN", "DBABRg~unknown")),
    st.sampled_from([row["gpp"] for row in rows("privacy/generated/gpp")]),
)
_rarely = st.sampled_from((False, False, False, False, True))

_ANY = st.builds(
    Signals,
    gdpr=st.sampled_from((None, None, 0, 1)),
    tc_string=_words,
    gpp=_gpp,
    gpp_sections=st.lists(st.sampled_from((-1, 2, 6, 7, 8, 9, 10, 25, 99)), max_size=3).map(tuple),
    us_privacy=st.one_of(
        st.just(""), st.just("1YNN"), st.text(max_size=5), st.from_regex("1[YN-]{3}", fullmatch=True)
    ),
    coppa=_rarely,
    minor=_rarely,
    gpc=_rarely,
    limited=_rarely,
    country=st.sampled_from(("", "USA", "DEU", "xx")),
    home=st.sampled_from(("", "", "USA", "FR")),
)
_UNDER_GDPR = st.builds(
    Signals,
    gdpr=st.sampled_from((1, None)),
    tc_string=tc_strings(),
    us_privacy=st.sampled_from(("", "", "1YNN", "1---", "1YYN")),
    country=st.sampled_from(("DEU", "USA")),
)
_WITHIN_GPP = st.builds(
    Signals,
    gpp=st.one_of(tc_strings().map("DBABMA~{}".format), _us_sections()),
    gpp_sections=st.sampled_from(((), (2,), (8,), (-1,))),
    country=st.sampled_from(("", "DEU", "USA")),
)

SIGNALS = st.one_of(_ANY, _UNDER_GDPR, _WITHIN_GPP)
"""Every signal, alone and together, good and bad."""
