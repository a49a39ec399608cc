"""How a request ends and why a candidate is dropped: every one ends in exactly one of these.

Place: the auction and the exchange port return and count them; reports and metrics show them by name.
Source: no-bid reason codes are OpenRTB 3.0 list "No-Bid Reason Codes".
"""

from enum import IntEnum

from openrtb.enums import NoBidReason


class Outcome(IntEnum):
    """The one ending of a bid request."""

    BID = 0
    NOT_FOUND = 1  # no such path or exchange (404)
    METHOD = 2  # 405
    HEAD_TOO_LARGE = 3  # 431
    BODY_TOO_LARGE = 4  # 413, incl. what a gzip body inflates to
    ENCODING = 5  # 415: a content coding that we do not speak
    BAD_HTTP = 6  # 400: not HTTP/1.1, or a gzip body that does not inflate
    MALFORMED = 7  # 400: not the JSON or the object that OpenRTB asks for
    SHED = 8  # over capacity: answered before it was read
    NO_TIME = 9  # tmax leaves no time to decide
    LATE = 10  # decided after its deadline
    SEAT_BLOCKED = 11
    CURRENCY = 12  # no allowed currency that we have a rate for
    UNSUPPORTED = 13  # no impression that we can serve: no medium, no site or app
    NO_CANDIDATE = 14  # nothing targets this opportunity
    FILTERED = 15  # candidates there were, each dropped for a reason of its own
    BELOW_FLOOR = 16  # the best that was left is worth less than the floor
    SELF_CHECK = 17  # our own answer did not pass the response check
    DISCONNECTED = 18  # the exchange hung up before the answer
    FAULT = 19  # our bug: logged with its traceback, answered 204
    TIMEOUT = 20  # the client was too slow to send what it began (408)
    OVER_LIMIT = 21  # well-formed, but larger than we read: more impressions, deals or ids than the limits
    INVALID_TRAFFIC = 22  # suspected not to come from people: filtered by the policy of `[fraud]`


class Drop(IntEnum):
    """The one reason why a candidate did not become a bid."""

    CANDIDATE_LIMIT = 0  # more line items match than are priced for one impression
    ADVERTISER_BLOCKED = 1  # badv, bapp, wadomain
    CATEGORY_BLOCKED = 2  # bcat, acat, or another taxonomy where blocks are given
    ATTRIBUTE_BLOCKED = 3  # battr, btype
    LANGUAGE = 4  # wlang, wlangb
    API = 5  # needs a framework that the slot does not offer
    PROTOCOL = 6  # VAST version not accepted
    MEDIA = 7  # no media file of a mime type, bit rate or duration that fits
    NATIVE_ASSETS = 8  # a required native asset is missing
    INSECURE = 9
    DEAL = 10  # private auction without this deal, or the deal excludes the advertiser
    FLOOR = 11
    RATE = 12  # no exchange rate between the line item's currency and the request's
    DSA = 13  # transparency is required and the advertiser gave none
    REPEATED = 14  # the creative already answers another impression of the request
    OUTRANKED = 15  # a better candidate took the impression
    SELF_CHECK = 16  # the response check found fault with the bid
    UNSENT = 17  # chosen, but the deadline had passed, the exchange hung up or writing the answer failed
    BUDGET = 18  # no money at hand: none funded, all spent, paused, or not leased yet
    PACING = 19  # the plan has it wait: its lot was not drawn, or its paced value is below the floor
    FREQUENCY = 20  # the person has seen as much of it as a cap allows
    HELD = 21  # a cap would pass but for bids that are under way for the same person
    UNCOUNTED = 22  # it is capped, and there is nobody to count views for


NBR: dict[Outcome, int] = {
    Outcome.MALFORMED: int(NoBidReason.INVALID_REQUEST),
    Outcome.SHED: int(NoBidReason.TECHNICAL_ERROR),
    Outcome.NO_TIME: int(NoBidReason.INSUFFICIENT_TIME),
    Outcome.LATE: int(NoBidReason.INSUFFICIENT_TIME),
    Outcome.SELF_CHECK: int(NoBidReason.TECHNICAL_ERROR),
    Outcome.FAULT: int(NoBidReason.TECHNICAL_ERROR),
    Outcome.INVALID_TRAFFIC: int(NoBidReason.SUSPECTED_NON_HUMAN),
}
_UNKNOWN = int(NoBidReason.UNKNOWN)


def nbr(outcome: Outcome) -> int:
    """The OpenRTB no-bid reason code of an outcome; UNKNOWN where none says it."""
    return NBR.get(outcome, _UNKNOWN)
