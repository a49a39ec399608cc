"""The configuration: read whole, every bound kept, every mistake named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from bidder.config import ENVIRONMENT, SECRETS, Config, ConfigError, load, of_children
from bidder.exchanges import SHIPPED
from bidder.settings import Events, PrivacyRules

TOML = """
workers = 3
campaigns = "shops"
[exchange]
port = 9000
idle_timeout_s = 200
[auction]
max_candidates = 10
[[exchanges]]
name = "prebid"
margin_ms = 5
[[exchanges]]
name = "mine"
eid_sources = ["id.example"]
"""
YAML = """
workers: 3
campaigns: shops
exchange: {port: 9000, idle_timeout_s: 200}
auction: {max_candidates: 10}
exchanges:
  - {name: prebid, margin_ms: 5}
  - {name: mine, eid_sources: [id.example]}
"""


def _write(folder: Path, text: str | bytes, name: str = "paceline.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _refusal(path: Path | None, **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environment)
    return str(caught.value)


def test_without_a_file_the_defaults_hold() -> None:
    """No file and no variables give what is documented."""
    config = load(None, {})
    assert config == Config()
    assert (config.exchange.port, config.public.port, config.ops.port) == (8080, 8081, 8082)


def test_both_languages_say_the_same(tmp_path: Path) -> None:
    """TOML and YAML of one content are one configuration."""
    toml = load(_write(tmp_path, TOML, "paceline.toml"), {})
    assert toml == load(_write(tmp_path, YAML), {})
    assert (toml.workers, toml.exchange.port, toml.exchange.idle_timeout_s) == (3, 9000, 200.0)


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    """Remarks alone are a configuration."""
    assert load(_write(tmp_path, "# nothing\n"), {}) == Config()


def test_a_configured_exchange_replaces_the_shipped_one(tmp_path: Path) -> None:
    """By name; the others stay, new ones are added."""
    profiles = {profile.name: profile for profile in load(_write(tmp_path, YAML), {}).profiles()}
    assert profiles.keys() == {profile.name for profile in SHIPPED} | {"mine"}
    assert profiles["prebid"].margin_ms == 5
    assert profiles["prebid"].ext_prebid_type is False


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    """A variable wins; numbers in it are numbers."""
    config = load(_write(tmp_path, YAML), {"PACELINE_WORKERS": "7", "PACELINE_EXCHANGE_PORT": "1234"})
    assert (config.workers, config.exchange.port, config.campaigns) == (7, 1234, "shops")


@pytest.mark.parametrize("name", ["PACELINE_LOG_LEVEL", "PACELINE_PUBLIC_BASE_URL"])
def test_a_line_break_at_the_end_is_a_mistake(name: str) -> None:
    """A value read from a file with its last line break would end in every URL."""
    value = {"PACELINE_LOG_LEVEL": "error", "PACELINE_PUBLIC_BASE_URL": "https://x.example"}[name]
    assert load(None, {name: value})
    assert "regex" in _refusal(None, **{name: f"{value}\n"})


def test_the_bounds_of_money_and_frequency_are_allowed(tmp_path: Path) -> None:
    """Settings at their edges are taken; without any, the documented ones hold."""
    text = (
        "ledger: {redis_url: 'unix:///x', max_exp_s: 1, prefetch: 1, pacing_period_s: 0.2, journal_dir: j, "
        "lease_bids: 1}\n"
        "frequency: {hold_s: 0.5, busy_ms: 1, visitors: true}\n"
    )
    config = load(_write(tmp_path, text), {})
    assert (config.ledger.max_exp_s, config.ledger.prefetch, config.ledger.pacing_period_s) == (1, 1, 0.2)
    assert (config.ledger.lease_bids, Config().ledger.lease_bids) == (1, 4)
    assert (config.frequency.hold_s, config.frequency.busy_ms, config.frequency.visitors) == (0.5, 1, True)
    plain = Config()
    assert (plain.ledger.max_exp_s, plain.ledger.prefetch, plain.ledger.pacing_period_s) == (3600, 10_000, 15)
    assert (plain.frequency.hold_s, plain.frequency.busy_ms, plain.frequency.visitors) == (60, 300, False)


@pytest.mark.parametrize("name", sorted(ENVIRONMENT))
def test_each_variable_is_read(name: str) -> None:
    """Every variable reaches the setting that the table names."""
    values = {
        "PACELINE_LOG_LEVEL": "error",
        "PACELINE_PUBLIC_BASE_URL": "https://x.example",
        "PACELINE_OPS_OPEN_METRICS": "True",
    }
    value = values.get(name, "9")
    found: object = load(None, {name: value})
    for part in ENVIRONMENT[name]:
        found = getattr(found, part)
    assert str(found) == value


def test_secrets_are_known_and_not_kept() -> None:
    """Variables of keys are no mistakes, and no part of the configuration."""
    config = load(None, dict.fromkeys(SECRETS, "s3cret"))
    assert "s3cret" not in repr(config)


def test_other_variables_of_ours_are_mistakes() -> None:
    """A misspelt variable is named; one of somebody else is none of our business."""
    assert "PACELINE_WORKER" in _refusal(None, PACELINE_WORKER="2", HOME="/")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("workers: 0", ("`int` >= 1", "$.workers")),
        ("workers: many", ("int", "$.workers")),
        ("workers: 1.5", ("int", "$.workers")),
        ("wokers: 2", ("unknown field `wokers`",)),
        ("exchange: {prot: 1}", ("unknown field `prot`", "$.exchange")),
        ("exchange: {port: 70000}", ("<= 65535", "$.exchange.port")),
        ("exchange: 5", ("object", "$.exchange")),
        ("auction: {first_price_factor: 0}", ("> 0", "$.auction.first_price_factor")),
        ("auction: {bid_currency: usd}", ("$.auction.bid_currency",)),
        ("log_level: loud", ("$.log_level",)),
        ("exchanges: [{seat: x}]", ("name", "$.exchanges[0]")),
        ("exchanges: [{name: UPPER}]", ("$.exchanges[0].name",)),
        ("exchanges: [{name: a, no_bid: never}]", ("never", "$.exchanges[0].no_bid")),
        ("- workers", ("a table of settings",)),
        ("just words", ("a table of settings",)),
        ("workers: [", ("paceline.yaml",)),
        ("workers: 2024-13-45", ("paceline.yaml", "month")),
        (b"workers: \xff", ("paceline.yaml",)),
        ("workers: !!python/object:os.system {}", ("paceline.yaml",)),
        ("public: {base_url: 'http://ads.example'}", ("public.base_url", "https")),
        ("public: {base_url: 'http://127.0.0.1.evil.example'}", ("public.base_url", "https")),
        ("public: {base_url: 'ads.example'}", ("$.public.base_url",)),
        ("privacy: {vendor_id: -1}", ("$.privacy.vendor_id",)),
        ("ledger: {max_exp_s: 0}", (">= 1", "$.ledger.max_exp_s")),
        ("ledger: {max_exp_s: 86401}", ("<= 86400", "$.ledger.max_exp_s")),
        ("ledger: {prefetch: 0}", (">= 1", "$.ledger.prefetch")),
        ("ledger: {pacing_period_s: 0.19}", (">= 0.2", "$.ledger.pacing_period_s")),
        ("ledger: {journal: x}", ("unknown field `journal`", "$.ledger")),
        ("frequency: {hold_s: 0}", ("> 0", "$.frequency.hold_s")),
        ("frequency: {busy_ms: 60001}", ("<= 60000", "$.frequency.busy_ms")),
        ("frequency: {visitors: 7}", ("bool", "$.frequency.visitors")),
    ],
    ids=str,
)
def test_a_mistake_is_named(tmp_path: Path, text: str | bytes, words: tuple[str, ...]) -> None:
    """The message holds the place and what was expected."""
    message = _refusal(_write(tmp_path, text))
    for word in words:
        assert word in message


def test_a_toml_mistake_is_named(tmp_path: Path) -> None:
    """Broken TOML names the file and the line."""
    message = _refusal(_write(tmp_path, "workers = = 2", "paceline.toml"))
    assert "paceline.toml" in message
    assert "line 1" in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Once: a file that is not there, and a folder."""
    absent = tmp_path / "none.yaml"
    assert _refusal(absent) == f"{absent}: No such file or directory"
    assert str(tmp_path) in _refusal(tmp_path)


