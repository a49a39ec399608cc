"""Sessions: of recorded events and of files, of one advertiser alone, without anybody's name."""

import gzip
import random
from pathlib import Path

import pytest

from bidder.events.records import Item, ShopEvent
from bidder.keys import product_key
from bidder.learning import sessions as sessions_module
from bidder.learning.sessions import BREAK_MS, SessionsError, sessions_of_events, sessions_of_file

SHOP = "fernhill"


def event(
    person: bytes, at_ms: int, *products: str, kind: str = "product_view", shop: str = SHOP
) -> ShopEvent:
    return ShopEvent(
        id=f"{at_ms}",
        at_ms=at_ms,
        advertiser=shop,
        kind=kind,
        person=person,
        items=tuple(map(Item, products)),
    )


def keys(*products: str) -> list[int]:
    return [product_key(SHOP, product) for product in products]


def test_a_pause_of_half_an_hour_ends_a_session() -> None:
    """Two visits of one person are two sessions, whatever the order of the events."""
    one = b"1" * 16
    events = [
        event(one, 0, "a"),
        event(one, 60_000, "b", kind="cart"),
        event(one, 60_000 + BREAK_MS, "c"),
        event(one, 60_001 + 2 * BREAK_MS, "d", kind="purchase"),
    ]
    random.Random(1).shuffle(events)
    assert list(sessions_of_events(events, SHOP)) == [keys("a", "b", "c"), keys("d")]


def test_what_is_not_a_look_at_a_product_of_this_shop_is_left_out() -> None:
    """Other shops, other kinds and events of nobody train nothing."""
    one = b"1" * 16
    events = [
        event(one, 1, "a", shop="voltaro"),
        event(one, 2, "a", kind="search"),
        event(b"", 3, "a"),
        event(one, 4, "b"),
    ]
    assert list(sessions_of_events(events, SHOP)) == [keys("b")]


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
    """MAX_TOTAL_VIEWS of events and of files."""
    monkeypatch.setattr(sessions_module, "MAX_TOTAL_VIEWS", 2)
    with pytest.raises(SessionsError, match="more than 2 views"):
        list(sessions_of_events([event(b"1" * 16, 1, "a", "b", "c")], SHOP))
    path = tmp_path / "s.tsv"
    path.write_text("session\titem\ttime\n1\ta\t1\n1\tb\t1\n")
    with pytest.raises(SessionsError, match="more than 2 views"):
        sessions_of_file(path, SHOP)
