"""The lock: what pip and conda install is what pyproject.toml pins, from a registry alone."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
CONSTRAINTS = (ROOT / "envs" / "constraints.txt").read_text().splitlines()


def plain(requirement: str) -> str:
    """`name==version`, the name in its one spelling and without extras."""
    name, version = requirement.split(";")[0].strip().split("==")
    name = name.split("[")[0]
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}"


def test_every_pin_is_in_the_lock():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    pins = [*project["dependencies"], *(pin for extra in extras for pin in extra)]
    locked = {plain(line) for line in CONSTRAINTS}
    assert {plain(pin) for pin in pins} <= locked


def test_the_lock_names_no_local_file_and_no_local_build():
    assert not [line for line in CONSTRAINTS if "file:" in line or "+" in line or "/" in line]
    assert "torch==2.13.0" in CONSTRAINTS


def test_conda_installs_from_the_same_lock():
    *_, pip = yaml.safe_load((ROOT / "envs" / "featflow.yaml").read_text())["dependencies"]
    assert len(pip["pip"]) > 100 and set(pip["pip"]) <= set(CONSTRAINTS)
