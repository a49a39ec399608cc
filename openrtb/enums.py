"""The enumerated lists that a bidder must respect or writes itself.

Place: who asks once per bid binds the plain number to a name of its module: looking a member up takes longer.
Shapes: IntEnums, so a member equals the number on the wire; Structs carry plain numbers, and a number that is
    in no list passes (500 and above are an exchange's own).
Source: OpenRTB 2.6-202606, AdCOM 1.0 lists, the no-bid and loss lists of OpenRTB 3.0. Creative attributes
    above 18 are compared by number alone.
"""

from __future__ import annotations

from enum import IntEnum

VENDOR_SPECIFIC = 500  # this and above: codes of the exchange


class AuctionType(IntEnum):
    """BidRequest.at, Deal.at; an absent one means SECOND_PRICE."""

    FIRST_PRICE = 1
    SECOND_PRICE = 2
    FIXED_PRICE = 3  # deals only: the deal's floor is the price


class MarkupType(IntEnum):
    """Bid.mtype."""

    BANNER = 1
    VIDEO = 2
    AUDIO = 3
    NATIVE = 4


class BannerType(IntEnum):
    """Banner.btype, the banner types that are blocked."""

    XHTML_TEXT = 1
    XHTML_BANNER = 2
    JAVASCRIPT = 3
    IFRAME = 4


class CreativeAttribute(IntEnum):
    """Bid.attr, and battr, the attributes that are blocked."""

    AUDIO_AUTOPLAY = 1
    AUDIO_USER_INITIATED = 2
    EXPANDABLE_AUTOMATIC = 3
    EXPANDABLE_CLICK = 4
    EXPANDABLE_ROLLOVER = 5
    IN_BANNER_VIDEO_AUTOPLAY = 6
    IN_BANNER_VIDEO_USER_INITIATED = 7
    POP = 8
    PROVOCATIVE = 9
    SHAKY_OR_FLASHING = 10
    SURVEY = 11
    TEXT_ONLY = 12
    USER_INTERACTIVE = 13
    DIALOG_OR_ALERT_STYLE = 14
    AUDIO_BUTTON = 15
    SKIP_BUTTON = 16  # of the ad itself; the player's own is not one
    FLASH = 17
    RESPONSIVE = 18


class ApiFramework(IntEnum):
    """api, apis; a framework that is not listed is not supported."""

    VPAID_1_0 = 1
    VPAID_2_0 = 2
    MRAID_1_0 = 3
    ORMMA = 4
    MRAID_2_0 = 5
    MRAID_3_0 = 6
    OMID_1_0 = 7
    SIMID_1_0 = 8
    SIMID_1_1 = 9


class Protocol(IntEnum):
    """protocols, Bid.protocol; a wrapper has a number of its own."""

    VAST_1_0 = 1
    VAST_2_0 = 2
    VAST_3_0 = 3
    VAST_1_0_WRAPPER = 4
    VAST_2_0_WRAPPER = 5
    VAST_3_0_WRAPPER = 6
    VAST_4_0 = 7
    VAST_4_0_WRAPPER = 8
    DAAST_1_0 = 9
    DAAST_1_0_WRAPPER = 10
    VAST_4_1 = 11
    VAST_4_1_WRAPPER = 12
    VAST_4_2 = 13
    VAST_4_2_WRAPPER = 14
    VAST_4_3 = 15
    VAST_4_3_WRAPPER = 16


class Position(IntEnum):
    """Banner.pos, Video.pos."""

    UNKNOWN = 0
    ABOVE_THE_FOLD = 1
    LOCKED = 2
    BELOW_THE_FOLD = 3
    HEADER = 4
    FOOTER = 5
    SIDEBAR = 6
    FULLSCREEN = 7


class Delivery(IntEnum):
    """Video.delivery, Audio.delivery."""

    STREAMING = 1
    PROGRESSIVE = 2
    DOWNLOAD = 3


class DeviceType(IntEnum):
    """Device.devicetype."""

    MOBILE_OR_TABLET = 1
    PERSONAL_COMPUTER = 2
    CONNECTED_TV = 3
    PHONE = 4
    TABLET = 5
    CONNECTED_DEVICE = 6
    SET_TOP_BOX = 7
    OUT_OF_HOME = 8


class ConnectionType(IntEnum):
    """Device.connectiontype."""

    UNKNOWN = 0
    ETHERNET = 1
    WIFI = 2
    CELLULAR = 3
    CELLULAR_2G = 4
    CELLULAR_3G = 5
    CELLULAR_4G = 6
    CELLULAR_5G = 7


class CategoryTaxonomy(IntEnum):
    """cattax; an absent one means CONTENT_1_0."""

    CONTENT_1_0 = 1
    CONTENT_2_0 = 2
    AD_PRODUCT_1_0 = 3
    AUDIENCE_1_1 = 4
    CONTENT_2_1 = 5
    CONTENT_2_2 = 6
    CONTENT_3_0 = 7
    AD_PRODUCT_2_0 = 8
    CONTENT_3_1 = 9


class NoBidReason(IntEnum):
    """BidResponse.nbr."""

    UNKNOWN = 0
    TECHNICAL_ERROR = 1
    INVALID_REQUEST = 2
    KNOWN_CRAWLER = 3
    SUSPECTED_NON_HUMAN = 4
    DATACENTER_OR_PROXY_IP = 5
    UNSUPPORTED_DEVICE = 6
    BLOCKED_PUBLISHER = 7
    UNMATCHED_USER = 8
    DAILY_USER_CAP = 9
    DAILY_DOMAIN_CAP = 10
    ADS_TXT_UNAVAILABLE = 11
    ADS_TXT_VIOLATION = 12
    ADS_CERT_UNAVAILABLE = 13
    ADS_CERT_VIOLATION = 14
    INSUFFICIENT_TIME = 15
    INCOMPLETE_SCHAIN = 16
    BLOCKED_SCHAIN_NODE = 17


class LossReason(IntEnum):
    """${AUCTION_LOSS}: why a bid did not show."""

    WON = 0
    INTERNAL_ERROR = 1
    OPPORTUNITY_EXPIRED = 2
    INVALID_RESPONSE = 3
    INVALID_DEAL_ID = 4
    INVALID_AUCTION_ID = 5
    INVALID_ADOMAIN = 6
    MISSING_MARKUP = 7
    MISSING_CREATIVE_ID = 8
    MISSING_PRICE = 9
    MISSING_APPROVAL_DATA = 10
    BELOW_AUCTION_FLOOR = 100
    BELOW_DEAL_FLOOR = 101
    LOST_TO_HIGHER_BID = 102
    LOST_TO_DEAL = 103
    SEAT_BLOCKED = 104
    CREATIVE_FILTERED = 200
    CREATIVE_PENDING = 201
    CREATIVE_DISAPPROVED = 202
    SIZE_NOT_ALLOWED = 203
    FORMAT_NOT_ALLOWED = 204
    ADVERTISER_BLOCKED = 205
    APP_STORE_ID_BLOCKED = 206
    NOT_SECURE = 207
    LANGUAGE_NOT_ALLOWED = 208
    CATEGORY_BLOCKED = 209
    ATTRIBUTE_BLOCKED = 210
    AD_TYPE_BLOCKED = 211
    ANIMATION_TOO_LONG = 212
    NOT_ALLOWED_IN_DEAL = 213
    INVALID_SKADNETWORK = 214
    APP_BUNDLE_BLOCKED = 215
