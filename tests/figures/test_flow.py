import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featflow.core import paths
from featflow.figures.bands import Band, place
from featflow.figures.flow_words import label, standing_beside


@pytest.fixture(scope="module")
def tables(planted):
    return (
        pd.read_csv(planted.path(paths.FLOW_EDGES, sae="main")),
        pd.read_parquet(planted.path(paths.FLOW_FEATURES, sae="main")),
        pd.read_parquet(planted.path(paths.FLOW_CHAINS, sae="main")),
    )


@pytest.fixture(scope="module")
def drawn(planted):
    return planted.draw("flow")


def bands(figure) -> dict[tuple[str, str], dict]:
    traces = [trace for trace in figure.data if "edge" in trace.meta]
    return {(t.meta["edge"], t.meta["kind"]): t for t in traces}


def test_the_bands_are_the_table(drawn, tables):
    edges, features, _ = tables
    found = {key: trace.meta["features"] for key, trace in bands(drawn).items()}
    for row in edges.to_dict("records"):
        edge, child = row["edge"], row["edge"].split("-")[1]
        persisting = found.get((edge, "derived"), 0) + found.get((edge, "later"), 0)
        assert persisting == row["persisting"]
        assert found[edge, "disappearing"] == row["disappearing"]
        assert found[child, "emerging"] == row["emerging"]
    # what persists from lua into the merge, by where lua has it from
    rows = features.set_index(["edge", "role", "feature"])["fate"].sort_index()
    kept = rows["lua-both", "parent"][lambda fate: fate == "persisting"].index
    known = rows["babypython-lua", "child"][lambda fate: fate == "persisting"].index
    assert found["lua-both", "derived"] == len(kept.intersection(known)) > 0
    assert found["lua-both", "later"] == len(kept.difference(known)) > 0
    assert ("babypython-lua", "later") not in found


def test_heights_are_to_one_scale_and_bands_do_not_overlap_at_a_node(drawn):
    scales, sides = [], {}
    for trace in bands(drawn).values():
        x, y = np.array(trace.x), np.array(trace.y)
        for where in (x.min(), x.max()):
            ends = y[np.isclose(x, where)]
            scales.append((ends.max() - ends.min()) / trace.meta["features"])
            sides.setdefault(round(where, 6), []).append((ends.min(), ends.max()))
    assert np.allclose(scales, scales[0])
    nodes = [trace for trace in drawn.data if "model" in trace.meta]
    assert {trace.meta["model"] for trace in nodes} == {"babypython", "lua", "stories", "both"}
    for node in nodes:
        for where in (min(node.x), max(node.x)):
            inside = sorted(
                side
                for side in sides.get(round(where, 6), [])
                if min(node.y) - 1e-6 <= side[0] <= max(node.y) and side[1] <= max(node.y) + 1e-6
            )
            for (_, bottom), (top, _) in itertools.pairwise(inside):
                assert top >= bottom - 1e-6
    low, high = drawn.layout.yaxis.range[1], drawn.layout.yaxis.range[0]
    assert all(low <= y <= high for trace in drawn.data for y in trace.y)


FEATURES = st.integers(1, 1000)


@given(st.lists(st.tuples(FEATURES, FEATURES, FEATURES, FEATURES), min_size=4, max_size=4))
def test_no_stub_lies_between_two_bands_of_an_edge(counts):
    edges = [("base", "left"), ("base", "right"), ("left", "last"), ("right", "last")]
    found = []
    for (parent, child), (derived, later, gone, new) in zip(edges, counts, strict=True):
        edge = f"{parent}-{child}"
        found += [
            Band(parent, child, "derived", derived, edge),
            Band(parent, child, "later", later, edge),
            Band(parent, None, "disappearing", gone, edge),
            Band(None, child, "emerging", new, child),
        ]
    places = place([["base"], ["left", "right"], ["last"]], found, 600)
    for end in (0, 1):
        for name in places.boxes:
            own = [band for band in found if band[end] == name]
            own.sort(key=lambda band: places.bands[band][end][1])
            ways = [band[1 - end] for band in own]
            assert len(list(itertools.groupby(ways))) == len(set(ways))


