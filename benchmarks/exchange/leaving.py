"""People who have had enough: some opt out, some have themselves erased, through the forms of the privacy pages.

Place: simulation.py asks `due`; a browser opens a page, and sends the form that stands on it.
Units: seconds of the run.
Rule: only who was in a shop in this run leaves, and nothing of theirs is under way then.
"""

from __future__ import annotations

import functools
import random
import re
from typing import Final
from urllib.parse import urlencode

from benchmarks.exchange.browsers import Browser, Browsers, wire
from benchmarks.exchange.client import Answer
from benchmarks.exchange.shopping import Net

EVERY_S: Final = 4.0
"""Somebody leaves; every other one is erased."""
_FORM: Final = re.compile(r'name="form" value="([^"]+)"')
_WAYS: Final = {
    "out": ("/privacy", "/privacy/choice", {"choice": "out"}),
    "erased": ("/privacy/erase", "/privacy/erase", {"confirm": "yes"}),
}
"""What is to be done: the page, where its form goes, and what it says."""


class Leaving:
    """All who leave in a run."""

    def __init__(self, net: Net, seed: int, browsers: Browsers) -> None:
        self._net, self._browsers = net, browsers
        self._rng = random.Random(f"leaving:{seed}")
        self._begun = 0

    def due(self, elapsed: float) -> None:
        """Let the next one go when it is time."""
        if elapsed < (self._begun + 1) * EVERY_S:
            return
        self._begun += 1
        known = [each for each in self._browsers.all() if each.visited and _may_leave(each)]
        if known:
            browser = self._rng.choice(known)
            browser.leaving = True
            way = "erased" if self._begun % 2 else "out"
            page = _WAYS[way][0]
            self._net.call(
                wire(self._net.base + page, browser), functools.partial(self._read, browser, way), page
            )

    def _read(self, browser: Browser, way: str, answer: Answer) -> None:
        """A page with the form came."""
        browser.keep(answer.cookies)
        found = _FORM.search(answer.body.decode())
        page, path, says = _WAYS[way]
        if found is None:
            self._net.totals.error("privacy", f"no form stands in {page}")
            return
        form = urlencode({"form": found[1], "lang": "en", **says}).encode()
        page = self._net.base + page
        request = wire(self._net.base + path, browser, page=page, form=form)
        self._net.call(request, functools.partial(self._left, browser, way, browser.id()), path)

    def _left(self, browser: Browser, way: str, person: str, answer: Answer) -> None:
        totals = self._net.totals
        if not answer.location.endswith(f"done={way}".encode()):
            totals.error("privacy", f"{way}: sent to {answer.location.decode()}")
            return
        browser.keep(answer.cookies)
        if browser.id():
            totals.error("privacy", f"{way}: the browser still has an id")
        browser.viewed.clear()
        browser.leaving = False
        if way == "out":
            browser.opted_out = True
            totals.people.opted_out += 1
            totals.people.opted_out_ids.append(person)
        else:
            browser.erased = browser.left = True
            totals.people.erased += 1
            totals.people.erased_ids.append(person)


def _may_leave(browser: Browser) -> bool:
    busy = browser.visiting or browser.syncing or browser.leaving
    gone = browser.opted_out or browser.erased or browser.human.anonymous
    return bool(browser.id()) and not busy and not gone
