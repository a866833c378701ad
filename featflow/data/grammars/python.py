"""Python modules: classes, functions and a main part about one domain.

Names are used by their types and calls have the arity of the definition; ``raise`` and ``except``
name the exceptions that the guarded statement can raise.
"""

import random

from featflow.data.grammars.code import Class, Coder, tidy
from featflow.data.grammars.domains import NAMES
from featflow.data.grammars.engine import parse_rules
from featflow.data.grammars.python_rules import EXPRESSIONS, MODULE, STATEMENTS

RULES = parse_rules(NAMES + MODULE + STATEMENTS + EXPRESSIONS)
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

    reserved = frozenset(
        "and as assert async await break class continue def del elif else except finally for from"
        " global if import in is lambda nonlocal not or pass raise return try while with yield"
        " len sum min max sorted list dict set str int float range enumerate zip open print next"
        " map filter any all type round abs id input object format hash json math os re time"
        " random sys logging main key file self cls".split()
    )

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng, RULES)
        self.objects = self.random() < 0.6
        self.hinted = self.random() < 0.4
        self.error = ""

    def member(self, name: str, field_name: str) -> str:
        if self.objects or name == self.instance:
            return f"{name}.{field_name}"
        return f'{name}["{field_name}"]'

    def hint(self, kind: str) -> str:
        record = self.record.name if self.objects and self.record.name else "dict"
        return HINTS.get(kind) or (record if kind == "obj" else f"list[{record}]")

    def parameter(self, name: str, kind: str) -> str:
        return f"{name}: {self.hint(kind)}" if self.hinted else name

    def do_arrow(self, kind: str) -> str:
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
        given = self.given(self.owner)
        parameters = "".join([", " + self.parameter(name, kind) for kind, name in given])
        lines = [f"def __init__(self{parameters}){' -> None' if self.hinted else ''}:"]
        for kind, name in self.owner.fields:
            empty = "{}" if kind == "dict" else "[]"
            lines.append(f"    self.{name} = {name if (kind, name) in given else empty}")
        return "\n".join(lines)

    def do_attributes(self, _: str) -> str:
        """A dataclass's fields."""
        assert self.owner is not None
        lines = [f"{name}: {HINTS[kind]}" for kind, name in self.given(self.owner)]
        for kind, name in self.owner.fields:
            if (kind, name) not in self.given(self.owner):
                maker = self["use dataclasses field"]
                lines.append(f"{name}: {HINTS[kind]} = {maker}(default_factory=list)")
        return "\n".join(lines)

    def do_error_name(self, _: str) -> str:
        self.error = self.title(self["noun"] + " error")
        self.taken.add(self.error)
        return self.error

    def do_raised(self, _: str) -> str:
        """The document's own exception, if it has one."""
        return self.error or "ValueError"

    def do_own_list(self, _: str) -> str:
        assert self.owner is not None
        lists = [name for kind, name in self.owner.fields if kind in ("objs", "strs", "nums")]
        return lists[0]

    def do_record(self, _: str) -> str:
        """A new record: a constructor's call, or a dict with its fields."""
        pairs = [(name, self[f"{kind}_arg"]) for kind, name in self.given(self.record)]
        if not self.objects or not self.record.name:
            return "{" + ", ".join([f'"{name}": {value}' for name, value in pairs]) + "}"
        if self.random() < 0.4:
            return f"{self.record.name}({', '.join([f'{n}={v}' for n, v in pairs])})"
        return f"{self.record.name}({', '.join([value for _, value in pairs])})"

    def do_make(self, _: str) -> str:
        """A call of the latest class's constructor."""
        made: Class = self.classes[-1]
        values = [self[kind + "_arg"] for kind, _ in self.given(made)]
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
    if coder.objects and coder.random() < 0.8:
        parts.append(coder["class_record"])
    parts += [coder.function() for _ in range(1 + int(coder.random() * 2.5))]
    if coder.random() < 0.3:
        parts += [coder["class_store"], coder.attempt("store_use", "store_use", "plain_function")]
    if coder.random() < 0.3:
        parts.append(coder.function())
    parts.append(coder.attempt("last", "last", "plain_last"))
    text = "\n\n\n".join([part for part in parts if part])
    return tidy("\n\n".join([part for part in (title, coder.head(), text) if part])) + "\n"
