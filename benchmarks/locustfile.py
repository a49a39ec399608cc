"""Load by users, with Locust: several exchanges, each in its own dialect, with a profile over the run.

Place: `make load`, or by hand against a running service (loopback or your own staging):

    PACELINE_LOAD_PROFILE=spike locust -f benchmarks/locustfile.py --headless \
        --host http://127.0.0.1:8080 --html load.html --csv load

    Without --headless the charts are at http://127.0.0.1:8089.

    PACELINE_LOAD_PROFILE   plateaus (default), steady, diurnal (a day in the length of the run), spike (three times as
                            many users within seconds, and back), soak (up slowly, then the same; for hours)
    PACELINE_LOAD_SECONDS   the length of the run, 60
    PACELINE_LOAD_USERS     the highest number of users, 30
    PACELINE_LOAD_RATE      requests per second of one user between answers, 20
    PACELINE_LOAD_MIX       shares of the exchanges, as google=3,prebid=1; empty: all, as the simulated market has them
    PACELINE_LOAD_FIXED     users of an exchange whatever the profile says, as magnite=2
    PACELINE_LOAD_MAX_LATE  share of late answers beyond which the run fails, 0.01 (judge.LIMITS)
    PACELINE_LOAD_SEED      1

    From several processes or machines, one of them the master, each with the same environment (the master's profile
    counts, everybody's mix does):

        locust -f benchmarks/locustfile.py --headless --master --expect-workers 2 --host http://10.0.0.5:8080 \
            --html load.html
        locust -f benchmarks/locustfile.py --worker --master-host 10.0.0.1      (on each of the two others)

    On one machine `make load ARGS="--processes 2"` starts a master and two workers. One process of Locust sends some
    2,000 requests a second from one core.
Shapes: one user is one connection of an exchange: closed loop, a request after the answer to the last. For
    latencies under a steady rate use `python -m benchmarks.load`, which is open loop.
Limits: a 200 must be a bid response to this request; 204 is no bid; an answer after tmax is late. Late, invalid and
    failed answers are counted apart, and the run fails (exit code 1) when one kind passes its share in judge.LIMITS.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any, ClassVar, cast

import locust.html
import locust.stats
import msgspec
from locust import FastHttpUser, LoadTestShape, events, task
from locust.env import Environment
from locust.runners import WorkerRunner

from benchmarks import judge
from benchmarks.exchange.dialects import BY_NAME, Dialect
from benchmarks.exchange.requests import Call, prepare
from benchmarks.mix import fixed_of, shares_of
from benchmarks.shapes import SHAPES

PROFILE = os.environ.get("PACELINE_LOAD_PROFILE", "plateaus")
USERS = int(os.environ.get("PACELINE_LOAD_USERS", "30"))
SECONDS = float(os.environ.get("PACELINE_LOAD_SECONDS", "60"))
RATE = float(os.environ.get("PACELINE_LOAD_RATE", "20"))
SEED = int(os.environ.get("PACELINE_LOAD_SEED", "1"))
SHARES = shares_of(os.environ.get("PACELINE_LOAD_MIX", ""))
FIXED = fixed_of(os.environ.get("PACELINE_LOAD_FIXED", ""))
LIMITS = judge.LIMITS | {
    judge.LATE: float(os.environ.get("PACELINE_LOAD_MAX_LATE", judge.LIMITS[judge.LATE]))
}
VERDICT = os.environ.get("PACELINE_LOAD_VERDICT", "")
"""A file that takes the verdict as JSON."""
PERCENTILES = [0.5, 0.9, 0.99, 0.999]
_BODIES = 500
_WEIGHT = 20

locust.stats.PERCENTILES_TO_REPORT = [*PERCENTILES, 1.0]  # console and CSV
locust.stats.HISTORY_STATS_INTERVAL_SEC = max(1, round(SECONDS / 40))  # points of the charts
locust.stats.PERCENTILES_TO_STATISTICS = PERCENTILES
locust.stats.PERCENTILES_TO_CHART = PERCENTILES
locust.html.PERCENTILES_FOR_HTML_REPORT = [*PERCENTILES, 1.0]


class BadAnswer(Exception):
    """Why an answer is a failure; Locust's tables show its representation."""

    def __repr__(self) -> str:
        return str(self)


