"""Correlation files with planted contents: from matrices of r, or from activations."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from featflow.artifacts.io import save_json, save_table
from featflow.artifacts.provenance import Provenance
from featflow.config.study import Flow
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES
from featflow.plan.stages.analysis import FlowPair, FlowSlice


class Files(NamedTuple):
    matches: Path
    matrix: Path


class Counts(NamedTuple):
    """Firings and documents of one side's features on either scope."""

    own: np.ndarray
    documents: np.ndarray
    there: np.ndarray
    """Firings on the other side's scope."""
    documents_there: np.ndarray | None = None
    """Documents on the other side's scope, where they differ."""


def many(size: int) -> Counts:
    """Features that are neither silent nor rare anywhere."""
    return Counts(*(np.full(size, count) for count in (100, 50, 100)))


def _there(side: Counts) -> np.ndarray:
    return side.documents if side.documents_there is None else side.documents_there


def side_rows(
    side: str, r: np.ndarray, own: Counts, other: Counts, lookup, partners, tokens, trimmed
):
    """The rows of matches.parquet for one side; r is (its features, the other side's)."""
    for feature in range(len(r)):
        known = np.flatnonzero(~np.isnan(r[feature]))
        best = known[np.argsort(-r[feature][known], kind="stable")][:partners]
        for rank, partner in enumerate(best if len(best) else [-1]):
            yield {
                "side": side,
                "feature": feature,
                "rank": rank,
                "partner": partner,
                "r": np.nan if partner < 0 else r[feature, partner],
                "firings": own.own[feature],
                "partner_firings": 0 if partner < 0 else other.there[partner],
                "cofirings": 0,
                "jaccard": np.nan,
                "decoder_cosine": np.nan,
                "lookup_r": lookup[feature],
                "documents": own.documents[feature],
                "partner_documents": 0 if partner < 0 else _there(other)[partner],
                "tokens": tokens,
                "r_trimmed": np.nan if partner < 0 else trimmed[feature, partner],
            }


def write_pair(
    folder: Path,
    r: np.ndarray,
    r_b: np.ndarray | None = None,
    a: Counts | None = None,
    b: Counts | None = None,
    lookup_a: np.ndarray | None = None,
    lookup_b: np.ndarray | None = None,
    partners: int = 10,
    tokens: int = 100_000,
    trimmed: np.ndarray | None = None,
    trimmed_b: np.ndarray | None = None,
) -> Files:
    """matches.parquet and matrix.safetensors of a pair whose r is given.

    r_trimmed is r, unless it is given too (on b's scope that of a's, where nothing else is).
    """
    folder.mkdir(parents=True, exist_ok=True)
    a, b = a or many(r.shape[0]), b or many(r.shape[1])
    lookup_a = np.full(len(r), 0.3) if lookup_a is None else lookup_a
    lookup_b = np.full(r.shape[1], 0.3) if lookup_b is None else lookup_b
    of_b = r if r_b is None else r_b
    trimmed_a, trimmed_b = trimmed_of(r, of_b, trimmed, trimmed_b)
    rows = [
        *side_rows("a", r, a, b, lookup_a, partners, tokens, trimmed_a),
        *side_rows("b", of_b.T, b, a, lookup_b, partners, tokens, trimmed_b.T),
    ]
    pd.DataFrame(rows).to_parquet(folder / "matches.parquet")
    tensors = {"r": np.ascontiguousarray(r, dtype=np.float32)}
    if r_b is not None:
        tensors["r_b"] = np.ascontiguousarray(r_b, dtype=np.float32)
    save_file(tensors, folder / "matrix.safetensors")
    return Files(folder / "matches.parquet", folder / "matrix.safetensors")


def trimmed_of(r, r_b, trimmed, trimmed_b) -> tuple[np.ndarray, np.ndarray]:
    """r_trimmed on either scope, of what is given of it."""
    if trimmed is None:
        return r, r_b
    return trimmed, trimmed if trimmed_b is None else trimmed_b


