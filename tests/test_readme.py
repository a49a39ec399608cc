"""The README's commands run, its map is true, its settings exist."""

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from bidder.campaigns.load import load_book
from bidder.config import ENVIRONMENT, SECRETS, URLS, Config, load
from bidder.exchanges import SHIPPED
from bidder.settings import Stores
from bidder.stores.embedded import EmbeddedServer
from bidder.stores.people_writer import PeopleWriter, open_client
from tests.corpus import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
"""What is typed beside a running service: a bid, a visitor's walk, an operator's actions."""
SCRIPT = str(Path(sys.executable).with_name("paceline"))
START_S = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which an operator has what the README speaks of: a configuration and campaigns."""
    book = next(iter(sorted((ROOT / "bidder/campaigns/demo").glob("*.yaml"))))
    (tmp_path / "campaigns").mkdir()
    shutil.copy(book, tmp_path / "campaigns")
    shutil.copytree(book.parent / "feeds", tmp_path / "campaigns" / "feeds")
    shutil.copytree(tmp_path / "campaigns", tmp_path / "live")
    (tmp_path / "paceline.toml").write_text(
        'campaigns = "live"\n[exchange]\nport = 0\n[public]\nport = 0\n[ops]\nport = 0\n'
    )
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    """Ours without Paceline's variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PACELINE_")}
    return {**kept, **more}


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_exist(command: str) -> None:
    """Every `make` line of the README is a target whose recipe make can plan."""
    planned = subprocess.run(
        [*shlex.split(command), "--dry-run", "-C", str(ROOT)], capture_output=True, text=True, check=False
    )
    assert planned.returncode == 0, planned.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if re.match(r"paceline (check|campaigns)", c)])
def test_short_commands_run(command: str, folder: Path) -> None:
    """The commands that end by themselves end well."""
    words = shlex.split(command)
    done = subprocess.run(
        [SCRIPT, *words[1:]],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.process
@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("paceline serve")])
def test_serving_commands_serve(command: str, folder: Path) -> None:
    """`paceline serve`, as the README writes it, becomes ready, with the demo's shops bids on the README's request, and
    stops on SIGTERM."""
    ports = dict.fromkeys(("PACELINE_EXCHANGE_PORT", "PACELINE_PUBLIC_PORT", "PACELINE_OPS_PORT"), "0")
    running = subprocess.Popen(
        [SCRIPT, *shlex.split(command)[1:]], cwd=folder, env=environment(**ports), stderr=subprocess.DEVNULL
    )
    try:
        assert _ready(folder / "data/run/ports.json", running)
        if "--config" not in command:
            assert _bid(json.loads((folder / "data/run/ports.json").read_text())["exchange"])
            assert _recognised(folder)
            for told in [c for c in COMMANDS if c.startswith("paceline fraud")]:
                _told(folder, told)
            _acted(folder)
            _loaded(folder)
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(START_S) == 0


