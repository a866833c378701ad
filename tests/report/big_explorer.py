"""An explorer of random features, as large as wanted: to measure how fast it loads.

python -m tests.report.big_explorer FOLDER [--features 16384]

Every text and number is drawn at random; the files are written by what writes the real ones.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from featflow.report.explorer import write_page
from featflow.report.scripts import PER_SHARD, rounded, write_dictionary

PARENTS = {
    "babypython": [],
    "lua": ["babypython"],
    "tinystories": ["babypython"],
    "luastories": ["lua", "tinystories"],
}
CORPORA = {"babypython": ["babylm", "python"], "lua": ["lua"], "tinystories": ["tinystories"]}
EDGES = [(parent, child) for child, parents in PARENTS.items() for parent in parents]
FATES = ["persisting", "disappearing", "emerging", "rare", "silent"]
STRATA = ["contextual", "between", "lookup", "unknown"]
SAE, VOCABULARY, AROUND = "main", 32_000, 31
PROVENANCE = {"study": "random", "stage": "dashboards"}


def words(rng: np.random.Generator, count: int) -> list[str]:
    """Texts of tokens."""
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    lengths = rng.integers(1, 9, count)
    drawn = letters[rng.integers(0, 26, (count, 8))]
    found = ["".join(row[:n]) for row, n in zip(drawn, lengths, strict=True)]
    return [text if i % 3 else f" {text}" for i, text in enumerate(found)]


def positive(rng: np.random.Generator, *shape: int) -> list:
    """Activations, many of them zero."""
    values = np.where(rng.random(shape) < 0.1, rng.exponential(2.0, shape), 0.0)
    return [rounded(row) for row in values.reshape(-1, shape[-1])]


def index(model: str, features: int, texts: list[str], rng: np.random.Generator) -> dict:
    """The value of index.js."""
    others = [name for name in PARENTS if name != model]
    silent = rng.random(features) < 0.05
    edges = [(p, c, "parent" if p == model else "child") for p, c in EDGES if model in (p, c)]
    told = rng.random(features) < 0.1

    def numbers(values: np.ndarray) -> list:
        return rounded(np.where(silent, np.nan, values))

    explanations = [f"fires on{texts[i % VOCABULARY]} and the like" for i in range(features)]
    return {
        "model": model,
        "sae": SAE,
        "features": features,
        "per_shard": PER_SHARD,
        "hook": "blocks.0.mlp.hook_post",
        "tokens": 6_000_000,
        "corpora": ["babylm", "lua", "python", "tinystories"],
        "strata": STRATA,
        "fate_names": FATES,
        "columns": {
            "density": rounded(np.where(silent, 0, 10 ** rng.uniform(-6, -1, features))),
            "max": rounded(np.where(silent, 0, rng.exponential(5, features))),
            "mean": numbers(rng.exponential(1, features)),
            "documents": np.where(silent, 0, rng.integers(1, 9999, features)).tolist(),
            "lookup_r": numbers(rng.uniform(0, 1, features)),
            "stratum": np.where(silent, 3, rng.integers(0, 3, features)).tolist(),
            "token": [
                None if s else int(t)
                for s, t in zip(silent, rng.integers(0, VOCABULARY, features), strict=True)
            ],
            "fates": {
                f"{p}-{c}:{role}": np.where(
                    silent, 4, rng.choice([0, 2 if role == "child" else 1, 3], features)
                ).tolist()
                for p, c, role in edges
            },
            "partners": {m: rng.integers(0, features, features).tolist() for m in others},
            "r": {m: numbers(rng.uniform(0, 1, features)) for m in others},
            "explanation": [e if t else None for e, t in zip(explanations, told, strict=True)],
            "score": [
                v if t else None for v, t in zip(rounded(rng.random(features)), told, strict=True)
            ],
            "category": ["code syntax" if t else None for t in told],
        },
        "provenance": {**PROVENANCE, "config": {"model": model, "sae": SAE}},
    }


def contexts(model: str, rng: np.random.Generator) -> list[dict]:
    """Six of the top, two of each of five intervals."""
    kinds = [("top", None)] * 6 + [("interval", i) for i in range(5) for _ in range(2)]
    others = [name for name in PARENTS if name != model]
    found = []
    for kind, interval in kinds:
        values = positive(rng, 1, AROUND)[0]
        values[20] = rounded([rng.exponential(5)])[0]
        found.append(
            {
                "kind": kind,
                "interval": interval,
                "corpus": "lua",
                "document": int(rng.integers(0, 9999)),
                "position": int(rng.integers(0, 10**6)),
                "ids": rng.integers(0, VOCABULARY, AROUND).tolist(),
                "at": 20,
                "values": values,
                "others": {m: positive(rng, 1, AROUND)[0] for m in others},
            }
        )
    return found


def shards(model: str, features: int, rng: np.random.Generator) -> Iterator[list[dict]]:
    """All features; the contexts are the same in every shard, so that it takes no hours."""
    others = [name for name in PARENTS if name != model]
    drawn = [contexts(model, rng) for _ in range(PER_SHARD)]
    for start in range(0, features, PER_SHARD):
        found = []
        for i in range(start, min(start + PER_SHARD, features)):
            tokens = rng.integers(0, VOCABULARY, 30).tolist()
            logits = rounded(np.sort(rng.normal(size=20)))
            found.append(
                {
                    "id": i,
                    "contexts": drawn[i - start],
                    "histogram": {
                        "edges": rounded(np.linspace(0, 12, 21)),
                        "counts": rng.integers(0, 999, 20).tolist(),
                    },
                    "tokens": [[t, 1.25, 20] for t in tokens[:10]],
                    "promoted": [list(p) for p in zip(tokens[10:20], logits[:9:-1], strict=True)],
                    "suppressed": [list(p) for p in zip(tokens[20:30], logits[:10], strict=True)],
                    "partners": [
                        {
                            "model": m,
                            "feature": int(rng.integers(0, features)),
                            "r": rounded([rng.random()])[0],
                            "r_back": rounded([rng.random()])[0],
                            "mutual": bool(rng.random() < 0.5),
                            "r_trimmed": rounded([rng.random()])[0],
                        }
                        for m in others
                    ],
                    "chain": None,
                    "scores": [],
                }
            )
        yield found


def page(features: int) -> dict:
    """What explorer.html is about."""
    counts = [
        {
            "edge": f"{parent}-{child}",
            "threshold": 0.8,
            "parent_features": features * 8 // 10,
            "parent_silent": features // 10,
            "parent_rare": features // 10,
            "persisting": features * 3 // 10,
            "disappearing": features * 5 // 10,
            "child_features": features * 8 // 10,
            "child_silent": features // 10,
            "child_rare": features // 10,
            "traced": features * 4 // 10,
            "emerging": features * 4 // 10,
            "mutual": features // 4,
            "one_to_one": features // 4,
            "share": 0.375,
        }
        for parent, child in EDGES
    ]
    kinds = {"babypython": "base", "luastories": "merge"}
    return {
        "study": "random",
        "saes": {SAE: list(PARENTS)},
        "models": {
            name: {
                "kind": kinds.get(name, "finetune"),
                "parents": parents,
                "corpora": CORPORA.get(name, []),
                "control_of": None,
            }
            for name, parents in PARENTS.items()
        },
        "edges": [list(edge) for edge in EDGES],
        "flow": {"threshold": 0.8, "scope": "home", "min_firings": 20, "min_documents": 5},
        "counts": {SAE: counts},
        "cases": [],
    }


def build(folder: Path, features: int) -> int:
    """Write explorer.html and its data into a folder; gives the bytes of the dictionaries."""
    rng = np.random.default_rng(0)
    texts, size = words(rng, VOCABULARY), 0
    for model in PARENTS:
        at = folder / "features" / model / SAE
        made = shards(model, features, rng)
        size += write_dictionary(at, f"{model}/{SAE}", index(model, features, texts, rng), made)
    write_page(folder / "explorer.html", page(features), texts, PROVENANCE)
    return size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--features", type=int, default=16_384)
    arguments = parser.parse_args()
    start = time.perf_counter()
    size = build(arguments.folder, arguments.features)
    seconds = time.perf_counter() - start
    print(f"{arguments.folder}/explorer.html: {size / 1e6:.0f} MB in {seconds:.0f} s")


if __name__ == "__main__":
    main()
