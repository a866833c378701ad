"""What the report reads. Nothing heavy is imported here: the rules ask it."""

from featflow.core import paths
from featflow.core.slicer import Slices


def inputs(slices: Slices) -> list[str]:
    """Every file that the page shows something of."""
    study, lineage, at = slices.study, slices.lineage, {"study": slices.name}
    dictionaries = lineage.dictionaries()
    flows = [sae for sae in study.flow_saes if lineage.edges()]
    return [
        *(paths.CORPUS.at(**at, corpus=c, split=s) for c in study.corpora for s in paths.SPLITS),
        paths.TOKENIZER.at(**at),
        *(paths.TOKENS.at(**at, corpus=c, split=s) for c in study.corpora for s in _SPLITS),
        *(paths.MODEL.at(**at, model=m) for m in study.models),
        *(paths.TRAINING.at(**at, model=m) for m, o in study.models.items() if o.kind in _TRAINED),
        *(paths.MERGE.at(**at, model=m) for m, o in study.models.items() if o.kind == "merge"),
        *(paths.EVALUATE.at(**at, model=m) for m in study.models),
        *(paths.SWEEP.at(**at, model=m) for m in study.swept),
        *(t.at(**at, model=m, sae=s) for m, s in dictionaries for t in _SAE),
        *(paths.MATCHES.at(**at, a=str(p.a), b=str(p.b)) for p in lineage.pairs()),
        *(template.at(**at, sae=s) for s in flows for template in _FLOW),
        *(paths.FIGURE.at(**at, figure=f, format="json") for f in study.drawn),
    ]


_SPLITS = ("train", "validation")
_TRAINED = ("base", "finetune")
_SAE = (paths.SAE, paths.SAE_METRICS, paths.SAE_TRAINING, paths.SUMMARY)
_FLOW = (paths.FLOW_EDGES, paths.FLOW_STRATA, paths.FLOW_CHAINS, paths.FLOW_FEATURES)
