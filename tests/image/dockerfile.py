"""A Dockerfile read and replayed in a folder: what its steps install and copy, without an engine.

Shapes: `stages` are lists of (instruction, rest); `replay` carries out WORKDIR, ENV, COPY and RUN of one stage below a
    root, where every absolute path of the image stands for a path below it.
Never: a shell: every RUN is a list of words, as the image runs it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Step = tuple[str, str]


def stages(text: str) -> list[list[Step]]:
    """The steps of each stage, FROM first."""
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found: list[list[Step]] = []
    for line in plain.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest.strip()))
    return found


def words(rest: str) -> list[str]:
    """The words of a RUN, CMD or ENTRYPOINT in its exec form; raises ValueError for a shell's."""
    told = json.loads(rest)
    if not isinstance(told, list) or not all(isinstance(each, str) for each in told):
        raise ValueError(rest)
    return told


class Replay:
    """One stage, carried out below `root` with the interpreter `python`."""

    def __init__(self, root: Path, python: str) -> None:
        self.root, self._python = root, python
        self._here = root
        self._variables: dict[str, str] = {}

    def run(self, steps: Iterable[Step]) -> None:
        """Every step in its order; raises CalledProcessError with what a step said."""
        for name, rest in steps:
            if name == "WORKDIR":
                self._here = self._at(rest)
                self._here.mkdir(parents=True, exist_ok=True)
            elif name in ("ARG", "ENV"):
                pairs = dict(re.findall(r"(\w+)=(\S*)", rest))
                pairs.pop("PIP_NO_CACHE_DIR", None)  # that keeps an image small: here it would load all again
                self._variables |= {key: self._filled(value) for key, value in pairs.items()}
            elif name == "COPY":
                self._copy(shlex.split(rest))
            elif name == "RUN":
                self._step([self._word(each) for each in words(rest)])

    def _step(self, command: list[str]) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        done = subprocess.run(
            command,
            cwd=self._here,
            env=environment | self._variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-2_000:]}{done.stderr[-2_000:]}"

    def _copy(self, paths: list[str]) -> None:
        *sources, target = paths
        for source in sources:
            found, to = ROOT / source, self._here / target
            if found.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "results")
                shutil.copytree(found, to, ignore=ignored, dirs_exist_ok=True)
            else:
                shutil.copy2(found, to)

    def _word(self, word: str) -> str:
        if word == "python":
            return self._python
        return str(self._at(word)) if word.startswith("/opt/") else word

    def _at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _filled(self, value: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda found: self._variables.get(found[1], ""), value)
