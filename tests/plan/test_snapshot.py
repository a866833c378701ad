"""A run is planned once."""

import os

import pytest

from featflow.config import ConfigError
from featflow.plan.snapshot import VARIABLE, plan
from tests.config.test_config import config, set_at


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "")


def threshold(planned):
    return planned.of("one").study.flow.threshold


def test_a_job_loads_the_snapshot_and_not_the_edited_config():
    first = plan(config())
    assert os.path.isfile(os.environ[VARIABLE])
    edited = set_at(config(), "flow/threshold", 0.5)
    assert threshold(plan(edited)) == threshold(first) == 0.8
    os.environ[VARIABLE] = ""
    assert threshold(plan(edited)) == 0.5


def test_a_lost_snapshot_is_said(monkeypatch):
    monkeypatch.setenv(VARIABLE, "/nowhere.json")
    with pytest.raises(ConfigError, match="no such snapshot"):
        plan(config())


def test_an_unknown_study_is_said():
    with pytest.raises(ConfigError, match="did you mean 'one'"):
        plan(config()).of("ome")
