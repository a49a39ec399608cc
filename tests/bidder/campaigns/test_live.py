"""The live campaigns on disk: what a fingerprint notices, and campaigns replaced whole or not at all."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bidder.campaigns import live
from bidder.campaigns.live import apply
from bidder.campaigns.load import CampaignError, load_book
from bidder.campaigns.rates import load_rates
from tests.bidder.campaigns.written import change, folder_of, write

OLD, NEW, NEWEST = (change("name: Shop", f"name: {name}") for name in ("Old", "New", "Newest"))
BAD = change("w: 300", "w: -1")


def name_of(path: Path) -> str:
    """The shop's name in a file or folder: which version it is."""
    return load_book(path).advertisers[0].name


def file_of(path: Path, text: str) -> Path:
    """A campaign file."""
    return write(path.parent, text, path.name)


Maker = Callable[[Path, str], Path]
KINDS = pytest.mark.parametrize(("make", "live_name"), [(file_of, "live.yaml"), (folder_of, "live")])


def state(folder: Path) -> dict[str, str]:
    """Every file below a folder with what it holds."""
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


@KINDS
def test_apply_replaces_and_keeps_the_old(make: Maker, live_name: str, tmp_path: Path) -> None:
    """The new campaigns are live, those before stand in `.bak`; only campaign files are copied, nothing is left."""
    target, backup = tmp_path / live_name, tmp_path / f"{live_name}.bak"
    source = make(tmp_path / f"source-{live_name}", NEW)
    loaded = apply(source, target)
    assert loaded.book == load_book(target)
    assert not backup.exists()
    make(target, OLD) if target.is_file() else write(target, OLD, "shop.yaml")
    apply(source, target)
    assert (name_of(target), name_of(backup)) == ("New", "Old")
    make(source, NEWEST) if source.is_file() else write(source, NEWEST, "shop.yaml")
    apply(source, target)
    assert (name_of(target), name_of(backup)) == ("Newest", "New")
    assert name_of(source) == "Newest"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([target.name, backup.name, source.name])
    assert not (target / "notes.txt").exists()


@KINDS
def test_a_failing_check_changes_nothing(make: Maker, live_name: str, tmp_path: Path) -> None:
    """Campaigns with a problem leave every file as it was, and the problem names the file as the author knows it."""
    target = make(tmp_path / live_name, OLD)
    make(tmp_path / f"{live_name}.bak", NEW)
    source = make(tmp_path / f"bad-{live_name}", BAD)
    before = state(tmp_path)
    with pytest.raises(CampaignError) as caught:
        apply(source, target)
    assert caught.value.problems[0].file == ("shop.yaml" if source.is_dir() else source.name)
    assert state(tmp_path) == before


FED = change("name: Shop", "name: Fed\n    feed: {location: feeds/a.csv, format: csv}")


def with_feed(path: Path, text: str) -> Path:
    """A folder of campaigns that name a feed, and the feed."""
    folder_of(path, FED)
    (path / "feeds").mkdir()
    write(path / "feeds", text, "a.csv")
    return path


def test_a_folders_feeds_come_along_and_other_files_stay(tmp_path: Path) -> None:
    """Feeds of the new campaigns replace those that were there, which stay in the backup; nothing else goes."""
    target = with_feed(tmp_path / "live", "old")
    (target / "feeds" / "deep").mkdir()
    write(target / "feeds" / "deep", "kept", "other.csv")
    write(target, OLD, "gone.yaml")
    (target / "link").symlink_to("feeds/a.csv")
    source = with_feed(tmp_path / "source", "new")
    write(source / "feeds", "nobody's", "unnamed.csv")
    apply(source, target)
    assert state(target) == {
        "shop.yaml": FED,
        "notes.txt": "notes",
        "feeds/a.csv": "new",
        "feeds/deep/other.csv": "kept",
        "link": "new",
    }
    assert (target / "link").is_symlink()
    assert state(tmp_path / "live.bak")["feeds/a.csv"] == "old"
    apply(source, target)
    assert state(target)["feeds/deep/other.csv"] == "kept"


