import numpy as np
import pandas as pd
import pytest

from featflow.figures.density import count, edges
from featflow.figures.panels import log_ticks, power

from .conftest import TOKENS


def test_every_living_feature_is_in_one_bin(planted):
    figure = planted.draw("density")
    found = {trace.meta["model"]: trace for trace in figure.data}
    assert list(found) == list(planted.study.models)
    x = np.array(found["babypython"].x)
    assert np.allclose(np.diff(np.log10(x)), 0.1)
    assert x[0] < 0.001 and x[-1] > 0.2
    for model, densities in {"babypython": [0.001, 0.01, 0.01, 0.2], "stories": [0.1]}.items():
        size = len(densities) + {"babypython": 2, "stories": 1}[model]
        heights = dict(zip(range(len(x)), found[model].y, strict=True))
        for density in densities:  # a density on an edge belongs to the bin that it opens
            bin_ = int(np.floor((np.log10(density) - np.log10(x[0])) / 0.1 + 1e-6))
            assert heights[bin_] == pytest.approx(densities.count(density) / size)
        assert sum(heights.values()) == pytest.approx(len(densities) / size)
        assert sum(found[model].meta["counts"]) == len(densities)


def test_the_median_is_that_of_living_features(planted):
    figure = planted.draw("density")
    lines = [shape.x0 for shape in figure.layout.shapes]
    assert lines == [pytest.approx(x) for x in (0.01, 0.015, 0.1, 0.1)]
    assert [shape.yref for shape in figure.layout.shapes] == [
        f"{axis} domain" for axis in ("y", "y2", "y3", "y4")
    ]


def test_silent_features_are_counted_and_said(planted):
    figure = planted.draw("density")
    notes = figure.layout.meta["notes"]
    assert "babypython: 4 of 6 features fire, median density 0.01; 2 silent." in notes
    assert "lua: 4 of 4 features fire, median density 0.015; 0 silent." in notes
    headings = [a.text for a in figure.layout.annotations]
    assert "<b>babypython</b>: median 0.01, 2 silent" in headings
    assert (
        f"One firing among {TOKENS:,} tokens is a density of 10⁻³" in figure.layout.meta["footnote"]
    )


def test_a_dictionary_that_is_silent_throughout():
    table = pd.DataFrame({"density": [0.0, 0.0], "firings": [0, 0]})
    bins = edges([table["density"]])
    one = count(table, bins)
    assert (one.silent, one.tokens, one.counts.sum()) == (2, None, 0)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.002, 0.1, ["0.002", "0.005", "0.01", "0.02", "0.05", "0.1"]),
        (1e-6, 0.1, [f"10<sup>−{n}</sup>" for n in (6, 5, 4, 3, 2, 1)]),
        (0.01, 100, ["0.01", "0.1", "1", "10", "100"]),
    ],
)
def test_ticks_of_a_log_axis(low, high, texts):
    ticks = log_ticks(low, high)
    assert ticks["ticktext"] == texts and ticks["type"] == "log"
    if "<" not in texts[0]:
        assert ticks["tickvals"] == [float(text) for text in texts]


def test_small_numbers_as_people_write_them():
    assert power(1.7e-6) == "1.7\u2009·\u200910⁻⁶"
    assert power(1e-12) == "10⁻¹²"
