"""`featflow init`: a commented study to start from, written into workflow_config.yaml."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import tyro
import yaml

from featflow.commands import insertion, starters
from featflow.commands.estimates import of_study
from featflow.commands.folders import Sample, is_name, look, name_for, read, there
from featflow.commands.plan import outlook
from featflow.commands.sizing import SHARES, Sizes, sizes
from featflow.commands.starters import Root, Wanted
from featflow.commands.terminal import CONFIG, ConfigPath, size, span
from featflow.commands.widths import Shape, settings_in, shape_in
from featflow.config import FeatflowError, load
from featflow.plan import programs

CONTEXT = 128
"""Tokens of a block in what is written."""
FEATURES = 4096
"""An SAE on a pretrained model gets about as many features, at most four an input."""
CORES, IN_TIME = 2, 20 * 60
"""The sizes are chosen so that so many cores need at most so many seconds."""
ASSUMED = Shape(768, 3072, weights=4 * 124_000_000)
"""A model on the hub that is not here: as large as GPT-2."""

Flag = tyro.conf.FlagCreatePairsOff
Paths = Annotated[list[str], tyro.conf.arg(metavar="PATH [PATH ...]", help_behavior_hint="")]


def init(
    name: Annotated[str, tyro.conf.arg(metavar="NAME")],
    /,
    folders: Paths = [],  # noqa: B006 (tyro reads it)
    base: Paths = [],  # noqa: B006
    finetune: Annotated[
        tyro.conf.UseAppendAction[list[list[str]]],
        tyro.conf.arg(metavar="PATH [PATH ...]", help_behavior_hint="(may be given again)"),
    ] = [],  # noqa: B006
    merge: Annotated[bool, Flag] = False,
    model: Annotated[str | None, tyro.conf.arg(metavar="MODEL", help_behavior_hint="")] = None,
    paper: Annotated[bool, Flag] = False,
    set_default: Annotated[bool, Flag] = False,
    config: ConfigPath = CONFIG,
) -> None:
    """Write a commented study to start from into workflow_config.yaml.

    What is in the file stays as it is. The text is looked at, and the settings are chosen so that
    two CPU cores are done in minutes, as far as the model allows; then it is said what the study
    takes. Names are of small letters and digits.

      featflow init mine --folders texts/old texts/new
      featflow init mine --base talk python --finetune lua --finetune stories --merge
      featflow init mine --model roneneldan/TinyStories-1M --base texts/any --finetune texts/code
      featflow init mine --paper

    Args:
        name: the study's name.
        folders: in short: a base on the first folder, a fine-tune of it on each further one; the
            fine-tunes on the second and third are merged.
        base: folders (or files) of text, code, or records (JSON, .csv, .parquet): what the base
            model learns. With --model, text like what that one has learnt.
        finetune: folders that one fine-tune of the base learns.
        merge: merge the two fine-tunes.
        model: start from a model that exists, instead of training one: a folder in Hugging Face's
            format, or a name on the hub.
        paper: extend the study `paper`.
        set_default: make it the study that `snakemake` builds when none is named.
        config: the file to write into.
    """
    if not is_name(name):
        raise FeatflowError(
            f"{name!r} is no name for a study: small letters and digits, a letter first, such as "
            f"{_name_like(name)!r}"
        )
    programs.remember([config])
    if paper:
        if folders or base or finetune or merge or model is not None:
            raise FeatflowError(
                "--paper goes without --folders, --base, --finetune, --merge and --model: it has "
                "its own data"
            )
        head, template = _paper(name)
        notes: list[str] = []
    else:
        named = _named(folders, base, finetune, merge, model)
        head, template, notes = _own(name, named, model)
    insertion.insert(config, name, lambda i: starters.lines(name, head, template, i), set_default)
    print("\n".join([*_next(name, config, set_default, notes)]))


def choices() -> str:
    """What one may start from."""
    command = programs.program("featflow")
    return f"""say what to start from:
  {command} init NAME --folders A B
                    your own text: a base model learns A, a fine-tune of it B;
                    of three folders or more, B's and C's fine-tunes are merged
  {command} init NAME --base A B --finetune C --finetune D --merge
                    the same said in full: here a base on two corpora
  {command} init NAME --model M --folders A [B]
                    a model that exists (a folder, or a name on the hub), and a
                    fine-tune of it on B; A is text like what it has learnt
  {command} init NAME --paper
                    the paper's study, to change (GPUs, 140 GB of disk)"""


