"""docs/walkthrough.md leads through code that is there, and not through too much of it."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "walkthrough.md").read_text(encoding="utf-8")


def steps() -> dict[str, tuple[set[str], set[str]]]:
    """By file: the names that its step mentions, and those that may be skipped."""
    found = {}
    for step in TEXT.split("\n## ")[1:]:
        (file, *_) = re.findall(r"\]\(\.\./(featflow/\S+\.py)\)", step)
        said, _, skipped = step.partition("*Skip:*")
        skipped = skipped.split("\n\n")[0]
        found[file] = tuple(set(re.findall(r"`(\w+)`", part)) for part in (said, skipped))
    return found


def definitions(file: str) -> dict[str, int]:
    """Lines of every class and function of a module, methods by their bare name."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {n.name: n.end_lineno - n.lineno + 1 for n in ast.walk(tree) if isinstance(n, kinds)}


def test_it_is_short_enough_to_be_read():
    lines = 0
    for file, (_, skipped) in steps().items():
        known = definitions(file)
        assert skipped <= set(known), (file, skipped - set(known))
        lines += len((ROOT / file).read_text(encoding="utf-8").splitlines())
        lines -= sum(known[name] for name in skipped)
    assert len(steps()) <= 12 and lines <= 2000


ELSEWHERE = {"shares", "controls", "edges", "partner", "r", "r_trimmed"}
"""Columns, and stages that come after."""


def test_what_it_names_is_there():
    for file, (said, _) in steps().items():
        source = (ROOT / file).read_text(encoding="utf-8")
        missing = {name for name in said if not re.search(rf"\b{name}\b", source)}
        assert missing <= {"shares", "controls", "edges", "partner", "r", "r_trimmed"}, (
            file,
            missing,
        )


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\((\w[\w-]*\.md)\)", index))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
