"""The pretrained stage: a language model that exists, brought into the study."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import CONFIG_MAPPING, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
)

from featflow.artifacts.provenance import Provenance
from featflow.artifacts.reading import parsed
from featflow.data.places import SourceError, keyed
from featflow.data.tokenizer import document_token, load
from featflow.models.folder import (
    HANDLE,
    check_runs,
    longest_input,
    open_model,
    quiet,
    read_config,
    save_model,
    save_tokenizer,
    vocabulary,
    written_folder,
)
from featflow.models.sources import AGAIN, Source, find, quantised
from featflow.plan.stages.models import PretrainedSlice
from featflow.runtime.device import seeded
from featflow.runtime.log import log


def run(cfg: PretrainedSlice, *, tokenizer: Path, output: Path) -> None:
    """Fetch a language model that exists, from a folder or from the Hugging Face hub.

    Its weights keep the dtype in which they are stored; they are written into one file, under the
    names that transformers gives them now.

    Args:
        tokenizer: the study's tokenizer.json, which must be the model's.
        output: the model folder.

    Raises:
        ConfigError: naming the key, when the model cannot be had or read, is no causal language
            model, does not fit the study's tokenizer or context, or has weights that are not
            finite.
    """
    seeded(0)
    with keyed(f"studies.{cfg.study}.models.{cfg.model}"):
        source = find(cfg)
        config = causal_config(source)
        inputs = [tokenizer, source.folder / HANDLE, *source.files]
        provenance = Provenance("pretrained", cfg, inputs)
        check_context(cfg.context, config, source)
        model = opened(source, config)
        check_causal(model, source)
        check_tokenizer(load(tokenizer), tokenizer, model, source, cfg.name)
    with written_folder(output) as folder:
        save_tokenizer(tokenizer, folder)
        save_model(model, folder, provenance)
    log.info("%s: %s parameters in %s", source.name, f"{model.num_parameters():,}", model.dtype)


def causal_config(source: Source) -> PretrainedConfig:
    """The model's config, if transformers itself has the code of such a causal language model.

    Raises:
        SourceError: when the config cannot be read, or is another kind of model's.
    """
    path = source.folder / HANDLE
    try:
        config = read_config(source.folder)
    except FileNotFoundError:
        raise SourceError(f"name: {source.name} has no {HANDLE}; {AGAIN}") from None
    except (ValueError, OSError) as error:
        remedy = f"correct what it says, or {AGAIN}"
        if not known_type(path):
            remedy = (
                "only architectures that the installed transformers knows by itself can be used, "
                "since code beside a model is never run"
            )
        raise SourceError(f"name: {path} cannot be used: {error}; {remedy}") from error
    known = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    for name in config.architectures or []:
        known = known and name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    if not known:
        what = ", ".join(config.architectures or [config.model_type])
        raise SourceError(
            f"name: {source.name} is a {what}, which is no causal language model; featflow "
            "follows models that predict the next token (…ForCausalLM)"
        )
    if getattr(config, "quantization_config", None):
        raise SourceError(quantised(source.name, f"quantization_config in its {HANDLE}"))
    return config


def known_type(path: Path) -> bool:
    """Whether the installed transformers has the architecture that a config.json names."""
    try:
        found = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True  # whatever it names, it is broken
    kind = found.get("model_type") if isinstance(found, dict) else None
    return isinstance(kind, str) and kind in CONFIG_MAPPING


def check_context(context: int, config: PretrainedConfig, source: Source) -> None:
    """Raise SourceError if the study's blocks are longer than what the model can read."""
    longest = longest_input(config)
    if longest is not None and context > longest:
        raise SourceError(
            f"context: {context} is longer than the longest input of {source.name}, {longest} "
            f"tokens; use at most {longest}"
        )


