"""Whether this machine has a Chromium, which draws svg, png and pdf.

Nothing heavy is imported: the rules ask it for every plan.
"""

import importlib
import os
import shutil
import sys
from collections.abc import Sequence

from featflow.config.errors import FeatflowError

IMAGES = ("svg", "png", "pdf")
"""The formats that a Chromium draws."""

VARIABLE = "BROWSER_PATH"
"""Names the browser to use (choreographer's own variable; here it stands above all others)."""


def chromium() -> str | None:
    """The program that would draw, or None.

    BROWSER_PATH, or else what choreographer finds: the copy that plotly_get_chrome downloads, then
    Chrome, Chromium, Edge, Brave and Vivaldi on PATH and in their usual places.
    """
    _keep_the_command_line()
    from choreographer.browsers.chromium import Chromium

    path = os.environ.get(VARIABLE) or Chromium.find_browser(skip_local=False)
    return shutil.which(path) if path else None


def _keep_the_command_line() -> None:
    """Import logistro, with which choreographer and kaleido log, without our arguments.

    At import it parses sys.argv, and ends the program over a `--log`, which it takes for its own.
    """
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        importlib.import_module("logistro")
    finally:
        sys.argv = arguments


def required(format: str) -> str:
    """The program that draws this format.

    Raises:
        FeatflowError: when there is none.
    """
    if found := chromium():
        return found
    raise FeatflowError(f"{format}: {_absent()}; {REMEDY}")


def drawable(formats: Sequence[str], warn: bool) -> list[str]:
    """Those of some formats that this machine can draw.

    Args:
        formats: what a study asks for.
        warn: whether to say on stderr what is left out.
    """
    left_out = [name for name in formats if name in IMAGES]
    if not left_out or chromium():
        return list(formats)
    if warn:
        names = ", ".join(left_out)
        print(f"featflow: figures as {names} are left out: {_absent()}; {REMEDY}", file=sys.stderr)
    return [name for name in formats if name not in left_out]


REMEDY = (
    "install one (`apt install chromium`, or `plotly_get_chrome`), name it in "
    f"{VARIABLE}, or ask for html alone (figures: {{formats: [html]}}), which needs none"
)


def _absent() -> str:
    if path := os.environ.get(VARIABLE):
        return f"a Chromium must draw them, and {VARIABLE}={path} is no program"
    return "a Chromium must draw them, and none was found"
