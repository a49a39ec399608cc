"""Every rule of a campaign file: what is told of a mistake, exactly, and where; what is only advised; the edges."""

from pathlib import Path
from typing import NamedTuple

import pytest

from bidder.campaigns import rules
from bidder.campaigns.load import load_book
from bidder.campaigns.model import Targeting
from bidder.campaigns.rates import load_rates
from bidder.keys import segment_key
from tests.bidder.campaigns.written import BOOK, RICH, advised, change, told, write

NAMES = {
    "LINE": "advertisers[0].campaigns[0].line_items[0]",
    "CAMPAIGN": "advertisers[0].campaigns[0]",
    "CREATIVE": "advertisers[0].creatives[0]",
    "SHOP": "advertisers[0]",
}
HOURS = "mon," * 8 + "tue"
IMAGE = """\
        kind: image
        w: 300
        h: 250
        image_url: https://cdn.shop.example/a.webp
"""


class Wrong(NamedTuple):
    """One case of the table."""

    old: str
    new: str
    told: tuple[str, ...]


def table() -> list[Wrong]:
    """The cases of data/wrongs.txt."""
    text = (Path(__file__).parent / "data" / "wrongs.txt").read_text()
    cases = []
    for block in text.split("\n\n")[1:]:
        parts = {sign: [ln[2:] for ln in block.splitlines() if ln[:2] == f"{sign} "] for sign in "-+!"}
        cases.append(Wrong("\n".join(parts["-"]), "\n".join(parts["+"]), tuple(map(written_out, parts["!"]))))
    return cases


def written_out(line: str) -> str:
    """A line of the table as it is told."""
    for name, path in NAMES.items():
        line = line.replace(f" {name}.", f" {path}.", 1)
    return f"book.yaml:{line}"


@pytest.mark.parametrize("wrong", table(), ids=lambda wrong: wrong.new.split("\n")[-1].strip())
def test_a_mistake_is_told_in_its_place(wrong: Wrong, tmp_path: Path) -> None:
    """File, line, field and words are exact, and nothing else is told."""
    assert told(write(tmp_path, change(wrong.old, wrong.new)), load_rates()) == list(wrong.told)


def test_the_table_knows_every_dimension() -> None:
    """Each targeting field of the schema has a wrong value in the table, but one that has no wrong value of its own."""
    text = " ".join(wrong.new for wrong in table())
    assert [name for name in Targeting.__struct_fields__ if f"{{{name}: " not in text] == ["interstitial"]


def test_all_at_once(tmp_path: Path) -> None:
    """Mistakes in different places are told in one go, by line."""
    text = change("currency: EUR", "currency: euro", change("w: 300", "w: wide"))
    text = change("value: 2.5", "value: 0", change("[banner]", "[banner, gone]", text))
    assert [line.split(": ")[0] for line in told(write(tmp_path, text))] == [
        "book.yaml:5",
        "book.yaml:9",
        "book.yaml:19",
        "book.yaml:21",
    ]


@pytest.mark.parametrize(
    ("files", "wrong"),
    [
        (
            "[{url: nowhere, mime: video/mp4, bitrate_kbps: 1, w: 1, h: 1}]",
            '[0].url: expected a URL beginning with https://, found text "nowhere"',
        ),
        (
            "[{url: 'https://x.example/', mime: audio/mp4, bitrate_kbps: 1, w: 1, h: 1}]",
            "[0].mime: expected a media type of kind video/, found audio/mp4",
        ),
        (
            "[{url: 'https://x.example/', mime: video/mp4, bitrate_kbps: 1, w: 1}]",
            "[0].h: is missing: a video file has a size",
        ),
        (
            "[{url: 'https://x.example/', mime: mp4, bitrate_kbps: 1, w: 1, h: 1}]",
            '[0].mime: expected a media type such as video/mp4, found text "mp4"',
        ),
        ("[]", ": is missing: a creative of kind video needs media_files, duration_s"),
        ("7", ": expected a list, found 7"),
    ],
)
def test_media_files(files: str, wrong: str, tmp_path: Path) -> None:
    """A film's files: what is wrong in one is told there, and the list is not said to be missing besides."""
    text = change(IMAGE, f"        kind: video\n        duration_s: 9\n        media_files: {files}\n")
    assert told(write(tmp_path, text)) == [f"book.yaml:10: advertisers[0].creatives[0].media_files{wrong}"]


