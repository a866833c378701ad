"""What the explained features are about, by what became of them."""

from pathlib import Path

from featflow.artifacts.io import load_table
from featflow.figures.files import matching
from featflow.plan import paths
from featflow.report.tables import Column, Table, count, share, text


def categories(files: list[Path]) -> list[Table]:
    """A table for every SAE whose features are interpreted."""
    found = sorted(matching(files, paths.CATEGORIES, "sae").items())
    return [_table(sae, file) for sae, file in found]


def _table(sae: str, file: Path) -> Table:
    columns = [
        *(Column(title, is_text=True) for title in ("model", "explainer", "features that are")),
        Column("about", is_text=True),
        *(Column(title) for title in ("features", "of those explained", "share")),
    ]
    rows = [
        [
            *(text(row[key]) for key in ("model", "explainer", "name", "category")),
            *(count(row[key]) for key in ("features", "of")),
            share(row["share"]),
        ]
        for row in load_table(file).to_dict("records")
    ]
    note = (
        "The first rule that fits an explanation, or the tokens of most firings, names its "
        "category (docs/interpretation.md). Shares are of the features that were drawn to be "
        "explained, not of all."
    )
    return Table(f"categories{sae}", "What the explained features are about", columns, rows, note)
