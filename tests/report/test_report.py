"""The page: its numbers, its text, and that it needs nothing but itself."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from featflow.artifacts.io import ArtifactError, load_provenance
from featflow.data.composition import Part
from featflow.plan.slices import Node
from featflow.report import flow, pages, study
from featflow.report import report as stage
from featflow.report.flow import finding
from featflow.report.summary import summary
from featflow.report.tables import curve
from featflow.saes.explained import over_corpora
from featflow.wording import page_percent

from .conftest import EVIL, NAME, SETTINGS, Page, plant

SHARE = "{}\u202f%".format


def words(page: Page) -> str:
    return re.sub(r"[ \n]+", " ", page.text)


def test_no_model_is_left_out_of_the_head(planted):
    models = {**planted.cfg.models, "far": Node(kind="pretrained"), "noise": Node(kind="random")}
    text = summary(planted.cfg.model_copy(update={"models": models}), planted.files)
    kinds = "1 base, 1 pretrained, 2 fine-tunes, 1 merge and 1 with random weights."
    assert text.startswith("6 language models of ") and kinds in text


def test_the_head_says_what_came_out_beside_its_ceiling(page):
    text = words(page)
    assert "4 language models of 22 parameters each: 1 base, 2 fine-tunes and 1 merge." in text
    assert "2 corpora (code and prose) with 2,468 training tokens in all, vocabulary 300." in text
    assert "5 sparse autoencoders of 100 features each on blocks.0.mlp.hook_post, 1 of them" in text
    assert (
        f"base → tuned: 30 of 100 living features persist: {SHARE('30.0')} (95 % interval "
        f"{SHARE('30.0')} to {SHARE('30.0')}, over the SAE seeds of both ends (tuned’s taken to "
        f"scatter as base’s)); no floor, ceiling {SHARE('80.0')}, {SHARE('37.5')} of it." in text
    )
    assert f"again → both: 40 of 100 living features persist: {SHARE('40.0')} (no interval" in text
    assert f"ceiling {SHARE('80.0')} (of base), {SHARE('50.0')} of it." in text
    # 50 features are in tuned, of which 30 came from base; again has 40, all from base
    assert (
        "both: 50 of 100 living features are traced to a parent, 40 of these on to a base" in text
    )
    assert (
        "both: slerp of tuned and again at t = 0.400, where its accuracies on the data of "
        "either parent are equal." in text
    )


def test_the_corpora_are_counted_from_headers(page):
    assert page.row("corpora", "prose")[1:6] == ["files", "base, again", "7", "3", "2"]
    assert page.row("corpora", "code")[1:3] == ["generated", "tuned"]
    assert page.row("corpora", "code")[-2:] == ["1,234", "567"]


def test_the_models(page):
    assert page.row("models", "base") == [
        "base",
        "base",
        "–",
        "prose",
        "–",
        "–",
        "22",
        "99",
        "792",
        "2.500",
    ]
    assert page.row("models", "both")[1:7] == ["merge", "tuned, again", "–", "slerp", "0.400", "22"]
    assert [row[0] for row in page.tables["models"][2:]] == ["base", "again", "tuned", "both"]
    assert page.row("scores", "tuned") == [
        "tuned",
        "0.250",
        "0.125",
        "3.000",
        "4.000",
        "20.1",
        "54.6",
    ]


def test_explained_loss_is_a_dash_where_it_means_nothing(page):
    # (4.0 − 3.2) / (4.0 − 3.0) on prose; on code zeroing costs 0.01 nats: the ratio would be 51
    assert page.row("saecorpora", "base", "main", "prose")[-1] == "0.800"
    assert page.row("saecorpora", "base", "main", "code")[-1] == "–"
    assert page.row("saes", "base", "main")[10] == "0.800"
    assert page.row("saes", "tuned", "main")[10] == "–"
    assert page.row("saes", "base", "reseed (second seed of main)")[2:5] == ["100", "8,000", "25.0"]
    # of several corpora the losses are added up by their tokens
    parts = [
        {"tokens": 30, "loss_clean": 2.0, "loss_sae": 2.5, "loss_zero": 4.0},
        {"tokens": 10, "loss_clean": 3.0, "loss_sae": 3.0, "loss_zero": 3.4},
    ]
    assert over_corpora(parts) == pytest.approx((30 * 1.5 + 10 * 0.4) / (30 * 2.0 + 10 * 0.4))
    assert over_corpora([]) is None


def test_every_share_of_the_flow_stands_beside_its_ceiling(page):
    header = page.tables["edgesmain"][1]
    for edge, found, lent in (
        ("base → tuned", 30, ""),
        ("base → again", 60, ""),
        ("tuned → both", 50, "*"),
        ("again → both", 40, "*"),
    ):
        row = dict(zip(header[:11], page.row("edgesmain", edge), strict=False))
        assert row["living"] == "100" and row["persist"] == str(found)
        assert row["share"] == SHARE(f"{found}.0")
        assert row["ceiling"] == SHARE("80.0") + lent
        assert row["of ceiling"] == SHARE(f"{found / 0.8:.1f}")
        assert row["floor"] == row["corrected"] == "–"  # the study has none
        # all pairs of seeds find equally many; of the merge's parents there is one seed
        assert row["95 % interval"] == ("–" if lent else f"{found}.0 to {SHARE(f'{found}.0')} s")
        assert row["frozen"] == SHARE("100.0")
        # of a stable feature 80 of 100 are found by the reseed
        assert row["stable"] == ("–" if lent else SHARE(f"{found / 0.8:.1f}"))
    assert "*: no second seed of either model; the ceiling of base." in words(page)
    # the first 20 features are look-ups: all of them persist, of the contextual 80 ten do
    row = page.row("lookupsmain", "base → tuned")
    assert row[1:5] == ["20", SHARE("100.0"), "–", SHARE("100.0")]
    assert row[9:13] == ["80", SHARE("12.5"), "–", SHARE("75.0")]
    assert page.row("chainsmain", "both", "are traced to a parent")[2:] == [
        "50",
        "100",
        SHARE("50.0"),
    ]
    strata = page.row("stratamain", "base → again", "parent’s that persist", "all", "all")
    assert strata[4:] == ["100", "60", SHARE("60.0"), "–", SHARE("80.0"), SHARE("75.0"), "–"]


def test_what_hangs_on_a_handful_of_rows(page):
    row = page.row("fragilemain", "base → again")
    share = f"{SHARE('10.0')} !"
    assert row[1:] == ["60", "6", share, "60", "6", share, SHARE("0.0"), "–"]
    none = page.row("fragilemain", "base → tuned")
    assert none[1:] == ["30", "0", SHARE("0.0"), "30", "0", SHARE("0.0"), SHARE("0.0"), "–"]
    text = words(page)
    both = "10.0% of the features that persist and 10.0% of the child's features that are traced"
    assert f"base → again: {both} hang on a handful of rows" in text
    assert text.count("hang on a handful of rows: without these") == 1


def test_an_edge_in_words_with_all_that_it_stands_beside():
    row = {
        "edge": "base-lua",
        "persisting": 30,
        "parent_features": 100,
        "share": 0.3,
        "low": 0.25,
        "high": 0.36,
        "interval": "documents",
        "floor": 0.1,
        "floor_of": "unrelated other",
        "ceiling": 0.5,
        "ceiling_of": "base",
        "corrected": 0.5,
        "l0_parent": 20.0,
        "l0_child": 25.0,
        "l0_differs": True,
        "interval_of": None,
        "floor_unrelated": 0.1,
        "corrected_unrelated": 0.5,
        "share_of_ceiling": 0.6,
    }
    assert finding(row) == (
        f"base → lua: 30 of 100 living features persist: {SHARE('30.0')} (95 % interval "
        f"{SHARE('25.0')} to {SHARE('36.0')}, over documents, for these very SAEs); floor "
        f"{SHARE('10.0')} (other), ceiling {SHARE('50.0')}, {SHARE('60.0')} of it, corrected "
        f"{SHARE('50.0')}."
    )
    without = {**row, "ceiling": np.nan, "ceiling_of": np.nan, "corrected": np.nan}
    without["floor_of"] = "random noise"
    assert finding(without).endswith(
        f"floor {SHARE('10.0')} (random weights), no reseed to compare; floor in an unrelated "
        f"model {SHARE('10.0')}, corrected by it {SHARE('50.0')}."
    )
    assert [flow.floor(row).text, flow.interval(row).text, flow.l0(row).text] == [
        f"{SHARE('10.0')} u",
        f"25.0 to {SHARE('36.0')} d",
        "20.0, 25.0 !",
    ]


def test_settings_that_differ_from_the_other_study(planted, page):
    assert page.row("differences", "seed")[1:] == ["0", "7"]
    assert f"name: {EVIL}" in page.row("differences", "tokenizer")[2]
    assert f"{len(planted.cfg.differences)} settings differ from the study paper" in words(page)


def test_text_from_outside_stays_text(report, page):
    assert "<img" not in report.read_text(encoding="utf-8")
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"img", "iframe", "link", "object", "embed", "base", "form"})
    assert not any(key.startswith("on") for _, attrs in page.elements for key in attrs)
    assert page.text.count(EVIL) >= 4  # legend, caption, note, the config of a corpus
    plot = json.loads(page.scripts["plot-where"])
    assert plot["layout"]["height"] == 300 - 52 and "title" not in plot["layout"]
    assert plot["data"][0]["type"] == "scatter"


def test_the_page_asks_for_nothing(report, page):
    for _, attrs in page.elements:
        assert {"src", "data", "poster", "srcset", "action"}.isdisjoint(attrs)
        assert attrs.get("href", "#").startswith("#") or attrs["href"] == "explorer.html"
    style = re.search(r"<style>(.*?)</style>", report.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert "@import" not in style and "url(" not in style
    (policy,) = (a["content"] for t, a in page.elements if a.get("http-equiv"))
    assert policy.startswith("default-src 'none';") and "connect-src" not in policy
    assert report.read_text(encoding="utf-8").count("plotly.js v") == 1


def test_it_can_be_read_without_seeing_it(page):
    ids = [attrs["id"] for _, attrs in page.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    tags = [tag for tag, _ in page.elements]
    assert [tags.count(tag) for tag in ("h1", "main", "nav", "header", "footer")] == [1] * 5
    assert tags.count("table") == tags.count("caption") == 15
    for tag, attrs in page.elements:
        if tag == "th":
            assert attrs["scope"] in ("row", "col", "colgroup")
        if attrs.get("tabindex"):
            assert attrs["role"] in ("region", "group")
            assert attrs.get("aria-label") or attrs["aria-labelledby"] in ids
        if tag == "a":
            assert attrs["href"] == "explorer.html" or attrs["href"][1:] in ids
        if tag == "svg":
            assert attrs.get("aria-hidden") == "true" or attrs["aria-label"]
    assert ("html", {"lang": "en"}) in page.elements


def test_same_inputs_same_bytes_wherever_they_lie(planted, report, tmp_path):
    shutil.copytree(planted.root, tmp_path / "moved")
    moved = planted._replace(root=tmp_path / "moved")
    stage.run(moved.cfg, inputs=moved.files, output=tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == report.read_bytes()
    assert str(planted.root) not in report.read_text(encoding="utf-8")


def test_the_page_says_where_it_came_from(planted, report):
    provenance = load_provenance(report)
    assert provenance["stage"] == "report" and provenance["study"] == NAME
    assert len(provenance["inputs"]) == len(planted.files) + len(pages.page_files())
    assert "report.css" in provenance["inputs"]


def test_an_edit_of_the_page_is_seen_by_the_rule(monkeypatch, tmp_path):
    copy = shutil.copytree(pages.PAGE, tmp_path / "page")
    before = pages.page_digest()
    monkeypatch.setattr(pages, "PAGE", copy)
    assert pages.page_digest() == before
    (copy / "report.css").write_text("body { color: red }")
    assert pages.page_digest() != before
    rule = Path(stage.__file__).parents[2].joinpath("rules", "report.smk").read_text()
    assert "{page_digest()}" in rule


def test_a_study_with_nothing_but_a_model(tmp_path):
    settings = {
        "corpora": {"code": SETTINGS["corpora"]["code"]},
        "tokenizer": {"kind": "bpe", "corpora": ["code"]},
        "models": {"base": {"kind": "base", "corpora": ["code"]}},
    }
    small = plant(tmp_path, settings)
    stage.run(small.cfg, inputs=small.files, output=tmp_path / "index.html")
    page = Page((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert "1 language model of 22 parameters: 1 base." in words(page)
    assert "No sparse autoencoder." in words(page)
    ids = {attrs.get("id") for _, attrs in page.elements}
    assert {"study", "models-section", "files-section"} <= ids
    assert ids.isdisjoint({"sweep", "saes-section", "flow", "more"})
    assert page.row("scores", "base")[:2] == ["base", "0.125"]


def test_a_figure_that_is_none_is_named(planted, tmp_path):
    shutil.copytree(planted.root, tmp_path / "moved")
    moved = planted._replace(root=tmp_path / "moved")
    (bad,) = (file for file in moved.files if file.name == "where.json")
    bad.write_text("{}")
    with pytest.raises(ArtifactError, match=r"figures/where\.json.*snakemake"):
        stage.run(moved.cfg, inputs=moved.files, output=tmp_path / "index.html")
    assert not (tmp_path / "index.html").exists()


def test_small_things():
    assert page_percent(float("nan")) == "–" and page_percent(0.2656) == "26.6\u202f%"
    points = [tuple(map(float, p.split(","))) for p in curve(np.array([3.0, 2.0, 1.0])).split()]
    assert points == [(1.0, 1.0), (60.0, 13.0), (119.0, 25.0)]
    assert curve(np.array([1.0])) == "" and len(curve(np.arange(1e4)).split()) == 60


def test_many_small_sources_are_one_row():
    parts = [Part("code", f"file{i}", 1, (40 - i) / 820, (40 - i) / 820) for i in range(40)]
    shown = study.largest(parts)
    assert [part.source for part in shown[:2]] == ["file0", "file1"] and len(shown) == study.SOURCES
    assert shown[-1].source == "29 others" and shown[-1].documents == 29
    assert sum(part.split for part in shown) == pytest.approx(1)
    assert study.largest(parts[:5]) == parts[:5]
