"""What we build upon: the audit tells vulnerable, sound and not looked up apart; locks agree; licences are known."""

from __future__ import annotations

import importlib.metadata as metadata
import importlib.util
import json
import ssl
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.test_lock import ROOT

AUDIT = ROOT / ".ci" / "audit.py"


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("audit_of_ours", AUDIT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


audit = _module()


def package(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": [], **more}


HOLE = {"id": "PYSEC-2099-1", "fix_versions": ["1.1"], "aliases": [], "description": "a hole"}
UNKNOWN = {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited"}


def run(folder: Path, **answers: list[dict[str, Any]] | str) -> subprocess.CompletedProcess[str]:
    """The audit with a service that answers so; a text is what a client says that reached nobody."""
    (folder / "answers.json").write_text(json.dumps(answers))
    (folder / "service.py").write_text(
        "import json, pathlib, sys\n"
        "answer = json.loads(pathlib.Path(__file__).with_name('answers.json').read_text())\n"
        "answer = answer[sys.argv[sys.argv.index('-s') + 1]]\n"
        "if isinstance(answer, str):\n"
        "    sys.exit(answer)\n"
        "print(json.dumps({'dependencies': answer, 'fixes': []}))\n"
        "sys.exit(any(each.get('vulns') for each in answer))\n"
    )
    command = [sys.executable, str(AUDIT), "--command", f"{sys.executable} {folder / 'service.py'}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_nothing_known_is_sound(tmp_path: Path) -> None:
    """Every package was looked up and none has an advisory: 0."""
    done = run(tmp_path, pypi=[package("a"), package("b")], osv="not asked")
    assert done.returncode == 0, done.stdout
    assert "2 packages, no known vulnerability (pypi)" in done.stdout


def test_a_known_vulnerability_fails(tmp_path: Path) -> None:
    """An advisory is named with the version that mends it: 1, also where other packages could not be looked up."""
    done = run(tmp_path, pypi=[package("a", vulns=[HOLE]), UNKNOWN], osv="not asked")
    assert done.returncode == 1
    assert "VULNERABLE a 1.0: PYSEC-2099-1 (fixed in 1.1)" in done.stdout


def test_the_second_service_is_asked(tmp_path: Path) -> None:
    """Where the first knows not all packages, the second decides."""
    assert run(tmp_path, pypi=[package("a"), UNKNOWN], osv=[package("a"), package("b")]).returncode == 0
    assert run(tmp_path, pypi="ConnectionError: nobody", osv=[package("a", vulns=[HOLE])]).returncode == 1


def test_services_that_cannot_be_reached_are_told_apart(tmp_path: Path) -> None:
    """No advisory service answered: neither sound nor vulnerable but 3, with the reason of each."""
    done = run(tmp_path, pypi=[package("a"), UNKNOWN], osv="ConnectionError: name or service not known")
    assert done.returncode == 3
    assert "NOT AUDITED" in done.stdout
    assert "pypi: it knows nothing of 1 package (b)" in done.stdout
    assert "osv: name not found" in done.stdout
    assert "all with licences that we may ship with" in done.stdout


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "SSLError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed')",
            "certificate not trusted",
        ),
        ("Caused by NameResolutionError(host='api.osv.dev')", "name not found"),
        ("NewConnectionError: [Errno 111] Connection refused", "connection refused"),
        ("ReadTimeout: read timed out. (read timeout=15)", "no answer in time"),
        ("something else", "something else"),
        ("word " * 100, ("word " * 39).strip() + " ..."),
    ],
)
def test_reasons_are_words(line: str, reason: str) -> None:
    """An exception's repr is for nobody; what is not known is cut between words."""
    assert audit.reason_of(line) == reason


def test_certificates_are_those_that_pip_trusts() -> None:
    """PIP_CERT, SSL_CERT_FILE, the system's; what is said for pip-audit itself stands."""
    bundle = "REQUESTS_CA_BUNDLE"
    assert audit.trusting({"PIP_CERT": "a", "SSL_CERT_FILE": "b"})[bundle] == "a"
    assert audit.trusting({"SSL_CERT_FILE": "b"})[bundle] == "b"
    assert audit.trusting({"SSL_CERT_FILE": "b", bundle: "c"})[bundle] == "c"
    assert audit.trusting({}).get(bundle) == ssl.get_default_verify_paths().cafile


def named(**fields: str) -> Any:
    message = EmailMessage()
    message["Name"] = "it"
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return SimpleNamespace(metadata=message)


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"License_Expression": "MIT"}, False),
        ({"License_Expression": "MPL-2.0 AND (Apache-2.0 OR MIT)"}, False),
        ({"License_Expression": "GPL-3.0-only"}, True),
        ({"License_Expression": "AGPL-3.0-or-later"}, True),
        ({"License_Expression": "GPL-2.0-only OR MIT"}, False),
        ({"License": "LGPL-2.1-or-later"}, False),
        ({"License": "GNU General Public License v3"}, True),
        ({"License": "SSPL-1.0"}, True),
        ({"Classifier": "License :: OSI Approved :: GNU Lesser General Public License v3 (LGPLv3)"}, False),
        ({"Classifier": "License :: OSI Approved :: GNU Affero General Public License v3"}, True),
        ({}, True),
    ],
)
def test_licences_that_reach_beyond_their_package_are_refused(fields: dict[str, str], refused: bool) -> None:
    """GPL, AGPL, SSPL and the like, and none at all; MPL, LGPL and a choice of another are taken."""
    assert bool(audit.forbidden([named(**fields)])) is refused


def test_every_installed_package_has_a_licence_that_we_may_ship_with() -> None:
    """Of all that the lock installs."""
    assert audit.forbidden(metadata.distributions()) == []
