"""Stage `domains`: the same edges on each corpus alone, and on every scope.

A share depends on the text on which features are judged. Beside each of an edge's shares stand the
ceiling, the floors and the arms on that very text.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from featflow.analysis.ceilings import ceilings
from featflow.analysis.judged import Bests
from featflow.analysis.lines import expanded, fragile_lines, joined, standing
from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.plan.stages.analysis import DomainsSlice
from featflow.runtime.log import log
from featflow.wording import percent

SHIFT = "shift"
"""A comparison of stage shares that is no domain: stage controls has it."""


def run(
    cfg: DomainsSlice,
    *,
    shares: list[Path],
    output: Path,
) -> None:
    """The shares on each corpus and each scope alone.

    Args:
        shares: best partners of each pair of `cfg.shares`.
        output: domains.parquet.

    Raises:
        ArtifactError: when a table cannot be read, or lacks features.
    """
    provenance = Provenance("domains", cfg, shares)
    table = domain_table(cfg, Bests(cfg.shares, shares, cfg.flow))
    save_table(output, table, provenance)
    for line in lines(table, cfg.flow.threshold):
        log.info(line)
    for line in fragile_lines(table, cfg.flow.threshold):
        log.warning("%s", line)


def domain_table(cfg: DomainsSlice, bests: Bests) -> pd.DataFrame:
    """domains.parquet: of every edge, on every domain on which its SAEs were compared.

    A ceiling is that of the domain of the same name: on a corpus, both seeds on that corpus; on a
    scope, both seeds on the scope of a model with itself, which is its own home whatever the scope.
    """
    thresholds = np.array(cfg.thresholds)
    known, parts = {}, []
    for parent, child in cfg.edges:
        for domain in bests.domains(parent, child, cfg.sae, cfg.sae):
            if domain == SHIFT:
                continue
            if domain not in known:
                known[domain] = ceilings(bests, cfg.seeds, domain, thresholds)
            beside = standing(cfg, bests, (parent, child), domain, known[domain], thresholds)
            parts.append(expanded((parent, child), domain, thresholds, beside))
    return joined(parts)


def lines(table: pd.DataFrame, threshold: float) -> list[str]:
    """The edges' shares on every domain at one threshold, as text, a line an edge."""
    rows = table[(table["threshold"] == threshold) & (table["kind"] == "all")]
    rows = rows[rows["control"] == "edge"]
    return [
        f"{edge}: "
        + ", ".join(
            f"{row['domain']} {percent(row['share'])}" for row in of_edge.to_dict("records")
        )
        for edge, of_edge in rows.groupby("edge", sort=False)
    ]
