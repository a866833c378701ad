"""A run is planned once.

SLURM jobs parse the Snakefile again; were they to read the config again, an edit in mid-run would
train one thing and record another. So the Snakefile writes the config that it resolved under its
digest, exports that file's path, and a job that finds the path loads the snapshot.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from featflow.config.errors import ConfigError, did_you_mean
from featflow.config.load import Workflow, load
from featflow.files import replace_text
from featflow.plan.fingerprint import fingerprint
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES

VARIABLE = "FEATFLOW_PLAN"


class Plan:
    """The studies of this run, and the parameters of its rules."""

    def __init__(self, workflow: Workflow):
        self.workflow = workflow
        self.studies = {name: Slices.of(workflow, name) for name in workflow.studies}

    def of(self, study: str) -> Slices:
        """The slices of a study.

        Raises:
            ConfigError: when there is no such study.
        """
        if study not in self.studies:
            raise ConfigError(f"no study named {study!r}; {did_you_mean(study, self.studies)}")
        return self.studies[study]


def plan(config: dict[str, Any]) -> Plan:
    """The plan of this run: the snapshot that the environment names, or a new one of `config`.

    Raises:
        ConfigError: when the config is wrong, or the snapshot is gone.
    """
    if path := os.environ.get(VARIABLE):
        if not Path(path).is_file():
            raise ConfigError(f"{VARIABLE}={path}: no such snapshot; unset it to plan a new run")
        return Plan(load(json.loads(Path(path).read_text(encoding="utf-8"))))
    planned = Plan(load(config))
    text = json.dumps(config, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    snapshot = Path(".snakemake/featflow", f"{digest}.json").absolute()
    replace_text(snapshot, text)
    os.environ[VARIABLE] = str(snapshot)
    return planned


def use_this_checkout(folder: str) -> None:
    """Let rules call `python -m featflow` of this checkout, by the interpreter that runs Snakemake.

    So an unactivated `.venv/bin/snakemake` works. Set in the environment and not in the shell text,
    which stays the same everywhere; conda can still put its own interpreter first.
    """
    for variable, first in (("PATH", os.path.dirname(sys.executable)), ("PYTHONPATH", str(folder))):
        rest = [part for part in os.environ.get(variable, "").split(os.pathsep) if part]
        os.environ[variable] = os.pathsep.join([first, *rest])


def code(stage: str, module: str | None = None) -> str:
    """What stands for a stage's code among its rule's parameters: revision, or fingerprint."""
    revision = STAGES[stage].revision
    if revision is not None:
        return f"revision {revision}"
    own = fingerprint(STAGES[stage].module)
    return f"{own}-{fingerprint(module)}" if module else own
