"""The browsers of the simulated people: cookies, what exchanges were told of them, what they looked at.

Place: shopping.py and leaving.py act with them; requests.py asks which id an exchange has; gallery.py what was viewed.
Shapes: a jar holds cookies by name; a browser that keeps no third-party cookies has one per shop, of those that are
    partitioned.
Rule: who visited before the run has an id already, the seeded one; everybody else gets one of the service, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from benchmarks.exchange.dialects import DIALECTS, Json
from benchmarks.exchange.population import Human

IDS: Final = ("pl_id", "pl_pid")
Jar = dict[str, str]


class Told(NamedTuple):
    """What an exchange was told of a person."""

    handle: str
    """What it sends as `buyeruid`."""
    id: str
    """Our id that this stands for."""


NOTHING: Final = Told("", "")


class Browser:
    """One person's."""

    def __init__(self, human: Human, before: bool) -> None:
        """`before`: the person is known from before the run."""
        self.human, self.before = human, before
        self.jars: dict[str, Jar] = {}
        self.partners: dict[str, Told] = {}
        """What each exchange was told."""
        self.issued: set[str] = set()
        """Ids that the service gave in this run."""
        self.viewed: dict[str, str] = {}
        """Shop to the product that was looked at last, in this run."""
        self.bought: set[tuple[str, str]] = set()
        self.steps = 0
        """Of visits: counts when one is asked for and when it is answered."""
        self.visiting = self.syncing = self.leaving = self.visited = False
        self.opted_out = self.erased = False
        """Erased: and not back since."""
        self.left = False
        """Was erased."""
        if before and not human.anonymous:
            self.jars[""] = dict.fromkeys(IDS, human.id)
            if human.matched:
                self.partners = {dialect.name: Told(human.id, human.id) for dialect in DIALECTS}

    def jar(self, shop: str = "") -> Jar:
        """The cookies that are sent from a page of a shop."""
        return self.jars.setdefault(shop if self.human.anonymous else "", {})

    def keep(self, cookies: Iterable[bytes], shop: str = "") -> None:
        """Take what an answer sets."""
        jar = self.jar(shop)
        for text in cookies:
            pair, *attributes = (part.strip() for part in text.decode().split(";"))
            name, _, value = pair.partition("=")
            lower = [attribute.lower() for attribute in attributes]
            if self.human.anonymous and "partitioned" not in lower:
                continue
            if "max-age=0" in lower:
                jar.pop(name, None)
            else:
                jar[name] = value
                if name in IDS and value != self.human.id:
                    self.issued.add(value)

    def id(self, shop: str = "") -> str:
        """Our id; empty: the browser has none."""
        jar = self.jar(shop)
        return next((jar[name] for name in IDS if jar.get(name)), "")


class Browsers:
    """Everybody's, made when first asked for."""

    def __init__(self, before: Callable[[Human], bool]) -> None:
        """`before` says who visited a shop before the run."""
        self._before = before
        self._browsers: dict[int, Browser] = {}

    def of(self, human: Human) -> Browser:
        """A person's."""
        browser = self._browsers.get(human.number)
        if browser is None:
            browser = self._browsers[human.number] = Browser(human, self._before(human))
        return browser

    def all(self) -> Iterable[Browser]:
        """Those that were asked for."""
        return self._browsers.values()

    def name(self, exchange: str, human: Human, request: Json) -> str:
        """Put what an exchange was told of somebody into its request, or take it out; returns what tells the
        person apart there: our id where the service can find it, else the exchange's own."""
        user: Json = request.get("user") or {}
        user.pop("buyeruid", None)
        if human.device.kind == "web":
            told = self.of(human).partners.get(exchange)
        else:
            told = Told(human.id, human.id) if human.matched and human.agrees else None
        if human.anonymous:
            return human.id
        if told is not None:
            request["user"] = user | {"buyeruid": told.handle}
            return told.id
        return human.id if self._in_table(human) else f"{exchange}/{human.id}"

    def _in_table(self, human: Human) -> bool:
        """Whether the exchanges' own ids of somebody were matched before the run, and still are."""
        browser = self.of(human)
        return browser.before and not human.matched and not (browser.opted_out or browser.left)


def wire(url: str, browser: Browser, shop: str = "", page: str = "", form: bytes | None = None) -> bytes:
    """A browser's request, HTTP/1.1: a POST where there is a form; `page` is where it is called from."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"{'GET' if form is None else 'POST'} {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"User-Agent: {browser.human.device.ua}",
        f"Accept-Language: {browser.human.place.language}",
    ]
    cookies = "; ".join(f"{name}={value}" for name, value in browser.jar(shop).items())
    if cookies:
        lines.append(f"Cookie: {cookies}")
    if page:
        lines.append(f"Referer: {page}")
    if browser.human.limited:
        lines.append("DNT: 1")
    if form is not None:
        lines += [
            f"Origin: {parts.scheme}://{parts.netloc}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(form)}",
        ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (form or b"")
