"""Sessions: of recorded events and of files, of one advertiser alone, without anybody's name."""

import gzip
from pathlib import Path

import pytest

from bidder.keys import product_key
from bidder.learning import sessions as sessions_module
from bidder.learning.sessions import SessionsError, keyed, sessions_of_file

SHOP = "fernhill"


def keys(*products: str) -> list[int]:
    return [product_key(SHOP, product) for product in products]


def test_product_ids_become_the_keys_that_catalogues_know() -> None:
    """Sessions of recorded events name products by id; a model knows them by key."""
    assert list(keyed([("a", "b", "a"), ()], SHOP)) == [keys("a", "b", "a"), []]


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_of_sessions_is_read_in_time(tmp_path: Path, packed: bool) -> None:
    """Rows of one session by time, gzipped or not, its columns by name in any order."""
    text = "Time\tSessionId\tItemId\n3\t1\tb\n9\t2\tc\n1.5\t1\ta\r\n"
    path = tmp_path / ("s.tsv.gz" if packed else "s.tsv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert sessions_of_file(path, SHOP) == [keys("a", "b"), keys("c")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "must name the columns"),
        (b"SessionId\tItemId\n", "must name the columns"),
        (b"session\titem\ttime\n1\ta\n", "line 2"),
        (b"session\titem\ttime\n1\ta\t1\n1\ta\tlater\n", "line 3"),
        (b"session\titem\ttime\n1\ta\tnan\n", "line 2"),
        (b"session\titem\ttime\n\ta\t1\n", "line 2"),
        (b"session\titem\ttime\n1\t" + b"a" * 300 + b"\t1\n", "line 2"),
        (b"session\titem\ttime\n1\t\xff\t1\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, data: bytes, words: str) -> None:
    """SessionsError, with the line where there is one."""
    path = tmp_path / "s.tsv"
    path.write_bytes(data)
    with pytest.raises(SessionsError, match=words):
        sessions_of_file(path, SHOP)
    path = tmp_path / "s.gz"
    path.write_bytes(b"not packed")
    with pytest.raises(SessionsError, match="cannot be read"):
        sessions_of_file(path, SHOP)


def test_too_many_views_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MAX_TOTAL_VIEWS of a file."""
    monkeypatch.setattr(sessions_module, "MAX_TOTAL_VIEWS", 2)
    path = tmp_path / "s.tsv"
    path.write_text("session\titem\ttime\n1\ta\t1\n1\tb\t1\n")
    with pytest.raises(SessionsError, match="more than 2 views"):
        sessions_of_file(path, SHOP)
