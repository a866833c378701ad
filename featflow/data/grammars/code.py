"""What the Python and Lua grammars share: typed names, statements, functions and classes in scopes.

Every value of a program has a type: num, str, flag, nums, strs (lists), objs and obj (the
document's records), dict (text to number). A name is made from the domain's words for its type
(``price``, ``item_prices``, ``is_empty``), and what is in scope is used again by its type. Calls
have the arity and the types of the definition, a block's names end with it, and a function gives
back what has the type that its name promises.
"""

import functools
import random
import re
from dataclasses import dataclass, field

from featflow.data.grammars.engine import Lexicon, Rules, Writer, read_words
from featflow.data.grammars.words import plural, spaced

TYPES = ("num", "str", "flag", "nums", "strs", "objs", "obj", "dict")
SIMPLE = ("num", "str")
PARAMETER_TYPES = (*TYPES, "num", "str", "objs")
RESULT_TYPES = ("num", "num", "str", "flag", "nums", "strs", "objs", "dict")
PLAINNESS = (0.0, 0.15, 0.45, 0.55, 0.65, 0.8, 1.0)  # share of simple statements, by level
RECORD_FIELDS = "num str num str flag strs nums"
STORE_FIELDS = "objs dict num num str flag strs nums"
EMPTY_LINE = re.compile(r"\n[ \t]*\0|[ \t]+$", re.MULTILINE)

DOMAINS = read_words("domains.txt")
COMMON = DOMAINS.pop("common")

Field = tuple[str, str]  # type and name


class NoName(LookupError):
    """The scope holds nothing of the wanted type: the statement must be another."""


@functools.cache
def domain_lexicon(domain: str) -> Lexicon:
    """The domain's words before the common ones; nouns, numbers and texts in the plural too."""
    made: dict[str, tuple[str, list[str]]] = {}
    for name, common in COMMON.items():
        words = list(dict.fromkeys(DOMAINS[domain].get(name, []) + common))
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
        domains = list(DOMAINS)
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


@dataclass
class Function:
    """What a call must know."""

    name: str
    types: tuple[str, ...]
    returns: str


@dataclass
class Class:
    """What a constructor's and a method's call must know."""

    name: str
    fields: list[Field]
    methods: list[Function] = field(default_factory=list)

    def given(self) -> list[Field]:
        """The fields that a constructor is given; lists and tables start empty."""
        return [pair for pair in self.fields if pair[0] in (*SIMPLE, "flag")]


@dataclass
class Frame:
    """An open function, and the scope to return to at its end."""

    made: Function
    visible: dict[str, int]
    taken: set[str]


