import html
import html.parser
import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from featflow.config.figures import Figure
from featflow.config.study import Study
from featflow.figures import figure as stage
from featflow.figures.style import page
from featflow.plan import paths
from featflow.plan.paths import Template
from featflow.plan.slicer import Slices
from featflow.plan.stages import STAGES

from .conftest import NAME, SETTINGS

KINDS = ("lineage", "flow", "sweep", "training", "density")
"""Those that the planted study draws."""
ELSEWHERE = ("controls", "case", "scores")
"""Those with a planted table of their own: test_controls.py, test_case.py, test_scores.py."""


@pytest.fixture(scope="session")
def pages(planted, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for kind in KINDS:
        inputs = [Path(file) for file in planted.inputs(kind)]
        stage.run(
            STAGES["figure"].slice(planted.slices, kind),
            inputs=inputs,
            output=folder / f"{kind}.html",
        )
    return {kind: folder / f"{kind}.html" for kind in KINDS}


def test_every_kind_has_its_module():
    classes = get_args(get_args(Figure)[0])
    kinds = [get_args(c.model_fields["kind"].annotation)[0] for c in classes]
    assert sorted(kinds) == sorted([*KINDS, *ELSEWHERE])
    for kind in kinds:
        module = importlib.import_module(f"featflow.figures.{kind}")
        assert callable(module.inputs) and callable(module.draw)


def test_naming_inputs_needs_no_heavy_import():
    code = (
        "import sys; from importlib import import_module;"
        f"[import_module('featflow.figures.' + kind) for kind in {KINDS + ELSEWHERE}];"
        "sys.exit(any(m in sys.modules for m in ('plotly', 'pandas', 'numpy', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def rule_outputs() -> list[str]:
    """The patterns that rules write, read from the rules' text."""
    names = set()
    for file in Path(stage.__file__).parents[2].glob("rules/*.smk"):
        for _, block in re.findall(r"\n( +)output:\n((?:\1    .*\n)+)", file.read_text()):
            names.update(re.findall(r"paths\.([A-Z_]+)", block))
    return [getattr(paths, name) for name in names]


def matches(file: str, template: str) -> bool:
    return re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), file) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_what_rules_write(kind):
    study = Study.model_validate(SETTINGS)
    module = importlib.import_module(f"featflow.figures.{kind}")
    files = module.inputs(Slices(NAME, study), study.drawn[kind])
    assert files and all(file.startswith(f"results/{NAME}/") for file in files)
    outputs = rule_outputs()
    assert len(outputs) > 5
    for file in files:
        assert any(matches(file, template) for template in outputs), file


def test_a_figure_names_the_sae_and_the_merge_it_is_told():
    more = {
        **SETTINGS,
        "saes": {"main": {"kind": "relu"}, "other": {"kind": "relu"}},
        "figures": {"draw": {"mine": {"kind": "flow", "sae": "other"}}},
    }
    study = Study.model_validate(more)
    from featflow.figures import flow

    names = flow.inputs(Slices("s", study), study.drawn["mine"])
    assert names[0] == paths.FLOW_EDGES.at(study="s", sae="other")


