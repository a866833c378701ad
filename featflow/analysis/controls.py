"""Stage `controls`: what every share stands beside. docs/controls.md has all definitions.

Of each edge, at each threshold of the sweep and by stratum: its own share with a jackknife over SAE
seeds and with a bootstrap over documents, ceilings from reseeds, floors and arms (the same rule
with another child or other SAEs), frozen dictionaries, stable features, and a circular shift.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from featflow.analysis.ceilings import Ceiling, Ceilings, ceiling, ceilings
from featflow.analysis.fragile import MANY, said
from featflow.analysis.intervals import Replicates, over_documents, over_seeds, replicates
from featflow.analysis.persistence import Bests, Edge, Judged, tally
from featflow.analysis.persistence import frozen as frozen_side
from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.features.strata import STRATA, Stratum
from featflow.plan.stages.analysis import ControlsSlice, EdgeArm
from featflow.runtime.log import log
from featflow.wording import percent

COLUMNS = {
    "edge": "str",
    "domain": "str",
    "control": "str",
    "threshold": "float64",
    "share": "float64",
    "low": "float64",
    "high": "float64",
    "kind": "str",
    "stratum": "str",
    "features": "Int64",
    "found": "Int64",
    "by": "str",
    "fragile": "Int64",
    "fragile_share": "float64",
}

SHIFT = "shift"
"""A comparison of stage shares that is no domain."""

TRANSFERRED = ("unrelated", "random", "continued", "retrained")
"""Arms with a child of their own, to which the parent's SAE is applied too."""


class Line(NamedTuple):
    """A share of one stratum at every threshold; arrays have shape (thresholds,)."""

    control: str
    by: str
    """What gave it."""
    stratum: Stratum
    share: np.ndarray
    features: np.ndarray | None = None
    """None: it is not one count, but made from several shares."""
    found: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    fragile: np.ndarray | None = None
    """Of those that are found the ones that hang on a handful of rows (analysis/fragile.py)."""
    fragile_share: np.ndarray | None = None
    """Their part of all that is found; None: not known."""


def run(
    cfg: ControlsSlice,
    *,
    shares: list[Path],
    bootstraps: list[Path],
    output: Path,
    domains: Path,
    frozen: Sequence[Path] = (),
) -> None:
    """What every share stands beside: ceilings, floors, arms and intervals; and on what text.

    Args:
        shares: best partners of each pair of `cfg.shares`.
        bootstraps: the bootstrap's shares of the same.
        output: controls.parquet, on the flow's scope.
        domains: domains.parquet, on each corpus alone and on every scope.
        frozen: frozen dictionaries of each pair of `cfg.transfers`.

    Raises:
        ArtifactError: when a table cannot be read, or lacks what it should have.
    """
    provenance = Provenance("controls", cfg, [*shares, *bootstraps, *frozen])
    controls = EdgeControls(cfg, shares, bootstraps, frozen)
    table = joined([controls.table(edge) for edge in cfg.edges])
    by_domain = domain_table(cfg, controls.bests, controls.thresholds)
    save_table(output, table, provenance)
    save_table(domains, by_domain, provenance)
    threshold = cfg.flow.threshold
    for line in [*seed_lines(cfg.seeds), *lines(table, threshold)]:
        log.info(line)
    for line in domain_lines(by_domain, threshold):
        log.info(line)
    elsewhere = by_domain[by_domain["domain"] != cfg.flow.scope]
    for line in fragile_lines(pd.concat([table, elsewhere]), threshold):
        log.warning("%s", line)


def domain_table(cfg: ControlsSlice, bests: Bests, thresholds: np.ndarray) -> pd.DataFrame:
    """domains.parquet: of every edge, on every domain on which its SAEs were compared.

    A share depends on the text on which features are judged. Beside each of an edge's shares stand
    the ceiling, the floors and the arms on that very text. A ceiling is that of the domain of the
    same name: on a corpus, both seeds on that corpus; on a scope, both seeds on the scope of a
    model with itself, which is its own home whatever the scope.
    """
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


