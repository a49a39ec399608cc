"""Values that are wrong are refused before anything is rendered, in words that say where and why."""

import json
import re
from typing import Any

import pytest
import yaml

from bidder.stores.address import OPTIONS, parse_all
from helm.settings import FILE, OWN, PREFIX, written
from tests.chart.cases import CHART, FEATURES
from tests.chart.rendering import helm, refused

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"workerz": 3}, "additional properties 'workerz' not allowed"),
    ({"workers": 0}, "at '/workers': minimum: got 0, want 1"),
    ({"workers": "two"}, "at '/workers': got string, want integer"),
    ({"workload": "DaemonSet"}, "at '/workload': value must be one of 'StatefulSet', 'Deployment'"),
    ({"public": {"host": "https://ads.example.com/"}}, "is not valid hostname"),
    ({"public": {"hostname": "a.example"}}, "at '/public': additional properties 'hostname' not allowed"),
    ({"config": {"log_level": "loud"}}, "at '/config/log_level': 'loud' does not match pattern"),
    ({"config": {"colour": "red"}}, "at '/config': additional properties 'colour' not allowed"),
    (
        {"config": {"exchange": {"port": 80}}},
        "at '/config/exchange': additional properties 'port' not allowed",
    ),
    ({"config": {"stores": {"redis_url": "redis://u:p@h"}}}, "additional properties 'redis_url' not allowed"),
    (
        {"config": {"privacy": {"retention_days": 31}}},
        "at '/config/privacy/retention_days': maximum: got 31, want 30",
    ),
    (
        {"redis": {"people": {"url": "http://people"}}},
        "at '/redis/people/url': value must be 'redis://host:port/db or rediss://, without credentials",
    ),
    (
        {"persistence": {"data": {"size": "lots"}}},
        "at '/persistence/data/size': 'lots' does not match pattern",
    ),
    ({"spread": {"zones": "never"}}, "value must be one of 'DoNotSchedule', 'ScheduleAnyway', 'off'"),
    ({"jobs": {"audit": {"schedule": "daily"}}}, "at '/jobs/audit/schedule': 'daily' does not match pattern"),
    ({"networkPolicy": {"exchange": {"from": [{}]}}}, "at '/networkPolicy/exchange/from/0': minProperties"),
    ({"networkPolicy": {"ops": {"from": [{"cidr": "10.0.0.0"}]}}}, "'10.0.0.0' does not match pattern"),
    ({"networkPolicy": {"dns": {"to": [{"cidr": "10.0.0.0/8", "podLabels": {"a": "b"}}]}}}, "'oneOf' failed"),
    ({"image": {"digest": "latest"}}, "at '/image/digest': 'latest' does not match pattern"),
    ({"metrics": {"monitor": "Agent"}}, "value must be one of 'none', 'ServiceMonitor', 'PodMonitor'"),
    ({"metrics": {"rules": {"runbookBase": "wiki/RUNBOOKS.md"}}}, "'/metrics/rules/runbookBase'"),
    ({"serviceAccount": {"rules": []}}, "at '/serviceAccount': additional properties 'rules' not allowed"),
]
CREDENTIALS = [
    "redis://:hunter2@money:6379",
    "http://:hunter2@money",
    "redis://money/0?password=hunter2",
    "redis://money/0?username=ads&password=hunter2",
    "redis://money/0?%70assword=hunter2",
    "rediss://money:6380/0?ssl_ca_certs=/etc/ca.crt&password=hunter2",
    "redis://money:6379,redis://more:6379?password=hunter2",
    "redis://money#hunter2",
]
PLAIN = [
    "redis://money",
    "rediss://money.example.com:6380/0?ssl_ca_certs=/etc/paceline/redis-tls/ca.crt&ssl_cert_reqs=none",
    "redis://a-0:6379?db=1,redis://[fd00::1]:6379/1",
    "rediss://a?ssl_certfile=/x/tls.crt&ssl_keyfile=/x/tls.key",
]
CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    (
        {"persistence": {"shared": {"accessMode": "ReadWriteOnce"}}},
        "up to 2 instances share the ledger's journal, which needs ReadWriteMany; ReadWriteOnce serves one instance",
    ),
    (
        {"autoscaling": {"enabled": True, "min": 9, "max": 3}},
        "autoscaling.min (9) is above autoscaling.max (3)",
    ),
    ({"campaigns": {"source": "files"}}, "campaigns.files: campaigns.source is files, and there is none"),
    ({"campaigns": {"files": {"a.yaml": "a"}}}, "campaigns.source is configMap: say files"),
    ({"valkey": {"enabled": True}, "redis": {"people": {"url": "redis://a:1"}}}, "leave redis.people.url"),
    ({"valkey": {"enabled": True}, "redis": {"people": {"cluster": True}}}, "is one server, no cluster"),
    ({"exchange": {"tls": {"clientCa": True}}}, "exchange.tls.clientCa needs exchange.tls.secretName"),
    *(
        (
            {"config": {"ops": {"hosts": ["ops.example.com"]}}, "metrics": {"monitor": kind}},
            f"a {kind} has Prometheus call pods by their addresses",
        )
        for kind in ("ServiceMonitor", "PodMonitor")
    ),
    *(
        (
            {"public": {"service": {"type": kind, "externalTrafficPolicy": "Cluster"}}, "config": others},
            f"behind a {kind} with Cluster every caller comes from a node's private address",
        )
        for kind in ("LoadBalancer", "NodePort")
        for others in ({}, {"public": {"hsts_days": 1}})
    ),
]


@pytest.mark.parametrize(("values", "words"), WRONG)
def test_schema_refuses(values: dict[str, Any], words: str) -> None:
    """A value that is none is refused with its place."""
    assert words in refused(values)