def test_a_files_feed_goes_beside_the_live_one(tmp_path: Path) -> None:
    """What stood in its place stays as `.bak`; the same once more changes nothing."""
    source = with_feed(tmp_path / "source", "new") / "shop.yaml"
    target = tmp_path / "live" / "book.yaml"
    apply(source, target)
    feed = tmp_path / "live" / "feeds" / "a.csv"
    assert feed.read_text() == "new"
    feed.write_text("old")
    apply(source, target)
    apply(source, target)
    assert state(tmp_path / "live") == {
        "book.yaml": FED,
        "book.yaml.bak": FED,
        "feeds/a.csv": "new",
        "feeds/a.csv.bak": "old",
    }


def test_a_feed_that_is_live_already_stays(tmp_path: Path) -> None:
    """Campaigns need not bring along what a shop delivers into the live folder itself."""
    target = with_feed(tmp_path / "live", "delivered")
    apply(folder_of(tmp_path / "source", FED), target)
    assert state(target)["feeds/a.csv"] == "delivered"


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("feeds/none.csv", "cannot be read: No such file"),
        ("../out.csv", "lies outside"),
        ("feeds/../feeds/a.csv", 'without "..'),
        ("feeds", "is not a file"),
        ("/etc/passwd", "lies outside"),
    ],
)
def test_a_feed_that_cannot_be_had_is_refused(location: str, words: str, tmp_path: Path) -> None:
    """With its line and path, and nothing changes."""
    target = folder_of(tmp_path / "live", OLD)
    source = with_feed(tmp_path / "source", "new")
    write(tmp_path, "outside", "out.csv")
    write(source, FED.replace("feeds/a.csv", f'"{location}"'), "shop.yaml")
    before = state(tmp_path)
    with pytest.raises(CampaignError, match=words) as caught:
        apply(source, target)
    problem = caught.value.problems[0]
    assert (problem.file, problem.line, problem.field) == ("shop.yaml", 4, "advertisers[0].feed.location")
    assert state(tmp_path) == before


def test_feeds_of_a_configured_folder_stay_there(tmp_path: Path) -> None:
    """They are not copied, and must be there."""
    target, source = tmp_path / "live", folder_of(tmp_path / "source", FED)
    home = with_feed(tmp_path / "home", "there")
    apply(source, target, configured_feeds=str(home))
    assert sorted(state(target)) == ["shop.yaml"]
    with pytest.raises(CampaignError, match="No such file"):
        apply(source, target, configured_feeds=str(tmp_path))


def test_a_folder_where_the_live_one_has_a_file(tmp_path: Path) -> None:
    """Neither is lost: it is refused, and said which."""
    target = folder_of(tmp_path / "live", OLD)
    write(target, "a file", "feeds")
    before = state(target)
    with pytest.raises(OSError, match="feeds is a folder in the new campaigns"):
        apply(with_feed(tmp_path / "source", "new"), target)
    assert state(target) == before


def test_files_that_cannot_be_linked_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on file systems without hard links."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    target = folder_of(tmp_path / "live", OLD)
    apply(folder_of(tmp_path / "source", NEW), target)
    assert state(target)["notes.txt"] == "notes"


def test_rates_are_checked(tmp_path: Path) -> None:
    """A currency without a rate does not go live."""
    source = write(tmp_path, change("currency: EUR", "currency: XXX"))
    with pytest.raises(CampaignError, match="no exchange rate for XXX"):
        apply(source, tmp_path / "live.yaml", load_rates())
    assert not (tmp_path / "live.yaml").exists()


@pytest.mark.parametrize(("source", "target"), [(file_of, folder_of), (folder_of, file_of)])
def test_kinds_do_not_mix(source: Maker, target: Maker, tmp_path: Path) -> None:
    """A file does not replace a folder, nor a folder a file."""
    made, there = source(tmp_path / "source", NEW), target(tmp_path / "live", OLD)
    before = state(tmp_path)
    with pytest.raises(OSError, match="both must be of one kind"):
        apply(made, there)
    assert state(tmp_path) == before


def test_an_absent_source(tmp_path: Path) -> None:
    """Nothing to apply is an OSError and changes nothing."""
    target = write(tmp_path, OLD, "live.yaml")
    with pytest.raises(FileNotFoundError):
        apply(tmp_path / "none.yaml", target)
    assert state(tmp_path) == {"live.yaml": OLD}


