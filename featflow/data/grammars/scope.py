"""Names that say their type, and the scope that holds them.

Every value of a program has a type: num, str, flag, nums, strs (lists), objs and obj (the
document's records), dict (text to number). A name is made from the domain's words for its type
(``price``, ``item_prices``, ``is_empty``), and what is in scope is used again by its type.
"""

import functools
import random

from featflow.data.grammars.domains import COMMON, DOMAINS
from featflow.data.grammars.engine import Lexicon, Rules, Writer
from featflow.data.grammars.words import fields, plural, spaced, topics

TYPES = ("num", "str", "flag", "nums", "strs", "objs", "obj", "dict")
SIMPLE = ("num", "str")
RECORD_FIELDS = "num str num str flag strs nums"
DOMAIN_WORDS = topics(DOMAINS)

Field = tuple[str, str]  # type and name


class NoName(LookupError):
    """The scope holds nothing of the wanted type: the statement must be another."""


@functools.cache
def domain_lexicon(domain: str) -> Lexicon:
    """The domain's words before the common ones; nouns, numbers and texts in the plural too."""
    made: dict[str, tuple[str, list[str]]] = {}
    for name, common in fields(COMMON).items():
        words = list(dict.fromkeys(DOMAIN_WORDS[domain].get(name, []) + common))
        made[name] = name, [spaced(word) for word in words]
        if name in ("noun", "number", "text"):
            made[name + "_p"] = name, [several(word) for word in words]
    return made


def several(word: str) -> str:
    """The plural; many words for numbers (pages, lives) have it already."""
    return word if word[-1] == "s" and word[-2:] != "ss" else plural(word)


