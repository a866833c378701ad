"""Stage `interpret` with an endpoint: what is asked for, once and again."""

import json
from collections import Counter

import pandas as pd
import pytest

from featflow.interpret import interpret

from .planted import CONTEXTUAL, HALF, LOOKUP, SHUFFLED, files
from .server import error, serving

FEW = {"records": {"top": 4, "interval": 4, "random": 3, "same_token": 0}}
EXPLAINED = [LOOKUP, SHUFFLED, CONTEXTUAL, HALF]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with serving() as running:
        yield running


def made(folder, server, more=None, **settings):
    provider = {"kind": "openai", "base_url": server.url, "explainer": "gpt", "retries": 0}
    return files(folder, select={}, provider={**provider, **(more or {})}, **FEW, **settings)


def run(study) -> pd.DataFrame:
    interpret.run(study.cfg, **study.paths())
    table = pd.read_parquet(study.paths()["output"])
    return table[table["explainer"] == "gpt"].set_index("feature")


def kinds(calls) -> Counter:
    """How many questions of each kind: a schema's key, or a plain one."""
    schemas = [c.body.get("response_format", {}).get("json_schema", {}).get("name") for c in calls]
    return Counter(
        "simulate" if c.body.get("logprobs") else name or "explain"
        for c, name in zip(calls, schemas, strict=True)
    )


def test_every_answer_is_asked_for_once(tmp_path, server):
    study = made(tmp_path, server)
    table = run(study)
    count = len(server.calls)
    asked = kinds(server.calls)
    assert asked["explain"] == len(EXPLAINED)
    assert 0 < asked["simulate"] <= table.loc[EXPLAINED, "records"].sum()
    bodies = {json.dumps(call.body, sort_keys=True) for call in server.calls}
    assert len(bodies) == count  # two features with one explanation and one text share an answer
    lines = (tmp_path / "interpret" / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if json.loads(line)]) >= count
    first = study.paths()["output"].read_bytes()
    run(study)
    assert len(server.calls) == count
    assert study.paths()["output"].read_bytes() == first


def test_the_endpoint_says_commas_and_there_are_none(tmp_path, server):
    table = run(made(tmp_path, server))
    assert (table.loc[EXPLAINED, "explanation"] == "words that come after a comma").all()
    assert (table.loc[EXPLAINED, "category"] == "punctuation").all()
    assert (table.loc[EXPLAINED, "status"] == "undefined").all()  # it predicts 0 everywhere
    assert table.loc[EXPLAINED, "pearson"].isna().all()
    assert table.loc[EXPLAINED, "fuzzing"].between(0.2, 0.8).all()  # it says true, false, true, …


def test_a_changed_rule_asks_nothing_again(tmp_path, server):
    study = made(tmp_path, server)
    run(study)
    count = len(server.calls)
    changed = made(tmp_path, server, categories={"mine": {"explanation": ["comma"]}})
    table = run(changed)
    assert len(server.calls) == count and (table.loc[EXPLAINED, "category"] == "mine").all()


def test_a_rerun_asks_only_for_what_is_missing(tmp_path, server):
    broken = {"left": 9}

    def fault(call):
        if call.index > 20 and broken["left"]:
            broken["left"] -= 1
            return error(500)
        return None

    server.fault = fault
    study = made(tmp_path, server)
    table = run(study)
    assert table["reason"].str.contains("questions not answered").any()
    count = len(server.calls)
    table = run(study)
    assert len(server.calls) == count + 9
    assert not table["reason"].str.contains("not answered", na=False).any()


def test_where_money_runs_out_whole_features_are_done(tmp_path, server, monkeypatch):
    monkeypatch.setattr(interpret, "BATCH", 1)
    price = {"gpt": {"input": 100.0, "output": 100.0}}  # an answer of 110 tokens costs 0.011
    paid = {"prices": price, "concurrency": 1, "max_usd": 0.4, "simulation": "whole"}
    study = made(tmp_path, server, paid, scores=["fuzzing"])
    table = run(study).loc[EXPLAINED]
    assert 0 < 0.011 * len(server.calls) <= 0.4
    done = table["fuzzing"].notna()
    assert done.tolist() == sorted(done, reverse=True) and 0 < done.sum() < len(done)
    assert table.loc[~done, "status"].eq("failed").all()
    assert table.loc[~done, "reason"].str.contains("budget").all()
