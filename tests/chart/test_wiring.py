"""That the objects fit together: selectors, ports, names, times."""

import math
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bidder import app, treasury
from bidder.config import ENVIRONMENT, SECRETS, Config
from bidder.settings import PRIVATE
from bidder.supervisor import service
from tests.chart.rendering import EVERY, Manifest, containers, loaded, manifests, one, pods, workload


def _matches(labels: dict[str, str], selector: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


@pytest.mark.parametrize("name", EVERY)
def test_selectors_select_pods(name: str) -> None:
    """Every Service, policy, budget, spread and monitor selects pods of exactly one kind, and workloads their own."""
    objects = manifests(name)
    found = {whose: pod["metadata"]["labels"] for whose, pod in pods(objects)}
    for each in objects:
        for selector in _selectors(each):
            chosen = {
                labels["app.kubernetes.io/component"]
                for labels in found.values()
                if _matches(labels, selector)
            }
            if (
                each["kind"] == "NetworkPolicy"
                and selector.get("app.kubernetes.io/component") == "job"
                and not chosen
            ):
                continue  # all chores are off
            assert len(chosen) == 1, f"{each['kind']} {each['metadata']['name']}: {selector}"


def _selectors(each: Manifest) -> list[dict[str, str]]:
    spec: dict[str, Any] = each.get("spec", {})
    if each["kind"] == "Service":
        return [spec["selector"]]
    if each["kind"] == "NetworkPolicy":
        return [spec["podSelector"]["matchLabels"]]
    if each["kind"] == "PodMonitor":
        return [spec["selector"]["matchLabels"]]
    if each["kind"] in ("StatefulSet", "Deployment", "PodDisruptionBudget"):
        spread = spec.get("template", {}).get("spec", {}).get("topologySpreadConstraints", [])
        return [spec["selector"]["matchLabels"], *(part["labelSelector"]["matchLabels"] for part in spread)]
    return []


@pytest.mark.parametrize("name", EVERY)
def test_every_named_port_exists(name: str) -> None:
    """Ports that Services, probes, policies, ingresses and monitors name are ports of the pods that they mean."""
    objects = manifests(name)
    services = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "Service"}
    for spec in services.values():
        ports = _ports_of(objects, spec["selector"])
        assert {port["targetPort"] for port in spec["ports"]} <= ports
    for each in objects:
        if each["kind"] == "Ingress":
            for rule in each["spec"]["rules"]:
                for path in rule["http"]["paths"]:
                    backend = path["backend"]["service"]
                    assert backend["port"]["name"] in {
                        port["name"] for port in services[backend["name"]]["ports"]
                    }
        elif each["kind"] == "NetworkPolicy":
            ports = _ports_of(objects, each["spec"]["podSelector"]["matchLabels"])
            assert {
                port["port"] for rule in each["spec"].get("ingress") or [] for port in rule["ports"]
            } <= ports
        elif each["kind"] in ("PodMonitor", "ServiceMonitor"):
            assert "ops" in _ports_of(objects, workload(objects)["spec"]["selector"]["matchLabels"])
    for _, pod in pods(objects):
        for container in containers(pod):
            named = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                asked = container.get(probe, {})
                how = asked.get("httpGet") or asked.get("tcpSocket")
                assert how is None or how["port"] in named


def _ports_of(objects: list[Manifest], selector: dict[str, str]) -> set[str]:
    return {
        port["name"]
        for _, pod in pods(objects)
        if _matches(pod["metadata"]["labels"], selector)
        for container in containers(pod)
        for port in container.get("ports", [])
    }


