"""The example of an Alertmanager's configuration: valid, without secrets, and true to the alerts that there are."""

from __future__ import annotations

import re

import pytest

from tests.operations.prometheus import run
from tests.operations.rules import ROUTES, alerts, load

NAMES = {alert.name for alert in alerts()}


def test_amtool_takes_it() -> None:
    """`amtool check-config` finds nothing wrong."""
    done = run("amtool", "check-config", ROUTES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["service=paceline", "severity=page"], "pager"),
        (["service=paceline", "severity=ticket"], "tickets"),
        (["service=other", "severity=page"], "tickets"),
    ],
)
def test_who_is_told(labels: list[str], receiver: str) -> None:
    """Our pages go to whoever is on call, everything else to the channel."""
    done = run("amtool", "config", "routes", "test", f"--config.file={ROUTES}", *labels)
    assert done.stdout.split() == [receiver], done.stderr


def test_no_secret_stands_in_it() -> None:
    """Keys and addresses with keys in them are named by their files."""
    for receiver in load(ROUTES)["receivers"]:
        for kind, (settings,) in ((key, value) for key, value in receiver.items() if key != "name"):
            (secret,) = [name for name in settings if name.endswith("_file")]
            assert settings[secret].startswith("/etc/alertmanager/secrets/"), kind
            assert not {"routing_key", "service_key", "api_url", "url"} & set(settings)


def test_inhibitions_name_alerts_that_exist() -> None:
    """Each name or pattern of a matcher fits an alert; no alert inhibits itself for want of `equal`."""
    for rule in load(ROUTES)["inhibit_rules"]:
        sides = [matched(rule[side]) for side in ("source_matchers", "target_matchers")]
        assert all(sides), rule
        assert not sides[0] & sides[1], rule


def matched(matchers: list[str]) -> set[str]:
    """The alerts that all of these matchers fit."""
    names = set()
    for alert in alerts():
        labels = {"alertname": alert.name} | alert.raw["labels"]
        if all(fits(each, labels) for each in matchers):
            names.add(alert.name)
    return names


def fits(matcher: str, labels: dict[str, str]) -> bool:
    """Whether labels fit one matcher, as the Alertmanager has it."""
    found = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', matcher)
    assert found is not None, matcher
    value, wanted = labels.get(found[1], ""), found[3]
    whole = value == wanted if found[2] in ("=", "!=") else re.fullmatch(wanted, value) is not None
    return whole == (found[2] in ("=", "=~"))
