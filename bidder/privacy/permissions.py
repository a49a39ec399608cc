"""What may be done with the person behind a request, and the one table that says what takes it away.

Place: `gate` reads TABLE into masks once and answers each request; `explain` reads it aloud. Code elsewhere asks for
    a permission, never for a consent string.
Shapes: everything is allowed that no cause takes away. A contextual bid uses nothing of the person: no cause takes it.
Source: TCF policies 2.3 (legitimate interest is no basis for purposes 1, 3 and 4, and we ask for none), US privacy
    string 1.0, GPP 1.1 US sections, COPPA, California B&P Code 22580, GPC, LMT, DNT and ATT.
"""

from enum import Enum
from typing import Final

from msgspec import Struct


class Permissions(Struct, frozen=True, gc=False):
    """What may be done with the person behind a request."""

    personalise: bool
    """Use what is known of the person: segments, affinity, recent products."""
    read_id: bool
    """Look the person up by an id."""
    write_id: bool
    """Set our cookie, and keep what is known of the person."""
    measure: bool
    """Record the person's id with impressions, clicks and conversions."""
    precise_geo: bool
    child: bool = False
    """The request is about a child: nothing personal at all, and only ads made for it."""
    sync: bool = False
    """Exchange the person's id with exchanges."""
    record: bool = False
    """Record what the person does in a shop, and profile the person by it."""


FULL: Final = Permissions(True, True, True, True, True, False, True, True)
NOTHING: Final = Permissions(False, False, False, False, False)
CHILD: Final = Permissions(False, False, False, False, False, True)


class Activity(Enum):
    """What needs a permission; the value is its field in Permissions, but for the one that needs none."""

    BID_CONTEXTUAL = "bid_contextual"
    BID_PERSONALISED = "personalise"
    READ_ID = "read_id"
    WRITE_ID = "write_id"
    SYNC = "sync"
    RECORD = "record"
    MEASURE = "measure"
    PRECISE_GEO = "precise_geo"

    @property
    def words(self) -> str:
        """As people read it: `bid personalised`."""
        return self.name.lower().replace("_", " ")


class Cause(Enum):
    """Why something is not allowed; the value says it, and what follows it in an explanation names the place."""

    OPTED_OUT = "the person opted out with us"
    COPPA = "about a child (COPPA)"
    MINOR = "directed to minors (California B&P Code 22580)"
    LIMITED = "tracking is limited (LMT, DNT or ATT)"
    GPC = "Global Privacy Control"
    US_PRIVACY = "us_privacy opts out of sale"
    US_PRIVACY_UNREAD = "us_privacy cannot be read"
    GPP_UNREAD = "the GPP string cannot be read"
    SECTION_UNREAD = "a GPP section in force cannot be read"
    SECTION_OPT_OUT = "a GPP section opts out"
    SECTION_GPC = "a GPP section carries Global Privacy Control"
    SECTION_CHILD = "a GPP section knows a child"
    NO_STRING = "GDPR applies, and there is no TC string"
    STRING_UNREAD = "the TC string cannot be read"
    STRING_REFUSED = "the TC string is not valid"
    NO_VENDOR_ID = "we have no vendor id, so nobody can consent to us"
    NO_VENDOR = "no consent to us as a vendor"
    NOT_DISCLOSED = "we were not disclosed to the person"
    PURPOSE_1 = "no consent to purpose 1, store and access"
    PURPOSE_3 = "no consent to purpose 3, create profiles"
    PURPOSE_4 = "no consent to purpose 4, personalised ads"
    PURPOSE_7 = "no consent to purpose 7, measure ads"
    FEATURE_1 = "not opted in to special feature 1, precise location"


_PROFILING: Final = (Activity.BID_PERSONALISED, Activity.READ_ID, Activity.RECORD)
_STORING: Final = (*_PROFILING, Activity.WRITE_ID, Activity.SYNC, Activity.MEASURE)
_PERSONAL: Final = (*_STORING, Activity.PRECISE_GEO)

TABLE: Final[dict[Cause, tuple[Activity, ...]]] = {
    Cause.OPTED_OUT: _PERSONAL,
    Cause.COPPA: _PERSONAL,
    Cause.MINOR: _PERSONAL,
    Cause.LIMITED: _PERSONAL,
    Cause.GPC: _PERSONAL,
    Cause.US_PRIVACY: _PERSONAL,
    Cause.US_PRIVACY_UNREAD: _PERSONAL,
    Cause.GPP_UNREAD: _PERSONAL,
    Cause.SECTION_UNREAD: _PERSONAL,
    Cause.SECTION_OPT_OUT: _PERSONAL,
    Cause.SECTION_GPC: _PERSONAL,
    Cause.SECTION_CHILD: _PERSONAL,
    Cause.NO_STRING: _PERSONAL,
    Cause.STRING_UNREAD: _PERSONAL,
    Cause.STRING_REFUSED: _PERSONAL,
    Cause.NO_VENDOR_ID: _PERSONAL,
    Cause.NO_VENDOR: _PERSONAL,
    Cause.NOT_DISCLOSED: _PERSONAL,
    Cause.PURPOSE_1: _STORING,
    Cause.PURPOSE_3: _PROFILING,
    Cause.PURPOSE_4: _PROFILING,
    Cause.PURPOSE_7: (Activity.MEASURE,),
    Cause.FEATURE_1: (Activity.PRECISE_GEO,),
}
"""What each cause takes away."""

PURPOSES: Final = {1: Cause.PURPOSE_1, 3: Cause.PURPOSE_3, 4: Cause.PURPOSE_4, 7: Cause.PURPOSE_7}
"""TCF purposes that we ask consent for."""
FEATURES: Final = {1: Cause.FEATURE_1}
"""TCF special features that we ask an opt-in for."""
CHILDREN: Final = frozenset({Cause.COPPA, Cause.MINOR, Cause.SECTION_CHILD})
"""Causes by which a request is about a child."""
assert TABLE.keys() == set(Cause), "each cause has its row"


def purposes_for(activity: Activity) -> tuple[int, ...]:
    """The TCF purposes that an activity needs consent to."""
    return tuple(purpose for purpose, cause in PURPOSES.items() if activity in TABLE[cause])


def features_for(activity: Activity) -> tuple[int, ...]:
    """The TCF special features that an activity needs an opt-in to."""
    return tuple(feature for feature, cause in FEATURES.items() if activity in TABLE[cause])


def permissions_without(causes: frozenset[Cause]) -> Permissions:
    """What is left where these causes hold."""
    taken = {activity for cause in causes for activity in TABLE[cause]}
    left = {
        activity.value: activity not in taken
        for activity in Activity
        if activity is not Activity.BID_CONTEXTUAL
    }
    return Permissions(**left, child=not causes.isdisjoint(CHILDREN))