def test_a_share_stands_beside_its_ceiling(drawn, tables):
    edges, _, _ = tables
    row = edges.set_index("edge").loc["babypython-lua"]
    names = ("share", "ceiling", "share_of_ceiling")
    share, ceiling, of_it = (f"{row[name]:.1%}"[:-1] + "\u202f%" for name in names)
    text = bands(drawn)["babypython-lua", "derived"].text
    begins = (
        f"{row['persisting']} of {row['parent_features']} features of babypython persist into lua"
    )
    assert text.startswith(begins)
    low, high = (f"{row[name]:.1%}"[:-1] + "\u202f%" for name in ("low", "high"))
    assert f"{share} (95 % interval {low} to {high}, over SAE seeds)" in text
    assert f"no floor, ceiling {ceiling}, {of_it} of it<br>" in text
    labels = [label.text for label in drawn.layout.annotations]
    shares = [label for label in labels if "%" in label]
    assert len(shares) == len(edges)
    assert all("ceiling" in label for label in shares)
    borrowed = bands(drawn)["lua-both", "disappearing"].text  # only the base has a reseed
    assert borrowed.endswith("(of babypython))")
    assert f"<b>lua</b><br>{row['child_features']} living" in labels


def test_an_edge_in_words_with_all_that_it_stands_beside():
    row = {
        **{"edge": "base-lua", "parent": "base", "child": "lua", "persisting": 30, "share": 0.3},
        **{"low": 0.25, "high": 0.36, "interval": "seeds", "floor": 0.1, "corrected": 0.5},
        **{"floor_of": "unrelated other", "ceiling": 0.5, "ceiling_of": "base"},
        "share_of_ceiling": 0.6,
    }
    p = "\u202f%"
    assert standing_beside(row) == [
        f"30.0{p} (95 % interval 25.0{p} to 36.0{p}, over SAE seeds)",
        f"floor 10.0{p} (other), ceiling 50.0{p}, 60.0{p} of it, corrected 50.0{p}",
    ]
    assert label(row) == [f"30 persist (30{p})", f"floor 10{p}, ceiling 50{p}"]
    lent = {**row, "ceiling_of": "tales"}
    assert "ceiling 50.0\u202f% (of tales)" in standing_beside(lent)[1]
    untrained = {**row, "floor_of": "random noise"}
    assert standing_beside(untrained)[1].startswith(f"floor 10.0{p} (random weights), ")
    assert label(lent)[1].endswith("%*")
    alone = {**row, "floor": np.nan, "ceiling": np.nan, "corrected": np.nan, "interval": np.nan}
    assert standing_beside(alone)[1] == "no floor, no reseed to compare"
    assert label(alone)[1] == "no floor, no ceiling"


def test_what_stands_around_it(drawn, tables):
    edges, _, chains = tables
    assert "r > 0.8" in drawn.layout.title.subtitle.text
    assert "scope home" in drawn.layout.title.subtitle.text
    row = edges.set_index("edge").loc["lua-both"]
    footnote = drawn.layout.meta["footnote"]
    assert f"lua {row['parent_silent']}" in footnote and f"both {row['child_rare']}" in footnote
    derived = ((chains["status"] == "base-derived") & (chains["model"] == "both")).sum()
    assert any(note.startswith(f"both: {derived} of ") for note in drawn.layout.meta["notes"])


def test_a_flow_without_edges(planted, tmp_path):
    from featflow.figures import flow

    files = []
    for file in planted.inputs("flow"):
        empty = tmp_path / file[file.index("results/") :]
        empty.parent.mkdir(parents=True, exist_ok=True)
        read, name = (
            (pd.read_csv, "to_csv") if file.endswith("csv") else (pd.read_parquet, "to_parquet")
        )
        getattr(read(file).iloc[:0], name)(empty, index=False)
        files.append(str(empty))
    figure = flow.draw(planted.slices.figure("flow"), files)
    assert len(figure.data) == 0 and "no edge" in figure.layout.title.subtitle.text


def test_without_an_edge_the_page_says_so(planted, tmp_path):
    from featflow.analysis import edge_tables as edges
    from featflow.analysis import flow as analysis
    from featflow.analysis.lines import joined
    from featflow.core.slices import FlowSlice
    from featflow.figures import flow

    controls = joined([])
    folder = tmp_path / "results/planted/flow/main"
    at = {name: folder / f"{name}.parquet" for name in ("features", "chains")}
    at["counts"], at["edges"] = folder / "counts.csv", folder / "edges.csv"
    cfg = FlowSlice(study="planted", sae="main", flow=planted.study.flow, pairs=[])
    analysis.run(
        cfg,
        **{"matches": [], "matrices": [], "counts": at["counts"]},
        **{"features": at["features"], "chains": at["chains"]},
    )
    edges.edge_table(pd.read_csv(at["counts"]), edges.Beside(controls, cfg), {}).to_csv(
        at["edges"], index=False
    )
    files = [str(at[name]) for name in ("edges", "features", "chains")]
    figure = flow.draw(planted.slices.figure("flow"), files)
    assert len(figure.data) == 0 and figure.layout.height < 250
    (said,) = figure.layout.annotations
    assert said.text.startswith("Nothing to draw") and "main" in said.text
    assert "no edge" in figure.layout.title.subtitle.text
