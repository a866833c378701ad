"""A lineage of small dumps in which one feature marks `=`, and what became of it is planted."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from featflow.config.cases import Case
from featflow.config.study import Flow
from featflow.plan.slices import Node, Windows
from featflow.plan.stages.analysis import CaseSlice

CORPORA = ["code", "prose"]
MODELS = {
    "base": Node(kind="base", corpora=["code", "prose"]),
    "kept": Node(kind="finetune", parents=["base"], corpora=["code"]),
    "lost": Node(kind="finetune", parents=["base"], corpora=["prose"]),
    "merged": Node(kind="merge", parents=["lost", "kept"], method="slerp"),
    "split": Node(kind="finetune", parents=["base"], corpora=["code"]),
}
EDGES = [
    *(("base", child) for child in ("kept", "lost", "split")),
    *((parent, "merged") for parent in ("lost", "kept")),
]
NEIGHBOURS = [child for parent, child in EDGES if parent == "base"]
SCOPE = ["prose"]
"""Of the passages; all else is on both corpora."""
THRESHOLD = 0.8
WORDS = ["the", " cat", " sat", " on", " mat", " ;", " dog", " bird", " sang", "=", " =", " a"]


@dataclass
class Planted:
    """The files of the planted study."""

    folder: Path
    tokenizer_file: Path
    models: dict[str, Node] = field(default_factory=lambda: dict(MODELS))
    reseeds: list[str] = field(default_factory=lambda: ["reseed", "reseed2"])

    def __post_init__(self) -> None:
        self.tokenizer = Tokenizer.from_file(str(self.tokenizer_file))
        rng = np.random.default_rng(0)
        self.streams = {corpus: self._stream(rng, corpus) for corpus in CORPORA}
        for corpus, (ids, starts) in self.streams.items():
            save_file(
                {"input_ids": ids, "document_starts": starts}, self.folder / f"{corpus}.tokens"
            )
        # every block of 16 tokens keeps the last 12, as with context: full
        self.positions = {
            c: np.flatnonzero(np.arange(len(ids)) % 16 >= 4) for c, (ids, _) in self.streams.items()
        }
        self.ids = np.concatenate([self.streams[c][0][self.positions[c]] for c in CORPORA])
        self.marks = np.isin(self.ids, self.tokens_of("=", " ="))
        self.activations = plant(self.marks, self.ids, rng)
        for model, values in self.activations.items():
            self.write(model, values)
        self.seeds = plant_seeds(self.activations)
        for reseed, values in self.seeds.items():
            self.write(reseed, values)
        self.write_flow()
        self.write_shares({"reseed": [0.9, 0.3, 0.95, 0.2], "reseed2": [0.7, 0.5, 0.99, 0.1]})
        self.write_neighbours()

    def tokens_of(self, *texts: str) -> list[int]:
        found = [self.tokenizer.encode(t, add_special_tokens=False).ids for t in texts]
        assert all(len(ids) == 1 for ids in found)
        return [ids[0] for ids in found]

    def _stream(self, rng, corpus: str) -> tuple[np.ndarray, np.ndarray]:
        """40 documents behind <s>; `=` is in both corpora, twice as often in code."""
        start, chunks, starts, size = self.tokenizer.token_to_id("<s>"), [], [], 0
        weights = np.array([1.0] * 9 + [2.0 if corpus == "code" else 1.0] * 2 + [0.5])
        for _ in range(40 if corpus == "code" else 30):
            text = "".join(rng.choice(WORDS, 60, p=weights / weights.sum()))
            ids = [start, *self.tokenizer.encode(text, add_special_tokens=False).ids]
            starts.append(size)
            chunks.append(ids)
            size += len(ids)
        return np.concatenate(chunks).astype(np.int32), np.array(starts, np.int64)

    def split(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        size = len(self.positions["code"])
        return dict(zip(CORPORA, (rows[:size], rows[size:]), strict=True))

    def write(self, model: str, values: np.ndarray) -> None:
        for corpus, part in self.split(values).items():
            rows, features = np.nonzero(part)
            tensors = {
                "indptr": np.concatenate([[0], np.cumsum((part > 0).sum(axis=1))]),
                "indices": features.astype(np.int32),
                "values": part[rows, features].astype(np.float32),
                "positions": self.positions[corpus],
            }
            save_file(tensors, self.folder / f"{model}.{corpus}")

    def write_flow(self) -> None:
        """Best partners by numpy's r on the whole probe, from the parent's side and the child's."""
        tables = []
        for parent, child in EDGES:
            a, b = self.activations[parent], self.activations[child]
            with np.errstate(invalid="ignore", divide="ignore"):
                r = np.corrcoef(a.T, b.T)[: a.shape[1], a.shape[1] :]
            for role, side, own, gone in (
                ("parent", r, a, "disappearing"),
                ("child", r.T, b, "emerging"),
            ):
                best = np.where(np.isnan(side), -2, side)
                top = best.max(axis=1)
                fate = np.where(top > THRESHOLD, "persisting", gone)
                fate[(own > 0).sum(axis=0) == 0] = "silent"
                tables.append(
                    pd.DataFrame(
                        {
                            "edge": f"{parent}-{child}",
                            "role": role,
                            "feature": np.arange(len(side)),
                            "fate": fate,
                            "partner": pd.array(best.argmax(axis=1), dtype="Int32"),
                            "r": np.where(top > -2, top, np.nan).astype(np.float32),
                        }
                    )
                )
        pd.concat(tables).to_parquet(self.folder / "features.parquet")

    def write_shares(self, r: dict[str, list[float]]) -> None:
        """r of base's first features with each reseed; what is not said is NaN.

        The partner of feature f is f + 1 in `reseed`, f in all others.
        """
        size = self.activations["base"].shape[1]
        rows = [
            {
                "a": "main",
                "b": b,
                "domain": domain,
                "side": side,
                "feature": f,
                "r": (known[f] if f < len(known) else np.nan) if good else 0.99,
                "partner": (f + (b == "reseed") if f < len(known) else -1) if good else 4,
            }
            for b, known in r.items()
            for domain, side, good in (("home", "a", True), ("home", "b", 0), ("code", "a", 0))
            for f in range(size)
        ]
        pd.DataFrame(rows).to_parquet(self.folder / "best.parquet")

    def write_neighbours(self) -> None:
        """Of each edge of base, the reseeds' features and their best partners in the child."""
        for child in NEIGHBOURS:
            rows = []
            for reseed in self.reseeds:
                a, b = self.seeds[reseed], self.activations[child]
                with np.errstate(invalid="ignore", divide="ignore"):
                    r = np.corrcoef(a.T, b.T)[: a.shape[1], a.shape[1] :]
                best = np.where(np.isnan(r), -2, r)
                own = pd.DataFrame(
                    {
                        "a": reseed,
                        "b": "main",
                        "domain": "home",
                        "side": "a",
                        "feature": np.arange(len(r)),
                        "partner": best.argmax(axis=1),
                        "r": best.max(axis=1).astype(np.float32),
                        "firings": (a > 0).sum(axis=0),
                        "documents": (a > 0).sum(axis=0),
                    }
                )
                # what a careless reader would take: the other side, another domain, another SAE
                wrong = [own.assign(side="b"), own.assign(domain="code"), own.assign(b="wide")]
                rows += [own, *(each.assign(partner=0, r=-0.5) for each in wrong)]
            pd.concat(rows).to_parquet(self.folder / f"base-{child}.parquet")

    def cfg(self, **case: Any) -> CaseSlice:
        settings = Case.model_validate(case or {"tokens": ["="]})
        return CaseSlice(
            study="planted",
            case="assignment",
            settings=settings,
            sae="main",
            model=settings.feature.split("/")[0] if settings.feature else settings.model or "base",
            models=self.models,
            corpora=CORPORA,
            flow=Flow(threshold=THRESHOLD, min_firings=5, min_documents=3),
            windows=Windows(window=12, context="full", context_length=16),
            reseeds=self.reseeds,
            neighbours=[("base", child) for child in NEIGHBOURS] if self.reseeds else [],
            scope=SCOPE,
        )

    def files(self, **other: Any) -> dict[str, Any]:
        return {
            "dumps": [self.folder / f"{m}.{c}" for m in self.models for c in CORPORA],
            "tokens": [self.folder / f"{c}.tokens" for c in CORPORA],
            "tokenizer": self.tokenizer_file,
            "flow": self.folder / "features.parquet",
            "shares": self.folder / "best.parquet" if self.reseeds else None,
            "reseeds": [self.folder / f"{s}.{c}" for s in self.reseeds for c in CORPORA],
            "neighbours": [self.folder / f"base-{child}.parquet" for child in NEIGHBOURS]
            if self.reseeds
            else [],
            **other,
        }


