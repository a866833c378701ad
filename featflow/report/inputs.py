"""What the report reads. Nothing heavy is imported here: the rules ask it."""

import hashlib
from pathlib import Path

from featflow.plan import paths
from featflow.plan.slicer import Slices

PAGE = Path(__file__).with_name("page")
"""The page's templates, style sheet and script."""
SITE = Path(__file__).with_name("site")
"""Those of the explorer."""


def inputs(slices: Slices) -> list[str]:
    """Every file that the page shows something of."""
    study, lineage, at = slices.study, slices.lineage, {"study": slices.name}
    dictionaries = lineage.dictionaries()
    flows = [sae for sae in study.flow_saes if lineage.flow_edges(sae)]
    return [
        *(paths.CORPUS.at(**at, corpus=c, split=s) for c in study.corpora for s in paths.SPLITS),
        paths.TOKENIZER.at(**at),
        *(paths.TOKENS.at(**at, corpus=c, split=s) for c in study.corpora for s in _SPLITS),
        *(t.at(**at, model=m) for m in study.models for t in (paths.MODEL, paths.WEIGHTS)),
        *(paths.TRAINING.at(**at, model=m) for m, o in study.models.items() if o.kind in _TRAINED),
        *(paths.MERGE.at(**at, model=m) for m, o in study.models.items() if o.kind == "merge"),
        *(paths.EVALUATE.at(**at, model=m) for m in study.models),
        *(paths.SWEEP.at(**at, model=m) for m in study.swept),
        *(t.at(**at, model=m, sae=s) for m, s in dictionaries for t in _SAE),
        *(paths.MATCHES.at(**at, a=str(p.a), b=str(p.b)) for p in lineage.pairs()),
        *(template.at(**at, sae=s) for s in flows for template in _FLOW),
        *(paths.CASE.at(**at, case=c) for c in study.cases),
        *(paths.CATEGORIES.at(**at, sae=s) for s in [slices.interpreted()[0]] if s),
        *(paths.FIGURE.at(**at, figure=f, format="json") for f in study.drawn),
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


_SPLITS = ("train", "validation")
_TRAINED = ("base", "finetune")
_SAE = (paths.SAE, paths.SAE_WEIGHTS, paths.SAE_METRICS, paths.SAE_TRAINING, paths.SUMMARY)
_FLOW = (
    *(paths.FLOW_EDGES, paths.FLOW_STRATA, paths.FLOW_CHAINS, paths.FLOW_FEATURES),
    *(paths.FLOW_CONTROLS, paths.FLOW_DOMAINS),
)
