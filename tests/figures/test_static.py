"""Figures as images: the words around the plot, the browser that draws them, the metadata."""

import json
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from featflow.config.errors import FeatflowError
from featflow.figures import chromium
from featflow.figures import figure as stage
from featflow.figures.stamps import stamped
from featflow.figures.static import EDGE, WIDTH, sheet
from featflow.figures.style import words
from featflow.plan.stages import STAGES

from .conftest import NAME

KINDS = ("lineage", "flow", "sweep", "training", "density")
SVG = "{http://www.w3.org/2000/svg}"


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", text)).replace("&lt;", "<")


@pytest.mark.parametrize("kind", KINDS)
def test_every_word_is_on_the_sheet_and_fits(planted, kind):
    figure = planted.draw(kind)
    said, drawn = words(figure, kind), sheet(figure, kind)
    texts = [annotation.text for annotation in drawn.layout.annotations]
    whole = plain(" ".join([drawn.layout.title.text, *texts])).replace("&gt;", ">")
    for text in (said.title, said.subtitle, said.footnote, *said.notes):
        assert plain(text) in whole, text
    for colour, text in said.legend:
        assert any(f"color:{colour}" in other and text in other for other in texts)
    letters = (WIDTH - 2 * EDGE) / (11 * 0.53)
    assert all(len(plain(line)) <= letters for text in texts for line in text.split("<br>"))
    assert drawn.layout.paper_bgcolor is None and drawn.layout.width == WIDTH
    assert drawn.layout.template.layout.paper_bgcolor == "#ffffff"
    added = (drawn.layout.margin.t - 12) + (drawn.layout.margin.b - 12)
    assert drawn.layout.height == pytest.approx(figure.layout.height - 52 + added)


def test_text_on_the_sheet_is_escaped():
    from plotly import graph_objects as go

    figure = go.Figure()
    figure.update_layout(title={"text": "a<b>&", "subtitle": {"text": "<i>x"}}, height=300)
    figure.update_layout(meta={"notes": ["<b>n"], "legend": [["#ffffff", "<b>k"]]})
    drawn = sheet(figure, "name")
    assert drawn.layout.title.text == "<b>a&lt;b&gt;&amp;</b>"
    texts = " ".join(annotation.text for annotation in drawn.layout.annotations)
    assert "<i>x" not in texts and "<b>n" not in texts and "<b>k" not in texts


