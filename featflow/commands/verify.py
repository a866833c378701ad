"""`featflow verify`: whether every artifact of a study is what its stage wrote."""

from collections.abc import Iterable
from pathlib import Path

from featflow.commands.integrity import MISSING, UNFINISHED, Checked, FoundFile, verified
from featflow.commands.terminal import CONFIG, ConfigPath, StudyName, chosen, coloured, size
from featflow.config import FeatflowError
from featflow.plan import paths
from featflow.plan.names import target
from featflow.plan.programs import snakemake
from featflow.plan.slicer import Slices

SHOWN = 5
"""Files of one note that are named, at most."""


def verify(study: StudyName = None, /, config: ConfigPath = CONFIG) -> None:
    """Check every artifact of a study against the SHA-256 that its stage recorded.

    What is changed, truncated, missing or another file's is named with the command that rebuilds
    it; the exit code is 1 then. Beside that it says what is not broken and still not as it should
    be: made with other settings than the config has now, or without a digest.

    The digests are those of `sha256sum`, below results/{study}/.sha256/.

    Args:
        study: the study's name.
        config: the file that describes the studies.
    """
    workflow, name = chosen(study, config)
    folder = Path(paths.STUDY.at(study=name))
    if not folder.is_dir():
        raise FeatflowError(f"{folder}: nothing of study {name} is there yet")
    slices = Slices.of(workflow, name)
    checked = verified(slices)
    broken = [each for each in checked.found if each.broken]
    print("\n".join(told(name, checked)))
    if broken:
        raise SystemExit(1)


def told(study: str, checked: Checked) -> list[str]:
    """What was found, in lines: what is broken and its remedy, then notes, then the counts."""
    broken = [each for each in checked.found if each.broken]
    lines = [f"{coloured(each.name, 'red')}: {each.what}" for each in broken]
    lines += ["", f"rebuild with: {remedy(broken)}", ""] if broken else []
    kinds = dict.fromkeys(each.what for each in checked.found if not each.broken)
    for what in kinds:
        names = [each.name for each in checked.found if each.what == what]
        lines.append(f"note: {what}: {_named(names)}")
    if unfinished := [each.name for each in checked.found if each.what == UNFINISHED]:
        lines.append(f"    where no job runs, delete: rm -r {' '.join(unfinished)}")
    if checked.without:
        lines.append(f"note: without a digest (older, or from elsewhere): {checked.without} files")
    what = f"{len(broken)} broken" if broken else "nothing is broken"
    return [*lines, f"study {study}: {checked.files} files, {size(checked.bytes)}: {what}"]


def remedy(broken: Iterable[FoundFile]) -> str:
    """The command that rebuilds files: what is still there has to be forced."""
    targets = {target(each.name): False for each in broken}
    for each in broken:
        targets[target(each.name)] |= each.what != MISSING or target(each.name) != each.name
    words = list(targets)
    if forced := [name for name, there in targets.items() if there]:
        words += ["--forcerun", *forced]
    return snakemake(*words)


def _named(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
