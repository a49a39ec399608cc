"""What something was measured on: stands in every result, since figures of other machines cannot be compared.

Place: bench, load, soak, restart and curve write it into their reports.
"""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

_PACKAGES: Final = ("uvloop", "httptools", "msgspec", "numpy", "aiohttp", "hiredis")


def machine() -> dict[str, Any]:
    """Processor, cores, system, Python, packages; the date, and how busy the machine was before."""
    return {
        "cpu": _model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def words(facts: dict[str, Any]) -> str:
    """The facts in a line."""
    before = facts.get("load_before")
    busy = f", load average before {before[0]:g}" if before else ""
    return f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}, Python {facts['python']}{busy}"


def _model() -> str:
    info = Path("/proc/cpuinfo")
    named = (
        [line for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return named[0].partition(":")[2].strip() if named else "unknown CPU"