def test_the_browser_that_is_named_stands_above_all(monkeypatch, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh\n")
    monkeypatch.setenv("BROWSER_PATH", str(mine))
    assert chromium.chromium() is None  # not executable
    mine.chmod(0o755)
    assert chromium.chromium() == str(mine)


def test_looking_for_a_browser_leaves_the_command_line_alone():
    code = "import sys; from featflow.figures.chromium import chromium; chromium(); print(sys.argv)"
    command = [sys.executable, "-c", code, "--log", "x.log"]  # logistro would end the program
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == "['-c', '--log', 'x.log']\n"


def test_looking_for_a_browser_is_cheap():
    code = (
        "import sys; from featflow.figures.chromium import chromium; chromium();"
        "sys.exit(any(m in sys.modules for m in ('plotly', 'kaleido', 'pandas', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_a_browser_images_are_left_out_with_one_line(monkeypatch, capsys):
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chromium")
    assert chromium.drawable(["html", "svg", "json", "pdf"], warn=True) == ["html", "json"]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "svg, pdf" in said and "apt install chromium" in said
    assert "BROWSER_PATH=/nowhere/chromium" in said
    assert chromium.drawable(["svg"], warn=False) == []
    assert chromium.drawable(["html"], warn=True) == ["html"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
def test_without_a_browser_the_stage_says_what_to_install(planted, tmp_path, monkeypatch, format):
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chromium")
    inputs = [Path(file) for file in planted.inputs("sweep")]
    output = tmp_path / f"sweep.{format}"
    with pytest.raises(FeatflowError, match=rf"{format}: .*plotly_get_chrome.*formats: \[html\]"):
        stage.run(STAGES["figure"].slice(planted.slices, "sweep"), inputs=inputs, output=output)
    assert list(tmp_path.iterdir()) == []


def test_a_browser_that_does_not_start_is_named(planted, tmp_path, monkeypatch):
    broken = tmp_path / "bin" / "broken"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("BROWSER_PATH", str(broken))
    inputs = [Path(file) for file in planted.inputs("sweep")]
    output = tmp_path / "out" / "sweep.svg"
    with pytest.raises(FeatflowError, match=re.escape(str(broken))):
        stage.run(STAGES["figure"].slice(planted.slices, "sweep"), inputs=inputs, output=output)
    assert not output.parent.exists()


def test_svg_without_random_names():
    drawn = (
        '<svg xmlns="http://www.w3.org/2000/svg"><defs id="defs-c0ffee"><clipPath id="clipc0ffeex">'
        '</clipPath></defs><g clip-path="url(#clipc0ffeex)"/><a href="#clipc0ffeex"/>'
        "<text>c0ffee &lt;</text></svg>"
    )
    found = stamped(drawn.encode(), "svg", "a <title>", '{"k": "<&"}').decode()
    assert found.count("000000") == 4 and found.count("c0ffee") == 1
    root = ElementTree.fromstring(found)
    metadata = root.find(f"{SVG}metadata")
    assert metadata is not None and json.loads(metadata.text or "") == {"k": "<&"}
    assert root.findtext(f"{SVG}title") == "a <title>"


def chunks(png: bytes) -> dict[bytes, bytes]:
    """A PNG's chunks by name, their checksums checked."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = {}, 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        name, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(
            name + body
        )
        found[name + body.split(b"\0")[0] if name == b"iTXt" else name] = body
        at += 12 + size
    return found


@pytest.fixture(scope="module")
def images(planted, tmp_path_factory) -> dict[str, tuple[bytes, bytes]]:
    """The sweep in each format, drawn twice."""
    if chromium.chromium() is None:
        pytest.skip("no Chromium")
    folder = tmp_path_factory.mktemp("images")
    inputs = [Path(file) for file in planted.inputs("sweep")]
    found = {}
    for format in chromium.IMAGES:
        files = [folder / f"{i}.{format}" for i in range(2)]
        for file in files:
            stage.run(STAGES["figure"].slice(planted.slices, "sweep"), inputs=inputs, output=file)
        found[format] = (files[0].read_bytes(), files[1].read_bytes())
    return found


@pytest.mark.browser
@pytest.mark.parametrize("format", chromium.IMAGES)
def test_the_same_figure_gives_the_same_bytes(images, format):
    assert images[format][0] == images[format][1]


@pytest.mark.browser
def test_svg_has_text_and_provenance(images, planted):
    root = ElementTree.fromstring(images["svg"][0])
    text = " ".join(" ".join(element.itertext()) for element in root.iter(f"{SVG}text"))
    said = words(planted.draw("sweep"), "sweep")
    assert said.title in text and "both on tinystories" in text
    assert said.footnote.split(". ")[0] in re.sub(r"\s+", " ", text)
    provenance = json.loads(root.findtext(f"{SVG}metadata") or "")
    assert provenance["stage"] == "figure" and provenance["study"] == NAME
    assert root.get("width") == str(WIDTH)


@pytest.mark.browser
def test_png_is_large_and_has_provenance(images):
    found = chunks(images["png"][0])
    width, height = struct.unpack(">II", found[b"IHDR"][:8])
    assert width == 3 * WIDTH and height > 1200
    provenance = json.loads(found[b"iTXtfeatflow"].removeprefix(b"featflow\0\0\0\0\0"))
    assert provenance["study"] == NAME


@pytest.mark.browser
def test_pdf_has_provenance_and_no_clock(images):
    pdf = images["pdf"][0]
    starts = [int(at) for at in re.findall(rb"startxref\s+(\d+)\s+%%EOF", pdf)]
    assert len(starts) == 2 and all(pdf[at : at + 4] == b"xref" for at in starts)
    trailer = pdf[pdf.rindex(b"trailer") :]
    number = int(re.search(rb"/Info (\d+) 0 R", trailer)[1])
    offset = int(re.search(rb"%d 1\n(\d{10}) 00000 n" % number, pdf[starts[1] :])[1])
    assert pdf[offset:].startswith(b"%d 0 obj" % number)
    kept = re.search(rb"/featflow <([0-9a-f]+)>", pdf[offset:])
    assert json.loads(bytes.fromhex(kept[1].decode()).decode("utf-16"))["study"] == NAME
    assert not re.search(rb"Date \(D:[1-9]", pdf)
