"""What a study is built for: every file that no other stage reads, and what people look at."""

from collections.abc import Sequence

from featflow.plan import paths
from featflow.plan.slicer import Slices


def leaves(name: str, slices: Slices, formats: Sequence[str]) -> list[str]:
    """The targets of a study's `all`.

    Args:
        name: the study.
        slices: its slices.
        formats: of figures, those that can be drawn here.
    """
    study, lineage = slices.study, slices.lineage
    dictionaries = lineage.dictionaries()
    flows = [sae for sae in study.flow_saes if lineage.flow_edges(sae)]
    of_a_flow = (paths.FLOW_EDGES, paths.FLOW_CONTROLS, paths.FLOW_DOMAINS)
    interpreted, at = slices.interpreted()[0], {"study": name}
    return [
        paths.REPORT.at(**at),
        *(paths.FIGURE.at(**at, figure=f, format=x) for f in study.drawn for x in formats),
        *(paths.EVALUATE.at(**at, model=m) for m in study.models),
        *(paths.SWEEP.at(**at, model=m) for m in study.swept),
        *(paths.SAE_METRICS.at(**at, model=m, sae=s) for m, s in dictionaries),
        *(paths.SUMMARY.at(**at, model=m, sae=s) for m, s in dictionaries),
        *(paths.MATCHES.at(**at, a=str(p.a), b=str(p.b)) for p in lineage.pairs()),
        *(template.at(**at, sae=sae) for sae in flows for template in of_a_flow),
        *(paths.CASE.at(**at, case=case) for case in study.cases),
        *([paths.CATEGORIES.at(**at, sae=interpreted)] if interpreted else []),
        *([paths.EXPLORER.at(**at)] if slices.explored() else []),
    ]
