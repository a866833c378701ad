"""docs/formats.md and docs/stages.md, made of plan/stages; docs/map.md, made of docstrings.

`python -m featflow.plan.reference formats > docs/formats.md`; the same of stages and map. Tests
compare the texts with the files, and the descriptions with what a built study holds.
"""

import ast
import sys
from pathlib import Path
from types import ModuleType

from featflow.plan import paths
from featflow.plan.stages import FAMILIES, Field, File, Stage, stages_of

FORMATS_HEAD = """\
# File formats

Every file of a study, so that any tool can read it. Keys and columns are added, never renamed.
Made by `python -m featflow.plan.reference formats > docs/formats.md`; the formulas are in
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

STAGES_HEAD = """\
# Stages

One word a stage: the rule, the verb (`featflow <verb>`), the module and the test carry it. A stage
is described once, in featflow/plan/stages; `python -m featflow.plan.reference stages >
docs/stages.md` writes this page. A stage with a revision costs GPU-days and reruns when someone
raises the number; one without follows a fingerprint of its code. Files lie below `results/{study}`.
"""

MAP_HEAD = """\
# Map

Where things are: a line a file. Data walk through the rooms in this order, and imports go one way:
config, plan, artifacts and runtime, data, models, saes, features, analysis, interpret, figures,
report, commands. Tests mirror them. `python -m featflow.plan.reference map > docs/map.md` writes
this page.
"""

MAPPED = (
    "rules",
    "featflow/config",
    "featflow/plan",
    "featflow/artifacts",
    "featflow/runtime",
    "featflow/data",
    "featflow/models",
    "featflow/saes",
    "featflow/features",
    "featflow/analysis",
    "featflow/interpret",
    "featflow/figures",
    "featflow/report",
    "featflow/commands",
    "benchmarks",
)
"""In the order in which data walk."""

COLUMNS = ("stage", "module", "what it makes", "files", "code", "test")


def formats() -> str:
    """docs/formats.md."""
    parts = [FORMATS_HEAD]
    for family in FAMILIES:
        parts.append(f"## {heading(family)}\n")
        written = {file.template: file for stage in family.STAGES for file in stage.outputs}
        parts += [_section(file) for file in written.values()]
    return "\n".join(parts)


def stages() -> str:
    """docs/stages.md."""
    parts = [STAGES_HEAD]
    for family in FAMILIES:
        parts += [f"## {heading(family)}\n", "| " + " | ".join(COLUMNS) + " |", "|---" * 6 + "|"]
        parts += ["| " + " | ".join(_row(stage)) + " |" for stage in family.STAGES]
        parts.append("")
    return "\n".join(parts)


def map_() -> str:
    """docs/map.md: a line a file, what its docstring or its first comment says."""
    parts = [MAP_HEAD]
    for folder in MAPPED:
        parts += [f"## {folder}\n", "| file | what it is |", "|---|---|"]
        files = sorted(p for p in Path(folder).rglob("*") if p.suffix in (".py", ".smk", ".txt"))
        for path in files:
            said = _said(path).replace("|", "\\|")
            if said and path.name != "__init__.py":
                parts.append(f"| {path.relative_to(folder)} | {said} |")
            elif said:
                parts.append(f"| **{path.parent.relative_to(folder)}/** | {said} |")
        parts.append("")
    return "\n".join(parts)


def _said(path: Path) -> str:
    """The first sentence or paragraph of a file's docstring; of rules, of the comments above."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return " ".join((ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].split())
    lines = [line[2:] for line in text.split("\n\n")[0].splitlines() if line.startswith("# ")]
    return "; ".join(" ".join(line.split()) for line in lines)


def heading(family: ModuleType) -> str:
    """What the first line of a family's docstring says."""
    return (family.__doc__ or "").split("\n")[0].rstrip(".")


def _row(stage: Stage) -> list[str]:
    module = stage.module.replace(".", "/") + ".py"
    room, name = Path(module).parts[1], Path(module).stem
    files = [f"`{f.template.removeprefix(str(paths.STUDY))}`" for f in stage.outputs if f.target]
    code = "fingerprint" if stage.revision is None else f"revision {stage.revision}"
    return [
        stage.verb,
        module,
        stage.summary,
        "<br>".join(files),
        code,
        f"tests/{room}/test_{name}.py",
    ]


def _section(file: File) -> str:
    makers = ", ".join(stage.verb for stage in stages_of(file.template))
    kind = "" if file.kind == "other" else f"{file.kind}; "
    lines = [
        f"### {file.template}\n",
        f"{file.about}\n",
        f"*{kind}written by {makers}; provenance: {file.where}.*\n",
    ]
    return "\n".join([*lines, *_table(file)])


def _table(file: File) -> list[str]:
    if not file.fields:
        return []
    what = {"safetensors": "tensor", "json": "key"}.get(file.kind, "column")
    shaped = any(field.shape for field in file.fields)
    head = [what, "type", *(["shape"] if shaped else []), "meaning"]
    rows = [_cells(field, shaped) for field in file.fields]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    return [*lines, *([f"\n{file.shapes}."] if file.shapes else []), ""]


def _cells(field: Field, shaped: bool) -> list[str]:
    notes = ["optional"] * field.optional + ["may be null"] * field.null
    kind = field.type + (f" ({', '.join(notes)})" if notes else "")
    return [f"`{field.name}`", kind, *([field.shape] if shaped else []), field.meaning]


if __name__ == "__main__":
    print({"formats": formats, "stages": stages, "map": map_}[sys.argv[1]](), end="")