def test_a_variable_for_a_table_that_is_none(tmp_path: Path) -> None:
    """A variable that would go into a number says so."""
    path = _write(tmp_path, "exchange: 5")
    assert "exchange" in _refusal(path, PACELINE_EXCHANGE_PORT="1")


def test_a_bad_variable_is_named(tmp_path: Path) -> None:
    """By its own name; where a file has the same mistake besides, it would not help to mend that."""
    assert (
        _refusal(None, PACELINE_EXCHANGE_PORT="http") == "PACELINE_EXCHANGE_PORT: Expected `int`, got `str`"
    )
    assert _refusal(None, PACELINE_PUBLIC_BASE_URL="http://ads.example").startswith(
        "PACELINE_PUBLIC_BASE_URL: "
    )
    path = _write(tmp_path, "workers: 0")
    assert _refusal(path, PACELINE_WORKERS="0").startswith("PACELINE_WORKERS: ")
    assert _refusal(path, PACELINE_EXCHANGE_PORT="1").startswith(f"{path}: ")


@pytest.mark.parametrize(
    "url",
    [
        "https://ads.example",
        "https://ads.example/x",
        "http://127.0.0.1:81",
        "http://localhost",
        "http://[::1]:8081",
    ],
)
def test_base_urls(url: str) -> None:
    """https, or loopback."""
    assert load(None, {"PACELINE_PUBLIC_BASE_URL": url}).public.base_url == url


