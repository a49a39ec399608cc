"""What reading consent costs: decoding each string of the check vectors, and the gate over it, read anew and again.

Place: run by hand: `python -m benchmarks.micro.consent [--rounds N] [--json FILE]`.
Shapes: a row for each kind of work; p50, p99 and max are over the vectors, good and bad ones.
Units: µs of CPU per string, the least of ROUNDS rounds for each string; in parentheses the ratio to the yardstick of
    the same run, which is decoding one simulated bid request.
Source: strings that the reference libraries wrote and judged (tests/data/privacy/generated), every us_privacy string.
"""

import argparse
import gc
import gzip
import itertools
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.exchange.dialects import BY_NAME
from benchmarks.exchange.requests import prepare
from bidder.privacy import gate as gate_module
from bidder.privacy import gpp, tcf, us_privacy
from bidder.privacy.gate import Gate
from bidder.privacy.signals import Signals
from openrtb.codec import decode_request

VENDOR_ID: Final = 32
ROUNDS: Final = 40
CALLS: Final = 5
"""Of one timing: a single call would be half the clock's own cost."""
TARGET_US: Final = 10.0
VECTORS: Final = Path(__file__).resolve().parents[2] / "tests" / "data" / "privacy" / "generated"

Work = Callable[[], object]


def strings(name: str, field: str) -> list[str]:
    """Every string of one file of vectors."""
    with gzip.open(VECTORS / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [str(json.loads(line)[field]) for line in file]


def least_us(work: Work, rounds: int, before: Work | None = None) -> float:
    """µs of one call, the least of some rounds; `before` makes a call cold, and is not timed."""
    least = 1 << 62
    calls = 1 if before is not None else CALLS
    for _ in range(rounds):
        if before is not None:
            before()
        began_ns = time.perf_counter_ns()
        for _ in range(calls):
            work()
        least = min(least, time.perf_counter_ns() - began_ns)
    return least / calls / 1e3


def yardstick_us(rounds: int) -> float:
    """µs of decoding one simulated bid request."""
    (call, *_) = prepare(1, 1, 1_795_608_000.0, (BY_NAME["generic"],))
    body = msgspec.json.encode(call.request)
    return least_us(lambda: decode_request(body), rounds)


def spread(times_us: Sequence[float]) -> dict[str, float]:
    """p50, p99 and max."""
    ranked = sorted(times_us)
    return {
        "p50": ranked[len(ranked) // 2],
        "p99": ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)],
        "max": ranked[-1],
        "strings": float(len(ranked)),
    }


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Every row of the table."""
    tc, gp = strings("tcf", "tc"), strings("gpp", "gpp")
    usp = ["1" + "".join(answers) for answers in itertools.product("YN-", repeat=3)]
    now_s = 1_795_608_000.0
    gate = Gate(VENDOR_ID)
    by_tc = [Signals(gdpr=1, tc_string=text) for text in tc]
    by_gpp = [Signals(gpp=text) for text in gp]
    by_usp = [Signals(us_privacy=text) for text in usp]

    def forget() -> None:
        gate._by_text.cache_clear()
        gate_module._sections.cache_clear()

    def judged(all_signals: list[Signals], cold: bool) -> list[float]:
        times_us = []
        for signals in all_signals:
            gate.permit(signals, now_s)
            times_us.append(
                least_us(lambda s=signals: gate.permit(s, now_s), rounds, forget if cold else None)  # type: ignore[misc]  # the default binds the loop's value
            )
        return times_us

    def decoded(decode: Callable[[str], object], texts: list[str]) -> list[float]:
        return [least_us(lambda t=text: decode(t), rounds) for text in texts]  # type: ignore[misc]  # as above

    return {
        "decode TC string": spread(decoded(tcf.decode, tc)),
        "decode GPP string": spread(decoded(gpp.decode, gp)),
        "decode us_privacy": spread(decoded(us_privacy.parse, usp)),
        "gate, new TC string": spread(judged(by_tc, cold=True)),
        "gate, new GPP string": spread(judged(by_gpp, cold=True)),
        "gate, known TC string": spread(judged(by_tc, cold=False)),
        "gate, known GPP string": spread(judged(by_gpp, cold=False)),
        "gate, us_privacy": spread(judged(by_usp, cold=False)),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    gc.disable()
    yardstick = yardstick_us(arguments.rounds)
    rows = measure(arguments.rounds)
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "yardstick_us": round(yardstick, 2),
    }
    print(f"Python {facts['python']}, {facts['cpus']} CPUs; decoding one bid request: {yardstick:.1f} µs")
    print(f"{'':<24}{'strings':>8}{'p50':>16}{'p99':>16}{'max':>16}")
    for name, row in rows.items():
        cells = "".join(
            f"{f'{row[key]:.2f} ({row[key] / yardstick:.2f})':>16}" for key in ("p50", "p99", "max")
        )
        print(f"{name:<24}{row['strings']:>8.0f}{cells}")
    slowest = max(row["max"] for name, row in rows.items() if name.startswith("decode"))
    print(f"the slowest string decodes in {slowest:.1f} µs; the target is {TARGET_US:.0f} µs")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"facts": facts, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
