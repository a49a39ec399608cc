"""Where token keys come from."""

import logging
import stat
from pathlib import Path

import pytest

from bidder.notices.keys import Keyring, KeysError, load_keys, load_price_keys, parse_keys

OLD, NEW = "aa" * 32, "bb" * 32


def test_the_environment_goes_before_the_file_and_the_first_signs(tmp_path: Path) -> None:
    """Keys of the environment win; the first one signs and all verify."""
    file = tmp_path / "keys"
    file.write_text(f"# remark\n9:{OLD}\n")
    ring = load_keys({"PACELINE_TOKEN_KEYS": f"2:{NEW}, 1:{OLD}"}, str(file), tmp_path)
    assert (ring.signing.id, ring.secret(1), ring.secret(9)) == (2, bytes.fromhex(OLD), None)
    assert load_keys({}, str(file), tmp_path).signing.id == 9
    assert not (tmp_path / "token.keys").exists()


def test_keys_are_made_once_for_their_owner_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without any, a key is made in the data directory, readable by its owner, told without the key."""
    with caplog.at_level(logging.WARNING):
        first = load_keys({}, "", tmp_path / "data")
        again = load_keys({}, "", tmp_path / "data")
    path = tmp_path / "data" / "token.keys"
    assert first.keys == again.keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(caplog.records) == 1
    assert first.signing.secret.hex() not in caplog.text
    assert [entry.name for entry in path.parent.iterdir()] == ["token.keys"]


@pytest.mark.parametrize(
    "text", ["", "1", "x:" + NEW, "256:" + NEW, "-1:" + NEW, "1:zz", "1:aabb", f"1:{NEW},1:{OLD}"]
)
def test_keys_that_cannot_be_used_are_refused_without_showing_them(text: str) -> None:
    """Missing, unnumbered, doubled, weak and malformed keys are errors that name the place, not the key."""
    with pytest.raises(KeysError, match=r"^here: ") as caught:
        parse_keys(text, "here")
    assert NEW not in str(caught.value)
    assert "zz" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing or binary key file is an error naming it."""
    with pytest.raises(KeysError, match="absent"):
        load_keys({}, str(tmp_path / "absent"), tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(KeysError, match="not plain text"):
        load_keys({}, str(tmp_path / "binary"), tmp_path)
    (tmp_path / "blocked").write_text("")
    with pytest.raises(KeysError, match=r"token\.keys"):
        load_keys({}, "", tmp_path / "blocked")


def test_secrets_do_not_show_when_printed() -> None:
    """A keyring and its key print their ids alone."""
    ring = Keyring(((1, b"s" * 32),))
    assert "sss" not in repr(ring) + repr(ring.signing) + str(ring.signing)


def test_price_keys_by_exchange(tmp_path: Path) -> None:
    """Each exchange has its two price keys; a malformed entry is refused without showing it."""
    keys = load_price_keys({"PACELINE_PRICE_KEYS": "google:aa:bb, other:cc:dd"})
    assert keys == {
        "google": {"encryption_key": "aa", "integrity_key": "bb"},
        "other": {"encryption_key": "cc", "integrity_key": "dd"},
    }
    assert load_price_keys({}) == {}
    file = tmp_path / "prices"
    file.write_text("google:aa:bb\nother:cc:dd\n")
    assert load_price_keys({"PACELINE_PRICE_KEYS_FILE": str(file)}) == keys
    with pytest.raises(KeysError, match="No such file"):
        load_price_keys({"PACELINE_PRICE_KEYS_FILE": str(tmp_path / "none")})
    with pytest.raises(KeysError) as caught:
        load_price_keys({"PACELINE_PRICE_KEYS": "google:topsecret"})
    assert "topsecret" not in str(caught.value)
