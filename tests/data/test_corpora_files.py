"""Which files a corpus is made from, in which order, under which names."""

import subprocess
import sys
import sysconfig
from collections.abc import Generator
from pathlib import Path
from typing import cast

import pytest

from featflow.config.corpora import Files
from featflow.data.corpora import files
from featflow.data.places import SourceError
from featflow.runtime.log import log


def source(*paths, **settings) -> Files:
    return Files(kind="files", paths=list(map(str, paths)), **settings)


@pytest.fixture
def tree(tmp_path):
    """A few small files, in folders, made in no particular order."""
    for name in [
        "b/deep/z.py",
        "b/a.py",
        "top.py",
        "b/test_a.py",
        "b/readme.md",
        "B.py",
        ".git/x.py",
    ]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    return tmp_path


@pytest.fixture
def said(caplog, monkeypatch):
    """What featflow logs, wherever an earlier test has led its log to."""
    monkeypatch.setattr(log, "propagate", True)
    return caplog


def names(found, root) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found]


def test_a_glob_of_any_depth_is_sorted_and_leaves_hidden_files_out(tree):
    found = names(files.local_files(source(tree / "**/*.py")), tree)
    assert found == ["B.py", "b/a.py", "b/deep/z.py", "b/test_a.py", "top.py"]
    assert names(files.local_files(source(tree / "*.py")), tree) == ["B.py", "top.py"]


def test_globs_keep_their_order_and_a_file_counts_once(tree):
    found = files.local_files(source(tree / "b/*.py", tree / "**/*.py"))
    assert names(found, tree) == ["b/a.py", "b/test_a.py", "B.py", "b/deep/z.py", "top.py"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"exclude": ["test_*.py"]}, ["B.py", "b/a.py", "b/deep/z.py", "top.py"]),
        ({"exclude": ["**/deep/**"]}, ["B.py", "b/a.py", "b/test_a.py", "top.py"]),
        ({"exclude": ["b/*"]}, ["B.py", "b/deep/z.py", "top.py"]),
        ({"exclude": ["b/**"]}, ["B.py", "top.py"]),
        ({"include": ["**/[az].py"]}, ["b/a.py", "b/deep/z.py"]),
        ({"include": ["?.py"]}, ["B.py", "b/a.py", "b/deep/z.py"]),
        ({"include": ["[!A-Z].py"]}, ["b/a.py", "b/deep/z.py"]),
        ({"include": ["b/**"], "exclude": ["a.py"]}, ["b/deep/z.py", "b/test_a.py"]),
        ({"include": ["top.py", "B.py"]}, ["B.py", "top.py"]),
        (
            {"exclude": ["op.py", "a.p", "b"]},
            ["B.py", "b/a.py", "b/deep/z.py", "b/test_a.py", "top.py"],
        ),
    ],
)
def test_include_and_exclude(tree, settings, expected):
    assert names(files.local_files(source(tree / "**/*.py", **settings)), tree) == expected


def test_names_are_below_the_fixed_root(tree, monkeypatch):
    monkeypatch.setenv("FEATFLOW_TEST_ROOT", str(tree))
    read = files.documents(source("${FEATFLOW_TEST_ROOT}/b/**/*.py", tree / "top.py"), seed=0)
    origins = {d.origin: d.text for d in read}
    assert origins == {
        "a.py": "# b/a.py\n",
        "deep/z.py": "# b/deep/z.py\n",
        "test_a.py": "# b/test_a.py\n",
        "top.py": "# top.py\n",
    }


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["r/**/*.x"], ["a", "b", "top.x"]),
        (["r/a/**/*.x", "r/b/**/*.x"], ["a", "b"]),
        (["r/a/in/*.x", "r/b/in/*.x"], ["a/in", "b/in"]),
        (["r/a/in/*.x", "r/b/in/*.x", "r/top.x"], ["a/in", "b/in", "/r"]),
    ],
)
def test_a_documents_source_is_its_top_folder_or_its_root(tmp_path, paths, expected):
    for name in ("a/in/1.x", "b/in/2.x", "top.x"):
        (tmp_path / "r" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "r" / name).write_text(name)
    read = files.documents(source(*(tmp_path / path for path in paths)), seed=0)
    assert sorted({d.source for d in read}) == sorted(
        tmp_path.name + name if name.startswith("/") else name for name in expected
    )


def test_a_variable_may_hold_the_whole_path(tree, monkeypatch):
    monkeypatch.setenv("FEATFLOW_TEST_FILE", str(tree / "b/a.py"))
    [document] = files.documents(source("${FEATFLOW_TEST_FILE}"), seed=0)
    assert document == ("# b/a.py\n", "a.py", "a.py")


