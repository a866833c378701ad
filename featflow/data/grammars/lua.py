"""Lua modules: tables with metatables, functions and a main part about one domain.

The domains, names and comments are those of the Python grammar, so that what the two languages
share is words and habits (assignment above all), and what they do not is exceptions: Lua has
``pcall`` and ``error``.
"""

import random

from featflow.data.grammars.code import Class, Coder, tidy
from featflow.data.grammars.engine import read_rules

RULES = read_rules("code.txt", "lua.txt")


class Luan(Coder):
    """Writes Lua: functions of a module table ``M`` or local ones, snake_case or camelCase."""

    colon = ":"
    reserved = frozenset(RULES["reserved"][0].split())

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng, RULES, camel=rng.random() < 0.5)
        self.module = self.random() < 0.5
        self.indent = self.choose(["    ", "  ", "  ", "\t"])

    def do_def(self, rest: str) -> str:
        """A function's first line: a method's, the module's, or a local function's."""
        name = self.do_fn(rest)
        if self.owner:
            return f"function {self.owner.name}:{name}({self['params']})"
        if self.module and len(self.frames) == 1:
            self.frames[-1].made.name = self["me"] = f"M.{name}"
            return f"function M.{name}({self['params']})"
        return f"local function {name}({self['params']})"

    def do_cls(self, _: str) -> str:
        """The latest class's name."""
        return self.classes[-1].name

    def do_init(self, _: str) -> str:
        """The constructor: what is given is stored, the other tables start empty."""
        made = self.classes[-1]
        given = made.given()
        lines = [f"function {made.name}.new({', '.join([name for _, name in given])})"]
        lines.append(f"    local self = setmetatable({{}}, {made.name})")
        for kind, name in made.fields:
            lines.append(f"    self.{name} = {name if (kind, name) in given else '{}'}")
        return "\n".join([*lines, "    return self", "end"])

    def do_record(self, _: str) -> str:
        """A new record: a constructor's call, or a table with its fields."""
        made = self.record_class or Class("", self.record)
        pairs = [(name, self[kind + "_arg"]) for kind, name in made.given()]
        if made.name and self.random() < 0.6:
            return f"{made.name}.new({', '.join([value for _, value in pairs])})"
        return "{ " + ", ".join([f"{name} = {value}" for name, value in pairs]) + " }"

    def do_make(self, _: str) -> str:
        """A call of the latest class's constructor."""
        made = self.classes[-1]
        values = [self[kind + "_arg"] for kind, _ in made.given()]
        return f"{made.name}.new({', '.join(values)})"

    def head(self) -> str:
        """What the module requires, and its own table."""
        lines = [f'local {module} = require("{module}")' for module in sorted(self.imports)]
        return "\n".join([*lines, "local M = {}"] if self.module else lines)


def document(rng: random.Random) -> str:
    """One module."""
    coder = Luan(rng)
    title = coder["module_doc"]
    parts = [coder.attempt("constants")]
    if coder.random() < 0.45:
        parts.append(coder["class_record"])
    parts += [coder.function() for _ in range(1 + int(coder.random() * 2.1))]
    if coder.random() < 0.3:
        parts += [coder["class_store"], coder.attempt("store_use", "store_use", "plain_function")]
    if coder.random() < 0.3:
        parts.append(coder.function())
    parts.append(coder.attempt("last", "last", "plain_last"))
    if coder.module:
        parts.append("return M")
    text = tidy("\n\n".join([part for part in (title, coder.head(), *parts) if part]))
    return text.replace("    ", coder.indent) + "\n"