def opened(source: Source, config: PretrainedConfig) -> PreTrainedModel:
    """The model in its stored dtype, every weight of it from the files, and finite.

    Raises:
        SourceError: when a weight is missing, of another shape, or not finite, or the model cannot
            be run.
    """
    dtype = source.dtype()
    try:
        model, strangers = open_model(source.folder, config, dtype)
    except (ValueError, OSError) as error:
        files = ", ".join(path.name for path in source.files)
        raise SourceError(f"name: {source.name}: {files}: {error}; {AGAIN}") from error
    if strangers:
        log.info("left out, as the model does not use them: %s", ", ".join(strangers))
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise SourceError(
                f"name: {source.file_of(name)}: {name} has weights that are not finite (NaN or "
                f"infinite); {AGAIN}, or use another one"
            )
    try:
        check_runs(model.eval())
    except ValueError as error:
        raise SourceError(
            f"name: {source.folder / HANDLE}: {error}; correct what it says, or {AGAIN}"
        ) from error
    if hasattr(config, "auto_map"):
        del config.auto_map  # names code beside the model, which is not copied
    return model


@torch.inference_mode()
def check_causal(model: PreTrainedModel, source: Source) -> None:
    """Raise SourceError if a token changes what is predicted before it, as in BERT."""
    ids = torch.arange(8)[None] % vocabulary(model)
    other = ids.clone()
    other[0, -1] = 0
    with quiet():
        first, second = (model(input_ids=x, use_cache=False).logits[0, :-1] for x in (ids, other))
    if (first - second).abs().max() > 1e-3 * first.abs().max():
        raise SourceError(
            f"name: {source.name} is no causal language model: a token changes what it predicts "
            "for the tokens before it"
        )


def check_tokenizer(
    tokenizer: Tokenizer, path: Path, model: PreTrainedModel, source: Source, name: str
) -> None:
    """Check that the study's token ids mean to the model what they mean to the study.

    Ids that no text gives (`<pad>`, a chat's tokens) are not looked at: they reach no model.

    Raises:
        SourceError: when an id has no row of embeddings, or another token in the model's own
            tokenizer.
    """
    study = of_text(tokenizer)
    own, rows = source.vocabulary(), vocabulary(model)
    different = sorted(t for t, number in study.items() if own and own.get(t) != number)
    same = own is not None and not different
    theirs = (
        f"set the study's tokenizer to the model's: tokenizer: {{kind: pretrained, name: {name}}}"
    )
    if beyond := sorted((number, token) for token, number in study.items() if number >= rows):
        number, token = beyond[-1]
        ours = (
            "it is the model's own tokenizer, so the two do not fit together: get the model again, "
            f"or give it rows (model.resize_token_embeddings({number + 1}), then save_pretrained) "
            "and train it on text with these tokens"
        )
        raise SourceError(
            f"name: {source.name} has {rows:,} rows of embeddings, and the study's tokenizer "
            f"({path}) gives text ids up to {number:,} ({token!r}); {ours if same else theirs}"
        )
    if own is None:
        log.warning(
            "%s has no tokenizer beside it to compare the study's with: make sure that they are "
            "the same",
            source.name,
        )
    elif different:
        token = different[0]
        there = f"is {own[token]}" if token in own else "does not exist"
        raise SourceError(
            f"name: the tokenizer of {source.name} ({len(own):,} tokens) has another vocabulary "
            f"than the study's, {path} ({len(tokenizer.get_vocab()):,} tokens): {len(different):,} "
            f"tokens differ, such as {token!r}, which is {study[token]} here and {there} there; "
            f"{theirs}"
        )


def of_text(tokenizer: Tokenizer) -> dict[str, int]:
    """The tokens that a corpus can hold: no special ones but what begins a document, or stands for
    what is unknown. (A special token that a text spells is read as text: data/tokenizer.py.)"""
    special = {t.content for t in tokenizer.get_added_tokens_decoder().values() if t.special}
    found = json.loads(tokenizer.to_str())["model"]
    unknown = found.get("unk_token")
    if isinstance(number := found.get("unk_id"), int):  # of a Unigram
        unknown = found["vocab"][number][0]
    begins = document_token(tokenizer)
    left = special - {begins and begins[0], unknown}
    return {token: number for token, number in tokenizer.get_vocab().items() if token not in left}
