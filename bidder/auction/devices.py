"""What device asks: operating system and kind, from the request's fields first, from the user agent as a last resort.

Place: intake; results are the values that targeting names.
Limits: UA_CACHE user agents are remembered; a user agent is read in its first UA_MAX characters only.
Source: OpenRTB list "Device Types"; the tokens of the large browsers' user agents.
"""

from functools import lru_cache

from openrtb.enums import DeviceType
from openrtb.request import Device

UA_CACHE = 8_192
UA_MAX = 512
DESKTOP, TV = int(DeviceType.PERSONAL_COMPUTER), int(DeviceType.CONNECTED_TV)
PHONE, TABLET = int(DeviceType.PHONE), int(DeviceType.TABLET)

_OS = {
    "android": "android",
    "ios": "ios",
    "iphone os": "ios",
    "ipados": "ios",
    "iphone": "ios",
    "windows": "windows",
    "macos": "macos",
    "mac os": "macos",
    "mac os x": "macos",
    "os x": "macos",
    "macintosh": "macos",
    "linux": "linux",
    "ubuntu": "linux",
    "chrome os": "chromeos",
    "chromeos": "chromeos",
    "chromium os": "chromeos",
}
_TOKENS = (
    ("iPhone", "ios", PHONE),
    ("iPad", "ios", TABLET),
    ("Windows Phone", "other", PHONE),
    ("SMART-TV", "other", TV),
    ("SmartTV", "other", TV),
    ("AppleTV", "other", TV),
    ("Roku", "other", TV),
    ("CrOS", "chromeos", DESKTOP),
    ("Windows", "windows", DESKTOP),
    ("Macintosh", "macos", DESKTOP),
    ("Mac OS X", "macos", DESKTOP),
)


def describe(device: Device | None) -> tuple[str, int]:
    """(operating system, OpenRTB device type) of a device; "" and 0 where nothing tells."""
    if device is None:
        return "", 0
    sua = device.sua
    name = device.os or (sua.platform.brand if sua is not None and sua.platform is not None else None)
    kind = device.devicetype or 0
    system = (_OS.get(name.lower()) or _family(name.lower())) if name else ""
    if system and kind:
        return system, kind
    seen_system, seen_kind = _from_user_agent(device.ua[:UA_MAX]) if device.ua else ("", 0)
    if not seen_kind and sua is not None and sua.mobile is not None:
        seen_kind = PHONE if sua.mobile else DESKTOP
    return system or seen_system, kind or seen_kind


def _family(name: str) -> str:
    """The system of a name with a version behind it ("Windows 11"), or "other"."""
    return next((system for known, system in _OS.items() if name.startswith(known)), "other")


@lru_cache(UA_CACHE)
def _from_user_agent(ua: str) -> tuple[str, int]:
    for token, system, kind in _TOKENS:
        if token in ua:
            return system, kind
    if "Android" in ua:
        if "TV" in ua:
            return "android", TV
        return "android", PHONE if "Mobile" in ua else TABLET
    return ("linux", DESKTOP) if "Linux" in ua or "X11" in ua else ("", 0)
