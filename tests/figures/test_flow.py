import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featflow.analysis.edge_words import share_in_words
from featflow.figures.bands import Band, Size, place
from featflow.figures.flow import label
from featflow.plan import paths
from featflow.plan.stages import STAGES


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
        entering = sum(
            bands(drawn)[edge, kind].meta["entering"]
            for kind in ("derived", "later")
            if (edge, kind) in found
        )
        assert entering == row["traced_here"]
        assert found[child, "emerging"] == row["emerging"]
    for model in ("babypython", "lua", "stories"):  # in no child, counted from the features' fates
        own = features[(features["model"] == model) & (features["role"] == "parent")]
        kept = own.loc[own["fate"] == "persisting", "feature"].nunique()
        living = (~own["fate"].isin(["silent", "rare"])).groupby(own["feature"]).any().sum()
        assert found[model, "disappearing"] == living - kept
    # what persists from lua into the merge, by where lua has it from
    rows = features.set_index(["edge", "role", "feature"])["fate"].sort_index()
    kept = rows["lua-both", "parent"][lambda fate: fate == "persisting"].index
    known = rows["babypython-lua", "child"][lambda fate: fate == "persisting"].index
    assert found["lua-both", "derived"] == len(kept.intersection(known)) > 0
    assert found["lua-both", "later"] == len(kept.difference(known)) > 0
    assert ("babypython-lua", "later") not in found


def heights(trace) -> tuple[float, float]:
    """Of a band, at its left end and at its right end, in pixels."""
    x, y = np.array(trace.x), np.array(trace.y)
    ends = [y[np.isclose(x, where)] for where in (x.min(), x.max())]
    return tuple(float(end.max() - end.min()) for end in ends)


def test_nodes_and_bands_are_to_one_scale(drawn):
    nodes = {trace.meta["model"]: trace for trace in drawn.data if "model" in trace.meta}
    assert set(nodes) == {"babypython", "lua", "stories", "both"}
    tall = {name: max(trace.y) - min(trace.y) for name, trace in nodes.items()}
    scale = tall["babypython"] / nodes["babypython"].meta["living"]
    for name, trace in nodes.items():
        assert tall[name] == pytest.approx(scale * trace.meta["living"])
    for (edge, kind), trace in bands(drawn).items():
        first, last = heights(trace)
        if kind in ("disappearing", "emerging"):
            assert (first, last) == pytest.approx([scale * trace.meta["features"]] * 2)
            node = nodes[edge]
        else:
            assert first == pytest.approx(scale * trace.meta["features"], abs=1e-6)
            assert last == pytest.approx(scale * trace.meta["entering"], abs=1e-6)
            node = nodes[edge.split("-")[0]]
        assert min(node.y) - 1e-6 <= trace.y[0]  # a band lies within its node
    low, high = drawn.layout.yaxis.range[1], drawn.layout.yaxis.range[0]
    assert all(low <= y <= high for trace in drawn.data for y in trace.y)


COUNT = st.integers(0, 1000)
LIVING = st.integers(1, 1536)
DIAMOND = [("base", "left"), ("base", "right"), ("left", "last"), ("right", "last")]


@st.composite
def lineages(draw, living=LIVING) -> tuple[dict[str, Size], list[Band]]:
    """A diamond of models with any counts that a flow can have."""
    sizes = {}
    bands = []
    for name in ("base", "left", "right", "last"):
        size = draw(living)
        sizes[name] = Size(size, draw(st.integers(0, size)), draw(st.integers(0, size)))
    for parent, child in DIAMOND:
        kept = draw(st.integers(0, sizes[parent].kept))
        traced = draw(st.integers(0, sizes[child].traced))
        derived, entering = draw(st.integers(0, kept)), draw(st.integers(0, traced))
        edge = f"{parent}-{child}"
        bands += [
            Band(parent, child, "derived", derived, edge, entering),
            Band(parent, child, "later", kept - derived, edge, traced - entering),
        ]
    for name, size in sizes.items():
        if name != "last":
            bands.append(Band(name, None, "disappearing", size.living - size.kept, name))
        if name != "base":
            bands.append(Band(None, name, "emerging", size.living - size.traced, name))
    return sizes, bands


@given(lineages())
def test_equal_numbers_are_equal_heights_wherever_they_stand(lineage):
    sizes, found = lineage
    places = place([["base"], ["left", "right"], ["last"]], found, sizes, 600)
    for name, box in places.boxes.items():
        assert box.bottom - box.top == pytest.approx(places.scale * sizes[name].living)
        assert box.top >= -1e-6 and box.bottom <= 600 + 1e-6
    for band in found:
        for end, name in ((0, band.source), (1, band.target)):
            if name is None:
                continue
            top = places.bands[band][end][1]
            box, bottom = places.boxes[name], top + band.size(end) * places.scale
            assert box.top - 1e-6 <= top and bottom <= box.bottom + 1e-6
    for name, size in sizes.items():  # a stub lies beside what persists, never in it
        for end, rest in ((0, size.living - size.kept), (1, size.living - size.traced)):
            own = [band for band in found if band[end] == name]
            stubs = [band for band in own if band[1 - end] is None]
            for stub in stubs:
                top = places.bands[stub][end][1]
                for band in (b for b in own if b not in stubs and b.size(end)):
                    at = places.bands[band][end][1]
                    after = at + band.size(end) * places.scale <= top + 1e-6
                    assert after or at >= top + rest * places.scale - 1e-6


