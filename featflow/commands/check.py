"""`featflow check`: a study looked at before it is built."""

import shutil
from pathlib import Path

from featflow.commands import disk, local, tree, workflow
from featflow.commands.terminal import (
    CONFIG,
    ConfigPath,
    StudyName,
    chosen,
    coloured,
    columns,
    size,
)
from featflow.config import ConfigError
from featflow.config.study import Study
from featflow.data.composition import composition, in_common, shared, warnings
from featflow.plan import paths
from featflow.plan.lineage import Lineage
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES

LISTED = 8
"""Sources of a corpus that are shown, the largest ones."""


def check(study: StudyName = None, /, config: ConfigPath = CONFIG) -> None:
    """Check the config, and show what a study is: lineage, corpora, pairs, jobs, disk.

    Everything wrong with the config is said in one message, and so is what the study names and
    this machine lacks: files, folders, environment variables. The jobs are counted by Snakemake's
    own dry run, the disk is an estimate (featflow/commands/disk.py has its formulas). Nothing is
    built.

      featflow check paper

    Args:
        study: the study's name.
        config: the file that describes the studies.
    """
    checked, name = chosen(study, config)
    slices = Slices.of(checked, name)
    if missing := local.problems(name, slices.study):
        raise ConfigError("\n".join(missing))
    jobs = workflow.jobs(checked, name)
    sections = {
        "lineage": tree.tree(slices.study),
        "corpora": [*tree.corpora(slices.study), *tree.network(name, slices.study)],
        "probe": probe_lines(slices),
        "pairs": tree.pairs(slices.study),
        "controls": controls(slices.study),
        "jobs": job_lines(jobs),
        "disk": disk_lines(disk.estimate(slices), name),
    }
    print(f"study {name} of {config}: nothing is wrong with it")
    for title, lines in sections.items():
        print("\n".join(["", coloured(title, "bold"), *lines]))


def probe_lines(slices: Slices) -> list[str]:
    """How the probe is made of sources, and what several corpora share, as far as it is known."""
    at, probe = {"study": slices.name}, slices.probe()
    files = {
        c: [Path(paths.CORPUS.at(**at, corpus=c, split=s)) for s in paths.SPLITS]
        for c in slices.study.corpora
    }
    made = {c: those for c, those in files.items() if all(file.exists() for file in those)}
    tokens = {c: Path(paths.TOKENS.at(**at, corpus=c, split="validation")) for c in probe.corpora}
    known = [c for c in probe.corpora if c in made and tokens[c].exists()]
    rows: list[tuple[str, ...]] = []
    warned = in_common(shared(made))
    for corpus in known:
        documents = Path(paths.CORPUS.at(**at, corpus=corpus, split="validation"))
        parts = composition(corpus, documents, tokens[corpus], probe)
        warned += warnings(parts)
        rows += [
            (p.corpus, p.source, f"{p.split:.1%} of the split", f"{p.probe:.1%} of the probe")
            for p in parts[:LISTED]
        ]
        if others := parts[LISTED:]:
            rows.append((corpus, f"{len(others)} other sources", "", ""))
    lines = columns(rows) if rows else []
    if left := [c for c in probe.corpora if c not in known]:
        lines.append(f"  not known before they are made: {', '.join(left)}")
    return [*lines, *(coloured(f"  warning: {line}", "yellow") for line in warned)]


def controls(study: Study) -> list[str]:
    """Which edges lack a floor or reseeds of their own, a line each.

    One line that says so where none lacks any.
    """
    lineage = Lineage(study)
    rows: list[tuple[str, ...]] = []
    for sae in study.flow_saes:
        arms = lineage.arms(sae)
        seeded = [m for m in lineage.models() if len(lineage.seeds(m, sae)) > 1]
        for edge in lineage.flow_edges(sae):
            kinds = {arm.kind for arm in arms if (arm.parent, arm.child) == edge}
            said = []
            if "unrelated" not in kinds:
                other = "random weights alone" if "random" in kinds else "none"
                said.append(f"no unrelated floor ({other})")
            if not set(edge) & set(seeded):
                lender = f"that of {', '.join(seeded)} is borrowed" if seeded else "no ceiling"
                said.append(f"no reseed at either end ({lender})")
            elif not set(edge) <= set(seeded):
                (lacking,) = set(edge) - set(seeded)
                said.append(f"no reseed of {lacking} (its seeds are taken to scatter alike)")
            if said:
                rows.append((f"{sae}  {edge[0]} → {edge[1]}", "; ".join(said)))
    if rows:
        return [*columns(rows), "  docs/controls.md says how to switch them on"]
    return ["  every edge has an unrelated floor and reseeds at both ends"]


def job_lines(jobs: dict[str, workflow.Jobs]) -> list[str]:
    """The jobs of each stage: to run, up to date, in all."""
    order = [stage for stage in [*STAGES, *jobs] if stage in jobs]
    total = workflow.Jobs(*(sum(each) for each in zip(*jobs.values(), strict=True)))
    counted = [*((stage, jobs[stage]) for stage in dict.fromkeys(order)), ("total", total)]
    numbers = [(s, str(j.pending), str(j.total - j.pending), str(j.total)) for s, j in counted]
    rows = [("", "to run", "up to date", "in all"), *numbers]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    aligned = [
        (row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)))
        for row in rows
    ]
    return columns(aligned)


def disk_lines(estimate: disk.Estimate, study: str) -> list[str]:
    """The estimate by stage, beside what is there already and what is free."""
    there, free = used(Path(paths.STUDY.at(study=study))), free_bytes()
    rows = [(stage, size(count).rjust(8)) for stage, count in estimate.parts.items()]
    lines = columns([*rows, ("total", f"{size(estimate.total).rjust(8)} (an estimate)")])
    lines.append(f"  {size(there)} of it is there, {size(free)} are free")
    lines += [f"  not counted: {what}" for what in estimate.unknown]
    if estimate.total - there > free:
        remedy = "free some"
        if "activations" in estimate.parts:  # they are kept
            remedy += ", lower activations.tokens, or set activations.keep: false"
        lines.append(
            coloured(
                f"  warning: it does not fit: {size(estimate.total - there)} more are needed; "
                f"{remedy}",
                "yellow",
            )
        )
    return lines


def used(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def free_bytes() -> int:
    """Free space of the disk that holds results/, or will."""
    place = Path("results")
    return shutil.disk_usage(place if place.exists() else Path()).free