def from_floor(file: Path, floor: float) -> None:
    """Write a full matrix file anew, with what is under the floor left out."""
    full = load_file(file)
    tensors = {"floor": np.array([floor]), "shape": np.array(full["r"].shape)}
    for name, r in full.items():
        i, j = np.nonzero(np.abs(r) >= np.float32(floor))
        edges = np.searchsorted(i, np.arange(len(r) + 1))
        tensors |= {f"{name}.indptr": edges, f"{name}.indices": j.astype(np.int32)}
        tensors[f"{name}.values"] = r[i, j]
    save_file(tensors, file)


def activations_pair(folder: Path, a: np.ndarray, b: np.ndarray, document: np.ndarray) -> Files:
    """The files of two dictionaries whose activations (T, m) are given, on one scope."""
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.corrcoef(a.T, b.T)[: a.shape[1], a.shape[1] :]

    def counts(x: np.ndarray) -> Counts:
        firings = (x > 0).sum(axis=0)
        found = np.array([len(set(document[column > 0])) for column in x.T])
        return Counts(firings, found, firings)

    return write_pair(folder, r, a=counts(a), b=counts(b), tokens=len(a))


class Known(NamedTuple):
    """What is planted about two dictionaries on a domain; as `write_pair` takes it."""

    r: np.ndarray
    r_b: np.ndarray | None = None
    a: Counts | None = None
    b: Counts | None = None
    lookup_a: np.ndarray | None = None
    lookup_b: np.ndarray | None = None
    tokens: int = 100_000
    trimmed: np.ndarray | None = None
    trimmed_b: np.ndarray | None = None


def best_rows(a: str, b: str, domain: str, known: Known, flow: Flow) -> pd.DataFrame:
    """The rows of best.parquet of two SAEs on a domain, from what is known of them."""
    counts = known.a or many(known.r.shape[0]), known.b or many(known.r.shape[1])
    of_b = known.r if known.r_b is None else known.r_b
    looks = known.lookup_a, known.lookup_b
    found = []
    trimmed = trimmed_of(known.r, of_b, known.trimmed, known.trimmed_b)
    for i, r in enumerate((known.r, of_b.T)):
        own, other = counts[i], counts[1 - i]
        counting = (other.there >= flow.min_firings) & (_there(other) >= flow.min_documents)
        r = np.where(counting & ~np.isnan(r), r, -np.inf).astype(np.float32)
        of_best = (trimmed[0], trimmed[1].T)[i][np.arange(len(r)), r.argmax(axis=1)]
        none = np.isneginf(r.max(axis=1, initial=-np.inf))
        found.append(
            pd.DataFrame(
                {
                    "a": a,
                    "b": b,
                    "domain": domain,
                    "side": "ab"[i],
                    "feature": np.arange(len(r), dtype=np.int32),
                    "firings": own.own,
                    "documents": own.documents,
                    "tokens": known.tokens,
                    "lookup_r": np.float32(0.3) if looks[i] is None else np.float32(looks[i]),
                    "partner": np.where(none, -1, r.argmax(axis=1)).astype(np.int32),
                    "r": np.where(none, np.nan, r.max(axis=1)).astype(np.float32),
                    "r_trimmed": np.where(none, np.nan, of_best).astype(np.float32),
                }
            )
        )
    partners = [rows["partner"].to_numpy() for rows in found]
    for i, rows in enumerate(found):
        back = partners[1 - i][partners[i]] == np.arange(len(rows))
        rows["mutual"] = back & (partners[i] >= 0)
    return pd.concat(found)


BOOTSTRAP = ("replicate", "side", "kind", "stratum", "threshold", "features", "share")


def write_best(
    file: Path,
    pairs: Mapping[tuple[str, str, str], Known],
    provenance: Provenance,
    flow: Flow | None = None,
) -> Path:
    """best.parquet of {(a, b, domain): what is known}."""
    rows = [best_rows(*names, known, flow or Flow()) for names, known in pairs.items()]
    save_table(file, pd.concat(rows, ignore_index=True), provenance)
    return file


