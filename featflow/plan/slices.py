"""What each stage reads of the config: its slice.

A slice is all that reaches a stage beside its input files, and all of the config that its results
depend on. Written as JSON with sorted keys and without defaults, it is a parameter of the stage's
rule: when it changes, the stage reruns, and nothing else does. Settings that change no result (a
device, a log level) are in the environment instead.
"""

import json
from typing import Literal

from featflow.config.base import Config, Name


class Slice(Config):
    """What every slice has."""

    study: Name

    def dumps(self) -> str:
        """JSON with sorted keys and without defaults: the same text for the same meaning."""
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)


class Windows(Config):
    """How windows are cut from a stream of tokens, for SAE and probe alike."""

    window: int
    context: Literal["full", "truncated"]
    context_length: int
    """Tokens of the blocks that the LM reads: one window, where `context` is truncated."""
    special: Literal["drop", "keep"] = "drop"
    """Whether special tokens and the first token of a block are rows (data/windows.py)."""


class ProbeRows(Config):
    """Which rows of the corpora's validation tokens features are compared on."""

    corpora: list[Name]
    windows: Windows
    tokens_per_corpus: int
    blocks_seed: int = 0


class Compared(Config):
    """A pair of models that stage `shares` compared; in the order of the input files."""

    parent: Name
    child: Name


class Node(Config):
    """A model in the graph of a study."""

    kind: Literal["base", "pretrained", "finetune", "merge", "random"]
    parents: list[Name] = []
    corpora: list[Name] = []
    method: str | None = None
    control_of: Name | None = None
    """The model that it stands for in a control."""
