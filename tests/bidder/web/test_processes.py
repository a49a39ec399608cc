"""What the kernel says of a process."""

import os
from pathlib import Path

import psutil
import pytest

from bidder.web.processes import process_use


def test_this_process_as_psutil_sees_it() -> None:
    """Memory, CPU, files and start agree with an independent reader."""
    use = process_use(os.getpid())
    other = psutil.Process()
    assert use is not None
    assert use.resident_bytes == pytest.approx(other.memory_info().rss, rel=0.1)
    assert use.cpu_s == pytest.approx(sum(other.cpu_times()[:2]), abs=0.5)
    assert use.open_fds == pytest.approx(other.num_fds(), abs=2)
    assert use.started_s == pytest.approx(other.create_time(), abs=2)


def test_nothing_is_known_of_a_process_that_is_gone(tmp_path: Path) -> None:
    """No such process, no /proc at all, or one that makes no sense: None."""
    assert process_use(2**22 + 1) is None
    assert process_use(os.getpid(), tmp_path) is None
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "stat").write_text("1 (odd) name) S 1")
    (tmp_path / "stat").write_text("btime 5\n")
    assert process_use(1, tmp_path) is None
