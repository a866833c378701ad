"""The sparse autoencoders: how well each rebuilds its model's activations."""

from pathlib import Path
from typing import Any

from featflow.analysis.quality import on_own
from featflow.artifacts.io import load_json, load_table
from featflow.figures.files import matching
from featflow.figures.graph import own_corpora
from featflow.plan import paths
from featflow.plan.stages.report import ReportSlice
from featflow.report.study import corpora_in_order, models_in_order
from featflow.report.tables import UNKNOWN, Column, Table, count, number, share, small, text
from featflow.saes.explained import LEAST_GAP, over_corpora

EXPLAINED = {
    "fve": "all rows",
    "fve_without_outliers": "without outliers",
    "fve_by_dimension_without_outliers": "by dimension",
}
"""Keys of the metrics, and how their columns are called."""

Metrics = dict[str, Any]


def dictionaries(cfg: ReportSlice, files: list[Path]) -> list[tuple[str, str]]:
    """(model, SAE) of every SAE, second seeds last."""
    names = sorted(cfg.saes, key=lambda sae: (sae in cfg.controls, sae))
    having = {sae: matching(files, paths.SAE, "model", sae=sae) for sae in names}
    order = models_in_order(cfg.models)
    return [(model, sae) for sae in names for model in order if model in having[sae]]


def sizes(cfg: ReportSlice, files: list[Path]) -> list[int]:
    """The numbers of features that the SAEs have, each once."""
    found = set()
    for sae in cfg.saes:
        found |= {
            load_json(f)["d_sae"] for f in matching(files, paths.SAE, "model", sae=sae).values()
        }
    return sorted(found)


def metrics_table(cfg: ReportSlice, files: list[Path]) -> Table:
    """A row an SAE, over all the corpora that it is measured on."""
    rows = []
    for model, sae in dictionaries(cfg, files):
        metrics = _metrics(files, model, sae)
        handle = load_json(matching(files, paths.SAE, "model", sae=sae)[model])
        steps = load_table(matching(files, paths.SAE_TRAINING, "model", sae=sae)[model], "tokens")
        own = own_corpora(cfg.models, model)
        control = cfg.controls.get(sae)
        rows.append(
            [
                text(model),
                text(sae if control is None else f"{sae} (second seed of {control})"),
                count(handle["d_sae"]),
                count(steps["tokens"].iloc[-1]),
                number(metrics["l0"], 1),
                small(metrics["mse"]),
                *(number(metrics[key]) for key in EXPLAINED),
                count(metrics["outliers"]["rows"]),
                number(over_corpora(on_own(metrics, own))),
                share(metrics["dead_fraction"]),
            ]
        )
    columns = [
        *(Column(name, is_text=True) for name in ("model", "SAE")),
        *(Column(name) for name in ("features", "tokens seen", "L0", "MSE")),
        *(Column(name, "variance explained") for name in EXPLAINED.values()),
        *(Column(name) for name in ("outliers", "loss explained", "dead")),
    ]
    note = (
        "Measured on validation tokens of all corpora that the SAE was trained on; loss explained "
        "on those that the model was trained on last. L0: features that fire at a token. MSE: on "
        "raw activations. Outliers: rows that are no text, or longer than the SAE was trained on; "
        "variance explained with them, without, and without them as the mean over dimensions. "
        "Dead: features that never fire there."
    )
    return Table("saes", "How well each rebuilds its model’s activations", columns, rows, note)


def outliers(cfg: ReportSlice, files: list[Path]) -> list[str]:
    """Of each SAE whose rows have outliers: how many, which tokens, and what they hide."""
    lines = []
    for model, sae in dictionaries(cfg, files):
        metrics = _metrics(files, model, sae)
        found = metrics["outliers"]
        if found["rows"]:
            tokens = ", ".join(
                f"{entry['text']!r} of {entry['corpus']} ({entry['rows']:,})"
                for entry in found["tokens"][:5]
            )
            with_them, without = (
                UNKNOWN if metrics[key] is None else f"{metrics[key]:.3f}"
                for key in ("fve", "fve_without_outliers")
            )
            lines.append(
                f"{model}, {sae}: {found['rows']:,} of {metrics['tokens']:,} rows are no text, or "
                f"longer than the SAE was trained on: {tokens}; variance explained is {with_them} "
                f"with them and {without} without"
            )
    return lines


def corpora_table(cfg: ReportSlice, files: list[Path]) -> Table:
    """A row an SAE and corpus."""
    rows = []
    for model, sae in dictionaries(cfg, files):
        parts = _metrics(files, model, sae)["corpora"]
        own = own_corpora(cfg.models, model)
        for corpus in (c for c in corpora_in_order(cfg) if c in parts):
            part = parts[corpus]
            rows.append(
                [
                    text(model),
                    text(sae),
                    text(corpus, "own" if corpus in own else ""),
                    number(part["l0"], 1),
                    small(part["mse"]),
                    number(part["fve"]),
                    share(part["dead_fraction"]),
                    *(number(part[f"loss_{what}"]) for what in ("clean", "sae", "zero")),
                    number(over_corpora([part])),
                ]
            )
    columns = [
        *(Column(name, is_text=True) for name in ("model", "SAE", "corpus")),
        *(Column(name) for name in ("L0", "MSE", "variance explained", "dead")),
        *(Column(name, "loss of the model") for name in ("as it is", "rebuilt", "zeroed")),
        Column("loss explained"),
    ]
    note = (
        "The loss with the activations as they are, rebuilt by the SAE, and zeroed; loss explained "
        "is (zeroed − rebuilt) / (zeroed − as it is). It has no meaning on a corpus that the model "
        "cannot model, where zeroing its activations costs it next to nothing, or helps: a dash "
        f"where it costs less than {LEAST_GAP} nats. Bold: corpora that the model was trained on "
        "last."
    )
    return Table("saecorpora", "The same by corpus", columns, rows, note)


def _metrics(files: list[Path], model: str, sae: str) -> Metrics:
    return load_json(matching(files, paths.SAE_METRICS, "model", sae=sae)[model])
