import json
import re
from pathlib import Path

import numpy as np
import pytest

from featflow.analysis import case
from featflow.analysis.choice import LIVING, NOT_SEEDED, occurrences
from featflow.analysis.evidence import Counts
from featflow.analysis.tracing import Link, follow
from featflow.analysis.verdicts import FUNCTIONS, WORDS, function_sentence, functions, verdicts
from featflow.artifacts.io import ArtifactError, load_json
from featflow.config.errors import FeatflowError
from featflow.plan.slices import Node
from featflow.plan.stages.analysis import CASE as DESCRIBED

from .planted_case import CORPORA, Planted


@pytest.fixture(scope="module")
def planted(tmp_path_factory, tokenizer_file) -> Planted:
    return Planted(tmp_path_factory.mktemp("case"), tokenizer_file)


@pytest.fixture
def another(tmp_path, tokenizer_file) -> Planted:
    """One that a test may change."""
    return Planted(tmp_path, tokenizer_file)


@pytest.fixture(scope="module")
def found(planted) -> dict:
    output = planted.folder / "case.json"
    case.run(planted.cfg(), **planted.files(), output=output)
    text = output.read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert json.loads(text)["featflow"]["stage"] == "case"
    return load_json(output)


def test_it_is_the_best_of_those_that_a_reseed_finds(planted, found):
    assert (found["model"], found["feature"]) == ("base", 0)  # 1 is better, and no reseed's
    assert found["choice"]["candidates"] == found["choice"]["reseeded"] == 2
    assert found["choice"]["living"] == 4  # not the rare one, not the silent one
    assert [each["feature"] for each in found["runners_up"]] == [2]
    assert found["runners_up"][0]["mass"] == 1
    assert found["models"]["base"]["best"]["feature"] == 1
    r = {name: each["r"] for name, each in found["reseeds"].items()}
    assert r == pytest.approx({"reseed": 0.9, "reseed2": 0.7})
    assert found["models"]["base"]["reseed_r"] == pytest.approx(0.8)
    assert found["models"]["kept"]["reseed_r"] is None


def test_the_numbers_are_those_of_numpy(planted, found):
    s, n = planted.marks, len(planted.marks)
    p = (s.sum() + 0.5) / (n + 1)
    assert found["probe"] == {"corpora": CORPORA, "tokens": n, "marked": int(s.sum())}
    assert found["probability"] == pytest.approx(p, rel=1e-5)
    assert found["cap"] == pytest.approx(-np.log(p), rel=1e-5)
    first = planted.activations["base"][:, 0]
    elsewhere = np.mean(first[~s] > 0)
    for model, each in found["models"].items():
        f = planted.activations[model][:, each["feature"]].astype(np.float64)
        both, fired = np.sum((f > 0) & s), np.sum(f > 0)
        precision, recall = both / fired, both / s.sum()
        expected = {
            "firings": fired,
            "precision": precision,
            "recall": recall,
            "f1": 2 * precision * recall / (precision + recall),
            "llr": np.log((both + 0.5) / (fired + 1) / p),
            "density": np.mean(f > 0),
            "mass": f[s].sum() / f.sum(),
            "other_rate": np.mean(f[~s] > 0),
            "other_ratio": np.mean(f[~s] > 0) / elsewhere,
            "max": f.max(),
        }
        assert {key: each[key] for key in expected} == pytest.approx(expected, rel=1e-5)
        assert each["llr"] < found["cap"]


def test_every_two_models_are_correlated(planted, found):
    models = found["r"]["models"]
    assert models[0] == "base" and models[-1] == "merged" and set(models) == set(planted.models)
    values = [planted.activations[m][:, found["models"][m]["feature"]] for m in models]
    expected = np.corrcoef(np.array(values, np.float64))
    assert np.allclose(found["r"]["matrix"], expected, atol=1e-5)
    above = expected[np.triu_indices(len(models), 1)]
    assert found["mean_r"] == pytest.approx(above.mean(), abs=1e-5)


