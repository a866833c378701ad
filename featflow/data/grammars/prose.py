"""What English and the stories share: a scene with its cast, and the clauses of prose.txt.

Clauses agree in number and tense by construction: the forms of a rule are named by the letter of
`words.py` (s, p now; d, t past; b base; g -ing), and a relative clause between subject and verb
does not disturb them. ``$(in x)`` marks an embedding, whose depth a scene records.
"""

import random
import re

from featflow.data.grammars.engine import Rules, Writer
from featflow.data.grammars.words import COMMON, TOPICS, topic_lexicon

ARTICLE = re.compile(r"\b([Aa]) (?=[aeio]|u(?!ni|se))")
CAPITAL = re.compile(r"\^+(.)")
PRONOUNS = {"he": ("him", "his", "boy", "man"), "she": ("her", "her", "girl", "woman")}


class Scene(Writer):
    """One document's topic, cast and props, bound throughout.

    A and B are the characters, M a grown-up of A's; ``A_he``, ``A_him``, ``A_his``, ``A_kind`` go
    with them. X and Y are things, P and R places, F food, N an animal, Q an adjective.
    """

    EMBEDDINGS = 6

    def __init__(self, rng: random.Random, rules: Rules, animals: float = 0.0) -> None:
        names = list(TOPICS)
        self.topic = names[int(rng.random() * len(names))]
        super().__init__(rng, rules, topic_lexicon(self.topic))
        self.embedded = self.deepest = 0
        self._cast(animals)
        for prop, words in zip("XYPRFNQC", PROPS, strict=True):
            self[prop] = self[words]
        self["X_p"] = self._plural_of_x()

    def _cast(self, animals: float) -> None:
        beasts = self.random() < animals
        for role in "AB":
            he = self.choose(["he", "she"])
            _, _, kind, _ = PRONOUNS[he]
            names = COMMON[kind]
            u = self.random()
            name = names[int(u * u * len(names))]
            if beasts:
                kind = self.choose(COMMON["beast"])
                name = name if self.random() < 0.5 else kind.capitalize()
            if name == self.get("A"):
                name = "Little " + name
            self._bind(role, name, he, kind)
        he = self.choose(["he", "she", "she"])
        _, _, _, kind = PRONOUNS[he]
        self._bind("M", self.choose(COMMON[kind]), he, kind)

    def _bind(self, role: str, name: str, he: str, kind: str) -> None:
        him, his, _, _ = PRONOUNS[he]
        self[role] = name
        for form, word in (("he", he), ("him", him), ("his", his), ("kind", kind)):
            self[f"{role}_{form}"] = word

    def _plural_of_x(self) -> str:
        """The X's: drawing a thing remembers its place in the list, which gives its plural."""
        singular, plural = self.lexicon["thing_s"][1], self.lexicon["thing_p"][1]
        return plural[singular.index(self["X"])]

    def do_in(self, rest: str) -> str:
        """An embedding; beyond the deepest allowed, only a phrase that can end there."""
        if self.embedded >= self.EMBEDDINGS:
            return "" if rest.startswith(("pp", "rel", "orel")) else self[f"end_{rest}"]
        self.embedded += 1
        self.deepest = max(self.deepest, self.embedded)
        text = self[rest]
        self.embedded -= 1
        return text

    def do_number(self, rest: str) -> str:
        """Two or more, so that what is counted is plural."""
        return str(2 + int(super().do_number(rest)))

    def do_lemma(self, family: str) -> str:
        """``$(lemma act)``: one verb, bound as ``v_s``, ``v_b`` … in all its forms."""
        self[family + "_s"]
        place = self.drawn[family][-1]
        for form in "spdtbgn":
            self["v_" + form] = self.lexicon[f"{family}_{form}"][1][place]
        return ""

    def several(self, rest: str) -> list[str]:
        """``2 5 rule``: from two to five texts of a rule, the alternatives well mixed."""
        low, high, slot = rest.split(" ", 2)
        texts: list[str] = []
        used: list[str] = []
        for _ in range(int(low) + int(self.random() * (int(high) - int(low) + 1))):
            option = self.choose(self.rules[slot])
            while option in used[-2:]:
                option = self.choose(self.rules[slot])
            used.append(option)
            texts.append(option.format_map(self))
        return texts

    def do_repeat(self, rest: str) -> str:
        """A paragraph: several sentences of a rule."""
        return " ".join(self.several(rest))

    def do_turns(self, rest: str) -> str:
        """The same, each on its line."""
        return "\n".join(self.several(rest))

    def finish(self, text: str) -> str:
        """Articles before vowels, and capitals where a ``^`` asks for one."""
        return CAPITAL.sub(lambda match: match[1].upper(), ARTICLE.sub(r"\1n ", text))


PROPS = ("thing_s", "thing_s", "place_s", "place_s", "food_s", "animal_s", "adj", "colour")