class Coder(Namer):
    """A writer of programs. Slots it adds, T being a type:

    ``$(block)`` statements in a scope of their own; ``$(fn T)`` … ``$(end)`` a function, with its
    ``$params`` and ``$(result)``; ``$(class record)`` … ``$(close)`` a class; ``$(call T)`` a call
    that gives a T.
    """

    colon = "."

    def __init__(self, rng: random.Random, rules: Rules, camel: bool = False) -> None:
        super().__init__(rng, rules, camel)
        self.frames: list[Frame] = []
        self.functions: list[Function] = []
        self.classes: list[Class] = []
        self.owner: Class | None = None
        self.imports: dict[str, None] = {}
        self.record_class: Class | None = None
        self.level = 0

    def do_use(self, module: str) -> str:
        """A module's name in use, so that the head of the document imports it."""
        self.imports[module] = None
        return module.rpartition(" ")[2]

    def do_nothing(self, _: str) -> str:
        """Marks a line that `tidy` takes out."""
        return "\0"

    def do_block(self, rest: str) -> str:
        """Statements in a scope of their own; fewer the deeper they are."""
        self.settle()
        visible, taken = self.visible(), set(self.taken)
        text = self.statements(int(rest or 1 + self.random() * (2.3 if self.level < 3 else 1.4)))
        self.forget(visible)
        self.taken = taken
        return text

    def do_steps(self, rest: str) -> str:
        """What a main part does, up to ``rest`` steps, mostly with the functions above."""
        self.settle()
        visible, bound = self.visible(), dict(self)
        count = 2 + int(self.random() * int(rest))
        text = "\n".join([self.attempt("step", "step", "assignment") for _ in range(count)])
        self.forget(visible)
        self.clear()
        self.update(bound)
        return text

    def do_body(self, rest: str) -> str:
        """A function's statements: their names stay in scope for its result."""
        self.settle()
        return self.statements(int(rest or 1 + self.random() * 3.3))

    def statements(self, count: int) -> str:
        """So many lines of a level deeper; the slots bound here stay as they were."""
        bound = dict(self)
        self.level += 1
        text = "\n".join([self.statement() for _ in range(count)])
        self.level -= 1
        self.clear()
        self.update(bound)
        return text

    def statement(self) -> str:
        """A statement; the deeper, the more often a simple one."""
        if self.random() < PLAINNESS[min(self.level, len(PLAINNESS) - 1)]:
            return self.attempt("simple", "simple", "assignment")
        return self.attempt("statement", "statement", "simple", "assignment")

    def attempt(self, *rules: str) -> str:
        """The first of the rules that finds all it needs in scope; the last one must."""
        state = self.depth, self.level, len(self.frames), frozenset(self.taken), self.owner
        visible, bound = self.visible(), dict(self)
        for rule in rules:
            try:
                text = self[rule]
            except NoName:
                self.depth, self.level, frames, taken, self.owner = state
                self.taken = set(taken)
                del self.frames[frames:]
                self.pending.clear()
                self.forget(visible)
                self.clear()
                self.update(bound)
            else:
                self.settle()
                self.end_loops(visible)
                return text
        raise NoName(f"the rule {rules[-1]!r} must be possible anywhere")

    def do_fn(self, rest: str) -> str:
        """Opens a function: its name. ``rest`` may fix its result's and its parameters' types."""
        returns, *types = rest.split() or [self.choose(RESULT_TYPES)]
        if not types:
            types = [self.choose(PARAMETER_TYPES) for _ in range(1 + int(self.random() * 3))]
        types = [kind for kind in types if kind != "-"]
        words = self["function_" + returns]
        while self.identifier(words) in self.taken:
            words = self["function_" + returns] + " " + self["noun"]
        self["fn_words"] = words
        self["me"] = name = self.identifier(words)
        self.taken.add(name)
        made = Function(name, tuple(types), returns)
        self.frames.append(Frame(made, self.visible(), set(self.taken)))
        for place, kind in enumerate(types, start=1):
            self[f"p{place}"] = parameter = self.fresh(kind)
            self.declare(kind, parameter)
        names = [self[f"p{place}"] for place in range(1, len(types) + 1)]
        parameters = list(map(self.parameter, names, types))
        self["params"] = ", ".join(parameters)
        self["more"] = "".join([", " + parameter for parameter in parameters])
        return name

    def function(self) -> str:
        """A definition that succeeds."""
        return self.attempt("function", "function", "plain_function")

    def parameter(self, name: str, kind: str) -> str:
        """A parameter as the definition writes it."""
        return name

    def do_result(self, _: str) -> str:
        """What a function gives back: a name of its own if one has the type."""
        frame = self.frames[-1]
        own = self.scope[frame.made.returns][frame.visible[frame.made.returns] :]
        own = [name for name in own if name.isidentifier()]
        return own[-1] if own and self.random() < 0.8 else self[frame.made.returns]

    def do_value(self, _: str) -> str:
        """Any value of the type that the open function gives."""
        if not self.frames:
            raise NoName("no function is open")
        return self[self.frames[-1].made.returns]

    def do_end(self, hidden: str) -> str:
        """Closes the function, which may be called from now on unless it is hidden (a test)."""
        frame = self.frames.pop()
        self.settle()
        self.forget(frame.visible)
        self.taken = frame.taken
        if not self.frames and not hidden:
            (self.owner.methods if self.owner else self.functions).append(frame.made)
        return ""

    def do_call(self, kind: str) -> str:
        """A call of a function of this document that gives the type, or else a value."""
        fitting = [made for made in self.functions if made.returns == kind]
        if not fitting:
            raise NoName(kind)
        made = fitting[int(self.random() * len(fitting))]
        return f"{made.name}({self.arguments(made)})"

    def arguments(self, made: Function) -> str:
        """Values of the types that the function takes."""
        return ", ".join([self[kind + "_arg"] for kind in made.types])

    def do_method(self, kind: str) -> str:
        """Within a class, a call of one of its methods above."""
        methods = self.owner.methods if self.owner else []
        fitting = [made for made in methods if made.returns == kind]
        if not fitting:
            return self.do_call(kind)
        made = fitting[int(self.random() * len(fitting))]
        return f"{self.instance}{self.colon}{made.name}({self.arguments(made)})"

    def do_class(self, kind: str) -> str:
        """Opens the class of the document's records, or another one: its name."""
        if kind == "record":
            made = Class(self.title(self["noun"]), self.record)
            self.record_class = made
        else:
            made = Class(self.title(self["name_class"]), self.fields(STORE_FIELDS))
        while made.name in self.taken:
            made.name = self.title(self["name_class"])
        self.taken.add(made.name)
        self.classes.append(made)
        self.owner = made
        return made.name

    def do_methods(self, rest: str) -> str:
        """``$(methods 3)``: up to three methods, in whose scope are the object's fields."""
        made = self.owner
        assert made is not None
        visible = self.visible()
        for kind, name in made.fields:
            self.declare(kind, self.member(self.instance, name) if kind != "obj" else name)
        count = 1 + int(self.random() * int(rest))
        text = "\n\n".join([self.attempt("method", "method", "plain_method") for _ in range(count)])
        self.forget(visible)
        return text

    def do_close(self, _: str) -> str:
        """Closes the class."""
        self.owner = None
        return ""

    def do_instance(self, slot: str) -> str:
        """``name = Class(…)`` of the latest class: the name, bound with its class."""
        self[slot] = name = self.identifier(self["noun"] + " " + self["agent"])
        self.taken.add(name)
        return name

    def do_invoke(self, slot: str) -> str:
        """A call of any method of the latest class on its instance."""
        made = self.classes[-1].methods
        if not made:
            raise NoName("method")
        method = made[int(self.random() * len(made))]
        return f"{self[slot]}{self.colon}{method.name}({self.arguments(method)})"

    def do_own(self, kind: str) -> str:
        """A field of the object whose method is open."""
        fields = self.owner.fields if self.owner else []
        names = [name for field_kind, name in fields if field_kind == kind]
        if not names:
            raise NoName(kind)
        return self.member(self.instance, self.choose(names))

    def do_field(self, kind: str) -> str:
        """A field of the records that has the type, on ``x``."""
        names = [name for field_kind, name in self.record if field_kind == kind]
        return self.member(self["x"], self.choose(names)) if names else self[kind]

    def do_number_field(self, _: str) -> str:
        """The records' first number, by which they are sorted."""
        return next(name for kind, name in self.record if kind == "num")

    def do_first_field(self, _: str) -> str:
        """The first field of the class that is open."""
        assert self.owner is not None
        return self.owner.fields[0][1]


def tidy(text: str) -> str:
    """Without the lines that rules left out, and without blanks at line ends."""
    return EMPTY_LINE.sub("", text)