def test_a_variables_value_is_literal(tmp_path, monkeypatch):
    for name in ["[ab]*", "a1"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text(name)
    monkeypatch.setenv("FEATFLOW_TEST_ROOT", str(tmp_path / "[ab]*"))
    assert files.local_files(source("${FEATFLOW_TEST_ROOT}/*.txt")) == [
        tmp_path / "[ab]*" / "x.txt"
    ]


def test_an_unset_variable_is_named_with_its_key(tree, monkeypatch):
    monkeypatch.delenv("FEATFLOW_TEST_UNSET", raising=False)
    with pytest.raises(SourceError, match=r"^paths\.1: .* FEATFLOW_TEST_UNSET is not set"):
        files.local_files(source(tree / "*.py", "${FEATFLOW_TEST_UNSET}/*.py"))


def test_an_empty_glob_is_named_with_its_key(tree):
    with pytest.raises(SourceError, match=r"^paths\.1: .*\*\.lua' matches no file.*check the path"):
        files.local_files(source(tree / "*.py", tree / "*.lua"))
    with pytest.raises(SourceError, match=r"folders only, write /\*\* after it"):
        files.local_files(source(tree / "b"))
    with pytest.raises(SourceError, match=r"^exclude: nothing is left of the 2 files"):
        files.local_files(source(tree / "*.py", exclude=["*"]))
    with pytest.raises(SourceError, match=r"^include: nothing is left of the 2 files"):
        files.local_files(source(tree / "*.py", include=["*.lua"]))


def test_the_standard_library_is_python_without_what_is_installed():
    found = files.local_files(source("{stdlib}/**/*.py"))
    library = Path(sysconfig.get_path("stdlib"))
    assert library / "json/decoder.py" in found
    assert len(found) > 500
    assert not [p for p in found if {"site-packages", "dist-packages"} & {*p.parts}]
    assert sorted(p.relative_to(library).as_posix() for p in found) == [
        p.relative_to(library).as_posix() for p in found
    ]


def test_sizes_count_in_bytes_and_what_is_left_out_is_counted(tmp_path, said):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    (tmp_path / "b.txt").write_bytes(b"x\0")
    (tmp_path / "c.txt").write_text("éé")
    (tmp_path / "d.txt").write_text("éé.")
    (tmp_path / "e.txt").write_text("éééé")
    (tmp_path / "f.txt").write_text("ééééé")
    lines = '{"text": "éé"}\n{"text": "ééééé"}\n{"text": "ééé"}\n'
    (tmp_path / "g.jsonl").write_text(lines)
    with said.at_level("INFO", logger="featflow"):
        read = list(files.documents(source(tmp_path / "*", min_bytes=5, max_bytes=8), seed=0))
    assert [(d.origin, d.text) for d in read] == [
        ("d.txt", "éé."),
        ("e.txt", "éééé"),
        ("g.jsonl:3", "ééé"),
    ]
    assert "a.txt: not UTF-8, left out" in said.text
    assert "b.txt: binary, left out" in said.text
    assert "1 binary, 1 not UTF-8, 2 too large, 2 too small" in said.text


def test_what_was_left_out_is_said_though_a_limit_ends_the_reading(tmp_path, said):
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "b.txt").write_text("text")
    (tmp_path / "c.txt").write_text("text")
    with said.at_level("INFO", logger="featflow"):
        read = cast(Generator, files.documents(source(tmp_path / "*"), seed=0))
        next(read)
        read.close()
    assert "1 too small" in said.text


def test_listing_files_imports_nothing_heavy(tree):
    code = (
        "import sys; from featflow.config.corpora import Files; "
        "from featflow.data.corpora import files; "
        f"print(len(files.local_files(Files(kind='files', paths=[{str(tree / '*.py')!r}])))); "
        "heavy = {'torch', 'pyarrow', 'pandas', 'numpy', 'datasets', 'tokenizers'}; "
        "print(*heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["2"], "")


@pytest.mark.parametrize("name", ["a.txt", "a.py", "a.json"])
def test_a_field_that_a_file_cannot_have_is_an_error(tmp_path, name):
    (tmp_path / name).write_text('["one", "two"]' if name == "a.json" else "a text")
    (tmp_path / "b.jsonl").write_text('{"body": "x"}\n')
    (tmp_path / "_SUCCESS").write_text("")  # beside what Spark writes
    for key in ("body", "text"):
        given = source(tmp_path / "*", text=key)
        with pytest.raises(SourceError, match=rf"^text: .*{name} has no fields, such as '{key}'"):
            files.local_files(given)
        with pytest.raises(SourceError, match=rf"^text: .*{name} has no fields"):
            list(files.documents(given, seed=0))
    # A copy in full, as a snapshot of the config is, names no field either.
    assert len(files.local_files(Files(**source(tmp_path / "*").model_dump()))) == 3
    without = source(tmp_path / "*", text="body", exclude=[name])
    assert [d.text for d in files.documents(without, seed=0)] == ["x"]
    assert len(files.local_files(without)) == 2


def test_a_link_that_leads_nowhere_is_an_error_unless_it_is_left_out(tmp_path):
    (tmp_path / "a.txt").write_text("a text")
    (tmp_path / "b.txt").symlink_to("/gone/b.txt")
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    (tmp_path / "c.md").symlink_to("/gone/c.md")
    with pytest.raises(SourceError, match=r"^paths: .*b\.txt is a link to /gone/b\.txt, which is"):
        files.local_files(source(tmp_path / "*.txt"))
    with pytest.raises(SourceError, match=r"loop\.txt is a link to loop\.txt"):
        files.local_files(source(tmp_path / "*", exclude=["b.*", "c.*"]))
    left = source(tmp_path / "*", exclude=["[!a]*"])
    assert files.local_files(left) == [tmp_path / "a.txt"]
