"""What reruns when the config is edited: a row for every key of the schema, and docs/rebuilds.md.

Each edit of rebuilds.yaml names the jobs that read what it changes. Those rerun, and what follows
them in Snakemake's graph, and nothing else: test_rebuilds.py compares dry runs with that, and
tests/plan/test_rebuilds.py wants an edit of every key. The tables of docs/rebuilds.md are written
by `python -m tests.workflow.rebuilds`.
"""

import re
from pathlib import Path

from tests.workflow.edits import Edit, backwards, change, gone, keys, table
from tests.workflow.rebuilds_models import EVERY_SAE, MODELS, SAES

DOCS = Path(__file__).parents[2] / "docs" / "rebuilds.md"

LIMITS = {"documents": 300, "bytes": 9000, "validation": 0.05, "selection": 0.01}
OTHER_SCOPES = (
    "correlation base.main tuned.main, correlation base.main ball.main,"
    " correlation other.main ball.main, correlation found.wide more.wide"
)
JUDGES = "flow *, controls *, edges *, case *, dashboards *, explorer"
JUDGING = "and what judges features: `controls`, `edges`, `case`, the explorer"
OTHER_TRANSFERS = (
    "transfer main base tuned, transfer main base aparttuned, transfer main base noise,"
    " transfer main other ball, transfer main other noise, transfer wide found more"
)
PROBES = "features *, transfer *"
EXTRA = {"kind": "generated", "language": "lua"}

STUDY = [
    *keys(
        "",
        "corpus *, train *, finetune *, sweep *, evaluate *, activations *, sae *, metrics *",
        "every `corpus`, and with it all but what is pretrained",
        seed=1,
    ),
    *keys(
        "evaluation", "evaluate *, sweep *, metrics *", "`evaluate`, `sweep`, `metrics`", tokens=9
    ),
    *keys("evaluation", "sweep *", "`sweep`", sweep_points=5),
    *change("another study", {"/studies.small.seed": 1}, "", "nothing"),
    *change(
        "the study `paper`, in another",
        {"/studies.paper": {"extends": "small"}},
        "report",
        "`report`, which lists the differences from it",
    ),
]

CORPORA = [
    *keys("corpora.english", "tokens english train", "`tokens` of its train split", tokens=900),
    *keys("corpora.notes", "tokens notes train", "`tokens` of its train split", tokens=900),
    *keys("corpora.web", "tokens web train", "`tokens` of its train split", tokens=900),
    *keys("corpora.english", "corpus english", "its `corpus`", **LIMITS),
    *keys("corpora.notes", "corpus notes", "its `corpus`", **LIMITS),
    *keys("corpora.web", "corpus web", "its `corpus`", **LIMITS),
    *keys("corpora.english", "corpus english", "its `corpus`", language="lua"),
    *change(
        "a `validation` or `selection` above those of all others",
        {"corpora.web.selection": 0.1},
        "corpus *",
        "every `corpus`: what one holds out, none is trained on",
    ),
    *keys(
        "corpora.notes",
        "corpus notes",
        "its `corpus`",
        **{"paths": ["notes/a.jsonl"], "include": ["*.jsonl"], "exclude": ["b.jsonl"]},
        **{"text": "body", "source": "site", "min_bytes": 2, "max_bytes": 500},
    ),
    *keys(
        "corpora.web",
        "corpus web",
        "its `corpus`",
        **{"dataset": "somebody/else", "config": "plain", "split": "test"},
        **{"revision": "v1", "text": "body", "sample": 0.5, "streaming": False},
        **{"source": "site", "files": 3},
    ),
    *change(
        "`kind` of a corpus",
        {"corpora.english": {"kind": "hub", "dataset": "somebody/text"}},
        "corpus english",
        "its `corpus`",
    ),
    *change(
        "`kind` of a corpus",
        {"corpora.notes": EXTRA},
        "corpus notes",
        "its `corpus`",
    ),
    *change(
        "a new corpus",
        {"corpora.extra": EXTRA},
        f"corpus extra, tokens extra *, evaluate *, figure lineage *, {EVERY_SAE}",
        "its `corpus` and `tokens`, `evaluate`; `activations` and `sae` with `data: common`,"
        " `features` with `probe.corpora: all`; no model",
    ),
    *change(
        "a new corpus, `data: lineage`, a named probe",
        {"corpora.extra": EXTRA},
        "corpus extra, tokens extra *, evaluate *, figure lineage *, report",
        "its `corpus` and `tokens`, `evaluate`",
        "small",
    ),
    *change(
        "a corpus less, `data: lineage`, a named probe",
        {"corpora.spare": gone},
        "evaluate *, figure lineage *, report",
        "`evaluate`",
        "small",
    ),
    *change(
        "the order of `corpora`",
        {"corpora": backwards},
        "",
        "nothing",
    ),
]

