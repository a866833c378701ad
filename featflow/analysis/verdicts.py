"""What became of a case's feature in each model, in a word and in a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from featflow.analysis.tracing import Link, Place

WORDS = {
    "origin": "it was found here",
    "persists": "every link from the model where it was found holds (r > τ)",
    "drifts": "every link holds, and yet r with the first feature, on the whole probe, is not "
    "above τ: two links of 0.8 guarantee only 0.28",
    "vanishes": "the link into this model does not hold: what stands here is the nearest miss",
    "returns": "the path is broken on the way here, and yet r with the first feature, on the whole "
    "probe, is above τ",
    "lost": "the path is broken before this model: what stands here is a near miss's partner",
    "unjudged": "the feature that leads here is silent or rare on the scope of that edge",
    "present": "an ancestor that has it already: every link from there to here holds",
    "absent": "an ancestor without it: a link from there to here does not hold",
    "unknown": "no link leads to a feature here",
}
"""Each model's verdict and what it means."""


WEAK = 0.3
"""A feature with a smaller F1 does not mark the tokens: its fate is not theirs."""


def verdicts(
    places: Mapping[str, Place], model: str, r: Mapping[str, float | None], threshold: float
) -> dict[str, str]:
    """A word of `WORDS` for each model.

    Args:
        places: where the feature is; parents before children.
        model: where it was found.
        r: of each model's feature with the one that was found, on the whole probe.
        threshold: τ.
    """

    def word(name: str, place: Place) -> str:
        if name == model:
            return "origin"
        if place.feature is None or place.came_from is None:
            return "unknown"
        above, before = r.get(name), places[place.came_from]
        same = above is not None and above > threshold
        if place.children:
            return "present" if place.unbroken else "absent"
        if place.unbroken:
            return "persists" if same or place.came_from == model else "drifts"
        if same and place.came_from != model:
            return "returns"
        if before.unbroken:
            unjudged = place.parents[place.came_from].fate in ("silent", "rare")
            return "unjudged" if unjudged else "vanishes"
        return "lost"

    return {name: word(name, place) for name, place in places.items()}


def sentence(
    found: Mapping[str, str],
    places: Mapping[str, Place],
    reseeds: Mapping[str, float | None],
    f1: float,
    best: Mapping[str, int],
) -> str:
    """The verdicts on all models, with what the first feature's own reseeds find of it.

    Args:
        found: the word of each model.
        places: where the feature is.
        reseeds: r with each reseed's best partner.
        f1: of the first feature.
        best: each model's own feature with the best F1 for the tokens, where one fires on them.
    """
    by_word: dict[str, list[str]] = {}
    for name, word in found.items():
        if word != "origin":
            by_word.setdefault(word, []).append(_named(name, word, places[name], best.get(name)))
    if not by_word:
        said = ["there is no other model to follow it into"]
    elif set(by_word) == {"persists"}:
        said = ["persists everywhere"]
    else:
        said = [f"{word} in {_listed(by_word[word])}" for word in WORDS if word in by_word]
    weak = [f"it hardly marks the tokens (F1 {f1:.2f})"] if f1 < WEAK else []
    return "; ".join([*weak, *said, _beside(reseeds)])


def link_of(place: Place) -> Link | None:
    """The link by which a model was reached; None where the feature was found, or is nowhere."""
    source = place.came_from
    return {**place.parents, **place.children}[source] if source is not None else None


def told(place: Place) -> dict[str, Any]:
    """A model's feature and the links that lead there, as the case's JSON has them."""

    def each(found: Mapping[str, Link]) -> dict[str, dict[str, Any]]:
        return {model: link._asdict() for model, link in found.items()}

    chosen = link_of(place)
    return {
        "feature": place.feature,
        "via": place.came_from,
        "link_r": None if chosen is None else chosen.r,
        "parents": each(place.parents),
        "children": each(place.children),
    }


def _named(name: str, word: str, place: Place, best: int | None) -> str:
    link = link_of(place)
    if word not in ("vanishes", "absent") or link is None or link.r is None:
        return name
    own = ", its own best for the tokens" if place.feature == best else ""
    return f"{name} (nearest miss r {link.r:.2f}{own})"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _beside(reseeds: Mapping[str, float | None]) -> str:
    if not reseeds:
        return "no reseed says how well it could be found again"
    numbers = _listed(["–" if r is None else f"{r:.2f}" for r in reseeds.values()])
    if len(reseeds) == 1:
        return f"its own reseed finds it at r {numbers}"
    return f"its own reseeds find it at r {numbers}"