Planting = Callable[[str, str, str], Known]
"""What is known of two dictionaries, `model.sae` each, on a domain."""


def write_shares(slices: Slices, sae: str, root: Path, known: Planting) -> None:
    """What stages shares and transfer would write, for all pairs of a study's SAE.

    The frozen dictionary finds every feature that lives; there is no bootstrap.
    """
    for pair in slices.compared(sae):
        names = pair.model_dump()
        cfg = STAGES["shares"].slice(slices, sae, **names)
        made = Provenance("shares", cfg)
        shift = [(sae, sae, "shift")] if cfg.shift else []
        keys = [
            *((a, b, cfg.domain) for a, b in cfg.pairs),
            *((a, b, d) for a, b in cfg.everywhere for d in cfg.domains if d != cfg.domain),
        ]
        ends = {(a, b): (f"{pair.parent}.{a}", f"{pair.child}.{b}") for a, b, _ in keys}
        found = {(a, b, d): known(*ends[a, b], d) for a, b, d in keys}
        found |= {key: _without(found[sae, sae, cfg.domain]) for key in shift}
        at = {"study": slices.name, "sae": sae, **names}
        write_best(root / paths.SHARES.at(**at), found, made, slices.study.flow)
        nothing = pd.DataFrame({name: pd.Series(dtype=float) for name in BOOTSTRAP})
        save_table(root / paths.BOOTSTRAP.at(**at), nothing, made)
    for pair in slices.transferred(sae):
        names = pair.model_dump()
        of = known(f"{pair.parent}.{sae}", f"{pair.child}.{sae}", slices.study.flow.scope)
        size, counts = len(of.r), of.a or many(len(of.r))
        rows = pd.DataFrame({"feature": np.arange(size), "r": np.float32(1)})
        for prefix in ("", "child_"):
            rows[f"{prefix}firings"], rows[f"{prefix}documents"] = counts.own, counts.documents
        rows["tokens"] = of.tokens
        file = root / paths.FROZEN.at(study=slices.name, sae=sae, **names)
        save_table(
            file, rows, Provenance("transfer", STAGES["transfer"].slice(slices, sae, **names))
        )


def _without(known: Known) -> Known:
    """The same features, none of which correlates with any."""
    return known._replace(r=known.r * 0, r_b=None if known.r_b is None else known.r_b * 0)


METRICS = {
    "l0": 20.0,
    "mse": 0.1,
    "fve": 0.9,
    "dead_fraction": 0.05,
    "tokens": 1000,
    "loss_clean": 3.0,
    "loss_sae": 3.1,
    "loss_zero": 4.0,
}
"""Of an SAE that is good enough: 0.9 of the loss is explained."""


def write_metrics(slices: Slices, sae: str, root: Path, **of: dict[str, float]) -> list[Path]:
    """metrics.json of every SAE that numbers of edges are from, where there is none yet.

    Args: of: by model, what differs from METRICS.
    """
    files = []
    for each in STAGES["edges"].slice(slices, sae).saes:
        model, name = each.dictionary.split(".")
        file = root / paths.SAE_METRICS.at(study=slices.name, model=model, sae=name)
        if not file.exists():
            found = METRICS | {"l0": each.l0 or 20.0} | of.get(model, {})
            made = Provenance("metrics", STAGES["metrics"].slice(slices, model, name))
            corpora = dict.fromkeys(each.own or ["any"], found)
            save_json(file, {**found, "corpora": corpora}, made)
        files.append(file)
    return files