def test_apply_through_a_link(tmp_path: Path) -> None:
    """Where the live file is a link, what it leads to is replaced and the link stays."""
    real = write(tmp_path, OLD, "real.yaml")
    link = tmp_path / "live.yaml"
    link.symlink_to(real)
    apply(write(tmp_path, NEW), link)
    assert link.is_symlink()
    assert (name_of(real), name_of(tmp_path / "real.yaml.bak")) == ("New", "Old")


@KINDS
def test_apply_to_itself(make: Maker, live_name: str, tmp_path: Path) -> None:
    """What is live may be applied in its own place."""
    target = make(tmp_path / live_name, OLD)
    apply(target, target)
    assert name_of(target) == "Old"


def test_a_new_folder_is_made(tmp_path: Path) -> None:
    """The place of the live campaigns need not exist."""
    apply(write(tmp_path, NEW), tmp_path / "deep" / "down" / "live.yaml")
    assert name_of(tmp_path / "deep" / "down" / "live.yaml") == "New"


def test_a_backup_of_the_other_kind(tmp_path: Path) -> None:
    """What was a folder in former times does not keep a file from being backed up."""
    folder_of(tmp_path / "live.yaml.bak", NEWEST)
    target = write(tmp_path, OLD, "live.yaml")
    apply(write(tmp_path, NEW), target)
    assert (name_of(target), name_of(tmp_path / "live.yaml.bak")) == ("New", "Old")


def test_without_an_exchange_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system cannot exchange two names, a folder is replaced by two renames, with the same result."""
    monkeypatch.setattr(live, "_exchange", lambda one, other: False)
    target = folder_of(tmp_path / "live", OLD)
    source = folder_of(tmp_path / "source", NEW)
    apply(source, target)
    write(source, NEWEST, "shop.yaml")
    apply(source, target)
    assert (name_of(target), name_of(tmp_path / "live.bak")) == ("Newest", "New")


def test_two_renames_of_which_the_second_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the old folder goes back to its place."""
    monkeypatch.setattr(live, "_exchange", lambda one, other: False)
    target = folder_of(tmp_path / "live", OLD)
    rename = Path.rename

    def failing(self: Path, to: Path) -> Path:
        if to == target and ".new" in str(self):
            raise OSError("no")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no"):
        apply(folder_of(tmp_path / "source", NEW), target)
    assert name_of(target) == "Old"
    assert not (tmp_path / "live.bak").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from bidder.campaigns.live import apply

calls = 0
def audit(event, args):
    global calls
    if event in ("os.rename", "os.link", "os.remove", "os.rmdir", "os.mkdir", "ctypes.dlsym", "open", "shutil.rmtree"):
        calls += 1
        if calls == limit:
            os.kill(os.getpid(), signal.SIGKILL)

source, target, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
import bidder.campaigns.load
sys.addaudithook(audit)
apply(source, target)
"""


@pytest.mark.process
@KINDS
def test_killed_on_the_way(make: Maker, live_name: str, tmp_path: Path) -> None:
    """Killed before any of its steps, the old or the new campaigns are live, whole, and a backup is there; the next
    apply succeeds and leaves nothing behind."""
    seen = set()
    for limit in range(1, 60):
        room = tmp_path / str(limit)
        room.mkdir()
        target = make(room / live_name, OLD)
        make(room / f"{live_name}.bak", NEWEST)
        source = make(room / f"source-{live_name}", NEW)
        ended = subprocess.run([sys.executable, "-c", KILLED, source, target, str(limit)], check=False)
        seen.add(name_of(target))
        assert name_of(room / f"{live_name}.bak") in ("Old", "Newest")
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
        apply(source, target)
        assert name_of(target) == "New"
        assert sorted(path.name for path in room.iterdir()) == sorted(
            [target.name, f"{live_name}.bak", source.name]
        )
    assert seen == {"Old", "New"}
    assert limit > 10
    assert ended.returncode == 0


def test_one_at_a_time(tmp_path: Path) -> None:
    """A second apply in the same folder is refused while the first is under way, and changes nothing."""
    target, source = write(tmp_path, OLD, "live.yaml"), write(tmp_path, NEW)
    with live._alone(tmp_path), pytest.raises(OSError, match="being applied"):
        apply(source, target)
    assert name_of(target) == "Old"
    apply(source, target)
    assert name_of(target) == "New"