def test_what_became_of_it(found):
    models = found["models"]
    assert {m: each["verdict"] for m, each in models.items()} == {
        "base": "origin",
        "kept": "persists",
        "lost": "vanishes",
        "split": "vanishes",  # no half of it fires as the whole did
        "merged": "persists",
    }
    assert models["kept"]["feature"] == 1 and models["lost"]["feature"] == 0
    assert models["split"]["parents"]["base"]["fate"] == "disappearing"
    parents = models["merged"]["parents"]
    # lost's near miss is in the merge, unchanged; the feature itself came by way of kept
    assert parents["lost"]["r"] == pytest.approx(1) and parents["lost"]["feature"] == 1
    assert parents["kept"]["r"] < 1 and parents["kept"]["feature"] == 0
    assert (models["merged"]["via"], models["merged"]["feature"]) == ("kept", 0)
    near = models["lost"]["link_r"]
    assert f"lost (nearest miss r {near:.2f}, its own best for the tokens)" in found["verdict"]
    assert found["verdict"].startswith("persists in kept and merged; vanishes in lost (")
    assert "; its own reseeds find it at r 0.90 and 0.70; the same" in found["verdict"]


def test_a_better_feature_that_is_not_followed_is_shown_with_its_own_fate(planted, found):
    best, s = found["best_marking"], planted.marks
    column = planted.activations["base"][:, 1]
    assert best["feature"] == 1
    assert best["f1"] == pytest.approx(
        2 * np.sum((column > 0) & s) / (np.sum(column > 0) + s.sum())
    )
    assert best["f1"] > found["models"]["base"]["f1"]
    assert best["why"] == "no reseed finds it at r > 0.8 (0.30 and 0.50)"
    assert best["reseeds"] == pytest.approx({"reseed": 0.3, "reseed2": 0.5})
    assert best["reseed_r"] == pytest.approx(0.4)
    assert best["models"]["base"] == {"feature": 1, "link_r": None, "verdict": "origin"}
    # kept has the very feature, scaled; the followed one goes to another
    assert best["models"]["kept"] == {
        "feature": 2,
        "link_r": pytest.approx(1),
        "verdict": "persists",
    }
    assert found["models"]["kept"]["feature"] == 1
    assert "feature 1 marks them better" in "\n".join(case.said(found))


def test_a_verdict_stands_beside_that_on_the_reseeds_features(planted, found):
    seeds, s = found["reseeds"], planted.marks
    assert {name: each["feature"] for name, each in seeds.items()} == {"reseed": 1, "reseed2": 0}
    for name, each in seeds.items():
        column = planted.seeds[name][:, each["feature"]]
        both, fired = np.sum((column > 0) & s), np.sum(column > 0)
        assert each["firings"] == fired
        assert each["f1"] == pytest.approx(2 * both / (fired + s.sum()), rel=1e-5)
        assert each["best"]["feature"] == each["feature"]  # the rest of them is noise
    whole, half = (
        {m: fate["verdict"] for m, fate in seeds[name]["models"].items()} for name in seeds
    )
    # the same feature has the same fates; a half of it is what split has
    assert whole == {m: each["verdict"] for m, each in found["models"].items()}
    assert half["kept"] == half["lost"] == "vanishes" and half["split"] == "persists"
    one, other = (seeds[name]["models"]["split"]["link_r"] for name in ("reseed", "reseed2"))
    assert one == pytest.approx(found["models"]["split"]["link_r"], abs=1e-5)
    assert other == pytest.approx(1, abs=1e-5)
    kept = [seeds[name]["models"]["kept"]["link_r"] for name in seeds]
    low, high = min(kept), max(kept)
    assert f"kept 1 of 2 (r {low:.2f} to {high:.2f})" in found["verdict"]
    assert f"split 1 of 2 (r {min(one, other):.2f} to {max(one, other):.2f})" in found["verdict"]


def test_without_a_partner_a_reseed_has_no_fates(another):
    another.write_shares({"reseed": [0.9], "reseed2": []})
    found = case.study(another.cfg(), **another.files())
    lone = found["reseeds"]["reseed2"]
    assert (lone["r"], lone["feature"], lone["f1"], lone["models"]) == (None, None, None, None)
    assert lone["best"]["feature"] == 0 and "kept 1 of 1 (r " in found["verdict"]


def test_the_function_is_judged_apart_from_the_feature(planted, found):
    f1 = {m: each["best"]["f1"] for m, each in found["models"].items()}
    bar = min(0.9 * f1["base"], *(each["best"]["f1"] for each in found["reseeds"].values()))
    words = {m: each["function"] for m, each in found["models"].items()}
    assert words.pop("base") == "origin"
    for model, word in words.items():
        assert word == ("lost" if f1[model] < 0.3 else "kept" if f1[model] >= bar else "weaker")
    assert words["kept"] == "kept"  # its best is another than the one that was followed there
    assert found["models"]["kept"]["best"]["feature"] == 2
    assert f"kept ({f1['kept']:.2f})" in found["function"]
    assert f"best F1 in base {f1['base']:.2f}, in its reseeds " in found["function"]