def test_a_service_monitor_finds_one_service() -> None:
    """The metrics are scraped once: of the Services only that of the operators' port has the monitor's labels."""
    objects = manifests("service_monitor")
    wanted = one(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    services = [each for each in objects if each["kind"] == "Service"]
    found = [each["metadata"]["name"] for each in services if _matches(each["metadata"]["labels"], wanted)]
    assert found == ["paceline-ops"]


def test_a_port_with_names_knows_its_service(tmp_path: Path) -> None:
    """Where names of the operators' port are given, those of its Service are among them: `helm test` calls it so."""
    objects = manifests("settings")
    hosts = loaded(objects, tmp_path).ops.hosts
    assert hosts == ("ops.example.com", "paceline-ops", "paceline-ops.ads", "paceline-ops.ads.svc")
    (container,) = one(objects, "Pod", "paceline-test")["spec"]["containers"]
    (called,) = [each["value"] for each in container["env"] if each["name"] == "OPS"]
    assert urlsplit(called).hostname in hosts
    assert loaded(manifests("default"), tmp_path).ops.hosts == ()


def test_production_says_what_a_production_must(tmp_path: Path) -> None:
    """The example gives the settings that no default can guess, by their own names, and Paceline takes them."""
    config = loaded(manifests("production"), tmp_path)
    assert config.ledger.wait_replicas == 1
    assert config.exchange.drain_wait_s > 0
    assert config.ready_timeout_s > Config().ready_timeout_s
    assert config.metrics.top_line_items > Config().metrics.top_line_items
    assert config.public.rates.beacons.per_s > config.public.rates.shop.per_s
    assert config.public.proxies not in ((), PRIVATE)
    assert config.exchange.tls.cert_file
    assert config.ops.tls.cert_file
    assert config.ops.metrics_token


@pytest.mark.parametrize("name", EVERY)
def test_an_instance_has_time_to_end(name: str, tmp_path: Path) -> None:
    """SIGKILL comes after serving on, draining and giving money back, each at its longest."""
    objects = manifests(name)
    spec = workload(objects)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    on_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    port = loaded(objects, tmp_path).exchange
    drain_s = math.ceil(port.drain_wait_s + port.drain_timeout_s)
    needed_s = on_s + drain_s + service.KILL_AFTER_S
    assert spec["terminationGracePeriodSeconds"] > needed_s
    assert service.KILL_AFTER_S >= app.VIEWS_S
    assert spec["terminationGracePeriodSeconds"] >= on_s + drain_s + treasury.CLOSE_S + app.VIEWS_S
    ready = container["readinessProbe"]
    assert port.drain_wait_s >= ready["periodSeconds"] * ready["failureThreshold"]


@pytest.mark.parametrize(
    ("name", "workers", "cores", "memory_mi"), [("default", 2, 3, 2048), ("big", 31, 32, 40704)]
)
def test_workers_are_cores(name: str, workers: int, cores: int, memory_mi: int) -> None:
    """Workers, and one core more, are asked for whole and are the limit, so that a node can pin them."""
    (container,) = workload(manifests(name))["spec"]["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["--workers", str(workers)]
    assert container["resources"]["requests"] == {"cpu": str(cores), "memory": f"{memory_mi}Mi"}
    assert container["resources"]["limits"] == container["resources"]["requests"]


def test_autoscaling_aims_at_the_workload() -> None:
    """It scales what there is, between its bounds, and nobody else sets the number of instances."""
    objects = manifests("autoscaling_on_lateness")
    scaler = one(objects, "HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "paceline"}
    assert "replicas" not in workload(objects)["spec"]
    processor, late = scaler["metrics"]
    assert processor["resource"]["target"]["averageUtilization"] == 40  # 60 % of two of three cores
    assert late["pods"]["metric"]["name"] == "paceline_late_share"
    assert late["pods"]["target"]["averageValue"] == "20m"


def test_money_has_a_disk(tmp_path: Path) -> None:
    """Notices that wait outlive a pod in a StatefulSet, the journal everything; a Deployment keeps the journal."""
    kept = workload(manifests("default"))["spec"]
    (claim,) = kept["volumeClaimTemplates"]
    assert kept["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    for name in ("default", "deployment", "production", "minimal"):
        objects = manifests(name)
        config = loaded(objects, tmp_path)
        (container,) = workload(objects)["spec"]["template"]["spec"]["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert config.data_dir.startswith(mounts["data"] + "/")
        assert config.ledger.journal_dir.startswith(mounts["shared"] + "/")
        assert config.events.folder.startswith(mounts["shared"] + "/")
        shared = one(objects, "PersistentVolumeClaim", "paceline-shared")
        assert shared["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert claim["metadata"]["name"] == "data"


def test_chores_have_what_they_need() -> None:
    """Each runs one command of ours, beside the shared disk; the audit may not write there."""
    for name, words in {
        "affinity": "train affinity",
        "retention": "retention sweep",
        "audit": "audit",
    }.items():
        spec = one(manifests("default"), "CronJob", f"paceline-{name}")["spec"]["jobTemplate"]["spec"][
            "template"
        ]["spec"]
        (container,) = spec["containers"]
        assert container["args"][0].rstrip().endswith(f"exec paceline {words}")
        (shared,) = [mount for mount in container["volumeMounts"] if mount["name"] == "shared"]
        assert shared.get("readOnly", False) is (name == "audit")
        assert spec["restartPolicy"] == "Never"
        assert "affinity" not in spec
    alone = one(manifests("one_instance"), "CronJob", "paceline-audit")["spec"]["jobTemplate"]["spec"][
        "template"
    ]["spec"]
    assert "podAffinity" in alone["affinity"]


@pytest.mark.parametrize("name", EVERY)
def test_every_variable_is_known(name: str) -> None:
    """Paceline refuses variables of its own that it does not know; those that name files name files that are there."""
    for whose, pod in pods(manifests(name)):
        files = {
            f"{mount['mountPath']}/{item['path']}"
            for container in containers(pod)
            for mount in container.get("volumeMounts", [])
            for volume in pod["spec"].get("volumes", [])
            if volume["name"] == mount["name"]
            for item in volume.get("secret", {}).get("items", [])
        }
        for container in containers(pod):
            for variable in container.get("env", []):
                own = variable["name"]
                if not own.startswith("PACELINE_"):
                    continue
                if own.endswith("_FILE") and own not in ENVIRONMENT:
                    assert variable["value"] in files, f"{whose}: {own}"
                    own = own.removesuffix("_FILE")
                assert own in {*ENVIRONMENT, *SECRETS, "PACELINE_CONFIG"}, f"{whose}: {own}"
