"""What a run shows of people: visits, who is recognised, what is drawn, who left, who was nobody.

Place: session.py makes one with each reading; view.py draws it, checks.py holds it against what the people themselves
    saw, summary.py reports it.
Units: counts; sizes are people within the last 30 days, as the service estimates them.
Raises: `Registry.sizes` redis.RedisError.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from benchmarks.demo.residue import Residue
from benchmarks.exchange.report import PeopleTotals
from bidder.campaigns.model import Book
from bidder.metrics import Tally
from bidder.settings import Stores
from bidder.stores.people_writer import open_client
from bidder.stores.visitors import VisitorStore

if TYPE_CHECKING:
    from benchmarks.demo.readings import Metrics

SHOWN: Final = ("viewers", "cart")
"""Segments whose sizes are shown, where a shop has them."""
LAYOUTS: Final = ("single", "grid", "carousel", "list")


class Drawn(Struct, frozen=True):
    """A layout's record."""

    views: int = 0
    clicks: int = 0

    @property
    def rate(self) -> float:
        """Clicks per view."""
        return self.clicks / self.views if self.views else 0.0


class Society(Struct, frozen=True):
    """One moment, as the service counts it."""

    kept: int = 0
    """Visits that were kept with their person."""
    unkept: int = 0
    """Visits without one: no consent, opted out, or a browser that tells nobody apart."""
    asked: int = 0
    """People looked for by bids."""
    found: int = 0
    personal: int = 0
    contextual: int = 0
    brand: int = 0
    layouts: dict[str, Drawn] = {}
    recorded: int = 0
    compacted: int = 0
    filtered: int = 0
    sizes: dict[str, dict[str, int]] = {}
    """Shop to segment to people."""
    residue: Residue | None = None
    """Of the last reading alone."""

    @property
    def visits(self) -> int:
        """All that were counted."""
        return self.kept + self.unkept

    @property
    def drawn(self) -> int:
        """Ads of products."""
        return self.personal + self.contextual + self.brand


class Registry:
    """Asks the store of people how large segments are."""

    def __init__(self, url: str, book: Book) -> None:
        self._client = open_client(Stores(redis_url=url))
        self._store = VisitorStore(self._client, Tally())
        self._segments = [
            (shop.id, shop.name.partition(" ")[0], [each.id for each in shop.segments if each.id in SHOWN])
            for shop in book.advertisers
        ]

    async def sizes(self, now_s: float) -> dict[str, dict[str, int]]:
        """By shop and segment."""
        return {
            name: await self._store.sizes(shop, segments, int(now_s))
            for shop, name, segments in self._segments
            if segments
        }

    async def close(self) -> None:
        """End."""
        await self._client.aclose()


def society_of(metrics: Metrics, sizes: dict[str, dict[str, int]], residue: Residue | None = None) -> Society:
    """What a scrape says."""
    total = metrics.total
    kept = total("paceline_shop_people_total", person="kept")
    return Society(
        kept=kept,
        unkept=total("paceline_shop_people_total") - kept,
        asked=total("paceline_people_asked_total"),
        found=total("paceline_people_found_total"),
        personal=total("paceline_renders_total", what="personal"),
        contextual=total("paceline_renders_total", what="contextual"),
        brand=total("paceline_renders_total", what="brand") + total("paceline_renders_total", what="empty"),
        layouts={
            name: Drawn(
                total("paceline_layout_views_total", layout=name),
                total("paceline_layout_clicks_total", layout=name),
            )
            for name in LAYOUTS
        },
        recorded=total("paceline_events_recorded_total"),
        compacted=total("paceline_events_compacted_total"),
        filtered=total("paceline_outcomes_total", outcome="invalid_traffic"),
        sizes=sizes,
        residue=residue,
    )


def report(society: Society, people: PeopleTotals) -> dict[str, Any]:
    """The same as plain JSON, beside what the people saw."""
    found = society.residue
    return {
        "visits": people.visits, "visits_kept": society.kept, "visitors": people.visitors,
        "orders": people.orders, "syncs": people.syncs,
        "asked": society.asked, "found": society.found,
        "retargeting_bids": people.recognised, "of_this_runs_visitors": people.returned,
        "segment_sizes": society.sizes,
        "product_ads": {
            "looked_at": people.drawn + people.brand, "personal": society.personal,
            "contextual": society.contextual, "brand": society.brand,
            "viewed": people.viewed, "viewed_first": people.viewed_first, "clicks": people.product_clicks,
        },
        "layouts": {
            name: {"views": drawn.views, "clicks": drawn.clicks, "click_rate": round(drawn.rate, 4)}
            for name, drawn in society.layouts.items()
        },
        "opted_out": people.opted_out, "erased": people.erased,
        "found_again": list(found.again) if found is not None else None,
        "strangers": len(found.strangers) if found is not None else None,
        "events_recorded": society.recorded, "events_compacted": society.compacted,
        "robots": people.crawlers + people.robots, "filtered": society.filtered,
    }  # fmt: skip
