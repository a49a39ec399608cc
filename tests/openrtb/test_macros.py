"""openrtb/macros.py: expansion as an exchange does it, and markup cut for our own macros."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openrtb import macros

VALUES = {name: f"v{number}" for number, name in enumerate(macros.NAMES)}


@pytest.mark.parametrize("name", macros.NAMES)
def test_every_macro_of_the_specification_is_expanded(name: str) -> None:
    """Each of the fourteen macros is replaced by its value, next to text that stays."""
    assert macros.expand(f"a=${{{name}}}&b", VALUES) == f"a={VALUES[name]}&b"


@pytest.mark.parametrize("macro", [macros.PRICE, macros.CURRENCY, macros.LOSS, macros.MIN_TO_WIN])
def test_what_we_ask_for_is_in_the_specification(macro: str) -> None:
    """Each constant is one of the names in `${}`."""
    assert macro in {f"${{{name}}}" for name in macros.NAMES}


@pytest.mark.parametrize("name", macros.NAMES)
def test_an_unknown_value_becomes_nothing(name: str) -> None:
    """An optional value that the exchange does not know leaves a zero-length string, encoded or not."""
    assert macros.expand(f"[${{{name}}}][${{{name}:B64}}]", {}) == "[][]"


def test_an_audit_rendering_says_audit() -> None:
    """In a test rendering every macro becomes the literal AUDIT, whatever its value."""
    text = "".join(f"${{{name}}}," for name in macros.NAMES)
    assert macros.expand(text, VALUES, audit=True) == "AUDIT," * len(macros.NAMES)


def test_b64_encodes_the_value() -> None:
    """The suffix :B64 gives the value in base64."""
    expanded = macros.expand("${AUCTION_PRICE:B64}", {"AUCTION_PRICE": "1.25"})
    assert expanded == base64.b64encode(b"1.25").decode()


@pytest.mark.parametrize(
    "text",
    [
        "${GDPR}",
        "${AUCTION_PRICE:AES}",
        "${AUCTION_NOVELTY}",
        "$AUCTION_PRICE",
        "${auction_price}",
        "${AUCTION_PRICE",
        "%%",
    ],
)
def test_what_is_no_macro_stays(text: str) -> None:
    """Foreign macros, agreed encodings and broken spellings pass through untouched."""
    assert macros.expand(text, VALUES) == text


def test_values_are_never_expanded_again() -> None:
    """A value that looks like a macro is data: it is not expanded in its turn."""
    values = {"AUCTION_ID": macros.PRICE, "AUCTION_PRICE": "9.99"}
    assert macros.expand("${AUCTION_ID}", values) == macros.PRICE


@given(st.lists(st.one_of(st.text(), st.sampled_from([f"${{{name}}}" for name in macros.NAMES]))))
def test_expansion_equals_replacing_piece_by_piece(pieces: list[str]) -> None:
    """Over any mixture of text and macros, whole-text expansion is the expansion of its pieces."""
    text = "\0".join(
        piece.replace("\0", "").replace("$", "") if "${AUC" not in piece else piece for piece in pieces
    )
    assert macros.expand(text, VALUES) == "\0".join(macros.expand(part, VALUES) for part in text.split("\0"))


def test_hostile_templates_take_one_pass() -> None:
    """A megabyte of macro beginnings is handled in one pass and stays as it is."""
    text = "${AUCTION_" * 100_000
    assert macros.expand(text, VALUES) == text


def test_cut_markup_renders_our_macros_and_keeps_the_exchanges() -> None:
    """Markup is cut at our macros alone; what belongs to the exchange reaches the exchange."""
    names = frozenset({"CLICK_URL", "CLICK_URL_ESC"})
    markup = macros.cut(f"<a href='{macros.CLICK_URL}&p={macros.PRICE}'>{macros.CLICK_URL_ESC}</a>", names)
    rendered = markup.render({"CLICK_URL": "https://c/?t=1", "CLICK_URL_ESC": "https%3A%2F%2Fc"})
    assert rendered == f"<a href='https://c/?t=1&p={macros.PRICE}'>https%3A%2F%2Fc</a>"


def test_markup_without_our_macros_is_its_text() -> None:
    """Markup that holds none of the names renders as it is."""
    assert macros.cut("<b>${OTHER}</b>", frozenset({"CLICK_URL"})).render({}) == "<b>${OTHER}</b>"


def test_a_cut_macro_without_a_value_is_a_bug() -> None:
    """Rendering without a value for a cut macro raises instead of shipping a hole."""
    with pytest.raises(KeyError):
        macros.cut(macros.CLICK_URL, frozenset({"CLICK_URL"})).render({})
