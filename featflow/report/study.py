"""What the study is: its corpora, and the settings in which it differs from the paper's."""

import json
from pathlib import Path

import pyarrow.parquet as pq
from safetensors import safe_open

from featflow.artifacts.io import readable
from featflow.artifacts.reading import parsed
from featflow.data.composition import Part, composition, in_common, shared, warnings
from featflow.figures.files import matching
from featflow.figures.graph import ordered
from featflow.plan import paths
from featflow.plan.slices import Node
from featflow.plan.stages.report import Difference, ReportSlice
from featflow.report.tables import UNKNOWN, Cell, Column, Table, count, number, share, text

SOURCES = 12
"""Rows that a corpus has at most in the table of sources."""


def models_in_order(models: dict[str, Node]) -> list[str]:
    """The models by generation (a slice has them by name)."""
    return [name for generation in ordered(models) for name in generation] if models else []


def corpora_in_order(cfg: ReportSlice) -> list[str]:
    """The corpora as the models meet them, then those that no model is trained on."""
    met = [c for name in models_in_order(cfg.models) for c in cfg.models[name].corpora]
    return list(dict.fromkeys([*met, *cfg.corpora]))


def documents(file: Path) -> int:
    """Rows of a parquet file, from its footer."""
    with readable(file):
        return pq.read_metadata(file).num_rows


def text_bytes(file: Path) -> int:
    """About how long the texts of a corpus are: the column's bytes before compression."""
    with readable(file):
        footer = pq.read_metadata(file)
        at = footer.schema.names.index("text")
        groups = range(footer.num_row_groups)
        return sum(footer.row_group(i).column(at).total_uncompressed_size for i in groups)


def tokens(file: Path) -> int:
    """Token ids in a file, from its header."""
    with readable(file), safe_open(file, framework="numpy") as opened:
        return opened.get_slice("input_ids").get_shape()[0]


def corpora_table(cfg: ReportSlice, files: list[Path]) -> Table:
    """The corpora: kind, models, documents, text and tokens by split."""
    parquet = {s: matching(files, paths.CORPUS, "corpus", split=s) for s in paths.SPLITS}
    ids = {s: matching(files, paths.TOKENS, "corpus", split=s) for s in ("train", "validation")}
    rows = []
    for name in corpora_in_order(cfg):
        users = [
            model for model in models_in_order(cfg.models) if name in cfg.models[model].corpora
        ]
        rows.append(
            [
                text(name),
                text(cfg.corpora[name]),
                text(", ".join(users) or UNKNOWN),
                *(count(documents(parquet[split][name])) for split in paths.SPLITS),
                number(text_bytes(parquet["train"][name]) / 1e6, 1),
                *(count(tokens(of[name])) for of in ids.values()),
            ]
        )
    columns = [
        *(Column(name, is_text=True) for name in ("corpus", "source", "trains")),
        *(Column(split, "documents") for split in paths.SPLITS),
        Column("train, MB", "text"),
        *(Column(split, "tokens") for split in ids),
    ]
    note = (
        "Exact duplicates are dropped, then documents are dealt to the splits by a hash of their "
        "text. The validation split is what models are evaluated and features compared on; "
        "selection chooses a merge’s t and nothing else. The text is as long as its column of "
        "the file before compression."
    )
    return Table("corpora", "Corpora", columns, rows, note)


def sources(cfg: ReportSlice, files: list[Path]) -> list[list[Part]]:
    """Of each corpus of the probe what it is made of."""
    documents = matching(files, paths.CORPUS, "corpus", split="validation")
    ids = matching(files, paths.TOKENS, "corpus", split="validation")
    return [composition(c, documents[c], ids[c], cfg.probe) for c in cfg.probe.corpora]


def largest(parts: list[Part]) -> list[Part]:
    """The largest sources of a corpus, and all smaller ones together, where there are many."""
    if len(parts) <= SOURCES:
        return parts
    shown, rest = parts[: SOURCES - 1], parts[SOURCES - 1 :]
    together = Part(
        parts[0].corpus,
        f"{len(rest):,} others",
        sum(part.documents for part in rest),
        sum(part.split for part in rest),
        sum(part.probe for part in rest),
    )
    return [*shown, together]


def sources_table(found: list[list[Part]]) -> Table | None:
    """What the probe is made of, of corpora with several sources; None where there is none."""
    parts = [part for of_corpus in found if len(of_corpus) > 1 for part in largest(of_corpus)]
    if not parts:
        return None
    rows = [
        [text(p.corpus), text(p.source), count(p.documents), share(p.split), share(p.probe)]
        for p in parts
    ]
    columns = [
        *(Column(name, is_text=True) for name in ("corpus", "source")),
        Column("documents", "validation split"),
        Column("tokens", "validation split"),
        Column("tokens", "probe"),
    ]
    note = (
        "The probe’s blocks are drawn from the whole validation split, so that each source should "
        "have the same share of both."
    )
    return Table("sources", "What the probe is made of", columns, rows, note)


def remarks(cfg: ReportSlice, files: list[Path], found: list[list[Part]]) -> list[str]:
    """What a reader should know of the corpora: sources that the probe lacks or has too much of,
    and documents that two corpora have in common."""
    parquet = {s: matching(files, paths.CORPUS, "corpus", split=s) for s in paths.SPLITS}
    everywhere = {name: [of[name] for of in parquet.values()] for name in corpora_in_order(cfg)}
    lines = [line for of_corpus in found for line in warnings(of_corpus)]
    return [*lines, *in_common(shared(everywhere))]


def differences_table(cfg: ReportSlice) -> Table | None:
    """The settings that differ from the study it is compared with; None where none is."""
    if cfg.compared_with is None:
        return None
    columns = [Column(name, is_text=True) for name in ("key", "here", cfg.compared_with)]
    rows = [_difference(difference) for difference in cfg.differences]
    caption = f"Settings that differ from the study {cfg.compared_with}"
    return Table("differences", caption, columns, rows)


def _difference(difference: Difference) -> list[Cell]:
    values = (difference.here, difference.there)
    return [text(difference.key, "code"), *(_setting(value) for value in values)]


def _setting(value: str) -> Cell:
    """A setting as the config has it; of a mapping what is set, a line a key."""
    try:
        found = parsed(value)
    except ValueError:
        return text(value, "code")
    if isinstance(found, dict):
        lines = [f"{k}: {_scalar(v)}" for k, v in found.items() if v not in (None, [], {})]
        return text("\n".join(lines), "code")
    if isinstance(found, int | float) and not isinstance(found, bool):
        return Cell(_scalar(found), key=float(found), look="code")
    return text(value, "code")


def _scalar(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
