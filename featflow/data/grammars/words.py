"""Words in their forms: plurals, tenses, comparisons, and each topic's word classes.

The words are in topics.txt, the forms that follow no rule in forms.txt. Verb forms are named by one
letter: s (now, singular), p (now, plural), d (past, singular), t (past, plural), b (base), g
(-ing), n (participle). Nouns have s and p.
"""

import functools

from featflow.data.grammars.engine import Lexicon, read_words

VOWELS = "aeiou"
NOUNS = ("place", "thing", "food", "animal", "person", "notion")
VERBS = ("act", "use", "go", "meet", "say", "think")
PLAIN = ("stuff", "adj", "feel", "adverb", "when", "count", "colour", "bang", "virtue")

TOPICS = read_words("topics.txt")
COMMON = TOPICS.pop("common")

_FORMS = read_words("forms.txt")
_CONJUGATIONS, _PLURALS, _COMPARED = (_FORMS[name] for name in ("verbs", "plurals", "comparisons"))
_DOUBLING = frozenset(_FORMS["spelling"]["doubling"])


def spaced(word: str) -> str:
    """A word as it is printed: the lists join the parts of a compound by ``_``."""
    return word.replace("_", " ")


def plural(noun: str) -> str:
    """The plural of a noun; of a compound's last part."""
    *front, last = noun.split("_")
    return " ".join([*front, *_PLURALS.get(last, [_with_s(last)])])


def _with_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def verb_forms(verb: str) -> dict[str, str]:
    """Every form of a verb; a particle (``dig_up``) stays behind it."""
    head, *particle = verb.split("_")
    if head in _CONJUGATIONS:
        third, past, participle, gerund = _CONJUGATIONS[head]
    else:
        third = _with_s(head)
        stem = head + head[-1] if head in _DOUBLING else head
        past = participle = _with_ed(stem)
        gerund = (head[:-1] if head.endswith("e") and head[-2] not in "eo" else stem) + "ing"
    forms = {"s": third, "p": head, "d": past, "t": past, "b": head, "g": gerund, "n": participle}
    return {name: " ".join([form, *particle]) for name, form in forms.items()}


def _with_ed(stem: str) -> str:
    if stem.endswith("e"):
        return stem + "d"
    if stem.endswith("y") and stem[-2:-1] not in VOWELS:
        return stem[:-1] + "ied"
    return stem + "ed"


def compared(adjective: str, ending: str) -> str:
    """Comparative (``er``) or superlative (``est``): bigger, most useful."""
    if adjective in _COMPARED:
        return _COMPARED[adjective][ending == "est"]
    if len(adjective) > 5 and not adjective.endswith("y"):
        return ("more " if ending == "er" else "most ") + adjective
    if adjective.endswith("y"):
        return adjective[:-1] + "i" + ending
    if adjective.endswith("e"):
        return adjective + ending[1:]
    short = adjective[-1] in "dgmnt" and adjective[-2] in VOWELS and adjective[-3] not in VOWELS
    return adjective + (adjective[-1] if short else "") + ending


@functools.cache
def topic_lexicon(topic: str) -> Lexicon:
    """Word classes of a document about the topic: its own words first, then everybody's."""
    made: dict[str, tuple[str, list[str]]] = {}
    for field in (*NOUNS, *VERBS, *PLAIN):
        words = list(dict.fromkeys(TOPICS[topic].get(field, []) + COMMON.get(field, [])))
        if field in NOUNS:
            made[field + "_s"] = field, [spaced(word) for word in words]
            made[field + "_p"] = field, [plural(word) for word in words]
        elif field in VERBS:
            for form in "spdtbgn":
                made[f"{field}_{form}"] = field, [verb_forms(word)[form] for word in words]
        else:
            made[field] = field, [spaced(word) for word in words]
    for ending in ("er", "est"):
        made["adj_" + ending] = "adj", [compared(word, ending) for word in made["adj"][1]]
    return made