@pytest.mark.parametrize(
    ("first", "seeds", "other", "expected"),
    [
        (0.8, [], 0.721, "kept"),
        (0.8, [], 0.71, "weaker"),
        (0.8, [0.6], 0.61, "kept"),  # what one of the model's own seeds has is as well
        (0.8, [0.6], 0.59, "weaker"),
        (0.8, [0.79], 0.73, "kept"),
        (0.8, [0.1], 0.29, "lost"),
        (0.8, [], None, "lost"),
        (0.29, [0.5], 0.9, "unmarked"),
        (None, [], 0.9, "unmarked"),
    ],
)
def test_every_verdict_on_a_function(first, seeds, other, expected):
    best = {"base": first, "child": other}
    words = functions(best, "base", seeds)
    assert words == {"base": "origin", "child": expected} and set(words.values()) <= set(FUNCTIONS)
    said = function_sentence(words, best, "base", seeds)
    begins = {
        "kept": "the tokens are marked as well in child (",
        "weaker": "less well in child (",
        "lost": "by no feature in child (",
        "unmarked": "no feature of base marks the tokens (best F1 in base ",
    }
    assert said.startswith(begins[expected])
    alone = {"base": first}
    assert function_sentence(functions(alone, "base", seeds), alone, "base", seeds) == (
        f"best F1 in base {first or 0:.2f}" + (f", in its reseeds {seeds[0]:.2f}" if seeds else "")
    )


def test_passages_show_every_model_on_the_same_rows(planted, found):
    assert len(found["passages"]) == 4
    assert len({(p["corpus"], p["document"]) for p in found["passages"]}) == 4
    first = planted.split(planted.activations["base"][:, 0] * planted.marks)
    # those on which its fate is judged come first, weaker than some of code
    assert {p["corpus"] for p in found["passages"]} == {"prose"}
    assert all(p["in_scope"] for p in found["passages"]) and found["judged_on"] == ["prose"]
    strongest = first["prose"].max()
    assert first["code"].max() > sorted(first["prose"])[-4]
    for i, passage in enumerate(found["passages"]):
        corpus, begin = passage["corpus"], passage["position"]
        ids, starts = planted.streams[corpus]
        stop = begin + len(passage["ids"])
        assert passage["ids"] == ids[begin:stop].tolist()
        inside = starts[(starts > begin) & (starts < stop)]
        assert not len(inside)  # of one document
        assert "".join(passage["texts"]) == planted.tokenizer.decode(
            ids[begin:stop].tolist(), skip_special_tokens=False
        )
        for model, values in passage["values"].items():
            column = planted.activations[model][:, found["models"][model]["feature"]]
            known = dict(zip(planted.positions[corpus], planted.split(column)[corpus], strict=True))
            expected = [known.get(at) for at in range(begin, stop)]
            assert [v is None for v in values] == [v is None for v in expected]
            assert [v for v in values if v is not None] == pytest.approx(
                [v for v in expected if v is not None], abs=1e-4
            )
        here = passage["values"]["base"][passage["at"]]
        assert passage["marked"][passage["at"]] and here > 0
        if i == 0:
            assert here == pytest.approx(strongest, abs=1e-4)


def test_misses_are_where_the_nearest_miss_fires_alone(found):
    assert {miss["model"] for miss in found["misses"]} == {"lost"}  # the halves fire only with it
    for miss in found["misses"]:
        assert miss["values"]["lost"][miss["at"]] > 0
        assert miss["values"]["base"][miss["at"]] == 0


def test_a_model_without_reseeds(another):
    another.reseeds = []
    found = case.study(another.cfg(), **another.files())
    assert found["feature"] == 1 and found["choice"]["rule"] == LIVING
    assert found["reseeds"] == {} and found["choice"]["reseeded"] is None
    assert found["verdict"].endswith("no reseed says how well it could be found again")


def test_no_reseed_has_one_that_fires_on_the_tokens(another):
    another.write_shares({"reseed": [0.1] * 6, "reseed2": [0.1] * 6})
    found = case.study(another.cfg(), **another.files())
    assert found["feature"] == 1 and found["choice"]["rule"] == NOT_SEEDED


def test_a_model_without_relatives(another):
    another.models = {"base": another.models["base"]}
    found = case.study(another.cfg(), **another.files(flow=None))
    assert found["mean_r"] is None and list(found["models"]) == ["base"]
    assert found["verdict"].startswith("there is no other model")


