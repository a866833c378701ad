"""The command line: `featflow <verb>`. Flags come from the signature of the verb's function."""

import importlib
import inspect
import json
import os
import sys
import typing
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ValidationError

from featflow import __version__
from featflow.core.config.errors import ConfigError, FeatflowError, did_you_mean, explain
from featflow.core.stages import STAGES

EVERYDAY = {
    "table": ("featflow.commands", "the flow tables of a study, in the terminal"),
    "schema": ("featflow.commands", "the JSON schema of workflow_config.yaml, for editors"),
}


def main(arguments: list[str] | None = None) -> None:
    """Run a verb; a FeatflowError becomes a message and exit code 1."""
    # Threads that spin while they wait slow each other down up to 20 times where jobs share cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = sys.argv[1:] if arguments is None else arguments
    verb = arguments[0] if arguments else "--help"
    if verb in ("-h", "--help"):
        print(usage())
    elif verb == "--version":
        print(f"featflow {__version__}")
    elif verb in STAGES:
        _run_stage(verb, arguments[1:])
    elif verb in EVERYDAY:
        _guarded(lambda: _call(_function(EVERYDAY[verb][0], verb), verb, arguments[1:]))
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
        "The study is built by Snakemake:  snakemake --profile local [TARGET]",
        "",
        "everyday:",
        *(f"  {verb:<12} {summary}" for verb, (_, summary) in EVERYDAY.items()),
        "",
        "stages (what the rules call; `snakemake -p` prints the commands):",
        *(f"  {verb:<12} {stage.summary}" for verb, stage in STAGES.items()),
        "",
        "`featflow <command> --help` lists the flags of one; every stage takes --log FILE too.",
    ]
    return "\n".join(lines)


def _run_stage(verb: str, arguments: list[str]) -> None:
    """A stage, with its log. Errors reach the log file too."""
    from featflow.core.runtime import log, set_up_logging

    log_file = None
    if "--log" in arguments:
        at = arguments.index("--log")
        log_file = Path(arguments[at + 1])
        arguments = arguments[:at] + arguments[at + 2 :]
    set_up_logging(_label(verb, log_file), log_file)
    try:
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
    run = _function(STAGES[verb].module, "run")
    hints = typing.get_type_hints(run)
    slice_class = hints["cfg"]

    def stage(cfg: str, **paths: object) -> None:
        run(_slice(slice_class, cfg), **paths)

    parameters = list(inspect.signature(run).parameters.values())
    first = parameters[0].replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=str)
    rest = [p.replace(annotation=hints[p.name]) for p in parameters[1:]]
    stage.__signature__ = inspect.Signature([first, *rest])  # type: ignore[attr-defined]
    stage.__annotations__ = {p.name: p.annotation for p in [first, *rest]}
    stage.__doc__ = run.__doc__
    return stage


def _slice(slice_class: type[BaseModel], text: str) -> BaseModel:
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

    tyro.cli(function, prog=f"featflow {verb}", args=arguments)