@pytest.mark.parametrize(
    ("part", "missing"),
    [
        ("image_url: 'https://x.example/i.png'", ["image_h", "image_w"]),
        ("icon_w: 80, icon_h: 80", ["icon_url"]),
    ],
)
def test_native_pictures_are_whole(part: str, missing: list[str], tmp_path: Path) -> None:
    """A native picture is a URL and a size or nothing."""
    text = change(IMAGE, f"        kind: native\n        native: {{title: A, sponsored_by: B, {part}}}\n")
    assert [line.split(": ")[1] for line in told(write(tmp_path, text))] == [
        f"advertisers[0].creatives[0].native.{field}" for field in missing
    ]


@pytest.mark.parametrize(
    ("old", "new", "advice"),
    [
        (
            "landing_url: https://",
            "landing_url: http://",
            "book.yaml:12: advertisers[0].creatives[0].landing_url: is not https: browsers warn of it",
        ),
        (
            IMAGE,
            "        kind: html\n        w: 1\n        h: 1\n        html: <b>Hi</b>\n",
            "book.yaml:11: advertisers[0].creatives[0].html: "
            "has no ${CLICK_URL}: its clicks will not be counted",
        ),
        (
            "      - id: banner\n",
            "      - {id: idle, kind: image, w: 1, h: 1, image_url: 'https://x.example/', "
            "landing_url: 'https://x.example/'}\n      - id: banner\n",
            'book.yaml:7: advertisers[0]: creative "idle" is never used',
        ),
        (
            "    currency: EUR\n",
            "    currency: EUR\n    segments: [{id: seen, when: [{event: cart, within: 1d}], keep: 2d}]\n",
            "book.yaml:6: advertisers[0].segments[0].keep: is never reached: every window is shorter",
        ),
        (
            "    currency: EUR\n",
            "    currency: EUR\n    segments: [{id: seen, when: [{event: cart}, {event: cart}]}]\n",
            "book.yaml:6: advertisers[0].segments[0].when[1]: stands twice",
        ),
        (
            "    currency: EUR\n",
            "    currency: EUR\n    child_directed: true\n    segments: [{id: seen, when: [{event: cart}]}]\n",
            "book.yaml:7: advertisers[0].segments: stay empty: nothing is kept of a child-directed shop's visitors",
        ),
    ],
)
def test_advice(old: str, new: str, advice: str, tmp_path: Path) -> None:
    """What works and is probably not meant is advised, and the book loads."""
    assert advised(write(tmp_path, change(old, new))) == [advice]


@pytest.mark.parametrize(
    ("defined", "targeted", "advice"),
    [
        (
            "carts",
            "any: [cart]",
            'any[0]: no segment "cart" is defined: it will never bid unless a server fills it; did you mean carts?',
        ),
        ("carts", "any: [cart, carts]", 'any[0]: no segment "cart" is defined; did you mean carts?'),
        ("carts", "any: [carts], none: [buyers]", 'none[0]: no segment "buyers" is defined'),
        ("carts", "any: [carts]", ""),
        ("", "any: [cart]", ""),
    ],
    ids=["a slip", "a slip beside one", "another", "defined", "a shop that defines none"],
)
def test_a_segment_that_nobody_defines_is_told(
    defined: str, targeted: str, advice: str, tmp_path: Path
) -> None:
    """A server may fill it, so it is advice; where the advertiser defines none at all, nothing is said."""
    text = change("targeting: {}", f"targeting: {{segments: {{{targeted}}}}}")
    if defined:
        segments = f"    segments: [{{id: {defined}, when: [{{event: cart}}]}}]\n"
        text = change("    currency: EUR\n", f"    currency: EUR\n{segments}", text)
    path = "book.yaml:23: advertisers[0].campaigns[0].line_items[0].targeting.segments."
    assert advised(write(tmp_path, text)) == ([path + advice] if advice else [])


def test_each_segment_that_nobody_defines_is_told(tmp_path: Path) -> None:
    """Where none of several is defined, any of them would do."""
    text = change("targeting: {}", "targeting: {segments: {any: [vip, owners], none: [staff]}}")
    segments = "    segments: [{id: carts, when: [{event: cart}]}]\n"
    place = "book.yaml:23: advertisers[0].campaigns[0].line_items[0].targeting.segments."
    text = change("    currency: EUR\n", f"    currency: EUR\n{segments}", text)
    never = "it will never bid unless a server fills one of these"
    assert [line.replace(place, "") for line in advised(write(tmp_path, text))] == [
        f'any[0]: no segment "vip" is defined: {never}',
        f'any[1]: no segment "owners" is defined: {never}',
        'none[0]: no segment "staff" is defined',
    ]


