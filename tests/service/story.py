"""The service with two shops in it, for people to meet: campaigns, feeds, a trained model, and looks into every store.

Shapes: `told` starts it all once; a Story has the street, the service and what may be asked of its stores.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis
import yaml

from bidder.audience.handles import Handles
from bidder.catalogue.refresh import read_state
from bidder.events import dataset, erasure
from bidder.notices.keys import load_keys
from bidder.notices.token import Audience, Claim, open_token
from tests.bidder.privacy.signals import VENDOR
from tests.bidder.supervisor.serving import ROOT, until
from tests.service.publisher_page import HOST, NAME
from tests.service.service import Service, started
from tests.service.shop_site import CONSENT, FJELL, KRUS, Shop
from tests.service.street import Street, opened

EVENTS = {"flush_s": 0.1, "segment_s": 0.5, "compact_s": 0.5, "erase_s": 0.5}
SESSIONS = (("tent-1", "lamp-2"),) * 20 + (("coat-1", "pack-1", "mug-1"),) * 30 + (("coat-1",),) * 5
"""What earlier visitors of Fjell looked at: after the tent the reading lamp, which nobody else looks at."""
BEST = "coat-1"
_SEAL = re.compile(r"https?://[^\s\"'<>]+[?&](?:amp;)?t=[\w-]+")


class Story:
    """What a test may do and see beside the browser."""

    def __init__(self, street: Street, service: Service, campaigns: Path) -> None:
        self.street, self.service = street, service
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PACELINE_")},
            "PACELINE_CONFIG": str(service.data_dir.with_suffix(".yaml")),
            "PACELINE_DATA_DIR": str(service.data_dir),
            "PACELINE_CAMPAIGNS": str(campaigns),
        }
        self.store = redis.Redis.from_url((service.data_dir / "redis.url").read_text().strip())
        self.keys = load_keys({}, "", service.data_dir)

    @property
    def base(self) -> str:
        """Where browsers reach the service."""
        return f"http://127.0.0.1:{self.service.ports['public']}"

    @property
    def events(self) -> Path:
        """What is recorded."""
        return self.service.data_dir / "events"

    def command(self, *arguments: str) -> tuple[int, str]:
        """`paceline ...`: exit code, and all that it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "bidder", *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def handle(self, person: bytes) -> str:
        """What the exchange is told of somebody."""
        return Handles(self.keys.keys).handle(NAME, person)

    def claims(self, sold: dict[str, Any]) -> list[Claim]:
        """Every token in a bid and its markup, opened."""
        text = "\n".join([sold["adm"], sold["bid"]["nurl"], sold["bid"]["burl"], sold["bid"]["lurl"]])
        found = []
        for url in _SEAL.findall(text):
            token = parse_qs(urlsplit(url.replace("&amp;", "&")).query)["t"][0]
            for audience in Audience:
                claim = open_token(token, self.keys, audience, 0.0)
                if isinstance(claim, Claim):
                    found.append(claim)
        assert found, text
        return found

    def stored(self) -> dict[bytes, bytes]:
        """Every key of the people's store with its value, but for counts of layouts, which are of line items."""
        found = {}
        for key in self.store.scan_iter(count=1_000):
            value = self.store.dump(key)
            if value is not None and not key.startswith(b"l:"):
                found[bytes(key)] = bytes(value)
        return found

    def traces(self, person: bytes) -> list[str]:
        """Where a person's 16 bytes or their digits stand: keys and values of the store, and every file of events."""
        wanted = (person, person.hex().encode(), person.hex().upper().encode())
        found = [f"key {key!r}" for key, text in self._texts() if any(each in text for each in wanted)]
        files = [path for path in self.events.rglob("*") if path.is_file()]
        found += [f"file {path.name}" for path in files if any(each in _content(path) for each in wanted)]
        return found + [f"events {each}" for each in erasure.holds(self.events, person)]

    def compactions(self) -> int:
        """When events were last compacted."""
        name = "paceline_chore_last_success_timestamp_seconds"
        return self.service.scrape().total(name, chore="compact")

    @staticmethod
    def is_tombstone(place: str, person: bytes) -> bool:
        """Whether a place is the key that says that a person opted out."""
        return place == f"key {b'p:{' + person.hex().encode() + b'}'!r}"

    def recorded(self, shop: Shop) -> list[dataset.Row]:
        """Every event of a shop."""
        return list(dataset.shop_events(self.events, shop.id))

    def _texts(self) -> Iterator[tuple[bytes, bytes]]:
        """Every key, and every key's content in clear."""
        for key in self.store.scan_iter(count=1_000):
            yield key, key
            kind = self.store.type(key)
            if kind == b"string":
                yield key, self.store.get(key) or b""
            elif kind == b"hash":
                yield from ((key, part) for pair in self.store.hgetall(key).items() for part in pair)
            elif kind == b"zset":
                yield from ((key, member) for member in self.store.zrange(key, 0, -1))
            elif kind == b"set":
                yield from ((key, member) for member in self.store.smembers(key))
            elif kind != b"none":
                raise AssertionError(f"a key of a kind that nobody looks into: {key!r} {kind!r}")


