"""Processes that tests look at while they come and go."""

import contextlib

import psutil


def command(process: psutil.Process) -> list[str]:
    """The words of a process's command line; none where it has ended and was not waited for yet."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def variables(process: psutil.Process) -> dict[str, str]:
    """The environment that a process was started with; empty where it has ended."""
    with contextlib.suppress(psutil.Error):
        return process.environ()
    return {}