class EdgeControls:
    """All controls of an SAE's edges."""

    def __init__(
        self,
        cfg: ControlsSlice,
        shares: Sequence[Path],
        bootstraps: Sequence[Path],
        frozen: Sequence[Path],
    ):
        self.cfg, self.domain = cfg, cfg.flow.scope
        self.thresholds = np.array(sorted({*cfg.controls.thresholds, cfg.flow.threshold}))
        self.bests = Bests(cfg.shares, shares, cfg.flow)
        self.bootstraps = _by_pair(cfg.shares, bootstraps)
        self.frozen = _by_pair(cfg.transfers, frozen)
        self.known = ceilings(self.bests, cfg.seeds, self.domain, self.thresholds)

    def table(self, edge: Edge) -> pd.DataFrame:
        """The rows of one edge."""
        beside = standing(self.cfg, self.bests, edge, self.domain, self.known, self.thresholds)
        found = list(beside)
        own = [line for line in found if line.control == "edge"]
        drawn = replicates(self.bootstraps[edge])
        found = [
            *self._seeds(edge, own, drawn),
            *self._documents(own, drawn),
            *(line for line in found if line.control != "edge"),
            *self._frozen(edge),
            *self._stable(edge),
            *self._shift(edge),
        ]
        return expanded(edge, self.domain, self.thresholds, found)

    def _side(self, a: str, b: str, sae: str, domain: str = "") -> Judged | None:
        return self.bests.find(a, b, (self.cfg.sae, sae, domain or self.domain, "a"))

    def _between(self, a: str, b: str) -> str:
        return f"{a}.{self.cfg.sae}-{b}.{self.cfg.sae}"

    def _seeds(self, edge: Edge, own: list[Line], drawn: Replicates) -> Iterator[Line]:
        """The edge's own shares with their intervals, and the means over seeds in these.

        The interval of `edge_mean` is over the seeds of the ends that have several; that of
        `edge_both` over the seeds of both ends, and over documents where they were drawn.
        """
        parent, child = edge
        seeds = self.cfg.seeds[parent], self.cfg.seeds[child]
        known = over_seeds(self.bests, edge, seeds, self.domain, self.thresholds, drawn)
        ends = ("+".join(f"{m}.{s}" for s in self.cfg.seeds[m]) for m in edge)
        by, seeded = "-".join(ends), "+".join(m for m in edge if len(self.cfg.seeds[m]) > 1)
        for line in own:
            if line.stratum not in known:
                yield line
                continue
            found, at = known[line.stratum], line.stratum
            yield line._replace(low=found.low, high=found.high)
            average = Line("edge_mean", by, at, found.mean, low=found.low, high=found.high)
            yield average._replace(fragile_share=found.fragile)
            over = f"seeds of {seeded}{', documents' if found.documents else ''}"
            yield Line("edge_both", over, at, found.mean, low=found.low_both, high=found.high_both)

    def _documents(self, own: list[Line], drawn: Replicates) -> Iterator[Line]:
        """The edge's own shares once more, with the intervals of its document bootstrap."""
        for line in own:
            if (interval := over_documents(drawn, line.stratum, self.thresholds)) is not None:
                yield line._replace(control="bootstrap", low=interval[0], high=interval[1])

    def _frozen(self, edge: Edge) -> Iterator[Line]:
        """The parent's SAE on the child, and on the children of the edge's arms."""
        parent, child = edge
        arms = [arm for arm in arms_of(self.cfg, edge) if arm.kind in TRANSFERRED]
        children = [("frozen", child), *((f"frozen_{a.kind}", a.b.split(".")[0]) for a in arms)]
        for control, model in children:
            if (file := self.frozen.get((parent, model))) is not None:
                key = (self.cfg.sae, self.cfg.sae, self.domain, "a")
                features = self.bests.get(parent, model, key)
                side = frozen_side(file, self.cfg.flow, features.lookup_r)
                by = f"{parent}.{self.cfg.sae} on {model}"
                yield from counted(control, by, side, self.thresholds)

    def _stable(self, edge: Edge) -> Iterator[Line]:
        """P(persists | each reseed of the parent finds it), both at the same threshold."""
        parent, child = edge
        reseeds = self.cfg.seeds[parent][1:]
        keys = [(self.cfg.sae, reseed, self.domain, "a") for reseed in reseeds]
        sides = [self.bests.get(parent, parent, key) for key in keys]
        if not sides:
            return
        found = np.all([side.matched(self.thresholds) for side in sides], axis=0)
        by = "+".join(f"{parent}.{reseed}" for reseed in reseeds)
        yield from counted(
            "stable", by, self._side(parent, child, self.cfg.sae), self.thresholds, found
        )

    def _shift(self, edge: Edge) -> list[Line]:
        """The edge's share after a circular shift of the child's rows: chance alone."""
        side = self._side(*edge, self.cfg.sae, SHIFT)
        return counted("shift", self._between(*edge), side, self.thresholds)


def _by_pair(pairs: Sequence, files: Sequence[Path]) -> dict[Edge, Path]:
    return {(p.parent, p.child): file for p, file in zip(pairs, files, strict=True)}


def counted(
    control: str,
    by: str,
    side: Judged | None,
    thresholds: np.ndarray,
    given: np.ndarray | None = None,
) -> list[Line]:
    """The shares of one dictionary's features, by stratum; none without the dictionary."""
    return [
        Line(
            control,
            by,
            stratum,
            counts.share,
            counts.features,
            counts.found,
            fragile=counts.fragile,
            fragile_share=counts.fragile_share,
        )
        for stratum, counts in (tally(side, thresholds, given) if side else {}).items()
    ]


