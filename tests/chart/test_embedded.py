"""Rules, dashboards and scripts reach the cluster as they stand in their files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.chart.cases import CHART
from tests.chart.rendering import Manifest, containers, manifests, one, workload


def _files(folder: str, ending: str) -> list[Path]:
    return sorted((CHART / folder).glob(f"*{ending}"))


@pytest.mark.parametrize("name", ["production", "rules"])
def test_rules_are_the_files(name: str) -> None:
    """One PrometheusRule per file of rules/, with its groups, templates of alerts untouched."""
    objects = manifests(name)
    files = _files("rules", ".yaml")
    found = [each for each in objects if each["kind"] == "PrometheusRule"]
    assert len(found) == len(files)
    for path in files:
        assert one(objects, "PrometheusRule", f"paceline-{path.stem}")["spec"] == yaml.safe_load(
            path.read_text()
        )


def test_runbooks_are_links_where_their_place_is_said() -> None:
    """metrics.rules.runbookBase stands before each alert's RUNBOOKS.md, and changes nothing else."""
    text = (CHART / "rules" / "alerts.yaml").read_text()
    linked = yaml.safe_load(text.replace("RUNBOOKS.md#", "https://wiki.example.com/paceline/RUNBOOKS.md#"))
    assert one(manifests("runbooks"), "PrometheusRule", "paceline-alerts")["spec"] == linked
    assert text.count("RUNBOOKS.md#") == text.count("alert: ")


@pytest.mark.parametrize("name", ["production", "dashboards"])
def test_dashboards_are_the_files(name: str) -> None:
    """One ConfigMap per file of dashboards/, to the byte, with the label that Grafana's sidecar looks for."""
    objects = manifests(name)
    found = [each for each in objects if "-dashboard-" in each["metadata"]["name"]]
    assert len(found) == len(_files("dashboards", ".json"))
    for path in _files("dashboards", ".json"):
        each = one(objects, "ConfigMap", f"paceline-dashboard-{path.stem}")
        assert each["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert each["data"] == {path.name: path.read_text(encoding="utf-8")}
        assert len(json.dumps(each)) < 1_000_000, "a ConfigMap holds a megabyte"


def test_neither_is_there_by_default() -> None:
    """A cluster without the Prometheus operator takes the chart as it is."""
    assert not [each for each in manifests("default") if "monitoring.coreos.com" in each["apiVersion"]]


def test_settings_change_pods() -> None:
    """Pods are replaced where their configuration changed, and only there."""
    sums = {name: _checksum(manifests(name)) for name in ("default", "settings", "no_jobs", "scheduling")}
    assert sums["default"] == sums["no_jobs"] == sums["scheduling"] != sums["settings"]


def _checksum(objects: list[Manifest]) -> str:
    annotations: dict[str, str] = workload(objects)["spec"]["template"]["metadata"]["annotations"]
    return annotations["checksum/config"]


def test_models_are_shared(tmp_path: Path) -> None:
    """The script that begins a pod leads its folder of models to the shared disk, and can run again."""
    (script,) = workload(manifests("default"))["spec"]["template"]["spec"]["initContainers"][0]["args"]
    here = script.replace("/var/lib/", f"{tmp_path}/")
    for folder in ("paceline", "paceline-shared"):
        (tmp_path / folder).mkdir()
    for _ in range(2):
        subprocess.run(["sh", "-c", here], check=True, timeout=60)
    (tmp_path / "paceline" / "data" / "models" / "affinity").mkdir()
    assert (tmp_path / "paceline-shared" / "models" / "affinity").is_dir()
    train = one(manifests("default"), "CronJob", "paceline-affinity")["spec"]["jobTemplate"]["spec"][
        "template"
    ]
    assert containers(train)[0]["args"][0].startswith(script.rstrip("\n"))


def test_trial_server_keeps_money(tmp_path: Path) -> None:
    """The trial's server writes each change down, evicts nobody, and keeps the password out of command lines."""
    server = one(manifests("valkey"), "StatefulSet", "paceline-valkey")["spec"]["template"]["spec"][
        "containers"
    ][0]
    script = server["args"][0].replace("/run/valkey", str(tmp_path)).replace("exec valkey-server", "echo")
    subprocess.run(
        ["sh", "-c", script],
        check=True,
        timeout=60,
        env={"VALKEY_PASSWORD": "opensesame", "PATH": "/usr/bin:/bin"},
        capture_output=True,
    )
    lines = (tmp_path / "valkey.conf").read_text().splitlines()
    assert {
        "appendonly yes",
        "maxmemory-policy noeviction",
        "requirepass opensesame",
        "maxmemory 384mb",
    } <= set(lines)
    assert (tmp_path / "valkey.conf").stat().st_mode & 0o077 == 0


def test_probe_is_a_program() -> None:
    """The script of `helm test` compiles with the Python that the image has."""
    (script,) = one(manifests("default"), "Pod", "paceline-test")["spec"]["containers"][0]["args"]
    subprocess.run([sys.executable, "-c", f"compile({script!r}, 'probe', 'exec')"], check=True, timeout=60)
