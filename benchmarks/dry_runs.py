"""Dry runs: how long `snakemake -n` takes until it knows every job.

    .venv.peers/bin/python -m benchmarks.dry_runs [--seconds 40] [--json FILE]

Of the paper's study, and of one with 100 models (a base, 98 fine-tunes, random weights) and about
300 SAEs (on each model one, another seed of it, and a wider one). In a copy of the checkout in
which nothing is built, so that every job is planned; the commands as typed, the best of their runs.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from benchmarks.programs import ROOT, command, program
from benchmarks.rows import Row, Run, interleaved, main

DEFAULT_SECONDS = 40.0
LIMITS = {"paper": 2.0, "large": 15.0}
"""Seconds that were aimed at."""
FINETUNES = 98


def large() -> dict[str, Any]:
    """A study of 100 models and 300 SAEs, as changes to the demo."""
    child = {"kind": "finetune", "parent": "base", "corpora": ["lua"], "training": {"epochs": 1}}
    models: dict[str, Any] = {
        **dict.fromkeys(("babypython", "lua", "tinystories", "luastories", "unrelated")),
        **dict.fromkeys(("unrelatedlua", "random", "continued")),
        "base": {"kind": "base", "corpora": ["babylm", "python"]},
        **{f"child{i}": {**child, "seed": i} for i in range(FINETUNES)},
        "chance": {"kind": "random", "like": "base"},
    }
    saes = {
        **dict.fromkeys(("reseed", "reseed2", "onlua", "shared", "full")),
        "seed": {"extends": "main", "seed": 1, "control_of": "main"},
        "wide": {"extends": "main", "expansion": 8},
    }
    return {"extends": "demo", "models": models, "saes": saes}


def checkout(folder: Path) -> Path:
    """What a clone has that a dry run reads, with the large study beside the shipped ones."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("featflow", "rules", "envs", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    (folder / "local").symlink_to("profiles/local")
    shutil.copy(ROOT / "Snakefile", folder)
    config = yaml.safe_load((ROOT / "workflow_config.yaml").read_text(encoding="utf-8"))
    config["studies"]["large"] = large()
    text = yaml.safe_dump(config, sort_keys=False)
    (folder / "workflow_config.yaml").write_text(text, encoding="utf-8")
    return folder


def dry_run(folder: Path, study: str) -> str:
    """Plan a study; what is printed."""
    options = ["--profile", "local", "-n", "--config", f"study={study}"]
    return command(program("snakemake"), *options, at=folder)


def jobs(printed: str) -> dict[str, int]:
    """How many jobs of each rule a dry run says, from its last table; `total`, too."""
    lines = printed[printed.rindex("Job stats:") :].splitlines()
    rows = [line.split() for line in lines]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def measure(seconds: float) -> list[Row]:
    """A row a study, within about so many seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = checkout(Path(name))
        counts = {study: jobs(dry_run(folder, study)) for study in LIMITS}
        runs: dict[str, Run] = {
            "paper": lambda: dry_run(folder, "paper"),
            "large": lambda: dry_run(folder, "large"),
            "snakemake": lambda: command(program("snakemake"), "--version"),
        }
        times = {name: min(each) for name, each in interleaved(runs, seconds, least=2).items()}
    trained = {study: count["train"] + count["finetune"] for study, count in counts.items()}
    words = {
        "paper": "of the paper's study",
        "large": f"of {trained['large'] + 1} models and {counts['large']['sae']} SAEs",
    }
    start = f"`snakemake --version` alone takes {times['snakemake']:.2f} s"
    return [
        Row(
            what=f"snakemake -n {words[study]}, {counts[study]['total']:,} jobs",
            beside="the limit",
            ours=times[study],
            theirs=limit,
            unit="s",
            aim=1,
            note=start,
        )
        for study, limit in LIMITS.items()
    ]


if __name__ == "__main__":
    main(measure, __doc__, DEFAULT_SECONDS)