def _named(
    folders: list[str],
    base: list[str],
    finetune: list[list[str]],
    merge: bool,
    model: str | None,
) -> tuple[Wanted, dict[str, str]]:
    """The lineage that the flags ask for, by paths, and which flag named a path.

    Raises:
        FeatflowError: when they are no lineage, or a path is not there.
    """
    if not folders and not base and not finetune:
        if model is None:
            raise FeatflowError(choices())
        raise FeatflowError(
            f"--model {model}: name a folder of text to fine-tune it on: --folders A"
        )
    if folders and (base or finetune):
        raise FeatflowError(
            "--folders is short for --base and --finetune: give the one or the other"
        )
    flags = {path: "--finetune" for each in finetune for path in each}
    flags |= dict.fromkeys(base, "--base") | dict.fromkeys(folders, "--folders")
    if problems := [*_missing(flags), *_incomplete(folders, base, finetune, merge, model)]:
        raise FeatflowError("\n".join(problems))
    if folders:
        further = folders[1:] or folders  # a model that exists may learn its only one
        base, finetune = folders[:1], [[path] for path in further]
        merge = len(finetune) > 1
    return Wanted(base, finetune, merge), flags


def _missing(flags: dict[str, str]) -> Iterator[str]:
    """The paths at which nothing is, by the flags that named them."""
    for path, flag in flags.items():
        try:
            there(path, flag)
        except FeatflowError as error:
            yield str(error)


def _incomplete(
    folders: list[str],
    base: list[str],
    finetune: list[list[str]],
    merge: bool,
    model: str | None,
) -> Iterator[str]:
    """What the flags lack of a lineage."""
    if folders and model is None and len(folders) == 1:
        yield (
            f"--folders {folders[0]}: name a second folder: a model learns the first one, and "
            "what becomes of its features is seen when it learns another"
        )
    elif not folders and not base:
        what = "text like what it has learnt" if model else "what a base model learns first"
        yield f"--finetune: name {what} as well: --base A"
    elif not folders and not finetune:
        yield (
            f"--base {' '.join(base)}: name a folder for a fine-tune as well, --finetune B: what "
            "becomes of a model's features is seen when it learns something else"
        )
    if merge and (folders or len(finetune) != 2):
        count = len(folders) - 1 if folders else len(finetune)
        if count < 2 or not folders:
            yield (
                f"--merge: two fine-tunes are merged, and {count} "
                f"{'is' if count == 1 else 'are'} named; give --finetune twice"
            )


def _name_like(name: str) -> str:
    letters = re.sub(r"[^a-z0-9]", "", name.lower()).lstrip("0123456789")
    return letters if is_name(letters) else "mine"


def _paper(name: str) -> tuple[list[str], str]:
    head = [
        f"Written by `featflow init {name} --paper`: what one would change first.",
        "On a cluster, set in the environment whom to charge, where to run and on which GPUs:",
        "SLURM_PROFILE_ACCOUNT, SLURM_PROFILE_PARTITION, FEATFLOW_GPU (profiles/slurm).",
    ]
    return head, starters.PAPER


def _own(
    name: str, asked: tuple[Wanted, dict[str, str]], model: str | None
) -> tuple[list[str], str, list[str]]:
    """What leads the study in, its keys, and what is to be said of its sizes."""
    wanted, flags = asked
    named: dict[str, str] = {}
    samples: dict[str, Sample] = {}
    for path in [*wanted.base, *(path for each in wanted.finetunes for path in each)]:
        if path not in named:
            named[path] = name_for(path, set(samples))
            samples[named[path]] = read(look(path, flags[path]))
    lineage = Wanted(
        [named[path] for path in wanted.base],
        [[named[path] for path in each] for each in wanted.finetunes],
        wanted.merge,
    )
    root = None if model is None else root_of(model)
    context = CONTEXT if root is None else root.context
    full = sizes(
        list(samples.values()),
        context,
        swept=wanted.merge,
        tokenizer=None if root is None else Path(os.path.expanduser(root.name), "tokenizer.json"),
    )

    def written(chosen: Sizes) -> str:
        return starters.on_folders(samples, lineage, chosen, context, root)

    template, notes = _in_time(name, full, written, root)
    head = [
        f"Written by `{_command(name, wanted, flags, model)}`.",
        f"Sizes for minutes on {CORES} CPU cores, as far as the model allows. Every key there is: "
        "docs/config.md.",
    ]
    return head, template, notes


