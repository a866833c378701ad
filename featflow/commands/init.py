"""`featflow init`: a commented study to start from, written into workflow_config.yaml."""

import os
import re
from pathlib import Path
from typing import Annotated

import tyro

from featflow.commands import insertion, starters
from featflow.commands.folders import Sample, is_name, look, name_for, read
from featflow.commands.sizing import sizes
from featflow.commands.terminal import CONFIG, ConfigPath
from featflow.commands.widths import Shape, settings_in, shape_in
from featflow.core.config import FeatflowError

CHOICES = """say what to start from:
  featflow init NAME --folders A B       your own text: a base model learns A, a fine-tune of it B;
                                         of three folders or more, B's and C's fine-tunes are merged
  featflow init NAME --model M --folders A [B]
                                         a model that exists (a folder, or a name on the hub), and a
                                         fine-tune of it on B; A is text like what it has learned
  featflow init NAME --paper             the paper's study, to change (GPUs, 140 GB of disk)"""

CONTEXT = 128
"""Tokens of a block in what is written."""
MINUTES = "Sizes for minutes on two CPU cores."
FEATURES = 4096
"""An SAE on a pretrained model gets about as many features, at most four an input."""

Flag = tyro.conf.FlagCreatePairsOff


def init(
    name: Annotated[str, tyro.conf.arg(metavar="NAME")],
    /,
    folders: Annotated[
        list[str], tyro.conf.arg(metavar="PATH [PATH ...]", help_behavior_hint="")
    ] = [],  # noqa: B006 (tyro reads it)
    model: Annotated[str | None, tyro.conf.arg(metavar="MODEL", help_behavior_hint="")] = None,
    paper: Annotated[bool, Flag] = False,
    set_default: Annotated[bool, Flag] = False,
    config: ConfigPath = CONFIG,
) -> None:
    """Write a commented study to start from into workflow_config.yaml.

    What is in the file stays as it is. The text is looked at, and the settings are chosen so that
    two CPU cores are done in minutes. Names are of small letters and digits.

      featflow init mine --folders texts/old texts/new
      featflow init mine --folders texts/any texts/code --model roneneldan/TinyStories-1M
      featflow init mine --paper

    Args:
        name: the study's name.
        folders: folders (or files) of text, code, or records (JSON, .csv, .parquet). A model learns
            the first one, a fine-tune of it each further one; the fine-tunes on the second and
            third are merged.
        model: start from a model that exists: a folder in Hugging Face's format, or a name on the
            hub. It is fine-tuned on every folder but the first, which is text like its own.
        paper: extend the study `paper`.
        set_default: make it the study that `snakemake` builds when none is named.
        config: the file to write into.
    """
    if not paper and not folders and model is None:
        raise FeatflowError(CHOICES)
    if paper and (folders or model is not None):
        raise FeatflowError("--paper goes without --folders and --model: it has its own data")
    if model is not None and not folders:
        raise FeatflowError(
            f"--model {model}: name a folder of text to fine-tune it on: --folders A"
        )
    if model is None and len(folders) == 1:
        raise FeatflowError(
            f"--folders {folders[0]}: name a second folder: a model learns the first one, and what "
            "becomes of its features is seen when it learns another"
        )
    if not is_name(name):
        raise FeatflowError(
            f"{name!r} is no name for a study: small letters and digits, a letter first, such as "
            f"{_name_like(name)!r}"
        )
    head, template = _paper(name) if paper else _own(name, folders, model)
    insertion.insert(config, name, lambda i: starters.lines(name, head, template, i), set_default)
    print(_next(name, config, set_default))


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


def _own(name: str, paths: list[str], model: str | None) -> tuple[list[str], str]:
    samples: dict[str, Sample] = {}
    for path in paths:
        samples[name_for(path, set(samples))] = read(look(path))
    root = None if model is None else root_of(model)
    context = CONTEXT if root is None else root.context
    chosen = sizes(
        list(samples.values()),
        context,
        swept=len(paths) > 2,
        tokenizer=None if root is None else Path(os.path.expanduser(root.name), "tokenizer.json"),
    )
    given = f" --model {model}" if model else ""
    size = "Sizes for a small model; a larger one wants a GPU." if model else MINUTES
    head = [
        f"Written by `featflow init {name}{given} --folders {' '.join(paths)}`.",
        f"{size} Every key there is: docs/config.md.",
    ]
    return head, starters.on_folders(samples, chosen, context, root)


def root_of(model: str) -> starters.Root:
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
    width = (shape or Shape(1024, 1024)).intermediate
    return starters.Root(
        name=model,
        hook=f"blocks.{layers // 2}.mlp.hook_post",
        expansion=max(1, min(4, FEATURES // width)),
        context=min(CONTEXT, longest),
    )


def _next(name: str, config: Path, default: bool) -> str:
    other = config != CONFIG
    flag = f" --config {config}" if other else ""
    file = f" --configfile {config}" if other else ""
    study = "" if default else f" --config study={name}"
    return "\n".join(
        [
            f"Study {name} is in {config}: read it, change it. Next:",
            "",
            f"  featflow check {name}{flag}",
            f"  snakemake --profile local{file}{study}",
            f"  featflow table {name}{flag}",
            "",
            f"and open results/{name}/report/index.html. The flow figure alone is there sooner:",
            "",
            f"  snakemake --profile local results/{name}/figures/flow.html",
        ]
    )
