"""Planted scores of two models, with a voice beside the lookups and without."""

import numpy as np
import pandas as pd
import pytest

from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.config.study import Study
from featflow.figures import figure as stage
from featflow.figures.scores import OTHERS, PERSISTING, draw, edges, inputs, scored
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES

from .conftest import SETTINGS

GROUPS = ["persisting", "disappearing", "emerging+random", "random", "persisting+disappearing"]
MODELS = ("babypython", "lua", "stories", "both")


def table(seed: int, explainers, size: int = 200) -> pd.DataFrame:
    """Scores of the same features by each explainer; some undefined, some failed."""
    rng = np.random.default_rng(seed)
    groups, density = rng.choice(GROUPS, size), 10 ** rng.uniform(-4, -1, size)
    stratum = rng.choice(["lookup", "contextual"], size)
    tables = []
    for explainer in explainers:
        status = rng.choice(["ok", "undefined", "failed"], size, p=[0.8, 0.15, 0.05])
        scores = np.where(status == "ok", rng.uniform(-0.15, 1, size), np.nan)
        columns = {"feature": np.arange(size), "groups": groups, "explainer": explainer}
        rest = {"status": status, "pearson": scores, "density": density, "stratum": stratum}
        tables.append(pd.DataFrame({**columns, **rest}))
    return pd.concat(tables).sort_values("feature", kind="stable", ignore_index=True)


class Planted:
    def __init__(self, folder, explainers=("voice", "lookup", "lookup_probe"), groups=None):
        self.study = Study.model_validate({**SETTINGS, "interpret": {}})
        self.cfg = STAGES["figure"].slice(Slices("planted", self.study), "scores")
        names = inputs(Slices("planted", self.study), self.study.drawn["scores"])
        self.files = [str(folder / name) for name in names]
        self.tables = {m: table(i, explainers) for i, m in enumerate(MODELS)}
        for model, each in self.tables.items():
            if groups:
                each["groups"] = groups
            name = paths.INTERPRET.at(study="planted", model=model, sae="main")
            save_table(folder / name, each, Provenance("interpret", self.cfg))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return Planted(tmp_path_factory.mktemp("scores"))


def side_of(groups: str) -> str | None:
    if groups.startswith("persisting"):
        return PERSISTING
    return OTHERS if groups != "random" else None


def test_inputs_are_the_scores_of_every_interpreted_model(planted):
    names = [paths.INTERPRET.at(study="planted", model=m, sae="main") for m in MODELS]
    assert all(file.endswith(name) for file, name in zip(planted.files, names, strict=True))


def test_every_score_is_in_one_bin_of_its_side_and_explainer(planted):
    figure = draw(planted.cfg, planted.files)
    found = {(t.meta["model"], t.meta["side"], t.meta["explainer"]): t for t in figure.data}
    sides, explainers = (PERSISTING, OTHERS), ("voice", "lookup")
    assert set(found) == {(m, s, e) for m in MODELS for s in sides for e in explainers}
    for (model, side, explainer), trace in found.items():
        rows = planted.tables[model]
        own = rows[(rows["explainer"] == explainer) & (rows["groups"].map(side_of) == side)]
        known = own["pearson"].dropna()
        x = np.array(trace.x)
        assert np.allclose(np.diff(x), 0.1) and x[0] == pytest.approx(-0.2) and x[-1] == 1
        counts = [
            int(((known >= low) & (known < high)).sum())
            for low, high in zip(x, [*x[1:-1], 1.01], strict=False)
        ]
        assert trace.meta["counts"] == counts and sum(counts) == len(known)
        assert np.allclose(trace.y[:-1], np.array(counts) / len(known))
        assert (trace.fill == "tozeroy") == (explainer == "voice")
        assert trace.line.dash == ("solid" if explainer == "voice" else "dot")


def test_medians_failures_and_the_baseline_are_in_the_notes(planted):
    figure = draw(planted.cfg, planted.files)
    notes = figure.layout.meta["notes"]
    assert [note.split(":")[0] for note in notes] == list(MODELS)
    for model, note in zip(MODELS, notes, strict=True):
        rows = planted.tables[model].assign(side=planted.tables[model]["groups"].map(side_of))
        rows = rows[rows["side"].notna()]
        voice, lookup = (rows[rows["explainer"] == e] for e in ("voice", "lookup"))
        for side in (PERSISTING, OTHERS):
            known = voice.loc[voice["side"] == side, "pearson"].dropna()
            beside = lookup.loc[lookup["side"] == side, "pearson"].median()
            said = f"{len(known)} {side}, median r {known.median():.2f} (lookup: {beside:.2f})"
            assert said in note
        counts = voice["status"].value_counts()
        assert note.endswith(f"{counts['undefined']} undefined, {counts['failed']} failed.")
        part = voice[(voice["stratum"] == "contextual") & (voice["side"] == PERSISTING)]["pearson"]
        said = f"contextual features alone {part.median():.2f} ({part.notna().sum()}) against"
        assert said in note and "matched on density" in note
    lines = [shape.x0 for shape in figure.layout.shapes]
    headings = [a.text for a in figure.layout.annotations]
    for i, heading in enumerate(headings):
        first, second = lines[2 * i : 2 * i + 2]
        assert heading.endswith(f"median r {first:.2f} {PERSISTING}, {second:.2f} {OTHERS}")


def test_without_a_voice_the_lookups_stand_beside_one_another(tmp_path):
    planted = Planted(tmp_path, ("lookup", "lookup_probe"))
    figure = draw(planted.cfg, planted.files)
    found = {(t.meta["explainer"], t.line.dash) for t in figure.data}
    assert found == {("lookup", "solid"), ("lookup_probe", "dot")}
    assert "(lookup_probe: " in figure.layout.meta["notes"][0]


def test_without_edges_all_features_are_on_one_side(tmp_path):
    planted = Planted(tmp_path, groups="random+listed")
    figure = draw(planted.cfg, planted.files)
    assert {trace.meta["side"] for trace in figure.data} == {"explained"}
    assert "matched" not in figure.layout.meta["notes"][0]
    assert [colour for colour, _ in figure.layout.meta["legend"]] == ["#8A8F98", "#8A8F98"]


def test_a_model_without_a_single_score():
    empty = table(0, ("lookup", "lookup_probe"), 0)
    one = scored(empty)
    assert (one.explainer, one.baseline, len(one.rows)) == ("lookup", "lookup_probe", 0)
    assert edges([one.rows["pearson"]]).tolist() == pytest.approx(np.arange(11) / 10)


def test_a_study_without_scores_draws(tmp_path, planted):
    other = Planted(tmp_path)
    for model in MODELS:
        name = paths.INTERPRET.at(study="planted", model=model, sae="main")
        rows = other.tables[model].assign(pearson=np.nan, status="undefined")
        save_table(tmp_path / name, rows, Provenance("interpret", other.cfg))
    output = tmp_path / "scores.json"
    stage.run(other.cfg, inputs=other.files, output=output)
    assert "no score" in output.read_text()
    assert "200 undefined" not in output.read_text()  # those of neither side are not counted
