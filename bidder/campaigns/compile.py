"""A Book flattened to numbered line items, each with what the path of a bid needs at hand.

Place: index.py and the price step build on the list; a line item's number is its place in it.
Units: prices are CPM micros, goals micros, both of the advertiser's currency; times seconds since the epoch.
Limits: inactive advertisers, campaigns and line items are left out; so is one whose currency has no rate, and one that
    wants an audience for an advertiser that is directed to children: it has none.
"""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct
from msgspec import field as struct_field
from numpy.typing import NDArray

from bidder.campaigns.ads import Ad, compile_ad
from bidder.campaigns.caps import ADVERTISER, CAMPAIGN, LINE, Cap, caps_of
from bidder.campaigns.durations import seconds_of
from bidder.campaigns.model import VECTOR_DIMENSIONS, Advertiser, Book, Campaign, LineItem, Targeting
from bidder.campaigns.rates import Rates
from bidder.keys import field_name, key32, key64, segment_key
from bidder.opportunity import BANNER
from budget.accounts import Limits
from budget.money import Micros, micros_from_text
from openrtb.response import Bid

_RANK_CURRENCY = "USD"


class Line(Struct, gc=False):
    """One line item, compiled."""

    id: str
    key: int
    """Of the id and the advertiser's: a line item that moves to another advertiser is another."""
    campaign_id: str
    advertiser: int
    """Number of the advertiser in the book."""
    advertiser_id: str
    advertiser_key: int
    """`key64` of `advertiser_id`, for tokens."""
    field: bytes
    """The advertiser's field in a person's hash."""
    domain: str
    bundle: str
    adomain: list[str]
    currency: str
    goal: str
    goal_micros: int
    max_bid_cpm_micros: int
    rank: float
    """The maximum bid in one currency for all, to tell which line items may pay most."""
    click_rate: float | None
    conversion_rate: float | None
    media: int
    ads: tuple[Ad, ...]
    banners: dict[tuple[int, int], list[Ad]]
    """Banner creatives by size."""
    targeting: Targeting
    segments: tuple[int, ...]
    """Keys of the segments of which a person must have one."""
    excluded: tuple[int, ...]
    """Keys of the segments of which a person must have none."""
    deals: tuple[str, ...]
    open: bool
    start_s: float
    end_s: float
    limits: Limits
    pacing: str
    """even, traffic, asap or front_loaded."""
    guaranteed: bool
    """Bids before all that are not."""
    key32: int
    """For the log of a person's views; so is the campaign's."""
    campaign_key32: int
    caps: tuple[Cap, ...]
    """The advertiser's, the campaign's and its own, with the minimum gaps of each; each of `ads` has more."""
    min_gap_s: int
    """Its own, which is among `caps` as well; 0: none."""
    visitors: bool
    """Its caps bind people without an id too."""
    window_s: int
    """The longest window of all caps that bind it, its creatives' too; 0: it has none."""
    vector: tuple[float, ...]
    behalf: str
    paid: str
    nameless: bool
    """Of an advertiser that is directed to children: whoever sees it is nobody."""
    begun: dict[int, Bid] = struct_field(default_factory=dict)
    """What is the same in all its bids, by key of the creative; respond fills it."""

    @property
    def capped(self) -> bool:
        """Whether it matters what the person has seen."""
        return self.window_s > 0


class Columns(Struct, frozen=True):
    """What pricing and pacing read of all line items at once."""

    keys: NDArray[np.uint64]
    advertiser: NDArray[np.int64]
    goal_is_click: NDArray[np.bool_]
    goal_is_conversion: NDArray[np.bool_]
    goal_micros: NDArray[np.float64]
    max_bid_cpm_micros: NDArray[np.float64]
    click_rate: NDArray[np.float64]
    """NaN where the line item gives none."""
    conversion_rate: NDArray[np.float64]
    media: NDArray[np.uint8]
    currency: NDArray[np.int32]
    """Number in `currencies`."""
    currencies: tuple[str, ...]
    vectors: NDArray[np.float32]
    """(N, VECTOR_DIMENSIONS)"""
    guaranteed: NDArray[np.bool_]
    capped: NDArray[np.bool_]
    """Where it matters what the person has seen."""


def compile_lines(book: Book, rates: Rates) -> list[Line]:
    """The line items that can bid: first those that need no segment, by falling maximum bid; behind them those
    that need one, advertiser by advertiser, each advertiser's by falling maximum bid."""
    lines = []
    for number, advertiser in enumerate(book.advertisers):
        if not advertiser.active:
            continue
        ads = {
            c.id: compile_ad(advertiser, c, key64(f"{advertiser.id}/{c.id}")) for c in advertiser.creatives
        }
        factor = rates.factor(advertiser.currency, _RANK_CURRENCY)
        for campaign in advertiser.campaigns:
            for item in campaign.line_items:
                if (
                    campaign.active
                    and item.active
                    and factor is not None
                    and not _impossible(advertiser, item)
                ):
                    line = _line(number, (advertiser, campaign, item), ads, factor)
                    owner = line.advertiser if line.segments else -1
                    lines.append((owner, -line.rank, line.id, line))
    return [entry[-1] for entry in sorted(lines, key=lambda entry: entry[:3])]


def _impossible(advertiser: Advertiser, item: LineItem) -> bool:
    """Whether an audience is wanted where none may be."""
    segments = item.targeting.segments
    return advertiser.child_directed and segments is not None and bool(segments.any)


