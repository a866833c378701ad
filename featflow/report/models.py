"""The models: where each came from, how it was trained, what it scores on every corpus."""

from pathlib import Path
from typing import Any

from safetensors import safe_open

from featflow.artifacts.io import load_json, load_table, readable
from featflow.figures.files import matching
from featflow.figures.graph import own_corpora
from featflow.figures.sweep import ORIGIN
from featflow.plan import paths
from featflow.plan.stages.report import ReportSlice
from featflow.report.study import corpora_in_order, models_in_order
from featflow.report.tables import (
    UNKNOWN,
    Cell,
    Column,
    Table,
    count,
    curve,
    number,
    text,
)

KINDS = {"finetune": "fine-tune"}

CHOSEN = {**ORIGIN, "equilibrium": "where its accuracies on the data of either parent are equal"}

LAST = 0.05
"""Share of a training's rows whose mean loss is called its final one: single steps are noisy."""


def parameters(weights: Path) -> int:
    """Numbers in a file of weights, tied ones once, from its header."""
    with readable(weights), safe_open(weights, framework="numpy") as file:
        total = 0
        for key in file.keys():  # noqa: SIM118
            size = 1
            for length in file.get_slice(key).get_shape():
                size *= length
            total += size
        return total


def merges(files: list[Path]) -> dict[str, dict[str, Any]]:
    """merge.json of every merge."""
    return {m: load_json(f) for m, f in sorted(matching(files, paths.MERGE, "model").items())}


def chosen_t(files: list[Path]) -> list[str]:
    """A sentence for each merge that has a t."""
    return [
        f"{model}: {report['method']} of {' and '.join(report['parents'])} at "
        f"t = {report['t']:.3f}, {CHOSEN[report['t_from']]}."
        for model, report in merges(files).items()
        if "t" in report
    ]


def models_table(cfg: ReportSlice, files: list[Path]) -> Table:
    """Each model's origin, size and training."""
    weights, trained = (
        matching(files, paths.WEIGHTS, "model"),
        matching(files, paths.TRAINING, "model"),
    )
    made = merges(files)
    columns = [
        *(Column(name, is_text=True) for name in ("model", "kind", "parents", "trained on")),
        Column("method", "merge", is_text=True),
        Column("t", "merge"),
        Column("parameters"),
        *(Column(name, "training") for name in ("steps", "tokens", "final loss")),
    ]
    rows = []
    for name in models_in_order(cfg.models):
        node = cfg.models[name]
        rows.append(
            [
                text(name),
                text(KINDS.get(node.kind, node.kind)),
                text(", ".join(node.parents) or UNKNOWN),
                text(", ".join(node.corpora) or UNKNOWN),
                text(node.method or UNKNOWN),
                number(made.get(name, {}).get("t")),
                count(parameters(weights[name])),
                *_training(trained.get(name)),
            ]
        )
    note = (
        "The final loss is the mean over the last twentieth of the training’s rows, in nats, on "
        "training data; the curve is the loss over the steps."
    )
    return Table("models", "Where each model comes from", columns, rows, note)


def _training(file: Path | None) -> list[Cell]:
    if file is None:
        return [Cell(UNKNOWN)] * 3
    table = load_table(file, "step", "tokens", "loss")
    loss = table["loss"].to_numpy()
    final = loss[-max(1, round(LAST * len(loss))) :].mean()
    meaning = f"loss from {loss[0]:.2f} at the first step to {final:.2f}"
    return [
        count(table["step"].iloc[-1]),
        count(table["tokens"].iloc[-1]),
        number(final)._replace(line=curve(loss), meaning=meaning),
    ]


def scores_table(cfg: ReportSlice, files: list[Path]) -> Table:
    """Accuracy, loss and perplexity of every model on every corpus."""
    corpora = corpora_in_order(cfg)
    scores = {m: load_json(f) for m, f in matching(files, paths.EVALUATE, "model").items()}
    shown = {"accuracy": 3, "loss": 3, "perplexity": 1}
    columns = [
        Column("model", is_text=True),
        *(Column(corpus, measure) for measure in shown for corpus in corpora),
    ]
    rows = []
    for name in models_in_order(cfg.models):
        own = own_corpora(cfg.models, name)
        cells = [
            number(scores[name][corpus][measure], digits, "own" if corpus in own else "")
            for measure, digits in shown.items()
            for corpus in corpora
        ]
        rows.append([text(name), *cells])
    note = (
        "On the validation split. Accuracy: how often the likeliest next token is the right one. "
        "Loss: mean cross-entropy in nats; perplexity is e to it. Bold: the corpora that the model "
        "was trained on last (a merge’s are its parents’ together)."
    )
    return Table("scores", "What the models score on every corpus", columns, rows, note)
