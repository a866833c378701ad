import pytest

from featflow.artifacts.io import ArtifactError, load_table, save_table
from featflow.artifacts.provenance import Provenance
from featflow.plan.stages import STAGES

from .conftest import RUN


def lines(figure) -> dict:
    return {(trace.meta["model"], trace.meta["column"]): trace for trace in figure.data}


def test_a_line_is_a_column_of_a_table(planted):
    figure = planted.draw("training")
    found = lines(figure)
    assert len(figure.data) == 4 * 4 + 1
    for model in planted.study.models:
        assert found[model, "mse"].x == (100, 200, 300, 400)
        assert found[model, "mse"].y == (0.4, 0.3, 0.2, 0.1)
        assert list(found[model, "l0"].y) == RUN["l0"]
        assert list(found[model, "dead"].y) == RUN["dead"]
        assert found[model, "lambda"].y == (0.01, 0.02, 0.03, 0.04)
        colours = {found[model, c].line.color for c in ("mse", "l0", "dead", "lambda")}
        assert [colours.pop(), model] in [list(key) for key in figure.layout.meta["legend"]]
        assert not colours


def test_panels_share_x_and_lie_below_one_another(planted):
    figure = planted.draw("training")
    tops = [axis.domain[1] for axis in figure.select_yaxes()]
    feet = [axis.domain[0] for axis in figure.select_yaxes()]
    assert len(tops) == 4 and all(foot > top for foot, top in zip(feet, tops[1:], strict=False))
    axes = list(figure.select_xaxes())
    assert all(axis.matches == "x4" for axis in axes[:-1]) and axes[-1].title.text


def test_resampling_is_marked_where_the_table_has_it(planted):
    figure = planted.draw("training")
    marks = [trace for trace in figure.data if trace.meta["column"] == "revived"]
    assert [(m.meta["model"], m.x, m.y, m.text) for m in marks] == [
        ("lua", (300,), (0.25,), ("3",))
    ]
    notes = figure.layout.meta["notes"]
    assert "3 revived in 1 round (▲)" in next(note for note in notes if note.startswith("lua"))
    assert all("none revived" in note for note in notes if not note.startswith("lua"))


def test_a_target_is_drawn_where_there_is_one(planted):
    shapes = {shape.type: shape for shape in planted.draw("training").layout.shapes}
    assert shapes["line"].y0 == shapes["line"].y1 == 20 and shapes["line"].yref == "y2"
    assert (shapes["rect"].x0, shapes["rect"].x1) == (pytest.approx(40), pytest.approx(320))
    assert "an L0 of 20" in planted.draw("training").layout.title.subtitle.text


@pytest.mark.parametrize("weight", [0.002, None])
def test_a_fixed_weight_has_no_target(planted, tmp_path, weight):
    from featflow.config.saes import Relu
    from featflow.figures import training
    from featflow.plan.slicer import Slices

    sparsity = {} if weight is None else {"sparsity": {"l1": weight}}
    sae = Relu.model_validate({"kind": "relu", **sparsity})
    study = planted.study.model_copy(update={"saes": {"main": sae}})
    old = load_table(planted.inputs("training")[0])
    file = tmp_path / "results/planted/sae/lua/main/training.parquet"
    save_table(
        file, old, Provenance("sae", STAGES["sae"].slice(Slices("planted", study), "lua", "main"))
    )
    figure = training.draw(STAGES["figure"].slice(planted.slices, "training"), [str(file)])
    assert not figure.layout.shapes
    assert f"fixed at {weight or 0.0003:g}." in figure.layout.title.subtitle.text


def test_a_foreign_table_is_named(planted, tmp_path):
    from featflow.figures import training

    file = tmp_path / "results/planted/sae/lua/main/training.parquet"
    file.parent.mkdir(parents=True)
    load_table(planted.inputs("training")[0]).to_parquet(file)
    with pytest.raises(ArtifactError, match="sae/lua/main/training"):
        training.draw(STAGES["figure"].slice(planted.slices, "training"), [str(file)])


def test_topk_has_no_penalty_and_its_remedy_for_the_dead(planted, tmp_path):
    from featflow.config.saes import TopK
    from featflow.figures import training
    from featflow.plan.slicer import Slices

    sae = TopK.model_validate({"kind": "topk", "k": 20})
    study = planted.study.model_copy(update={"saes": {"main": sae}})
    table = load_table(planted.inputs("training")[0]).drop(columns=["lambda", "l1"])
    table["aux"] = table["mse"] / 2
    file = tmp_path / "results/planted/sae/lua/main/training.parquet"
    save_table(
        file, table, Provenance("sae", STAGES["sae"].slice(Slices("planted", study), "lua", "main"))
    )
    figure = training.draw(STAGES["figure"].slice(planted.slices, "training"), [str(file)])
    columns = [trace.meta["column"] for trace in figure.data]
    assert columns[:4] == ["mse", "l0", "dead", "aux"]
    (line,) = figure.layout.shapes  # of k, and no share of the run in which λ is steered
    assert line.y0 == line.y1 == 20
    assert "the 20 largest features fire" in figure.layout.title.subtitle.text
    assert "due for AuxK" in figure.layout.meta["footnote"]
