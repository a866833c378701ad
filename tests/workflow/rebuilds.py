"""What reruns when the config is edited: a row for every key of the schema, and docs/rebuilds.md.

Each edit of rebuilds.yaml names the jobs that read what it changes. Those rerun, and what follows
them in Snakemake's graph, and nothing else: test_rebuilds.py compares dry runs with that, and
tests/core/test_rebuilds.py wants an edit of every key. The tables of docs/rebuilds.md are written
by `python -m tests.workflow.rebuilds`.
"""

import re
from pathlib import Path

from tests.workflow.edits import Edit, backwards, change, gone, keys, table
from tests.workflow.rebuilds_models import EVERY_SAE, MODELS, SAES

DOCS = Path(__file__).parents[2] / "docs" / "rebuilds.md"

LIMITS = {"documents": 300, "bytes": 9000, "validation": 0.1, "selection": 0.05}
OTHER_SCOPES = (
    "correlation base.main tuned.main, correlation base.main ball.main,"
    " correlation other.main ball.main, correlation found.wide more.wide"
)
EXTRA = {"kind": "generated", "language": "lua"}

STUDY = [
    *keys(
        *("", "corpus english, train *, finetune *, activations *, sae *"),
        "`corpus` where something is drawn (generated; hub with a `sample`), `train`, `finetune`,"
        " `activations`, `sae`",
        seed=1,
    ),
    *keys(
        "evaluation", "evaluate *, sweep *, metrics *", "`evaluate`, `sweep`, `metrics`", tokens=9
    ),
    *keys("evaluation", "sweep *", "`sweep`", sweep_points=5),
    *change("another study", {"/studies.small.seed": 1}, "", "nothing"),
    *change(
        *("the study `paper`, in another", {"/studies.paper": {"extends": "small"}}, "report"),
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
    *keys(
        *("corpora.notes", "corpus notes", "its `corpus`"),
        **{"paths": ["notes/a.txt"], "include": ["*.txt"], "exclude": ["b.txt"]},
        **{"text": "body", "min_bytes": 2, "max_bytes": 500},
    ),
    *keys(
        *("corpora.web", "corpus web", "its `corpus`"),
        **{"dataset": "somebody/else", "config": "plain", "split": "test"},
        **{"revision": "v1", "text": "body", "sample": 0.5, "streaming": False},
    ),
    *change(
        *("`kind` of a corpus", {"corpora.english": {"kind": "hub", "dataset": "somebody/text"}}),
        *("corpus english", "its `corpus`"),
    ),
    *change(
        *("`kind` of a corpus", {"corpora.notes": EXTRA}, "corpus notes", "its `corpus`"),
    ),
    *change(
        *("a new corpus", {"corpora.extra": EXTRA}),
        f"corpus extra, tokens extra *, evaluate *, figure lineage *, {EVERY_SAE}",
        "its `corpus` and `tokens`, `evaluate`; `activations` and `sae` with `data: common`,"
        " `features` with `probe.corpora: all`; no model",
    ),
    *change(
        *("a new corpus, `data: lineage`, a named probe", {"corpora.extra": EXTRA}),
        "corpus extra, tokens extra *, evaluate *, figure lineage *, report",
        *("its `corpus` and `tokens`, `evaluate`", "small"),
    ),
    *change(
        *("a corpus less, `data: lineage`, a named probe", {"corpora.spare": gone}),
        "evaluate *, figure lineage *, report",
        *("`evaluate`", "small"),
    ),
    *change(
        *("the order of `corpora`", {"corpora": backwards}, "", "nothing"),
    ),
]

TOKENIZER = [
    *keys("tokenizer", "tokenizer", "`tokenizer`", vocabulary=512, sample_bytes=9999),
    *keys("tokenizer", "tokenizer", "`tokenizer`", corpora=["english"]),
    *keys("tokenizer", "tokenizer", "`tokenizer`", "small", name="somebody/else", revision="v1"),
    *change(
        *(
            "`kind` of the tokenizer",
            {"tokenizer": {"kind": "pretrained", "name": "somebody/more"}},
        ),
        *("tokenizer", "`tokenizer`"),
    ),
]

COMPARISON = [
    *keys("probe", "features *", "`features` of every model", corpora=["english", "web"]),
    *keys("probe", "features *", "`features` of every model", tokens_per_corpus=900),
    *change(
        *("`all`, spelt out", {"probe.corpora": ["web", "notes", "english"]}, "", "nothing"),
    ),
    *keys("flow", "flow *", "`flow`", threshold=0.7, min_firings=9, min_documents=9),
    *keys(
        *("flow", f"{OTHER_SCOPES}, flow *"),
        "`correlation` where the corpora are others, `flow`",
        scope="intersection",
    ),
    *keys("flow", "correlation *", "`correlation`", partners=5),
    *keys(
        *("", "correlation base.main found.wide", "`correlation` of a new pair, `report`"),
        pairs=[["base.main", "found.wide"]],
    ),
]

FIGURES = [
    *keys("figures", "figure * svg", "`figure` in a new format", formats=["html", "svg"]),
    *keys("figures.draw.flow", "figure flow *", "that `figure`", height=700, sae="wide"),
    *keys("figures.draw.sweep", "figure sweep *", "that `figure`", model="ball"),
    *keys("figures.draw.training", "figure training *", "that `figure`", sae="wide"),
    *keys("figures.draw.density", "figure density *", "that `figure`", sae="wide"),
    *keys(
        "figures", "", "what it changes: here nothing, the study draws these by itself", draw=gone
    ),
    *change(
        "`kind` of a figure",
        {
            "figures.draw.lineage": {"kind": "flow"},
            "figures.draw.flow": {"kind": "lineage"},
            "figures.draw.sweep": {"kind": "training"},
            "figures.draw.density": {"kind": "sweep"},
        },
        *("figure lineage *, figure flow *, figure sweep *, figure density *", "that `figure`"),
    ),
    *change(
        *("a new figure", {"figures.draw.extra": {"kind": "density", "sae": "wide"}}),
        *("figure extra *", "that `figure`, `report`"),
    ),
    *change("a figure less", {"figures.draw.density": gone}, "report", "`report`"),
    *change(
        *("the order of `figures.draw`", {"figures.draw": backwards}, "report"),
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
