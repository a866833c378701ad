"""Every number of a feature's page, beside a plain computation of it."""

import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from scipy.sparse import csr_array
from tokenizers import Tokenizer

from featflow.artifacts import digests
from featflow.artifacts.io import ArtifactError, load_provenance, save_table, save_tensors
from featflow.artifacts.provenance import Provenance
from featflow.config.study import Study
from featflow.data.tokens import read
from featflow.features import dump
from featflow.features.summary import Encoded, summarise
from featflow.plan import paths
from featflow.plan.names import target
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES
from featflow.plan.stages.report import DashboardsSlice
from featflow.report import dashboards
from featflow.report.scripts import INDEX, PER_SHARD, rounded
from tests.features.test_trimmed import naive as naive_trimmed

NAME, SAE = "planted", "main"
FEATURES, WIDTH = 80, 48
SILENT, RARE, ONE_DOCUMENT, TWIN = 3, 5, 7, 11
"""Features of every model; TWIN is the same one in all, at FEATURES − 1 − TWIN in the others."""

GENERATED = {"kind": "generated", "language": "lua", "documents": 10}
SETTINGS = {
    "corpora": {"code": GENERATED, "extra": GENERATED, "prose": GENERATED},
    "tokenizer": {"kind": "bpe", "corpora": ["code"]},
    "models": {
        "base": {"kind": "base", "corpora": ["prose"]},
        "tuned": {"kind": "finetune", "parent": "base", "corpora": ["code"]},
        "apart": {"kind": "base", "corpora": ["extra"]},
    },
    "saes": {SAE: {"kind": "relu", "hook": "blocks.0.mlp.hook_post"}},
    "flow": {"min_firings": 8, "min_documents": 3},
    "explorer": {"top": 4, "intervals": 3, "per_interval": 2, "around": 6, "logits": 5},
    "interpret": {"provider": {"kind": "lookup"}},
}
LENGTHS = {"code": 700, "extra": 500, "prose": 900}


NU = np.random.default_rng(5).uniform(0, 1.2, (FEATURES, 2))
NU[3] = np.nan
"""Latent scaling of the child's features against the base."""


class Planted(NamedTuple):
    root: Path
    slices: Slices
    inputs: dict[str, Any]
    streams: dict[str, tuple[np.ndarray, np.ndarray]]
    positions: dict[str, np.ndarray]
    dense: dict[str, dict[str, np.ndarray]]
    """By model and corpus (rows, m)."""

    @property
    def cfg(self) -> DashboardsSlice:
        return DashboardsSlice.model_validate_json(
            STAGES["dashboards"].slice(self.slices, "tuned", SAE).dumps()
        )

    def run(self, output: Path, **changed) -> None:
        dashboards.run(self.cfg, **{**self.inputs, **changed}, output=output)

    def on(self, model: str, scope: list[str] | None = None) -> np.ndarray:
        """Activations on corpora, equally many rows each, or on the whole probe."""
        parts = self.dense[model]
        if scope is None:
            return np.concatenate(list(parts.values()))
        count = min(len(parts[c]) for c in scope)
        return np.concatenate([parts[c][:count] for c in scope])


def value_of(path: Path) -> tuple[str, Any]:
    """KEY and VALUE of a data file."""
    text = path.read_text(encoding="ascii")
    assert text.startswith("featflow.put(") and text.endswith(");\n")
    key, value = json.loads(f"[{text[len('featflow.put(') : -3]}]")
    return key, value