@pytest.mark.parametrize(
    ("given", "bound", "url"),
    [
        ({}, 0, "http://127.0.0.1:8081"),
        ({"PACELINE_PUBLIC_PORT": "19011"}, 0, "http://127.0.0.1:19011"),
        ({"PACELINE_PUBLIC_PORT": "0"}, 40_001, "http://127.0.0.1:40001"),
        ({"PACELINE_PUBLIC_BASE_URL": "https://ads.example/x/"}, 40_001, "https://ads.example/x"),
    ],
)
def test_what_public_urls_begin_with(given: dict[str, str], bound: int, url: str) -> None:
    """The configured base URL; where none is, this machine with the port that was bound, else the configured one."""
    assert load(None, given).base_url(bound) == url


def test_events_name_their_people_for_the_shorter_time() -> None:
    """Of the two settings for how long people are kept the shorter one holds, also for the recorder."""
    config = Config(events=Events(keep_days=20), privacy=PrivacyRules(retention_days=7))
    assert config.keep_days() == config.recording().keep_days == 7
    assert Config(events=Events(keep_days=5)).keep_days() == 5
    assert Config().keep_days() == 30


def test_recorded_events_lie_in_the_data_directory() -> None:
    """Unless another folder is named."""
    assert Config(data_dir="there").events_folder() == Path("there/events")
    assert Config(events=Events(folder="elsewhere")).events_folder() == Path("elsewhere")


def test_proxies_are_networks_and_rates_are_whole(tmp_path: Path) -> None:
    """A proxy that is no network is refused with its place, and so is a rate without its burst; one kind may be changed
    alone."""
    assert "$.public.proxies[1]" in _refusal(
        _write(tmp_path, "public: {proxies: [10.0.0.0/8, 10.0.0.999]}", "a.yaml")
    )
    assert "proxies" in _refusal(_write(tmp_path, "public: {proxies: [proxy.example]}", "b.yaml"))
    assert "burst" in _refusal(_write(tmp_path, "public: {rates: {shop: {per_s: 5}}}", "c.yaml"))
    config = load(_write(tmp_path, "public: {rates: {shop: {per_s: 5, burst: 9}}}", "d.yaml"), {})
    assert (config.public.rates.shop.burst, config.public.rates.render.burst) == (9, 1_000)


def test_urls_may_stand_in_files(tmp_path: Path) -> None:
    """A variable with _FILE behind it names the file that holds its value; both at once, and a file that is not there,
    are refused without a word of what it holds."""
    secret = _write(tmp_path, "redis://:hush@redis.example:6379/0\n", "url")
    config = load(None, {"PACELINE_REDIS_URL_FILE": str(secret)})
    assert config.stores.redis_url == "redis://:hush@redis.example:6379/0"
    both = _refusal(None, PACELINE_LEDGER_URL_FILE=str(secret), PACELINE_LEDGER_URL="redis://other")
    assert "both set" in both
    missing = _refusal(None, PACELINE_LEDGER_URL_FILE=str(tmp_path / "none"))
    assert missing == f"PACELINE_LEDGER_URL_FILE: {tmp_path / 'none'}: No such file or directory"
    assert "hush" not in both + missing


def test_no_secret_of_ours_is_handed_on_to_children() -> None:
    """Neither our variables nor the password of which a deployment makes them."""
    kept = {"PATH": "/bin", "HOME": "/"}
    secret = {"PACELINE_REDIS_URL": "redis://:x@h", "PACELINE_TOKEN_KEYS": "1:00", "VALKEY_PASSWORD": "x"}
    assert of_children(kept | secret) == kept
