"""The chart as the real helm renders it."""

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from bidder.config import ENVIRONMENT, Config, load
from tests.chart.cases import CHART, EXAMPLES, FEATURES
from tests.chart.tools import NoHelm, found

Manifest = dict[str, Any]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CUSTOM = ("ServiceMonitor", "PodMonitor", "PrometheusRule")
EVERY = ("default", *EXAMPLES, *FEATURES)


def helm(*arguments: str | Path, values: dict[str, Any] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run helm; skips where there is none."""
    try:
        program = found()
    except NoHelm as problem:
        pytest.skip(str(problem))
    given = ["--values", "-"] if values is not None else []
    return subprocess.run(
        [program, *arguments, *given],
        input=json.dumps(values) if values is not None else None,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def of_case(name: str) -> dict[str, Any]:
    """Its values."""
    if name in EXAMPLES:
        loaded: dict[str, Any] = yaml.safe_load(EXAMPLES[name].read_text())
        return loaded
    return FEATURES.get(name, {})


@cache
def text_of(name: str) -> str:
    """What helm writes for a case."""
    run = helm("template", "paceline", CHART, "--namespace", "ads", values=of_case(name))
    assert run.returncode == 0, f"{name}: {run.stderr}"
    return run.stdout


@cache
def manifests(name: str) -> list[Manifest]:
    """The objects of a case, for reading."""
    return [each for each in yaml.load_all(text_of(name), _Loader) if each]


def refused(values: dict[str, Any]) -> str:
    """What helm says of values that it must refuse."""
    run = helm("template", "paceline", CHART, values=values)
    assert run.returncode != 0, f"taken: {values}"
    return run.stderr


def one(objects: list[Manifest], kind: str, name: str = "paceline") -> Manifest:
    """The one object of this kind and name."""
    (only,) = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    return only


def workload(objects: list[Manifest]) -> Manifest:
    """The instances' StatefulSet or Deployment."""
    (only,) = [
        each
        for each in objects
        if each["kind"] in ("StatefulSet", "Deployment")
        and each["metadata"]["labels"]["app.kubernetes.io/component"] == "bidder"
    ]
    return only


def pods(objects: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """(Whose, what has `metadata` and `spec`) of every pod that would run."""
    for each in objects:
        name = f"{each['kind']}/{each['metadata']['name']}"
        if each["kind"] in ("StatefulSet", "Deployment"):
            yield name, each["spec"]["template"]
        elif each["kind"] == "CronJob":
            yield name, each["spec"]["jobTemplate"]["spec"]["template"]
        elif each["kind"] == "Pod":
            yield name, each


def containers(pod: Manifest) -> list[Manifest]:
    """All of a pod, those that begin it too."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def settings(objects: list[Manifest]) -> str:
    """The configuration file of the instances."""
    text: str = one(objects, "ConfigMap", workload(objects)["metadata"]["name"])["data"]["paceline.yaml"]
    return text


def loaded(objects: list[Manifest], folder: Path) -> Config:
    """The same, as the service reads it in its pod's environment."""
    path = folder / "paceline.yaml"
    path.write_text(settings(objects), encoding="utf-8")
    (container,) = workload(objects)["spec"]["template"]["spec"]["containers"]
    plain = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    return load(path, {name: value for name, value in plain.items() if name in ENVIRONMENT})
