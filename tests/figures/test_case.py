import re
from itertools import pairwise

import numpy as np
import pytest

from featflow.analysis import case as stage
from featflow.artifacts.provenance import Provenance
from featflow.figures import case
from featflow.figures.case import LETTER, boxes, cells, escaped, shown, visible
from featflow.plan.stages.figures import FigureSlice

from ..analysis.planted_case import Planted

HOSTILE = [
    "<b>bold</b>",
    "<script>alert(1)</script>",
    "&lt;",
    "<a href='x'>y</a>",
    "<br>",
    "\u202eevil",
    "\x00\x1b",
    "%{x}",
    "x" * 100_000,
    "\u0301" * 50_000,
    "\u2066" * 9000,
]


@pytest.fixture(scope="module")
def found(tmp_path_factory, tokenizer_file) -> dict:
    planted = Planted(tmp_path_factory.mktemp("case"), tokenizer_file)
    return stage.study(planted.cfg(), **planted.files())


def cfg() -> FigureSlice:
    settings = {"kind": "case", "case": "assignment"}
    return FigureSlice.model_validate(
        {"study": "demo", "figure": "one", "settings": settings, "models": {}, "corpora": {}}
    )


@pytest.fixture
def draw(tmp_path):
    from featflow.artifacts.io import save_json

    def drawn(content: dict):
        path = tmp_path / "case.json"
        save_json(path, content, Provenance("figure", cfg()))
        return case.draw(cfg(), [str(path)])

    return drawn


def strips(found: dict) -> list[tuple[dict, str]]:
    """Each passage under each model, in the order in which they are drawn."""
    order = [m for m in found["r"]["models"] if found["models"][m]["feature"] is not None]
    shown = [(passage, model) for passage in found["passages"] for model in order]
    count: dict[str, int] = {}
    for miss in found["misses"]:
        count[miss["model"]] = count.get(miss["model"], 0) + 1
        if count[miss["model"]] <= 2:
            shown += [(miss, "base"), (miss, miss["model"])]
    return shown


def test_every_token_is_shaded_by_its_activation(found, draw):
    figure = draw(found)
    bars = figure.data[0]
    expected = strips(found)
    assert list(bars.meta["models"]) == [model for _, model in expected]
    at = 0
    for passage, model in expected:
        lost = found["models"][model]["verdict"] == "vanishes"
        largest = found["models"][model]["max"]
        colour = "213,94,0" if lost else "0,114,178"  # vermillion and blue
        for value, marked in zip(passage["values"][model], passage["marked"], strict=True):
            red_green_blue, alpha = re.fullmatch(
                r"rgba\((\d+,\d+,\d+),([\d.e-]+)\)", bars.marker.color[at]
            ).groups()
            assert red_green_blue == colour
            assert float(alpha) == pytest.approx(0.65 * (value or 0) / largest, abs=1e-3)
            assert (bars.marker.line.width[at] > 0) == bool(marked)
            at += 1
    assert at == len(bars.marker.color)
    assert any(found["models"][m]["verdict"] == "vanishes" for m in bars.meta["models"])


def test_text_stands_in_its_box_and_what_is_no_row_is_paler(found, draw):
    bars, rows, others = draw(found).data
    known: dict[bool, list[str]] = {True: [], False: []}
    for passage, model in strips(found):
        for text, value in zip(passage["texts"], passage["values"][model], strict=True):
            known[value is not None].append(text.replace(" ", "\u00a0").replace("<s>", "&lt;s&gt;"))
    for trace, there in ((rows, True), (others, False)):
        assert list(trace.text) == known[there]
    assert len(others.text) and others.opacity < rows.opacity == 1
    places = {(x, y) for t in (rows, others) for x, y in zip(t.x, t.y, strict=True)}
    assert places == set(zip(bars.base, bars.y, strict=True))


def test_boxes_lie_beside_each_other_inside_the_figure(found, draw):
    figure = draw(found)
    bars = figure.data[0]
    right, bottom = figure.layout.xaxis.range[1], figure.layout.yaxis.range[0]
    assert bottom == figure.layout.height - 52 - 24
    lines: dict[float, list] = {}
    for base, width, y in zip(bars.base, bars.x, bars.y, strict=True):
        lines.setdefault(y, []).append((base, base + width))
    for line in lines.values():
        assert all(a[1] == pytest.approx(b[0]) for a, b in pairwise(line))
        assert line[0][0] == case.LABELS and line[-1][1] <= right
    heights = np.diff(sorted(lines))
    assert (heights >= bars.width).all() and max(lines) < bottom


