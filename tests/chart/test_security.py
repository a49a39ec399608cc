"""What a pod of the chart may do: nothing but its work."""

import pytest

from tests.chart.rendering import EVERY, Manifest, containers, manifests, one, pods, workload

SECRET_WORDS = ("password", "secret", "token", "key", "redis://:", "rediss://:")


@pytest.mark.parametrize("name", EVERY)
def test_pods_have_no_rights(name: str) -> None:
    """Every pod runs as nobody's user, cannot write its image, has no capability and no token of the cluster's."""
    seen = 0
    for whose, pod in pods(manifests(name)):
        seen += 1
        spec = pod["spec"]
        rights = spec["securityContext"]
        assert rights["runAsNonRoot"] is True, whose
        assert rights["runAsUser"] > 0, whose
        assert rights["runAsGroup"] > 0, whose
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}, whose
        assert spec["automountServiceAccountToken"] is False, whose
        assert spec["enableServiceLinks"] is False, whose
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), whose
        assert not any("hostPath" in volume for volume in spec.get("volumes", [])), whose
        for container in containers(pod):
            _check_container(container, f"{whose} {container['name']}")
    assert seen >= 2


@pytest.mark.parametrize("name", EVERY)
def test_no_secret_is_written_down(name: str) -> None:
    """Secrets come from a Secret by reference; no object that helm writes has one, and it writes no Secret."""
    objects = manifests(name)
    assert "Secret" not in {each["kind"] for each in objects}
    for whose, pod in pods(objects):
        for container in containers(pod):
            for variable in container.get("env", []):
                _check_variable(variable, whose)
    for each in objects:
        if each["kind"] == "ConfigMap" and "paceline.yaml" in each["data"]:
            assert "redis_url" not in each["data"]["paceline.yaml"]
            assert "@" not in each["data"]["paceline.yaml"].replace("privacy@example.com", "")


@pytest.mark.parametrize("name", EVERY)
def test_only_data_is_writable(name: str) -> None:
    """What a container may write is a disk of its own or a scratch folder; settings, keys and campaigns it reads."""
    for whose, pod in pods(manifests(name)):
        templates = {"data"} if whose.startswith("StatefulSet") else set()
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        assert {"data"} & set(volumes) == set() or not templates, whose
        for container in containers(pod):
            for mount in container.get("volumeMounts", []):
                assert mount["name"] in set(volumes) | templates, f"{whose}: {mount['name']}"
                volume = volumes.get(mount["name"], {"persistentVolumeClaim": {}})
                if {"secret", "configMap"} & set(volume) or mount["name"] == "campaigns":
                    assert mount["readOnly"] is True, f"{whose}: {mount['name']}"
                    assert "subPath" not in mount, "a changed file would never arrive"


def test_account_has_no_rights() -> None:
    """The account hands out no token, and nothing is bound to it."""
    objects = manifests("production")
    assert one(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    assert not [each for each in objects if each["apiVersion"].startswith("rbac")]


def test_nothing_reaches_private_networks_by_feeds() -> None:
    """https goes out to the open internet, without private networks and the clouds' metadata."""
    (feeds,) = [
        rule
        for rule in one(manifests("default"), "NetworkPolicy")["spec"]["egress"]
        if {"protocol": "TCP", "port": 443} in rule["ports"]
    ]
    left_out = {net for peer in feeds["to"] for net in peer["ipBlock"]["except"]}
    assert {
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    } <= left_out


def test_the_trials_password_is_its_servers_alone() -> None:
    """Paceline reads the trial's address from a file: what it starts inherits an environment without the password."""
    for whose, pod in pods(manifests("valkey")):
        for container in containers(pod):
            secret = {each["name"] for each in container.get("env", []) if "secretKeyRef" in str(each)}
            assert secret == ({"VALKEY_PASSWORD"} if container["name"] == "valkey" else set()), whose
    (container,) = workload(manifests("valkey"))["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each["value"] for each in container["env"]}
    assert told["PACELINE_REDIS_URL_FILE"] == "/etc/paceline/stores/people-url"
    assert not {"PACELINE_REDIS_URL", "PACELINE_LEDGER_URL", "PACELINE_LEDGER_URL_FILE"} & set(told)


def test_the_test_pod_reaches_two_ports() -> None:
    """`helm test` resolves names and calls the exchange port and the operators' port of its own release, nothing else;
    nobody calls it."""
    spec = one(manifests("default"), "NetworkPolicy", "paceline-test")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert not spec["ingress"]
    names, own = spec["egress"]
    assert {each["port"] for each in names["ports"]} == {53}
    (peer,) = own["to"]
    assert peer == {
        "podSelector": {"matchLabels": workload(manifests("default"))["spec"]["selector"]["matchLabels"]}
    }
    assert [each["port"] for each in own["ports"]] == [8080, 8082]
    (let_in,) = [
        rule
        for rule in one(manifests("default"), "NetworkPolicy")["spec"]["ingress"]
        if rule["from"] == [{"podSelector": spec["podSelector"]}]
    ]
    assert [each["port"] for each in let_in["ports"]] == ["exchange", "ops"]


def test_no_peers_is_nobody() -> None:
    """A list without peers is no rule; a rule without peers would let everybody in. What remains is `helm test`."""
    for policy in [each for each in manifests("closed_policy") if each["kind"] == "NetworkPolicy"]:
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for rule in policy["spec"].get("ingress") or []:
            assert [
                peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in rule["from"]
            ] == ["test"]
        left = policy["spec"].get("egress") or []
        assert [
            rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for rule in left
        ] == (["bidder"] if policy["metadata"]["name"].endswith("-test") else [])


@pytest.mark.parametrize("name", EVERY)
def test_policies_never_open_to_all(name: str) -> None:
    """Every rule names its peers and its ports."""
    for policy in [each for each in manifests(name) if each["kind"] == "NetworkPolicy"]:
        for rule in policy["spec"].get("ingress") or []:
            assert rule["from"]
            assert rule["ports"]
        for rule in policy["spec"].get("egress") or []:
            assert rule["to"]
            assert rule["ports"]


def _check_container(container: Manifest, whose: str) -> None:
    rights = container["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True, whose
    assert rights["allowPrivilegeEscalation"] is False, whose
    assert rights["privileged"] is False, whose
    assert rights["runAsNonRoot"] is True, whose
    assert rights["capabilities"] == {"drop": ["ALL"]}, whose
    assert rights["seccompProfile"] == {"type": "RuntimeDefault"}, whose
    for bound in ("requests", "limits"):
        assert {"cpu", "memory"} <= set(container["resources"][bound]), whose
    assert not container["image"].endswith((":latest", ":")), whose


def _check_variable(variable: Manifest, whose: str) -> None:
    assert ("value" in variable) != ("valueFrom" in variable), whose
    assert "@" not in variable.get("value", ""), whose
    if any(word in variable["name"].lower() for word in SECRET_WORDS):  # by reference, or the name of a file
        assert "valueFrom" in variable or variable["name"].endswith("_FILE"), whose
