"""`paceline shop`: tokens, the tag's line and exchanges' secrets, as the service believes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bidder.__main__ import main
from bidder.notices.keys import load_keys
from bidder.shop.tokens import check_shop_token, exchange_secret
from tests.bidder.campaigns.written import BOOK


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of the test's own, and a campaign file."""
    monkeypatch.setenv("PACELINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PACELINE_PUBLIC_BASE_URL", "https://ads.example/p/")
    book = tmp_path / "book.yaml"
    book.write_text(BOOK)
    monkeypatch.setenv("PACELINE_CAMPAIGNS", str(book))
    return tmp_path / "data"


def test_the_token_is_one_that_the_service_believes(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    """One line, of the keys in the data directory, which are made where there are none."""
    assert main(["shop", "token", "shop"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert check_shop_token(load_keys({}, "", data), line) == "shop"


def test_the_tag_is_three_lines_of_html(capsys: pytest.CaptureFixture[str]) -> None:
    """What keeps calls until the tag is there, with a word for who cannot have it; the tag with the public port's
    address; where the shop's country is not known, an advice says what that means."""
    assert main(["shop", "tag", "shop"]) == 0
    told = capsys.readouterr()
    comment, stub, tag = told.out.splitlines()
    assert "data-event" in comment
    assert "paceline.q" in stub
    assert tag == '<script async src="https://ads.example/p/tag.js" data-advertiser="shop"></script>'
    assert "no country" in told.err


def test_the_tag_leads_to_the_configured_port(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a base URL of its own, as `serve` writes it into notices; a port that only `serve` knows is told of."""
    monkeypatch.delenv("PACELINE_PUBLIC_BASE_URL")
    monkeypatch.setenv("PACELINE_PUBLIC_PORT", "19011")
    assert main(["shop", "tag", "shop"]) == 0
    told = capsys.readouterr()
    assert 'src="http://127.0.0.1:19011/tag.js"' in told.out
    assert "free port" not in told.err
    monkeypatch.setenv("PACELINE_PUBLIC_PORT", "0")
    assert main(["shop", "tag", "shop"]) == 0
    assert "free port" in capsys.readouterr().err


@pytest.mark.parametrize(("country", "said"), [("USA", True), ("FRA", False)])
def test_the_tag_says_where_the_gdpr_does_not_apply(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, country: str, said: bool
) -> None:
    """Of a shop in a country where it is not presumed."""
    text = BOOK.replace("    currency: EUR\n", f"    currency: EUR\n    country: {country}\n", 1)
    (tmp_path / "book.yaml").write_text(text)
    assert main(["shop", "tag", "shop"]) == 0
    assert ('data-gdpr="0"' in capsys.readouterr().out) == said


def test_the_secret_is_the_exchanges(capsys: pytest.CaptureFixture[str], data: Path) -> None:
    """One line, the same that verifies uploads."""
    assert main(["shop", "secret", "google"]) == 0
    assert capsys.readouterr().out.strip() == exchange_secret(load_keys({}, "", data), "google")


@pytest.mark.parametrize("arguments", [["token", "nobody"], ["tag", "nobody"], ["secret", "nobody"]])
def test_who_is_not_there_is_said(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Exit code 1, the names that there are on stderr, nothing on stdout."""
    assert main(["shop", *arguments]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "nobody" in told.err
