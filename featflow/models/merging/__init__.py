"""Merge methods: a file a method, named after its `kind`, beside a class in config.merging.

A method's module has one function,

    merge(weight: Weight, settings: <its config class>) -> Merged

on one weight of every parent: its result has their shape and the first parent's dtype, and does not
depend on the other weights, nor on the order in which they are merged. What it computes in is its
own affair, but no less than float32. The facts are what merge.json tells about the weight. A method
whose config class is a `TaskVectors` is given the base's weight too. A method whose config class
has a number `t` can be swept: `sweep` and `merge` put the numbers there.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from torch import Tensor


class Weight(NamedTuple):
    """One weight of every parent, in the parents' order, all of one shape."""

    name: str
    parents: Sequence[Tensor]
    base: Tensor | None = None
    """The base's, for methods on task vectors."""


class Merged(NamedTuple):
    """A merged weight, and what there is to tell about it."""

    tensor: Tensor
    facts: dict[str, Any]


class MergeFunction(Protocol):
    """What a method's module calls `merge`."""

    def __call__(self, weight: Weight, settings: Any) -> Merged:
        """Merge the same weight of each parent."""
        ...


def method(kind: str) -> MergeFunction:
    """The function of a method."""
    return import_module(f"featflow.models.merging.{kind}").merge
