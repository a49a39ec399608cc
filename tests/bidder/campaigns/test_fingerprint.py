"""What a fingerprint of campaign files notices, and what not."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bidder.campaigns.live import fingerprint
from tests.bidder.campaigns.written import change, folder_of, write


def touch(folder: Path) -> None:
    """Same size, another time."""
    stat = (folder / "a.yaml").stat()
    os.utime(folder / "a.yaml", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def replace(folder: Path) -> None:
    """Same size and time, another file."""
    stat = (folder / "a.yaml").stat()
    new = write(folder, "1", "new.tmp")
    os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    new.replace(folder / "a.yaml")


@pytest.mark.parametrize(
    ("change_it", "noticed"),
    [
        (lambda folder: write(folder, "1", "c.yaml"), True),
        (lambda folder: write(folder, "1", "c.yml"), True),
        (lambda folder: (folder / "b.yaml").unlink(), True),
        (lambda folder: (folder / "b.yaml").rename(folder / "c.yaml"), True),
        (lambda folder: (folder / "b.yaml").rename(folder / ".b.yaml"), True),
        (lambda folder: write(folder, "12", "a.yaml"), True),
        (lambda folder: [file.unlink() for file in folder.iterdir()], True),
        (touch, True),
        (replace, True),
        (lambda folder: write(folder, "1", "c.txt"), False),
        (lambda folder: write(folder, "1", ".c.yaml"), False),
        (lambda folder: (folder / "c.yaml").mkdir(), False),
        (lambda folder: (folder / "a.yaml").read_text(), False),
    ],
    ids=["added", "added-yml", "removed", "renamed", "hidden", "longer", "emptied", "touched", "replaced",
         "other-file", "hidden-file", "folder", "read"],
)  # fmt: skip
def test_what_a_fingerprint_notices(
    change_it: Callable[[Path], object], noticed: bool, tmp_path: Path
) -> None:
    """A campaign file that is added, removed, renamed, replaced or written to changes it; nothing else does."""
    for name in ("a.yaml", "b.yaml"):
        write(tmp_path, "1", name)
    before = fingerprint(tmp_path)
    assert before == fingerprint(tmp_path)
    change_it(tmp_path)
    assert (fingerprint(tmp_path) != before) == noticed


def test_fingerprint_of_a_file(tmp_path: Path) -> None:
    """A file's changes with it; an absent path has none; it comes and goes."""
    file = tmp_path / "a.yaml"
    assert fingerprint(file) == ""
    write(tmp_path, "1", "a.yaml")
    before = fingerprint(file)
    assert before
    write(tmp_path, "22", "a.yaml")
    assert fingerprint(file) != before
    file.unlink()
    assert fingerprint(file) == ""


def test_fingerprint_follows_links(tmp_path: Path) -> None:
    """A link that is turned to another folder, as Kubernetes updates a ConfigMap, is a change."""
    for name in ("one", "two"):
        folder_of(tmp_path / name, change("name: Shop", "name: Old"))
    link = tmp_path / "live"
    link.symlink_to("one")
    before = fingerprint(link)
    link.unlink()
    link.symlink_to("two")
    assert fingerprint(link) != before


def test_fingerprint_of_a_name_that_is_no_text(tmp_path: Path) -> None:
    """A file name of any bytes has a fingerprint."""
    try:
        (tmp_path / "\udcff.yaml").write_text("1")
    except OSError:
        pytest.skip("this file system takes names of UTF-8 alone")
    assert fingerprint(tmp_path)