def test_money_commands_run(folder: Path) -> None:
    """The commands about money, in the README's order, against a ledger of their own."""
    commands = [c for c in COMMANDS if re.match(r"paceline (budget|audit)", c)]
    with EmbeddedServer(folder / "ledger") as ledger:
        money = environment(PACELINE_LEDGER_URL=ledger.url, PACELINE_CAMPAIGNS=str(folder / "live"))
        for command in commands:
            words = [SCRIPT, *shlex.split(command)[1:]]
            done = subprocess.run(
                words, cwd=folder, env=money, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    assert "every balance is proven" in done.stdout


PEOPLE = r"paceline (shop|catalogue|audience|train|events|privacy|export|erase|retention)"


def test_commands_about_people_run(folder: Path) -> None:
    """The commands about shops, people and traffic, in the README's order, against a store of their own."""
    (folder / "bidder").symlink_to(ROOT / "bidder")
    curl = CONSOLE[0]
    (folder / "request.json").write_text(shlex.split(curl)[4])
    commands = [c for c in COMMANDS if re.match(PEOPLE, c)]
    assert len(commands) >= 12
    with EmbeddedServer(folder / "store") as store:
        people = environment(PACELINE_REDIS_URL=store.url)
        asyncio.run(_known(store.url, re.findall(r"paceline export --id (\w+)", README)[0]))
        for command in commands:
            words = [SCRIPT, *shlex.split(command)[1:]]
            done = subprocess.run(
                words, cwd=folder, env=people, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
            assert "Traceback" not in done.stderr


def _recognised(folder: Path) -> bool:
    """Whether the README's visitor is bid for with an ad of products, and its server's event is taken."""
    walk = CONSOLE[1]
    ports = json.loads((folder / "data/run/ports.json").read_text())
    script = walk.replace(":8081/", f":{ports['public']}/").replace(":8080/", f":{ports['exchange']}/")
    path = f"{Path(SCRIPT).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env=environment(PATH=path),
        capture_output=True,
        text=True,
        check=False,
    )
    return "/render?t=" in done.stdout and '"accepted":1' in done.stdout


def _told(folder: Path, command: str) -> None:
    """A command that speaks of the running workers has something to say."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and not list((folder / "data/run").glob("fraud-*.json")):
        time.sleep(0.05)
    words = [SCRIPT, *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _acted(folder: Path) -> None:
    """The README's operator may do what the README lets them do, by a token that the README's command makes."""
    made = [shlex.split(c)[1:] for c in COMMANDS if c.startswith("paceline token")]
    viewer, operator = (_out([SCRIPT, *words], folder).strip() for words in made)
    assert viewer != operator
    ops = json.loads((folder / "data/run/ports.json").read_text())["ops"]
    script = CONSOLE[2].replace(":8082/", f":{ops}/").replace("curl ", "curl -sS --fail-with-body ")
    for line in script.strip().splitlines():
        _out(["bash", "-euc", line], folder, TOKEN=operator)
        refused = subprocess.run(
            ["bash", "-euc", line], env=environment(TOKEN=viewer), capture_output=True, check=False
        )
        assert refused.returncode != 0, line


def _loaded(folder: Path) -> None:
    """The README's commands of load, shorter, find the service and are answered."""
    port = json.loads((folder / "data/run/ports.json").read_text())["exchange"]
    for command in [c for c in COMMANDS if c.startswith("python -m benchmarks.load")]:
        words = shlex.split(command.replace(":8080", f":{port}"))[1:]
        shorter = ["--limit", "3"] if "--saturate" in words else []
        told = _out([sys.executable, *words, "--seconds", "1", "--rate", "40", *shorter], ROOT)
        assert "204:" in told or "200:" in told


def _out(words: list[str], folder: Path, **more: str) -> str:
    """What a command prints; it ends well."""
    done = subprocess.run(
        words, cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("paceline capacity")])
def test_the_capacity_of_the_readme(command: str, folder: Path) -> None:
    """The model answers the README's question."""
    assert "cores" in _out([SCRIPT, *shlex.split(command)[1:]], folder)


@pytest.mark.parametrize("command", [c for c in COMMANDS if re.match(r"promtool|amtool", c)])
def test_the_programs_of_prometheus_take_our_files(command: str) -> None:
    """`promtool` and `amtool`, as the README calls them, find nothing wrong."""
    words = shlex.split(command)
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed (apt-get install prometheus prometheus-alertmanager)")
    _out(words, ROOT)


def _longer() -> list[str]:
    """Commands that take minutes: benchmarks that tests of their own run shorter."""
    made = {"load": "benchmarks.locust_run", "soak": "benchmarks.soak", "demo": "benchmarks.demo"}
    modules = [c for c in COMMANDS if c.startswith("python -m benchmarks.") and ".load " not in c]
    found = [re.match(r'make (\w+) ARGS="(.*)"', c) for c in COMMANDS]
    return modules + [f"python -m {made.get(m[1], f'benchmarks.{m[1]}')} {m[2]}" for m in found if m]


@pytest.mark.parametrize("command", _longer())
def test_longer_commands_know_their_options(command: str) -> None:
    """What the README gives a benchmark is among what the benchmark takes."""
    words = shlex.split(command)
    told = _out([sys.executable, *words[1:3], "--help"], ROOT)
    assert [word for word in words[3:] if word.startswith("--") and word not in told] == []


