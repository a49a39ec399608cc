"""The bound on a log: whatever is merged or given up, no cap ever counts fewer views than were seen."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bidder.audience.frequency import (
    HEADER,
    HOLD,
    MAX_RECORDS,
    MAX_WINDOW_S,
    RECORD,
    VIEW,
    Log,
    Verdict,
    open_log,
    pack_log,
    verdict,
)
from bidder.campaigns.caps import Cap
from bidder.stores import keys
from bidder.stores.scripts import DROP, END, PROLONG, Script
from bidder.stores.scripts import VIEW as SHOWN
from tests.servers import RealServer

START_S = 1_790_000_000
TAG = keys.person_tag(b"\x05" * 16)
KEY, MARKS = keys.views_key(TAG), keys.marks_key(TAG)
FIELD = b"a:shop"
MANY = 1 << 20


def _pack(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def _call(script: Script, now_s: float, packed: bytes) -> tuple[object, ...]:
    now_ms = int(now_s * 1_000)
    if script is END:
        return ("EVALSHA", script.digest, 2, KEY, MARKS, b"12345678", now_ms, FIELD, packed)
    return ("EVALSHA", script.digest, 1, KEY, now_ms, FIELD, packed)


def _run(client: redis.Redis, calls: Sequence[tuple[object, ...]]) -> list[object]:
    for script in (DROP, END, PROLONG, SHOWN):
        client.script_load(script.text)
    pipeline = client.pipeline(transaction=False)
    for call in calls:
        pipeline.execute_command(*call)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    found: list[object] = pipeline.execute()
    return found


def _counted(log: Log, scope: int, key: int, now_s: int, window_s: int) -> int:
    """How many views a cap sees: the least number of views that it would have to allow, less one."""
    low, high = 0, MANY
    while low < high:
        middle = (low + high) // 2
        cap = (Cap(scope, key, middle + 1, window_s),)
        if verdict(log, cap, now_s) is Verdict.PASSES:
            high = middle
        else:
            low = middle + 1
    return low


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from((0, 0, 0, 1, 30, 700, 5_000, 90_000)),  # seconds since the one before
        *(st.integers(1, 2), st.integers(1, 3), st.integers(1, 12)),  # campaign, line item, creative
        st.integers(0, 40),  # how many at once
    ),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=_EVENTS,
    windows=st.lists(st.sampled_from((60, 3_600, 86_400, 7 * 86_400, MAX_WINDOW_S)), min_size=1, max_size=3),
    later_s=st.sampled_from((0, 59, 60, 3_599, 50_000, 86_400)),
)
def test_never_too_few(
    redis_server: RealServer, events: list[tuple[int, ...]], windows: list[int], later_s: int
) -> None:
    """Against an exact list of all views: a cap of any scope and window counts at least as many, at most all that
    its advertiser showed; below MAX_RECORDS it counts exactly; and the log stays within its bound."""
    now_s, calls, exact, tag = START_S, [], [], 0
    for pause_s, campaign, line, creative, count in events:
        now_s += pause_s
        for _ in range(count):
            tag += 1
            calls.append(_call(SHOWN, now_s, _pack(tag, campaign, line, creative, 0, max(windows))))
            exact.append((now_s, campaign, line, creative))
    with redis_server.client() as client:
        client.delete(KEY)
        assert all(answer == 1 for answer in _run(client, calls))
        value = client.hget(KEY, FIELD)
    now_s += later_s
    log = open_log(value, now_s) if value is not None else Log([])
    assert len(log.records) <= MAX_RECORDS
    for window_s in windows:
        for scope, keys_of in ((0, (0,)), (1, (1, 2)), (2, (1, 2, 3)), (3, (1, 5, 12))):
            for key in keys_of:
                inside = [v for v in exact if v[0] > now_s - window_s]
                true = sum(scope == 0 or view[scope] == key for view in inside)
                counted = _counted(log, scope, key, now_s, window_s)
                assert true <= counted
                if len(exact) <= MAX_RECORDS:
                    assert true == counted
                assert counted <= len(exact)


def test_the_bound_on_records(redis_server: RealServer) -> None:
    """MAX_RECORDS views stand one by one; with one more, views of the same creative in the same hour are merged."""
    with redis_server.client() as client:
        _run(client, [_call(SHOWN, START_S + i, _pack(i, 1, 2, 3, 0, 86_400)) for i in range(MAX_RECORDS)])
        assert len(client.hget(KEY, FIELD) or b"") == HEADER.size + MAX_RECORDS * RECORD.size
        _run(client, [_call(SHOWN, START_S + 7_200, _pack(999, 1, 2, 3, 0, 86_400))])
        log = open_log(client.hget(KEY, FIELD) or b"", START_S)
    assert sorted((r[0] - START_S, r[6]) for r in log.records) == [(63, MAX_RECORDS), (7_200, 1)]
    assert log.given_up == 0


def test_the_oldest_are_given_up(redis_server: RealServer) -> None:
    """Views of more creatives than there are records: the oldest count against every cap, for their window."""
    views = [_call(SHOWN, START_S + i, _pack(i, 1, 2, 100 + i, 0, 3_600)) for i in range(MAX_RECORDS + 3)]
    with redis_server.client() as client:
        _run(client, views)
        log = open_log(client.hget(KEY, FIELD) or b"", START_S)
        assert (len(log.records), log.given_up, log.given_up_s) == (MAX_RECORDS, 3, START_S + 2)
        assert verdict(log, (Cap(3, 7, 3, 3_600),), START_S + 3_601) is Verdict.REACHED
        assert verdict(log, (Cap(3, 7, 3, 3_600),), START_S + 3_602) is Verdict.PASSES
        _run(client, [_call(SHOWN, START_S + 3_700, _pack(5_000, 1, 2, 3, 0, 3_600))])
        log = open_log(client.hget(KEY, FIELD) or b"", START_S)
    assert (len(log.records), log.given_up) == (1, 0)


def test_holds_are_never_merged(redis_server: RealServer) -> None:
    """Holds keep their tags while there is room, so that each can be dropped; a log of nothing but holds is bounded."""
    with redis_server.client() as client:
        _run(client, [_call(END, START_S, _pack(i, 1, 2, 3, 60, 86_400)) for i in range(MAX_RECORDS)])
        _run(client, [_call(SHOWN, START_S, _pack(1_000 + i, 1, 2, 3, 0, 86_400)) for i in range(1)])
        log = open_log(client.hget(KEY, FIELD) or b"", START_S)
        assert (len(log.records), log.given_up) == (MAX_RECORDS, 1)
        _run(client, [_call(DROP, START_S, _pack(i)) for i in range(MAX_RECORDS)])
        log = open_log(client.hget(KEY, FIELD) or b"", START_S)
    assert [r[5] for r in log.records].count(VIEW) + log.given_up >= 1
    assert _counted(log, 0, 0, START_S, 3_600) >= 1


def test_the_longest_window_is_remembered(redis_server: RealServer) -> None:
    """A line item with a short window does not take away what one with a long window counts."""
    with redis_server.client() as client:
        _run(client, [_call(SHOWN, START_S, _pack(1, 1, 2, 3, 0, 86_400))])
        _run(client, [_call(SHOWN, START_S + 7_200, _pack(2, 1, 4, 5, 0, 60))])
        log = open_log(client.hget(KEY, FIELD) or b"", START_S)
        assert len(log.records) == 2
        assert 86_000 < client.ttl(KEY) <= 86_400


def test_python_and_lua_write_the_same(redis_server: RealServer) -> None:
    """What a script writes is byte for byte what `pack_log` makes of the same log."""
    log = Log([(START_S, 1, 2, 3, 4, VIEW, 1), (START_S + 60, 5, 6, 0xFFFFFFFF, 7, HOLD, 1)])
    with redis_server.client() as client:
        _run(client, [_call(SHOWN, START_S, _pack(4, 1, 2, 3, 0, 86_400))])
        _run(client, [_call(END, START_S, _pack(7, 5, 6, 0xFFFFFFFF, 60, 3_600))])
        assert client.hget(KEY, FIELD) == pack_log(log, 86_400)


@pytest.mark.parametrize("now_s", [START_S + 0.001, START_S + 0.999])
def test_times_are_rounded_to_the_careful_side(redis_server: RealServer, now_s: float) -> None:
    """A view within a second counts as seen at its end, a hold stands through its last second."""
    with redis_server.client() as client:
        _run(
            client,
            [_call(SHOWN, now_s, _pack(1, 1, 2, 3, 0, 60)), _call(END, now_s, _pack(2, 1, 2, 3, 10, 60))],
        )
        log = open_log(client.hget(KEY, FIELD) or b"", START_S)
    assert sorted(r[0] - START_S for r in log.records) == [1, 11]
