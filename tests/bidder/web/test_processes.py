"""What the kernel says of a process."""

import os
import resource
from pathlib import Path

import psutil
import pytest

from bidder.web.processes import memory_limit, process_use


def test_this_process_as_psutil_sees_it() -> None:
    """Memory, CPU, files and start agree with an independent reader."""
    use = process_use(os.getpid())
    other = psutil.Process()
    assert use is not None
    assert use.resident_bytes == pytest.approx(other.memory_info().rss, rel=0.1)
    assert use.cpu_s == pytest.approx(sum(other.cpu_times()[:2]), abs=0.5)
    assert use.open_fds == pytest.approx(other.num_fds(), abs=2)
    assert use.max_fds == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert use.started_s == pytest.approx(other.create_time(), abs=2)


def test_nothing_is_known_of_a_process_that_is_gone(tmp_path: Path) -> None:
    """No such process, no /proc at all, or one that makes no sense: None."""
    assert process_use(2**22 + 1) is None
    assert process_use(os.getpid(), tmp_path) is None
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "stat").write_text("1 (odd) name) S 1")
    (tmp_path / "stat").write_text("btime 5\n")
    assert process_use(1, tmp_path) is None


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, 4_096_000),
        ({"memory.max": "1000000"}, 1_000_000),
        ({"memory.max": "max"}, 4_096_000),
        ({"memory/memory.limit_in_bytes": "2000000"}, 2_000_000),
        ({"memory/memory.limit_in_bytes": str(2**63 - 4096)}, 4_096_000),
    ],
)
def test_memory_is_bounded_by_the_container_or_the_machine(
    tmp_path: Path, files: dict[str, str], limit: int
) -> None:
    """The limit of either cgroup version where one is set; else what the machine has; None without /proc."""
    assert memory_limit(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:        4000 kB\nMemFree: 1 kB\n")
    for name, text in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert memory_limit(tmp_path) == limit
