"""The command line: `featflow <verb>`. Flags come from the signature of the verb's function."""

import codecs
import gc
import importlib
import inspect
import io
import json
import os
import re
import shutil
import sys
import textwrap
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import ValidationError

from featflow import __version__
from featflow.config.errors import ConfigError, FeatflowError, did_you_mean, explain
from featflow.plan import programs
from featflow.plan.slices import Slice
from featflow.plan.stages import STAGES
from featflow.runtime import torchrun

EVERYDAY = {
    "check": "is a study right, what is in it, what will it cost",
    "plan": "what a study will take: time, GPU-hours, memory, disk",
    "menu": "every target that the config makes possible, and whether it is up to date",
    "why": "why a target would be rebuilt, and what that would cost",
    "verify": "is every artifact of a study what its stage wrote",
    "init": "write a study to start from: your folders, a pretrained model, the paper's",
    "table": "the flow of a study's features, in the terminal",
    "find": "the features that fire on some tokens, and what became of the best of them",
    "schema": "what workflow_config.yaml may say: for editors, or as a reference",
}
"""Commands of people, each a function of its name in featflow/commands/<name>.py."""


def main(arguments: list[str] | None = None) -> None:
    """Run a verb; a FeatflowError becomes a message and exit code 1."""
    # Threads that spin while they wait slow each other down up to 20 times where jobs share cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    print_anything()
    arguments = sys.argv[1:] if arguments is None else arguments
    verb = arguments[0] if arguments else "--help"
    try:
        try:
            _run(verb, arguments[1:])
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
    except BrokenPipeError:  # `featflow menu | head`: the reader has had enough
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        raise SystemExit(141) from None


PLAIN = {
    "→": "->",
    "↑": "^",
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "·": "*",
    "…": "...",
    "≥": ">=",
    "≤": "<=",
    "τ": "tau",
    "λ": "lambda",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "│": "|",
    "├": "|",
    "└": "`",
    "─": "-",
    "╭": "+",
    "╮": "+",
    "╰": "+",
    "╯": "+",
    "⊙": "*",
}
"""What stands for characters of featflow's own words on a terminal that lacks them."""