def _command(name: str, wanted: Wanted, flags: dict[str, str], model: str | None) -> str:
    words = ["featflow", "init", name, *(["--model", model] if model else [])]
    if "--folders" in flags.values():
        return " ".join([*words, "--folders", *flags])
    words += ["--base", *wanted.base]
    words += [word for each in wanted.finetunes for word in ("--finetune", *each)]
    return " ".join([*words, *(["--merge"] if wanted.merge else [])])


def _in_time(
    name: str, full: Sizes, written: Callable[[Sizes], str], root: Root | None
) -> tuple[str, list[str]]:
    """The study with the first share of all tokens with which it is done in time, and notes."""
    if root is None:
        return written(full), []
    assumed = None if Path(os.path.expanduser(root.name)).is_dir() else ASSUMED
    for share in SHARES:
        template = written(full.scaled(share) if share < 1 else full)
        study = yaml.safe_load(template)
        workflow = load({"study": name, "studies": {name: study}})
        seconds = of_study(workflow, name, CORES, assumed)
        if seconds <= IN_TIME:
            break
    notes = []
    if assumed is not None:
        notes.append(
            f"{root.name} is on the hub, and is not asked now: the sizes are for a model of 124 "
            f"million parameters ({span(seconds)} on {CORES} cores). Its SAEs read its first "
            "block: another hook is better, once its number of blocks is known (saes.main.hook)."
        )
    if seconds > IN_TIME:
        notes.append(
            f"It is a model for a GPU: even with as few tokens as a study can do with, {CORES} "
            f"CPU cores take {span(seconds)}."
        )
    elif share < 1:
        notes.append(
            f"The sizes are {share:.0%} of what a small model gets, so that {CORES} CPU cores are "
            "done in minutes. With a GPU take more: activations.tokens, saes.main.tokens, "
            "probe.tokens_per_corpus, epochs."
        )
    return template, notes


def root_of(model: str) -> Root:
    """What a study needs to know of a model that exists; guessed for one on the hub.

    Raises:
        FeatflowError: when a folder is none of Hugging Face's.
    """
    folder = Path(os.path.expanduser(model))
    shape = shape_in(folder) if folder.is_dir() else None
    if shape is None and (
        folder.exists() or model.startswith(("/", ".", "~")) or model.count("/") > 1
    ):
        raise FeatflowError(
            f"--model: {model!r} is no folder with a model (no config.json with its size)"
        )
    settings = settings_in(folder) if shape else {}
    layers = settings.get("num_hidden_layers") or settings.get("n_layer") or 1
    longest = settings.get("max_position_embeddings") or settings.get("n_positions") or CONTEXT
    width = (shape or ASSUMED).intermediate
    return Root(
        name=model,
        hook=f"blocks.{layers // 2}.mlp.hook_post",
        expansion=max(1, min(4, FEATURES // width)),
        context=min(CONTEXT, longest),
    )


def _next(name: str, config: Path, default: bool, notes: list[str]) -> list[str]:
    study = [] if default else ["--config", f"study={name}"]
    return [
        f"Study {name} is in {config}: read it, change it. Next:",
        "",
        f"  {programs.featflow('check', name)}",
        f"  {programs.snakemake(*study)}",
        f"  {programs.featflow('table', name)}",
        "",
        f"and open results/{name}/report/index.html. The flow figure alone is there sooner:",
        "",
        f"  {programs.snakemake(f'results/{name}/figures/flow.html')}",
        "",
        *notes,
        *_outlook(name, config),
    ]


def _outlook(name: str, config: Path) -> list[str]:
    """What `featflow plan` says of the study, in short."""
    command = programs.featflow("plan", name)
    try:
        told = outlook(load(config), name, os.cpu_count() or 1)
    except FeatflowError as error:
        return [f"What it takes, `{command}` could not say: {error}"]
    return [
        f"It takes, as `{command}` says:",
        "",
        *(f"  {line}" for line in told.summary if not line.startswith("what is to run now")),
        f"  disk: {size(told.disk)}",
        *(line for line in told.room if "warning" in line),
    ]
