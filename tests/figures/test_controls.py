from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featflow.figures import controls
from featflow.plan.stages.figures import FigureSlice
from featflow.wording import page_percent

THRESHOLDS = [0.5, 0.65, 0.8, 0.95]
EDGES = {"babypython-lua": 0.3, "babypython-tinystories": 0.4, "lua-luastories": 0.5}
LEVELS = {
    "edge": 1.0,
    "bootstrap": 1.0,
    "ceiling": 1.6,
    "ceiling_parent": 1.7,
    "unrelated": 0.5,
    "random": 0.2,
    "frozen": 1.2,
    "continued": 1.4,
    "shift": 0.0,
}


def share(edge: str, control: str, threshold: float) -> float:
    return EDGES[edge] * LEVELS[control] * (1.3 - threshold)


def rows(edge: str):
    """Every control of an edge on two domains and in two strata; only `all` of home is drawn."""
    for control in LEVELS:
        if control == "unrelated" and edge == "lua-luastories":
            continue
        for threshold in THRESHOLDS:
            level = share(edge, control, threshold)
            seeds = control == "edge" and edge == "babypython-lua"
            known = seeds or (control == "bootstrap" and edge != "lua-luastories")
            for domain, stratum, by, off in (
                ("home", "all", "a.main-one.main", 0.05),
                ("home", "all", "a.main-two.main", -0.05),
                ("home", "lookup", "a.main-one.main", 0.3),
                ("lua", "all", "a.main-one.main", 0.3),
            ):
                if control != "unrelated":  # one model of its kind
                    off = off if off > 0.1 else 0
                    if by.endswith("two.main"):
                        continue
                yield {
                    "edge": edge,
                    "domain": domain,
                    "control": control,
                    "threshold": threshold,
                    "share": level + off,
                    "low": level - 0.1 * level if known else np.nan,
                    "high": level + (0.2 if seeds else 0.1) * level if known else np.nan,
                    "kind": "all" if stratum == "all" else "lookup",
                    "stratum": stratum,
                    "features": 100,
                    "found": 10,
                    "by": by,
                }


def edge_row(edge: str) -> dict:
    top, floor = share(edge, "ceiling", 0.8), share(edge, "unrelated", 0.8)
    own, lone = share(edge, "edge", 0.8), edge == "lua-luastories"
    return {
        "edge": edge,
        "threshold": 0.8,
        "scope": "home",
        "share": own,
        "ceiling": top,
        "share_of_ceiling": own / top,
        "low": np.nan if lone else own * 0.9,
        "high": np.nan if lone else own * 1.1,
        "interval": None if lone else "documents",
        "floor": np.nan if lone else floor,
        "floor_of": None if lone else "unrelated one",
        "corrected": np.nan if lone else (own - floor) / (top - floor),
        "floor_random": share(edge, "random", 0.8),
        "frozen": np.nan,
        "continued": 0.5,
        "ceiling_of": "babypython",
        "interval_of": None,
        "l0_differs": lone,
        "floor_unrelated": np.nan if lone else floor,
        "corrected_unrelated": np.nan,
    }


def write(folder: Path) -> list[str]:
    table = pd.DataFrame([row for edge in EDGES for row in rows(edge)])
    table.to_parquet(folder / "controls.parquet")
    pd.DataFrame(map(edge_row, EDGES)).to_csv(folder / "edges.csv", index=False)
    return [str(folder / name) for name in ("controls.parquet", "edges.csv")]


def cfg() -> FigureSlice:
    settings = {"kind": "controls"}
    return FigureSlice.model_validate(
        {"study": "demo", "figure": "controls", "settings": settings, "models": {}, "corpora": {}}
    )


@pytest.fixture
def figure(tmp_path):
    return controls.draw(cfg(), write(tmp_path))


def lines(figure) -> dict:
    return {(t.meta["edge"], t.meta["control"]): t for t in figure.data if "kind" not in t.meta}


def test_every_line_is_the_share_of_its_control(figure):
    drawn = lines(figure)
    expected = {
        (edge, control)
        for edge in EDGES
        for control in ("edge", "ceiling", "unrelated", "random", "frozen", "continued")
    } - {("lua-luastories", "unrelated")}
    assert set(drawn) == expected
    for (edge, control), trace in drawn.items():
        assert list(trace.x) == THRESHOLDS
        # of two unrelated models the mean; other domains and strata are not mixed in
        assert list(trace.y) == pytest.approx([share(edge, control, t) for t in THRESHOLDS])
    panels = {edge: {t.yaxis for (e, _), t in drawn.items() if e == edge} for edge in EDGES}
    assert [panels[edge] for edge in EDGES] == [{"y"}, {"y2"}, {"y3"}]


def test_the_band_is_over_seeds_where_there_are_several_else_over_documents(figure):
    bands = {t.meta["edge"]: t for t in figure.data if t.meta.get("kind") == "band"}
    assert {edge: band.meta["control"] for edge, band in bands.items()} == {
        "babypython-lua": "edge",
        "babypython-tinystories": "bootstrap",
    }
    for edge, band in bands.items():
        own = np.array([share(edge, "edge", t) for t in THRESHOLDS])
        upper = own * (1.2 if edge == "babypython-lua" else 1.1)
        assert list(band.y) == pytest.approx([*upper, *(own * 0.9)[::-1]])
    legend = [text for _, text in figure.layout.meta["legend"]]
    assert legend[:2] == ["share that persists", "its 95 % interval over SAE seeds or documents"]
    assert len(set(map(tuple, figure.layout.meta["legend"]))) == len(legend)


def test_the_flow_threshold_is_marked_and_the_notes_say_the_numbers(figure):
    assert [(s.x0, s.x1) for s in figure.layout.shapes] == [(0.8, 0.8)] * len(EDGES)
    assert "flow.threshold, 0.8" in figure.layout.title.subtitle.text
    first, _, last = figure.layout.meta["notes"]
    own = share("babypython-lua", "edge", 0.8)
    low, high = (page_percent(own * end) for end in (0.9, 1.1))
    assert first.startswith(
        f"babypython → lua: {page_percent(own)} (95 % interval {low} to {high}, over documents, "
    )
    assert "at r > 0.8; floor " in first and " (one), ceiling " in first
    assert "frozen" not in first and "trained on 50" in first
    assert "no floor" in last and last.endswith("L0 of the two differ by more than 10 %.")
    headings = [a.text for a in figure.layout.annotations]
    assert "ceiling" in headings[0] and "floor" in headings[0] and "floor" not in headings[2]
    assert "nan" not in " ".join([*headings, *figure.layout.meta["notes"]])
