"""The description of the files: complete, and in step with docs/formats.md."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from featflow.config.merging import Method
from featflow.plan import paths
from featflow.plan.paths import Template
from featflow.plan.reference import formats
from featflow.plan.stages import FILES, STAGES

ROOT = Path(__file__).parents[2]


def test_the_page_is_the_description():
    assert (ROOT / "docs" / "formats.md").read_text(encoding="utf-8") == formats()


def test_the_page_is_printed_without_torch():
    code = (
        "import sys, runpy; sys.argv = ['', 'formats'];"
        "runpy.run_module('featflow.plan.reference', run_name='__main__');"
        "assert not {'torch', 'pandas', 'pyarrow'} & set(sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout == formats()


def test_every_path_is_described_once():
    templates = [t for t in vars(paths).values() if isinstance(t, Template) and t != paths.STUDY]
    assert set(templates) <= set(FILES)
    every = [file for stage in STAGES.values() for file in stage.outputs]
    assert all(FILES[file.template] is file for file in every)


@pytest.mark.parametrize("described", FILES.values(), ids=lambda each: each.template)
def test_a_description_is_whole(described):
    assert described.fields or described.kind == "other" or described.more
    names = [field.name for field in described.fields]
    assert len(set(names)) == len(names)
    for field in described.fields:
        assert bool(field.shape) == (described.kind == "safetensors"), field.name
        letters = set(re.findall(r"[A-Z]\b|[a-z]_?[a-z]?\b", field.shape))
        assert all(letter in described.shapes for letter in letters), field.name
        assert "\n" not in field.meaning and "|" not in field.meaning


def test_columns_that_the_code_names_are_the_described_ones():
    from featflow.analysis import chains, controls, edges, flow

    for template, columns in (
        (paths.FLOW_COUNTS, flow.COUNT_COLUMNS),
        (paths.FLOW_CONTROLS, controls.COLUMNS),
        (paths.FLOW_DOMAINS, controls.COLUMNS),
        (paths.FLOW_EDGES, edges.EDGE_COLUMNS),
        (paths.FLOW_SHARES, edges.EDGE_COLUMNS),
        (paths.FLOW_STRATA, edges.STRATA_COLUMNS),
        (paths.FLOW_FEATURES, flow.FEATURE_COLUMNS),
        (paths.FLOW_CHAINS, chains.COLUMNS),
    ):
        assert [field.name for field in FILES[template].fields] == list(columns)


def test_every_setting_of_a_merge_method_is_described():
    described = {field.name for field in FILES[paths.MERGE].fields}
    for method in get_args(get_args(Method)[0]):
        assert set(method.model_fields) - {"kind"} <= described, method
