"""Campaign files as people write them, and what is said of them.

Shapes: BOOK is the least that loads, with known line numbers; RICH uses every field of the schema.
"""

from __future__ import annotations

from pathlib import Path

from bidder.campaigns.load import CampaignError, Loaded, load
from bidder.campaigns.rates import Rates

BOOK = """\
advertisers:
  - id: shop
    name: Shop
    domain: shop.example
    currency: EUR
    creatives:
      - id: banner
        kind: image
        w: 300
        h: 250
        image_url: https://cdn.shop.example/a.webp
        landing_url: https://shop.example/
    campaigns:
      - id: spring
        name: Spring
        budget: {total: 100, daily: 10}
        line_items:
          - id: viewers
            goal: {kind: cpm, value: 2.5}
            max_bid_cpm: 4
            creatives: [banner]
            targeting: {}
"""
"""Line 2 begins the advertiser, 7 the creative, 14 the campaign, 18 the line item; 22 is its targeting."""

RICH = """\
advertisers:
  - id: shop
    name: Shop
    domain: shop.example
    currency: EUR
    bundle: example.shop.app
    transparency: {behalf: Shop, paid: Shop Holding}
    time_zone: Europe/Berlin
    frequency: [{views: 200, per: 30d}]
    active: true
    country: DEU
    child_directed: false
    events:
      kinds: [page_view, product_view, category_view, search, cart, purchase, custom]
      custom: [quiz]
      conversions: [sale]
      origins: [www.shop.example]
    segments:
      - id: cart
        when:
          - {event: cart, categories: [Shoes > Running], min_value: 99.5, within: 7d}
          - {event: page_view, at_least: 2}
        unless: [{event: purchase, products: [boot-41], within: 14d}, {event: custom, custom: quiz}]
        keep: 5d
      - {id: buyers, when: [{event: purchase}]}
    feed: {location: "https://shop.example/products.xml", format: xml, every: 6h}
    creatives:
      - {id: image, kind: image, w: 300, h: 250, image_url: "https://cdn.shop.example/a.webp",
         landing_url: "https://shop.example/", alt: Shoes, language: de, categories: [IAB18],
         category_taxonomy: 1, attributes: [1, 16], apis: [5], frequency: {min_gap: 30m}}
      - id: html
        kind: html
        w: 728
        h: 90
        landing_url: https://shop.example/
        html: |
          <a href="${CLICK_URL}">Shoes</a>
      - {id: frame, kind: iframe, w: 300, h: 250, iframe_url: "https://ads.shop.example/", landing_url: "https://shop.example/"}
      - id: native
        kind: native
        landing_url: https://shop.example/
        native: {title: Shoes, sponsored_by: Shop, description: Good ones, call_to_action: See, price: 89 EUR,
                 rating: "4.6", image_url: "https://cdn.shop.example/i.webp", image_w: 1200, image_h: 627,
                 icon_url: "https://cdn.shop.example/j.webp", icon_w: 80, icon_h: 80}
      - id: film
        kind: video
        title: Film
        duration_s: 20
        landing_url: https://shop.example/
        media_files: [{url: "https://cdn.shop.example/f.mp4", mime: video/mp4, bitrate_kbps: 900, w: 640, h: 360}]
      - id: spot
        kind: audio
        duration_s: 30
        landing_url: https://shop.example/
        media_files: [{url: "https://cdn.shop.example/s.mp3", mime: audio/mpeg, bitrate_kbps: 128}]
    campaigns:
      - id: spring
        name: Spring
        budget: {total: 100, daily: 10}
        pacing: front_loaded
        frequency: {caps: [{views: 40, per: 7d}]}
        start: 2026-03-01T00:00:00+01:00
        end: 2026-06-01T00:00:00+02:00
        active: true
        line_items:
          - id: all
            goal: {kind: cpa, value: 22}
            max_bid_cpm: 4.25
            creatives: &all [image, html, frame, native, film, spot]
            vector: [0.5, -1, 3]
            click_rate: 0.001
            conversion_rate: 0.05
            active: false
            budget: {total: 50, daily: 5, hourly: 0.5}
            pacing: even
            frequency: {caps: [{views: 3, per: 10m}, {views: 20, per: 1d}], min_gap: 90s, visitors: true}
            start: 2026-03-08T00:00:00+01:00
            end: 2026-05-01T00:00:00+02:00
            deals: {ids: [deal-1, deal-2], open: true, guaranteed: false}
            targeting: &where
              exchanges: [google, xandr]
              inventory: [site, app, dooh]
              countries: {include: [DEU, AUT], exclude: [CHE]}
              regions: [DEU-BE]
              cities: [DEU-berlin, DEU-bad homburg]
              zips: [DEU-10115, "GBR-SW1A 1AA"]
              near: [{lat: 52.52, lon: 13.4, radius_km: 10}]
              device_types: [phone, tablet]
              os: [ios, android]
              connections: [wifi, 5g]
              browser_languages: [de]
              content_languages: {exclude: [en]}
              domains: [news.example]
              bundles: [example.news]
              sites: ["4711"]
              publishers: [pub-1]
              categories: {taxonomy: 1, include: [IAB17, IAB17-12]}
              keywords: [running shoes]
              positions: [above_fold]
              hours: [mon-fri 08-20, "sat,sun 10-24"]
              segments: {any: [cart], none: [buyers]}
              exchange_segments: [dmp.example/42]
              viewability_min: 0.5
              rewarded: false
              interstitial: true
              child_directed: false
          - {id: merged, goal: {kind: cpc, value: 0.3}, max_bid_cpm: 2, creatives: *all,
             targeting: {<<: *where, countries: [FRA]}}
"""


def write(folder: Path, text: str | bytes, name: str = "book.yaml") -> Path:
    """A file of a text or of bytes."""
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def change(old: str, new: str, text: str = BOOK) -> str:
    """A text with one place of it changed; the place must be the only one."""
    assert text.count(old) == 1, (text.count(old), old)
    return text.replace(old, new)


def told(path: Path, rates: Rates | None = None) -> list[str]:
    """What is wrong with a file or folder, line by line; empty where nothing is."""
    try:
        load(path, rates)
    except CampaignError as error:
        return [str(problem) for problem in error.problems]
    return []


def advised(path: Path) -> list[str]:
    """What works and is probably not meant."""
    loaded: Loaded = load(path)
    return list(map(str, loaded.advice))


def folder_of(path: Path, text: str) -> Path:
    """A folder with one campaign file and one that is none."""
    path.mkdir()
    write(path, text, "shop.yaml")
    write(path, "notes", "notes.txt")
    return path
