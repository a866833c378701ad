"""What the report reads. Nothing heavy is imported here: the rules ask it."""

import hashlib
from pathlib import Path

from featflow.core import paths
from featflow.core.slicer import Slices

PAGE = Path(__file__).with_name("page")
"""The page's templates, style sheet and script."""


def inputs(slices: Slices) -> list[str]:
    """Every file that the page shows something of."""
    study, lineage, at = slices.study, slices.lineage, {"study": slices.name}
    dictionaries = lineage.dictionaries()
    flows = [sae for sae in study.flow_saes if lineage.edges()]
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
        *(paths.FIGURE.at(**at, figure=f, format="json") for f in study.drawn),
    ]


def page_files() -> list[Path]:
    """The files that the page is made with, besides the code: a change of one makes it again."""
    return sorted(path for path in PAGE.iterdir() if path.suffix in (".html", ".css", ".js"))


def page_digest() -> str:
    """Twelve hex digits over those files, for the rule's parameters."""
    digest = hashlib.sha256()
    for path in page_files():
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


_SPLITS = ("train", "validation")
_TRAINED = ("base", "finetune")
_SAE = (paths.SAE, paths.SAE_WEIGHTS, paths.SAE_METRICS, paths.SAE_TRAINING, paths.SUMMARY)
_FLOW = (paths.FLOW_EDGES, paths.FLOW_STRATA, paths.FLOW_CHAINS, paths.FLOW_FEATURES)