@pytest.mark.parametrize("edge", ["1m", "60s", "30d", "720h"])
def test_windows_reach_their_bounds(edge: str, tmp_path: Path) -> None:
    """The shortest and the longest window and stay are accepted."""
    segments = f"    segments: [{{id: seen, when: [{{event: cart, within: {edge}}}], keep: {edge}}}]\n"
    text = change("    currency: EUR\n", f"    currency: EUR\n{segments}")
    assert told(write(tmp_path, text)) == []


@pytest.mark.parametrize(
    "location",
    ["https://shop.example/f.csv?x=1", "https://shop.example:8443/f", "feeds/products.csv", "/srv/f.csv"],
)
def test_feeds_are_files_or_https(location: str, tmp_path: Path) -> None:
    """A URL with a host, or a path however it begins."""
    feed = f'    feed: {{location: "{location}", format: csv, every: 7d}}\n'
    assert told(write(tmp_path, change("    currency: EUR\n", f"    currency: EUR\n{feed}"))) == []


def test_a_targeted_segment_has_a_key_of_its_own_beside_the_defined(tmp_path: Path) -> None:
    """Of a defined and a targeted segment with one key, the targeted one is told."""
    text = change("targeting: {}", "targeting: {segments: {any: [seg-156582]}}")
    segments = "    segments: [{id: seg-168688, when: [{event: cart}]}]\n"
    (line,) = told(write(tmp_path, change("    currency: EUR\n", f"    currency: EUR\n{segments}", text)))
    assert line.endswith('"seg-156582" and "seg-168688" have the same key: rename one of them')


def test_a_currency_needs_a_rate_where_there_are_rates(tmp_path: Path) -> None:
    """Without rates any code of the right form will do; with them, only theirs."""
    file = write(tmp_path, change("currency: EUR", "currency: XXX"))
    assert told(file) == []
    (line,) = told(file, load_rates())
    assert line.startswith(
        "book.yaml:5: advertisers[0].currency: no exchange rate for XXX; there are rates for AED, "
    )


@pytest.mark.parametrize("dimension", rules.KNOWN_VALUES)
def test_every_known_value_is_accepted(dimension: str, tmp_path: Path) -> None:
    """The values that an error names are those that pass."""
    values = ", ".join(rules.KNOWN_VALUES[dimension])
    text = change("targeting: {}", f"targeting: {{{dimension}: [{values}]}}")
    targeting = load_book(write(tmp_path, text)).advertisers[0].campaigns[0].line_items[0].targeting
    assert getattr(targeting, dimension).include == rules.KNOWN_VALUES[dimension]


def lines(count: int) -> str:
    """That many creatives under names of their own."""
    return "".join(
        [
            change("banner", f"b{i}", BOOK[BOOK.index("      - id: banner") : BOOK.index("    campaigns")])
            for i in range(count)
        ]
    )


@pytest.mark.parametrize(
    ("old", "fits", "too_much"),
    [
        ("id: shop", "id: " + "s" * 64, "id: " + "s" * 65),
        ("name: Shop", "name: " + "s" * 500, "name: " + "s" * 501),
        ("currency: EUR", f"currency: EUR\n    bundle: {'b' * 200}", f"currency: EUR\n    bundle: {'b' * 201}"),
        ("/a.webp", "/" + "a" * 1975, "/" + "a" * 1976),
        ("w: 300", "w: 10000", "w: 10_001"),
        ("total: 100", "total: 1000000000", "total: 1000000000.000001"),
        ("max_bid_cpm: 4", "max_bid_cpm: 0.000001", "max_bid_cpm: 0.0000009"),
        ("targeting: {}", f"vector: {[0.5] * 32}", f"vector: {[0.5] * 33}"),
        ("targeting: {}", f"deals: {{ids: [{'d' * 128}]}}", f"deals: {{ids: [{'d' * 129}]}}"),
        ("targeting: {}", f"targeting: {{zips: [DEU-{'1' * 16}]}}", f"targeting: {{zips: [DEU-{'1' * 17}]}}"),
        ("targeting: {}", f"targeting: {{keywords: [{'k' * 100}]}}", f"targeting: {{keywords: [{'k' * 101}]}}"),
        ("targeting: {}", f"targeting: {{bundles: [{'b' * 200}]}}", f"targeting: {{bundles: [{'b' * 201}]}}"),
        ("targeting: {}", f"targeting: {{hours: ['{HOURS} 00-1']}}", f"targeting: {{hours: ['{HOURS} 00-10']}}"),
        (IMAGE, f"        kind: html\n        w: 1\n        h: 1\n        html: {'h' * 65_536}\n",
         f"        kind: html\n        w: 1\n        h: 1\n        html: {'h' * 65_537}\n"),
    ],
)  # fmt: skip
def test_limits_of_the_schema(old: str, fits: str, too_much: str, tmp_path: Path) -> None:
    """At each limit a value still passes; one more, and it is told."""
    assert told(write(tmp_path, change(old, fits))) == []
    assert len(told(write(tmp_path, change(old, too_much)))) == 1


