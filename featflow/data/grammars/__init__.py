"""The generated corpora: four grammars that need no download, for the demo study.

Each language is a module with ``document(rng)``, and a text of the same name with its rules.
English and the stories share clauses and words (prose, topics, forms); Python and Lua share their
domains and the way names are made (code, domains).
"""

import random
from collections.abc import Iterator
from importlib import import_module

LANGUAGES = ("english", "lua", "python", "stories")


def documents(language: str, seed: int | str, count: int, start: int = 0) -> Iterator[str]:
    """Documents start … start + count of a language.

    A document depends on the seed, the language and its number alone, so that a larger corpus
    begins with the smaller one. (A string seed is hashed by SHA-512, the same everywhere.)
    """
    if language not in LANGUAGES:
        raise ValueError(f"no grammar named {language!r}; there are: {', '.join(LANGUAGES)}")
    write = import_module(f"{__name__}.{language}").document
    for number in range(start, start + count):
        yield write(random.Random(f"{seed}/{language}/{number}"))
