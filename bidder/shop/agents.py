"""A user agent as one word: all that is kept of it.

Place: receive asks for the calls of browsers.
Limits: AGENT_CHARS of a user agent are read; DEVICES_KNOWN are remembered, cut to these characters, in memory alone.
Source: the tokens of the large browsers' user agents; an Android without `Mobile` is a tablet.
"""

from functools import lru_cache
from typing import Final

AGENT_CHARS: Final = 512
DEVICES_KNOWN: Final = 2_048

_TOKENS: Final = (
    (("smart-tv", "smarttv", "appletv", "hbbtv", "roku", "googletv", "android tv", "bravia", "aftt"), "tv"),
    (("ipad", "tablet", "kindle", "silk/", "playbook"), "tablet"),
    (("iphone", "ipod", "windows phone", "mobile"), "phone"),
    (("android",), "tablet"),
    (("windows", "macintosh", "x11", "cros", "linux"), "desktop"),
)


def device_of(agent: str) -> str:
    """phone, tablet, desktop, tv, or empty where nothing tells."""
    return _device_of(agent[:AGENT_CHARS])


@lru_cache(DEVICES_KNOWN)
def _device_of(agent: str) -> str:
    text = agent.lower()
    return next((word for tokens, word in _TOKENS if any(token in text for token in tokens)), "")
