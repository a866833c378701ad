"""The fingerprint follows the code, not how it is written down."""

import pytest

from featflow.plan import fingerprint as module


@pytest.fixture
def package(tmp_path, monkeypatch):
    root = tmp_path / "featflow"
    (root / "config").mkdir(parents=True)
    for folder in (root, root / "config"):
        (folder / "__init__.py").write_text("")
    (root / "a.py").write_text(
        '"""Doc."""\nfrom featflow import b\nfrom featflow.config import c\n'
    )
    (root / "b.py").write_text("x = 1\n")
    (root / "config" / "c.py").write_text("y = 1\n")
    monkeypatch.setattr(module, "PACKAGE", root)

    def now():
        module._code.cache_clear()
        return module.fingerprint("featflow.a")

    yield root, now
    module._code.cache_clear()


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        (
            "a.py",
            '"""Other."""\n# why\nfrom featflow import b\nfrom featflow.config import c\n',
            False,
        ),
        ("a.py", "from featflow import b\nfrom featflow.config import c\nz = 2\n", True),
        ("b.py", "x = 2\n", True),
        ("b.py", "x = (1)  # the same\n", False),
        ("config/c.py", "y = 2\n", False),
        ("d.py", "unrelated = 1\n", False),
    ],
)
def test_what_changes_it(package, file, text, changes):
    root, now = package
    before = now()
    (root / file).write_text(text)
    assert (now() != before) == changes


def test_closure_of_a_real_stage():
    found = module.closure("featflow.analysis.flow")
    assert "featflow.analysis.fates" in found and "featflow.artifacts.io" in found
    assert not [name for name in found if name.startswith(("featflow.config", "featflow.models"))]


def test_a_source_is_parsed_once(package, tmp_path, monkeypatch):
    root, now = package
    monkeypatch.chdir(tmp_path)
    first = now()
    assert not list(tmp_path.rglob("*.json")), "kept where Snakemake has never run"
    (tmp_path / ".snakemake").mkdir()
    assert now() == first
    monkeypatch.setattr(module.ast, "parse", None)
    assert now() == first
    (root / "b.py").write_text("x = 3\n")
    with pytest.raises(TypeError):
        now()


@pytest.mark.parametrize("damage", ["", "[]", '["a"]'])
def test_a_damaged_note_is_made_anew(package, tmp_path, monkeypatch, damage):
    _, now = package
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake").mkdir()
    first = now()
    for note in tmp_path.rglob("*.json"):
        note.write_text(damage)
    assert now() == first
