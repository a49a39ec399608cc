"""Keys that workers are handed: read anew, or kept where they cannot be."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from bidder.notices.keys import Keyring, KeysError
from bidder.supervisor.secrets import Secrets

ONE, TWO = "1:" + "11" * 32, "2:" + "22" * 32


def ids(secrets: Secrets) -> list[int]:
    return [number for number, _ in secrets.keyring.keys]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"{ONE}\n")
    return path


def test_other_keys_are_taken_and_told(file: Path, tmp_path: Path) -> None:
    """A changed file is read, whoever asked is told, and nobody is where nothing changed."""
    secrets = Secrets({}, str(file), tmp_path)
    told: list[Keyring] = []
    secrets.tell(told.append)
    assert secrets.reread()
    assert told == []
    file.write_text(f"{ONE}\n{TWO}\n")
    assert secrets.reread()
    assert ids(secrets) == [1, 2]
    assert told == [secrets.keyring]


@pytest.mark.parametrize("text", ["", "1:short", f"{ONE}\n{ONE}\n", "no keys", None])
def test_what_cannot_be_read_changes_nothing(
    file: Path, tmp_path: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Keys that are none, too weak, twice there, or gone: the old ones stay, the log says why and shows none."""
    secrets = Secrets({}, str(file), tmp_path)
    file.unlink() if text is None else file.write_text(text)
    assert not secrets.reread()
    assert ids(secrets) == [1]
    assert "the old ones stay" in caplog.text
    assert "11" * 32 not in caplog.text


def test_a_key_that_signs_too_early_is_warned_of(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A key in front that nobody knew is taken, with a warning; one that was known before is taken without."""
    secrets = Secrets({}, str(file), tmp_path)
    with caplog.at_level(logging.WARNING):
        file.write_text(f"{ONE}\n{TWO}\n")
        secrets.reread()
        file.write_text(f"{TWO}\n{ONE}\n")
        secrets.reread()
    assert caplog.text == ""
    file.write_text(f"3:{'33' * 32}\n{TWO}\n")
    secrets.reread()
    assert "notices of its bids may be lost" in caplog.text
    file.write_text(f"3:{'44' * 32}\n")
    secrets.reread()
    assert "is another one than before" in caplog.text
    assert "33" * 32 not in caplog.text


def test_prices_keys_are_read_anew_too(file: Path, tmp_path: Path) -> None:
    """From the file that the environment names."""
    prices = tmp_path / "prices"
    prices.write_text("google:aa:bb")
    secrets = Secrets({"PACELINE_PRICE_KEYS_FILE": str(prices)}, str(file), tmp_path)
    prices.write_text("google:cc:dd")
    secrets.reread()
    assert secrets.price_keys == {"google": {"encryption_key": "cc", "integrity_key": "dd"}}
    prices.write_text("google:topsecret")
    assert not secrets.reread()
    assert secrets.price_keys["google"]["encryption_key"] == "cc"


def test_a_service_does_not_start_without_keys(tmp_path: Path) -> None:
    """At the start there are no old ones."""
    with pytest.raises(KeysError):
        Secrets({}, str(tmp_path / "none"), tmp_path)