@pytest.mark.parametrize(("values", "words"), CONTRADICTIONS)
def test_contradictions_are_refused(values: dict[str, Any], words: str) -> None:
    """Values that cannot be together are refused with the reason, and without what is secret."""
    assert words in refused(values)


@pytest.mark.parametrize("store", ["people", "ledger"])
@pytest.mark.parametrize("url", CREDENTIALS)
def test_credentials_are_refused_and_not_repeated(store: str, url: str) -> None:
    """A store's URL in the values has no password, wherever one could stand: it would lie in manifests and in helm's
    history. The refusal says where it belongs, and does not repeat it."""
    told = refused({"redis": {store: {"url": url}}})
    assert f"at '/redis/{store}/url'" in told
    assert "a password belongs in the Secret: put the whole URL there, under the key of secretKey" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("url", PLAIN)
def test_urls_without_credentials_are_taken(url: str) -> None:
    """What Paceline reads, and holds no secret, may stand in the values; its options are the address's own."""
    run = helm("template", "paceline", CHART, values={"redis": {"people": {"url": url}}})
    assert run.returncode == 0, run.stderr
    assert parse_all(url)
    pattern = json.loads(FILE.read_text(encoding="utf-8"))["$defs"]["store"]["properties"]["url"]["else"][
        "const"
    ]
    assert all(option in pattern for option in OPTIONS)


@pytest.mark.parametrize("proxies", [[], ["10.1.0.0/16"]])
def test_said_proxies_allow_hidden_callers(proxies: list[str]) -> None:
    """Who names the proxies that are believed may have callers hidden behind nodes."""
    service = {"type": "LoadBalancer", "externalTrafficPolicy": "Cluster"}
    values = {"public": {"service": service}, "config": {"public": {"proxies": proxies}}}
    run = helm("template", "paceline", CHART, values=values)
    assert run.returncode == 0, run.stderr
    assert "externalTrafficPolicy: Cluster" in run.stdout


def test_callers_keep_their_addresses_unless_told() -> None:
    """A Service that is opened to the outside, and no more said, hands on whence a call comes."""
    opened = {"service": {"type": "LoadBalancer"}}
    run = helm("template", "paceline", CHART, values={"public": opened, "exchange": opened})
    policies = re.findall("externalTrafficPolicy: (.*)", run.stdout)
    assert policies == ["Local", "Local"]


def test_settings_are_those_of_the_code() -> None:
    """The schema's settings are what bidder.config takes: `python -m helm.settings` has been run."""
    text = FILE.read_text(encoding="utf-8")
    assert written(text) == text


def test_what_the_chart_makes_is_no_setting() -> None:
    """Addresses, folders and files that the templates write cannot be given twice."""
    schema = json.loads(FILE.read_text(encoding="utf-8"))["$defs"]
    for name, own in OWN.items():
        assert not own & set(schema[PREFIX + name]["properties"])


def test_schema_is_strict_everywhere() -> None:
    """Every object names its fields or the type of all, every value has words that say what it is."""
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    own = {name: each for name, each in schema["$defs"].items() if not name.startswith(PREFIX)}
    for place, node in _objects({"properties": schema["properties"], "$defs": own}, ""):
        assert "additionalProperties" in node or node.get("maxProperties") == 0, place
        assert node["additionalProperties"] is not True if "additionalProperties" in node else True, place
        for name, each in node.get("properties", {}).items():
            assert "description" in each or "$ref" in each, f"{place}/{name}"
    for name, node in schema["$defs"].items():
        assert "description" in node or "enum" in node, name
        if node.get("type") == "object" and "properties" in node:
            assert node["additionalProperties"] is False, name


def _objects(node: Any, place: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    if isinstance(node, dict):
        if node.get("type") == "object":
            found.append((place, node))
        for key, value in node.items():
            found += _objects(value, f"{place}/{key}")
    return found


def test_every_value_stands_in_the_file_of_defaults() -> None:
    """values.yaml shows every field of the schema, and nothing else is taken."""
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert set(schema["properties"]) - {"global"} == set(defaults)
    for name, node in schema["properties"].items():
        if node.get("properties") and name in defaults:
            assert set(node["properties"]) == set(defaults[name]), name
    turned = {key for values in FEATURES.values() for key in values}
    assert set(defaults) <= turned, "a feature that no case turns"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {},
            [
                "the keys token-keys, people-url, ledger-url",
                "ConfigMap paceline-campaigns",
                "no notice and no click",
            ],
        ),
        (
            {"valkey": {"enabled": True}},
            [
                "!!! A TRIAL",
                "Never for production",
                "valkey-password",
                "redis://:PASSWORD@paceline-valkey:6379/0",
            ],
        ),
        (
            {"exchange": {"service": {"type": "NodePort", "externalTrafficPolicy": "Cluster"}}},
            ["!!! exchange.service.externalTrafficPolicy is Cluster: exchanges come from nodes"],
        ),
        ({"campaigns": {"source": "demo"}}, ["!!! PLAY MONEY"]),
        ({"workload": "Deployment"}, ["!!! workload is Deployment"]),
        ({"networkPolicy": {"enabled": False}}, ["!!! networkPolicy is off"]),
    ],
)
def test_notes_say_what_is_needed_and_what_is_dangerous(values: dict[str, Any], words: list[str]) -> None:
    """What helm prints after an installation names what must be there, and warns of what must not stay."""
    run = helm("install", "--dry-run=client", "paceline", CHART, values=values)
    assert run.returncode == 0, run.stderr
    notes = run.stdout.rpartition("NOTES:")[2]
    for each in words:
        assert each in notes
    if not values:
        assert "TRIAL" not in notes
