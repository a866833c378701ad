"""The explorer's page and its data are safe to open, whatever texts are in them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models

from featflow.artifacts.io import load_provenance, save_json
from featflow.artifacts.provenance import Provenance
from featflow.config.study import Study
from featflow.plan import paths
from featflow.plan.names import target
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES
from featflow.plan.stages.report import ExplorerSlice
from featflow.report import explorer
from featflow.report.scripts import LONGEST, rounded, script, vocabulary, write_script

from .big_explorer import build
from .conftest import Page
from .test_dashboards import value_of

EVIL = [
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "]]>&amp;",
    "\u2028new\u2029line",
    "\u202eturned\u2066\u200f",
    "nul\0\x1b\x7f",
    '"); alert(1); ("\\',
    "a" * 100_000,
    "\U0001f600é\ufeff",
]


@pytest.fixture(scope="module")
def evil() -> Tokenizer:
    """A tokenizer whose tokens are hostile texts."""
    entries = {text: i for i, text in enumerate(["<s>", *EVIL])}
    tokenizer = Tokenizer(models.WordLevel(entries, unk_token="<s>"))
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def shown(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def test_hostile_tokens_stay_inside_their_json(evil, tmp_path):
    texts = vocabulary(evil)
    assert texts == ["<s>", *map(shown, EVIL)]
    write_script(tmp_path / "vocabulary.js", "vocabulary", texts)
    content = (tmp_path / "vocabulary.js").read_bytes()
    assert content.isascii() and not set(b"<>&\0\x1b\x7f") & set(content)
    assert content.count(b"\n") == 1 and len(content) < 5000
    assert value_of(tmp_path / "vocabulary.js") == ("vocabulary", texts)


@pytest.mark.skipif(not shutil.which("node"), reason="there is no node")
def test_a_script_engine_reads_the_same(evil, tmp_path):
    texts = [*vocabulary(evil), "\ud800 alone"]
    write_script(tmp_path / "vocabulary.js", "vocabulary", texts)
    program = (
        "const seen = {};"
        "global.featflow = {put(key, value) { seen[key] = value; }};"
        f"require({json.dumps(str(tmp_path / 'vocabulary.js'))});"
        "console.log(JSON.stringify(seen).replace(/[\\u0080-\\uffff]/g, c => '\\\\u' + "
        "c.charCodeAt(0).toString(16).padStart(4, '0')));"
    )
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"vocabulary": texts}


def test_tokens_keep_their_spaces(tokenizer_file):
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    texts = vocabulary(tokenizer)
    assert texts[tokenizer.token_to_id("Ġthe")] == " the"
    assert texts[tokenizer.token_to_id("Ċ")] == "\n"
    assert texts[tokenizer.token_to_id("Ã")] == "\ufffd"  # half of a character
    assert texts[tokenizer.token_to_id("</s>")] == "</s>"


def test_a_metaspace_tokenizer_keeps_them_too():
    entries = {"<s>": 0, "▁the": 1, "cat": 2, "<0x0A>": 3, "<0xC3>": 4}
    tokenizer = Tokenizer(models.WordLevel(entries, unk_token="<s>"))
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    assert vocabulary(tokenizer) == ["<s>", " the", "cat", "\n", "\ufffd"]


def test_numbers_are_short_and_finite():
    assert rounded([0.0, 1.0, float("nan"), 123456.0, 0.000123456]) == [
        0,
        1,
        None,
        123500,
        0.0001235,
    ]
    with pytest.raises(ValueError):
        script("a", float("inf"))


SETTINGS = {
    "corpora": {
        "prose": {"kind": "files", "paths": [EVIL[0]]},
        "code": {"kind": "generated", "language": "lua", "documents": 10},
    },
    "tokenizer": {"kind": "bpe", "corpora": ["prose", "code"]},
    "models": {
        "base": {"kind": "base", "corpora": ["prose"]},
        "tuned": {"kind": "finetune", "parent": "base", "corpora": ["code"]},
        "noise": {"kind": "random", "like": "base"},
    },
    "saes": {"main": {"kind": "relu"}},
    "cases": {"sign": {"tokens": ["="]}},
}


@pytest.fixture
def page(tmp_path, evil) -> Path:
    """The page of a small study, with one hostile case."""
    study = Study.model_validate(SETTINGS)
    slices = Slices("small", study)
    cfg = ExplorerSlice.model_validate_json(STAGES["explorer"].slice(slices).dumps())
    tokenizer = tmp_path / paths.TOKENIZER.at(study="small")
    tokenizer.parent.mkdir(parents=True)
    evil.save(str(tokenizer))
    case = tmp_path / paths.CASE.at(study="small", case="sign")
    about = {"case": "sign", "model": "base", "sae": "main", "feature": 3, "verdict": EVIL[0]}
    about["function"] = EVIL[0]
    found = {"base": {"feature": 3, "f1": 0.5}, "tuned": {"feature": None}}
    save_json(
        case, {**about, "models": found}, Provenance("case", STAGES["case"].slice(slices, "sign"))
    )
    edges = tmp_path / paths.FLOW_EDGES.at(study="small", sae="main")
    edges.parent.mkdir(parents=True)
    edges.write_text("edge,threshold,persisting,share\nbase-tuned,0.8,12,\n")
    output = tmp_path / paths.EXPLORER.at(study="small")
    explorer.run(
        cfg, dashboards=[], tokenizer=tokenizer, output=output, edges=[edges], cases=[case]
    )
    return output


def test_the_page_says_what_the_study_is(page):
    text = page.read_text(encoding="utf-8")
    found = Page(text)
    content = json.loads(found.scripts["study"])
    assert content["study"] == "small"
    assert content["saes"] == {"main": ["base", "tuned"]}
    assert content["models"] == {
        "base": {"kind": "base", "parents": [], "corpora": ["prose"], "control_of": None},
        "tuned": {"kind": "finetune", "parents": ["base"], "corpora": ["code"], "control_of": None},
    }
    assert content["edges"] == [["base", "tuned"]]
    assert content["flow"] == {
        "threshold": 0.8,
        "scope": "home",
        "min_firings": 20,
        "min_documents": 5,
    }
    row = {"edge": "base-tuned", "threshold": 0.8, "persisting": 12, "share": None}
    assert content["counts"] == {"main": [row]}
    (case,) = content["cases"]
    assert case["verdict"] == EVIL[0] and case["models"] == {"base": 3, "tuned": None}


def test_no_text_ends_an_element_and_the_page_says_where_it_comes_from(page):
    text = page.read_text(encoding="utf-8")
    assert EVIL[0] not in text and "onerror=alert(1)>" not in text
    assert text.lower().count("<script") == text.lower().count("</script")
    found = load_provenance(page)
    assert found and found["stage"] == "explorer" and "explorer.html" in str(found["inputs"])
    assert value_of(page.with_name("vocabulary.js"))[1][1] == EVIL[0]
    study = paths.STUDY.at(study="small")
    assert target(f"{study}/report/vocabulary.js") == f"{study}/report/explorer.html"


def test_a_part_that_would_end_its_element_is_refused(page, tmp_path, monkeypatch):
    from featflow.config.errors import FeatflowError

    parts = tmp_path / "site"
    shutil.copytree(explorer.SITE, parts)
    (parts / "zz.js").write_text("const a = '</SCRIPT>';")
    monkeypatch.setattr(explorer, "SITE", parts)
    with pytest.raises(FeatflowError, match=r"zz\.js: it may not contain </script"):
        explorer.render({"study": "small"}, {})


def test_a_case_without_its_keys_is_named(page, tmp_path):
    from featflow.artifacts.io import ArtifactError

    cfg = STAGES["explorer"].slice(Slices("small", Study.model_validate(SETTINGS)))
    bad = tmp_path / "bad.json"
    bad.write_text('{"case": "sign", "model": "base"}')
    with pytest.raises(
        ArtifactError, match=r"bad\.json: .*no key sae, feature, verdict, function, models"
    ):
        explorer.content(cfg, [], [bad])


def test_a_random_explorer_is_built(tmp_path):
    build(tmp_path, 70)
    key, index = value_of(tmp_path / "features" / "lua" / "main" / "index.js")
    assert key == "lua/main" and index["features"] == len(index["columns"]["max"]) == 70
    _, last = value_of(tmp_path / "features" / "lua" / "main" / "1.js")
    assert [feature["id"] for feature in last] == list(range(64, 70))
    assert (tmp_path / "explorer.html").stat().st_size > 1000
