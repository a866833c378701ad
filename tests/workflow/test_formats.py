"""Every file of a built study has exactly the described keys, columns and types, for every reader.

FEATFLOW_BUILT names the folder of another built study, such as results/desk.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open

from featflow.artifacts.io import load_provenance
from featflow.plan import paths
from featflow.plan.stages import FILES, Field, File, stages_of

pytestmark = pytest.mark.workflow

DTYPES = {
    "BF16": "bfloat16",
    "BOOL": "bool",
    "F32": "float32",
    "F64": "float64",
    "I32": "int32",
    "I64": "int64",
}
COLUMNS = {pa.string(): "text", pa.large_string(): "text", pa.float64(): "float64"}
COLUMNS |= {pa.float32(): "float32", pa.bool_(): "bool"}
JSON: dict[str, Any] = {"text": str, "integer": int, "number": (int, float), "boolean": bool}
JSON |= {"object": dict, "list": list}
OF_OTHERS = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")
"""Files of a model's folder in formats that are not featflow's."""
PROVENANCE = {"study", "stage", "config", "code", "inputs", "versions"}


def pattern(template: str) -> re.Pattern[str]:
    """A template, a column or a JSON path with `{names}`, as a regular expression."""
    parts = re.split(r"(\{\w+\})", template.removeprefix("results/{study}/"))
    return re.compile("".join("[^/]+?" if p.startswith("{") else re.escape(p) for p in parts))


@pytest.fixture(scope="module")
def study(request) -> Path:
    if built := os.environ.get("FEATFLOW_BUILT"):
        return Path(built)
    return request.getfixturevalue("tiny") / "results" / "tiny"


@pytest.fixture(scope="module")
def made(study) -> dict[Path, File]:
    """Every file of the study and its format."""
    found = {}
    for file in sorted(study.rglob("*")):
        name = file.relative_to(study).as_posix()
        of_a_model = name.startswith("models/") and file.name in OF_OTHERS
        if file.is_dir() or of_a_model or file.name.endswith((".tmp", ".sha256")):
            continue
        formats = [each for each in FILES.values() if pattern(each.template).fullmatch(name)]
        exact = [each for each in formats if "{" not in each.template.rsplit("/")[-1]]
        assert len(exact or formats) == 1, f"{name}: described by {len(formats)} formats"
        found[file] = (exact or formats)[0]
    return found


def matched(names: list[str], described: File) -> dict[str, Field]:
    """The field of each name; every name has one, and every field that must be there is."""
    found = {}
    for name in names:
        fields = [f for f in described.fields if pattern(f.name).fullmatch(name)]
        exact = [f for f in fields if f.name == name]
        assert fields, f"{described.template}: {name} is not described"
        found[name] = (exact or fields)[0]
    missing = [f.name for f in described.fields if f not in found.values() and not f.optional]
    assert not missing, f"{described.template}: no {missing}"
    return found


def of_kind(made: dict[Path, File], *kinds: str) -> dict[Path, File]:
    return {f: each for f, each in made.items() if each.kind in kinds and not each.more}


def test_every_format_occurs(made):
    there = {each.template for each in made.values()}
    absent = set(FILES) - there
    assert absent <= ({paths.REPORT} if os.environ.get("FEATFLOW_BUILT") else set())


def test_tensors(made):
    for file, described in of_kind(made, "safetensors").items():
        letters: dict[str, int] = {}
        with safe_open(file, framework="pt") as tensors:
            for name, field in matched(list(tensors.keys()), described).items():
                stored = tensors.get_slice(name)
                assert DTYPES[stored.get_dtype()] == field.type, (file, name)
                shape = re.findall(r"(\w+)( \+ 1)?", field.shape)
                assert len(shape) == len(stored.get_shape()), (file, name)
                for (letter, one), size in zip(shape, stored.get_shape(), strict=True):
                    size -= bool(one)
                    assert letters.setdefault(letter, size) == size, (file, name)


def test_tables(made):
    for file, described in of_kind(made, "parquet").items():
        schema = pq.read_schema(file)
        for name, field in matched(schema.names, described).items():
            stored = schema.field(name).type
            kind = "list of struct" if pa.types.is_list(stored) else COLUMNS.get(stored)
            assert (kind or str(stored)) == field.type, (file, name)
            if not field.null:
                assert pq.read_table(file, columns=[name])[name].null_count == 0, (file, name)
    for file, described in of_kind(made, "csv").items():
        table = pd.read_csv(file)
        assert list(table) == [field.name for field in described.fields]
        for field in described.fields:
            wanted = {"text": "str"}.get(field.type, field.type)
            empty = field.null and table[field.name].isna().all()
            assert empty or str(table[field.name].dtype) == wanted, (file, field.name)


def leaves(value: Any, described: File, at: str = "") -> dict[str, Any]:
    """The paths of an object's leaves; what a field calls an object is one leaf."""
    whole = any(f.type == "object" and pattern(f.name).fullmatch(at) for f in described.fields)
    if not isinstance(value, dict) or whole:
        return {at: value}
    parts = [leaves(v, described, f"{at}.{k}" if at else k) for k, v in value.items()]
    return {path: leaf for part in parts for path, leaf in part.items()}


def test_json(made):
    for file, described in of_kind(made, "json").items():
        content = json.loads(file.read_text())
        content.pop("featflow", None)
        content.get("metadata", {}).pop("featflow", None)
        found = leaves(content, described)
        for path, field in matched(list(found), described).items():
            value = found[path]
            if field.null and value is None:
                continue
            of, _, inner = field.type.partition(" of ")
            values = value if of == "list" else [value]
            wanted = dict if field.type == "object" else JSON[inner or of]
            assert all(isinstance(v, wanted) for v in values), (file, path)


def test_provenance_is_where_the_description_says(made):
    for file, described in made.items():
        if described.template == paths.FIGURE and file.suffix not in (".html", ".json"):
            continue  # images: tests/figures
        place = re.match(r"(\S+) beside it", described.where)
        found = load_provenance(file.with_name(place[1]) if place else file)
        if described.template != paths.REPORT:
            assert found is not None and set(found) == PROVENANCE, file
            assert found["stage"] in {s.verb for s in stages_of(described.template)}


def test_tables_are_the_same_to_pandas_polars_and_duckdb(made):
    for file in of_kind(made, "parquet"):
        pandas, polars = pd.read_parquet(file), pl.read_parquet(file)
        relation = duckdb.sql(f"select * from '{file}'")
        assert list(pandas) == polars.columns == relation.columns, file
        rows = polars.rows()
        assert len(pandas) == len(rows) and relation.fetchall() == rows, file
        for name in polars.columns:
            ours, theirs = pandas[name], polars[name]
            assert (ours.isna().to_numpy() == theirs.is_null().to_numpy()).all(), (file, name)
            if theirs.dtype.is_float():
                assert not theirs.is_nan().any(), (file, name)
            if not theirs.dtype.is_nested():
                assert ours.dropna().tolist() == theirs.drop_nulls().to_list(), (file, name)


def test_tensors_are_the_same_to_torch_and_numpy(made):
    import torch
    from safetensors.numpy import load_file
    from safetensors.torch import load_file as load_torch

    for file, described in made.items():
        if described.kind != "safetensors" or described.template == paths.ACTIVATIONS:
            continue  # numpy has no bfloat16
        arrays, tensors = load_file(file), load_torch(file)
        assert arrays.keys() == tensors.keys()
        for name, array in arrays.items():
            bits = torch.from_numpy(array).view(torch.uint8), tensors[name].view(torch.uint8)
            assert torch.equal(*bits), (file, name)
