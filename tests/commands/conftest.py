"""The shipped studies, and folders of text as users have them."""

import json
from pathlib import Path

import pytest

from featflow.config import Study, Workflow, load
from featflow.plan.slicer import Slices

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "workflow_config.yaml"


@pytest.fixture(scope="session")
def shipped() -> Workflow:
    return load(CONFIG)


@pytest.fixture(scope="session")
def demo(shipped) -> Study:
    return shipped.studies["demo"]


@pytest.fixture(scope="session")
def tiny() -> Slices:
    return Slices("tiny", load(ROOT / "tests/workflow/tiny.yaml").studies["tiny"])


def prose(number: int, words: int = 400) -> str:
    """A document of its own: no two numbers give the same text."""
    return " ".join(f"w{(number * 7919 + i * i) % 977}" for i in range(words)) + "\n"


@pytest.fixture(scope="session")
def texts(tmp_path_factory) -> Path:
    """Folders: notes (.txt and a few of another kind), Code-2 (.py), talks (.jsonl)."""
    root = tmp_path_factory.mktemp("texts")
    for name, ending, count in (("notes", ".txt", 100), ("Code-2", ".py", 100)):
        for i in range(count):
            path = root / name / f"{i % 7}" / f"{i}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(prose(i + 1000 * len(name)))
    (root / "notes" / "picture.png").write_bytes(bytes(range(256)) * 4000)
    (root / "notes" / "few.md").write_text("little")
    (root / "notes" / ".hidden").mkdir()
    (root / "notes" / ".hidden" / "large.rst").write_text(prose(1) * 5000)
    (root / "talks").mkdir()
    records = [{"id": f"{i}" * 50, "body": prose(i + 9000), "year": i} for i in range(120)]
    (root / "talks" / "all.jsonl").write_text("\n".join(map(json.dumps, records)))
    return root
