"""What became of a case's feature in each model, and of its function, in a word and in a sentence.

The *feature* is followed by r. Its *function*, to mark the tokens, may be another feature's in
another model: that is asked of each model's own best feature, whatever it is a partner of.
"""

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

AS_WELL = 0.9
"""The share of the best F1 in the model of the case from which on another model's best feature
marks the tokens as well."""

FUNCTIONS = {
    "origin": "the model of the case",
    "kept": "some feature marks the tokens as well: its F1 is at least 0.9 of the best in the "
    "model of the case, or of the least that one of its seeds has at best",
    "weaker": "the best feature marks them less well than that",
    "lost": "none marks them: the best F1 is under 0.3",
    "unmarked": "no feature of the model of the case marks them: there is nothing to keep",
}
"""Each model's verdict on the function and what it means."""


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
    seeds: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> str:
    """The verdicts on all models, with what the first feature's own reseeds find of it.

    Args:
        found: the word of each model.
        places: where the feature is.
        reseeds: r with each reseed's best partner.
        f1: of the first feature.
        best: each model's own feature with the best F1 for the tokens, where one fires on them.
        seeds: by reseed that has a partner, and by model, what became of that: verdict, link_r.
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
    again = [over_seeds(name, found[name], seeds) for name in found if found[name] != "origin"]
    same = f"the same verdict on the reseeds' features: {_listed(again)}" if seeds and again else ""
    return "; ".join(filter(None, [*weak, *said, _beside(reseeds), same]))


def over_seeds(model: str, word: str, seeds: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """How many of the reseeds' own features have the same verdict in a model, and their r.

    Args:
        model: which.
        word: the verdict there.
        seeds: as for `sentence`.
    """
    same = sum(each[model]["verdict"] == word for each in seeds.values())
    r = [each[model]["link_r"] for each in seeds.values()]
    return f"{model} {same} of {len(seeds)}{_span([x for x in r if x is not None], ' (r ', ')')}"


def _span(values: Sequence[float], before: str = "", after: str = "") -> str:
    """The smallest and the largest of some numbers in words; nothing where there are none."""
    if not values:
        return ""
    low, high = (f"{each:.2f}" for each in (min(values), max(values)))
    return f"{before}{low if low == high else f'{low} to {high}'}{after}"


def functions(
    best: Mapping[str, float | None], model: str, seeds: Sequence[float]
) -> dict[str, str]:
    """A word of `FUNCTIONS` for each model.

    Args:
        best: the best F1 for the tokens in each model; None: no feature fires on them.
        model: the model of the case.
        seeds: the best F1 in each of its reseeds.
    """
    first = best[model] or 0.0
    bar = min([AS_WELL * first, *seeds])

    def word(name: str, f1: float) -> str:
        if name == model:
            return "origin"
        if first < WEAK:
            return "unmarked"
        return "lost" if f1 < WEAK else "kept" if f1 >= bar else "weaker"

    return {name: word(name, f1 or 0.0) for name, f1 in best.items()}


def function_sentence(
    found: Mapping[str, str],
    best: Mapping[str, float | None],
    model: str,
    seeds: Sequence[float],
) -> str:
    """The verdicts on the function in all models, each with its best F1.

    Args:
        found: the word of each model.
        best, model, seeds: as for `functions`.
    """
    here = f"best F1 in {model} {best[model] or 0.0:.2f}{_span(seeds, ', in its reseeds ')}"
    if set(found.values()) == {"origin"}:
        return here
    if "unmarked" in found.values():
        return f"no feature of {model} marks the tokens ({here}): there is nothing to keep"
    heads = {
        "kept": "the tokens are marked as well in",
        "weaker": "less well in",
        "lost": "by no feature in",
    }
    said = []
    for word, head in heads.items():
        names = [f"{m} ({best[m] or 0.0:.2f})" for m, w in found.items() if w == word]
        said += [f"{head} {_listed(names)}"] if names else []
    return "; ".join([*said, here])


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
