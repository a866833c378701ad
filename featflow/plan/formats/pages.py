"""What is there to look at."""

from featflow.plan import paths
from featflow.plan.formats.describe import Format

FORMATS = (
    Format(
        paths.FIGURE,
        "other",
        "figure",
        "html: a page that needs no network. json: plotly's own (`data`, `layout`; the words "
        "around the plot in `layout.meta`), for pages that bring plotly.js along. svg, png, pdf: "
        "an image.",
        provenance="html: a script element `featflow-provenance`; json: key `featflow`; svg: "
        "`<metadata>`; png: an iTXt chunk; pdf: the Info dictionary",
    ),
    Format(
        paths.REPORT,
        "other",
        "report",
        "One page with the whole study: tables, figures, every artifact with where it came from. "
        "It needs no network.",
        provenance="in the page",
    ),
)