def test_by_number_its_most_typical_token_stands_for_it(planted):
    found = case.study(planted.cfg(feature="base/2"), **planted.files())
    assert found["feature"] == 2 and found["query"] == {"feature": "base/2", "marks": ["="]}
    assert found["ids"] == sorted(planted.tokens_of("=", " ="))
    assert found["models"]["base"]["precision"] == 1
    assert found["models"]["base"]["llr"] > found["cap"] - 0.02  # it cannot rank: recall is 0.2


def test_an_ancestor_and_a_sibling(planted):
    found = case.study(planted.cfg(feature="kept/1"), **planted.files())
    verdicts = {m: each["verdict"] for m, each in found["models"].items()}
    assert verdicts["kept"] == "origin" and verdicts["base"] == "present"
    assert verdicts["merged"] == "persists" and verdicts["lost"] == "vanishes"
    assert found["models"]["base"]["children"]["kept"]["feature"] == 0
    assert found["models"]["base"]["feature"] == 0


@pytest.mark.parametrize("text", ["cat sat", "at", " =", "the"])
def test_a_text_is_found_however_it_is_cut(planted, text):
    found = case.study(planted.cfg(text=text), **planted.files())
    rows = []
    for corpus in CORPORA:
        ids, starts = planted.streams[corpus]
        inside = np.zeros(len(ids), bool)
        for start, stop in zip(starts, [*starts[1:], len(ids)], strict=True):
            pieces = [
                planted.tokenizer.decode([i], skip_special_tokens=False) for i in ids[start:stop]
            ]
            owner = np.repeat(np.arange(start, stop), [len(piece) for piece in pieces])
            for match in re.finditer(f"(?={re.escape(text)})", "".join(pieces)):
                inside[owner[match.start() : match.start() + len(text)]] = True
        rows.append(inside[planted.positions[corpus]])
    expected = np.concatenate(rows)
    assert found["probe"]["marked"] == expected.sum() > 0
    assert found["ids"] == np.unique(planted.ids[expected]).tolist()


def test_characters_that_are_spread_over_tokens(planted):
    text = "a cat é中 é sat"
    ids = np.array(planted.tokenizer.encode(text, add_special_tokens=False).ids)
    assert len(planted.tokenizer.encode("中", add_special_tokens=False).ids) == 3
    alone = planted.tokenizer.encode("a cat é", add_special_tokens=False).ids
    found = occurrences("中", ids, planted.tokenizer)
    assert np.flatnonzero(found).tolist() == [len(alone) + i for i in range(3)]
    assert occurrences("é", ids, planted.tokenizer).sum() == 4
    assert not occurrences("dog", ids, planted.tokenizer).any()


def test_tokens_that_are_not_there(planted):
    with pytest.raises(FeatflowError) as error:
        case.study(planted.cfg(tokens=["=", "caat", "catmat"]), **planted.files())
    message = str(error.value)
    assert "studies.planted.cases.assignment: 'caat' is no token of the vocabulary" in message
    assert "the closest are 'cat'" in message and "'cat' + 'mat'" in message
    assert "text: 'catmat'" in message
    with pytest.raises(FeatflowError, match=r"'z' never occurs on the probe .* of code, prose"):
        case.study(planted.cfg(tokens=["z"]), **planted.files())
    with pytest.raises(FeatflowError, match="'the zebra' never occurs"):
        case.study(planted.cfg(text="the zebra"), **planted.files())


@pytest.mark.parametrize(("number", "more"), [(5, "last that does is base/4"), (400, "base/4")])
def test_a_feature_that_never_fires(planted, number, more):
    with pytest.raises(FeatflowError, match=f"base/{number} of SAE main never fires") as error:
        case.study(planted.cfg(feature=f"base/{number}"), **planted.files())
    assert more in str(error.value) and "summary.parquet" in str(error.value)


def test_no_feature_fires_on_the_tokens(another):
    values = another.activations["base"]
    values[another.marks] = 0
    another.write("base", values)
    with pytest.raises(FeatflowError, match=r"living features of base\.main none fires on '='"):
        case.study(another.cfg(), **another.files())


