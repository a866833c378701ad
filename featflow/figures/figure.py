"""Stage `figure`: draw a figure as a page that opens without a network.

A figure of kind k is the module `featflow.figures.k` with two functions: `inputs`, which names the
files that it reads (the rules ask it), and `draw`, which makes a plotly figure of them.
"""

import importlib
from pathlib import Path

from featflow.core.artifacts import written
from featflow.core.provenance import Provenance
from featflow.core.slices import FigureSlice


def run(cfg: FigureSlice, *, inputs: list[Path], output: Path) -> None:
    """Draw a figure.

    Args:
        inputs: the files that the figure declares, in its order.
        output: the HTML page.
    """
    from featflow.figures.style import page

    provenance = Provenance("figure", cfg, inputs)
    module = importlib.import_module(f"featflow.figures.{cfg.settings.kind}")
    figure = module.draw(cfg, [str(path) for path in inputs])
    with written(output) as temporary:
        temporary.write_text(page(figure, cfg.figure, provenance.dumps()), encoding="utf-8")