def columns(lines: list[Line]) -> Columns:
    """The columns of numbered line items."""
    count = len(lines)
    currencies = tuple(sorted({line.currency for line in lines}))
    vectors = np.zeros((count, VECTOR_DIMENSIONS), np.float32)
    for i, line in enumerate(lines):
        vectors[i, : len(line.vector)] = line.vector
    nan = float("nan")
    return Columns(
        keys=np.array([line.key for line in lines], np.uint64),
        advertiser=np.array([line.advertiser for line in lines], np.int64),
        goal_is_click=np.array([line.goal == "cpc" for line in lines], np.bool_),
        goal_is_conversion=np.array([line.goal == "cpa" for line in lines], np.bool_),
        goal_micros=np.array([line.goal_micros for line in lines], np.float64),
        max_bid_cpm_micros=np.array([line.max_bid_cpm_micros for line in lines], np.float64),
        click_rate=np.array(
            [nan if line.click_rate is None else line.click_rate for line in lines], np.float64
        ),
        conversion_rate=np.array(
            [nan if line.conversion_rate is None else line.conversion_rate for line in lines], np.float64
        ),
        media=np.array([line.media for line in lines], np.uint8),
        currency=np.array([currencies.index(line.currency) for line in lines], np.int32),
        currencies=currencies,
        vectors=vectors,
        guaranteed=np.array([line.guaranteed for line in lines], np.bool_),
        capped=np.array([line.capped for line in lines], np.bool_),
    )


def _line(
    number: int, path: tuple[Advertiser, Campaign, LineItem], ads: dict[str, Ad], factor: float
) -> Line:
    advertiser, campaign, item = path
    segments = item.targeting.segments
    transparency = advertiser.transparency
    own = tuple([ads[creative] for creative in item.creatives])
    caps = _caps(advertiser, campaign, item)
    frequency = item.frequency
    media = 0
    banners: dict[tuple[int, int], list[Ad]] = {}
    for ad in own:
        media |= ad.medium
        if ad.medium == BANNER:
            banners.setdefault(ad.size, []).append(ad)
    return Line(
        id=item.id,
        key=key64(f"{advertiser.id}/{item.id}"),
        campaign_id=campaign.id,
        advertiser=number,
        advertiser_id=advertiser.id,
        advertiser_key=key64(advertiser.id),
        field=field_name(advertiser.id),
        domain=advertiser.domain,
        bundle=advertiser.bundle or "",
        adomain=[advertiser.domain],
        currency=advertiser.currency,
        goal=item.goal.kind,
        goal_micros=micros_from_text(str(item.goal.value)),
        max_bid_cpm_micros=micros_from_text(str(item.max_bid_cpm)),
        rank=micros_from_text(str(item.max_bid_cpm)) * factor,
        click_rate=item.click_rate,
        conversion_rate=item.conversion_rate,
        media=media,
        ads=own,
        banners=banners,
        targeting=item.targeting,
        segments=tuple([segment_key(advertiser.id, s) for s in segments.any]) if segments else (),
        excluded=tuple([segment_key(advertiser.id, s) for s in segments.none]) if segments else (),
        deals=item.deals.ids if item.deals else (),
        open=item.deals.open if item.deals else True,
        start_s=max(_seconds(campaign.start, float("-inf")), _seconds(item.start, float("-inf"))),
        end_s=min(_seconds(campaign.end, float("inf")), _seconds(item.end, float("inf"))),
        limits=_limits(advertiser, campaign, item),
        pacing=item.pacing or campaign.pacing,
        guaranteed=item.deals is not None and item.deals.guaranteed,
        key32=key32(item.id),
        campaign_key32=key32(f"{advertiser.id}/{campaign.id}"),
        caps=caps,
        min_gap_s=seconds_of(frequency.min_gap) if frequency and frequency.min_gap else 0,
        visitors=frequency is not None and frequency.visitors,
        window_s=max([cap.window_s for cap in (*caps, *(cap for ad in own for cap in ad.caps))], default=0),
        vector=() if advertiser.child_directed else item.vector,
        behalf=transparency.behalf if transparency else "",
        paid=transparency.paid if transparency else "",
        nameless=advertiser.child_directed,
    )


def _limits(advertiser: Advertiser, campaign: Campaign, item: LineItem) -> Limits:
    return Limits(
        campaign_id=campaign.id,
        line_item_id=item.id,
        zone=ZoneInfo(advertiser.time_zone),
        campaign_total=_micros(campaign.budget.total),
        campaign_daily=_micros(campaign.budget.daily),
        line_total=_micros(item.budget.total),
        line_daily=_micros(item.budget.daily),
        line_hourly=_micros(item.budget.hourly),
    )


def _caps(advertiser: Advertiser, campaign: Campaign, item: LineItem) -> tuple[Cap, ...]:
    """Those of all levels but the creative's, widest level first."""
    return (
        *caps_of(advertiser.frequency, ADVERTISER, 0),
        *caps_of(campaign.frequency, CAMPAIGN, key32(f"{advertiser.id}/{campaign.id}")),
        *caps_of(item.frequency, LINE, key32(item.id)),
    )


def _micros(amount: Decimal | None) -> Micros | None:
    return None if amount is None else micros_from_text(str(amount))


def _seconds(moment: datetime | None, absent: float) -> float:
    if moment is None:
        return absent
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
