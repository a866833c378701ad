"""English as children hear it: talk with speakers, descriptions, recipes, questions, rhymes.

In the spirit of the BabyLM corpus, whose parts (transcribed talk to children, simple encyclopaedia,
film subtitles, children's books) differ in layout as much as in wording.
"""

import random

from featflow.data.grammars.engine import read_rules
from featflow.data.grammars.prose import Scene

RULES = read_rules("prose.txt", "english.txt")


def scene(rng: random.Random) -> Scene:
    """Who and what a text is about."""
    return Scene(rng, RULES)


def write(stage: Scene) -> str:
    """A text of the scene."""
    return stage.finish(stage["text"])


def document(rng: random.Random) -> str:
    """One text of one of the genres."""
    return write(scene(rng))