@given(lineages(living=st.just(1536)))
def test_models_of_equal_size_have_equal_bars(lineage):
    sizes, found = lineage
    boxes = place([["base"], ["left", "right"], ["last"]], found, sizes, 600).boxes
    assert len({round(box.bottom - box.top, 6) for box in boxes.values()}) == 1


def test_two_bands_overlap_by_the_features_that_are_in_both():
    sizes = {"base": Size(100, 70, 0), "left": Size(100, 0, 40), "right": Size(100, 0, 60)}
    found = [
        Band("base", "left", "derived", 50, "base-left", 40),
        Band("base", "right", "derived", 45, "base-right", 60),
        Band("base", None, "disappearing", 30, "base"),
    ]
    places = place([["base"], ["left", "right"]], found, sizes, 600)
    left, right, stub = (places.bands[band][0][1] for band in found)
    overlap = left + 50 * places.scale - right
    assert overlap == pytest.approx((50 + 45 - 70) * places.scale)
    assert stub == pytest.approx(right + 45 * places.scale)


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
    over = "the SAE seeds of both ends (lua’s taken to scatter as babypython’s)"
    assert f"{share} (95 % interval {low} to {high}, over {over})" in text
    assert f"no floor, ceiling {ceiling}, {of_it} of it<br>" in text
    labels = [label.text for label in drawn.layout.annotations]
    shares = [label for label in labels if "%" in label]
    assert len(shares) == len(edges)
    assert all("ceiling" in label for label in shares)
    borrowed = bands(drawn)["lua", "disappearing"].text  # only the base has a reseed
    assert borrowed.endswith("(of babypython))")
    assert f"<b>lua</b><br>{row['child_features']} living" in labels


def test_an_edge_in_words_with_all_that_it_stands_beside():
    row = {
        "edge": "base-lua",
        "parent": "base",
        "child": "lua",
        "persisting": 30,
        "share": 0.3,
        "low": 0.25,
        "high": 0.36,
        "interval": "seeds",
        "floor": 0.1,
        "corrected": 0.5,
        "floor_of": "unrelated other",
        "ceiling": 0.5,
        "ceiling_of": "base",
        "share_of_ceiling": 0.6,
        "interval_of": "base+lua",
        "floor_unrelated": 0.1,
        "corrected_unrelated": 0.5,
    }
    p = "\u202f%"
    assert share_in_words(row) == [
        f"30.0{p} (95 % interval 25.0{p} to 36.0{p}, over the SAE seeds of both ends)",
        f"floor 10.0{p} (other), ceiling 50.0{p}, 60.0{p} of it, corrected 50.0{p}",
    ]
    assert label(row) == [f"30 persist (30{p})", f"floor 10{p}, ceiling 50{p}"]
    lent = {**row, "ceiling_of": "tales"}
    assert "ceiling 50.0\u202f% (of tales)" in share_in_words(lent)[1]
    untrained = {**row, "floor_of": "random noise"}
    assert share_in_words(untrained)[1].startswith(f"floor 10.0{p} (random weights), ")
    other = f"floor in an unrelated model 20.0{p}, corrected by it 40.0{p}"
    both = {**untrained, "floor_unrelated": 0.2, "corrected_unrelated": 0.4}
    assert share_in_words(both)[2:] == [other]
    assert label(lent)[1].endswith("%*")
    alone = {**row, "floor": np.nan, "ceiling": np.nan, "corrected": np.nan, "interval": np.nan}
    alone |= {"floor_unrelated": np.nan, "interval_of": np.nan}
    assert share_in_words(alone)[1] == "no floor, no reseed to compare"
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
    figure = flow.draw(STAGES["figure"].slice(planted.slices, "flow"), files)
    assert len(figure.data) == 0 and "no edge" in figure.layout.title.subtitle.text


def test_without_an_edge_the_page_says_so(planted, tmp_path):
    from featflow.analysis import edges
    from featflow.analysis import flow as analysis
    from featflow.analysis.controls import joined
    from featflow.figures import flow
    from featflow.plan.stages.analysis import FlowSlice

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
    edges.edge_table(pd.read_csv(at["counts"]), edges.ControlRows(controls, cfg), {}, {}).to_csv(
        at["edges"], index=False
    )
    files = [str(at[name]) for name in ("edges", "features", "chains")]
    figure = flow.draw(STAGES["figure"].slice(planted.slices, "flow"), files)
    assert len(figure.data) == 0 and figure.layout.height < 250
    (said,) = figure.layout.annotations
    assert said.text.startswith("Nothing to draw") and "main" in said.text
    assert "no edge" in figure.layout.title.subtitle.text
