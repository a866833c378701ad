"""The generated corpora: valid, varied, nested, and the same on every run."""

import ast
import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from featflow.data.grammars import LANGUAGES, documents, english, lua, python, stories
from featflow.data.grammars.engine import parse_rules, parse_words, read_words
from featflow.plan.stages import STAGES

COUNT = 1_500
EXCEPTION_WORDS = re.compile(r"\b(try|except)\b")
OPENS_BLOCK = ast.FunctionDef | ast.ClassDef | ast.For | ast.While | ast.If | ast.With | ast.Try


@pytest.fixture(scope="module")
def corpus() -> dict[str, list[str]]:
    return {language: list(documents(language, "tests", COUNT)) for language in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_documents_are_distinct(corpus: dict[str, list[str]], language: str) -> None:
    assert len(set(corpus[language])) >= 0.95 * COUNT


@pytest.mark.parametrize("language", LANGUAGES)
def test_vocabulary_is_rich(corpus: dict[str, list[str]], language: str) -> None:
    assert len(set(re.findall(r"[A-Za-z_]+", "\n".join(corpus[language])))) >= 3_000


@pytest.mark.parametrize("language", LANGUAGES)
def test_sizes_are_typical_and_varied(corpus: dict[str, list[str]], language: str) -> None:
    sizes = sorted(map(len, corpus[language]))
    assert 500 <= sizes[COUNT // 2] <= 2_500
    assert sizes[COUNT * 9 // 10] >= 1.2 * sizes[COUNT // 2]
    assert sizes[0] >= 60


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_larger_corpus_begins_with_the_smaller(language: str) -> None:
    ten = list(documents(language, 0, 10))
    assert list(documents(language, 0, 4)) == ten[:4]
    assert list(documents(language, 0, 6, start=4)) == ten[4:]
    assert list(documents(language, 1, 10)) != ten


def test_documents_are_the_same_in_another_process(corpus: dict[str, list[str]]) -> None:
    """Nothing may hang on the order of a set, hence on PYTHONHASHSEED."""
    code = (
        "import hashlib; from featflow.data.grammars import LANGUAGES, documents; print(*[hashlib"
        ".sha256('\\0'.join(documents(name, 'tests', 50)).encode()).hexdigest()"
        " for name in LANGUAGES])"
    )
    here = [hashlib.sha256("\0".join(corpus[name][:50]).encode()).hexdigest() for name in LANGUAGES]
    root = Path(__file__).parents[2]
    for seed in ("1", "2"):
        there = subprocess.run(
            [shutil.which("python3") or "python", "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.split() == here


def test_an_edited_grammar_goes_with_a_raised_revision(corpus: dict[str, list[str]]) -> None:
    """It alone has corpora remade that lie on disks already."""
    text = "\0".join(text for name in LANGUAGES for text in corpus[name])
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert (STAGES["corpus"].revision, digest) == (2, "8a594b34f08e")


def test_an_unknown_language_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'perl'.*english, lua, python, stories"):
        next(documents("perl", 0, 1))


def test_python_parses_and_nests(corpus: dict[str, list[str]]) -> None:
    depths = [block_depth(ast.parse(text)) for text in corpus["python"]]
    assert sum(depth >= 4 for depth in depths) >= 0.1 * COUNT


def block_depth(node: ast.AST) -> int:
    inner = max((block_depth(child) for child in ast.iter_child_nodes(node)), default=0)
    return inner + isinstance(node, OPENS_BLOCK)


def test_lua_compiles(corpus: dict[str, list[str]], tmp_path: Path) -> None:
    """Each document as a function of one big file: luac crashes on very many files."""
    luac = next(filter(knows_goto, ("luac5.4", "luac5.3", "luac")), None)
    if luac is None:
        pytest.skip("no luac of Lua 5.2 or later on PATH")
    source = tmp_path / "all.lua"
    source.write_text(
        "\n".join(f"do local function _()\n{text}\nend end" for text in corpus["lua"])
    )
    checked = subprocess.run([luac, "-p", source], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def knows_goto(luac: str) -> bool:
    """Whether the compiler is there and of a Lua that has ``goto``: a plain luac may be 5.1."""
    if shutil.which(luac) is None:
        return False
    version = subprocess.run([luac, "-v"], capture_output=True, text=True)
    return "Lua 5.1" not in version.stdout + version.stderr


def test_lua_nests(corpus: dict[str, list[str]]) -> None:
    depths = [max(map(indentation, text.splitlines())) for text in corpus["lua"]]
    assert sum(depth >= 4 for depth in depths) >= 0.1 * COUNT


def indentation(line: str) -> int:
    """Levels of indentation, at least: a tab a level, else four spaces."""
    blank = line[: len(line) - len(line.lstrip())]
    return blank.count("\t") + blank.count(" ") // 4


@pytest.mark.parametrize("grammar", [english, stories])
def test_clauses_embed(grammar) -> None:  # type: ignore[no-untyped-def]
    deepest = []
    for number in range(500):
        scene = grammar.scene(Random(number))
        grammar.write(scene)
        deepest.append(scene.deepest)
    assert sum(depth >= 4 for depth in deepest) >= 0.02 * len(deepest)


def test_exceptions_are_known_to_python_alone(corpus: dict[str, list[str]]) -> None:
    """The demo's known truth: what an exception feature sees is in no other language."""
    handling = [text for text in corpus["python"] if re.search(r"^ *except\b", text, re.M)]
    assert len(handling) >= 0.25 * COUNT
    assert len(set(re.findall(r"except (\w+)", "\n".join(handling)))) >= 15
    assert sum("raise" in text for text in corpus["python"]) >= 0.25 * COUNT
    assert not any(EXCEPTION_WORDS.search(text) for text in corpus["lua"])
    for language in ("english", "stories", "lua"):
        assert not any(re.search(r"\bexcept\b", text) for text in corpus[language])


def test_assignment_is_common_in_both_programming_languages(corpus: dict[str, list[str]]) -> None:
    for language in ("python", "lua"):
        assert "\n".join(corpus[language]).count(" = ") >= 5 * COUNT
    for language in ("english", "stories"):
        assert not any("=" in text for text in corpus[language])


def test_quotes_close_and_no_markup_is_left(corpus: dict[str, list[str]]) -> None:
    for language in ("english", "stories"):
        for text in corpus[language]:
            assert text.count('"') % 2 == 0
            assert not re.search(r"[\^${}]|  \w|\ba [aeio]\w", text), text


def test_subjects_agree_with_their_verbs() -> None:
    """In number, whatever the noun of the phrase between them."""
    checked = 0
    for number in range(1_000):
        scene = english.scene(Random(number))
        singular, plural = (set(scene.lexicon[f"thing_{form}"][1]) for form in "sp")
        for clause in [scene["clause_now"] for _ in range(3)]:
            found = re.match(r"the (\w+)(?: (?:in|near|under) the \w+)* (is|are)\b", clause)
            if found and found[1] in singular ^ plural:
                assert found[2] == ("is" if found[1] in singular else "are")
                checked += 1
    assert checked >= 30


def test_calls_have_the_arity_of_the_definition(corpus: dict[str, list[str]]) -> None:
    checked = 0
    for text in corpus["python"][:500]:
        tree = ast.parse(text)
        arity = {
            node.name: len(node.args.args)
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and node.name != "main" and not node.args.defaults
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "main") in arity:
                assert len(call.args) == arity[call.func.id], text  # type: ignore[attr-defined]
                checked += 1
    assert checked >= 100


@pytest.mark.parametrize("grammar", [english, stories, python, lua])
def test_every_slot_has_a_meaning(grammar) -> None:  # type: ignore[no-untyped-def]
    """Each slot of each rule is a rule, a word class, a verb of the writer, or bound by it."""
    writers = {english: english.scene, stories: stories.scene}
    writers |= {python: python.Pythonist, lua: lua.Luan}
    writer = writers[grammar](Random(0))
    bound = set("abdfijkmnrxy") | {"p1", "p2", "me", "params", "more", "fn_words"}
    bound |= {f"v_{form}" for form in "spdtbgn"}
    for name, options in grammar.RULES.items():
        for slot in re.findall(r"(?<!\{)\{([^{}]+)\}", "\n".join(options)):
            head, *_ = re.sub(r"^>\d+ ", "", slot).split(" ")
            known = head in writer or head in grammar.RULES or head in writer.lexicon
            known = known or head in bound or hasattr(writer, "do_" + head)
            known = known or "some_" + head in grammar.RULES
            assert known, f"rule {name!r}: slot {slot!r}"


def test_rules_are_weighted_and_made_for_each_letter() -> None:
    rules = parse_rules("[np_@ | @=s p]\n2 the $thing_@\n1 if $x {\n      $(block)\n  ~\n  }\n")
    assert rules["np_p"] == ["the {thing_p}"] * 2 + ["if {x} {{\n    {>4 block}\n\n}}"]


def test_word_lists_go_on_in_deeper_lines() -> None:
    assert parse_words("kitchen\n  thing pot\n    cup\n  stuff\n\ngarden\n  thing rake\n") == {
        "kitchen": {"thing": ["pot", "cup"], "stuff": []},
        "garden": {"thing": ["rake"]},
    }


def test_no_comment_of_a_file_gets_into_its_rules_or_lists() -> None:
    for grammar in (english, stories, python, lua):
        options = [option for options in grammar.RULES.values() for option in options]
        assert not any("engine.py" in option or option.endswith("\\") for option in options)
    for file in ("topics.txt", "domains.txt", "forms.txt"):
        for fields in read_words(file).values():
            assert all(re.fullmatch(r"[\w-]+", w) for words in fields.values() for w in words)