async def _known(url: str, person: str) -> None:
    """Somebody whom an exchange knows by an id of its own."""
    client = open_client(Stores(redis_url=url))
    await PeopleWriter(client).match("generic", "u-1", bytes.fromhex(person), time.time())
    await client.aclose()


def _ready(ports: Path, running: "subprocess.Popen[bytes]") -> bool:
    """Wait until the operators' port says that the service is ready."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and running.poll() is None:
        try:
            ops = json.loads(ports.read_text())["ops"]
            with urllib.request.urlopen(f"http://127.0.0.1:{ops}/ready", timeout=1) as answer:
                return bool(answer.read() == b"1")
        except (OSError, ValueError, KeyError):
            time.sleep(0.05)
    return False


def _bid(port: int) -> bool:
    """Whether the request of the README's `curl` is answered with a bid."""
    command = CONSOLE[0]
    url, body = (shlex.split(command)[place] for place in (2, 4))
    url = url.replace(":8080/", f":{port}/")
    with urllib.request.urlopen(urllib.request.Request(url, body.encode()), timeout=5) as answer:
        return answer.status == 200 and bool(json.loads(answer.read())["seatbid"][0]["bid"][0]["burl"])


def test_no_command_is_left_out() -> None:
    """Each command of the README is run by a test of this file, or is one of the benchmarks."""
    known = re.compile(
        rf"make |paceline (serve|check|campaigns|budget|audit|fraud|token|capacity)|{PEOPLE}|"
        r"promtool|amtool|python -m benchmarks\."
    )
    assert [command for command in COMMANDS if not known.match(command)] == []
    for module in re.findall(r"python -m (benchmarks(?:\.\w+)+)", README):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def test_the_campaign_file_loads(tmp_path: Path) -> None:
    """The example of a campaign file is one."""
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "example.yaml").write_text(block, encoding="utf-8")
    book = load_book(tmp_path / "example.yaml")
    assert book.advertisers[0].campaigns[0].line_items[0].targeting.segments is not None


def test_pictures_and_documents_are_there() -> None:
    """Every picture and every file that the README leads to exists."""
    for name in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", README):
        assert "://" in name or (ROOT / name).is_file(), name


def test_the_configuration_file_loads(tmp_path: Path) -> None:
    """The example of a configuration is one."""
    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "paceline.toml").write_text(block, encoding="utf-8")
    assert "example" in [profile.name for profile in load(tmp_path / "paceline.toml", {}).profiles()]


def test_settings_are_those_of_the_configuration() -> None:
    """Every variable is in the table, under its place in the file, and the table names no other."""
    table = README[README.index("### Settings") : README.index("### Exchanges")]
    for name, place in ENVIRONMENT.items():
        stem = name.removesuffix("_PORT").removesuffix("_HOST")
        assert name in table or (f"{stem}_HOST" in table and "`_PORT`" in table), name
        assert f".{place[-1]}" in table or f"`{place[-1]}`" in table, place
    for name in re.findall(r"`(PACELINE_[A-Z_]+)`", table):
        assert name in ENVIRONMENT or name in SECRETS or name.removesuffix("_FILE") in URLS, name


def test_exchanges_are_those_that_ship() -> None:
    """The table of profiles has the shipped ones with their times."""
    for profile in SHIPPED:
        row = next(line for line in README.splitlines() if line.startswith(f"| `{profile.name}`"))
        assert f"{profile.tmax_default_ms} / {profile.margin_ms} ms" in row
        assert (profile.billing == "beacon") == ("beacon" in row)


def test_ports_are_the_defaults() -> None:
    """The three ports of the README are those that the service takes."""
    config = load(None, {})
    assert (config.exchange.port, config.public.port, config.ops.port) == (8080, 8081, 8082)
    assert Config().ops.host == "127.0.0.1"


def test_the_map_names_what_is_there() -> None:
    """Every folder in the map exists, and every folder of the bidder is in the map."""
    drawn = README[README.index("## The map") : README.index("## Running it")]
    for name in re.findall(r"^  ([a-z]+)/ ", drawn, re.MULTILINE):
        assert (ROOT / "bidder" / name).is_dir(), name
    for room in (ROOT / "bidder").iterdir():
        if room.is_dir() and room.name not in ("__pycache__", "commands"):
            assert f"  {room.name}/" in drawn, room.name
