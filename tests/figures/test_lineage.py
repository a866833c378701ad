import itertools

from featflow.figures.graph import depths, ordered, own_corpora
from featflow.figures.lineage import Mark, _places, draw
from featflow.plan.slices import Node
from featflow.plan.stages import STAGES

from .conftest import accuracy


def base(*corpora: str) -> Node:
    return Node(kind="base", corpora=list(corpora))


def tuned(parent: str, *corpora: str) -> Node:
    return Node(kind="finetune", parents=[parent], corpora=list(corpora))


def merged(*parents: str) -> Node:
    return Node(kind="merge", parents=list(parents), method="slerp")


MODELS = {
    "top": base("babylm", "python"),
    "left": tuned("top", "lua"),
    "right": tuned("top", "tinystories"),
    "leftmost": tuned("left", "lua"),
    "both": merged("left", "right"),
    "last": merged("leftmost", "both"),
}


def test_everything_is_drawn_once_and_below_what_it_is_made_of():
    places = _places(MODELS)
    corpora = {Mark(name, True) for name in ("babylm", "python", "lua", "tinystories")}
    assert set(places) == corpora | {Mark(name) for name in MODELS}
    assert len(set(places.values())) == len(places)
    for name, node in MODELS.items():
        for parent in node.parents:
            assert places[Mark(parent)].y < places[Mark(name)].y
        for corpus in node.corpora:
            assert places[Mark(corpus, True)].y < places[Mark(name)].y


def test_the_papers_lineage_is_drawn_without_a_crossing(planted):
    cfg = STAGES["figure"].slice(planted.slices, "lineage")
    places = _places(cfg.models)
    lines = [
        (places[Mark(source, corpus)], places[Mark(name)])
        for name, node in cfg.models.items()
        for sources, corpus in ((node.parents, False), (node.corpora, True))
        for source in sources
    ]
    for (a, b), (c, d) in itertools.combinations(lines, 2):
        if (a.y, b.y) == (c.y, d.y):
            assert (a.x - c.x) * (b.x - d.x) >= 0


def test_labels_and_hover_say_what_was_measured(planted):
    figure = planted.draw("lineage")
    texts = [note.text for note in figure.layout.annotations]
    own = f"{accuracy('lua', 'lua'):.2f} on lua"
    assert f"<b>lua</b><br>{own}" in texts
    assert any(text.startswith("<b>both</b><br>slerp, t = 0.40<br>") for text in texts)
    verbs = [text for text in texts if text.startswith("<i>")]
    assert sorted(verbs) == [
        *["<i>fine-tune</i>"] * 2,
        "<i>slerp, t = 0</i>",
        "<i>slerp, t = 1</i>",
    ]
    arrows = [note for note in figure.layout.annotations if note.showarrow]
    assert len(arrows) == 4 + 4  # four corpora; two fine-tunes and a merge of two
    kinds = {trace.name: sorted(trace.ids) for trace in figure.data}
    assert kinds == {
        "corpus": ["babylm", "lua", "python", "tinystories"],
        "base": ["babypython"],
        "fine-tune": ["lua", "stories"],
        "merge": ["both"],
    }
    (hover,) = next(trace.hovertext for trace in figure.data if trace.name == "merge")
    for corpus in planted.study.corpora:
        assert f"{corpus}: loss 3.000, accuracy {accuracy('both', corpus):.3f}" in hover


def test_every_kind_of_model_has_a_mark(planted):
    cfg = STAGES["figure"].slice(planted.slices, "lineage")
    roots = {"far": Node(kind="pretrained"), "noise": Node(kind="random")}
    figure = draw(cfg.model_copy(update={"models": {**cfg.models, **roots}}), [])
    drawn = {name: trace.name for trace in figure.data for name in trace.ids}
    assert drawn.keys() == cfg.models.keys() | cfg.corpora.keys() | roots.keys()
    assert (drawn["far"], drawn["noise"]) == ("pretrained", "random weights")
    assert [text for _, text in figure.layout.meta["legend"]] == [t.name for t in figure.data]


def test_generations_and_corpora():
    assert depths(MODELS) == {
        "top": 0,
        "left": 1,
        "right": 1,
        "leftmost": 2,
        "both": 2,
        "last": 3,
    }
    assert ordered(MODELS) == [["top"], ["left", "right"], ["leftmost", "both"], ["last"]]
    assert own_corpora(MODELS, "top") == ["babylm", "python"]
    assert own_corpora(MODELS, "last") == ["lua", "tinystories"]
