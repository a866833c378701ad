"""A figure as one image, for paper: its words are drawn around the plot, on white.

plotly breaks no lines, so they are broken here, at the width that letters have on average.
"""

import html
import logging
import textwrap
from typing import TYPE_CHECKING, Any

from featflow.config.errors import FeatflowError
from featflow.figures.chromium import required

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WIDTH = 900
"""Pixels; a PNG has SCALE times as many."""

SCALE = 3

EDGE = 16
"""Pixels around everything."""

TICKS, AXIS = 20, 44
"""Pixels below a plot that its x axis needs: without a title, and with one."""

LEFT = 64
"""Pixels beside a plot that its y axis needs."""

HEAD, TEXT, SMALL = 18, 13, 11
"""Sizes of letters: title; subtitle and legend; notes."""

GAP, KEYS, PLOT = 6, 24, 14
"""Pixels under the subtitle; of a line of plotly's own legend; above the plot."""

LINE = 1.3
"""Height of a line, in letters' sizes (as in plotly.js)."""

LETTER = 0.53
"""Width of a letter, in letters' sizes."""

SECONDS = 180
"""How long Chromium may draw one image."""


def image(figure: "Figure", name: str, format: str) -> bytes:
    """A figure as svg, png or pdf, with its words, without a network.

    Raises:
        FeatflowError: when there is no Chromium, or it does not start.
    """
    import asyncio

    from choreographer.errors import BrowserClosedError, BrowserFailedError
    from kaleido import Kaleido

    path = required(format)
    logging.getLogger("choreographer").setLevel(logging.CRITICAL)  # it reports its own farewell
    options = {"format": format, "scale": SCALE if format == "png" else 1}

    async def drawn() -> bytes:
        # As root, and in containers, there is no sandbox; a proxy that is none keeps Chromium from
        # asking its maker for anything. plotly.js is the installed package's.
        sealed = {"enable_sandbox": False, "proxy_server": "127.0.0.1:9"}
        async with Kaleido(path=path, mathjax=False, timeout=SECONDS, **sealed) as kaleido:
            return await kaleido.calc_fig(sheet(figure, name), opts=options)

    try:
        return asyncio.run(drawn())
    except (BrowserClosedError, BrowserFailedError, TimeoutError) as error:
        raise FeatflowError(
            f"{name}.{format}: {path} did not draw it ({type(error).__name__}: {error}); does "
            f"`{path} --headless --no-sandbox --dump-dom about:blank` work on this machine?"
        ) from None


def sheet(figure: "Figure", name: str) -> "Figure":
    """The figure with title, subtitle and legend above the plot, notes below it."""
    from featflow.figures.style import bare, words

    said = words(figure, name)
    plot = bare(figure)
    for i, trace in enumerate(plot.data):  # plotly.js would name them at random
        trace.uid = f"{i:06d}"
    axes = [axis for axis in plot.select_yaxes() if axis.visible is not False]
    left = LEFT if axes else EDGE
    lines, keys = _lines(said.subtitle, TEXT), _legend(said.legend)
    legends = TEXT * LINE * len(keys) + KEYS * _rows_of_traces(plot)
    top = EDGE + HEAD * LINE + TEXT * LINE * len(lines) + GAP + legends + PLOT
    notes = [line for note in said.notes for line in _lines(note, SMALL, "• ", "  ")]
    notes += [""] * bool(notes) + _lines(said.footnote, SMALL)
    below = _below(plot)
    bottom = below + SMALL * LINE * len(notes) + EDGE
    height = plot.layout.height - 2 * 12 + top + bottom
    texts = [
        _text("<br>".join(lines), 1, "bottom", PLOT + legends + GAP, EDGE - left, TEXT),
        _text("<br>".join(keys), 1, "bottom", PLOT, EDGE - left, TEXT),
        _text("<br>".join(notes), 0, "top", -below, EDGE - left, SMALL),
    ]
    return plot.update_layout(
        width=WIDTH,
        height=height,
        margin={"l": left, "r": EDGE, "t": top, "b": bottom},
        title={
            "text": f"<b>{html.escape(said.title, quote=False)}</b>",
            "font": {"size": HEAD},
            "x": EDGE / WIDTH,
            "xref": "container",
            "xanchor": "left",
            "y": 1 - EDGE / height,
            "yref": "container",
            "yanchor": "top",
        },
        legend=_placed(1 - (top - PLOT - legends) / height),
        annotations=[*plot.layout.annotations, *(text for text in texts if text["text"])],
    )


def _lines(text: str, size: int, first: str = "", rest: str = "") -> list[str]:
    """A text in lines that fit the sheet, escaped for plotly."""
    letters = int((WIDTH - 2 * EDGE) / (size * LETTER))
    lines = textwrap.wrap(text, letters, initial_indent=first, subsequent_indent=rest)
    return [html.escape(line, quote=False).replace("  ", "\u2002") for line in lines]


def _legend(keys: list[tuple[str, str]]) -> list[str]:
    """Coloured squares with their texts, in lines."""
    room, lines = (WIDTH - 2 * EDGE) / (TEXT * LETTER), [[]]  # type: ignore[var-annotated]
    used = 0
    for colour, text in keys:
        if used and used + len(text) + 6 > room:
            lines.append([])
            used = 0
        used += len(text) + 6
        square = f'<span style="color:{html.escape(colour)}">■</span>'
        lines[-1].append(f"{square}\u2002{html.escape(text, quote=False)}")
    return ["\u2003".join(line) for line in lines if line]


def _rows_of_traces(plot: "Figure") -> int:
    """Lines of plotly's own legend, where the figure has one."""
    if plot.layout.showlegend is False:
        return 0
    named = [trace.name for trace in plot.data if trace.name and trace.showlegend is not False]
    letters = sum(len(name) + 10 for name in named) * TEXT * LETTER
    return int(-(-letters // (WIDTH - 2 * EDGE))) if len(named) > 1 else 0


def _placed(y: float) -> dict[str, Any]:
    """plotly's own legend, above the plot."""
    return {
        "orientation": "h",
        "yref": "container",
        "yanchor": "top",
        "y": y,
        "xref": "container",
        "x": EDGE / WIDTH,
        "xanchor": "left",
    }


def _below(plot: "Figure") -> int:
    """Pixels between the plot and the notes."""
    axes = [axis for axis in plot.select_xaxes() if axis.visible is not False]
    if not axes:
        return EDGE
    return EDGE + (AXIS if any(axis.title.text for axis in axes) else TICKS)


def _text(
    text: str, y: float, yanchor: str, yshift: float, xshift: float, size: int
) -> dict[str, Any]:
    return {
        "text": text,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": y,
        "align": "left",
        "xanchor": "left",
        "yanchor": yanchor,
        "xshift": xshift,
        "yshift": yshift,
        "showarrow": False,
        "font": {"size": size},
        "borderpad": 0,
    }
