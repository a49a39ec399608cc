"""What `make load` writes above Locust's report: whether the run held its limits, and on what it was measured.

Place: locust_run.py; the verdict is what locustfile.py wrote.
Shapes: one block of HTML without scripts, as light as the report below it.
"""

from __future__ import annotations

from html import escape
from typing import Any, Final

import msgspec

from benchmarks.judge import FAILED, INVALID, LATE, Verdict
from benchmarks.machine import words

_STYLE: Final = (
    ".pl{font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:0 auto;padding:24px 24px 0;color:#1b1f24}"
    ".pl h1{font-size:22px;margin:0 0 2px}.pl p{margin:0 0 12px;color:#57606a}"
    ".pl table{border-collapse:collapse;margin:0 32px 12px 0;float:left}.pl br{clear:both}"
    ".pl td,.pl th{padding:3px 18px 3px 0;text-align:right;font-variant-numeric:tabular-nums}"
    ".pl td:first-child,.pl th:first-child{text-align:left}.pl th{font-weight:600;border-bottom:1px solid #d0d7de}"
    ".pl .holds{color:#1a7f37}.pl .broken{color:#cf222e;font-weight:600}"
)
_NAMES: Final = {LATE: "late: after tmax", INVALID: "invalid answers", FAILED: "failed: status, connection"}


class Report(msgspec.Struct, frozen=True):
    """What the Locust file tells at the end."""

    requests: int
    percentiles_ms: dict[str, float]
    verdicts: list[Verdict]


def head(verdict: bytes, what: str, facts: dict[str, Any]) -> str:
    """The block, from the verdict as JSON; `what` names the run, `facts` the machine before it."""
    report = msgspec.json.decode(verdict, type=Report)
    rows = "".join(
        f"<tr><td>{_NAMES[v.kind]}</td><td>{v.count:,}</td><td>{v.share:.3%}</td><td>{v.limit:.1%}</td>"
        f'<td class="{"holds" if v.holds else "broken"}">{"holds" if v.holds else "broken"}</td></tr>'
        for v in report.verdicts
    )
    percentiles = "".join(f"<th>{name}</th>" for name in report.percentiles_ms)
    values = "".join(f"<td>{ms:g} ms</td>" for ms in report.percentiles_ms.values())
    return (
        f'<style>{_STYLE}</style><div class="pl"><h1>Paceline under load: {escape(what)}</h1>'
        f"<p>{escape(words(facts))}</p>"
        f"<table><tr><th>of {report.requests:,} requests</th><th></th><th>share</th><th>limit</th><th></th></tr>"
        f"{rows}</table><table><tr>{percentiles}</tr><tr>{values}</tr></table><br></div>"
    )


def with_head(page: str, block: str) -> str:
    """Locust's page with the block at the top of its body."""
    start = page.rfind("<body")  # the scripts before it mention one, too
    at = page.find(">", start) + 1 if start >= 0 else 0
    return page[:at] + block + page[at:]
