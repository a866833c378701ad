"""Sweeping t."""

from contextlib import suppress

import pandas as pd
import pytest

from featflow.artifacts.io import load_json
from featflow.models import evaluate, merge, sweep
from featflow.plan.stages.models import EvaluateSlice
from tests.models.conftest import merge_slice, sweep_slice


def test_each_row_of_a_sweep_is_that_merge_evaluated(swept, children, corpora, tmp_path):
    table = pd.read_parquet(swept)
    assert table.columns.tolist() == ["t", "corpus", "loss", "accuracy"]
    assert table.t.tolist() == [t for t in (0, 0.25, 0.5, 0.75, 1) for _ in range(2)]
    cfg = EvaluateSlice(study="demo", model="merged", corpora=["one", "two"], tokens=3000)
    tokens = [corpora["one"], corpora["two"]]
    for t in (0, 0.25, 1):
        merge.run(merge_slice(t), parents=children, output=tmp_path / f"{t}")
        evaluate.run(cfg, model=tmp_path / f"{t}", tokens=tokens, output=tmp_path / f"{t}.json")
        expected = load_json(tmp_path / f"{t}.json")
        for row in table[table.t == t].to_dict("records"):
            assert row["loss"] == pytest.approx(expected[row["corpus"]]["loss"], rel=1e-6)
            assert row["accuracy"] == expected[row["corpus"]]["accuracy"]
    ends = table.set_index(["t", "corpus"]).accuracy
    assert ends[0, "one"] > ends[1, "one"] and ends[1, "two"] > ends[0, "two"]


class Killed(BaseException):
    """As from kill -9."""


def test_a_killed_sweep_goes_on_where_it_was(swept, children, corpora, tmp_path, monkeypatch):
    tokens, output = [corpora["one"], corpora["two"]], tmp_path / "merged.parquet"
    measured: list[None] = []

    def dying(*arguments):
        measured.append(None)
        if len(measured) == 6:  # the second corpus of the third t
            raise Killed
        return evaluate.measure(*arguments)

    monkeypatch.setattr(sweep, "measure", dying)
    for _ in range(2):
        with suppress(Killed):
            sweep.run(sweep_slice(), parents=children, tokens=tokens, output=output)
    assert len(measured) == 5 * 2 + 2  # the third t twice
    assert output.read_bytes() == swept.read_bytes()
    assert not list((tmp_path / "checkpoints").iterdir())