def test_labels_and_words_say_what_became_of_it(found, draw):
    figure = draw(found)
    labels = [a.text for a in figure.layout.annotations]
    lost, kept = (found["models"][m] for m in ("lost", "kept"))
    for model, each, told in (
        ("lost", lost, f"nearest miss, r {lost['link_r']:.2f} with base"),
        ("kept", kept, f"persists, r {kept['link_r']:.2f} with base"),
    ):
        label = f"<b>{model}</b> {each['feature']} · LLR {each['llr']:.2f}"
        assert any(text.startswith(label) and told in text for text in labels)
    assert sum("lost's nearest miss fires, base's feature does not" in text for text in labels) == 2
    layout = figure.layout
    assert layout.title.text == "assignment: feature 0 of base on “=”"
    assert layout.title.subtitle.text.startswith("Persists in kept and merged; vanishes in lost")
    assert f"Mean r between the models {found['mean_r']:.2f}" in layout.title.subtitle.text
    notes, models = layout.meta["notes"], found["r"]["models"]
    assert [note.split(" ")[0] for note in notes[: len(models)]] == models
    better, *reseeds = notes[len(models) :]
    assert better.startswith("Feature 1 of base marks the tokens better (F1 1.00), but no reseed")
    assert [note.split(" has ")[0] for note in reseeds] == ["Reseed reseed", "Reseed reseed2"]
    assert (
        f"split persists (r {found['reseeds']['reseed2']['models']['split']['link_r']:.2f})"
        in (reseeds[1])
    )
    assert f"The function: {found['function']}." in layout.title.subtitle.text
    assert "(no corpus on which its fate is judged)" not in " ".join(labels)
    assert any("of its nearest miss" in text for _, text in layout.meta["legend"])


def test_a_model_that_no_link_leads_to(found, draw):
    none = dict.fromkeys(found["models"]["split"]) | {"verdict": "unknown", "best": None}
    without = {**found, "models": {**found["models"], "split": none}, "misses": []}
    figure = draw(without)
    assert "split" not in figure.data[0].meta["models"]
    assert "split: no link of the lineage leads to a feature of it." in figure.layout.meta["notes"]


def test_hostile_text_is_shown_and_not_obeyed(found, draw):
    passage = {**found["passages"][0]}
    passage["texts"] = [*HOSTILE, *passage["texts"][len(HOSTILE) :]]
    hostile = {**found, "passages": [passage], "misses": []}
    hostile["query"] = {"marks": ["<b>", "\u202e="]}
    figure = draw(hostile)
    texts = [*figure.data[0].hovertext, *figure.data[1].text, *figure.data[2].text]
    for text in texts:
        assert not re.search(r"<(?!br>)", text) and "&lt;&lt;" not in text
        assert not re.search(r"[\x00-\x1f\u202a-\u202e\u2066-\u2069]", text)
        assert len(text) < 800
    drawn = [*figure.data[1].text, *figure.data[2].text]
    for safe in ("&lt;b&gt;bold&lt;/b&gt;", "&amp;lt;", "\\u202eevil", "␀␛", "&lt;br&gt;"):
        assert safe in drawn
    assert figure.layout.title.text.endswith("“<b>”, “\\u202e=”")  # the page escapes it
    from featflow.figures.style import page

    html = page(figure, "one", "{}")
    assert "<h1>assignment: feature 0 of base on “&lt;b&gt;”" in html
    assert "<script>alert" not in html and "\u202e" not in html


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (" a\n\tb\r", "\u00a0a↵→b␍"),
        ("\x00\x07\x7f\x85", "␀␇␡\\u0085"),
        ("\u202e\u2067\u200d\ufeff\u2028", "\\u202e\\u2067\\u200d\\ufeff\\u2028"),
        ("\U000e0041\ue000", "\\U000e0041\\ue000"),
        ("é中😀", "é中😀"),
    ],
)
def test_every_character_is_seen(text, seen):
    assert visible(text) == seen


def test_letters_are_counted_as_a_terminal_would():
    assert [cells(t) for t in ("abc", "中文", "e\u0301", "")] == [3, 4, 1, 0]
    assert escaped("<a> & b") == "&lt;a&gt; &amp; b"
    assert cells(shown("x" * 1000)) < 60 and cells(shown("\x00" * 5 + "\u202e" * 1000)) < 60


def test_a_line_is_broken_where_it_is_full():
    found = boxes(["abcd", "ef", "g", "h" * 50], left=10, right=10 + 6.5 * LETTER)
    assert [b.line for b in found] == [0, 0, 1, 2]
    assert [b.x for b in found] == pytest.approx([10, 10 + 4 * LETTER, 10, 10])
    assert [b.width for b in found] == pytest.approx([4 * LETTER, 2 * LETTER, LETTER, 6.5 * LETTER])