@pytest.mark.parametrize(("count", "wrongs"), [(200, 0), (201, 1)])
def test_creatives_of_a_line_item(count: int, wrongs: int, tmp_path: Path) -> None:
    """A line item has at most 200 creatives."""
    text = BOOK[: BOOK.index("      - id: banner")] + lines(count) + BOOK[BOOK.index("    campaigns") :]
    names = ", ".join(f"b{i}" for i in range(count))
    found = told(write(tmp_path, change("[banner]", f"[{names}]", text)))
    assert len(found) == wrongs
    assert all(line.endswith("creatives: expected at most 200, found 201") for line in found)


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        (
            "          - id: viewers\n",
            "          - &first {id: viewers, goal: {kind: cpc, value: 1}, max_bid_cpm: 1, creatives: [banner]}\n"
            "          - *first\n"
            "          - id: other\n",
            'book.yaml:18: advertisers[0].campaigns[0].line_items[1].id: "viewers" is taken: book.yaml:18 has it',
        ),
        (
            "      - id: banner\n",
            "      - {id: banner, kind: image, w: 1, h: 1, image_url: 'https://x.example/', "
            "landing_url: 'https://x.example/'}\n      - id: banner\n",
            'book.yaml:8: advertisers[0].creatives[1].id: "banner" is taken: line 7 has it',
        ),
        (
            "            targeting: {}\n",
            "      - {id: spring, name: Again, line_items: [{id: viewers, goal: {kind: cpc, value: 1}, "
            "max_bid_cpm: 1, creatives: [banner]}]}\n",
            'book.yaml:22: advertisers[0].campaigns[1].id: "spring" is taken: book.yaml:14 has it\n'
            'book.yaml:22: advertisers[0].campaigns[1].line_items[0].id: "viewers" is taken: book.yaml:18 has it',
        ),
    ],
)
def test_ids_are_taken_once(old: str, new: str, wrong: str, tmp_path: Path) -> None:
    """Two of one name are told, also in one line and by an alias."""
    assert told(write(tmp_path, change(old, new))) == wrong.splitlines()


def test_segments_with_one_key(tmp_path: Path) -> None:
    """Two segments of a shop that have the same 32-bit key cannot be told apart in a person's profile."""
    assert segment_key("shop", "seg-156582") == segment_key("shop", "seg-168688")
    text = change("targeting: {}", "targeting: {segments: {any: [seg-156582], none: [seg-168688]}}")
    assert told(write(tmp_path, text)) == [
        "book.yaml:22: advertisers[0].campaigns[0].line_items[0].targeting.segments.none[0]: "
        '"seg-168688" and "seg-156582" have the same key: rename one of them'
    ]


def test_every_field_together(tmp_path: Path) -> None:
    """A book that uses the whole schema loads without a problem or advice; a merged mapping keeps its own values."""
    file = write(tmp_path, RICH)
    assert told(file, load_rates()) == []
    assert advised(file) == []
    first, second = load_book(file).advertisers[0].campaigns[0].line_items
    untouched = [name for name in Targeting.__struct_fields__ if getattr(first.targeting, name) in (None, ())]
    assert untouched == []
    assert second.targeting.countries is not None
    assert second.targeting.countries.include == ("FRA",)
    assert second.targeting.hours == first.targeting.hours
