"""Stage `figure`: draw a figure as a page that opens without a network, or as another format.

A figure of kind k is the module `featflow.figures.k` with two functions: `inputs`, which names the
files that it reads (the rules ask it), and `draw`, which makes a plotly figure of them.

The suffix of the output says what it becomes:

- html: a page with plotly.js in it, light or dark as its reader's system is.
- json: for pages that show several figures and bring plotly.js (of the installed package) along.
  `data` and `layout` are plotly's own JSON (numbers in base64 where plotly.py writes them so). The
  layout has no template: a page puts style.template("light") or ("dark") in. `layout.title` has the
  title and its subtitle, for which `layout.height` has style.TITLE pixels of room; `layout.meta`
  always has these words again, and all others: `title`, `subtitle`, `legend` (a list of [colour,
  text]), `notes` (a list), `footnote`, and `min_width` (pixels under which the plot should scroll
  rather than shrink; 0: none). They are plain text, to be escaped. `featflow` holds the provenance.
- svg, png, pdf: an image with its words in it, which a Chromium draws (figures/static.py).
"""

import importlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from featflow.artifacts.io import written
from featflow.artifacts.provenance import KEY, Provenance
from featflow.figures.chromium import IMAGES, required
from featflow.plan.stages.figures import FigureSlice

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def run(cfg: FigureSlice, *, inputs: list[Path], output: Path) -> None:
    """Draw a figure.

    Args:
        inputs: the files that the figure declares, in its order.
        output: where to; its suffix (.html, .json, .svg, .png, .pdf) says as what.

    Raises:
        FeatflowError: for an image where no Chromium can draw it.
    """
    format = output.suffix.removeprefix(".")
    if format in IMAGES:
        required(format)
    provenance = Provenance("figure", cfg, inputs)
    module = importlib.import_module(f"featflow.figures.{cfg.settings.kind}")
    figure = module.draw(cfg, [str(path) for path in inputs])
    content = _content(figure, cfg.figure, format, provenance)
    with written(output) as temporary:
        temporary.write_bytes(content)


def _content(figure: "Figure", name: str, format: str, provenance: Provenance) -> bytes:
    """The file's bytes."""
    from featflow.figures.stamps import stamped
    from featflow.figures.static import image
    from featflow.figures.style import page, words

    if format == "html":
        return page(figure, name, provenance.dumps()).encode("utf-8")
    if format == "json":
        return as_json(figure, name, provenance).encode("utf-8")
    drawn = image(figure, name, format)
    return stamped(drawn, format, words(figure, name).title, provenance.dumps())


def as_json(figure: "Figure", name: str, provenance: Provenance) -> str:
    """A figure as JSON with sorted keys (the module says what is in it)."""
    from featflow.figures.style import words

    plot = type(figure)(figure).update_layout(meta=words(figure, name)._asdict())
    content = {**json.loads(plot.to_json()), KEY: provenance.fields}
    content["layout"].pop("template", None)
    return json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n"
