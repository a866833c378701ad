import numpy as np
import pytest

from featflow.plan.stages import STAGES

from .conftest import CROSSING, accuracy


def test_the_lines_are_the_sweep(planted):
    figure = planted.draw("sweep")
    lines = {trace.name: trace for trace in figure.data}
    t = np.linspace(0, 1, 11)
    assert np.allclose(lines["both on lua"].x, t)
    assert np.allclose(lines["both on lua"].y, 0.5 - 0.2 * t)
    assert np.allclose(lines["both on tinystories"].y, 0.3 + 0.3 * t)
    for name in ("lua", "tinystories"):
        dashed = lines[f"babypython on {name}"]
        assert dashed.line.dash == "dash"
        assert dashed.y == (pytest.approx(accuracy("babypython", name)),) * 2
        mark = lines[f"both on {name}, at the t chosen"]
        assert mark.x == (CROSSING,) and mark.y == (pytest.approx(0.42),)
    assert "t = 0.400" in figure.layout.title.subtitle.text
    assert "accuracy 0.420." in figure.layout.title.subtitle.text
    assert "validation split" in figure.layout.meta["footnote"]
    assert figure.layout.xaxis.title.text == "t (0 is lua, 1 is stories)"


def test_a_parent_of_several_corpora_has_their_mean(planted):
    import pandas as pd

    from featflow.figures.sweep import _accuracy

    table = pd.DataFrame(
        {"t": [0.0, 0.0, 1.0, 1.0], "corpus": ["a", "b"] * 2, "accuracy": [0.1, 0.3, 0.2, 0.6]}
    )
    assert _accuracy(table, ["a", "b"]).tolist() == [pytest.approx(0.2), pytest.approx(0.4)]
    assert _accuracy(table, ["b"]).tolist() == [0.3, 0.6]


def test_two_bases_have_no_common_ancestor(planted):
    from featflow.config.study import Study
    from featflow.figures import sweep
    from featflow.plan.slicer import Slices

    from .conftest import SETTINGS

    models = {
        "lua": {"kind": "base", "corpora": ["lua"]},
        "stories": {"kind": "base", "corpora": ["tinystories"]},
        "both": SETTINGS["models"]["both"],
    }
    study = Study.model_validate({**SETTINGS, "models": models, "saes": {}})
    files = sweep.inputs(Slices("planted", study), study.drawn["sweep"])
    assert [file.rsplit("/", 1)[1] for file in files] == ["both.parquet", "merge.json"]
    cfg = STAGES["figure"].slice(Slices("planted", study), "sweep")
    figure = sweep.draw(cfg, [str(planted.root / file) for file in files])
    assert len(figure.data) == 4
    assert "Dashed" not in figure.layout.meta["footnote"]