class Loads(html.parser.HTMLParser):
    """Every address that an element of the page would load."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.found += [
            value for key, value in attributes if key in ("src", "href", "data", "poster")
        ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_stands_alone_and_says_where_it_came_from(pages, planted, kind):
    text = pages[kind].read_text(encoding="utf-8")
    parser = Loads()
    parser.feed(text)
    assert parser.found == []
    assert "@import" not in text.split("</style>")[0] and "url(" not in text.split("</style>")[0]
    assert "default-src 'none'" in text
    assert (
        f"<title>{planted.draw(kind).layout.title.text.replace(chr(39), '&#x27;')}</title>" in text
    )
    kept = re.search(
        r'<script type="application/json" id="featflow-provenance">(.*?)</script>', text
    )
    assert kept is not None
    provenance = json.loads(kept[1])
    assert provenance["stage"] == "figure" and provenance["study"] == NAME
    assert len(provenance["inputs"]) == len(planted.inputs(kind))
    assert str(planted.root) not in text


@pytest.mark.parametrize("kind", KINDS)
def test_same_inputs_same_bytes(pages, planted, tmp_path, kind):
    inputs = [Path(file) for file in planted.inputs(kind)]
    stage.run(
        STAGES["figure"].slice(planted.slices, kind), inputs=inputs, output=tmp_path / "again.html"
    )
    assert (tmp_path / "again.html").read_bytes() == pages[kind].read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_json_is_the_same_plot_with_its_words(planted, tmp_path, kind):
    from plotly import graph_objects as go

    inputs = [Path(file) for file in planted.inputs(kind)]
    files = [tmp_path / f"{i}.json" for i in range(2)]
    for file in files:
        stage.run(STAGES["figure"].slice(planted.slices, kind), inputs=inputs, output=file)
    assert files[0].read_bytes() == files[1].read_bytes()
    content = json.loads(files[0].read_text())
    assert content.pop("featflow")["study"] == NAME
    assert "template" not in content["layout"]
    figure, said = planted.draw(kind), content["layout"]["meta"]
    assert set(said) == {"title", "subtitle", "legend", "notes", "footnote", "min_width"}
    assert said["title"] == figure.layout.title.text
    assert said["notes"] == list((figure.layout.meta or {}).get("notes", []))
    again = go.Figure(content)
    assert json.loads(again.to_json())["data"] == json.loads(figure.to_json())["data"]
    assert again.layout.height == figure.layout.height


def test_text_is_escaped():
    from plotly import graph_objects as go

    figure = go.Figure()
    evil = "</script><b>x</b>"
    figure.update_layout(title={"text": evil, "subtitle": {"text": evil}}, height=300)
    figure.update_layout(meta={"notes": [evil], "footnote": evil, "legend": [["#fff", evil]]})
    text = page(figure, "name", json.dumps({"k": evil}))
    assert "<b>x" not in text
    assert json.loads(text.split('id="featflow-provenance">')[1].split("</script>")[0]) == {
        "k": evil
    }


def test_templates_are_told_apart_by_path():
    from featflow.figures.files import matching

    files = ["/x/results/s/evaluate/lua.json", "/x/results/s/models/both/merge.json"]
    assert matching(files, paths.EVALUATE, "model") == {"lua": Path(files[0])}
    assert matching(files, paths.MERGE, "model") == {"both": Path(files[1])}
    assert matching(files, Template("results/{study}/flow/{sae}/edges.csv"), "sae") == {}


PROBE = """<script>
const said = [];
addEventListener('error', e => said.push('error: ' + e.message), true);
addEventListener('unhandledrejection', e => said.push('rejection: ' + e.reason));
addEventListener('securitypolicyviolation', e => said.push('blocked: ' + e.blockedURI));
for (const level of ['error', 'warn']) {
  const old = console[level];
  console[level] = (...words) => { said.push(level + ': ' + words.join(' ')); old(...words); };
}
addEventListener('load', () => setTimeout(() => {
  for (const r of performance.getEntriesByType('resource')) said.push('loaded: ' + r.name);
  const plot = document.querySelector('.plotly-graph-div');
  const report = {said, traces: plot.data.length, colour: plot._fullLayout.font.color,
    wide: document.documentElement.scrollWidth > innerWidth};
  document.documentElement.dataset.report = JSON.stringify(report);
}, 1500));
</script>"""


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_in_a_browser(pages, planted, tmp_path, kind, scheme):
    """Draws every trace, without a console error, and loads nothing at all."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium")
    text = pages[kind].read_text(encoding="utf-8")
    copy = tmp_path / "page.html"
    copy.write_text(text.replace("<head>", "<head>" + PROBE, 1), encoding="utf-8")
    quiet = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
        "--disable-background-networking",
        "--disable-component-update",
        "--virtual-time-budget=5000",
    ]
    shade = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    found = subprocess.run(
        [
            browser,
            *quiet,
            *shade,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            copy.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    kept = re.search(r'data-report="([^"]*)"', found.stdout)
    assert kept is not None, found.stderr[-2000:]
    report = json.loads(html.unescape(kept[1]))
    assert report["said"] == []
    assert report["traces"] == len(planted.draw(kind).data)
    assert not report["wide"]
    assert report["colour"] == {"light": "#1f2328", "dark": "#e6e8eb"}[scheme]
