"""Every artifact of plan/paths.py, described: what other tools may rely on.

docs/formats.md is this as text: `python -m featflow.plan.formats > docs/formats.md`; tests compare
the text with the file, and the description with what a built study holds.
"""

from featflow.plan.formats import (
    cases,
    controls,
    data,
    explorer,
    features,
    interpret,
    models,
    pages,
    saes,
)
from featflow.plan.formats.describe import Field, Format

FORMATS: tuple[Format, ...] = (
    *data.FORMATS,
    *models.FORMATS,
    *saes.FORMATS,
    *features.FORMATS,
    *controls.FORMATS,
    *cases.FORMATS,
    *interpret.FORMATS,
    *explorer.FORMATS,
    *pages.FORMATS,
)

__all__ = ["FORMATS", "Field", "Format", "text"]

HEAD = """\
# File formats

Every file of a study, so that any tool can read it. Keys and columns are added, never renamed.
Made by `python -m featflow.plan.formats > docs/formats.md`; the formulas are in
[methods.md](methods.md).

**Tensors** are safetensors: `safetensors.numpy.load_file(path)`, or safetensors.torch.
**Tables** are parquet (zstd): `pandas.read_parquet`, `polars.read_parquet`, or in duckdb
`select * from 'path'`; a few small ones are CSV. There is no pickle anywhere. `text` is UTF-8.
What has no value is null in a table (an empty cell in a CSV) and NaN in a tensor.

**Names.** `{study}`, `{corpus}`, `{model}`, `{sae}`, `{figure}` are names of the config;
`{case}` is one too, `{parent}` and `{child}` are models;
`{split}` is train, validation or selection; `{a}` and `{b}` are dictionaries, `{model}.{sae}`.

**Whole or not there.** A file is written under another name, `.NAME.….tmp`, and then renamed; the
folder of a model or an SAE is whole once its handle (config.json, cfg.json) is there.

**Digests.** `results/{study}/.sha256/` holds a file for every other one, with its SHA-256 as its
stage wrote it, in the format of `sha256sum`; from the folder above results/:
`find results/STUDY/.sha256 -type f -exec cat {} + | sha256sum --check --quiet`.
`featflow verify` says more, and every stage compares the digests of what it reads.

## Provenance

Where an artifact came from, as JSON in the artifact itself: the same study gives the same bytes, so
no clock, host or absolute path is in it.

| key | type | meaning |
|---|---|---|
| `study` | text | name of the study |
| `stage` | text | what wrote it |
| `config` | object | all of the config that reached the stage, defaults left out |
| `code` | integer or text | revision of the stage, or a fingerprint of its code |
| `inputs` | object | SHA-256 of each file or folder that it read, by its path from `results/` on |
| `versions` | object | of featflow and of the packages that decide its numbers |

```python
import json, pyarrow.parquet as pq, safetensors

json.loads(pq.read_schema("t.parquet").metadata[b"featflow"])
with safetensors.safe_open("t.safetensors", "numpy") as file:
    json.loads(file.metadata()["featflow"])
```
"""

HEADINGS = {
    "Data": data.FORMATS,
    "Models": models.FORMATS,
    "Sparse autoencoders": saes.FORMATS,
    "Features and their flow": features.FORMATS,
    "Controls": controls.FORMATS,
    "Cases": cases.FORMATS,
    "Interpretation": interpret.FORMATS,
    "To look at": (*pages.FORMATS, *explorer.FORMATS),
}


def text() -> str:
    """docs/formats.md."""
    parts = [HEAD]
    for heading, formats in HEADINGS.items():
        parts.append(f"## {heading}\n")
        parts += [_section(each) for each in formats]
    return "\n".join(parts)


def _section(described: Format) -> str:
    kind = "" if described.kind == "other" else f"{described.kind}; "
    lines = [
        f"### {described.template}\n",
        f"{described.about}\n",
        f"*{kind}written by {described.stage}; provenance: {described.where}.*\n",
    ]
    return "\n".join([*lines, *_table(described)])


def _table(described: Format) -> list[str]:
    if not described.fields:
        return []
    what = {"safetensors": "tensor", "json": "key"}.get(described.kind, "column")
    shaped = any(field.shape for field in described.fields)
    head = [what, "type", *(["shape"] if shaped else []), "meaning"]
    rows = [_cells(field, shaped) for field in described.fields]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    return [*lines, *([f"\n{described.shapes}."] if described.shapes else []), ""]


def _cells(field: Field, shaped: bool) -> list[str]:
    notes = ["optional"] * field.optional + ["may be null"] * field.null
    kind = field.type + (f" ({', '.join(notes)})" if notes else "")
    return [f"`{field.name}`", kind, *([field.shape] if shaped else []), field.meaning]
