"""What helm renders: linted strictly, valid for Kubernetes 1.30 and the newest, and the same as was looked at."""

import copy
from collections.abc import Iterator
from functools import cache

import kubernetes_validate
import kubernetes_validate.utils
import pytest

from tests.chart.cases import CHART, EXAMPLES, GOLDEN
from tests.chart.golden_renders import shown
from tests.chart.rendering import CUSTOM, EVERY, Manifest, helm, manifests, of_case, one, workload

OLDEST = "1.30"
NEWEST: str = kubernetes_validate.latest_version()


@pytest.fixture(scope="module", autouse=True)
def _schemas_are_read_once() -> Iterator[None]:
    """The package reads 1.5 MB of definitions anew for every object."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            kubernetes_validate.utils, "schema_contents", cache(kubernetes_validate.utils.schema_contents)
        )
        yield


@pytest.mark.parametrize("name", ["default", *EXAMPLES, "deployment", "valkey", "tls"])
def test_lints_strictly(name: str) -> None:
    """`helm lint --strict` has nothing to say."""
    run = helm("lint", "--strict", CHART, values=of_case(name))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 chart(s) failed" in run.stdout
    assert "[WARNING]" not in run.stdout + run.stderr


@pytest.mark.parametrize("name", EVERY)
def test_is_valid_for_kubernetes(name: str) -> None:
    """Every object is one of the oldest Kubernetes that we name, and of the newest known, without a strange field."""
    objects = manifests(name)
    assert objects
    for each in objects:
        assert not (each["kind"] in CUSTOM and name == "default")
        if each["kind"] in CUSTOM:
            _check_custom(each)
            continue
        for version in (OLDEST, NEWEST):
            kubernetes_validate.validate(each, version, strict=True)


def test_the_check_would_find_something() -> None:
    """A field that Kubernetes does not know is found, and so is a type that is wrong."""
    for spoil in ({"replica": 2}, {"replicas": "two"}):
        bad = copy.deepcopy(workload(manifests("default")))
        bad["spec"] |= spoil
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(bad, OLDEST, strict=True)


@pytest.mark.parametrize("name", EVERY)
def test_names_are_unique(name: str) -> None:
    """No object is written twice."""
    names = [(each["kind"], each["metadata"]["name"]) for each in manifests(name)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["default", "production", "minimal", "valkey", "deployment"])
def test_golden(name: str) -> None:
    """The objects are those that somebody looked at; `python -m tests.chart.golden_renders` writes them anew."""
    path = GOLDEN / f"{name}.yaml"
    assert shown(name) == path.read_text(encoding="utf-8"), (
        f"{path.name}: python -m tests.chart.golden_renders"
    )


def test_every_feature_changes_something() -> None:
    """A feature that is turned renders other objects than the default."""
    plain = shown("default")
    assert [
        name for name in EVERY if name not in ("default", "dashboards", "rules") and shown(name) == plain
    ] == []


def test_examples_say_nothing_that_is_not_there() -> None:
    """What the examples turn on is rendered."""
    kinds = {each["kind"] for each in manifests("production")}
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget", "PodMonitor", "PrometheusRule"} <= kinds
    assert {"CronJob", "NetworkPolicy", "Ingress", "ServiceAccount", "StatefulSet"} <= kinds
    assert not {"Secret", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} & kinds
    assert one(manifests("minimal"), "StatefulSet", "paceline-valkey")


def _check_custom(each: Manifest) -> None:
    """The part of the Prometheus operator's definitions that the chart uses."""
    assert each["apiVersion"] == "monitoring.coreos.com/v1"
    assert set(each) == {"apiVersion", "kind", "metadata", "spec"}
    spec = each["spec"]
    if each["kind"] == "PrometheusRule":
        assert set(spec) == {"groups"}
        for group in spec["groups"]:
            assert set(group) <= {"name", "interval", "rules", "labels", "limit", "query_offset"}
            for rule in group["rules"]:
                assert isinstance(rule["expr"], str)
                assert ("record" in rule) != ("alert" in rule)
                assert set(rule) <= {
                    "record",
                    "alert",
                    "expr",
                    "for",
                    "keep_firing_for",
                    "labels",
                    "annotations",
                }
        return
    ends = "endpoints" if each["kind"] == "ServiceMonitor" else "podMetricsEndpoints"
    assert set(spec) == {"selector", ends}
    for end in spec[ends]:
        assert set(end) <= {"port", "path", "interval", "scheme", "tlsConfig", "authorization", "relabelings"}
        assert end["port"] == "ops"
        assert end["relabelings"] == [{"targetLabel": "job", "replacement": "paceline"}]
