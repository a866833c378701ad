import logging

import numpy as np
import pandas as pd
import pytest

from featflow.artifacts.io import load_provenance
from featflow.config.errors import FeatflowError
from featflow.interpret import interpret
from featflow.interpret.interpret import TYPES
from featflow.interpret.providers import Outcome, lookup

from .planted import (
    CONTEXTUAL,
    FEATURES,
    HALF,
    LOOKUP,
    RARE,
    SHUFFLED,
    SILENT,
    TOKEN,
    corpora,
    files,
    save_flow,
)


def run(made, **more) -> pd.DataFrame:
    interpret.run(made.cfg, **made.paths(), **more)
    return pd.read_parquet(made.paths()["output"])


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return files(tmp_path_factory.mktemp("interpret"))


def flow_table() -> pd.DataFrame:
    fate = ["persisting"] * FEATURES
    fate[SILENT], fate[RARE], fate[HALF] = "silent", "rare", "disappearing"
    rows = {"feature": np.arange(FEATURES, dtype=np.int32), "fate": fate, "lookup": "contextual"}
    table = pd.DataFrame(rows).assign(edge="root-child", role="parent", model="root")
    table.loc[LOOKUP, "lookup"] = "lookup"
    return table


class Voice:
    """A provider that knows the answers, and fails where it is told to."""

    name = "voice"

    def __init__(self, fails=(), says="the word w7"):
        self.fails, self.says, self.announced, self.asked = dict(fails), says, None, []

    def _outcome(self, what, feature, value):
        failure = self.fails.get((what, feature))
        return Outcome(None, failure) if failure else Outcome(value)

    def announce(self, explain, simulate, detect, fuzz, categorise=()):
        self.announced = [dict(explain), list(simulate), list(detect), list(fuzz)]

    def explain(self, items):
        self.asked.append(dict(items))
        return {f: self._outcome("explain", f, self.says) for f in items}

    def simulate(self, items):
        self.asked.append(list(items))
        return [self._outcome("simulate", f, list(record.values)) for f, _, record in items]

    def detect(self, items):
        return [
            self._outcome("detect", f, [any(r.levels) for r in records]) for f, _, records in items
        ]

    def fuzz(self, items):
        return [
            self._outcome("fuzz", f, [m.record.levels[m.positions[0]] > 0 for m in marks])
            for f, _, marks in items
        ]

    def categorise(self, items):
        return [self._outcome("categorise", f, names[-2]) for f, _, names in items]


def use(monkeypatch, voice):
    monkeypatch.setattr(lookup, "make", lambda settings, folder: voice)
    return voice


def test_every_feature_has_a_row_for_either_lookup(planted):
    table = run(planted)
    assert list(table.columns) == list(TYPES)
    assert {name: str(kind) for name, kind in table.dtypes.items()} == TYPES
    assert table["feature"].tolist() == [f for f in range(FEATURES) for _ in range(2)]
    assert table["explainer"].tolist() == ["lookup", "lookup_probe"] * FEATURES
    rows = {
        key: row
        for key, row in zip(
            zip(table["feature"], table["explainer"], strict=True), table.itertuples(), strict=True
        )
    }
    for explainer in ("lookup", "lookup_probe"):
        assert rows[LOOKUP, explainer].pearson > 0.9
        assert rows[SHUFFLED, explainer].pearson < 0.1
        assert rows[CONTEXTUAL, explainer].status == "ok"
        for feature, reason in ((SILENT, "never fires"), (RARE, "3 of the probe's documents")):
            row = rows[feature, explainer]
            assert row.status == "undefined" and reason in row.reason
            assert pd.isna(row.pearson) and pd.isna(row.explanation) and pd.isna(row.category)
            assert (row.records, row.tokens) == (0, 0)
    assert set(table["groups"]) == {"listed"} and set(table["stratum"]) == {"unknown"}
    dense = np.concatenate([part.dense for part in corpora()])
    for feature in range(FEATURES):
        row = rows[feature, "lookup"]
        assert row.firings == (dense[:, feature] > 0).sum()
        assert row.density == pytest.approx((dense[:, feature] > 0).mean())
    assert 20 <= rows[LOOKUP, "lookup"].records <= 25
    assert rows[LOOKUP, "lookup"].tokens <= 64 * rows[LOOKUP, "lookup"].records