def print_anything() -> None:
    """Let prints and logs replace what the terminal cannot show (LANG=C), instead of failing."""

    def replaced(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        lost = error.object[error.start : error.end]
        return "".join(PLAIN.get(character, "?") for character in lost), error.end

    codecs.register_error("plain", replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def _run(verb: str, arguments: list[str]) -> None:
    if verb in ("-h", "--help"):
        print(usage())
    elif verb == "--version":
        print(f"featflow {__version__}")
    elif verb in STAGES:
        _run_stage(verb, arguments)
    elif verb in EVERYDAY:
        _guarded(lambda: _call(_function(f"featflow.commands.{verb}", verb), verb, arguments))
    else:
        print(
            f"featflow: no command {verb!r}; {did_you_mean(verb, [*EVERYDAY, *STAGES])}",
            file=sys.stderr,
        )
        raise SystemExit(2)


def usage() -> str:
    """The help text: everyday commands, then the stages that the workflow's rules call."""
    lines = [
        "featflow: what happens to a language model's features when it is fine-tuned or merged.",
        "",
        f"Snakemake builds a study, or one file of it:  {programs.snakemake()} [TARGET]",
        "",
        "everyday:",
        *(f"  {verb:<12} {summary}" for verb, summary in EVERYDAY.items()),
        "",
        *_first_steps(),
        "",
        "stages (what the rules call; `snakemake -p` prints the commands):",
        *(f"  {verb:<12} {stage.summary}" for verb, stage in STAGES.items()),
        "",
        "`featflow <command> --help` says more about one.",
    ]
    return "\n".join(lines)


def _first_steps() -> list[str]:
    steps = {
        programs.featflow("init", "mine", "--folders", "texts/old", "texts/new"): "write a study",
        programs.featflow("check", "mine"): "see what it is",
        programs.featflow("plan", "mine"): "see what it costs",
        programs.snakemake("--config", "study=mine"): "build it",
        programs.featflow("table", "mine"): "read the result",
    }
    width = max(map(len, steps))
    return [f"  {command.ljust(width)}   {what}" for command, what in steps.items()]


def _run_stage(verb: str, arguments: list[str]) -> None:
    """A stage, with its log. Errors reach the log file too."""
    from featflow.runtime.log import log, set_up_logging

    log_file, all_arguments = None, arguments
    if "--log" in arguments:
        at = arguments.index("--log")
        if at + 1 == len(arguments):
            print(f"featflow {verb}: --log needs a file", file=sys.stderr)
            raise SystemExit(2)
        log_file = Path(arguments[at + 1])
        arguments = arguments[:at] + arguments[at + 2 :]
    count, first = torchrun.asked(verb), torchrun.rank() == 0
    set_up_logging(_label(verb, log_file), log_file if first and count == 1 else None)
    if not first:
        log.setLevel("ERROR")
    try:
        if count > 1:
            torchrun.spread(verb, all_arguments, count)
        else:
            _call(_stage_function(verb), verb, arguments)
    except FeatflowError as error:
        log.error("%s", error)
        raise SystemExit(1) from None
    except Exception:
        log.exception("this is a fault of featflow, or of a library: please report it")
        raise SystemExit(1) from None


def _label(verb: str, log_file: Path | None) -> str:
    """What a line of the log begins with: `sae lua/main`, of logs/demo/sae/lua/main.log."""
    if log_file is None or verb not in log_file.parts:
        return verb
    names = log_file.with_suffix("").parts[log_file.parts.index(verb) + 1 :]
    return f"{verb} {'/'.join(names)}"


def _guarded(action: Callable[[], None]) -> None:
    try:
        action()
    except FeatflowError as error:
        print(f"featflow: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _function(module: str, name: str) -> Callable[..., None]:
    return getattr(importlib.import_module(module), name)


def _stage_function(verb: str) -> Callable[..., None]:
    """The stage's `run`, its slice read from the JSON of `--cfg`."""
    import tyro

    run = _function(STAGES[verb].module, "run")
    hints = typing.get_type_hints(run)
    slice_class = hints["cfg"]

    def stage(cfg: str, **paths: object) -> None:
        checked = _slice(slice_class, cfg)
        os.environ[programs.STUDY] = checked.study
        run(checked, **paths)

    text = Annotated[str, tyro.conf.arg(metavar="JSON", help="what the stage reads of the config.")]
    parameters = list(inspect.signature(run).parameters.values())
    first = parameters[0].replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=text)
    rest = [p.replace(annotation=_hinted(hints[p.name], p.default)) for p in parameters[1:]]
    stage.__signature__ = inspect.Signature([first, *rest])  # type: ignore[attr-defined]
    stage.__annotations__ = {p.name: p.annotation for p in [first, *rest]}
    stage.__doc__ = run.__doc__
    return stage


def _hinted(annotation: Any, default: object) -> Any:
    """The annotation, said to be optional where its default is nothing: "(default: )" says less."""
    import tyro

    if default in ((), [], None):
        return Annotated[annotation, tyro.conf.arg(help_behavior_hint="(optional)")]
    return annotation


def _slice(slice_class: type[Slice], text: str) -> Slice:
    """The slice from its JSON.

    Raises:
        ConfigError: naming the keys that are wrong.
    """
    try:
        return slice_class.model_validate_json(text)
    except ValidationError as error:
        try:
            data = json.loads(text)
        except json.JSONDecodeError as broken:
            raise ConfigError(f"--cfg: not valid JSON: {broken}") from None
        raise ConfigError(explain(error, slice_class, data, "--cfg")) from None


def _call(function: Callable[..., None], verb: str, arguments: list[str]) -> None:
    import tyro

    more = ["--log FILE: write the log there too."] if verb in STAGES else []
    description = "\n\n".join([*_described(function), *more])
    if not gc.isenabled():  # by __main__.py, while modules are imported; they stay for good
        gc.freeze()
        gc.enable()
    tyro.cli(function, prog=f"featflow {verb}", description=description, args=arguments)


def _described(function: Callable[..., None]) -> list[str]:
    """The paragraphs of a docstring before its sections, wrapped.

    Indented ones are examples: kept as they are, with the program as it has to be typed here.
    """
    text = re.split(r"\n(?=Args:|Raises:)", inspect.getdoc(function) or "")[0].strip()
    width = min(shutil.get_terminal_size().columns, 90)
    typed = {name: programs.program(name) for name in ("featflow", "snakemake")}
    return [
        re.sub(r"(?m)^( +)(featflow|snakemake) ", lambda m: f"{m[1]}{typed[m[2]]} ", paragraph)
        if paragraph.startswith(" ")
        else textwrap.fill(paragraph, width)
        for paragraph in text.split("\n\n")
    ]
