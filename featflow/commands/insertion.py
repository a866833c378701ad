"""A study written into workflow_config.yaml: what is there stays, byte for byte."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import yaml

from featflow.config import ConfigError, load

HEAD = "# yaml-language-server: $schema=docs/workflow_config.schema.json\n"


def insert(path: Path, name: str, lines: Callable[[int], list[str]], default: bool) -> None:
    """Write a study into a config file; the file is replaced only once the new text is checked.

    Args:
        path: the config; made where there is none.
        name: the study's.
        lines: the study's own lines, for an indentation of its name.
        default: make it the one that `snakemake` builds when none is named.

    Raises:
        ConfigError: when the study is there already, the file is no config, or the config is wrong
            with the study in it; the file is as it was.
    """
    path = path.resolve()
    old = path.read_bytes().decode("utf-8") if path.exists() else ""
    new = inserted(old, name, lines, str(path.name))
    if default:
        new = with_default(new, name)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(new.encode("utf-8"))
        _check(temporary, path, name)
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _check(written: Path, path: Path, name: str) -> None:
    try:
        load(written)
    except ConfigError as error:
        text = str(error).replace(str(written), str(path.name))
        raise ConfigError(
            f"{path.name} stays as it was; with study {name} in it:\n{text}"
        ) from None


def inserted(old: str, name: str, lines: Callable[[int], list[str]], file: str) -> str:
    """The text with a study at the end of its `studies`, in the file's own line ends.

    Raises:
        ConfigError: when there is such a study, or `studies` is not written as a block.
    """
    root = _compose(old, file)
    newline = "\r\n" if "\r\n" in old else "\n"
    if root is None or "studies" not in root:
        head = old or HEAD
        glue = "" if head.endswith("\n") else newline
        default = [] if root and "study" in root else [f"study: {name}"]
        added = [*default, "", "studies:", "", *lines(2)]
        return head + glue + newline.join(added) + newline
    key, studies = root["studies"]
    if isinstance(studies, yaml.ScalarNode) and not studies.value.strip("~"):
        return _spliced(old, key.start_mark.line + 1, lines(2), newline)
    if not isinstance(studies, yaml.MappingNode) or studies.flow_style:
        raise ConfigError(f"{file}: write `studies:` as a block, a study a line below it")
    names = [k.value for k, _ in studies.value]
    if name in names:
        raise ConfigError(
            f"{file}: there is a study {name!r} already (of: {', '.join(names)}); choose another "
            "name, or take that one out"
        )
    later = [k.start_mark.line for k, _ in root.values() if k.start_mark.line > key.start_mark.line]
    return _spliced(old, min(later, default=None), lines(studies.start_mark.column), newline)


def with_default(text: str, name: str) -> str:
    """The text with another name behind `study:`; all else, comments too, stays."""
    root = _compose(text, "the config")
    assert root is not None
    if "study" not in root:
        return f"study: {name}\n{text}"
    value = root["study"][1]
    return text[: value.start_mark.index] + name + text[value.end_mark.index :]


def _compose(text: str, file: str) -> dict[str, tuple[yaml.Node, yaml.Node]] | None:
    """The top-level keys, each with its nodes; None for an empty file."""
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {error}") from None
    if root is None:
        return None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{file}: expected a mapping with the keys study and studies")
    return {key.value: (key, value) for key, value in root.value}


def _spliced(old: str, line: int | None, added: list[str], newline: str) -> str:
    """The text with lines before this one (None: at the end), above the comments before that."""
    kept = old.splitlines(keepends=True)
    at = len(kept) if line is None else line
    while line is not None and at and (not kept[at - 1].strip() or kept[at - 1].startswith("#")):
        at -= 1
    before = "".join(kept[:at])
    glue = "" if before.endswith("\n") else newline
    return before + glue + newline.join(["", *added, ""]) + "".join(kept[at:])
