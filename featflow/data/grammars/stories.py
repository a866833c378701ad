"""Short stories in simple words: an opening, a wish or a trouble, attempts, an end, a moral.

The characters, their pronouns, the thing, the places and the food are drawn once and return all
through the story; what else the sentences speak of keeps to the topic.
"""

import random

from featflow.data.grammars.engine import read_rules
from featflow.data.grammars.prose import Scene

RULES = read_rules("prose.txt", "stories.txt")


def scene(rng: random.Random) -> Scene:
    """Who and what a story is about; often its characters are animals."""
    return Scene(rng, RULES, animals=0.35)


def write(stage: Scene) -> str:
    """A plot's beats, each a paragraph; those marked ``?`` may be left out."""
    beats = stage["story"].split()
    told = [beat.rstrip("?") for beat in beats if beat[-1] != "?" or stage.random() < 0.5]
    return stage.finish("\n\n".join([stage[beat] for beat in told]))


def document(rng: random.Random) -> str:
    """One story."""
    return write(scene(rng))