class Namer(Writer):
    """Makes names and finds them again. Slots it adds, T being a type:

    ``$(new T x)`` a new name, bound to x and visible from the next statement or block on;
    ``$(each T x)`` a loop's variable, visible at once; ``$(let T x)`` one of a comprehension's;
    ``$(var T)`` a name in scope; ``$T`` an expression, by the rule ``some_T``.
    """

    reserved: frozenset[str] = frozenset()
    instance = "self"

    def __init__(self, rng: random.Random, rules: Rules, camel: bool = False) -> None:
        domains = list(DOMAIN_WORDS)
        self.domain = domains[int(rng.random() * len(domains))]
        super().__init__(rng, rules, domain_lexicon(self.domain))
        self.camel = camel
        self.scope: dict[str, list[str]] = {kind: [] for kind in TYPES}
        self.pending: list[Field] = []  # declared, not yet visible
        self.transient: set[str] = set()  # loop variables, which leave with their statement
        self.taken: set[str] = set(self.reserved)
        self.latest = ""
        self.record = self.fields(RECORD_FIELDS)

    def fields(self, kinds: str) -> list[Field]:
        """The fields of a class: the first three kinds always, the others perhaps."""
        taken, self.taken = self.taken, set(self.reserved)
        made = [
            (kind, self.fresh(kind))
            for place, kind in enumerate(kinds.split())
            if place < 3 or self.random() < 0.3
        ]
        self.taken = taken
        return made

    def identifier(self, words: str) -> str:
        """Words as a name, in the document's style."""
        first, *rest = words.split()
        if self.camel:
            return first + "".join([word.capitalize() for word in rest])
        return "_".join([first, *rest])

    def title(self, words: str) -> str:
        """Words as a class's name."""
        return "".join([word.capitalize() for word in words.split()])

    def fresh(self, kind: str) -> str:
        """A name that nothing else carries here."""
        name = self.identifier(self["name_" + kind])
        while name in self.taken:
            extra = self["qualifier"] + " " if self.random() < 0.4 else ""
            name = self.identifier(extra + self["name_" + kind])
        self.taken.add(name)
        return name

    def member(self, name: str, field_name: str) -> str:
        """A record's field as it is written."""
        return f"{name}.{field_name}"

    def declare(self, kind: str, name: str, loop: bool = False) -> None:
        """Puts a name into scope; a record brings its fields with it."""
        names = [(kind, name)]
        if kind == "obj":
            names += [(of, self.member(name, field_name)) for of, field_name in self.record]
        for of, each in names:
            self.scope[of].append(each)
            (self.transient.add if loop else self.transient.discard)(each)

    def do_new(self, rest: str) -> str:
        """A new name, visible when the statement ends or its block begins."""
        kind, slot = rest.split()
        self[slot] = name = self.fresh(kind)
        self.pending.append((kind, name))
        return name

    def do_each(self, rest: str) -> str:
        """A loop's variable: visible at once, until the statement ends."""
        kind, slot = rest.split()
        self[slot] = name = self.fresh(kind)
        self.declare(kind, name, loop=True)
        return name

    def do_var(self, kind: str) -> str:
        """A name in scope, the latest ones most often, seldom the same twice in a row."""
        names = self.scope[kind]
        if not names:
            raise NoName(kind)
        for _ in range(2):
            u = self.random()
            name = names[-1 - int(len(names) * u * u)]
            if name != self.latest:
                break
        self.latest = name
        return name

    def do_local(self, kind: str) -> str:
        """A name that may be changed: a variable, or a field of this object, no constant."""
        for _ in range(3):
            name = self.do_var(kind)
            if not name.isupper() and (name.startswith(self.instance + ".") or name.isidentifier()):
                return name
        raise NoName(kind)

    def do_known(self, kind: str) -> str:
        """A name in scope; of the simple types, a plain value will do as well."""
        names = self.scope[kind]
        if kind in SIMPLE and (not names or names == [self.latest]):
            return self["plain_" + kind]
        return self.do_var(kind)

    def call(self, key: str) -> str:
        """As for any writer; a type's name stands for an expression of it."""
        return self.expression(key) if key in TYPES else super().call(key)

    def expression(self, kind: str) -> str:
        """An expression of the type: where the scope lacks its parts, a name or a plain value."""
        depth = self.depth
        for _ in range(2):
            try:
                return self["some_" + kind]
            except NoName:
                self.depth = depth
        return self.do_var(kind) if self.scope[kind] else self["plain_" + kind]

    def do_bare(self, kind: str) -> str:
        """A name that may stand inside a quoted text, where no other quotes may."""
        names = [name for name in self.scope[kind][-4:] if '"' not in name]
        if not names:
            raise NoName(kind)
        return self.choose(names)

    def do_constant(self, kind: str) -> str:
        """A module's constant, in capitals where the style has underscores."""
        name = self.identifier(self["name_" + kind]).upper()
        if self.camel or name.lower() in self.taken:
            name = self.fresh(kind)
        self.taken.update((name, name.lower()))
        self.pending.append((kind, name))
        return name

    def do_let(self, rest: str) -> str:
        """Binds a new name that no later statement sees, as in a comprehension or lambda."""
        kind, slot = rest.split()
        self[slot] = self.fresh(kind)
        return ""

    def do_upper(self, rest: str) -> str:
        """A rule's words in capitals."""
        return self[rest].upper().replace(" ", "_")

    def do_name(self, rest: str) -> str:
        """The words of a rule joined to an identifier."""
        name = self.identifier(self[rest])
        return name if name not in self.reserved else name + "s"

    def do_title(self, rest: str) -> str:
        """A rule's text with a capital, as a sentence of a comment."""
        text = self[rest]
        return text[0].upper() + text[1:]

    def settle(self) -> None:
        """What the statement declared is visible from here."""
        for kind, name in self.pending:
            self.declare(kind, name)
        self.pending.clear()

    def visible(self) -> dict[str, int]:
        """How many names of each type are in scope."""
        return {kind: len(names) for kind, names in self.scope.items()}

    def forget(self, visible: dict[str, int]) -> None:
        """Takes out what has been declared since."""
        for kind, length in visible.items():
            del self.scope[kind][length:]

    def end_loops(self, visible: dict[str, int]) -> None:
        """Takes out the loop variables among what has been declared since."""
        if not self.transient:
            return
        for kind, length in visible.items():
            names = self.scope[kind]
            names[length:] = [name for name in names[length:] if name not in self.transient]
