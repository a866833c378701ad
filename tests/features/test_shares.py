"""Stage `shares` against stage `correlation` with the flow's rule, and against numpy."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config
from safetensors.numpy import save_file
from scipy.sparse import csr_array

from featflow.analysis.fates import compare
from featflow.artifacts.io import ArtifactError
from featflow.artifacts.provenance import Provenance
from featflow.config.study import Flow
from featflow.features import bootstrap as resampling
from featflow.features import correlation, dump, shares
from featflow.features.columns import columns
from featflow.features.domains import Dictionary, layout, rolled
from featflow.features.scope import Source, stack, stack_sources
from featflow.plan.stages.analysis import Domain, SharesSlice
from featflow.plan.stages.features import CorrelationSlice
from tests.features import stacks
from tests.features.test_lookup import naive

ROWS = {"x": 400, "y": 310, "z": 350}
FEATURES = {"main": 14, "again": 17}
LEAST = (8, 3)


def slice_of(**changes) -> SharesSlice:
    domains = {
        "home": Domain(a=["x"], b=["x", "y"]),
        "union": Domain(a=["x", "y", "z"], b=["x", "y", "z"]),
        "y": Domain(a=["y"], b=["y"]),
    }
    values = {
        "study": "tiny", "sae": "main", "parent": "base", "child": "tuned",
        "a": ["main", "again"], "b": ["main", "again"],
        "pairs": [("main", "main"), ("main", "again"), ("again", "main")],
        "everywhere": [("main", "main")], "corpora": list(ROWS), "domains": domains,
        "domain": "home", "min_firings": LEAST[0], "min_documents": LEAST[1], "seed": 5,
        "shift": True, "bootstrap": 7, "thresholds": [0.5, 0.8], "partners": 3,
    }  # fmt: skip
    return SharesSlice(**{**values, **changes})


class World:
    """Dumps of two models' SAEs on three corpora, in files and dense.

    Of each dictionary feature 0 never fires, 1 fires twice a corpus, 2 fires only on y, and 5 is
    4 again; the child's 6 … 9 are the parent's 9 … 6 with noise, its 10 is the parent's 10.
    """

    def __init__(self, root, draw, seed=0, skipped=None):
        self.root, self.dense = root, {}
        provenance = Provenance("features", slice_of())
        for corpus, rows in ROWS.items():
            rng = np.random.default_rng([seed, rows])
            ids = rng.integers(0, 25, 2 * rows + 9).astype(np.int32)
            starts = np.unique(np.append(0, rng.integers(1, len(ids), len(ids) // 20)))
            save_file({"input_ids": ids, "document_starts": starts}, root / f"{corpus}.tokens")
            for number, sae in enumerate(FEATURES):
                for side in "ab":
                    found = draw(seed + 2 * number + (side == "b"), rows, FEATURES[sae], 0.08)
                    self.dense[side, sae, corpus] = found.toarray()
            for sae in FEATURES:
                parents = self.dense["a", "main", corpus]
                child = self.dense["b", sae, corpus]
                child[:, 6:10] = parents[:, 9:5:-1] * rng.integers(3, 6, (rows, 4))
                child[:, 10] = parents[:, 10]
            for (side, sae, of), dense in self.dense.items():
                if of != corpus:
                    continue
                dense[:, 0] = 0
                dense[:, 1] = 0
                dense[:2, 1] = 1, 2
                dense[:, 2] *= corpus == "y"
                dense[:, 5] = dense[:, 4]
                at = np.arange(rows) * 2 + (9 if (side, sae) == skipped else 5)
                path = self.file(side, sae, corpus)
                path.parent.mkdir(parents=True, exist_ok=True)
                dump.write(path, dump.Dump(csr_array(dense), at), provenance)
                (path.parent / "cfg.json").write_text(f'{{"d_sae": {FEATURES[sae]}}}')
                save_file({"W_dec": np.eye(FEATURES[sae])}, path.parent / correlation.WEIGHTS)

    def file(self, side, sae, corpus):
        return self.root / side / sae / f"{corpus}.safetensors"

    def shares(self, cfg):
        best, bootstrap = self.root / "best.parquet", self.root / "bootstrap.parquet"
        shares.run(
            cfg,
            a=[self.file("a", sae, c) for sae in cfg.a for c in cfg.corpora],
            b=[self.file("b", sae, c) for sae in cfg.b for c in cfg.corpora],
            saes_a=[self.root / "a" / sae for sae in cfg.a],
            saes_b=[self.root / "b" / sae for sae in cfg.b],
            tokens=[self.root / f"{c}.tokens" for c in cfg.corpora],
            best=best,
            bootstrap=bootstrap,
        )
        return pd.read_parquet(best), pd.read_parquet(bootstrap)

    def fates(self, cfg, a, b, domain):
        """What the flow says of the same pair, from its whole matrix."""
        matrix, matches = self.root / "matrix.safetensors", self.root / "matches.parquet"
        correlation.run(
            CorrelationSlice(
                study="tiny", a=f"base.{a}", b=f"tuned.{b}", corpora=cfg.corpora,
                scope_a=cfg.domains[domain].a, scope_b=cfg.domains[domain].b,
                partners=max(FEATURES.values()), decoders=False,
                min_firings=cfg.min_firings, min_documents=cfg.min_documents,
            ),
            a=[self.file("a", a, c) for c in cfg.corpora],
            b=[self.file("b", b, c) for c in cfg.corpora],
            sae_a=self.root / "a" / a,
            sae_b=self.root / "b" / b,
            tokens=[self.root / f"{c}.tokens" for c in cfg.corpora],
            matrix=matrix,
            matches=matches,
        )  # fmt: skip
        flow = Flow(threshold=0.8, min_firings=cfg.min_firings, min_documents=cfg.min_documents)
        return compare(matches, matrix, flow)


@pytest.fixture(scope="module")
def world(tmp_path_factory, activations):
    return World(tmp_path_factory.mktemp("world"), activations)


@pytest.fixture(scope="module")
def found(world):
    return world.shares(slice_of())[0]


def rows_of(table, a, b, domain, side):
    keys = {"a": a, "b": b, "domain": domain, "side": side}
    return table[np.logical_and.reduce([table[k] == v for k, v in keys.items()])]


@pytest.mark.parametrize("pair", slice_of().pairs)
def test_it_says_what_the_flow_says(world, found, pair):
    cfg = slice_of()
    for domain in cfg.domains if pair in cfg.everywhere else ["home"]:
        expected = world.fates(cfg, *pair, domain)
        for side, judged in (("a", expected.a), ("b", expected.b)):
            rows = rows_of(found, *pair, domain, side)
            np.testing.assert_array_equal(rows["feature"], np.arange(len(judged.r)))
            np.testing.assert_array_equal(rows["partner"], judged.partner)
            np.testing.assert_array_equal(rows["firings"], judged.firings)
            np.testing.assert_array_equal(rows["documents"], judged.documents)
            np.testing.assert_array_equal(rows["firings"] / rows["tokens"], judged.density)
            np.testing.assert_allclose(rows["r"], judged.r, atol=1e-6)
            np.testing.assert_allclose(rows["lookup_r"], judged.lookup_r, atol=1e-6)
            np.testing.assert_allclose(rows["r_trimmed"], judged.r_trimmed, atol=1e-6)
            assert (rows["r_trimmed"] < rows["r"]).any()
            other = expected.b if side == "a" else expected.a
            back = np.array([other.partner[p] if p >= 0 else -1 for p in judged.partner])
            np.testing.assert_array_equal(rows["mutual"], back == np.arange(len(back)))


def test_what_is_planted_is_found(found):
    rows = rows_of(found, "main", "main", "union", "a").set_index("feature")
    assert list(rows.loc[6:9, "partner"]) == [9, 8, 7, 6] and (rows.loc[6:9, "r"] > 0.9).all()
    assert rows.loc[10, "partner"] == 10 and rows.loc[10, "r"] == 1 and rows.loc[10, "mutual"]
    assert rows.loc[0, "partner"] == -1 and np.isnan(rows.loc[0, "r"]) and not rows.loc[0, "mutual"]
    assert rows.loc[1, "partner"] >= 0  # a rare one has a partner, but is none
    assert not found["partner"].isin([0, 1]).any()
    assert rows_of(found, "main", "main", "home", "a").set_index("feature").loc[2, "firings"] == 0
    # of two that are the same the first one is the partner, and both have the same r
    assert not (found["partner"] == 5).any()
    assert rows.loc[4, "r"] == rows.loc[5, "r"]


def test_which_pairs_are_compared_where(found):
    cfg = slice_of()
    listed = found.groupby(["a", "b"])["domain"].unique()
    assert set(listed.index) == set(cfg.pairs)
    assert set(listed["main", "main"]) == {*cfg.domains, "shift"}
    assert set(listed["main", "again"]) == set(listed["again", "main"]) == {"home"}
    sizes = found.groupby(["a", "b", "domain", "side"]).size()
    for (a, b, _, side), size in sizes.items():
        assert size == FEATURES[a if side == "a" else b]
    assert {column: str(kind) for column, kind in found.dtypes.items()} == shares.COLUMNS


def test_the_same_bytes_on_one_thread_and_on_many(world, monkeypatch):
    files = [world.root / "best.parquet", world.root / "bootstrap.parquet"]
    monkeypatch.setattr(resampling, "LEAST", 1)
    bytes_of = []
    for threads in (1, 5):
        monkeypatch.setattr(config, "NUMBA_NUM_THREADS", threads)
        world.shares(slice_of())
        bytes_of.append([file.read_bytes() for file in files])
    assert bytes_of[0] == bytes_of[1]


def test_a_bootstrap_of_the_pair_itself(world, found, monkeypatch):
    monkeypatch.setattr(resampling, "LEAST", 400)
    _, table = world.shares(slice_of())
    assert set(table["replicate"]) == set(range(7))
    assert set(table["threshold"]) == {0.5, 0.8}
    total = table[table["kind"] == "all"]
    for side in "ab":
        rows = rows_of(found, "main", "main", "home", side)
        living = (rows["firings"] >= LEAST[0]) & (rows["documents"] >= LEAST[1])
        own = total[total["side"] == side]
        assert (own["features"] == living.sum()).all()
        again = own.groupby("threshold")["share"].mean()
        assert again[0.8] == pytest.approx((rows["r"][living] > 0.8).mean(), abs=0.1)
    for kind in ("lookup", "density"):
        parts = table[table["kind"] == kind].groupby(["replicate", "side", "threshold"])
        whole = total.set_index(["replicate", "side", "threshold"])
        found_in_parts = parts.apply(lambda part: (part["share"] * part["features"]).sum())
        np.testing.assert_allclose(
            found_in_parts, (whole["share"] * whole["features"]).loc[found_in_parts.index]
        )


@pytest.mark.parametrize("off", [{"bootstrap": 0}, {"thresholds": []}, {}])
def test_no_bootstrap_where_none_is_asked_for_or_tokens_are_few(world, caplog, monkeypatch, off):
    monkeypatch.setattr("featflow.features.shares.log.propagate", True)
    _, table = world.shares(slice_of(**off))
    assert table.empty
    assert {column: str(kind) for column, kind in table.dtypes.items()} == resampling.COLUMNS
    assert ("probe.tokens_per_corpus: home has 400 tokens" in caplog.text) == (off == {})


def test_no_shift_where_none_is_asked_for(world):
    found, _ = world.shares(slice_of(shift=False))
    assert "shift" not in set(found["domain"])


def test_dumps_of_other_tokens_are_refused_within_a_pair_alone(tmp_path, activations):
    odd = World(tmp_path, activations, skipped=("a", "again"))
    for path in (tmp_path / "b").rglob("*.safetensors"):
        if path.parent.name == "again" and path.name != correlation.WEIGHTS:
            known = dump.read(path, FEATURES["again"])
            provenance = Provenance("features", slice_of())
            dump.write(path, known._replace(positions=known.positions + 4), provenance)
    pairs = [("main", "main"), ("again", "again")]
    table, _ = odd.shares(slice_of(pairs=pairs))
    assert set(zip(table["a"], table["b"], strict=True)) == set(pairs)
    with pytest.raises(ArtifactError, match="not of the same tokens") as error:
        odd.shares(slice_of(pairs=[*pairs, ("again", "main")]))
    assert str(odd.file("a", "again", "x")) in str(error.value)
    assert str(odd.file("b", "main", "x")) in str(error.value)


@pytest.mark.parametrize(("rows", "least"), [(5000, 1000), (2000, 1000), (301, 150), (2, 1)])
def test_rows_are_moved_far_with_all_that_lies_at_them(rows, least):
    matrix = csr_array(np.arange(1, rows + 1, dtype=np.float32)[:, None])
    source = Source(np.arange(rows), np.arange(rows) * 2, np.arange(rows) % 2)
    cuts = set()
    for seed in range(30):
        moved, sources = rolled({"x": matrix}, {"x": source}, seed)
        values = stacks.dense(moved["x"])[:, 0].astype(int) - 1
        cut = values[0]
        np.testing.assert_array_equal(values, (np.arange(rows) + cut) % rows)
        np.testing.assert_array_equal(sources["x"].tokens, values)
        np.testing.assert_array_equal(sources["x"].documents, values * 2)
        np.testing.assert_array_equal(sources["x"].folds, values % 2)
        cuts.add(cut)
    assert min(cuts) >= least and max(cuts) <= rows - least
    assert len(cuts) > 5 or rows <= 2000


def test_moved_rows_do_not_correlate_though_the_features_are_the_same(found, world):
    """The child's 10 is the parent's: r 1 where it is, none where its rows are moved."""
    here, moved = (
        rows_of(found, "main", "main", domain, "a").set_index("feature").loc[10, "r"]
        for domain in ("home", "shift")
    )
    assert here == 1 and moved < 0.5
    cfg = slice_of()
    counts = {c: ROWS[c] for c in cfg.domains["home"].a}
    sources = {c: Source(*(np.zeros(rows, int) for _ in range(3))) for c, rows in ROWS.items()}
    child = {c: csr_array(world.dense["b", "main", c]) for c in ROWS}
    child = {c: stacks.dense(m) for c, m in rolled(child, sources, cfg.seed)[0].items()}
    own = np.vstack([world.dense["a", "main", c] for c in counts]).astype(float)
    other = np.vstack([child[c] for c in counts]).astype(float)
    r = correlations(own, other)
    r[:, (other > 0).sum(0) < LEAST[0]] = -np.inf
    rows = rows_of(found, "main", "main", "shift", "a")
    np.testing.assert_allclose(rows["r"][3:], r[3:].max(axis=1), atol=1e-6)


def correlations(a, b):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(a.T, b.T)[: a.shape[1], a.shape[1] :]


scopes = st.lists(st.sampled_from("xyz"), min_size=1, max_size=3, unique=True)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    counts=st.tuples(*[st.integers(1, 60)] * 3),
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    density=st.sampled_from([0.02, 0.1, 0.5, 1.0]),
    least=st.tuples(st.integers(1, 6), st.integers(1, 3)),
    scoped=st.lists(st.tuples(scopes, scopes), min_size=1, max_size=4),
    count=st.integers(1, 4),
)
def test_it_is_what_numpy_says(activations, seed, counts, sizes, density, least, scoped, count):
    rng = np.random.default_rng(seed)
    counts = dict(zip("xyz", counts, strict=True))
    a, b = (
        {c: activations(seed % 1000 + i, rows, size, density) for c, rows in counts.items()}
        for i, size in enumerate(sizes)
    )
    sources = {
        c: Source(rng.integers(0, 9, rows), d := np.sort(rng.integers(0, 9, rows)), d % 2)
        for c, rows in counts.items()
    }
    domains = {str(i): Domain(a=ends[0], b=ends[1]) for i, ends in enumerate(scoped)}
    shape = layout(counts, domains)
    sides = [
        Dictionary(
            columns(stack(shape.rows, dumps)), stack_sources(shape.rows, sources), shape, i, least
        )
        for i, dumps in enumerate((a, b))
    ]
    wanted = dict.fromkeys(domains, count)
    found = shares.compare(*sides, stack(shape.rows, b), shape, wanted)
    for name, domain in domains.items():
        for side, scope in enumerate((domain.a, domain.b)):
            k = min(counts[c] for c in scope)
            own, other = (
                np.vstack([dumps[c][:k].toarray() for c in counts if c in scope]).astype(float)
                for dumps in ((a, b) if side == 0 else (b, a))
            )
            documents = [(c, d) for c in counts if c in scope for d in sources[c].documents[:k]]
            tokens = np.concatenate([sources[c].tokens[:k] for c in counts if c in scope])
            folds = np.concatenate([sources[c].folds[:k] for c in counts if c in scope])
            counting = np.array(
                [
                    (fires := x > 0).sum() >= least[0]
                    and len({documents[t] for t in np.flatnonzero(fires)}) >= least[1]
                    for x in other.T
                ]
            )
            r = correlations(own, other) if len(own) > 1 else np.full((own.shape[1], 1), np.nan)
            r = np.where(counting & ~np.isnan(r), r, -np.inf)
            best = -np.sort(-r, axis=1)[:, :count]
            ranked = found[name][side].ranked
            facts = sides[side].on(shape.sides[name][side])
            assert facts.rows == len(own)
            np.testing.assert_array_equal(facts.firings, (own > 0).sum(0))
            expected = [len({documents[t] for t in np.flatnonzero(x)}) for x in own.T]
            np.testing.assert_array_equal(facts.documents, expected)
            if set(folds) == {0, 1}:
                with np.errstate(invalid="ignore", divide="ignore"):
                    np.testing.assert_allclose(facts.lookup_r, naive(own, tokens, folds), atol=1e-5)
            for i in range(own.shape[1]):
                partners = ranked.partners[i][ranked.partners[i] >= 0]
                assert len(set(partners)) == len(partners) == min(count, np.isfinite(r[i]).sum())
                np.testing.assert_allclose(r[i, partners], best[i, : len(partners)], atol=1e-6)
                np.testing.assert_allclose(ranked.r[i, : len(partners)], r[i, partners], atol=1e-6)
                assert np.isnan(ranked.r[i, len(partners) :]).all()
                assert (np.diff(ranked.r[i, : len(partners)]) <= 0).all()