def test_the_same_study_gives_the_same_bytes(planted):
    output = planted.paths()["output"]
    run(planted)
    first = output.read_bytes()
    run(planted)
    assert output.read_bytes() == first
    provenance = load_provenance(output)
    assert provenance["stage"] == "interpret" and "categories.yaml" in provenance["inputs"]


def test_groups_and_strata_are_those_of_the_flow(planted, caplog):
    made = planted._replace(cfg=planted.cfg.model_copy(update={"edges": [("root", "child")]}))
    made = made.with_settings(select={"persisting": 9, "disappearing": 9, "random": 9})
    table = run(made, flow=save_flow(planted, flow_table()))
    rows = table.drop_duplicates("feature").set_index("feature")
    groups = {
        LOOKUP: "persisting+random+listed",
        HALF: "disappearing+random+listed",
        RARE: "listed",
    }
    for feature, wanted in groups.items():
        assert rows.loc[feature, "groups"] == wanted
    assert (rows.loc[LOOKUP, "stratum"], rows.loc[HALF, "stratum"]) == ("lookup", "contextual")


def test_the_lookups_stand_beside_another_provider_on_the_same_records(planted, monkeypatch):
    voice = use(monkeypatch, Voice())
    table = run(planted)
    explainers = ["voice", "lookup", "lookup_probe"]
    assert table["explainer"].tolist() == explainers * FEATURES
    known = table[(table["explainer"] == "voice") & (table["status"] == "ok")]
    assert known["feature"].tolist() == [LOOKUP, SHUFFLED, CONTEXTUAL, HALF]
    assert np.allclose(known[["pearson", "spearman", "pearson_top_random"]], 1)
    assert (known["detection"].dropna() == 1).all() and (known["fuzzing"] == 1).all()
    counts = table.groupby("feature")[["records", "tokens"]].nunique()
    assert (counts == 1).all().all()
    explain, simulate, _, fuzz = voice.announced
    assert list(explain) == [LOOKUP, SHUFFLED, CONTEXTUAL, HALF] == list(voice.asked[0])
    assert {said for _, said, _ in simulate} == {""}
    assert [(f, r) for f, _, r in simulate] == [(f, r) for f, _, r in voice.asked[1]]
    for _, _, marks in fuzz:  # no record twice in a question, right and wrong in about equal shares
        assert len({mark.record for mark in marks}) == len(marks) <= 5


def test_what_is_not_answered_is_a_failure_and_no_score(planted, monkeypatch, caplog):
    fails = {
        ("explain", LOOKUP): "refused",
        ("simulate", SHUFFLED): "timed out",
        ("detect", HALF): "malformed answer",
    }
    use(monkeypatch, Voice(fails))
    monkeypatch.setattr(logging.getLogger("featflow"), "propagate", True)
    table = run(planted)
    assert "features with questions that were not answered: 3" in caplog.text
    rows = table[table["explainer"] == "voice"].set_index("feature")
    assert rows["status"].to_dict() == {
        LOOKUP: "failed",
        SHUFFLED: "failed",
        CONTEXTUAL: "ok",
        HALF: "ok",
        SILENT: "undefined",
        RARE: "undefined",
    }
    assert rows.loc[LOOKUP, "reason"] == "explanation: refused"
    assert pd.isna(rows.loc[LOOKUP, "explanation"])
    count = rows.loc[SHUFFLED, "records"]
    said = f"simulation: {count} of {count} questions not answered, most of them: timed out"
    assert said in rows.loc[SHUFFLED, "reason"]
    scores = ["pearson", "spearman", "pearson_top_random", "pearson_random"]
    assert rows.loc[[LOOKUP, SHUFFLED], scores].isna().all().all()
    assert rows.loc[SHUFFLED, "fuzzing"] == 1  # the other scores stand
    assert pd.isna(rows.loc[HALF, "detection"]) and rows.loc[HALF, "pearson"] == pytest.approx(1)


