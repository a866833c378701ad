"""What all figures share: colours, fonts, and the page that an HTML figure lives on.

A figure sets no colour of text, ground or grid itself: those come from a template, of which the
page puts the light or the dark one in place. Titles and notes are the page's, so that they wrap on
a phone; where there is no page, figures/static.py draws them.
"""

import html
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from featflow.wording import page_percent

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Okabe & Ito's colours, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, GREY = "#56B4E9", "#CC79A7", "#8A8F98"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, GREY, "#7a5230")
"""Okabe and Ito's, then a grey and a brown."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

INK = {"light": "#1f2328", "dark": "#e6e8eb"}
GROUND = {"light": "#ffffff", "dark": "#16181c"}
GRID = {"light": "#e3e6ea", "dark": "#33373d"}

TITLE = 52
"""Pixels that the title takes where it is part of the figure; the page has its own."""

CONFIG = {"displaylogo": False, "responsive": True, "displayModeBar": False}


def faded(colour: str, alpha: float) -> str:
    """A hex colour, see-through."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def template(scheme: str) -> dict[str, Any]:
    """The light or the dark template, as plotly takes it."""
    ink, ground, grid = INK[scheme], GROUND[scheme], GRID[scheme]
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zerolinecolor": grid,
        "automargin": True,
        "title": {"font": {"size": 13}, "standoff": 10},
    }
    return {
        "layout": {
            "font": {"family": FONT, "size": 13, "color": ink},
            "paper_bgcolor": ground,
            "plot_bgcolor": ground,
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"align": "left", "font": {"family": FONT, "size": 13}},
            "annotationdefaults": {"font": {"color": ink}, "bgcolor": ground},
            "margin": {"l": 12, "r": 12, "t": 12 + TITLE, "b": 12},
        }
    }


def series(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, the same in every figure; they come round again after eight."""
    return {name: SERIES[i % len(SERIES)] for i, name in enumerate(names)}


def percent(share: float) -> str:
    """A share for a label, without decimals."""
    return page_percent(share, digits=0)


class Words(NamedTuple):
    """What stands around a plot; the layout's `meta` holds all but the titles."""

    title: str
    subtitle: str
    legend: list[tuple[str, str]]
    """A colour and what it stands for."""
    notes: list[str]
    footnote: str
    min_width: int
    """Pixels under which the plot scrolls rather than shrinks."""


def words(figure: "Figure", name: str) -> Words:
    """A figure's words, as text without markup."""
    layout = figure.layout
    meta = layout.meta or {}
    return Words(
        title=layout.title.text or name,
        subtitle=layout.title.subtitle.text or "",
        legend=[(colour, text) for colour, text in meta.get("legend", [])],
        notes=list(meta.get("notes", [])),
        footnote=meta.get("footnote", ""),
        min_width=meta.get("min_width", 0),
    )


def bare(figure: "Figure") -> "Figure":
    """The plot without its words, and without their room."""
    return type(figure)(figure).update_layout(
        template=template("light"),
        title=None,
        meta=None,
        height=figure.layout.height - TITLE,
        margin_t=12,
    )


def page(figure: "Figure", name: str, provenance: str) -> str:
    """A figure as an HTML page that needs no network; its words become text of the page.

    Args:
        figure: what to show.
        name: makes the id of the plot's element, so that the same figure gives the same bytes.
        provenance: JSON, kept in the page.
    """
    said = words(figure, name)
    plot = bare(figure).to_html(
        full_html=False,
        include_plotlyjs=True,
        div_id=f"featflow-{name}",
        config=CONFIG,
        post_script=_SCRIPT % _templates(),
    )
    legend = "".join(
        f'<li><span style="background:{html.escape(colour)}"></span>{html.escape(text)}</li>'
        for colour, text in said.legend
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in said.notes)
    return _PAGE % {
        "title": html.escape(said.title),
        "subtitle": html.escape(said.subtitle),
        "legend": f'<ul class="legend">{legend}</ul>' if legend else "",
        "plot": plot,
        "min_width": said.min_width,
        "notes": f'<ul class="notes">{notes}</ul>' if notes else "",
        "footnote": html.escape(said.footnote),
        "provenance": provenance.replace("<", "\\u003c"),
        "css": _CSS % {f"{s}_{k}": v[s] for s in INK for k, v in _COLOURS.items()},
    }


def _templates() -> str:
    return json.dumps({scheme: template(scheme) for scheme in INK}, sort_keys=True)


_COLOURS = {"ink": INK, "ground": GROUND, "grid": GRID}

# Swaps the template with the reader's colour scheme, and the size of text with the page's width.
_SCRIPT = """
const plot = document.getElementById('{plot_id}'), templates = %s;
const dark = matchMedia('(prefers-color-scheme: dark)'), narrow = matchMedia('(max-width: 640px)');
function dress() {
  const template = structuredClone(templates[dark.matches ? 'dark' : 'light']);
  if (narrow.matches) template.layout.font.size = 10;
  Plotly.relayout(plot, {template});
}
for (const query of [dark, narrow]) query.addEventListener('change', dress);
dress();
"""

_CSS = """
:root { color-scheme: light dark; --ink: %(light_ink)s; --ground: %(light_ground)s;
  --grid: %(light_grid)s; }
@media (prefers-color-scheme: dark) { :root { --ink: %(dark_ink)s; --ground: %(dark_ground)s;
  --grid: %(dark_grid)s; } }
html { overflow-y: scroll; }
body { margin: 0; color: var(--ink); background: var(--ground); line-height: 1.45;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 16px 12px; }
h1 { font-size: 1.25rem; margin: 0; }
p { margin: 4px 0 8px; }
.subtitle, .footnote, .notes { font-size: 0.85rem; opacity: 0.85; }
.legend { list-style: none; padding: 0; margin: 8px 0; font-size: 0.85rem;
  display: flex; flex-wrap: wrap; gap: 4px 18px; }
.legend span { display: inline-block; width: 12px; height: 12px; margin-right: 6px;
  border-radius: 2px; }
.scroll { overflow-x: auto; }
.notes { padding-left: 18px; margin: 8px 0; }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<title>%(title)s</title>
<style>%(css)s</style>
</head>
<body>
<main>
<h1>%(title)s</h1>
<p class="subtitle">%(subtitle)s</p>
%(legend)s
<div class="scroll"><div style="min-width: %(min_width)dpx">%(plot)s</div></div>
%(notes)s
<p class="footnote">%(footnote)s</p>
</main>
<script type="application/json" id="featflow-provenance">%(provenance)s</script>
</body>
</html>
"""
