"""Where and to whom a simulated ad would show: site, app, device, place, person, rules, sellers.

Place: requests.py puts these around the impressions, in the form of OpenRTB 2.6.
"""

from __future__ import annotations

import random
from typing import Final

from benchmarks.exchange.dialects import Dialect, Json
from benchmarks.exchange.inventory import APPS, CTV_APPS, EID_SOURCES, SITES
from benchmarks.exchange.population import Human
from bidder.screening import EXCHANGE_DOMAINS

_COPPA_SHARE: Final = 0.015
_CONTENT_SHARE: Final = 0.4


def inventory(rng: random.Random, human: Human) -> Json:
    """The site or app that sells."""
    if human.device.kind == "web":
        return {"site": _site(rng, human)}
    apps = CTV_APPS if human.device.kind == "ctv" else APPS
    fitting = [app for app in apps if app.os == human.device.os] or list(apps)
    app = rng.choice(fitting)
    body: Json = {
        "id": f"app-{app.bundle[-6:]}",
        "name": app.name,
        "bundle": app.bundle,
        "storeurl": f"https://store.example/details?id={app.bundle}",
        "cat": list(app.categories),
        "ver": f"{rng.randint(1, 9)}.{rng.randint(0, 20)}",
        "privacypolicy": 1,
        "publisher": {"id": app.publisher, "name": app.name},
    }
    if human.device.kind == "ctv":
        body["content"] = {
            "title": f"Episode {rng.randint(1, 40)}", "genre": "drama", "livestream": 0, "language": "en",
            "contentrating": "TV-PG", "len": 2700, "prodq": 1, "network": {"name": app.name},
            "channel": {"name": "Prime"},
        }  # fmt: skip
    return {"app": body}


def _site(rng: random.Random, human: Human) -> Json:
    site = rng.choice(SITES)
    article = rng.randint(1, 5_000)
    body: Json = {
        "id": f"site-{site.id[-4:]}",
        "name": site.name,
        "domain": site.domain,
        "page": f"https://www.{site.domain}/{site.sections[0]}/{article}-a-longer-headline-with-words.html?ref=home",
        "ref": rng.choice(("", "https://www.search.example/", f"https://www.{site.domain}/")),
        "cat": list(site.categories),
        "pagecat": [site.categories[-1]],
        "keywords": site.keywords,
        "mobile": int(human.device.devicetype == 4),
        "privacypolicy": 1,
        "publisher": {"id": site.id, "name": f"{site.name} Media", "domain": site.domain},
    }
    if rng.random() < _CONTENT_SHARE:
        body["content"] = {
            "title": f"Article {article}", "url": body["page"], "cat": list(site.categories), "context": 5,
            "language": human.place.language, "keywords": site.keywords,
            "data": [{"id": "ctx", "name": "contextual.example",
                      "segment": [{"id": str(rng.randint(1, 600))} for _ in range(3)]}],
        }  # fmt: skip
    return body


def device(rng: random.Random, human: Human) -> Json:
    """The device, with a place; a precise one seldom."""
    kind = human.device
    body: Json = {
        "ua": kind.ua, "ip": ip(rng, human), "geo": geo(human, precise=rng.random() < 0.3), "dnt": 0,
        "lmt": int(human.limited), "devicetype": kind.devicetype, "os": kind.os, "osv": kind.osv,
        "w": kind.width, "h": kind.height, "pxratio": kind.ratio, "js": 1,
        "language": human.place.language, "connectiontype": rng.choice((1, 2, 2, 6, 7)),
        "carrier": "Example Telecom",
    }  # fmt: skip
    if kind.make:
        body |= {"make": kind.make, "model": kind.model}
    if kind.kind != "web":
        body["ifa"] = "00000000-0000-0000-0000-000000000000" if human.limited else human.ifa
    if kind.brand:
        brand, version = kind.brand
        body["sua"] = {
            "browsers": [{"brand": brand, "version": [version, "0", "0", "0"]},
                         {"brand": "Not?A_Brand", "version": ["8", "0", "0", "0"]}],
            "platform": {"brand": kind.os, "version": [kind.osv]}, "mobile": int(kind.devicetype == 4),
            "source": 2,
        }  # fmt: skip
    return body


def user(rng: random.Random, dialect: Dialect, human: Human) -> Json:
    """The person's ids, consent, and what providers say of them."""
    body = ids(dialect, human)
    if human.consent:
        body["consent"] = human.consent
    sources = rng.sample(EID_SOURCES, rng.randint(0, 3))
    if sources and not human.anonymous:
        body["eids"] = [
            {"source": source, "uids": [{"id": human.id_at(source), "atype": 1}]} for source in sources
        ]
    if rng.random() < 0.3:
        body["data"] = [
            {
                "id": "dp",
                "name": "data.example",
                "segment": [{"id": str(rng.randint(1, 99))} for _ in range(4)],
            }
        ]
    return body


def ids(dialect: Dialect, human: Human) -> Json:
    """The exchange's id of the person, and ours where the two were matched; none of whom it cannot tell apart."""
    if human.anonymous:
        return {}
    ids: Json = {"id": human.id_at(dialect.name)}
    if human.matched:
        ids["buyeruid"] = human.id
    return ids


def regs(rng: random.Random, human: Human) -> Json:
    """The privacy rules in force."""
    body: Json = {"gdpr": int(human.place.gdpr), "coppa": int(rng.random() < _COPPA_SHARE)}
    if human.us_privacy:
        body["us_privacy"] = human.us_privacy
    return body


def source(rng: random.Random, dialect: Dialect) -> Json:
    """The transaction and who sells it: the chain ends with the exchange, as the bidder knows it."""
    own = EXCHANGE_DOMAINS.get(dialect.name, f"{dialect.name}.example")
    nodes = [{"asi": own, "sid": f"seller-{rng.randint(1, 99)}", "hp": 1}]
    if rng.random() < 0.3:
        nodes.insert(0, {"asi": "reseller.example", "sid": f"r-{rng.randint(1, 99)}", "hp": 1})
    return {"tid": transaction_id(rng), "fd": 1, "schain": {"complete": 1, "ver": "1.0", "nodes": nodes}}


def geo(human: Human, *, precise: bool) -> Json:
    """The person's place."""
    place = human.place
    body: Json = {
        "country": place.country,
        "region": place.region,
        "utcoffset": place.utcoffset,
        "type": 2,
    }
    body |= {"city": place.city, "zip": place.zip}
    if precise:
        body |= {"lat": place.lat, "lon": place.lon, "accuracy": 500}
    return body


def ip(rng: random.Random, human: Human) -> str:
    """An address of the person's network, one of 512 in the block that is reserved for benchmarks (RFC 2544): were all
    people in one network, they would look like one abnormal address."""
    network = human.number % 512
    return f"198.{18 + (network >> 8)}.{network & 255}.{rng.randint(1, 254)}"


def transaction_id(rng: random.Random) -> str:
    """A random id of 32 hexadecimal digits."""
    return f"{rng.getrandbits(128):032x}"
