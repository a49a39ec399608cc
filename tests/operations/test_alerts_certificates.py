"""Certificates on a real port: one that ends soon, files that cannot be used, and the end of both alarms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bidder.supervisor.serving import until
from tests.certificates import Authority
from tests.operations.prometheus import Watch
from tests.operations.stage import short_rules
from tests.service.service import started

pytestmark = pytest.mark.process

EXPIRES = {"CertificateExpires", "CertificateExpiresSoon"}


def test_a_certificate_that_ends_and_one_that_cannot_be_used(
    tmp_path: Path, watch: Callable[..., Watch]
) -> None:
    """A day before its end both alerts fire; files that do not fit raise the third; good ones end all three."""
    authority = Authority(tmp_path / "certificates")
    files = authority.sign("exchange", days=1)
    tls = {"cert_file": str(files.certificate), "key_file": str(files.key)}
    with started(tmp_path / "data", settings={"exchange": {"tls": tls}}) as service:
        seen = watch(service.ports["ops"], short_rules(tmp_path))
        until(lambda: seen.received() >= EXPIRES, "the certificate's alerts")
        files.certificate.write_text("no certificate")
        service.hang_up()
        until(lambda: "CertificateReloadFailed" in seen.received(), "the files' alert")
        assert seen.firing() >= EXPIRES, "the port shows what it had"
        authority.sign("exchange", days=90)
        service.hang_up()
        over = EXPIRES | {"CertificateReloadFailed"}
        until(lambda: not over & (seen.received() | seen.firing()), "the end of all three")