def test_a_few_missing_answers_are_said_and_the_score_is_of_the_others(planted, monkeypatch):
    class Sometimes(Voice):
        def simulate(self, items):
            whole = super().simulate(items)
            seen: dict[int, int] = {}
            for i, (feature, _, _) in enumerate(items):
                seen[feature] = seen.get(feature, 0) + 1
                if seen[feature] <= 2:
                    whole[i] = Outcome(None, "HTTP 500")
            return whole

    use(monkeypatch, Sometimes())
    table = run(planted)
    row = table[(table["explainer"] == "voice") & (table["feature"] == HALF)].iloc[0]
    assert row["status"] == "ok" and row["pearson"] == pytest.approx(1)
    assert row["reason"] == (
        f"simulation: 2 of {row['records']} questions not answered, most of them: HTTP 500"
    )


def test_a_constant_prediction_is_undefined(planted, monkeypatch):
    class Dull(Voice):
        def simulate(self, items):
            return [Outcome([3.0] * len(record.ids)) for _, _, record in items]

    use(monkeypatch, Dull())
    table = run(planted)
    row = table[(table["explainer"] == "voice") & (table["feature"] == LOOKUP)].iloc[0]
    assert row["status"] == "undefined" and pd.isna(row["pearson"]) and pd.isna(row["spearman"])
    assert row["reason"] == "simulation: the prediction is constant on the score records"


def test_a_provider_that_explains_nothing(planted, monkeypatch):
    use(monkeypatch, Voice({("explain", feature): "budget" for feature in range(FEATURES)}))
    planted.paths()["output"].unlink(missing_ok=True)
    with pytest.raises(FeatflowError, match=r"voice explained none of 4 features.*budget"):
        run(planted)
    assert not planted.paths()["output"].exists()


def test_only_the_scores_that_are_asked_for(planted, monkeypatch):
    class Silent(Voice):
        def simulate(self, items):
            raise AssertionError("not asked for")

    voice = use(monkeypatch, Silent())
    table = run(planted.with_settings(select={}, scores=["fuzzing"]))
    rows = table[table["explainer"] == "voice"].set_index("feature")
    assert rows["pearson"].isna().all() and rows["detection"].isna().all()
    assert (rows.loc[[LOOKUP, HALF], "fuzzing"] == 1).all()
    assert rows.loc[LOOKUP, "status"] == "ok"
    assert voice.announced[1] == voice.announced[2] == []


def test_categories_are_by_the_rules_and_then_by_the_provider(planted, monkeypatch):
    use(monkeypatch, Voice({("categorise", HALF): "refused"}, says="something unheard of"))
    own = {"sevens": {"tokens": [f"w{TOKEN}"]}, "nothing": {"explanation": ["never"]}}
    table = run(planted.with_settings(select={}, categories=own, categorise=True))
    found = table.set_index(["explainer", "feature"])
    for explainer in ("voice", "lookup", "lookup_probe"):
        assert found.loc[(explainer, LOOKUP), "category"] == "sevens"
    assert found.loc[("voice", SHUFFLED), "category"] == "nothing"  # the last but `other`
    assert found.loc[("lookup", SHUFFLED), "category"] == "other"
    assert "categories.yaml" not in load_provenance(planted.paths()["output"])["inputs"]
    use(monkeypatch, Voice({("categorise", SHUFFLED): "refused"}, says="something unheard of"))
    table = run(planted.with_settings(select={}, categories=own, categorise=True))
    row = table[(table["explainer"] == "voice") & (table["feature"] == SHUFFLED)].iloc[0]
    assert row["category"] == "other" and row["reason"].endswith("category: refused")
