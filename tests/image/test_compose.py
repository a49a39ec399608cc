"""compose.yaml: containers hardened, no secret but in files, no port but on loopback; its page's commands work.

There is no engine here that would start it: what is tested is what it says, and that Paceline takes what it is given.
"""

from __future__ import annotations

import re
import subprocess
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp.test_utils import make_mocked_request

from bidder.clock import SystemClock
from bidder.config import ENVIRONMENT, SECRETS, URLS, load
from bidder.notices.keys import Keyring, load_keys
from bidder.stores.address import parse_all
from bidder.web.access import Access
from tests.image.dockerfile import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SHIPPED = re.compile(r"\$\{\w+:-([^}]*)\}")
"""A variable with what holds where nobody sets it."""
PAGE = (ROOT / "helm" / "COMPOSE.md").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_hardened(name: str) -> None:
    """Read-only root, no capability, no new privileges, a user by number that is not root, a health check, bounded
    logs, and no port but on loopback."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])
    assert "healthcheck" in service or name == "paceline"  # whose image has one
    assert service["logging"]["options"]["max-size"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert "privileged" not in service


def test_the_stores_are_for_paceline_alone() -> None:
    """They have no port, stand in a network without a way out, and the money's writes each change to disk."""
    for name in ("people", "ledger"):
        assert "ports" not in SERVICES[name]
        assert SERVICES[name]["networks"] == ["stores"]
    assert COMPOSE["networks"]["stores"]["internal"] is True
    told = SERVICES["ledger"]["command"]
    assert told[told.index("--appendonly") + 1] == "yes"
    assert told[told.index("--appendfsync") + 1] == "always"
    assert told[told.index("--maxmemory-policy") + 1] == "noeviction"


def test_secrets_are_files_and_nothing_else() -> None:
    """No variable and no argument holds a secret; every secret is a file outside of the repository, and is used."""
    used = {name for service in SERVICES.values() for name in service.get("secrets", ())}
    assert used == set(COMPOSE["secrets"])
    assert all(each["file"].startswith("./secrets/") for each in COMPOSE["secrets"].values())
    assert "/secrets/" in (ROOT / ".gitignore").read_text().split()
    told = SERVICES["paceline"]["environment"]
    assert not {"PACELINE_TOKEN_KEYS", "PACELINE_PRICE_KEYS", *URLS} & set(told)
    known = {*ENVIRONMENT, *SECRETS, *(f"{name}_FILE" for name in URLS), "PACELINE_CONFIG"}
    assert set(told) <= known


def test_the_operators_port_knows_its_names() -> None:
    """The settings that compose mounts load; they name how Prometheus calls the port, so that a web page's own name
    for this machine is refused, and no address of the open internet is believed to be a proxy."""
    told = SERVICES["paceline"]["environment"]
    (mounted,) = [
        SHIPPED.sub(r"\1", volume)
        for volume in SERVICES["paceline"]["volumes"]
        if told["PACELINE_CONFIG"] in volume
    ]
    path, place, _ = mounted.split(":")
    assert place == told["PACELINE_CONFIG"]
    config = load(ROOT / path, {"PACELINE_OPS_PORT": told.get("PACELINE_OPS_PORT", "8082")})
    assert not config.ops.loopback
    assert not config.ops.metrics_token
    scraped = yaml.safe_load((ROOT / "helm/compose/prometheus.yaml").read_text())["scrape_configs"]
    targets = {target for job in scraped for each in job["static_configs"] for target in each["targets"]}
    assert targets == {f"{name}:{config.ops.port}" for name in config.ops.hosts} == {"paceline:8082"}
    access = Access(config.ops, Keyring(((1, bytes(32)),)), SystemClock())
    for host, known in {
        **dict.fromkeys([*targets, "localhost:8082", "127.0.0.1:8082"], True),
        "evil.example": False,
    }.items():
        assert access.knows_host(make_mocked_request("GET", "/metrics", {"Host": host})) is known, host
    assert all(ip_network(each).is_private for each in config.public.proxies)


def test_what_is_mounted_is_there() -> None:
    """Every file of ours that a container reads stands where it says."""
    for service in SERVICES.values():
        for volume in [SHIPPED.sub(r"\1", each) for each in service.get("volumes", ())]:
            if volume.startswith("./") and not volume.startswith("./live:"):  # which operators make
                assert (ROOT / volume.partition(":")[0]).exists(), volume
                assert volume.endswith(":ro")
            assert volume.startswith("./") or volume.partition(":")[0] in COMPOSE["volumes"]


def test_the_commands_of_the_page_make_secrets_that_fit(tmp_path: Path) -> None:
    """The first block of helm/COMPOSE.md, run: keys that load, URLs whose passwords are those of the stores."""
    block = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    subprocess.run(["bash", "-euc", block[1]], cwd=tmp_path, check=True)
    made = tmp_path / "secrets"
    names = {Path(each["file"]).name for each in COMPOSE["secrets"].values()}
    assert {each.name for each in made.iterdir()} == names
    assert made.stat().st_mode & 0o777 == 0o700
    assert load_keys({}, str(made / "token.keys"), tmp_path).keys
    config = load(
        None,
        {
            "PACELINE_REDIS_URL_FILE": str(made / "people.url"),
            "PACELINE_LEDGER_URL_FILE": str(made / "ledger.url"),
        },
    )
    for url, store in ((config.stores.redis_url, "people"), (config.ledger.redis_url, "ledger")):
        parse_all(url)
        password = (made / f"{store}.conf").read_text().split()[1]
        assert url == f"redis://:{password}@{store}:6379/0"
