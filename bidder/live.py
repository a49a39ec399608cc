"""The live snapshot: campaigns, rates and rules become the World that the auction decides by.

Place: app.py builds one at start and another when the files change; a bad file changes nothing.
Limits: RETIRED line items that a reload removed are remembered, so that their notices still count; advertisers, who
    are few, are never forgotten, so that bills of line items that nobody remembers find their wallets.
Raises: CampaignError, RatesError, with every mistake located.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from msgspec import Struct

from bidder.auction.price import Pricer
from bidder.auction.rates import PREFERRED_MEDIUM
from bidder.auction.world import World
from bidder.audience.affinity import MAX_NORM
from bidder.audience.handles import Handles
from bidder.campaigns.compile import Columns, Line
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.index import Index
from bidder.campaigns.load import CampaignError, load_book
from bidder.campaigns.located import Problem
from bidder.campaigns.model import Book
from bidder.campaigns.rates import Rates, load_rates
from bidder.catalogue.snapshot import Catalogues
from bidder.catalogue.tastes import with_vectors
from bidder.config import Config
from bidder.keys import key64
from bidder.learning.priors import ConstantShading, PriorRates, Rest
from bidder.notices.apply import Entry
from bidder.notices.keys import Key, Keyring
from bidder.notices.urls import url_parts
from bidder.opportunity import AUDIO, BANNER, NATIVE, VIDEO
from bidder.privacy.gate import Gate
from bidder.settings import Priors

RETIRED = 200_000
MAX_SCORE = 2.0
"""Log-odds by which affinity moves a click rate at most, where the file gives a line item no vector: a factor of 7."""
CATALOGUES = "catalogues"
"""In the data directory."""


class Live(Struct, frozen=True):
    """One snapshot and where it came from."""

    world: World
    book: Book
    rates: Rates
    loaded_s: float
    """When, seconds since the epoch."""


def campaigns_path(config: Config) -> Path:
    """The configured campaigns, or the demo's shops."""
    return Path(config.campaigns) if config.campaigns else demo_book_path()


def rates_path(config: Config) -> Path | None:
    """The configured exchange rates; None for those shipped."""
    return Path(config.rates) if config.rates else None


def load_live(config: Config, keyring: Keyring, base_url: str) -> Live:
    """Read the files and compile them; raises CampaignError or RatesError."""
    rates = load_rates(rates_path(config))
    catalogues = Catalogues(Path(config.data_dir) / CATALOGUES)
    catalogues.refresh()
    book = with_vectors(load_book(campaigns_path(config), rates), catalogues, MAX_SCORE / MAX_NORM)
    return Live(build_world(config, (book, rates), keyring, base_url), book, rates, time.time())


def build_world(config: Config, sources: tuple[Book, Rates], keyring: Keyring, base_url: str) -> World:
    """Compile a book with its rates under a configuration."""
    book, rates = sources
    index = Index(book, rates)

    def convert(amount: float, from_cur: str, to_cur: str) -> float | None:
        factor = rates.factor(from_cur, to_cur)
        return None if factor is None else amount * factor

    return World(
        index=index,
        pricer=Pricer(
            index,
            prior_rates(config.priors, index.columns),
            ConstantShading(config.auction.first_price_factor),
            rates.factor,
        ),
        factor=rates.factor,
        convert=convert,
        gate=Gate(config.privacy.vendor_id),
        key=keyring.signing,
        urls={profile.name: url_parts(base_url, profile.billing) for profile in config.profiles()},
        privacy_url=config.privacy.page_url,
        max_candidates=config.auction.max_candidates,
        bid_currency=config.auction.bid_currency,
        check_answers=config.auction.check_answers,
        max_exp_s=config.ledger.max_exp_s,
        handles=Handles(keyring.keys),
        visitor_secret=_visitor_secret(keyring.signing) if config.frequency.visitors else b"",
    )


def _visitor_secret(key: Key) -> bytes:
    """Made of the signing key, so that nobody keeps another: who is a visitor today is a stranger under the next."""
    return hashlib.blake2b(b"visitors", key=key.secret[:64]).digest()


def prior_rates(priors: Priors, columns: Columns) -> PriorRates:
    """The operator's priors for the line items of an index."""
    by_medium = {
        BANNER: priors.click_rate_banner,
        VIDEO: priors.click_rate_video,
        NATIVE: priors.click_rate_native,
        AUDIO: priors.click_rate_audio,
    }
    click_rates = np.array([by_medium[medium] for medium in PREFERRED_MEDIUM], np.float64)
    rest = Rest(priors.conversion_rate, priors.affinity_weight)
    return PriorRates(click_rates, columns.click_rate, columns.conversion_rate, rest)


def keep_currencies(before: Iterable[Line], after: Iterable[Line]) -> None:
    """Raise CampaignError where an advertiser counts in another currency than before: the ledger knows amounts alone,
    so that a wallet of yen would become one of dollars."""
    known = {line.advertiser_id: line.currency for line in before}
    changed = {
        line.advertiser_id: line.currency
        for line in after
        if known.get(line.advertiser_id, line.currency) != line.currency
    }
    if changed:
        raise CampaignError(
            Problem("campaigns", 0, "", f"{name} counts in {known[name]}: it cannot become {currency}")
            for name, currency in changed.items()
        )


class LineDirectory:
    """Line items by key, for notices: those that are live and the last ones that were; and whoever may have to pay."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._advertisers: dict[int, str] = {}

    def line_item(self, key: int) -> Entry | None:
        """The line item of a `key64`; None where there is none any more."""
        return self._entries.get(key)

    def advertiser(self, key: int) -> str | None:
        """The id of an advertiser by its `key64`; None: it never had a line item here, nor an account."""
        return self._advertisers.get(key)

    def remember_advertisers(self, ids: Iterable[str]) -> None:
        """These may have bids under way, though they have no line items here."""
        self._advertisers.update((key64(name), name) for name in ids)

    def adopt(self, lines: list[Line]) -> None:
        """Put a new snapshot's line items on top."""
        fresh = {line.key: _entry(line) for line in lines}
        old = [(key, entry) for key, entry in self._entries.items() if key not in fresh]
        self._entries = {**dict(old[-RETIRED:]), **fresh}
        self._advertisers.update((line.advertiser_key, line.advertiser_id) for line in lines)


def _entry(line: Line) -> Entry:
    landing_urls: Mapping[int, str] = {ad.key: ad.landing_url for ad in line.ads}
    return Entry(
        campaign_id=line.campaign_id,
        line_item_id=line.id,
        currency=line.currency,
        landing_urls=landing_urls,
        advertiser_id=line.advertiser_id,
        limits=line.limits,
        campaign_key=line.campaign_key32,
        line_key=line.key32,
        creative_keys={ad.key: ad.key32 for ad in line.ads} if line.window_s else {},
        window_s=line.window_s,
    )
