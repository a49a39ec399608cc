"""A day in which people, shops and exchanges do all that leaves traces, and what is left of it."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from bidder.chores import anonymise, compact, erase, retention
from bidder.fraud.watch import Watch
from bidder.metrics import Tally
from bidder.privacy.signals import Signals
from bidder.shop import counts
from bidder.shop.tokens import exchange_secret, shop_token, sign
from bidder.stores import keys
from bidder.stores.people_writer import MAX_TTL_S
from bidder.supervisor.catalogue import catalogue
from bidder.web.exposition import merge, render
from tests.people.book import COUNTRY, PRODUCTS
from tests.people.calls import bid_request
from tests.people.canaries import (
    ADDRESS,
    ADDRESS_6,
    AGENT,
    EMAIL,
    PHONE,
    SHAPES,
    Lines,
    found,
    held_in_files,
    held_in_store,
)
from tests.people.house import EIDS, RING, START_S, House
from tests.servers import RealServer

PEOPLE: Final = 10
ACTS: Final = 160
DAY_S: Final = 86_400.0
MARGIN_S: Final = 3 * 3_600.0
FREE: Final = Signals(gdpr=0)
SHOPS: Final = tuple(shop for shop in COUNTRY if shop != "toys")
TEXTS: Final = (
    *(EMAIL, EMAIL.replace("@", "%40"), f"<{EMAIL}>", PHONE, PHONE.replace(" ", ""), f"tel:{PHONE}"),
    *(ADDRESS, ADDRESS_6, AGENT),
)
FIELDS: Final = (
    *(
        "product",
        "category",
        "id",
        "order",
        "referrer",
        "name",
        "currency",
        "conversion",
        "value",
        "price",
        "quantity",
    ),
    *("item_category", "fp", "x"),
)
SENDER: Final = {
    "User-Agent": AGENT,
    "X-Forwarded-For": f"{ADDRESS}, {ADDRESS_6}",
    "X-Real-IP": ADDRESS,
    "Forwarded": f"for={ADDRESS}",
    "Accept-Language": f"en, {EMAIL}",
    "Cookie": f"mail={EMAIL}; phone={PHONE}",
}
_TOKENS: Final = re.compile(r"/(render|imp|bill|click|win|loss)\?[^\"\\]*?t=([\w-]+)")


class Person:
    """Somebody with all kinds of ids."""

    def __init__(self, number: int) -> None:
        made = random.Random(number)
        self.number, self.id = number, made.randbytes(16)
        self.fp = {shop: made.randbytes(16).hex() for shop in SHOPS}
        digits = made.randbytes(16).hex()
        self.ifa = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        self.uid, self.eid = f"uid-{made.randbytes(8).hex()}", f"eid-{made.randbytes(8).hex()}"
        self.login = hashlib.sha256(made.randbytes(8)).hexdigest()

    @property
    def cookies(self) -> dict[str, str]:
        """As the browser brings them."""
        return {"pl_id": self.id.hex()}

    def texts(self) -> tuple[bytes, ...]:
        """Every id, and every name that one has in a key."""
        matches = {f"generic/{self.uid}", f"ifa/{self.ifa}", f"{EIDS}/{self.eid}"}
        matches |= {f"shop.{shop}/{fp}" for shop, fp in self.fp.items()}
        tags = [keys.match_tag(match) for match in matches]
        tags += [keys.cluster_tag(shop, self.login) for shop in SHOPS]
        ids = (self.uid, self.ifa, self.eid, self.login, *self.fp.values())
        return (self.id, self.id.hex().encode(), *(text.encode() for text in ids), *tags)


class Day:
    """The day and what was found after it; `live` lives it."""

    def __init__(self, house: House, server: RealServer, lines: Lines) -> None:
        self.house, self._server, self._lines = house, server, lines
        self.people = [Person(number) for number in range(PEOPLE)]
        self.opted_out, self.erased = self.people[0], self.people[1]
        self._random = random.Random(4)

    async def live(self) -> None:
        house = self.house
        for number in range(ACTS):
            await self._act(number)
            house.clock.at_s = START_S + number * DAY_S / ACTS
        await house.settle()
        self.lives = await self._lives()
        self.named = found(self._places(), {"id": [person.id for person in self.people[2:]]})
        await self._ask("/privacy/choice", self.opted_out, choice="out")
        await self._ask("/privacy/erase", self.erased, confirm="yes")
        house.clock.at_s += 7_200  # the segment's time
        await self._chores()
        gone = {"id": (self.erased.id, self.erased.id.hex().encode())}
        self.of_erased = found(self._places(), gone)
        await self._canaries()
        await house.settle()
        await Watch(
            house.household.screen, house.config.fraud, (house.data / "run", house.data, 0), house.clock
        ).look()
        self.lives |= await self._lives()
        self.canaries = found(self._places(), SHAPES)
        house.clock.at_s += 7_200
        await self._chores()
        self.canaries |= found(self._places(), SHAPES)
        await self._later()

    async def _later(self) -> None:
        house = self.house
        house.clock.at_s += MAX_TTL_S + MARGIN_S
        with self._server.client() as client:
            for key in list(client.scan_iter()):
                left = client.ttl(key)
                assert isinstance(left, int)
                if left >= 0:
                    client.expire(key, left - MAX_TTL_S)
        await self._chores()
        self.left = {
            person.number: found(self._places(), {text.hex(): [text] for text in person.texts()})
            for person in self.people
        }
        with self._server.client() as client:
            self.standing = {key for key in client.scan_iter() if not key.startswith((b"l:", b"ml:"))}
        scrubbed = [cell for cell, _ in house.tally.samples() if cell.name == counts.SCRUBBED.name]
        self.dropped = {cell.labels[-1] for cell in scrubbed}
        self.violations = {
            cell.labels: value
            for cell, value in house.tally.samples()
            if cell.name == "paceline_retention_violations" and value
        }

    async def _chores(self) -> None:
        await self.house.settle()
        for chore in (compact, erase, anonymise, retention):
            await chore(self.house.hands)

    async def _lives(self) -> dict[bytes, int]:
        """Seconds that each key lives."""
        with self._server.client() as client:
            return {key: int(str(client.ttl(key))) for key in client.scan_iter()}

    def _places(self) -> Iterator[tuple[str, bytes]]:
        with self._server.client() as client:
            yield from held_in_store(client)
        yield from held_in_files(self.house.data)
        yield "log", self._lines.text.getvalue().encode()
        tally: Tally = self.house.tally
        yield "metrics", render(catalogue(), merge(catalogue(), [list(tally.samples())], {}))

    async def _act(self, number: int) -> None:
        choice, person, shop = (
            self._random.random(),
            self._random.choice(self.people),
            self._random.choice(SHOPS),
        )
        if choice < 0.35:
            await self._visit(number, person, shop)
        elif choice < 0.5:
            await self._tell(number, person, shop)
        elif choice < 0.6:
            await self._synced(person)
        else:
            await self._bid(person, shop)

    async def _visit(self, number: int, person: Person, shop: str, **more: str) -> None:
        kind = self._random.choice(["page_view", "product_view", "product_view", "cart", "purchase"])
        product = f"{shop}-{self._random.randint(1, PRODUCTS)}"
        query = {
            "advertiser": shop,
            "event": kind,
            "product": product,
            "id": f"e-{number}",
            "fp": person.fp[shop],
        }
        await self.house.call(
            "/pixel",
            params={**query, "gdpr": "0", **more},
            cookies=person.cookies,
            headers={"User-Agent": AGENT},
        )
        await self.house.call(
            f"/v1/syncs?advertiser={shop}&gdpr=0",
            cookies=person.cookies,
            headers={"Origin": f"https://{shop}.example"},
        )

    async def _tell(self, number: int, person: Person, shop: str) -> None:
        told = {
            "fp": person.fp[shop],
            "ifa": person.ifa,
            "exchanges": {"generic": person.uid},
            "login": person.login,
        }
        event = {"event": "cart", "id": f"s-{number}", "items": [{"product": f"{shop}-1"}], "person": told}
        await self._events(shop, event | {"consent": {"gdpr": 0}})

    async def _events(self, shop: str, *events: dict[str, Any]) -> None:
        await self.house.call(
            "/v1/events",
            "POST",
            data=msgspec.json.encode({"events": list(events)}),
            headers={"Authorization": f"Bearer {shop_token(RING, shop)}", **SENDER},
        )

    async def _synced(self, person: Person) -> None:
        await self.house.call(f"/sync/generic?uid={person.uid}&gdpr=0", cookies=person.cookies)
        await self._upload({"uid": f"{person.uid}", "id": person.id.hex(), "gdpr": 0})

    async def _upload(self, line: dict[str, Any]) -> None:
        body, at = msgspec.json.encode(line), str(int(self.house.clock.at_s))
        told = {
            "X-Paceline-Timestamp": at,
            "X-Paceline-Signature": sign(exchange_secret(RING, "generic"), at, body),
        }
        await self.house.call("/v1/matches/generic", "POST", data=body, headers={**SENDER, **told})

    async def _bid(self, person: Person, shop: str) -> None:
        user: dict[str, Any] = self._random.choice(
            [
                {"buyeruid": person.id.hex()},
                {"id": person.uid},
                {"eids": [{"source": EIDS, "uids": [{"id": person.eid}]}]},
            ]
        )
        request = bid_request(shop, FREE, **user)
        request["device"] |= {"ip": ADDRESS, "ua": AGENT, "ifa": person.ifa}
        await self._sold(request)

    async def _sold(self, request: dict[str, Any], **more: str) -> None:
        answer = await self.house.ask(request)
        await self.house.settle()
        for path, token in dict(_TOKENS.findall(answer.body.decode())).items():
            await self.house.call(
                f"/{path}", params={"p": "1", "c": "USD", "t": token, **more}, headers=SENDER
            )

    async def _ask(self, path: str, person: Person, **fields: str) -> None:
        """A form of the privacy pages, filled in."""
        page = await self.house.call("/privacy", cookies=person.cookies)
        nonce = page.cookies["pl_form"]
        (form,) = set(re.findall(rb'name="form" value="([^"]+)"', page.body))
        reply = await self.house.call(
            path, "POST", data={"form": form.decode(), **fields}, cookies={**person.cookies, "pl_form": nonce}
        )
        assert "done=form" not in reply.headers["Location"]
        assert "done=failed" not in reply.headers["Location"]

    async def _canaries(self) -> None:
        """Everything that may be text is what must not be kept."""
        person = self.people[2]
        for number, text in enumerate(TEXTS):
            for field in FIELDS:
                for kind in ("purchase", "search", "custom"):
                    query = {
                        "advertiser": "hats",
                        "event": kind,
                        "gdpr": "0",
                        "cb": text,
                        "via": text,
                        field: text,
                    }
                    query |= {"name": "quiz"} if kind == "custom" and field != "name" else {}
                    query |= {"product": "hats-1"} if field in ("price", "quantity", "item_category") else {}
                    await self._pixel(query, person)
                    event = {"event": kind, "id": f"c-{number}-{field}-{kind}", field: text}
                    if field == "x":
                        event |= {"person": {"exchanges": {"generic": text}, "login": text}}
                    await self._events("hats", event | {"consent": {"gdpr": 0}})
            await self._elsewhere(number, text, person)

    async def _pixel(self, query: dict[str, str], person: Person) -> None:
        for referer in (None, f"https://hats.example/thanks?mail={EMAIL}&ip={ADDRESS}#{PHONE}"):
            told = SENDER | ({"Referer": referer} if referer else {})
            cookie = f"{SENDER['Cookie']}; pl_id={person.id.hex()}"
            await self.house.call("/pixel", params=query, headers={**told, "Cookie": cookie})

    async def _elsewhere(self, number: int, text: str, person: Person) -> None:
        house = self.house
        item: dict[str, Any] = {
            "event": "cart",
            "id": f"i-{number}",
            "items": [{"product": text, "category": text}],
        }
        item |= {"category": text, "order": text, "referrer": text}
        told = {"fp": person.fp["hats"], "exchanges": {"generic": text}}
        person_too = item | {"id": f"p-{number}", "person": told}
        kept = item | {"id": f"k-{number}", "items": [{"product": "hats-1", "category": text}]}
        await self._events("hats", item, kept, item | {"id": text}, person_too, {text: text})
        pages = (
            "sync/generic",
            f"sync/{text}",
            "v1/syncs",
            "tag.js",
            "render",
            "privacy",
            "privacy/data",
            text,
        )
        for path in [f"/{page}" for page in pages]:
            names = ("uid", "advertiser", "t", "lang", "done", "gdpr_consent", "gpp", "us_privacy", "a", text)
            await house.call(path, params=dict.fromkeys(names, text), headers=SENDER)
        await self._upload({"uid": text, "id": person.id.hex(), "gdpr": 0})
        await self._upload({"uid": person.uid, "id": text, text: text})
        for path in ("win", "bill", "loss", "imp", "click", "event", "render", "render/native"):
            await house.call(f"/{path}", params=dict.fromkeys("tpcrmela", text), headers=SENDER)
        await self._traffic(text, person)

    async def _traffic(self, text: str, person: Person) -> None:
        request = bid_request("hats", FREE, id=text, keywords=text, customdata=text, gender=text, yob=1980)
        request["user"] |= {
            "eids": [{"source": EIDS, "uids": [{"id": text}]}],
            "data": [{"id": text, "name": text}],
        }
        request["device"] |= {
            "ip": ADDRESS,
            "ipv6": ADDRESS_6,
            "ua": AGENT,
            "ifa": person.ifa,
            "model": text,
            "make": text,
        }
        request["site"] |= {
            "page": f"https://news.example/?q={text}",
            "ref": text,
            "search": text,
            "keywords": text,
            "name": text,
        }
        await self._sold(request, l=text, r=text, m=text, e=text)
        request["imp"][0]["tagid"] = text
        request["site"] |= {
            "publisher": {"id": text, "name": text, "domain": text},
            "content": {"title": text},
        }
        await self._sold(request)
        request["site"]["domain"] = request["site"]["id"] = request["id"] = text
        await self._sold(request)
        await self.house.ask({"id": text, "imp": text, "user": text})
