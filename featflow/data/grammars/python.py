"""Python modules: classes, functions and a main part about one domain.

Names are used by their types and calls have the arity of the definition; ``raise`` and ``except``
name the exceptions that the guarded statement can raise.
"""

import random

from featflow.data.grammars.code import Class, Coder, tidy
from featflow.data.grammars.engine import read_rules

RULES = read_rules("code.txt", "python.txt")
HINTS = {
    "num": "int",
    "str": "str",
    "flag": "bool",
    "nums": "list[int]",
    "strs": "list[str]",
    "dict": "dict[str, int]",
    "none": "None",
}
DEFAULTS = {"num": "plain_num", "str": "plain_str", "flag": "plain_flag"}


class Pythonist(Coder):
    """Writes Python. A document's records are objects or dicts, its parameters hinted or not."""

    reserved = frozenset(RULES["reserved"][0].split())

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng, RULES)
        self.objects = self.random() < 0.6
        self.hinted = self.random() < 0.4
        self.error = ""

    def member(self, name: str, field_name: str) -> str:
        """An attribute, or an item where records are dicts."""
        if self.objects or name == self.instance:
            return f"{name}.{field_name}"
        return f'{name}["{field_name}"]'

    def hint(self, kind: str) -> str:
        """A type as Python writes it."""
        record = self.record_class.name if self.record_class else "dict"
        return HINTS.get(kind) or (record if kind == "obj" else f"list[{record}]")

    def parameter(self, name: str, kind: str) -> str:
        """With its type, in the documents that have hints."""
        return f"{name}: {self.hint(kind)}" if self.hinted else name

    def do_arrow(self, kind: str) -> str:
        """The hint of what a function gives."""
        if not self.hinted:
            return ""
        return f" -> {self.hint(kind or self.frames[-1].made.returns)}"

    def do_default(self, rest: str) -> str:
        """A parameter with a default value."""
        kind, slot = rest.split()
        self[slot] = name = self.fresh(kind)
        self.declare(kind, name)
        value = self[DEFAULTS[kind]]
        return f"{name}: {HINTS[kind]} = {value}" if self.hinted else f"{name}={value}"

    def do_init(self, _: str) -> str:
        """A class's constructor: parameters for the plain fields, the others start empty."""
        assert self.owner is not None
        given = self.owner.given()
        parameters = "".join([", " + self.parameter(name, kind) for kind, name in given])
        lines = [f"def __init__(self{parameters}){' -> None' if self.hinted else ''}:"]
        for kind, name in self.owner.fields:
            empty = "{}" if kind == "dict" else "[]"
            lines.append(f"    self.{name} = {name if (kind, name) in given else empty}")
        return "\n".join(lines)

    def do_attributes(self, _: str) -> str:
        """A dataclass's fields."""
        assert self.owner is not None
        lines = [f"{name}: {HINTS[kind]}" for kind, name in self.owner.given()]
        for kind, name in self.owner.fields:
            if (kind, name) not in self.owner.given():
                maker = self["use dataclasses field"]
                lines.append(f"{name}: {HINTS[kind]} = {maker}(default_factory=list)")
        return "\n".join(lines)

    def borrow_class(self) -> str:
        """Takes the records' class from another module; nothing to print."""
        self.record_class = Class(self.title(self["noun"]), self.record)
        module = self.choose(["models", "core", "base", self.identifier(self["noun_p"])])
        self.do_use(f"{module} {self.record_class.name}")
        return ""

    def do_error_name(self, _: str) -> str:
        """The document's own exception."""
        self.error = self.title(self["noun"] + " error")
        self.taken.add(self.error)
        return self.error

    def do_raised(self, _: str) -> str:
        """The document's own exception, if it has one."""
        return self.error or "ValueError"

    def do_own_list(self, _: str) -> str:
        """A list among the fields of the class that is open."""
        assert self.owner is not None
        lists = [name for kind, name in self.owner.fields if kind in ("objs", "strs", "nums")]
        return lists[0]

    def do_record(self, _: str) -> str:
        """A new record: a constructor's call, or a dict with its fields."""
        made = self.record_class or Class("", self.record)
        pairs = [(name, self[kind + "_arg"]) for kind, name in made.given()]
        if not made.name:
            return "{" + ", ".join([f'"{name}": {value}' for name, value in pairs]) + "}"
        if self.random() < 0.4:
            return f"{made.name}({', '.join([f'{n}={v}' for n, v in pairs])})"
        return f"{made.name}({', '.join([value for _, value in pairs])})"

    def do_make(self, _: str) -> str:
        """A call of the latest class's constructor."""
        made: Class = self.classes[-1]
        values = [self[kind + "_arg"] for kind, _ in made.given()]
        return f"{made.name}({', '.join(values)})"

    def head(self) -> str:
        """The imports of all modules in use, sorted as isort does."""
        plain = sorted(module for module in self.imports if " " not in module)
        sources: dict[str, list[str]] = {}
        for module, name in sorted(m.split() for m in self.imports if " " in m):
            sources.setdefault(module, []).append(name)
        lines = [f"import {module}" for module in plain]
        lines += [f"from {module} import {', '.join(names)}" for module, names in sources.items()]
        return "\n".join(lines)


def document(rng: random.Random) -> str:
    """One module."""
    coder = Pythonist(rng)
    title = coder["module_doc"]
    parts = [coder.attempt("constants"), coder["errors"] if coder.random() < 0.3 else ""]
    if coder.objects:
        parts.append(coder["class_record"] if coder.random() < 0.8 else coder.borrow_class())
    parts += [coder.function() for _ in range(1 + int(coder.random() * 2.1))]
    if coder.random() < 0.3:
        parts += [coder["class_store"], coder.attempt("store_use", "store_use", "plain_function")]
    if coder.random() < 0.3:
        parts.append(coder.function())
    parts.append(coder.attempt("last", "last", "plain_last"))
    text = "\n\n\n".join([part for part in parts if part])
    return tidy("\n\n".join([part for part in (title, coder.head(), text) if part])) + "\n"
