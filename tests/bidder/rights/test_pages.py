"""The privacy pages as documents: whole, escaped, the same in both languages, and readable for everybody."""

from __future__ import annotations

import string
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from bidder.rights.layout import COLOURS, POLICY, STYLE
from bidder.rights.pages import DONE, Operator, Seen, everything, moment, overview, question, slow
from bidder.rights.readable import Deed, Handed, Interest, Link, Login, ShopWords, Thing, Words
from bidder.rights.texts import LANGUAGES, MONTHS, TEXTS

HOSTILE = "<script>alert('1')</script>&\"{boom}"
OPERATOR = Operator(host="ads.example", controller=HOSTILE, contact="me@ads.example", exchanges=(HOSTILE,))
AT = "2026-09-21T14:13:20Z"
MAX_PAGE_BYTES = 14_000


def _words(text: str) -> Words:
    shop = ShopWords(
        shop=text,
        name=text,
        updated=AT,
        segments=(Interest(text, AT),),
        products=(Thing(text, text, AT), Thing(text, "", AT)),
        visits=(Deed(what=text, at=AT, product=text, category=text, amount=text), Deed(what="cart", at=AT)),
        tastes=(0.5, -1.0),
        ads_seen=3,
        last_ad=AT,
        unreadable=True,
    )
    sources = (text, "", "ifa", f"shop.{text}")
    return Words(
        id="00" * 16,
        opted_out_since=AT,
        last_seen=AT,
        kept_until=AT,
        shops=(shop,),
        known_by=tuple(Link(source, AT, count) for count, source in enumerate(sources)),
        linked_logins=(Login(text, AT),),
        id_given_to=(Handed(text, 2),),
    )


def _pages(language: str, text: str) -> dict[str, str]:
    seen = Seen(language=language, form=text, recognised=True, held=True, gpc=True, done="out")
    return {
        "overview": overview(OPERATOR, seen),
        "question": question(seen),
        "slow": slow(language),
        "everything": everything(seen, [_words(text)]),
        "nothing": everything(seen, []),
        "unsure": everything(Seen(language=language, held=None), []),
        "opted out": overview(
            Operator(host="ads.example"), Seen(language=language, opted_out=True, done="form")
        ),
    }


def _tree(page: str) -> ElementTree.Element:
    """A page as a tree: ours are well-formed, but for elements that HTML does not close."""
    for name in ("meta", "input"):
        pieces = page.split(f"<{name} ")
        page = pieces[0] + "".join(f"<{name} {piece.replace('>', '/>', 1)}" for piece in pieces[1:])
    return ElementTree.fromstring(page.removeprefix("<!doctype html>"))


def test_both_languages_say_the_same_things() -> None:
    """The same names, none empty, with the same places to fill in."""
    for words in TEXTS.values():
        assert words.keys() == TEXTS["en"].keys()
        for name, text in words.items():
            assert text.strip(), name
            places = {field for _, field, _, _ in string.Formatter().parse(text) if field}
            expected = {field for _, field, _, _ in string.Formatter().parse(TEXTS["en"][name]) if field}
            assert places == expected, name
    assert all(len(names) == 12 for names in MONTHS.values())
    assert {f"done_{name}" for name in DONE} <= TEXTS["en"].keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_from_outside_is_markup(language: str) -> None:
    """Whatever feeds, campaigns, exchanges or configuration say is text, wherever it is shown."""
    for name, page in _pages(language, HOSTILE).items():
        assert "<script" not in page, name
        _tree(page)
    assert "&lt;script&gt;" in _pages(language, HOSTILE)["everything"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_can_be_read_by_everybody(language: str) -> None:
    """One h1, no level left out, one main, a language, a title, names for lists of links, labels for every control;
    no script, no image, nothing fetched; and small."""
    for name, page in _pages(language, "text").items():
        tree = _tree(page)
        assert tree.get("lang") == language
        levels = [int(each.tag[1]) for each in tree.iter() if each.tag in {"h1", "h2", "h3", "h4"}]
        assert levels.count(1) == 1, name
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels)), name
        assert (
            len(list(tree.iter("main")))
            == len(list(tree.iter("header")))
            == len(list(tree.iter("footer")))
            == 1
        )
        assert tree.findtext("head/title")
        assert all(each.get("aria-label") for each in tree.iter("nav"))
        identifiers = [each.get("id") for each in tree.iter() if each.get("id")]
        assert len(identifiers) == len(set(identifiers)), name
        for each in tree.iter():
            described = each.get("aria-describedby") or each.get("aria-labelledby")
            assert described is None or described in identifiers
            assert each.tag not in {"script", "img", "link", "iframe", "object", "embed"}
            assert not any(key.startswith("on") or key == "style" for key in each.attrib)
        controls = [*tree.iter("button"), *tree.iter("a")]
        assert all("".join(each.itertext()).strip() for each in controls)
        assert all(each.get("type") == "hidden" for each in tree.iter("input"))
        assert len(page.encode()) < MAX_PAGE_BYTES, name


