"""Grammars and word lists, written as text, and the writer that expands them.

They are the .txt files beside this module. In all of them a line that begins with ``#`` is a
comment, and a line that ends with a backslash goes on in the next. Rules:

    [np_@ | @=s d]
    3 the $thing_s
    1 the $thing_s that $vp_@

A rule is a name in brackets with its alternatives. An alternative opens with its weight; lines
indented by two columns continue it, and a lone ``~`` is an empty line. ``$name`` or ``$(any key)``
is a slot; a slot that opens an indented line has its whole text indented alike, so that blocks of
code nest by themselves. After ``|``, each letter stands for several values, and the rule is made
once for each (verb forms, speakers). Past a depth, a rule gives its first alternative, which must
therefore be a plain one.

Word lists:

    kitchen
      thing pot cup spoon bowl
        plate pan
      stuff flour sugar

A section's name stands above its fields; a field's name stands before its words, which go on in
deeper lines.
"""

import itertools
import random
import re
from collections.abc import Mapping, Sequence
from importlib import resources

Rules = Mapping[str, list[str]]
Lexicon = Mapping[str, tuple[str, list[str]]]

COMMENT = re.compile(r"^#.*\n", re.MULTILINE)
SECTION = re.compile(r"^(\w+)\n", re.MULTILINE)
FIELD = re.compile(r"^  (?=\w)", re.MULTILINE)
ALTERNATIVE = re.compile(r"^(\d+) ", re.MULTILINE)
SLOT = re.compile(r"\$\(([^)]+)\)|\$(\w+)")
INDENTED = re.compile(r"^( +)\{(.*?)\}", re.MULTILINE)


def read_rules(*files: str) -> dict[str, list[str]]:
    """The rules of several files; of two with one name the later."""
    return parse_rules("\n".join(map(_text, files)))


def read_words(file: str) -> dict[str, dict[str, list[str]]]:
    """The word lists of a file: section → field → words, in the file's order."""
    return parse_words(_text(file))


def _text(file: str) -> str:
    """A file beside this module as it is meant: without comments, with lines that go on joined."""
    text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
    return COMMENT.sub("", text).replace("\\\n", "")


def parse_words(text: str) -> dict[str, dict[str, list[str]]]:
    """Word lists: section → field → words."""
    _, *parts = SECTION.split(text)
    return {name: _fields(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def _fields(body: str) -> dict[str, list[str]]:
    """A section's lists: field → words."""
    rows = [row.split() for row in FIELD.split(body)[1:]]
    return {field: words for field, *words in rows}


def parse_rules(text: str) -> dict[str, list[str]]:
    """The rules of a grammar: name → format strings, each as often as its weight says."""
    rules: dict[str, list[str]] = {}
    for chunk in re.split(r"^\[", text, flags=re.MULTILINE)[1:]:
        head, body = chunk.split("]\n", 1)
        for name, instance in _instances(head, body):
            _, *parts = ALTERNATIVE.split(instance)
            weights, templates = parts[::2], parts[1::2]
            rules[name] = [
                _compile(template)
                for weight, template in zip(weights, templates, strict=True)
                for _ in range(int(weight))
            ]
    return rules


def _instances(head: str, body: str) -> list[tuple[str, str]]:
    """(name, body) once for each combination of values of the rule's letters."""
    name, _, letters = head.partition(" | ")
    axes = re.findall(r"(\S)=([\w ]+?)(?=$| \S=)", letters)
    made = []
    for values in itertools.product(*(axis.split() for _, axis in axes)):
        pair = name, body
        for (letter, _), value in zip(axes, values, strict=True):
            pair = pair[0].replace(letter, value), pair[1].replace(letter, value)
        made.append(pair)
    return made


def _compile(template: str) -> str:
    """A template as a format string: slots in braces, other braces doubled."""
    lines = [line.removeprefix("  ") for line in template.rstrip().split("\n")]
    text = "\n".join("" if line == "~" else line for line in lines)
    text = text.replace("{", "{{").replace("}", "}}")
    text = SLOT.sub(lambda match: "{" + (match[1] or match[2]) + "}", text)
    return INDENTED.sub(lambda match: f"{match[1]}{{>{len(match[1])} {match[2]}}}", text)


class Writer(dict[str, str]):
    """Expands rules into text. Its items are the names bound so far, which win over rules.

    A slot is, in this order: a bound name, a rule, a word class of the lexicon, or a word with
    arguments: ``$(verb rest)`` calls the method ``do_verb(rest)``.
    """

    DEEPEST = 24

    def __init__(self, rng: random.Random, rules: Rules, lexicon: Lexicon) -> None:
        self.random = rng.random
        self.rules = rules
        self.lexicon = lexicon
        self.depth = 0
        self.drawn: dict[str, list[int]] = {}

    def __missing__(self, key: str) -> str:
        options = self.rules.get(key)
        if options is None:
            return self.word(key) if key in self.lexicon else self.call(key)
        self.depth += 1
        shallow = self.depth < self.DEEPEST
        text = options[int(self.random() * len(options))] if shallow else options[0]
        if "{" in text:
            text = text.format_map(self)
        self.depth -= 1
        return text

    def word(self, key: str) -> str:
        """A word of a class: often one that this document has used, else a new one.

        A Chinese restaurant process over a list ordered by frequency: words come in bursts, and
        their overall frequencies fall off like Zipf's. The forms of a word (singular and plural,
        tenses) share their draws, since only positions in the list are remembered.
        """
        family, words = self.lexicon[key]
        drawn = self.drawn.setdefault(family, [])
        seat = int(self.random() * (len(drawn) + 4))
        if seat < len(drawn) and drawn[seat] != drawn[-1]:
            place = drawn[seat]
        else:
            u = self.random()
            place = int(len(words) * u * u)
        drawn.append(place)
        return words[place]

    def call(self, key: str) -> str:
        """The text of a slot that is an indented one or a word with arguments."""
        if key[0] == ">":
            columns, _, slot = key[1:].partition(" ")
            return self[slot].replace("\n", "\n" + " " * int(columns))
        verb, _, rest = key.partition(" ")
        method = getattr(self, "do_" + verb, None)
        if method is None:
            raise KeyError(f"the grammar has no rule, word class or method for the slot {key!r}")
        text: str = method(rest)
        return text

    def do_or(self, rest: str) -> str:
        """Either nothing or the slot's text, evenly: ``$(or comment)``."""
        return self[rest] if self.random() < 0.5 else ""

    def do_as(self, rest: str) -> str:
        """``$(as x rule)``: the rule's text, which ``$x`` repeats from there on."""
        name, rule = rest.split(" ", 1)
        self[name] = text = self[rule]
        return text

    def do_hold(self, rest: str) -> str:
        """The same without printing it yet."""
        self.do_as(rest)
        return ""

    def do_number(self, rest: str) -> str:
        """``$(number 9)``: a number below nine."""
        return str(int(self.random() * float(rest)))

    def choose(self, options: Sequence[str]) -> str:
        """One of them, all alike."""
        return options[int(self.random() * len(options))]