def draw(seed: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = rng.integers(1, 65, (rows, FEATURES)) / 8 * (rng.random((rows, FEATURES)) < 0.15)
    found[:, SILENT] = 0
    found[6:, RARE] = 0
    found[:6, RARE] = 1
    found[20:, ONE_DOCUMENT] = 0
    return found.astype(np.float32)


@pytest.fixture(scope="module")
def planted(tmp_path_factory, model_folder, tokenizer_file) -> Planted:
    root = tmp_path_factory.mktemp("dashboards")
    slices = Slices(NAME, Study.model_validate(SETTINGS))
    at = {"study": NAME, "model": "tuned", "sae": SAE}
    rng = np.random.default_rng(0)

    def path(template, **names) -> Path:
        file = root / template.at(**at | names)
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    shutil.copytree(model_folder, path(paths.MODEL).parent, dirs_exist_ok=True)
    shutil.copy(tokenizer_file, path(paths.TOKENIZER))
    path(paths.SAE).write_text(json.dumps({"d_sae": FEATURES}))
    directions = rng.normal(size=(FEATURES, WIDTH)).astype(np.float32)
    save_file({"W_dec": directions}, path(paths.SAE_WEIGHTS))

    streams, positions, dense = {}, {}, defaultdict(dict)
    for corpus, length in LENGTHS.items():
        ids = rng.integers(0, 300, length).astype(np.int32)
        starts = np.r_[0, np.sort(rng.choice(np.arange(1, length), length // 25, replace=False))]
        streams[corpus] = ids, starts
        tensors = {"input_ids": ids, "document_starts": starts.astype(np.int64)}
        made = Provenance("tokens", STAGES["tokens"].slice(slices, corpus, "validation"))
        save_tensors(path(paths.TOKENS, corpus=corpus, split="validation"), tensors, made)
        positions[corpus] = np.flatnonzero(np.arange(length) % 12 >= 4)
    for seed, model in enumerate(slices.study.models):
        made = Provenance("features", STAGES["features"].slice(slices, model, SAE))
        for k, corpus in enumerate(LENGTHS):
            rows = draw(10 * seed + k, len(positions[corpus]))
            twin = draw(99 + k, len(rows))[:, TWIN]
            rows[:, TWIN if model == "tuned" else FEATURES - 1 - TWIN] = twin
            dense[model][corpus] = rows
            found = dump.Dump(csr_array(rows), positions[corpus])
            dump.write(path(paths.FEATURES, model=model, corpus=corpus), found, made)
    encoded = {
        corpus: Encoded(
            dump.read(path(paths.FEATURES, corpus=corpus), FEATURES),
            read(path(paths.TOKENS, corpus=corpus, split="validation")),
        )
        for corpus in LENGTHS
    }
    table = summarise(encoded, Tokenizer.from_file(str(tokenizer_file)))
    save_table(
        path(paths.SUMMARY),
        table,
        Provenance("features", STAGES["features"].slice(slices, "tuned", SAE)),
    )
    ratios = pd.DataFrame(NU, columns=["nu_error", "nu_reconstruction"])
    ratios.insert(0, "feature", np.arange(FEATURES, dtype="int32"))
    scaling = path(paths.SCALING, parent="base", child="tuned")
    made = Provenance("transfer", STAGES["transfer"].slice(slices, SAE, "base", "tuned"))
    save_table(scaling, ratios, made)
    inputs = {
        "scaling": [scaling],
        "model": path(paths.MODEL).parent,
        "sae": path(paths.SAE).parent,
        "dumps": [path(paths.FEATURES, model=m, corpus=c) for m in sorted(dense) for c in LENGTHS],
        "tokens": [path(paths.TOKENS, corpus=c, split="validation") for c in LENGTHS],
        "tokenizer": path(paths.TOKENIZER),
        "summary": path(paths.SUMMARY),
        **write_tables(path, slices),
    }
    return Planted(root, slices, inputs, streams, positions, dict(dense))


FATES = ["persisting", "emerging", "rare", "silent"]


def write_tables(path, slices: Slices) -> dict[str, Path]:
    """Fates, chains and explanations, of tuned's features; those of base are not to be seen."""
    everyone = np.arange(FEATURES)
    flow = pd.DataFrame(
        {
            "edge": "base-tuned",
            "role": "child",
            "model": "tuned",
            "feature": everyone[::-1],
            "fate": [FATES[i % 4] for i in everyone[::-1]],
        }
    )
    other = flow.assign(role="parent", model="base", fate="disappearing")
    made = Provenance("flow", STAGES["flow"].slice(slices, SAE))
    save_table(path(paths.FLOW_FEATURES), pd.concat([other, flow]), made)
    chain = {
        "model": "tuned",
        "feature": everyone,
        "role": "descendant",
        "status": "base-derived",
        "via": "base",
        "parent": "base",
        "parent_feature": everyone[::-1],
        "root": None,
        "root_feature": pd.NA,
        "r_last": 0.876543,
        "r_first": np.nan,
        "r_end": 0.5,
        "direct": False,
    }
    rows = pd.DataFrame(chain).astype({"root_feature": "Int64", "root": "str"})
    save_table(path(paths.FLOW_CHAINS), rows[rows["feature"] != 4], made)
    scores = pd.DataFrame(
        [
            (2, "lookup_probe", "cat", None, "ok", None, 0.95, 0.5, 0.6, 0.7),
            (2, "lookup", "cat, dog", None, "ok", None, 0.91234, 0.5, 0.6, 0.7),
            (2, "m", "animals </script>", "prose", "ok", None, 0.3, 0.2, 0.1, np.nan),
            (6, "lookup", "the", None, "ok", None, 0.4, 0.5, 0.6, 0.7),
            (6, "m", None, None, "failed", "429", np.nan, np.nan, np.nan, np.nan),
        ],
        columns=[
            "feature",
            "explainer",
            "explanation",
            "category",
            "status",
            "reason",
            "pearson",
            "spearman",
            "detection",
            "fuzzing",
        ],
    )
    made = Provenance("interpret", STAGES["interpret"].slice(slices, "tuned", SAE))
    save_table(path(paths.INTERPRET), scores, made)
    return {
        "flow": path(paths.FLOW_FEATURES),
        "chains": path(paths.FLOW_CHAINS),
        "scores": path(paths.INTERPRET),
    }


@pytest.fixture(scope="module")
def folder(planted) -> Path:
    made = planted.root / paths.folder(paths.DASHBOARDS.at(study=NAME, model="tuned", sae=SAE))
    planted.run(made)
    return made


@pytest.fixture(scope="module")
def index(folder) -> dict[str, Any]:
    key, value = value_of(folder / INDEX)
    assert key == f"tuned/{SAE}"
    return value


@pytest.fixture(scope="module")
def features(folder) -> list[dict[str, Any]]:
    found = []
    for shard in range(-(-FEATURES // PER_SHARD)):
        key, value = value_of(folder / f"{shard}.js")
        assert key == f"tuned/{SAE}/{shard}"
        found += value
    assert [feature["id"] for feature in found] == list(range(FEATURES))
    return found


def around(planted: Planted, corpus: str, position: int) -> tuple[range, int]:
    """The positions of the context of one, and the number of its document."""
    ids, starts = planted.streams[corpus]
    document = max(d for d, start in enumerate(starts) if start <= position)
    end = starts[document + 1] if document + 1 < len(starts) else len(ids)
    low, high = max(starts[document], position - 6), min(end, position + 3 + 1)
    return range(low, high), document


def test_contexts_hold_the_tokens_and_the_activations_around_a_row(planted, features, index):
    others = {m: index["columns"]["partners"][m] for m in ("apart", "base")}
    row_of = {c: {int(p): t for t, p in enumerate(where)} for c, where in planted.positions.items()}
    for feature in features:
        for context in feature["contexts"]:
            corpus = context["corpus"]
            where, document = around(planted, corpus, context["position"])
            assert context["document"] == document
            assert where[context["at"]] == context["position"]
            assert context["ids"] == planted.streams[corpus][0][where].tolist()
            rows = [row_of[corpus].get(p) for p in where]

            def seen(model, number, rows=rows, corpus=corpus):
                dense = planted.dense[model][corpus]
                return [None if t is None else float(dense[t, number]) for t in rows]

            assert context["values"] == seen("tuned", feature["id"])
            assert context["values"][context["at"]] > 0
            assert context["others"] == {
                model: seen(model, partner[feature["id"]])
                for model, partner in others.items()
                if partner[feature["id"]] is not None
            }
    assert None in features[0]["contexts"][0]["values"]


def whereabouts(planted: Planted, feature: int) -> list[tuple[float, str, int, int]]:
    """Activation, corpus, document and position of all rows on which a feature fires."""
    return [
        (float(rows[t, feature]), corpus, around(planted, corpus, p)[1], int(p))
        for corpus, rows in planted.dense["tuned"].items()
        for t, p in enumerate(planted.positions[corpus])
        if rows[t, feature] > 0
    ]


def value_at(context: dict[str, Any]) -> float:
    return context["values"][context["at"]]


def test_the_top_are_the_largest_of_each_document(planted, features):
    for feature in features:
        best: dict[tuple[str, int], float] = {}
        for value, corpus, document, _ in whereabouts(planted, feature["id"]):
            best[corpus, document] = max(value, best.get((corpus, document), 0))
        top = [c for c in feature["contexts"] if c["kind"] == "top"]
        scope = planted.cfg.scope  # what its fate is judged on comes first
        order = sorted(best, key=lambda at: (at[0] not in scope, -best[at]))[:4]
        assert [value_at(c) for c in top] == [best[at] for at in order]
        assert all(c["in_scope"] == (c["corpus"] in scope) for c in feature["contexts"])
        assert len({(c["corpus"], c["document"]) for c in top}) == len(top)
        assert all(value_at(c) == best[c["corpus"], c["document"]] for c in top)
    assert features[SILENT]["contexts"] == []


def test_interval_contexts_lie_in_their_intervals(planted, features):
    for feature in features:
        found = whereabouts(planted, feature["id"])
        for i in range(3):
            highest = max((value for value, *_ in found), default=0)
            inside = [w for w in found if i * highest / 3 < w[0] <= (i + 1) * highest / 3]
            drawn = [c for c in feature["contexts"] if c["interval"] == i]
            places = {(value_at(c), c["corpus"], c["document"], c["position"]) for c in drawn}
            assert len(places) == len(drawn) == min(2, len(inside))
            assert places <= set(inside)
            apart = len({(c["corpus"], c["document"]) for c in drawn})
            assert apart == min(2, len({w[1:3] for w in inside}))
    order = [c["interval"] for c in features[0]["contexts"]]
    assert order == [None] * 4 + [2, 2, 1, 1, 0, 0]


def test_rows_are_drawn_evenly_from_an_interval():
    """Of 40 documents with one row each, every row is drawn about equally often."""
    from featflow.config.exploring import Explorer
    from featflow.features.columns import columns
    from featflow.report.dashboard.contexts import chosen

    rows, count = 40, 4000
    found = columns(csr_array(np.ones((rows, count), np.float32)))
    settings = Explorer(top=1, intervals=1, per_interval=2)
    drawn = chosen(found, np.arange(rows), settings)
    times = np.bincount(drawn.row[drawn.interval == 0], minlength=rows)
    expected = 2 * count / rows
    assert times.sum() == 2 * count
    assert ((times - expected) ** 2 / expected).sum() < 80  # χ² with 39 degrees of freedom


def counting(planted: Planted, model: str, scope: list[str]) -> np.ndarray:
    """Which features are not rare on a scope."""
    rows = planted.on(model, scope) > 0
    count = len(rows) // len(scope)
    documents = np.concatenate(
        [[f"{c}{around(planted, c, p)[1]}" for p in planted.positions[c][:count]] for c in scope]
    )
    spread = np.array([len(set(documents[column])) for column in rows.T])
    return (rows.sum(axis=0) >= 8) & (spread >= 3)


@pytest.mark.parametrize(
    ("model", "scope"), [("base", ["prose"]), ("apart", ["code", "extra", "prose"])]
)
def test_partners_are_those_of_numpy(planted, index, features, model, scope):
    assert index["scopes"][model] == scope
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.corrcoef(planted.on("tuned", scope).T, planted.on(model, scope).T)
    r = r[:FEATURES, FEATURES:]
    mine, theirs = counting(planted, "tuned", scope), counting(planted, model, scope)
    if len(scope) == 1:
        assert not mine[[SILENT, RARE, ONE_DOCUMENT]].any() and mine.sum() > 70
    of_mine = np.where(theirs & ~np.isnan(r), r, -np.inf)
    of_theirs = np.where(mine[:, None] & ~np.isnan(r), r, -np.inf)
    for i, feature in enumerate(features):
        (found,) = (dict(p) for p in feature["partners"] if p["model"] == model)
        if model == "base":
            said = found.pop("nu_error"), found.pop("nu_reconstruction")
            nothing = (None, None)
            assert said == (nothing if i == 3 else pytest.approx(tuple(NU[i]), rel=1e-3))
        best = int(of_mine[i].argmax())
        if i == SILENT:
            none = {"feature": None, "r": None, "r_back": None, "r_trimmed": None}
            assert found == {"model": model, "mutual": False, **none}
            continue
        back = int(of_theirs[:, best].argmax())
        assert found == {
            "model": model,
            "feature": best,
            "r": pytest.approx(r[i, best], rel=1e-3),
            "r_back": pytest.approx(r[back, best], rel=1e-3),
            "mutual": back == i,
            "r_trimmed": pytest.approx(
                naive_trimmed(planted.on("tuned", scope)[:, i], planted.on(model, scope)[:, best]),
                rel=1e-3,
                abs=1e-3,
            ),
        }
        assert index["columns"]["partners"][model][i] == best
        assert index["columns"]["r"][model][i] == found["r"]
    twin = features[TWIN]["partners"]
    assert {p["model"]: (p["feature"], p["r"], p["mutual"]) for p in twin}[model] == (
        FEATURES - 1 - TWIN,
        1.0,
        True,
    )


def test_the_index_has_what_other_stages_found(planted, index):
    dense = planted.on("tuned")
    fires = dense > 0
    columns = index["columns"]
    assert index["tokens"] == len(dense) and index["features"] == FEATURES
    assert columns["density"] == rounded(fires.mean(axis=0))
    assert columns["max"] == rounded(dense.max(axis=0))
    assert columns["mean"][SILENT] is None
    assert columns["mean"][0] == pytest.approx(dense[fires[:, 0], 0].mean(), rel=1e-3)
    documents = {w[1:3] for w in whereabouts(planted, 0)}
    assert columns["documents"][0] == len(documents)
    codes = [index["fate_names"][code] for code in columns["fates"]["base-tuned:child"]]
    assert codes == [FATES[i % 4] for i in range(FEATURES)]
    assert list(columns["fates"]) == ["base-tuned:child"]
    assert columns["explanation"][2] == "animals </script>"
    assert (columns["score"][2], columns["category"][2]) == (0.3, "prose")
    assert (columns["explanation"][6], columns["score"][6]) == ("the", 0.4)
    assert columns["explanation"][0] is None and columns["score"][0] is None
    assert {len(c) for c in columns.values() if isinstance(c, list)} == {FEATURES}


def test_lookups_are_told_from_contextual_features(planted, index):
    from featflow.features.columns import columns
    from featflow.features.lookup import lookup_r

    tokens, folds = [], []
    for corpus, where in planted.positions.items():
        tokens.append(planted.streams[corpus][0][where])
        folds.append([around(planted, corpus, p)[1] % 2 for p in where])
    dense = planted.on("tuned")
    found = lookup_r(
        columns(csr_array(dense)),
        range(len(dense)),
        np.concatenate(tokens),
        np.concatenate(folds).astype(np.int8),
    )
    assert index["columns"]["lookup_r"] == rounded(found)
    named = [index["strata"][code] for code in index["columns"]["stratum"]]
    assert named[SILENT] == "unknown"
    for name, r in zip(named, found, strict=True):
        assert np.isnan(r) or name == (
            "contextual" if r <= 0.5 else "between" if r <= 0.8 else "lookup"
        )


def test_histogram_and_typical_tokens_are_counts_of_the_activations(planted, features, index):
    dense = planted.on("tuned").astype(np.float64)
    tokens = np.concatenate([planted.streams[c][0][p] for c, p in planted.positions.items()])
    for i, feature in enumerate(features):
        column = dense[:, i]
        if i == SILENT:
            assert feature["histogram"] == {"edges": [], "counts": []}
            assert feature["tokens"] == [] and index["columns"]["token"][i] is None
            continue
        edges = np.arange(21) * column.max() / 20
        assert feature["histogram"]["edges"] == pytest.approx(edges, rel=6e-4)
        bins = np.searchsorted(edges[1:-1], column[column > 0], side="left")
        assert feature["histogram"]["counts"] == np.bincount(bins, minlength=20).tolist()
        rows = pd.DataFrame({"token": tokens, "value": column})[column > 0]
        by = rows.groupby("token")["value"].agg(["sum", "mean", "size"]).reset_index()
        by = by.sort_values(["sum", "token"], ascending=[False, True]).head(10)
        wanted = zip(by["token"].tolist(), rounded(by["mean"]), by["size"].tolist(), strict=True)
        assert feature["tokens"] == [list(row) for row in wanted]
        assert index["columns"]["token"][i] == feature["tokens"][0][0]


def test_chains_and_scores_stand_with_their_features(features):
    assert features[0]["chain"] == {
        "role": "descendant",
        "status": "base-derived",
        "via": "base",
        "parent": "base",
        "parent_feature": FEATURES - 1,
        "root": None,
        "root_feature": None,
        "r_last": 0.8765,
        "r_first": None,
        "r_end": 0.5,
        "direct": False,
    }
    assert features[4]["chain"] is None
    assert [s["explainer"] for s in features[2]["scores"]] == ["m", "lookup", "lookup_probe"]
    assert features[2]["scores"][1] == {
        "explainer": "lookup",
        "explanation": "cat, dog",
        "status": "ok",
        "reason": None,
        "pearson": 0.9123,
        "spearman": 0.5,
        "detection": 0.6,
        "fuzzing": 0.7,
    }
    assert features[6]["scores"][0]["reason"] == "429" and features[0]["scores"] == []


def test_optional_tables_may_be_missing(planted, tmp_path):
    planted.run(tmp_path, flow=None, chains=None, scores=None)
    index, shard = value_of(tmp_path / INDEX)[1], value_of(tmp_path / "0.js")[1]
    assert index["columns"]["fates"] == {} and set(index["columns"]["explanation"]) == {None}
    assert shard[2]["chain"] is None and shard[2]["scores"] == []


def test_the_same_study_gives_the_same_bytes_and_stale_shards_go(planted, folder, tmp_path):
    again = tmp_path / "results" / NAME / "report" / "features" / "tuned" / SAE
    again.mkdir(parents=True)
    stale = again / "77.js"
    stale.write_text("featflow.put('a', 1)")
    digests.record(stale, stale)
    assert digests.recorded(stale)
    planted.run(again)
    assert not stale.exists() and digests.recorded(stale) is None
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in again.iterdir()) == ["0.js", "1.js", INDEX]
    for name in names:
        assert (again / name).read_bytes() == (folder / name).read_bytes()
        assert digests.recorded(again / name) == digests.sha256(again / name)


def test_index_says_where_it_comes_from_and_stands_for_the_shards(planted, folder):
    found = load_provenance(folder / INDEX)
    assert found and found["stage"] == "dashboards" and found["config"]["model"] == "tuned"
    assert len(found["inputs"]) == 3 + 9 + 3 + 2 + 3 + 1
    assert load_provenance(folder / "0.js") is None
    handle = paths.DASHBOARDS.at(study=NAME, model="tuned", sae=SAE)
    assert target(f"{paths.folder(handle)}/0.js") == handle


def test_no_text_of_a_table_ends_a_script(folder):
    for path in folder.iterdir():
        text = path.read_text(encoding="ascii")
        assert not set("<>&\0\x7f") & set(text) and text.count("\n") == 1


def test_dumps_that_changed_places_are_named(planted, tmp_path):
    dumps = planted.inputs["dumps"]
    with pytest.raises(ArtifactError, match=r"of model base, where one of apart is wanted"):
        planted.run(tmp_path, dumps=[*dumps[3:6], *dumps[:3], *dumps[6:]])


def test_dumps_of_other_tokens_are_named(planted, tmp_path):
    other = tmp_path / "results" / planted.inputs["dumps"][0].relative_to(planted.root / "results")
    other.parent.mkdir(parents=True)
    first = dump.read(planted.inputs["dumps"][0], FEATURES)
    made = Provenance("features", STAGES["features"].slice(planted.slices, "apart", SAE))
    dump.write(other, first._replace(positions=first.positions + 1), made)
    with pytest.raises(ArtifactError, match=r"code\.safetensors are not of the same tokens"):
        planted.run(tmp_path / "out", dumps=[other, *planted.inputs["dumps"][1:]])


def test_a_dictionary_may_be_alone_and_without_intervals(planted, tmp_path):
    from featflow.config.exploring import Explorer

    cfg = planted.cfg
    settings = Explorer(top=1, intervals=0, around=1, logits=1)
    alone = cfg.model_copy(
        update={"models": {"tuned": cfg.models["tuned"]}, "scopes": {}, "settings": settings}
    )
    inputs = {**planted.inputs, "dumps": planted.inputs["dumps"][-3:]}
    dashboards.run(alone, **inputs, output=tmp_path)
    feature = value_of(tmp_path / "0.js")[1][0]
    (context,) = feature["contexts"]
    assert context["others"] == {} and feature["partners"] == []
    assert len(context["ids"]) <= 2 and len(feature["promoted"]) == 1


def test_hooks_without_a_way_to_the_vocabulary_have_no_logits(planted, tmp_path, caplog):
    other = planted.cfg.model_copy(update={"hook": "blocks.0.attn.hook_z"})
    dashboards.run(other, **planted.inputs, output=tmp_path)
    feature = value_of(tmp_path / "0.js")[1][0]
    assert feature["promoted"] is None and feature["suppressed"] is None
    assert "promoted and suppressed tokens are left out: blocks.0.attn.hook_z" in caplog.text
