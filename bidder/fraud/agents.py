"""User agents that are no people: the list of crawlers, and rules of our own for what the list does not have.

Place: score.py asks it of every request; an agent that was seen before costs one look into a dictionary.
Shapes: text -> (bits of Reason, a secret hash of the text that rates.py counts by, bits of the systems it names).
Limits: CACHE agents are remembered, each in its first MAX characters; when they are too many, the older half goes.
    1 us for an agent that is new, 0.1 us for one that is not.
Source: crawler-user-agents (some 1,500 patterns, MIT), compiled into one RE2 set. Our own rules: a browser calls itself
    by product and version, and has done so since Mozilla/; libraries that fetch (http clients of programming languages,
    download tools, monitoring, test drivers) call themselves by name. An app names itself and its system (CFNetwork,
    Dalvik), and televisions their maker: these are people.
Never: keeps an agent longer than the cache does; writes one anywhere.
"""

from functools import cache
from itertools import islice
from typing import Any, Final

import re2

from bidder.fraud.reasons import Reason

CACHE: Final = 16_384
MAX: Final = 512
CRAWLER, TOOL, NO_AGENT = int(Reason.CRAWLER), int(Reason.TOOL), int(Reason.NO_AGENT)

TOOLS: Final = (
    r"(?i)^(curl|libcurl|wget|httpie|aria2|lwp|libwww-perl|winhttp|urlgrabber|fetch|got|node|deno|bun)"
    r"(/|-request|$|[ (])",
    r"(?i)^(python|ruby|perl|java|php|go|rust|node|dart|scala|clj|erlang|elixir|r|lua)[- ]?"
    r"(urllib|requests|httpx?|http-client|net|client|sdk|fetch|curl)?/[0-9]",
    r"(?i)(aiohttp|python-requests|python-urllib|httpx|urllib3?|pycurl|go-http-client|okhttp-test|apache-httpclient)/",
    r"(?i)(http_request2|guzzlehttp|restsharp|axios|superagent|undici|node-fetch|reqwest|hackney|typhoeus|faraday)/?",
    r"(?i)^(postmanruntime|insomnia|apachebench|k6|vegeta|hey|siege|jmeter|gatling|locust|wrk|nmap|zgrab|masscan|nuclei)",
    r"(?i)(headless|phantomjs|slimerjs|puppeteer|playwright|selenium|webdriver|cypress|electron-test|zombie\.js)",
    r"(?i)\b(bot|crawler|spider|scraper|scrapy)\b",
)
"""Agents that fetch without anybody in front of them."""

WINDOWS, ANDROID, MAC, IOS, CHROME_OS, LINUX = 1, 2, 4, 8, 16, 32
_SYSTEMS: Final = (
    ("Windows", WINDOWS),
    ("Android", ANDROID),
    ("Mac", MAC),
    ("iPhone", IOS),
    ("iPad", IOS),
    ("iPod", IOS),
    ("CFNetwork", IOS | MAC),
    ("CrOS", CHROME_OS),
    ("Linux", LINUX),
    ("X11", LINUX),
)
PLATFORMS: Final = {
    # Any of these systems in the text goes with the platform: reduced user agents still name it.
    "Windows": WINDOWS,
    "windows": WINDOWS,
    "Android": ANDROID | LINUX,  # its desktop mode says X11; Linux
    "android": ANDROID | LINUX,
    "macOS": MAC,
    "Mac OS X": MAC,
    "iOS": IOS | MAC,  # iPads say Macintosh
    "ios": IOS | MAC,
    "Chrome OS": CHROME_OS,
    "ChromeOS": CHROME_OS,
    "Linux": LINUX | ANDROID,
    "linux": LINUX | ANDROID,
}
"""Platforms of structured user agents, as browsers and SDKs spell them."""
Known = tuple[int, int, int]


class Agents:
    """What user agents say of who uses them."""

    def __init__(self, secret: bytes) -> None:
        """`secret` keys the hashes: without it nobody can make two agents look alike."""
        crawlers()  # compiled now, not in the first bid
        self._secret = secret.hex()
        self._known: dict[str, Known] = {}
        self._none: Known = (NO_AGENT, hash(self._secret), 0)

    def __len__(self) -> int:
        return len(self._known)

    def of(self, agent: str | None) -> Known:
        """(bits of Reason, hash, bits of systems) of a user agent."""
        if not agent:
            return self._none
        known = self._known.get(agent)
        return known if known is not None else self._new(agent)

    def _new(self, agent: str) -> Known:
        text = agent if len(agent) <= MAX else agent[:MAX]
        found = (reasons_of(text), hash(self._secret + text), systems_of(text))
        if len(self._known) >= CACHE:
            for old in list(islice(self._known, CACHE // 2)):
                del self._known[old]
        if text is agent:
            self._known[agent] = found
        return found


def reasons_of(agent: str) -> int:
    """Bits of Reason for the text of an agent; surrogates, which UTF-8 has not, are read as question marks."""
    try:
        matched = crawlers()(agent)
    except UnicodeEncodeError:
        matched = crawlers()(agent.encode("utf-8", "replace").decode())
    if not matched:
        return 0
    listed = _listed()
    return CRAWLER if any(number < listed for number in matched) else TOOL


def systems_of(agent: str) -> int:
    """Bits of the systems that an agent names."""
    bits = 0
    for token, system in _SYSTEMS:
        if token in agent:
            bits |= system
    return bits


@cache
def crawlers() -> Any:
    """The match function of one set: the list's patterns first, our own behind them. 30 ms to compile, once."""
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA as patterns

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 64 << 20
    rules = re2.Set.SearchSet(options)
    for pattern in patterns:
        rules.Add(pattern["pattern"])
    for rule in TOOLS:
        rules.Add(rule)
    rules.Compile()
    return rules.Match


def _listed() -> int:
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA as patterns

    return len(patterns)
