"""User agents that are no people."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.exchange.inventory import DEVICES
from bidder.fraud import agents
from bidder.fraud.agents import CRAWLER, IOS, MAC, NO_AGENT, TOOL, WINDOWS, Agents, reasons_of, systems_of
from tests.bidder.fraud.support import CHROME, IPHONE, SECRET


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", CRAWLER),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", CRAWLER),
        ("curl/8.14.1", CRAWLER | TOOL),
        ("python-requests/2.32.3", CRAWLER | TOOL),
        ("PostmanRuntime/7.26.8", TOOL),
        ("undici", TOOL),
        ("k6/0.51.0 (https://k6.io/)", CRAWLER | TOOL),
        ("SomeNew Spider (+https://nobody.example)", TOOL),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Puppeteer/23 Chrome/140.0 Safari/537.36",
            CRAWLER | TOOL,
        ),
    ],
)
def test_machines(agent: str, reason: int) -> None:
    """Crawlers that the list names and tools that it does not are told."""
    assert reasons_of(agent)
    assert reasons_of(agent) & reason


@pytest.mark.parametrize(
    "agent",
    [
        CHROME,
        IPHONE,
        "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/AP2A)",
        "MyShop/4.2 CFNetwork/1568.200.51 Darwin/24.1.0",
        "Roku/DVP-9.0 (919.00E04142A)",
        "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/108 Safari/537.36",
        "Mozilla/5.0 (Linux; Android 13; CUBOT X50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 Mobile",
        "Opera/9.80 (Android; Opera Mini/36.2/119.132; U; en) Presto/2.12.423 Version/12.16",
    ],
)
def test_people(agent: str) -> None:
    """Browsers, apps and televisions are people, also phones whose maker sounds like a robot."""
    assert reasons_of(agent) == 0


def test_demo_browsers_are_people() -> None:
    """Nobody of the simulated exchange is a machine."""
    assert [device.ua for device in DEVICES if reasons_of(device.ua)] == []


def test_known_agents_are_remembered() -> None:
    """The second look finds the very same answer, with a hash that the secret keys."""
    known = Agents(SECRET)
    assert known.of(CHROME) is known.of(CHROME)
    assert known.of(CHROME)[1] != Agents(b"another").of(CHROME)[1]
    assert known.of(None) == known.of("")
    assert known.of("")[0] == NO_AGENT


def test_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many agents there are, no more than the limit are kept, and the last ones are among them."""
    monkeypatch.setattr(agents, "CACHE", 64)
    known = Agents(SECRET)
    for number in range(1_000):
        known.of(f"{CHROME} {number}")
        assert len(known) <= 64
    last = f"{CHROME} 999"
    assert known.of(last) is known.of(last)


def test_long_agents_are_cut_and_not_kept() -> None:
    """An agent beyond the limit is judged by its beginning, and takes no room."""
    known = Agents(SECRET)
    assert known.of("curl/8.0 " + "x" * 100_000)[0]
    assert known.of(CHROME + "x" * agents.MAX + "Googlebot/2.1")[0] == 0
    assert len(known) == 0


@given(st.text(alphabet=st.characters(), max_size=600))
def test_any_text(agent: str) -> None:
    """Nothing that an agent can say raises, lone surrogates included."""
    assert reasons_of(agent) >= 0
    assert Agents(SECRET).of(agent)[0] >= 0


def test_systems() -> None:
    """The systems that an agent names."""
    assert systems_of(CHROME) == WINDOWS
    assert systems_of(IPHONE) == IOS | MAC
    assert systems_of("") == 0


def test_the_shipped_list_is_whole(shared: Path) -> None:
    """Every example of the shared list's crawlers is told."""
    listed = msgspec.json.decode((shared / "data" / "ivt" / "crawler-user-agents.json").read_bytes())
    missed = [agent for entry in listed for agent in entry["instances"] if not reasons_of(agent)]
    assert missed == []