def plant_seeds(models: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Activations of base's reseeds: the first feature as it is, behind noise; and one half of it.

    The half is what the first feature of `split` is, so that it persists there and not in kept.
    """
    base, split = models["base"], models["split"]
    return {
        "reseed": np.stack([base[:, 3], base[:, 0], base[:, 3]], axis=1),
        "reseed2": np.stack([split[:, 0], base[:, 3]], axis=1),
    }


def plant(marks: np.ndarray, ids: np.ndarray, rng) -> dict[str, np.ndarray]:
    """Activations (T, m) of each model.

    base: 0 marks `=`, with a few misses and a few firings elsewhere; 1 marks it better, but no
    reseed has it; 2 fires on a few of them and on nothing else; 3 is noise; 4 is rare; 5 silent.
    """
    size = len(marks)

    def fires(rate: float) -> np.ndarray:
        return rng.random(size) < rate

    strength = rng.uniform(0.5, 2, size).astype(np.float32)
    other = rng.uniform(0.1, 0.3, size).astype(np.float32)
    zero = np.zeros(size, np.float32)
    first = np.where(marks & fires(0.9), strength, np.where(fires(0.01), other, zero))
    rare = zero.copy()
    rare[np.flatnonzero(marks)[:2]] = 1
    noise = [np.where(fires(0.05), other, zero) for _ in range(5)]
    base = [first, marks * other, np.where(marks & fires(0.2), other, zero), noise[0], rare, zero]
    kept = first + np.where(fires(0.05), other, zero)
    missed = np.where(marks & fires(0.5), strength, np.where(fires(0.02), strength, zero))
    half = fires(0.5)
    return {
        "base": np.stack(base, axis=1),
        "kept": np.stack([noise[1], kept, marks * other * 0.1], axis=1),
        "lost": np.stack([missed, noise[2]], axis=1),
        # reached from kept at r < 1 (with noise), from lost's near miss at r = 1
        "merged": np.stack([kept + np.where(fires(0.05), other, zero), missed, noise[3]], axis=1),
        "split": np.stack([first * half, first * ~half, noise[4]], axis=1),
    }
