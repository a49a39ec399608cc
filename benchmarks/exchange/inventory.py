"""The world that simulated requests come from: places, publishers, apps, devices, rules of publishers.

Place: population.py and requests.py draw from these tables; all names are fictional or reserved.
Units: coordinates in degrees, `utcoffset` in minutes.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Place(NamedTuple):
    """A town as exchanges name it."""

    country: str
    region: str
    city: str
    zip: str
    lat: float
    lon: float
    utcoffset: int
    language: str
    gdpr: bool


PLACES: Final = (
    Place("DEU", "BE", "Berlin", "10115", 52.53, 13.38, 120, "de", True),
    Place("DEU", "BY", "Munich", "80331", 48.14, 11.57, 120, "de", True),
    Place("DEU", "HH", "Hamburg", "20095", 53.55, 10.0, 120, "de", True),
    Place("POL", "14", "Warsaw", "00-001", 52.23, 21.01, 120, "pl", True),
    Place("POL", "12", "Krakow", "30-001", 50.06, 19.94, 120, "pl", True),
    Place("FRA", "IDF", "Paris", "75001", 48.86, 2.34, 120, "fr", True),
    Place("NLD", "NH", "Amsterdam", "1012", 52.37, 4.89, 120, "nl", True),
    Place("GBR", "ENG", "London", "EC1A", 51.52, -0.1, 60, "en", True),
    Place("GBR", "SCT", "Edinburgh", "EH1", 55.95, -3.19, 60, "en", True),
    Place("USA", "NY", "New York", "10001", 40.75, -73.99, -240, "en", False),
    Place("USA", "CA", "San Francisco", "94103", 37.77, -122.41, -420, "en", False),
    Place("USA", "TX", "Austin", "78701", 30.27, -97.74, -300, "en", False),
    Place("CAN", "ON", "Toronto", "M5H", 43.65, -79.38, -240, "en", False),
    Place("AUS", "NSW", "Sydney", "2000", -33.87, 151.21, 660, "en", False),
)
PLACE_WEIGHTS: Final = (14, 9, 7, 10, 6, 8, 6, 10, 3, 9, 7, 5, 4, 2)


class Publisher(NamedTuple):
    """A web site and what its publisher says of it."""

    id: str
    name: str
    domain: str
    categories: tuple[str, ...]
    keywords: str
    sections: tuple[str, ...]


SITES: Final = (
    Publisher(
        "pub-1001", "The Daily Herald", "daily-herald.example", ("IAB12",), "news,politics", ("world",)
    ),
    Publisher("pub-1002", "Matchday", "matchday.example", ("IAB17", "IAB17-44"), "football,sport", ("live",)),
    Publisher(
        "pub-1003", "Kitchen Stories", "kitchen.example", ("IAB8", "IAB8-5"), "recipes,food", ("bake",)
    ),
    Publisher(
        "pub-1004", "Wide World", "wide-world.example", ("IAB20", "IAB20-18"), "travel,hotels", ("city",)
    ),
    Publisher("pub-1005", "Wardrobe", "wardrobe.example", ("IAB18", "IAB18-3"), "fashion,shoes", ("trend",)),
    Publisher("pub-1006", "Circuit", "circuit.example", ("IAB19", "IAB19-6"), "phones,computers", ("test",)),
    Publisher("pub-1007", "Home and Garden", "home-garden.example", ("IAB10",), "furniture,garden", ("diy",)),
    Publisher("pub-1008", "Motor Weekly", "motor.example", ("IAB2", "IAB2-3"), "cars,driving", ("review",)),
    Publisher("pub-1009", "Parents' Corner", "parents.example", ("IAB6",), "family,toys", ("baby",)),
    Publisher("pub-1010", "Ask Anything", "ask-anything.example", ("IAB5",), "questions,school", ("forum",)),
    Publisher("pub-1011", "Weather Now", "weather-now.example", ("IAB15-10",), "weather,rain", ("today",)),
    Publisher(
        "pub-1012", "Runner's Log", "runners-log.example", ("IAB17-33", "IAB7"), "running,shoes", ("gear",)
    ),
)


class Application(NamedTuple):
    """An app of a store; `bundle` is numeric on iOS, a package name elsewhere."""

    publisher: str
    name: str
    bundle: str
    os: str
    categories: tuple[str, ...]


APPS: Final = (
    Application("pub-2001", "Block Garden", "com.example.blockgarden", "Android", ("IAB9-30",)),
    Application("pub-2001", "Block Garden", "1234567801", "iOS", ("IAB9-30",)),
    Application("pub-2002", "Rain Radar", "com.example.rainradar", "Android", ("IAB15-10",)),
    Application("pub-2002", "Rain Radar", "1234567802", "iOS", ("IAB15-10",)),
    Application("pub-2003", "Second Hand", "com.example.secondhand", "Android", ("IAB22",)),
    Application("pub-2004", "Kickoff", "1234567804", "iOS", ("IAB17-44",)),
)

CTV_APPS: Final = (
    Application("pub-3001", "Streamline TV", "com.example.streamline", "Android", ("IAB1-7",)),
    Application("pub-3002", "Cinema Channel", "B00EXAMPLE", "Fire OS", ("IAB1-5",)),
    Application("pub-3003", "Stadium", "1234567830", "tvOS", ("IAB17",)),
)


class Device(NamedTuple):
    """A kind of device and how it introduces itself."""

    kind: str
    """web, app or ctv."""
    devicetype: int
    make: str
    model: str
    os: str
    osv: str
    width: int
    height: int
    ratio: float
    ua: str
    brand: tuple[str, str] | None = None
    """Brand and version of the structured user agent."""


_WEBKIT: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"
DEVICES: Final = (
    Device(
        "web",
        2,
        "",
        "",
        "Windows",
        "10",
        1920,
        1080,
        1.0,
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/141.0.0.0 Safari/537.36",
        ("Google Chrome", "141"),
    ),
    Device(
        "web",
        2,
        "Apple",
        "Macintosh",
        "macOS",
        "15.5",
        1512,
        982,
        2.0,
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/18.5 Safari/605.1.15",
    ),
    Device(
        "web",
        2,
        "",
        "",
        "Linux",
        "6.1",
        1920,
        1200,
        1.0,
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    Device(
        "web",
        4,
        "Samsung",
        "SM-S921B",
        "Android",
        "15",
        360,
        780,
        3.0,
        f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/141.0.0.0 Mobile Safari/537.36",
        ("Google Chrome", "141"),
    ),
    Device(
        "web",
        4,
        "Apple",
        "iPhone",
        "iOS",
        "18.5",
        393,
        852,
        3.0,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/18.5 Mobile/15E148 Safari/604.1",
    ),
    Device(
        "app",
        4,
        "Google",
        "Pixel 9",
        "Android",
        "16",
        412,
        915,
        2.6,
        f"Mozilla/5.0 (Linux; Android 16; Pixel 9 Build/BP1A; wv) {_WEBKIT} Version/4.0 Chrome/141.0 Mobile "
        "Safari/537.36",
        ("Android WebView", "141"),
    ),
    Device(
        "app",
        4,
        "Apple",
        "iPhone16,1",
        "iOS",
        "18.5",
        393,
        852,
        3.0,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Mobile/15E148",
    ),
    Device(
        "app",
        5,
        "Samsung",
        "SM-X710",
        "Android",
        "15",
        800,
        1280,
        2.0,
        f"Mozilla/5.0 (Linux; Android 15; SM-X710 Build/AP3A; wv) {_WEBKIT} Version/4.0 Chrome/141.0 "
        "Safari/537.36",
    ),
    Device(
        "ctv",
        3,
        "Sony",
        "BRAVIA 4K",
        "Android",
        "12",
        3840,
        2160,
        1.0,
        f"Mozilla/5.0 (Linux; Android 12; BRAVIA 4K) {_WEBKIT} Chrome/120.0 Safari/537.36",
    ),
    Device(
        "ctv",
        7,
        "Amazon",
        "AFTKM",
        "Fire OS",
        "8",
        1920,
        1080,
        1.0,
        f"Mozilla/5.0 (Linux; Android 11; AFTKM) {_WEBKIT} Silk/130.1 like Chrome/130.0 Safari/537.36",
    ),
)
DEVICE_WEIGHTS: Final = (22, 8, 3, 24, 15, 10, 8, 3, 4, 3)

BLOCKED_ADVERTISERS: Final = tuple(f"competitor-{i:02d}.example" for i in range(24))
BLOCKED_CATEGORIES: Final = (
    "IAB7-39",
    "IAB8-5",
    "IAB8-18",
    "IAB9-9",
    "IAB11",
    "IAB14-1",
    "IAB14-3",
    "IAB23",
    "IAB24",
    "IAB25",
    "IAB26",
)
EID_SOURCES: Final = ("id5-sync.com", "uidapi.com", "criteo.com", "liveramp.com", "sharedid.org")