TOKENIZER = [
    *keys("tokenizer", "tokenizer", "`tokenizer`", vocabulary=512, sample_bytes=9999),
    *keys("tokenizer", "tokenizer", "`tokenizer`", corpora=["english"]),
    *keys("tokenizer", "tokenizer", "`tokenizer`", "small", name="somebody/else", revision="v1"),
    *keys("tokenizer", "tokenizer", "`tokenizer`", "small", bos="<s>"),
    *change(
        "`kind` of the tokenizer",
        {"tokenizer": {"kind": "pretrained", "name": "somebody/more"}},
        "tokenizer",
        "`tokenizer`",
    ),
]

EDGES = (
    "shares main base other, shares main base tuned, shares main tuned ball,"
    " shares main other ball, shares wide *"
)

COMPARISON = [
    *keys("probe", PROBES, "`features` of every model, `transfer`", corpora=["english", "web"]),
    *keys("probe", PROBES, "`features` of every model, `transfer`", tokens_per_corpus=900),
    *change(
        "`all`, spelt out",
        {"probe.corpora": ["web", "notes", "english"]},
        "",
        "nothing",
    ),
    *keys("flow", JUDGES, f"`flow`, {JUDGING}", threshold=0.7),
    *keys(
        "flow",
        f"correlation *, {JUDGES}, shares *",
        f"`correlation`, `shares`, `flow`, {JUDGING}",
        **{"min_firings": 9, "min_documents": 9},
    ),
    *keys(
        "flow",
        f"{OTHER_SCOPES}, {JUDGES}, shares *, {OTHER_TRANSFERS}",
        "`correlation` and `transfer` where the corpora are others, `shares`, `flow`",
        scope="intersection",
    ),
    *keys(
        "flow",
        f"correlation *, {EDGES}",
        "`correlation`, `shares` of the edges",
        partners=5,
    ),
    *keys("flow", "correlation *", "`correlation`", floor=0.3),
    *keys(
        "",
        "correlation base.main found.wide",
        "`correlation` of a new pair, `report`",
        pairs=[["base.main", "found.wide"]],
    ),
]

FLOWING = "controls main, case *, categories main, dashboards * main, explorer"
CONTROLS = [
    *keys(
        "controls",
        f"{EDGES}, controls *",
        "`shares`, `controls`",
        thresholds=[0.6],
    ),
    *keys(
        "controls",
        f"{EDGES}, controls *",
        "`shares` of the edges, `controls`",
        **{"bootstrap": 9, "shift": False},
    ),
    *keys(
        "controls",
        "controls *, dashboards ball main, dashboards more wide, dashboards other main, "
        "dashboards tuned main",
        "`controls`, `edges`, and the pages of features that have a parent",
        transfer=False,
    ),
    *keys(
        "models.lone",
        "figure lineage *, report",
        "what shows the models",
        control_of="base",
    ),
    *keys(
        "models.aparttuned",
        f"{FLOWING}, figure lineage *, interpret aparttuned main, figure scores *",
        "`controls`, and all that has models whose features flow",
        control_of=gone,
    ),
    *keys(
        "models.apartball",
        "figure lineage *, report",
        "what shows the models; `controls`, where it has an SAE",
        control_of="ball",
    ),
    *keys("models.noise", "random noise", "its `random`", seed=1),
    *keys("models.strange", "random strange", "its `random`", like="base"),
    *keys("saes.wide", "sae * wide", "that `sae`", corpora=["english", "web"]),
    *keys(
        "saes.wide",
        "sae * wide, features * wide",
        "that `sae`, its `features`",
        context="truncated",
    ),
]

CASES = [
    *keys("cases.sign", "case sign", "that `case`", tokens=["=", "=="], sae="wide"),
    *keys("cases.sign", "case sign", "that `case`", model="tuned", passages=2),
    *keys("cases.words", "case words", "that `case`", text="in the"),
    *keys("cases.known", "case known", "that `case`", feature="tuned/4"),
    *change(
        "a new case",
        {"cases.more": {"tokens": ["def"]}},
        "case more, explorer, report",
        "that `case`, `explorer`, `report`",
    ),
]

