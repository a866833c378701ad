"""Whether a stage's inputs belong together, by what each says of its own making.

A file's provenance (artifacts/provenance.py) names what it is of and the SHA-256 of all that it was
made from. So a file under another's name, or one made from another version of a file that is read
beside it, is found though it is whole. What says nothing of itself is accepted.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from featflow.artifacts.reading import ArtifactError, named, rebuild
from featflow.plan import paths
from featflow.plan.names import parsed
from featflow.plan.stages import stages_of

HANDLES = (PurePosixPath(paths.MODEL).name, PurePosixPath(paths.SAE).name)


def handle(path: Path) -> Path:
    """The file that says where an input comes from: of a folder, the one that stands for it."""
    path = Path(path)
    found = (path / name for name in HANDLES)
    return next((file for file in found if file.is_file()), path) if path.is_dir() else path


def misnamed(name: str, provenance: Mapping[str, Any]) -> str | None:
    """What a file is of by its provenance, where its name says something else (`model lua`).

    Args:
        name: its path from results/ on.
        provenance: its own.
    """
    found, config = parsed(name), provenance.get("config", {})
    if found is None or provenance.get("stage") not in {s.verb for s in stages_of(found.template)}:
        return None
    for key, value in found.names.items():
        own = config.get("name" if key == "sae" and "name" in config else key, value)
        if key != "study" and str(own) != value:
            return f"{key} {own}"
    return None


def check(digests: Mapping[Path, str]) -> None:
    """Check that the inputs of a stage belong together.

    Args:
        digests: the inputs, files and folders, and the SHA-256 of each.

    Raises:
        ArtifactError: naming the file that does not, and the target to rebuild.
    """
    from featflow.artifacts.io import load_provenance

    known = {named(path): (digest, "") for path, digest in digests.items()}
    for path in digests:
        file = handle(path)
        name = named(file)
        if not name.startswith("results/") or file.is_dir():
            continue
        provenance: dict[str, Any] = {}
        with suppress(ArtifactError):  # of what cannot be read, the stage itself will tell
            provenance = load_provenance(file) or {}
        if own := misnamed(name, provenance):
            raise ArtifactError(f"{file}: it is of {own}, by its own provenance; {rebuild(name)}")
        for source, digest in provenance.get("inputs", {}).items():
            there, who = known.setdefault(source, (digest, name))
            if there != digest and source.startswith("results/"):
                raise ArtifactError(_another(file, name, source, who))


def check_order(corpora: object, inputs: Iterable[Path]) -> None:
    """Check that files of corpora come in the order in which the stage's slice names them.

    A stage tells them apart by their place alone: two that changed places would exchange results.

    Args:
        corpora: the slice's, of each file or of each parent's files (anything else: no check).
        inputs: the stage's; those of token files and feature dumps count, each list for itself.

    Raises:
        ArtifactError: naming both orders.
    """
    if not isinstance(corpora, list):
        return
    flat = [c for part in corpora for c in (part if isinstance(part, list) else [part])]
    wanted = list(dict.fromkeys(flat))
    found = [parsed(named(path)) for path in inputs]
    for template in (paths.TOKENS, paths.FEATURES):
        names = [f.names["corpus"] for f in found if f is not None and f.template is template]
        if names != wanted * (len(names) // max(1, len(wanted))):
            raise ArtifactError(
                f"the files given are of the corpora {', '.join(names)}, the slice asks for "
                f"{', '.join(wanted)}, in this order; give them so"
            )


def _another(file: Path, name: str, source: str, who: str) -> str:
    """What to say of a file made from another version of a source than is there, or `who` had."""
    if who:
        return (
            f"{file} and {who} were made from different versions of {source}; {rebuild(name, who)}"
        )
    return f"{file}: it was made from another {source} than the one that is there; {rebuild(name)}"
