"""Planted features through the real stages, from dumps to the table of edges.

Features that persist, vanish, are split, merged, doubled, seldom or silent: what becomes of each is
known beforehand, and so is every number of the tables.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from scipy.sparse import csr_array

from featflow.analysis import controls, edges, flow
from featflow.analysis.intervals import together
from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.config.study import Study
from featflow.features import correlation, dump, shares
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES

from .conftest import write_metrics
from .controlled import TEXTS

NAME = "planted"
TOKENS, PER_DOCUMENT = 4000, 20
CORPORA = ("code", "prose")

SETTINGS = {
    **TEXTS,
    "models": {
        "base": {"kind": "base", "corpora": ["prose"]},
        "lua": {"kind": "finetune", "parent": "base", "corpora": ["code"]},
        "noise": {"kind": "random", "like": "base"},
    },
    "saes": {
        "main": {"kind": "relu"},
        "reseed": {"kind": "relu", "seed": 1, "control_of": "main", "models": ["base"]},
    },
    "controls": {"transfer": False, "bootstrap": 0, "thresholds": [0.6, 0.99]},
}


def features() -> dict[str, np.ndarray]:
    """The activations (2 T, m) of every dictionary: T tokens of code, then T of prose."""
    rng, size = np.random.default_rng(0), 2 * TOKENS

    def feature() -> np.ndarray:
        return rng.exponential(size=size) * (rng.random(size) < 0.1)

    def at(count: int, documents: int) -> np.ndarray:
        """Fires `count` times, all of them in the first documents of prose."""
        x = np.zeros(size)
        x[TOKENS + rng.permutation(documents * PER_DOCUMENT)[:count]] = 1 + rng.random(count)
        return x

    p0, p1, p2, noisy, vanished, split, one, other, doubled, twin = (feature() for _ in range(10))
    few, narrow, silent = at(12, 200), at(40, 3), np.zeros(size)
    half = rng.random(size) < 0.5
    alike = np.where(noisy > 0, noisy + 0.4 * np.abs(rng.normal(size=size)), 0)
    base = [p0, p1, p2, noisy, vanished, split, one, other, doubled, few, narrow, silent]
    base += [twin, 2 * twin]
    lua = [p2 * 2, p0 * 3, p1, alike, split * half, split * ~half, one + other]
    lua += [doubled, doubled * 2, twin, few, narrow, silent, silent, feature()]
    reseed = [p0, p1, p2, vanished, doubled, twin, feature(), feature(), silent]
    noise = [p0, *(feature() for _ in range(8))]
    found = {"base.main": base, "lua.main": lua, "base.reseed": reseed, "noise.main": noise}
    return {name: np.stack(each, 1).astype(np.float32) for name, each in found.items()}


class Built:
    """The planted dumps, and what the stages make of them."""

    def __init__(self, root: Path):
        self.root, self.slices = root, Slices(NAME, Study.model_validate(SETTINGS))
        for name, dense in features().items():
            self._write(name, dense)
        ids = np.random.default_rng(1).integers(0, 50, TOKENS).astype(np.int32)
        for corpus in CORPORA:
            file = self.path(paths.TOKENS, corpus=corpus, split="validation")
            file.parent.mkdir(parents=True)
            starts = np.arange(0, TOKENS, PER_DOCUMENT)
            save_file({"input_ids": ids, "document_starts": starts}, file)

    def path(self, template: paths.Template, **names: str) -> Path:
        return self.root / template.at(**{"study": NAME, "sae": "main", **names})

    def _write(self, name: str, dense: np.ndarray) -> None:
        model, sae = name.split(".")
        handle = self.path(paths.SAE, model=model, sae=sae)
        handle.parent.mkdir(parents=True)
        handle.write_text(f'{{"d_sae": {dense.shape[1]}}}')
        directions = np.eye(dense.shape[1], 20, dtype=np.float32)
        save_file({"W_dec": directions}, handle.with_name("sae_weights.safetensors"))
        made = Provenance("features", STAGES["features"].slice(self.slices, model, sae))
        for i, corpus in enumerate(CORPORA):
            rows = csr_array(dense[i * TOKENS : (i + 1) * TOKENS])
            file = self.path(paths.FEATURES, model=model, sae=sae, corpus=corpus)
            dump.write(file, dump.Dump(rows, np.arange(TOKENS)), made)
        summary = pd.DataFrame({"density": (dense > 0).mean(axis=0)})
        save_table(self.path(paths.SUMMARY, model=model, sae=sae), summary, made)

    def dumps(self, model: str, sae: str, corpora: list[str]) -> list[Path]:
        return [self.path(paths.FEATURES, model=model, sae=sae, corpus=c) for c in corpora]

    def tokens(self, corpora: list[str]) -> list[Path]:
        return [self.path(paths.TOKENS, corpus=c, split="validation") for c in corpora]

    def folder(self, model: str, sae: str) -> Path:
        return self.path(paths.SAE, model=model, sae=sae).parent

    def correlate(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {"matches": [], "matrices": []}
        for pair in STAGES["flow"].slice(self.slices, "main").pairs:
            cfg = STAGES["correlation"].slice(self.slices, pair.a, pair.b)
            at = {"a": pair.a, "b": pair.b}
            matches, matrix = self.path(paths.MATCHES, **at), self.path(paths.MATRIX, **at)
            (one, first), (two, second) = pair.a.split("."), pair.b.split(".")
            correlation.run(
                cfg,
                a=self.dumps(one, first, cfg.corpora),
                b=self.dumps(two, second, cfg.corpora),
                sae_a=self.folder(one, first),
                sae_b=self.folder(two, second),
                tokens=self.tokens(cfg.corpora),
                matrix=matrix,
                matches=matches,
            )
            found["matches"].append(matches)
            found["matrices"].append(matrix)
        return found

    def share(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {"shares": [], "bootstraps": []}
        for pair in self.slices.compared("main"):
            names = pair.model_dump()
            cfg = STAGES["shares"].slice(self.slices, "main", **names)
            best, bootstrap = self.path(paths.SHARES, **names), self.path(paths.BOOTSTRAP, **names)
            shares.run(
                cfg,
                a=[file for sae in cfg.a for file in self.dumps(pair.parent, sae, cfg.corpora)],
                b=[file for sae in cfg.b for file in self.dumps(pair.child, sae, cfg.corpora)],
                saes_a=[self.folder(pair.parent, sae) for sae in cfg.a],
                saes_b=[self.folder(pair.child, sae) for sae in cfg.b],
                tokens=self.tokens(cfg.corpora),
                best=best,
                bootstrap=bootstrap,
            )
            found["shares"].append(best)
            found["bootstraps"].append(bootstrap)
        return found

    def analyse(self) -> None:
        slices, at = self.slices, self.path
        fates = {"features": at(paths.FLOW_FEATURES), "counts": at(paths.FLOW_COUNTS)}
        files = self.correlate()
        flow.run(
            STAGES["flow"].slice(slices, "main"), **files, **fates, chains=at(paths.FLOW_CHAINS)
        )
        found = self.share()
        beside = at(paths.FLOW_CONTROLS)
        by_domain = at(paths.FLOW_DOMAINS)
        cfg = STAGES["controls"].slice(slices, "main")
        controls.run(cfg, **found, output=beside, domains=by_domain)
        edges.run(
            STAGES["edges"].slice(slices, "main"),
            **fates,
            controls=beside,
            summaries=[
                at(paths.SUMMARY, model=m) for m in STAGES["edges"].slice(slices, "main").models
            ],
            metrics=write_metrics(slices, "main", self.root),
            edges=at(paths.FLOW_EDGES),
            typed=at(paths.FLOW_SHARES),
            strata=at(paths.FLOW_STRATA),
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Built:
    made = Built(tmp_path_factory.mktemp("planted"))
    made.analyse()
    return made


CEILING = (7 / 11 + 6 / 8) / 2
"""Of the base's 11 living features the reseed finds 7 (either twin by the other), of its 8 the base
has 6."""


def test_exactly_the_planted_table(built):
    row = pd.read_csv(built.path(paths.FLOW_EDGES)).iloc[0]
    seeds = together(np.array([[7 / 11], [5 / 8]]), 0.0)  # of the reseed's 8, lua has 5
    expected = {
        "edge": "base-lua",
        "parent_features": 11,
        "parent_silent": 1,
        "parent_rare": 2,
        "persisting": 7,  # three copies, the noisy one, the doubled one, both twins
        "disappearing": 4,  # the vanished one, the split one, the two that were merged
        "child_features": 11,
        "child_silent": 2,
        "child_rare": 2,
        "traced": 7,  # copies, the noisy one, both doubles, the twin
        "emerging": 4,  # two halves, the merged one, a new one
        "mutual": 6,
        "one_to_one": 6,  # one of the doubles, one of the twins
        "share": 7 / 11,
        "ceiling": CEILING,
        "ceiling_of": "base",
        "share_of_ceiling": 7 / 11 / CEILING,
        "interval": "seeds",
        "seed_mean": (7 / 11 + 5 / 8) / 2,
        "low": seeds.low,
        "high": seeds.high,
        "floor": 1 / 11,  # the random model has the first copy
        "floor_of": "random noise",
        "floor_random": 1 / 11,
        "corrected": (7 / 11 - 1 / 11) / (CEILING - 1 / 11),
        "stable_share": 6 / 7,  # of what the reseed finds only the vanished one is lost
    }
    for name, value in expected.items():
        assert row[name] == (value if isinstance(value, str) else pytest.approx(value)), name
    assert row[["frozen", "continued"]].isna().all()
    dense = features()
    for end, model in (("parent", "base"), ("child", "lua")):
        assert row[f"l0_{end}"] == pytest.approx((dense[f"{model}.main"] > 0).mean(0).sum())


def test_controls_at_other_thresholds(built):
    table = pd.read_parquet(built.path(paths.FLOW_CONTROLS))
    shares = table[table["kind"] == "all"].set_index(["control", "threshold"])["share"]
    assert sorted(set(table["threshold"])) == [0.6, 0.8, 0.99]
    assert shares["shift"].tolist() == [0, 0, 0]
    # at 0.99 the noisy feature is gone; at 0.6 the split one and the merged ones are not
    assert shares["edge", 0.99] == pytest.approx(6 / 11)
    assert shares["edge", 0.6] == pytest.approx(10 / 11)
    assert shares["random"].tolist() == pytest.approx([1 / 11] * 3)
    assert shares["ceiling"].tolist() == pytest.approx([CEILING] * 3)


def test_the_same_edge_on_every_domain(built):
    table = pd.read_parquet(built.path(paths.FLOW_DOMAINS))
    rows = table[(table["kind"] == "all") & (table["threshold"] == 0.8)]
    rows = rows.set_index(["control", "domain"])
    assert sorted(rows.loc["edge"].index) == ["code", "home", "intersection", "prose", "union"]
    assert rows["features"]["edge"].tolist() == [11] * 5
    assert rows["share"]["edge"].tolist() == pytest.approx([7 / 11] * 5)
    assert rows["share"]["ceiling"].tolist() == pytest.approx([CEILING] * 5)
    assert rows["share"]["random", "code"] == pytest.approx(1 / 11)


def test_the_share_of_stage_flow_is_that_of_the_controls(built):
    """Two ways through the code, from the same dumps."""
    strata = pd.read_csv(built.path(paths.FLOW_STRATA)).query("role == 'parent'")
    table = pd.read_parquet(built.path(paths.FLOW_CONTROLS)).query(
        "control == 'edge' and threshold == 0.8"
    )
    both = strata.merge(table, on=["edge", "kind", "stratum"], suffixes=("", "_control"))
    assert len(both) == len(strata) == len(table) > 2
    assert both["features"].tolist() == both["features_control"].tolist()
    assert both["persisting"].tolist() == both["found"].tolist()
