"""Trials: edits of a checkout in which all is made, and the jobs that a dry run has to list."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import yaml

from tests.workflow.conftest import copy_checkout, snakemake
from tests.workflow.edits import CONFIG, Edit, applied
from tests.workflow.planning import ENVIRONMENT, PROFILE, Checkout, Jobs, jobs


class Trial(NamedTuple):
    """Files that are edited, and what a dry run then has to list."""

    said: str
    files: Mapping[str, Callable[[Path], object]]
    """Paths in the checkout, and what is done to each: Path.touch, Path.unlink, `text(...)`."""
    reruns: Sequence[str]
    """The jobs that read it, as rule and wildcards; * stands for anything."""
    study: str = "whole"
    arguments: Sequence[str] = ()
    """Of Snakemake, instead of those that ask for the study."""
    environment: Mapping[str, str] = {}


class Planner:
    """Two checkouts with everything made, so that two trials run at a time."""

    def __init__(self, folder: Path):
        """Args: an empty folder."""
        shutil.copytree(made(folder / "0"), folder / "1", symlinks=True)
        self.config: dict[str, Any] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
        self.checkouts = [Checkout(folder / str(i)) for i in range(2)]
        self._free: SimpleQueue[Checkout] = SimpleQueue()
        for checkout in self.checkouts:
            self._free.put(checkout)
        plan = self.checkouts[0].plan
        self.graphs = {s: plan(*of(s), "--forceall") for s in self.config["studies"]}

    def close(self) -> None:
        """End the checkouts' processes."""
        for checkout in self.checkouts:
            checkout.close()

    def wrong(self, trials: Iterable[Trial]) -> dict[str, str]:
        """The trials after which Snakemake would run other jobs than expected, and which."""
        with ThreadPoolExecutor(len(self.checkouts)) as pool:
            found = pool.map(lambda trial: (trial.said, self._difference(trial)), trials)
        return {said: wrong for said, wrong in found if wrong}

    def trial(self, edit: Edit) -> Trial:
        """The trial of an edit of the config."""
        new = yaml.safe_dump(applied(edit, self.config), sort_keys=False)
        files = {"workflow_config.yaml": text(lambda _: new)}
        return Trial(f"{edit.said} {dict(edit.sets)}", files, edit.reruns, edit.study)

    def _difference(self, trial: Trial) -> str:
        checkout, arguments = self._free.get(), trial.arguments or of(trial.study)
        try:
            with edited(checkout.folder, trial.files):
                code = any(name.endswith(".py") for name in trial.files)
                planned = checkout.plan(*arguments, edited=code, **trial.environment)
                graph = {**self.graphs[trial.study], **planned}
                wrong = difference(planned, graph, trial.reruns)
                if wrong:  # jobs may be gone: ask for all there are
                    arguments = (*arguments, "--forceall")
                    graph = checkout.plan(*arguments, edited=code, **trial.environment)
                    wrong = difference(planned, graph, trial.reruns)
                return wrong
        finally:
            self._free.put(checkout)


@contextmanager
def edited(folder: Path, files: Mapping[str, Callable[[Path], object]]) -> Iterator[None]:
    """Something done to files; afterwards they are as they were, with the times that they had."""
    paths = {folder / name: edit for name, edit in files.items()}
    before = {path: (path.read_bytes(), path.stat()) for path in paths if path.exists()}
    try:
        for path, edit in paths.items():
            edit(path)
        yield
    finally:
        for path in paths.keys() - before.keys():
            path.unlink()
        for path, (content, stat) in before.items():
            path.write_bytes(content)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def text(new: Callable[[str], str]) -> Callable[[Path], None]:
    """Write a file's text anew, from the text that it has."""

    def write(path: Path) -> None:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        assert new(before) != before, f"{path.name}: the edit changes nothing"
        path.write_text(new(before), encoding="utf-8")

    return write


def of(study: str) -> tuple[str, str]:
    """The arguments that ask for a study."""
    return ("--config", f"study={study}")


def difference(planned: Jobs, graph: Jobs, reruns: Sequence[str]) -> str:
    """What is too many and too few in a plan, in words; nothing where it is right."""
    try:
        expected = downstream(graph, reruns)
    except LookupError as error:
        return f"{error}; planned are {sorted(planned)}"
    more, less = sorted(planned.keys() - expected), sorted(expected - planned.keys())
    return "; ".join(
        f"{what}: {', '.join(names)}"
        for what, names in (("too many", more), ("too few", less))
        if names
    )


def made(folder: Path) -> Path:
    """A checkout in which every file of every study is made: empty, and noted by Snakemake."""
    folder.mkdir(parents=True)
    copy_checkout(folder, CONFIG)
    (folder / "notes").mkdir()
    (folder / "notes" / "a.jsonl").write_text('{"text": "a note", "body": "a", "site": "here"}')
    for study in yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["studies"]:
        planned = _checked(folder, "-n", "--forceall", *of(study))
        for file in {file for job in jobs(planned).values() for file in job.outputs}:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()
        _checked(folder, "--touch", "--forceall", "--quiet", "all", *of(study))
    return folder


def _checked(folder: Path, *arguments: str) -> str:
    result = snakemake(folder, *PROFILE, *arguments, **ENVIRONMENT)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def downstream(graph: Jobs, patterns: Sequence[str]) -> set[str]:
    """The jobs that match a pattern, and those that follow them.

    Raises:
        LookupError: for a pattern that matches no job.
    """
    found: set[str] = set()
    for pattern in patterns:
        matched = {name for name in graph if fnmatchcase(name, pattern)}
        if not matched:
            raise LookupError(f"no job is called {pattern!r}")
        found |= matched
    while True:
        made = {file for name in found for file in graph[name].outputs}
        more = {name for name, job in graph.items() if made & job.inputs} - found
        if not more:
            return found
        found |= more