def test_what_is_said_of_the_state_is_true() -> None:
    """Each state has its sentence, the button that changes it, and the links only where they lead to something."""
    cases = {
        "none": Seen(language="en"),
        "empty": Seen(language="en", recognised=True),
        "known": Seen(language="en", recognised=True, held=True),
        "unsure": Seen(language="en", recognised=True, held=None),
        "out": Seen(language="en", recognised=True, held=True, opted_out=True),
    }
    for state, seen in cases.items():
        page = overview(OPERATOR, seen)
        assert [name for name in cases if TEXTS["en"][f"state_{name}"] in page] == [state]
        assert ('value="in"' if state == "out" else 'value="out"') in page
        assert ("/privacy/data" in page) == (state != "none")
        assert TEXTS["en"]["state_gpc"] not in page
    assert 'role="alert"' in overview(OPERATOR, Seen(language="en", done="failed"))
    assert 'role="status"' in overview(OPERATOR, Seen(language="en", done="erased"))
    assert TEXTS["en"]["done_out"] not in overview(OPERATOR, Seen(language="en", done="output"))


def test_the_operator_is_named() -> None:
    """By name and contact where they are configured, else by host; exchanges by name, or that there are none."""
    named = overview(
        Operator(host="h.example", controller="Us", contact="https://us.example/"), Seen(language="en")
    )
    assert "Us." in named
    assert 'href="https://us.example/"' in named
    bare = overview(Operator(host="h.example"), Seen(language="en"))
    assert "h.example" in bare
    assert TEXTS["en"]["whom_none"] in bare
    assert "mailto:me@ads.example" in overview(OPERATOR, Seen(language="en"))


def test_moments_are_words() -> None:
    """A date as people write it, with the exact one beside it for programs."""
    assert moment("fr", AT) == f'<time datetime="{AT}">21 septembre 2026, 14:13 UTC</time>'
    assert moment("en", "") == ""


def test_the_policy_allows_our_style_alone() -> None:
    """Nothing is fetched, framed or run."""
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in POLICY
    assert "frame-ancestors 'none'" in POLICY
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", COLOURS)
def test_contrast_is_enough(scheme: str) -> None:
    """WCAG AA: 4.5 for every text on every ground that it stands on, 3 for lines around controls."""
    colours = COLOURS[scheme]

    def ratio(one: str, two: str) -> float:
        low, high = sorted((_luminance(colours[one]), _luminance(colours[two])))
        return (high + 0.05) / (low + 0.05)

    pairs = [(ink, ground) for ink in ("ink", "soft", "link", "danger") for ground in ("ground", "panel")]
    for pair in [*pairs, ("on_link", "link"), ("on_danger", "danger")]:
        assert ratio(*pair) >= 4.5, pair
    assert ratio("line", "ground") >= 3
