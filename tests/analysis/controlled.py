"""A study with every control, whose pairs of dictionaries are drawn at random."""

import zlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from featflow.artifacts.io import save_table
from featflow.artifacts.provenance import Provenance
from featflow.config.study import Study
from featflow.plan import paths
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES

from .conftest import Counts, Known, write_shares

NAME = "controlled"

TEXTS = {
    "corpora": {
        "prose": {"kind": "generated", "language": "english", "documents": 10},
        "code": {"kind": "generated", "language": "lua", "documents": 10},
    },
    "tokenizer": {"kind": "bpe", "corpora": ["prose", "code"]},
}
"""What two planted studies begin with; nothing is read of it."""

SETTINGS = {
    **TEXTS,
    "models": {
        "base": {"kind": "base", "corpora": ["prose"]},
        "lua": {"kind": "finetune", "parent": "base", "corpora": ["code"]},
        "tales": {"kind": "finetune", "parent": "base", "corpora": ["prose"]},
        "both": {"kind": "merge", "parents": ["lua", "tales"], "method": {"kind": "linear"}},
        "other": {"kind": "base", "corpora": ["prose"], "seed": 1, "control_of": "base"},
        "otherlua": {
            "kind": "finetune",
            "parent": "other",
            "corpora": ["code"],
            "seed": 1,
            "control_of": "lua",
        },
        "further": {
            "kind": "finetune",
            "parent": "base",
            "corpora": ["prose"],
            "control_of": "lua",
        },
        "noise": {"kind": "random", "like": "base"},
    },
    "activations": {"data": "lineage"},
    "saes": {
        "main": {"kind": "relu"},
        "reseed": {"kind": "relu", "seed": 1, "control_of": "main", "models": ["base", "lua"]},
        "reseed2": {"kind": "relu", "seed": 2, "control_of": "main", "models": ["base"]},
        "mixed": {
            "kind": "relu",
            "corpora": ["code", "prose"],
            "control_of": "main",
            "models": ["base"],
        },
    },
    "controls": {"thresholds": [0.6, 0.7]},
}

SIZE = 60
TOKENS = 100_000


class Controlled(NamedTuple):
    """The study in a folder of its own."""

    root: Path
    slices: Slices

    def path(self, template: paths.Template, **names: str) -> Path:
        return self.root / template.at(study=NAME, sae="main", **names)

    def each(self, template: paths.Template, transferred: bool = False) -> list[Path]:
        """A file of each pair of models that is compared, or transferred."""
        of = self.slices.transferred if transferred else self.slices.compared
        return [self.path(template, **pair.model_dump()) for pair in of("main")]


@cache
def known(a: str, b: str, domain: str) -> Known:
    """Two dictionaries on a domain: features that fire never, seldom, or often; r at random."""
    rng = np.random.default_rng(zlib.crc32(f"{a} {b} {domain}".encode()))
    r = (0.83 * rng.random((2, SIZE, SIZE)) ** 8).astype(np.float32)
    counts = []
    for _ in "ab":
        own, there = rng.choice([0, 7, 30, 300, 3000, 30000], (2, SIZE))
        counts.append(Counts(own, np.minimum(own, 40), there))
    r[0, counts[0].own == 0], r[0][:, counts[1].there == 0] = np.nan, np.nan
    r[1, counts[0].there == 0], r[1][:, counts[1].own == 0] = np.nan, np.nan
    looks = rng.uniform(0, 1, (2, SIZE)).astype(np.float32)
    looks[:, :3] = np.nan
    part = rng.choice([1, 0.99, 0.5, np.nan], r.shape, p=[0.6, 0.2, 0.1, 0.1]).astype(np.float32)
    return Known(r[0], r[1], *counts, *looks, TOKENS, *(r * part))


def drawn_frozen(parent: str, child: str) -> pd.DataFrame:
    """A frozen dictionary at random; the parent's firings are as where it is compared."""
    rng = np.random.default_rng(zlib.crc32(f"frozen {parent} {child}".encode()))
    of = known(f"{parent}.main", f"{child}.main", "home").a
    assert of is not None
    there = rng.choice([0, 7, 300], SIZE)
    return pd.DataFrame(
        {
            "feature": np.arange(SIZE, dtype=np.int32),
            "r": np.where(there == 0, np.nan, rng.uniform(0.5, 1, SIZE)).astype(np.float32),
            "firings": of.own,
            "documents": of.documents,
            "child_firings": there,
            "child_documents": np.minimum(there, 30),
            "tokens": TOKENS,
        }
    )


def drawn_bootstrap(parent: str, child: str, thresholds: list[float]) -> pd.DataFrame:
    """Replicates at random, for all features and for look-ups; some have none of these."""
    rng = np.random.default_rng(zlib.crc32(f"bootstrap {parent} {child}".encode()))
    rows = [
        (replicate, side, *stratum, tau, 20, rng.uniform(0.3, 0.6))
        for replicate in range(25)
        for side in "ab"
        for stratum in (("all", "all"), ("lookup", "lookup"))
        for tau in thresholds
    ]
    columns = ["replicate", "side", "kind", "stratum", "threshold", "features", "share"]
    table = pd.DataFrame(rows, columns=columns)
    few = (table["kind"] == "lookup") & (table["replicate"] == 3)
    table.loc[few, ["features", "share"]] = [0, np.nan]
    return table


def plant(root: Path, settings: dict = SETTINGS) -> Controlled:
    """Write what stages shares and transfer would write."""
    made = Controlled(root, Slices(NAME, Study.model_validate(settings)))
    write_shares(made.slices, "main", root, known)
    edges = made.slices.lineage.flow_edges("main")
    for pair in made.slices.transferred("main"):
        names = pair.model_dump()
        file = made.path(paths.FROZEN, **names)
        cfg = STAGES["transfer"].slice(made.slices, "main", **names)
        save_table(file, drawn_frozen(**names), Provenance("transfer", cfg))
    for parent, child in edges:
        cfg = STAGES["shares"].slice(made.slices, "main", parent, child)
        table = drawn_bootstrap(parent, child, cfg.thresholds)
        file = made.path(paths.BOOTSTRAP, parent=parent, child=child)
        save_table(file, table, Provenance("shares", cfg))
    return made