RECORDS = {"top": 4, "interval": 4, "random": 4, "same_token": 4}
PROVIDER = {
    "base_url": "http://here",
    "explainer": "more",
    "simulator": "more",
    "simulation": "whole",
    "max_usd": 1.0,
    "concurrency": 2,
    "timeout": 9.0,
    "retries": 1,
    "prices": {"some": {"input": 1, "output": 2}, "more": {"input": 1, "output": 1}},
}
INTERPRETS = "interpret *, categories *"
SHOWING = "dashboards * main, dashboards * wide, figure scores *, report"
INTERPRETATION = [
    *keys(
        "interpret",
        "categories *, dashboards ball *, dashboards other *, figure scores *, report",
        "what shows explanations, and new `interpret`",
        models=["base", "tuned"],
    ),
    *keys(
        "interpret",
        f"categories *, {SHOWING}, interpret * wide",
        "what shows explanations, and new `interpret`",
        sae="wide",
    ),
    *keys("interpret", INTERPRETS, "`interpret`, `categories`", seed=1, select={"random": 3}),
    *keys("interpret", INTERPRETS, "`interpret`, `categories`", scores=["detection"]),
    *keys("interpret", INTERPRETS, "`interpret`, `categories`", categorise=True),
    *change(
        "`kind` of the provider",
        {"interpret.provider": {"kind": "lookup"}},
        INTERPRETS,
        "`interpret`, `categories`",
    ),
    *keys(
        "interpret.provider.prices.some",
        INTERPRETS,
        "`interpret`; answers are not paid again",
        **{"input": 3, "output": 3},
    ),
    *keys(
        "interpret.categories.code",
        INTERPRETS,
        "`interpret`; answers are not paid again",
        **{"tokens": ["=="], "explanation": ["code"]},
    ),
    *keys(
        "interpret",
        INTERPRETS,
        "`interpret`; answers are not paid again",
        categories={"more": {"tokens": ["=="]}},
    ),
    *keys("interpret.provider", INTERPRETS, "`interpret`, `categories`", **PROVIDER),
    *keys("interpret.records", INTERPRETS, "`interpret`, `categories`", **RECORDS),
    *keys(
        "interpret", "interpret tuned main", "`interpret` of that model", features={"tuned": [3]}
    ),
]

EXPLORER = [
    *keys(
        "explorer",
        "dashboards *",
        "`dashboards` of every dictionary",
        **{"top": 3, "intervals": 3, "per_interval": 3, "around": 9, "logits": 4},
    ),
    *keys("explorer", "explorer", "`explorer`; pages that are new", saes=["main"]),
]

FIGURES = [
    *keys("figures", "figure * svg", "`figure` in a new format", formats=["html", "svg"]),
    *keys("figures.draw.flow", "figure flow *", "that `figure`", height=700, sae="wide"),
    *keys("figures.draw.sweep", "figure sweep *", "that `figure`", model="ball"),
    *keys("figures.draw.training", "figure training *", "that `figure`", sae="wide"),
    *keys("figures.draw.density", "figure density *", "that `figure`", sae="wide"),
    *keys("figures.draw.controls", "figure controls *", "that `figure`", sae="wide"),
    *keys("figures.draw.case", "figure case *", "that `figure`", case="words"),
    *keys(
        "figures",
        "figure caseknown *, figure casesign *, figure casewords *, report",
        "what it changes: here only the cases, the study draws the others by itself",
        draw=gone,
    ),
    *change(
        "`kind` of a figure",
        {
            "figures.draw.lineage": {"kind": "flow"},
            "figures.draw.flow": {"kind": "lineage"},
            "figures.draw.sweep": {"kind": "training"},
            "figures.draw.density": {"kind": "sweep"},
            "figures.draw.controls": {"kind": "density"},
            "figures.draw.case": {"kind": "scores"},
            "figures.draw.scores": {"kind": "controls"},
        },
        "figure lineage *, figure flow *, figure sweep *, figure density *, figure controls *,"
        " figure case *, figure scores *",
        "that `figure`",
    ),
    *change(
        "a new figure",
        {"figures.draw.extra": {"kind": "density", "sae": "wide"}},
        "figure extra *",
        "that `figure`, `report`",
    ),
    *change("a figure less", {"figures.draw.density": gone}, "report", "`report`"),
    *change(
        "the order of `figures.draw`",
        {"figures.draw": backwards},
        "report",
        "`report`, which shows them in it",
    ),
]

PARTS = {
    "The study": STUDY,
    "Corpora": CORPORA,
    "The tokenizer": TOKENIZER,
    "Models": MODELS,
    "Activations and SAEs": SAES,
    "Probe, flow, pairs": COMPARISON,
    "Controls": CONTROLS,
    "Cases": CASES,
    "Interpretation": INTERPRETATION,
    "Explorer": EXPLORER,
    "Figures": FIGURES,
}


def edits() -> list[Edit]:
    """All of them."""
    return [edit for part in PARTS.values() for edit in part]


def written(text: str) -> str:
    """The page with its tables written anew: each part's below its heading."""
    for title, part in PARTS.items():
        found = rf"(?m)^### {re.escape(title)}\n(?:\n|\|.*\n)*"
        new = f"### {title}\n\n{table(part)}\n\n"
        text, count = re.subn(found, lambda _, new=new: new, text)
        assert count == 1, f"no heading, or two: ### {title}"
    return text


if __name__ == "__main__":
    DOCS.write_text(written(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