def write_scaling(slices: Slices, sae: str, root: Path) -> list[Path]:
    """Latent scaling of the edges: drawn numbers, some of them null."""
    files = []
    for parent, child in STAGES["edges"].slice(slices, sae).scaled:
        names = {"sae": sae, "parent": parent, "child": child}
        file = root / paths.SCALING.at(study=slices.name, **names)
        rng = np.random.default_rng(sum(map(ord, parent + child)))
        drawn = rng.uniform(0, 1, (64, 2))
        drawn[rng.random(drawn.shape) < 0.1] = np.nan
        table = pd.DataFrame(drawn, columns=["nu_error", "nu_reconstruction"])
        table.insert(0, "feature", np.arange(64, dtype="int32"))
        made = Provenance("transfer", STAGES["transfer"].slice(slices, sae, parent, child))
        save_table(file, table, made)
        files.append(file)
    return files


def write_tables(slices: Slices, sae: str, root: Path, known: Planting) -> None:
    """All tables of an SAE's flow and its controls, by the real stages from planted pairs.

    The summaries of the models' features have to be there.
    """
    from featflow.analysis import controls, edges, flow

    def at(template: paths.Template, **names: str) -> Path:
        return root / template.at(study=slices.name, sae=sae, **names)

    cfg = STAGES["flow"].slice(slices, sae)
    written = {}
    for a, b in ((str(pair.a), str(pair.b)) for pair in slices.lineage.pairs(sae)):
        found, folder = known(a, b, cfg.flow.scope), at(paths.MATRIX, a=a, b=b).parent
        more = {"tokens": found.tokens, "trimmed": found.trimmed, "trimmed_b": found.trimmed_b}
        written[a, b] = write_pair(folder, *found[:6], partners=2, **more)
        made, file = (
            Provenance("correlation", STAGES["correlation"].slice(slices, a, b)),
            written[a, b].matches,
        )
        save_table(file, pd.read_parquet(file), made)
    files = [written[pair.a, pair.b] for pair in cfg.pairs]
    fates = {"features": at(paths.FLOW_FEATURES), "counts": at(paths.FLOW_COUNTS)}
    flow.run(
        cfg,
        matches=[file.matches for file in files],
        matrices=[file.matrix for file in files],
        **fates,
        chains=at(paths.FLOW_CHAINS),
    )
    write_shares(slices, sae, root, known)
    compared = [pair.model_dump() for pair in slices.compared(sae)]
    shares = [at(paths.SHARES, **names) for names in compared]
    controls.run(
        STAGES["controls"].slice(slices, sae),
        shares=shares,
        bootstraps=[at(paths.BOOTSTRAP, **names) for names in compared],
        frozen=[at(paths.FROZEN, **pair.model_dump()) for pair in slices.transferred(sae)],
        output=at(paths.FLOW_CONTROLS),
        domains=at(paths.FLOW_DOMAINS),
    )
    edges.run(
        STAGES["edges"].slice(slices, sae),
        **fates,
        controls=at(paths.FLOW_CONTROLS),
        summaries=[
            at(paths.SUMMARY, model=model) for model in STAGES["edges"].slice(slices, sae).models
        ],
        metrics=write_metrics(slices, sae, root),
        scaling=write_scaling(slices, sae, root),
        edges=at(paths.FLOW_EDGES),
        typed=at(paths.FLOW_SHARES),
        strata=at(paths.FLOW_STRATA),
    )


@pytest.fixture
def run_flow(tmp_path) -> Callable:
    """Run the stage on pairs {(role, a, b): Files}; gives the paths of its three tables."""
    from featflow.analysis import flow

    def run(pairs: dict[tuple[str, str, str], Files], **settings) -> dict[str, Path]:
        cfg = FlowSlice(
            study="planted",
            sae="main",
            flow=Flow(**settings),
            pairs=[
                FlowPair(role=role, a=a, b=b)  # type: ignore[arg-type]
                for role, a, b in pairs
            ],
        )
        names = ("features.parquet", "counts.csv", "chains.parquet")
        paths = {name.split(".")[0]: tmp_path / "flow" / name for name in names}
        files = list(pairs.values())
        flow.run(
            cfg, matches=[f.matches for f in files], matrices=[f.matrix for f in files], **paths
        )
        return paths

    return run
