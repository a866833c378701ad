"""Which features are explained: some of each group, drawn at random, and those asked for.

A feature is judged on an edge where it is neither silent nor rare (stage `flow`), and lives if it
is judged on any edge of its model. Of the living ones:

- persisting: its fate is `persisting` on every edge on which it is judged, be its model the parent
  there or the child (where a partner in any parent counts).
- disappearing: its fate is `disappearing` on some edge of which its model is the parent.
- emerging: its fate is `emerging` where its model is the child.
- random: all living ones.

Groups overlap and are drawn independently of one another; a feature is explained once, and has the
groups it was drawn for (not all that it belongs to: a group's features stay a random sample of it).
"""

from collections.abc import Mapping
from typing import NamedTuple, get_args

import numpy as np
import pandas as pd

from featflow.config.errors import FeatflowError
from featflow.config.interpreting import Group
from featflow.features.strata import UNKNOWN
from featflow.plan.stages.interpret import InterpretSlice
from featflow.runtime.log import log

GROUPS: tuple[str, ...] = get_args(Group)

LISTED = "listed"
"""The group of features asked for by number."""

COLUMNS = ("edge", "role", "model", "feature", "fate", "lookup")
"""What is read of the flow's features.parquet."""


class Chosen(NamedTuple):
    """A feature to explain."""

    feature: int
    groups: tuple[str, ...]
    stratum: str
    """Its look-up stratum (features/strata.py) on the model's first edge that has one."""


def select(cfg: InterpretSlice, flow: pd.DataFrame | None, firings: np.ndarray) -> list[Chosen]:
    """The features to explain, ascending.

    Args:
        cfg: what is asked for.
        flow: the fates of features on all edges; None: the SAE has no edges.
        firings: (m',) on how many rows of the probe each feature fires.

    Raises:
        FeatflowError: when a feature asked for by number is not among the SAE's.
    """
    rows = None if flow is None else _own(flow, cfg)
    if rows is None or not len(rows):
        rows, members = None, _without_flow(cfg, firings)
    else:
        members = members_of(rows)
        _check_numbers(cfg, int(rows["feature"].max()) + 1)
    drawn = {group: _draw(cfg, group, members.get(group)) for group in GROUPS}
    drawn[LISTED] = sorted(set(cfg.features))
    strata = _strata(rows)
    return [
        Chosen(
            feature,
            tuple(group for group, features in drawn.items() if feature in features),
            strata.get(feature, UNKNOWN),
        )
        for feature in sorted({f for features in drawn.values() for f in features})
    ]


def members_of(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """The features of each group, ascending.

    Args:
        rows: of one model: feature and fate on each of its edges.
    """
    judged = rows[~rows["fate"].isin(["silent", "rare"])]
    living = np.sort(judged["feature"].unique())
    kept = (judged["fate"] == "persisting").groupby(judged["feature"]).all()
    return {
        "persisting": np.sort(kept.index[kept].to_numpy()),
        "disappearing": np.sort(judged.loc[judged["fate"] == "disappearing", "feature"].unique()),
        "emerging": np.sort(judged.loc[judged["fate"] == "emerging", "feature"].unique()),
        "random": living,
    }


def _own(flow: pd.DataFrame, cfg: InterpretSlice) -> pd.DataFrame:
    """The model's rows, of its own edges."""
    edges = [f"{parent}-{child}" for parent, child in cfg.edges]
    return flow[(flow["model"] == cfg.model) & flow["edge"].isin(edges)]


def _without_flow(cfg: InterpretSlice, firings: np.ndarray) -> dict[str, np.ndarray]:
    asked = [group for group, count in cfg.settings.select.items() if count and group != "random"]
    if asked:
        log.warning(
            "%s has no edge with SAE %s, so that no feature of it is %s; "
            "studies.%s.interpret: only `random` and listed `features` are explained",
            cfg.model,
            cfg.sae,
            ", ".join(asked),
            cfg.study,
        )
    return {"random": np.flatnonzero(firings)}


def _draw(cfg: InterpretSlice, group: str, members: np.ndarray | None) -> list[int]:
    count = cfg.settings.select.get(group, 0)  # type: ignore[call-overload]
    if members is None or not count:
        return []
    rng = np.random.default_rng([cfg.seed, GROUPS.index(group)])
    return sorted(rng.choice(members, min(count, len(members)), replace=False).tolist())


def _strata(rows: pd.DataFrame | None) -> Mapping[int, str]:
    if rows is None:
        return {}
    known = rows[rows["lookup"] != UNKNOWN].drop_duplicates("feature")
    return dict(zip(known["feature"].tolist(), known["lookup"].tolist(), strict=True))


def _check_numbers(cfg: InterpretSlice, count: int) -> None:
    if wrong := [feature for feature in cfg.features if feature >= count]:
        raise FeatflowError(
            f"studies.{cfg.study}.interpret.features.{cfg.model}: {wrong[0]}: SAE {cfg.sae} has "
            f"features 0 to {count - 1}"
        )
