"""What we build upon: known vulnerabilities of every locked package, and licences of every installed one.

Place: `make audit` and .ci/run. pip-audit asks an advisory service of the packages in requirements.lock, by their
    locked versions, without installing anything.
Exit codes: 0 all were looked up and none is known to be vulnerable; 1 a vulnerability is known, or a licence is none
    that we may ship with; 3 no vulnerability is known, but not everything could be looked up: no service was reached.
Limits: SERVICES are asked in turn until one knows everything, each for PATIENCE_S.
Rule: certificates are judged as pip judges them: by PIP_CERT, SSL_CERT_FILE or the system's own store, unless
    REQUESTS_CA_BUNDLE says otherwise.
"""

from __future__ import annotations

import argparse
import importlib.metadata as metadata
import json
import os
import re
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK: Final = ROOT / "requirements.lock"
SERVICES: Final = ("pypi", "osv")
PATIENCE_S: Final = 240
SOUND, KNOWN, UNASKED = 0, 1, 3
REASON_CHARACTERS: Final = 200
REASONS: Final = (
    (re.compile(r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"), "certificate not trusted"),
    (
        re.compile(r"NameResolutionError|[Nn]ame or service not known|in name resolution|nodename nor"),
        "name not found",
    ),
    (re.compile(r"ProxyError"), "the proxy does not let it through"),
    (re.compile(r"Connection refused|Connect call failed"), "connection refused"),
    (re.compile(r"[Tt]imed? ?out"), "no answer in time"),
)
"""What a client's exception says, in words."""

STRONG: Final = re.compile(
    r"\b(A?GPL|GNU (Affero )?General|SSPL|EUPL|OSL|RSAL|BUSL|CC-BY-NC|Commons Clause)", re.IGNORECASE
)
UNDECLARED: Final = {"crawler-user-agents": "MIT"}
"""Those whose metadata name none, and what their source says."""


class Findings(NamedTuple):
    """What one service said."""

    vulnerable: list[str]
    """One line for each vulnerability of a package."""
    unknown: list[str]
    """Packages that the service did not know."""
    asked: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at everything, say what was found; the exit code."""
    parser = argparse.ArgumentParser(description="known vulnerabilities and licences of our dependencies")
    parser.add_argument("--lock", type=Path, default=LOCK)
    parser.add_argument("--command", default=f"{sys.executable} -m pip_audit", help="what runs pip-audit")
    chosen = parser.parse_args(arguments)
    installed = list(metadata.distributions())
    licences = forbidden(installed)
    for line in licences:
        print(f"audit: LICENCE {line}")
    if not licences:
        print(f"audit: {len(installed)} installed packages, all with licences that we may ship with")
    status = advisories(chosen.command.split(), chosen.lock)
    return KNOWN if licences else status


def advisories(command: Sequence[str], lock: Path) -> int:
    """Ask the services one after the other; SOUND, KNOWN or UNASKED."""
    reasons = []
    for service in SERVICES:
        found, reason = ask(command, lock, service)
        if found is not None and found.vulnerable:
            for line in found.vulnerable:
                print(f"audit: VULNERABLE {line}")
            return KNOWN
        if found is not None and not found.unknown:
            print(f"audit: {found.asked} packages, no known vulnerability ({service})")
            return SOUND
        reasons.append(f"{service}: {reason or _unknown(found)}")
    print("audit: NOT AUDITED: no advisory service could say of every package whether it is vulnerable")
    for reason in reasons:
        print(f"audit:   {reason}")
    print(f"audit: exit code {UNASKED}: none is known to be vulnerable, and that proves nothing")
    return UNASKED


def ask(command: Sequence[str], lock: Path, service: str) -> tuple[Findings | None, str]:
    """What a service knows of the locked packages; None and why where it did not answer."""
    options = [
        "-r",
        str(lock),
        "--require-hashes",
        "--disable-pip",
        "--progress-spinner",
        "off",
        "-f",
        "json",
    ]
    try:
        done = subprocess.run(  # noqa: S603  our own tool
            [*command, *options, "-s", service, "--timeout", "15"],
            capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=trusting(os.environ),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, f"no answer within {PATIENCE_S} s"
    try:
        return findings(json.loads(done.stdout)["dependencies"]), ""
    except (ValueError, KeyError, TypeError):
        last = done.stderr.strip().splitlines()
        return None, reason_of(last[-1]) if last else f"pip-audit ended with {done.returncode}"


def trusting(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the certificates that pip trusts, where pip-audit is told of no others."""
    bundle = environment.get("PIP_CERT") or environment.get("SSL_CERT_FILE")
    bundle = bundle or ssl.get_default_verify_paths().cafile
    return ({"REQUESTS_CA_BUNDLE": bundle} if bundle else {}) | dict(environment)


def reason_of(line: str) -> str:
    """An exception's line in words; whole words of it where it is none of those that are known."""
    for pattern, words in REASONS:
        if pattern.search(line):
            return words
    return textwrap.shorten(line, REASON_CHARACTERS, placeholder=" ...")


def findings(dependencies: Iterable[dict[str, Any]]) -> Findings:
    """pip-audit's JSON as findings."""
    found = Findings([], [], 0)
    asked = 0
    for each in dependencies:
        asked += 1
        if "skip_reason" in each:
            found.unknown.append(each["name"])
        for hole in each.get("vulns", ()):
            fixed = ", ".join(hole.get("fix_versions", ())) or "no fix yet"
            found.vulnerable.append(f"{each['name']} {each['version']}: {hole['id']} (fixed in {fixed})")
    return found._replace(asked=asked)


def _unknown(found: Findings | None) -> str:
    names = found.unknown if found is not None else []
    more = ", ..." if len(names) > 3 else ""
    return f"it knows nothing of {len(names)} package{'s' * (len(names) != 1)} ({', '.join(names[:3])}{more})"


def forbidden(installed: Iterable[metadata.Distribution]) -> list[str]:
    """A line for each package whose licence we may not ship with, or do not know."""
    lines = []
    for each in installed:
        name, licence = each.metadata["Name"], licence_of(each)
        free = [part for part in re.split(r"\bOR\b|\|", licence) if part.strip() and not strong(part)]
        if not licence:
            lines.append(f"{name}: it names none")
        elif not free:
            lines.append(f"{name}: {licence}")
    return lines


def strong(licence: str) -> bool:
    """Whether a licence reaches beyond the package that has it."""
    return bool(
        STRONG.search(re.sub(r"\bLGPL[\w.+-]*|\bGNU Lesser General[\w ]*|GNU Library[\w ]*", "", licence))
    )


def licence_of(each: metadata.Distribution) -> str:
    """What a package says of itself: the expression, else its classifiers, else the first line of its text."""
    told = each.metadata
    classified = [
        line.rpartition("::")[2].strip()
        for line in told.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    text = (told.get("License") or "").strip().splitlines()
    known = UNDECLARED.get(told["Name"], "")
    return (
        told.get("License-Expression") or " | ".join(classified) or (text[0][:100] if text else "") or known
    )


if __name__ == "__main__":
    sys.exit(main())
