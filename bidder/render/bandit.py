"""Which layout an ad of products gets: Thompson sampling per line item, over what all workers saw.

Place: web/rendering asks for a layout and tells what was shown; clicks.py tells what was clicked; household.py lets
    `run` exchange counts with the store.
Shapes: an arm is a layout; of each, views and clicks of the last KEEP_DAYS days, a day's counts weighing half as much
    after HALF_LIFE_DAYS: what people click on changes, and so does what is best.
Units: days since the epoch.
Limits: MAX_LINES line items in memory, the ones that were not asked for longest go first; MAX_LAYOUTS arms.
    The store is asked every FLUSH_S, off every path; while it is silent, what this worker saw counts alone, and
    unsent counts are kept; without anything, the priors. An exchange that fails half-way may count some twice.
Source: Thompson, 1933; Chapelle and Li, "An empirical evaluation of Thompson sampling", NIPS 2011: Beta(1, 1) there,
    and a prior of banners' usual click rate here, so that a layout is not tried a thousand times for one lucky click.
Never: a person: the counts name a line item and a layout.
"""

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Final, Protocol

from redis.exceptions import RedisError

from bidder.campaigns.layouts import LAYOUTS
from bidder.campaigns.model import Layout
from bidder.metrics import Metric, Tally
from bidder.stores.layouts import Counts

PRIOR_CLICKS: Final = 1.0
PRIOR_VIEWS: Final = 250.0
"""One click in 250 views: the usual rate of retargeting banners."""
HALF_LIFE_DAYS: Final = 7.0
FLUSH_S: Final = 5.0
MAX_LINES: Final = 20_000
MAX_READ: Final = 2_000
"""Line items whose counts are read in one exchange; of more that were asked for, those that were last."""

METRICS: Final = (
    Metric(
        "paceline_layout_views_total", "counter", "Ads of products that were drawn, by layout", ("layout",)
    ),
    Metric("paceline_layout_clicks_total", "counter", "Clicks on products, by the ad's layout", ("layout",)),
    Metric("paceline_layout_exchanges_failed_total", "counter", "Exchanges of layout counts that failed"),
)

log = logging.getLogger(__name__)


class LayoutCounts(Protocol):
    """The store: counts of all workers. stores/layouts.LayoutStore."""

    async def exchange(
        self, news: Mapping[int, Counts], wanted: Sequence[int], day: int
    ) -> dict[int, Counts]:
        """Add what is new, by line item key; return the counts of the wanted. Raises RedisError."""


class _Line:
    """One line item's counts."""

    __slots__ = ("news", "shared")

    def __init__(self) -> None:
        self.shared: Counts = {}
        """What the store had at last."""
        self.news: Counts = {}
        """What it has not been told."""


class Bandit:
    """Layouts of all line items, in one worker."""

    def __init__(self, tally: Tally, now_s: Callable[[], float], seed: int | None = None) -> None:
        """`now_s` tells the day; a seed is for tests."""
        self._tally, self._now_s = tally, now_s
        self._random = random.Random(seed)
        self._lines: OrderedDict[int, _Line] = OrderedDict()
        """The one that was asked for last stands last."""
        self._asked: set[int] = set()
        """Since the last exchange."""
        for layout in LAYOUTS:
            tally.slot("paceline_layout_clicks_total", layout)  # so that the first one is seen as an increase

    def choose(self, line_item: int, layouts: Sequence[Layout]) -> Layout:
        """A layout of these, each as often as it is likely to be the best."""
        if len(layouts) == 1:
            return layouts[0]
        line, today = self._line(line_item), self._day()
        draws = [
            self._random.betavariate(*posterior(line.shared, line.news, each, today)) for each in layouts
        ]
        return layouts[draws.index(max(draws))]

    def shown(self, line_item: int, layout: Layout) -> None:
        """An ad was drawn."""
        self._add(line_item, layout, 1, 0)
        self._tally.count("paceline_layout_views_total", layout)

    def clicked(self, line_item: int, layout: str) -> None:
        """One of its products was clicked; a text that names no layout is passed over."""
        for known in LAYOUTS:
            if known == layout:
                self._add(line_item, known, 0, 1)
                self._tally.count("paceline_layout_clicks_total", known)

    async def exchange(self, store: LayoutCounts) -> bool:
        """Tell the store what is new and take over what others saw; False where it did not answer."""
        sent = {key: line.news for key, line in self._lines.items() if line.news}
        for key in sent:
            self._lines[key].news = {}
        try:
            found = await store.exchange(sent, self._wanted(), self._day())
        except (RedisError, OSError) as error:
            for key, news in sent.items():
                line = self._line(key)
                line.news = _sum(news, line.news)
            self._tally.count("paceline_layout_exchanges_failed_total")
            log.warning("layout counts were not exchanged: %s", error)
            return False
        for key, counts in found.items():
            if key in self._lines:
                self._lines[key].shared = counts
        return True

    async def run(self, store: LayoutCounts) -> None:
        """Exchange every FLUSH_S until cancelled; the owner calls `exchange` once more at the end."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.exchange(store)

    def _wanted(self) -> list[int]:
        """Line items that were asked for since the last exchange: what nobody asks for can wait."""
        latest = (key for key in reversed(self._lines) if key in self._asked)
        wanted = list(islice(latest, MAX_READ))
        self._asked.clear()
        return wanted

    def _add(self, line_item: int, layout: Layout, views: int, clicks: int) -> None:
        news, at = self._line(line_item).news, (layout, self._day())
        had = news.get(at, (0, 0))
        news[at] = (had[0] + views, had[1] + clicks)

    def _line(self, key: int) -> _Line:
        self._asked.add(key)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line()
            if len(self._lines) > MAX_LINES:
                self._asked.discard(self._lines.popitem(last=False)[0])
        else:
            self._lines.move_to_end(key)
        return line

    def _day(self) -> int:
        return int(self._now_s() // 86_400)


def posterior(shared: Counts, news: Counts, layout: Layout, today: int) -> tuple[float, float]:
    """The two parameters of a layout's Beta distribution of click rates."""
    views = clicks = 0.0
    for counts in (shared, news):
        for (name, day), (seen, hit) in counts.items():
            if name == layout:
                weight = 2.0 ** (-max(0, today - day) / HALF_LIFE_DAYS)
                views += weight * seen
                clicks += weight * hit
    misses = max(0.0, views - clicks)  # a click may be told before its view
    return PRIOR_CLICKS + clicks, PRIOR_VIEWS - PRIOR_CLICKS + misses


def _sum(one: Counts, other: Counts) -> Counts:
    both = dict(one)
    for at, (views, clicks) in other.items():
        had = both.get(at, (0, 0))
        both[at] = (had[0] + views, had[1] + clicks)
    return both
