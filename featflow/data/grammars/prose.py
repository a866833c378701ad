"""What English and the stories share: a scene with its cast, and the grammar of clauses.

Clauses agree in number and tense by construction: the forms of a rule are named by the letter of
`words.py` (s, p now; d, t past; b base; g -ing), and a relative clause between subject and verb
does not disturb them. ``$(in x)`` marks an embedding, whose depth a scene records.
"""

import random
import re

from featflow.data.grammars import lexicon
from featflow.data.grammars.engine import Rules, Writer, parse_rules
from featflow.data.grammars.words import TOPICS, topic_lexicon

CLAUSES = """
[noun_@ | @=s p]
5 $thing_@
2 $animal_@
2 $person_@
[np_@ | @=s d]
6 the $noun_s
4 the $adj $noun_s
2 a $adj $noun_s
1 the $adj, $adj $noun_s
1 the $noun_s$(in pp)
1 the $noun_s$(in rel_@)
1 the $adj $noun_s$(in pp)
1 every $noun_s
1 the $adj_est $noun_s
1 $whose $noun_s
[np_@ | @=p t]
4 the $noun_p
3 the $adj $noun_p
3 the $count $noun_p
1 the $noun_p$(in pp)
1 the $noun_p$(in rel_@)
1 some $adj $noun_p
1 all the $noun_p
1 the $noun_s and the $noun_s
1 $whose $count $noun_p
[whose]
3 my
2 your
1 our
1 their
[np_@ | @=b g]
4 the $thing_s
3 a $adj $thing_s
2 the $thing_p
1 some $stuff
1 the $thing_s$(in pp)
[obj_@ | @=s p d t]
4 $np_b
2 $np_@
1 $np_@$(in orel_@)
[obj_@ | @=b g]
1 $np_b
[rel_@ | @=s d p t]
4  that $vp_@
2  who $go_@ $to
1  with the $adj $thing_s$(in pp)
[orel_@ | @=s p b g]
2  that the $person_p $use_p
1  that the $animal_s $meet_s
[orel_@ | @=d t]
2  that the $person_p $use_t
1  that the $animal_s $meet_d
[pp]
4  in the $place_s
3  near the $place_s
3  on the $thing_s
1  behind the $adj $place_s
1  under the $thing_s$(in pp)
1  next to the $thing_s$(in pp)
1  of the $person_s$(in pp)
1  beside the $place_s$(in pp)
[to]
5 to the $place_s
2 into the $place_s
2 around the $place_s
1 over the $thing_s
1 through the $adj $place_s
1 past the $noun_s$(in pp)
1 from the $place_s to the $place_s
1 back to the $place_s
[vp_@ | @=s p d t b g]
5 $use_@ $obj_@
3 $go_@ $to
3 $act_@
2 $act_@ $adverb
2 $act_@ in the $place_s
2 $be_@ $feel
1 $be_@ $feel because $(in why_@)
1 $be_@ $adj and $adj
1 $be_@ $adj_er than the $noun_s$(in pp)
1 $be_@ the $adj_est of all the $noun_p
1 $meet_@ the $animal_p
1 $meet_@ $obj_@
1 $start_@ to $(in vp_b)
1 $start_@ to $use_b $obj_b
1 $think_@ that $(in that_@)
1 $use_@ $obj_@ and $(in vp_@)
1 $use_@ the $thing_s with the $thing_s
1 $have_@ a $notion_s about the $noun_p
1 $use_@ $food_p and $stuff
1 $talk_@ about the $notion_s$(in orel_@)
[why_@ | @=s p b g]
1 $clause_now
[why_@ | @=d t]
1 $clause_past
[that_@ | @=s p b g]
1 $clause_now
1 it is time to $(in vp_b)
[that_@ | @=d t]
1 $clause_past
1 it was time to $(in vp_b)
[end_vp_@ | @=s p d t b g]
1 $act_@
[end_@ | @=why_s why_p why_b why_g that_s that_p that_b that_g clause_now]
1 the $thing_s is $adj
[end_@ | @=why_d why_t that_d that_t clause_past simple_past]
1 the $thing_s was $adj
[be_s]
1 is
[be_p]
1 are
[be_d]
1 was
[be_t]
1 were
[be_b]
1 be
[be_g]
1 being
[have_s]
1 has
[have_@ | @=p b]
1 have
[have_@ | @=d t]
1 had
[have_g]
1 having
[talk_s]
2 talks
1 dreams
1 worries
[talk_@ | @=p b]
2 talk
1 dream
1 worry
[talk_@ | @=d t]
2 talked
1 dreamt
1 worried
[talk_g]
2 talking
1 dreaming
[start_s]
1 likes
1 wants
1 starts
1 learns
[start_@ | @=p b]
1 like
1 want
1 start
1 learn
[start_@ | @=d t]
1 liked
1 wanted
1 started
1 learned
[start_g]
1 starting
1 learning
[clause_now]
4 $np_s $vp_s
3 $np_p $vp_p
1 there is $a_noun$(in pp)
1 there are $count $noun_p$(in pp)
1 $when, $np_s $vp_s
[clause_past]
4 $np_d $vp_d
3 $np_t $vp_t
1 there was $a_noun$(in pp)
1 there were $count $noun_p$(in pp)
1 when $(in simple_past), $np_d $vp_d
1 $(in simple_past), and $(in simple_past)
[simple_past]
1 $np_d $vp_d
1 $np_t $vp_t
[a_noun]
2 a $noun_s
2 a $adj $noun_s
"""

ARTICLE = re.compile(r"\b([Aa]) (?=[aeio]|u(?!ni|se))")
CAPITAL = re.compile(r"\^+(.)")
PRONOUNS = {"he": ("him", "his", "boy", "man"), "she": ("her", "her", "girl", "woman")}


def prose_rules(text: str) -> dict[str, list[str]]:
    """A grammar's rules with those of clauses."""
    return parse_rules(CLAUSES + text)


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
            names = GIRLS if he == "she" else BOYS
            u = self.random()
            name, kind = names[int(u * u * len(names))], PRONOUNS[he][2]
            if beasts:
                kind = self.choose(KINDS)
                name = name if self.random() < 0.5 else kind.capitalize()
            if name == self.get("A"):
                name = "Little " + name
            self._bind(role, name, he, kind)
        he = self.choose(["he", "she", "she"])
        self._bind("M", self.choose(GROWNUPS[he]), he, PRONOUNS[he][3])

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
GIRLS, BOYS, KINDS = lexicon.GIRLS.split(), lexicon.BOYS.split(), lexicon.KINDS.split()
GROWNUPS = {"she": lexicon.WOMEN.split(), "he": lexicon.MEN.split()}