class ExchangeUser(FastHttpUser):
    """One connection of an exchange."""

    abstract = True
    dialect: ClassVar[Dialect]
    calls: ClassVar[list[Call]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        name = cls.dialect.name
        cls.abstract = not (SHARES.get(name) or FIXED.get(name))
        cls.weight = max(1, round(SHARES.get(name, 0) * _WEIGHT))
        cls.fixed_count = FIXED.get(name, 0)
        cls.calls = [] if cls.abstract else prepare(SEED, _BODIES, time.time(), (cls.dialect,))

    def on_start(self) -> None:
        """Every user begins at another place of the same requests."""
        self._at = id(self) % _BODIES

    def wait_time(self) -> float:
        """Pauses as people make them: of users who all waited equally long, all would ask at once."""
        return random.expovariate(RATE)

    @task
    def bid(self) -> None:
        """Send the next request and judge its answer."""
        call = self.calls[self._at]
        self._at = (self._at + 1) % len(self.calls)
        started = time.perf_counter()
        with self.client.post(
            call.dialect.path,
            data=cast(Any, call.body),  # bytes go out as they are
            headers=dict(call.headers()),
            name=call.dialect.path,
            catch_response=True,
        ) as response:
            elapsed_ms = (time.perf_counter() - started) * 1_000
            why = judge.fault(call, response.status_code, response.content or b"", elapsed_ms)
            if why is None:
                response.success()
            else:
                response.failure(BadAnswer(why))


class Generic(ExchangeUser):
    """OpenRTB 2.6 as it is written."""

    dialect = BY_NAME["generic"]


class Prebid(ExchangeUser):
    """Prebid.js shapes, 2.5 places, text/plain."""

    dialect = BY_NAME["prebid"]


class Google(ExchangeUser):
    """First price in euros."""

    dialect = BY_NAME["google"]


class Xandr(ExchangeUser):
    """Second price."""

    dialect = BY_NAME["xandr"]


class Index(ExchangeUser):
    """Compressed bodies."""

    dialect = BY_NAME["index"]


class Magnite(ExchangeUser):
    """Television."""

    dialect = BY_NAME["magnite"]


class Profile(LoadTestShape):
    """The profile chosen, in users; one of each exchange at least."""

    def tick(self) -> tuple[int, float] | None:
        """(users, users started per second); None ends the run."""
        elapsed: float = cast(Any, self).get_run_time()
        if elapsed >= SECONDS:
            return None
        fixed = sum(FIXED.values())
        varying = sum(1 for name, share in SHARES.items() if share and name not in FIXED)
        users = max(varying, round(USERS * SHAPES[PROFILE](elapsed, SECONDS)))
        return fixed + users * bool(varying), max(6.0, USERS / 2)


def conclude(environment: Environment, **_: object) -> None:
    """Late, invalid and failed answers, and the exit code: the master's part, or that of one alone."""
    if isinstance(environment.runner, WorkerRunner):
        return
    stats = environment.stats
    told: dict[str, int] = {}
    for error in stats.errors.values():
        told[str(error.error)] = told.get(str(error.error), 0) + error.occurrences
    found = judge.verdicts(stats.total.num_requests, told, LIMITS)
    for verdict in found:
        words = "holds" if verdict.holds else "BROKEN"
        print(
            f"{verdict.kind:<8} {verdict.count:>8,}  {verdict.share:.3%} of at most {verdict.limit:.1%}  {words}"
        )
    if VERDICT:
        total = stats.total
        percentiles = {f"p{100 * p:g}": total.get_response_time_percentile(p) for p in PERCENTILES}
        report = {"requests": total.num_requests, "percentiles_ms": percentiles, "verdicts": found}
        Path(VERDICT).write_bytes(msgspec.json.encode(report))
    # said either way: left to itself, Locust fails a run for a single bad answer
    environment.process_exit_code = 0 if all(verdict.holds for verdict in found) else 1


events.quitting.add_listener(conclude)  # type: ignore[no-untyped-call]  # Locust does not type its hooks
