"""A study goes into the file, and not a byte of what was there changes."""

import pytest
import yaml

from featflow.commands.insertion import insert, inserted, with_default
from featflow.config import ConfigError, load
from tests.commands.conftest import CONFIG

STUDY = ["  mine:", "    extends: demo  # a comment"]


def lines(indent: int) -> list[str]:
    return [" " * (indent - 2) + line for line in STUDY]


def test_below_the_last_study_of_the_shipped_file():
    old = CONFIG.read_text(encoding="utf-8")
    new = inserted(old, "mine", lines, "w.yaml")
    assert new.startswith(old) and new == old + "\n" + "\n".join(STUDY) + "\n"
    assert list(yaml.safe_load(new)["studies"]) == ["paper", "demo", "desk", "mine"]


@pytest.mark.parametrize(
    "old",
    [
        "study: a\nstudies:\n  a: {x: 1}  # end",
        "studies:\n    a:\n        x: 1\n\n# what is built\nstudy: a\n",
        "studies:\r\n  a:\r\n    x: 1\r\nstudy: a\r\n",
        "study: a\nstudies:\n# begins here\n\n",
        "study: a\nstudies:\n\nlast: 1  # kept\n",
        "\ufeff# with a byte order mark\nstudy: a\nstudies:\n  a:\n    x: [1,\n      2]\n",
        "# nothing but this\n",
        "study: a\n",
        "",
    ],
)
def test_what_was_there_is_there_in_the_same_order(old):
    new = inserted(old, "mine", lines, "w.yaml")
    before, after = yaml.safe_load(old) or {}, yaml.safe_load(new)
    assert after["studies"]["mine"] == {"extends": "demo"}
    assert before.get("studies") is None or after["studies"].items() >= before["studies"].items()
    assert after["study"] == before.get("study", "mine")
    assert ("\r\n" in old) == ("\r\n" in new) and "\n\r" not in new.replace("\r\n", "")
    at = next(i for i in range(len(new)) if new[:i] + new[len(new) - len(old) + i :] == old)
    assert 0 <= at <= len(old)  # the new text is the old one with one piece put in


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ("studies:\n  mine: {}\n", "there is a study 'mine' already"),
        ("studies: {a: {}}\n", "as a block"),
        ("- a\n- b\n", "expected a mapping"),
        ("a: [\n", "not valid YAML"),
    ],
)
def test_what_cannot_be_extended_is_refused(old, words):
    with pytest.raises(ConfigError, match=words):
        inserted(old, "mine", lines, "w.yaml")


def test_the_default_changes_alone():
    old = '# a\nstudy: "demo" # what is built\nstudies:\n  demo: {}\n'
    assert with_default(old, "mine") == old.replace('"demo"', "mine")
    assert with_default("\ufeff" + old, "mine") == "\ufeff" + old.replace('"demo"', "mine")
    assert with_default("studies: {}\n", "mine") == "study: mine\nstudies: {}\n"


def test_the_file_stays_when_the_study_is_wrong(tmp_path):
    path = tmp_path / "w.yaml"
    path.write_bytes(CONFIG.read_bytes())
    path.chmod(0o640)
    wrong = ["  mine:", "    extends: dmo"]
    with pytest.raises(ConfigError, match=r"w.yaml stays as it was.*\n.*did you mean 'demo'"):
        insert(path, "mine", lambda indent: wrong, default=False)
    assert path.read_bytes() == CONFIG.read_bytes() and len(list(tmp_path.iterdir())) == 1
    insert(path, "mine", lines, default=True)
    assert load(path).study == "mine" and len(list(tmp_path.iterdir())) == 1
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.yaml").write_bytes(CONFIG.read_bytes())
    link = tmp_path / "w.yaml"
    link.symlink_to("real.yaml")
    insert(link, "mine", lines, default=False)
    assert link.is_symlink() and "mine" in load(tmp_path / "real.yaml").studies
