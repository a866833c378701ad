"""The page that browses all features.

Its parts lie in report/site/: `explorer.html`, a jinja2 template, and style sheets and scripts,
which are put into it whole, by name. The template is given

    title       of the page
    css, js     the texts of all *.css and *.js
    data        what the page is about, as JSON that may stand in a script element
    provenance  as JSON, for `<script type="application/json" id="{{ key }}-provenance">`
    key         `featflow`
    version     of featflow

and what is about single features is in scripts beside it (report/scripts.py), loaded when they are
looked at.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featflow.artifacts.io import load_json, load_table, readable, written
from featflow.artifacts.provenance import KEY, Provenance
from featflow.config.errors import FeatflowError
from featflow.data import tokenizer as tokenizers
from featflow.figures.files import matching
from featflow.plan import paths
from featflow.plan.stages.report import ExplorerSlice
from featflow.report.dashboard.tables import objects
from featflow.report.pages import SITE, page_files, render_template
from featflow.report.scripts import as_json, vocabulary, write_script
from featflow.runtime.log import log

PAGE = "explorer.html"
VOCABULARY = "vocabulary"


def run(
    cfg: ExplorerSlice,
    *,
    dashboards: list[Path],
    tokenizer: Path,
    output: Path,
    edges: Sequence[Path] = (),
    cases: Sequence[Path] = (),
) -> None:
    """The page that browses all features.

    Args:
        dashboards: index.js of each dictionary of `cfg.saes`; the page finds them by their names.
        tokenizer: tokenizer.json.
        output: the page; vocabulary.js is written beside it.
        edges: edges.csv of each SAE that has edges.
        cases: of `cfg.cases`.

    Raises:
        ArtifactError: when one of them is missing, truncated or foreign.
    """
    provenance = Provenance(
        "explorer", cfg, [*dashboards, tokenizer, *edges, *cases, *page_files(SITE)]
    )
    texts = vocabulary(tokenizers.load(tokenizer))
    write_page(output, content(cfg, edges, cases), texts, provenance.fields)
    log.info("%s: open it in a browser", output)


def content(cfg: ExplorerSlice, edges: Sequence[Path], cases: Sequence[Path]) -> dict[str, Any]:
    """What the page is about."""
    counts = matching(edges, paths.FLOW_EDGES, "sae")
    return {
        "study": cfg.study,
        "saes": cfg.saes,
        "models": {
            name: node.model_dump(include={"kind", "parents", "corpora", "control_of"})
            for name, node in cfg.models.items()
        },
        "edges": cfg.edges,
        "flow": cfg.flow.model_dump(include={"threshold", "scope", "min_firings", "min_documents"}),
        "counts": {sae: objects(load_table(file)) for sae, file in sorted(counts.items())},
        "cases": [_case(file) for file in cases],
    }


CASE = ("case", "model", "sae", "feature", "verdict", "function")


def _case(file: Path) -> dict[str, Any]:
    """A case, and which feature it is in every model; null: in none."""
    found = load_json(file)
    with readable(file):
        if missing := [key for key in (*CASE, "models") if key not in found]:
            raise ValueError(f"it has no key {', '.join(missing)}")
        models = {model: about["feature"] for model, about in found["models"].items()}
    return {**{key: found[key] for key in CASE}, "models": models}


def write_page(
    output: Path, content: dict[str, Any], vocabulary: list[str], provenance: dict[str, Any]
) -> None:
    """Write the page, and vocabulary.js beside it first.

    Args:
        output: the page.
        content: what it is about.
        vocabulary: the text of every token id.
        provenance: of the page.
    """
    write_script(output.with_name(f"{VOCABULARY}.js"), VOCABULARY, vocabulary)
    page = render(content, provenance)
    with written(output) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(content: dict[str, Any], provenance: dict[str, Any]) -> str:
    """The page with all its parts.

    Raises:
        FeatflowError: for a part that would end the element that it stands in.
    """
    from markupsafe import Markup

    from featflow import __version__

    return render_template(
        SITE,
        PAGE,
        title=f"{content['study']}: features",
        css=_parts(".css", "</style"),
        js=_parts(".js", "</script"),
        data=Markup(as_json(content)),
        key=KEY,
        provenance=Markup(as_json(provenance)),
        version=__version__,
    )


def _parts(suffix: str, end: str) -> Any:
    """The texts of the page's files with this suffix, by name."""
    from markupsafe import Markup

    texts = []
    for path in page_files(SITE):
        if path.suffix == suffix:
            text = path.read_text(encoding="utf-8")
            if end in text.lower():
                raise FeatflowError(f"{path.name}: it may not contain {end}: write <\\/ for </")
            texts.append(text)
    return Markup("\n".join(texts))
