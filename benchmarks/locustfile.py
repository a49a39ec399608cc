"""Load by users, with Locust: several exchanges, each in its own dialect, on a ramp of three plateaus.

Place: `make load`, or by hand against a running service (loopback or your own staging):

    locust -f benchmarks/locustfile.py --headless --host http://127.0.0.1:8080 \
        --html load.html --csv load

    Without --headless the charts are at http://127.0.0.1:8089. PACELINE_LOAD_USERS (default 30) is the highest
    number of users, PACELINE_LOAD_SECONDS (default 60) the length of the ramp, PACELINE_LOAD_SEED the seed.
    The run fails (exit code 1) when more than 1 % of the requests failed.
Shapes: one user is one connection of an exchange: closed loop, a request after the answer to the last. For
    latencies under a steady rate use `python -m benchmarks.load`, which is open loop.
Limits: a 200 must be a bid response to this request; 204 is no bid; an answer after tmax has failed.
"""

from __future__ import annotations

import os
import time
from typing import Any, ClassVar, cast

from locust import FastHttpUser, LoadTestShape, between, events, task
from locust.env import Environment

from benchmarks.exchange.dialects import BY_NAME, Dialect
from benchmarks.exchange.requests import Call, prepare
from benchmarks.judge import fault

USERS = int(os.environ.get("PACELINE_LOAD_USERS", "30"))
SECONDS = float(os.environ.get("PACELINE_LOAD_SECONDS", "60"))
SEED = int(os.environ.get("PACELINE_LOAD_SEED", "1"))
MAX_FAILED_SHARE = 0.01
_BODIES = 500


class ExchangeUser(FastHttpUser):
    """One connection of an exchange."""

    abstract = True
    wait_time = between(0.0, 0.01)
    dialect: ClassVar[Dialect]
    calls: ClassVar[list[Call]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.weight = max(1, round(cls.dialect.share * 20))
        cls.calls = prepare(SEED, _BODIES, time.time(), (cls.dialect,))

    def on_start(self) -> None:
        """Every user begins at another place of the same requests."""
        self._at = id(self) % _BODIES

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
            why = fault(call, response.status_code, response.content or b"", elapsed_ms)
            if why is None:
                response.success()
            else:
                response.failure(why)


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


class Plateaus(LoadTestShape):
    """A third of the users, two thirds, all of them, a third of the time each."""

    def tick(self) -> tuple[int, float] | None:
        """(users, users started per second); None ends the run."""
        elapsed: float = cast(Any, self).get_run_time()
        if elapsed >= SECONDS:
            return None
        users = max(6, USERS * (1 + int(3 * elapsed / SECONDS)) // 3)
        return users, max(6.0, USERS / 3)


def judge(environment: Environment, **_: object) -> None:
    """The exit code says whether too many requests failed."""
    total = environment.stats.total
    if not total.num_requests or total.fail_ratio > MAX_FAILED_SHARE:
        environment.process_exit_code = 1


events.quitting.add_listener(judge)  # type: ignore[no-untyped-call]  # Locust does not type its hooks
