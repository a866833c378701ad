"""Stage `report`: one static page that shows a whole study.

The page opens from disk and asks the network for nothing: its style, its scripts, plotly.js and the
figures are all in it. Tables are the tables' own numbers; the shares are those of stage `flow`.
"""

from pathlib import Path
from typing import Any

from featflow.artifacts.io import written
from featflow.artifacts.provenance import KEY, Provenance
from featflow.plan.stages.report import ReportSlice
from featflow.report.pages import PAGE, page_files, render_template
from featflow.runtime.log import log


def run(cfg: ReportSlice, *, inputs: list[Path], output: Path) -> None:
    """Write the report of a study.

    Args:
        inputs: every file that it shows something of (`shown` in plan/stages/report.py).
        output: the HTML page.

    Raises:
        ArtifactError: when one of them is missing, truncated or foreign.
    """
    provenance = Provenance("report", cfg, [*inputs, *page_files()])
    content = render_template(PAGE, "report.html", **contents(cfg, inputs, provenance))
    with written(output) as temporary:
        temporary.write_text(content, encoding="utf-8")
    log.info("%s: %.1f MB, open it in a browser", output, len(content) / 1e6)


def contents(cfg: ReportSlice, files: list[Path], provenance: Provenance) -> dict[str, Any]:
    """All that the page's template names."""
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    from featflow import __version__
    from featflow.figures import style
    from featflow.report import models, saes, study
    from featflow.report.cases import cases
    from featflow.report.figures import figures, in_script
    from featflow.report.flow import domains, flows
    from featflow.report.interpretation import categories
    from featflow.report.listing import artifacts
    from featflow.report.summary import summary
    from featflow.report.tables import LINE

    sources = study.sources(cfg, files)
    return {
        "cfg": cfg,
        "summary": summary(cfg, files),
        "corpora": study.corpora_table(cfg, files),
        "sources": study.sources_table(sources),
        "remarks": study.remarks(cfg, files, sources),
        "differences": study.differences_table(cfg),
        "models": models.models_table(cfg, files),
        "scores": models.scores_table(cfg, files),
        "chosen": models.chosen_t(files),
        "saes": saes.metrics_table(cfg, files),
        "outliers": saes.outliers(cfg, files),
        "saecorpora": saes.corpora_table(cfg, files),
        "flows": flows(cfg, files),
        "domains": domains(cfg, files),
        "cases": cases(files),
        "categories": categories(files),
        "figures": figures(cfg, files),
        "artifacts": artifacts(cfg, files, provenance.fields["inputs"]),
        "line": LINE,
        "ink": style.INK,
        "ground": style.GROUND,
        "grid": style.GRID,
        "font": Markup(style.FONT),
        "look": in_script(
            {"config": style.CONFIG, "templates": {s: style.template(s) for s in style.INK}}
        ),
        "plotlyjs": Markup(get_plotlyjs()),
        "key": KEY,
        "provenance": in_script(provenance.fields),
        "version": __version__,
    }
