"""What the report reads. Nothing heavy is imported here: the rules ask it."""

import hashlib
from pathlib import Path

from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages import targets

PAGE = Path(__file__).with_name("page")
"""The page's templates, style sheet and script."""
SITE = Path(__file__).with_name("site")
"""Those of the explorer."""
SHOWN = (
    paths.CORPUS,
    paths.TOKENIZER,
    paths.MODEL,
    paths.WEIGHTS,
    paths.TRAINING,
    paths.MERGE,
    paths.EVALUATE,
    paths.SWEEP,
    paths.SAE,
    paths.SAE_WEIGHTS,
    paths.SAE_METRICS,
    paths.SAE_TRAINING,
    paths.SUMMARY,
    paths.MATCHES,
    paths.FLOW_EDGES,
    paths.FLOW_STRATA,
    paths.FLOW_CHAINS,
    paths.FLOW_FEATURES,
    paths.FLOW_CONTROLS,
    paths.FLOW_DOMAINS,
    paths.CASE,
    paths.CATEGORIES,
)
"""Of every file that follows one of these the page shows something."""


def inputs(slices: Slices) -> list[str]:
    """Every file that the page shows something of."""
    return [
        *targets(slices, *SHOWN),
        *targets(slices, paths.TOKENS, split=("train", "validation")),
        *targets(slices, paths.FIGURE, format=("json",)),
    ]


def page_files(folder: Path = PAGE) -> list[Path]:
    """The files that a page is made with, besides the code: a change of one makes it again."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".html", ".css", ".js"))


def page_digest() -> str:
    """Twelve hex digits over the report's, for the rule's parameters."""
    return _digest(page_files(PAGE))


def site_digest() -> str:
    """Twelve hex digits over the explorer's."""
    return _digest(page_files(SITE))


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
