"""Many dry runs in little time: forks of a process that has imported all, and what they print.

Most of a dry run's seconds are imports, which a fork saves.
"""

import gc
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

PROFILE = ("--profile", "local")
ENVIRONMENT = {"BROWSER_PATH": sys.executable}
"""Some program, so that images are planned; nothing is drawn."""


LIBRARIES = ("pydantic", "smart_open", "snakemake.report.html_reporter", "snakemake.storage", "yte")
FEATFLOW = ("plan.snapshot", "plan.hints", "runtime.runs", "data.corpora.files", "report.pages")
"""What a dry run imports."""


class Job(NamedTuple):
    """A job of a plan."""

    inputs: frozenset[str]
    outputs: frozenset[str]


Jobs = dict[str, Job]
"""By the stage and the wildcards: `sae base main`, `tokens lua train`; the study is left out."""


class Checkout:
    """A folder with the workflow, and processes that plan there."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._servers: dict[bool, subprocess.Popen[str]] = {}

    def plan(self, *arguments: str, edited: bool = False, **environment: str) -> Jobs:
        """The jobs of a dry run.

        Args:
            arguments: more of Snakemake's.
            edited: whether featflow's code is: then it is imported for this run.
            environment: more variables.

        Raises:
            AssertionError: with what Snakemake says, when it cannot plan.
        """
        server = self._server(edited)
        assert server.stdin and server.stdout
        with tempfile.NamedTemporaryFile("r", suffix=".txt") as output:
            request = {
                "folder": str(self.folder),
                "arguments": ["-n", *PROFILE, *arguments],
                "environment": {**ENVIRONMENT, **environment},
                "output": output.name,
            }
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            code, printed = int(server.stdout.readline()), output.read()
        assert code == 0, printed
        return jobs(printed)

    def _server(self, edited: bool) -> "subprocess.Popen[str]":
        if edited not in self._servers:
            arguments = [] if edited else [str(self.folder)]
            self._servers[edited] = subprocess.Popen(
                [sys.executable, "-m", "tests.workflow.planning", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[2],
            )
        return self._servers[edited]

    def close(self) -> None:
        """End the processes."""
        for server in self._servers.values():
            server.communicate()


def serve(folder: str | None = None) -> None:
    """Fork for every line on stdin: a dry run there, its exit status on stdout.

    Args:
        folder: import featflow from there beforehand.
    """
    from snakemake.cli import main

    for module in LIBRARIES:
        importlib.import_module(module)
    if folder:
        sys.path.insert(0, folder)
        for module in FEATFLOW:
            importlib.import_module(f"featflow.{module}")
        for stage in sys.modules["featflow.plan.snapshot"].STAGES:
            sys.modules["featflow.plan.snapshot"].code(stage)  # reads the code, once
    gc.freeze()
    gc.disable()  # what a dry run throws away is gone with its process
    for line in sys.stdin:
        request = json.loads(line)
        if not (child := os.fork()):
            os.chdir(request["folder"])
            os.environ.update(request["environment"])
            output = os.open(request["output"], os.O_WRONLY)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.dont_write_bytecode = True  # edits of code may follow each other within a second
            try:
                main(request["arguments"])
            except SystemExit as end:
                sys.stdout.flush()
                os._exit(
                    end.code or 0
                )  # without the half second in which Python takes itself apart
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def jobs(printed: str) -> Jobs:
    """The jobs that a dry run prints, `all` left out."""
    found = {}
    for block in re.split(r"\n(?=(?:local)?rule )", printed):
        rule = re.match(r"(?:local)?rule (\w+):", block)
        if rule and rule[1] != "all":
            fields = dict(re.findall(r"^    (\w+): (.*)$", block, re.M))
            values = re.findall(r"(\w+)=([^,]*)", fields.get("wildcards", ""))
            name = [rule[1].split("_")[0], *(v for k, v in values if k != "study")]
            files = (
                frozenset(filter(None, fields.get(k, "").split(", "))) for k in ("input", "output")
            )
            found[" ".join(name)] = Job(*files)
    counted = re.search(r"^total +(\d+)$", printed, re.M)
    total = int(counted[1]) - bool(re.search(r"^all +1$", printed, re.M)) if counted else 0
    assert len(found) == total, f"{len(found)} jobs of {total} are read from:\n{printed}"
    return found


if __name__ == "__main__":
    serve(*sys.argv[1:])