def test_files_that_do_not_belong_together(another):
    with pytest.raises(ArtifactError, match="compares main with no reseed2"):
        another.write_shares({"reseed": [0.9]})
        case.study(another.cfg(), **another.files())
    another.positions["code"] = another.positions["code"] + 1
    another.write("lost", another.activations["lost"])
    another.write_shares({"reseed": [0.9], "reseed2": []})
    with pytest.raises(ArtifactError, match=r"base\.code and .*lost\.code are not of the same"):
        case.study(another.cfg(), **another.files())
    results = another.folder / "results/planted/features/kept/main"
    results.mkdir(parents=True)
    (results / "code.safetensors").write_bytes((another.folder / "base.code").read_bytes())
    dumps = another.files()["dumps"]
    with pytest.raises(ArtifactError, match="is of model kept, where one of base is wanted"):
        case.study(another.cfg(), **another.files(dumps=[results / "code.safetensors", *dumps[1:]]))


def test_f1_and_llr_of_features_that_never_fire():
    numbers = [[0, 4, 10], [0, 4, 5], [0, 8.0, 20], [0, 8.0, 5]]
    counts = Counts(*map(np.array, numbers), n_s=8, n=100)
    assert counts.mass == pytest.approx([0, 1, 0.25])
    assert counts.f1 == pytest.approx([0, 2 * 4 / 12, 2 * 5 / 18])
    assert counts.precision == pytest.approx([0, 1, 0.5])
    p = 8.5 / 101
    assert counts.llr == pytest.approx(np.log([0.5 / p, 4.5 / 5 / p, 5.5 / 11 / p]))
    assert counts.ranked(np.ones(3, bool), 5) == [1, 2]


CHAIN = {
    "root": Node(kind="base"),
    "middle": Node(kind="finetune", parents=["root"]),
    "far": Node(kind="finetune", parents=["middle"]),
}


@pytest.mark.parametrize(
    ("first", "second", "r_far", "expected"),
    [
        (0.9, 0.9, 0.85, ("persists", "persists")),
        (0.9, 0.9, 0.5, ("persists", "drifts")),
        (0.9, 0.6, 0.5, ("persists", "vanishes")),
        (0.9, 0.6, 0.85, ("persists", "returns")),
        (0.6, 0.9, 0.5, ("vanishes", "lost")),
        (0.6, 0.9, 0.85, ("vanishes", "returns")),
        (0.6, None, None, ("vanishes", "unknown")),
    ],
)
def test_every_verdict_of_a_chain(first, second, r_far, expected):
    r = {"middle": first, "far": second}

    def look(parent, child, role, feature):
        assert role == "parent"
        value = r[child]
        fate = "persisting" if (value or 0) > 0.8 else "disappearing"
        return Link(None if value is None else 7, value, fate, (value or 0) > 0.8)

    places = follow(CHAIN, "root", 3, look)
    words = verdicts(places, "root", {"root": 1.0, "middle": first, "far": r_far}, 0.8)
    assert (words["middle"], words["far"]) == expected


def test_upwards_and_unjudged():
    def look(parent, child, role, feature):
        if role == "child":
            return Link(5, 0.7, "emerging", False)
        return Link(6, 0.9, "rare", False)

    places = follow(CHAIN, "middle", 3, look)
    assert (places["root"].feature, places["far"].feature) == (5, 6)
    words = verdicts(places, "middle", {"root": 0.6, "middle": 1.0, "far": 0.9}, 0.95)
    assert words == {"root": "absent", "middle": "origin", "far": "unjudged"}


def test_the_docs_explain_every_verdict():
    page = (Path(__file__).parents[2] / "docs" / "cases.md").read_text(encoding="utf-8")
    table = page[page.index("| verdict | meaning |") : page.index("The sentence over all of it")]
    named = {word for row in table.splitlines()[2:] for word in row.split("|")[1:2]}
    assert {each.strip() for cell in named for each in cell.split(",")} - {""} == set(WORDS)
    described = next(f for f in DESCRIBED.fields if f.name == "models.{model}.verdict")
    assert set(re.findall(r"\w+", described.meaning)) - {"or"} == set(WORDS)


def test_every_key_is_described(found):
    """As tests/workflow/test_formats.py does for a built study, here with several models."""

    def leaves(value, at=""):
        whole = any(f.type == "object" and pattern(f.name).fullmatch(at) for f in DESCRIBED.fields)
        if not isinstance(value, dict) or whole:
            return [at]
        return [leaf for k, v in value.items() for leaf in leaves(v, f"{at}.{k}" if at else k)]

    def pattern(name):
        return re.compile(re.sub(r"\\{\w+\\}", "[a-z0-9]+", re.escape(name)))

    names = leaves(found)
    for name in names:
        assert any(pattern(f.name).fullmatch(name) for f in DESCRIBED.fields), name
    for field in DESCRIBED.fields:
        assert field.optional or any(pattern(field.name).fullmatch(n) for n in names), field.name