@contextmanager
def told(folder: Path) -> Iterator[Story]:
    """The street and the service; the shops' catalogues are there, and Fjell's model is trained."""
    with opened() as street:
        settings = {
            "events": EVENTS,
            "privacy": {
                "vendor_id": VENDOR,
                "controller": "Courier Ads, 1 Quay Street, Bergen",
                "contact": "privacy@courier-ads.example",
            },
            "exchanges": [
                {
                    "name": NAME,
                    "sync_url": f"{street.base(HOST)}/sync?id={{id}}&gdpr={{gdpr}}&consent={{gdpr_consent}}",
                }
            ],
        }
        campaigns = _write_campaigns(folder)
        with started(folder / "data", settings=settings, campaigns=campaigns) as service:
            street.exchange.where = lambda: (service.ports["exchange"], story.base)
            story = Story(street, service, campaigns)
            _train(story)
            try:
                yield story
            finally:
                story.store.close()


def _write_campaigns(folder: Path) -> Path:
    """Campaign files of both shops, and their feeds beside them."""
    campaigns = folder / "campaigns"
    (campaigns / "feeds").mkdir(parents=True)
    for shop, lines in ((FJELL, _FJELL), (KRUS, _KRUS)):
        (campaigns / "feeds" / f"{shop.id}.csv").write_text(shop.feed())
        creatives = [
            _creative(shop, id_) for id_ in sorted({id_ for line in lines for id_ in line["creatives"]})
        ]
        campaign = {"id": f"{shop.id}-all", "name": shop.name, "pacing": "asap", "line_items": lines}
        book = {"advertisers": [shop.advertiser(creatives=creatives, campaigns=[campaign])]}
        (campaigns / f"{shop.id}.yaml").write_text(yaml.safe_dump(book, allow_unicode=True))
    return campaigns


_FJELL: list[dict[str, Any]] = [
    {
        "id": "fjell-again",
        "goal": {"kind": "cpm", "value": 8},
        "max_bid_cpm": 12,
        "creatives": ["products-300x250"],
        "targeting": {"segments": {"any": ["viewers", "cart"], "none": ["buyers"]}},
    },
    {
        "id": "fjell-everybody",
        "goal": {"kind": "cpm", "value": 2},
        "max_bid_cpm": 6,
        "creatives": ["brand-300x250", "products-728x90"],
    },
]
_KRUS: list[dict[str, Any]] = [
    {
        "id": "krus-again",
        "goal": {"kind": "cpm", "value": 5},
        "max_bid_cpm": 12,
        "creatives": ["products-160x600"],
        "targeting": {"segments": {"any": ["viewers"], "none": ["buyers"]}},
    }
]


def _creative(shop: Shop, id_: str) -> dict[str, Any]:
    kind, _, size = id_.partition("-")
    width, _, height = size.partition("x")
    common = {"id": id_, "w": int(width), "h": int(height), "landing_url": f"{shop.base}/", "alt": shop.name}
    if kind == "brand":
        return common | {"kind": "image", "image_url": f"{shop.base}/drawn/tent-2f6b3a.svg"}
    return common | {"kind": "products", "language": "en", "layouts": ["grid"]}


def _train(story: Story) -> None:
    """Let earlier visitors have been at Fjell, and train what they teach."""
    token = story.command("shop", "token", FJELL.id)
    assert token[0] == 0, token
    bodies = [
        _event(number, place, id_) for number, ids in enumerate(SESSIONS) for place, id_ in enumerate(ids)
    ]
    request = urllib.request.Request(
        f"{story.base}/v1/events",
        json.dumps({"events": bodies}).encode(),
        {"Authorization": f"Bearer {token[1].split()[0]}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["accepted"] == len(bodies)
    until(lambda: len(list(dataset.sessions(story.events, FJELL.id))) == len(SESSIONS), "the sessions")
    status, said = story.command("train", "affinity", "--advertiser", FJELL.id)
    assert status == 0, said
    story.service.hang_up()
    until(
        lambda: read_state(story.service.data_dir / "catalogues" / FJELL.id).model,
        "a catalogue with the model",
    )
    until(lambda: FJELL[BEST].title in _first_title(story), "the worker to take it over")


def _event(session: int, place: int, id_: str) -> dict[str, Any]:
    return {
        "event": "product_view",
        "id": f"seed-{session}-{place}",
        "items": [{"product": id_}],
        "person": {"fp": f"earlier-visitor-{session:04d}"},
        "consent": {"gdpr": 1, "gdpr_consent": CONSENT},
    }


def _first_title(story: Story) -> str:
    """The first product that a stranger's ad shows."""
    query = {"w": "728", "h": "90", "consent": ""}
    sold = json.loads(story.street.exchange.auction(query, {"User-Agent": "Mozilla/5.0 Firefox/140.0"}).body)
    if not sold["adm"]:
        return ""
    url = re.search(r'<iframe src="([^"]+)"', sold["adm"])
    assert url is not None
    with urllib.request.urlopen(url[1].replace("&amp;", "&"), timeout=30) as answer:
        found = re.search(r'class="t"[^>]*>([^<]*)', answer.read().decode())
    return found[1] if found else ""


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # sealed, compacted or replaced meanwhile
        return b""