def standing(
    cfg: ControlsSlice,
    bests: Bests,
    edge: Edge,
    domain: str,
    known: Ceilings,
    thresholds: np.ndarray,
) -> Iterator[Line]:
    """An edge's share, its ceilings and its arms, on one domain.

    Args:
        cfg: the SAE, and the arms of all edges.
        bests: the tables of stage shares.
        edge: parent and child.
        domain: where features are judged.
        known: the ceilings there.
        thresholds: (T,) τ.
    """
    parent, child = edge
    own = bests.find(parent, child, (cfg.sae, cfg.sae, domain, "a"))
    yield from counted("edge", f"{parent}.{cfg.sae}-{child}.{cfg.sae}", own, thresholds)
    for stratum in STRATA:
        if (top := ceiling(parent, child, stratum, known)) is not None:
            yield _ceiling("ceiling", top[1], stratum, top[0])
        for control, model in (("ceiling_parent", parent), ("ceiling_child", child)):
            if stratum in known.get(model, {}):
                yield _ceiling(control, model, stratum, known[model][stratum])
    for arm in arms_of(cfg, edge):
        (a, sae), (b, other) = arm.a.split("."), arm.b.split(".")
        side = bests.find(a, b, (sae, other, domain, "a"))
        yield from counted(arm.kind, f"{arm.a}-{arm.b}", side, thresholds)


def _ceiling(control: str, by: str, stratum: Stratum, it: Ceiling) -> Line:
    return Line(control, by, stratum, it.share, fragile_share=it.fragile_share)


def arms_of(cfg: ControlsSlice, edge: Edge) -> list[EdgeArm]:
    """The controls of an edge."""
    return [arm for arm in cfg.arms if (arm.parent, arm.child) == tuple(edge)]


def expanded(
    edge: Edge, domain: str, thresholds: np.ndarray, lines: Iterable[Line]
) -> pd.DataFrame:
    """A row a threshold of each line."""
    size, parts = len(thresholds), []
    for line in lines:
        kind, stratum = line.stratum
        counts = {
            name: pd.array([pd.NA] * size if values is None else values, dtype="Int64")
            for name, values in (
                ("features", line.features),
                ("found", line.found),
                ("fragile", line.fragile),
            )
        }
        ends = {
            name: np.full(size, np.nan) if values is None else values
            for name, values in (
                ("low", line.low),
                ("high", line.high),
                ("fragile_share", line.fragile_share),
            )
        }
        parts.append(
            pd.DataFrame(
                {
                    "edge": "-".join(edge),
                    "domain": domain,
                    "control": line.control,
                    "threshold": thresholds,
                    "share": line.share,
                    **ends,
                    "kind": kind,
                    "stratum": stratum,
                    **counts,
                    "by": line.by,
                }
            )
        )
    return joined(parts)


def joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables below one another, with the types of their columns even if there is no row."""
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    return table.reindex(columns=list(COLUMNS)).astype(COLUMNS)


def seed_lines(seeds: Mapping[str, list[str]]) -> list[str]:
    """What the ceilings rest on, as text, a line a model that has reseeds."""
    few = "; a published figure wants three or more"
    return [
        f"{model}: {len(saes)} seeds of its SAE{few if len(saes) < 3 else ''}"
        for model, saes in seeds.items()
        if len(saes) > 1
    ]


def lines(table: pd.DataFrame, threshold: float) -> list[str]:
    """The controls over all features at one threshold, as text, a line an edge."""
    rows = table[(table["threshold"] == threshold) & (table["kind"] == "all")]
    return [
        f"{edge}: "
        + ", ".join(
            f"{row['control']} {percent(row['share'])}" for row in of_edge.to_dict("records")
        )
        for edge, of_edge in rows.groupby("edge", sort=False)
    ]


def domain_lines(table: pd.DataFrame, threshold: float) -> list[str]:
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


def fragile_lines(table: pd.DataFrame, threshold: float) -> list[str]:
    """What of the shares over all features hangs on a handful of rows, where that is over 5 %.

    Args:
        table: controls.parquet, domains.parquet, or rows of both.
        threshold: τ.
    """
    rows = table[(table["threshold"] == threshold) & (table["kind"] == "all")]
    rows = rows[(rows["fragile_share"] > MANY) & (rows["control"] != "bootstrap")]  # as of `edge`
    return [
        f"{row['edge']} on {row['domain']}: "
        + said({f"what {row['control']} finds ({row['by']})": row["fragile_share"]}, threshold)
        for row in rows.to_dict("records")
    ]
