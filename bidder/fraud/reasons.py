"""Why traffic is suspected: one bit each, a weight, and what an operator may do about it.

Place: every check of this room answers with these bits; score.py weighs them.
Shapes: a request's reasons are one int, the bits of `Reason`; a notice's marks one int, the bits of `Mark`.
Source: the classes of general invalid traffic in the MRC's addendum: known crawlers, agents that are no browsers,
    data centres, impossible placements, activity. The supply chain: OpenRTB 2.6 section 3.2.25.
"""

from enum import IntFlag
from typing import Final


class Reason(IntFlag):
    """Why a bid request is suspected."""

    CRAWLER = 1  # the agent is on the list of crawlers
    TOOL = 2  # the agent is a library, a script or an automated browser
    NO_AGENT = 4  # no user agent at all
    CONTRADICTION = 8  # structured and plain user agent, or agent and device, tell of different machines
    DATACENTRE = 16  # the address belongs to a network that the operator listed
    PLACEMENT = 32  # every impression is of a size at which nobody sees anything
    TINY = 64  # some impressions are
    NAMELESS = 128  # a site without domain and page, an app without bundle
    MISMATCH = 256  # place, time zone and language do not go together
    PERSON_RATE = 512  # one id sends an abnormal share of the traffic
    ADDRESS_RATE = 1_024  # one truncated address with one agent does
    SOURCE_RATE = 2_048  # most of what the placement sends is suspect for another reason
    SELLER = 4_096  # the seller is not among those that ads.txt, app-ads.txt or sellers.json name
    SCHAIN = 8_192  # the supply chain is incomplete, or says impossible things


class Mark(IntFlag):
    """Why a notice of a bid is suspected."""

    REPEATED = 1  # the same beacon or click again and again
    EARLY = 2  # shown before it was bid
    LATE = 4  # shown after the bid had ended
    QUICK = 8  # clicked faster than people can after it was shown
    CLICK_FLOOD = 16  # more clicks of one person than people make
    PLACEMENT_FLOOD = 32  # clicks of one placement far above what ads are clicked
    UNSEEN = 64  # clicked, though no beacon said that it was shown
    UNWON = (
        128  # a beacon or a click of a bid that no win or bill notice told of, though the exchange sends them
    )


WORDS: Final = {
    Reason.CRAWLER: "on the list of crawlers",
    Reason.TOOL: "a library, a script or an automated browser",
    Reason.NO_AGENT: "no user agent",
    Reason.CONTRADICTION: "user agent and device tell of different machines",
    Reason.DATACENTRE: "from a listed network",
    Reason.PLACEMENT: "every size is one at which nobody sees anything",
    Reason.TINY: "some sizes are",
    Reason.NAMELESS: "a site without domain and page, an app without bundle",
    Reason.MISMATCH: "place, time zone and language do not go together",
    Reason.PERSON_RATE: "one id asks too often",
    Reason.ADDRESS_RATE: "one address and agent ask too often",
    Reason.SOURCE_RATE: "most of the placement is suspect",
    Reason.SELLER: "ads.txt, app-ads.txt or sellers.json name another seller",
    Reason.SCHAIN: "the supply chain is incomplete or impossible",
}
"""What each says, for a report."""
REASONS: Final = {reason.name.lower(): reason for reason in Reason if reason.name}
"""Names as configuration and metrics spell them."""
MARKS: Final = {mark.name.lower(): mark for mark in Mark if mark.name}


def names(bits: int, known: dict[str, Reason] | dict[str, Mark] = REASONS) -> tuple[str, ...]:
    """The names of the bits that are set."""
    return tuple([name for name, bit in known.items() if bits & bit])
