"""A language model opened at one hook: its activations there, its loss with them replaced.

Shapes: B blocks, L tokens a block, n the width of the hook.
"""

import logging
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from featflow.artifacts.io import readable
from featflow.artifacts.provenance import named
from featflow.artifacts.reading import error_text
from featflow.config.errors import FeatflowError, did_you_mean
from featflow.models.attention import use_own
from featflow.models.folder import load_model, quiet
from featflow.models.losses import CHUNK_BYTES
from featflow.runtime.log import importing

Replace = Callable[[Tensor], Tensor]

TOKENS_A_BATCH = 4096
"""Tokens of a forward pass; fixed, so that the same block always gives the same bits."""


SAMPLED = 16
"""Tokens of a block that two ways to compute attention are compared on."""


class HookError(FeatflowError):
    """The model has no such hook, or nothing that an SAE could read is there."""


class _Stop(Exception):
    """Raised out of a hook: what follows it is not computed."""


class HookedModel:
    """A causal language model in float32 that never needs a gradient."""

    def __init__(self, bridge: Any, hook: str, name: str, attention: str = "eager"):
        """Open a TransformerBridge at a hook.

        Args:
            bridge: the model.
            hook: a TransformerLens hook name.
            name: the model's, for messages.
            attention: the implementation that transformers had chosen for the model.

        Raises:
            HookError: when there is no such hook, or it carries no (B, L, n) tensor.
        """
        self._bridge = bridge
        self.hook = hook
        carried = _carried(bridge, name)
        misnamed = {key: of for key in carried if (of := _other_name(bridge, key))}
        proper = {k: n for k, n in carried.items() if k not in misnamed and n > 1}
        if hook in misnamed:
            raise HookError(_misnamed(name, hook, misnamed[hook], proper))
        if carried.get(hook) == 1:
            raise HookError(
                f"{name}: {hook} carries one number a token, and an SAE reads vectors: give it "
                "another hook, or a model that is wider there"
            )
        if hook not in carried:
            raise HookError(_no_such_hook(name, hook, proper))
        self.width = carried[hook]
        use_own(bridge, attention, self._sample)

    @classmethod
    def load(cls, folder: Path, hook: str, device: torch.device | str = "cpu") -> "HookedModel":
        """Open a Hugging Face model folder (it must hold a tokenizer too).

        Raises:
            ArtifactError: when a file of the model is missing or cannot be read.
            HookError: when there is no such hook, or TransformerLens does not know such models.
        """
        with importing():
            from transformer_lens.model_bridge import TransformerBridge
            from transformers import PreTrainedTokenizerFast

        logging.getLogger("transformer_lens").setLevel(logging.WARNING)
        folder = Path(folder)
        model = load_model(folder)
        attention = model.config._attn_implementation
        with readable(folder / "tokenizer.json"), quiet():
            (folder / "tokenizer.json").stat()
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
        try:
            bridge = TransformerBridge.boot_transformers(
                str(folder),
                device=str(device),
                dtype=torch.float32,
                hf_model=model.to(device),  # type: ignore[arg-type]
                tokenizer=tokenizer,
            )
        except MemoryError:
            raise
        except Exception as error:  # of many classes: it meets what its authors had no model for
            reason = error_text(error).split(". ")[0]  # what follows is a list of all it can open
            raise HookError(
                f"{named(folder)}: TransformerLens cannot open a {type(model).__name__}: {reason}; "
                "without its hooks a model can be evaluated, fine-tuned and merged, but have no SAE"
            ) from error
        return cls(bridge.eval().requires_grad_(False), hook, named(folder), attention)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self._bridge.parameters()).device

    def activations(self, ids: Tensor) -> Tensor:
        """What the hook carries for ids (B, L): (B, L, n). Nothing behind it is computed."""
        found = self._passed(ids)
        if found is None:
            raise HookError(f"{self.hook}: the forward pass never came by this hook")
        return found

    def _passed(self, ids: Tensor) -> Tensor | None:
        found: list[Tensor] = []

        def stop(value: Tensor, hook: object) -> None:
            found.append(value)
            raise _Stop

        with suppress(_Stop):
            self._logits(ids, stop)
        return found[0] if found else None

    def losses(
        self, ids: Tensor, replace: Replace | None = None, kept: slice = slice(None)
    ) -> Tensor:
        """Next-token cross-entropy (nats) of ids (B, L): (B, L - 1), or of these positions of it.

        Args:
            ids: the blocks.
            replace: given the hook's (B, L, n), what the model goes on with (None: as it is).
            kept: the positions that are asked for; the losses of others are not computed.
        """
        hook = None if replace is None else (lambda value, hook: replace(value))
        logits = self._logits(ids, hook)
        targets = ids[:, 1:][:, kept].to(logits.device)
        a_block = logits[0].numel() * logits.element_size()
        size = max(1, CHUNK_BYTES.get(logits.device.type, 2**28) // a_block)
        parts = zip(logits[:, :-1][:, kept].split(size), targets.split(size), strict=True)
        return torch.cat([_losses(*part) for part in parts])

    def _sample(self) -> Tensor | None:
        """The activations on a few tokens; None where the forward pass misses the hook."""
        ids = torch.arange(1, 1 + 2 * SAMPLED).view(2, SAMPLED)
        return self._passed(ids % self._bridge.cfg.d_vocab)

    @torch.inference_mode()
    def _logits(self, ids: Tensor, hook: Callable | None) -> Tensor:
        hooks = [] if hook is None else [(self.hook, hook)]
        return self._bridge.run_with_hooks(ids.to(self.device), fwd_hooks=hooks, use_cache=False)


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Of logits (B, L, V) and targets (B, L), few enough to stay in the cache: (B, L)."""
    found = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return found.view(targets.shape)


def _carried(bridge: Any, name: str) -> dict[str, int]:
    """The width n of each hook that carries a float (B, L, n) tensor, by every name it has.

    Raises:
        HookError: when the model cannot be run.
    """
    seen: dict[int, int] = {}

    def note(value: object, hook: object) -> None:
        shape = value.shape if isinstance(value, Tensor) and value.is_floating_point() else ()
        if len(shape) == 3 and shape[:2] == (2, 3) and shape[2] > 0:
            seen[id(hook)] = shape[2]

    ids = torch.zeros(2, 3, dtype=torch.long, device=next(bridge.parameters()).device)
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about hooks that fire only when switched on
        try:
            bridge.run_with_hooks(ids, fwd_hooks=[(lambda name: True, note)], use_cache=False)
        except MemoryError:
            raise
        except Exception as error:
            raise HookError(
                f"{name}: TransformerLens cannot run this model: {error_text(error)}; without its "
                "hooks a model can be evaluated, fine-tuned and merged, but have no SAE"
            ) from error
    return {point: seen[id(hook)] for point, hook in bridge.hook_dict.items() if id(hook) in seen}


INSIDE = {"hook_pre": "hook_in", "hook_post": "hook_out"}
"""Names inside an MLP, and what TransformerLens puts there where it has no such inside."""


def _other_name(bridge: Any, name: str) -> str | None:
    """What a hook inside an MLP is in truth, where that is a mixture of experts: its end, or start.

    (It has no width of its own: each token passes through other experts.)
    """
    place, _, last = name.rpartition(".")
    other = f"{place}.{INSIDE.get(last)}"
    return other if bridge.hook_dict.get(other) is bridge.hook_dict[name] else None


def _misnamed(name: str, hook: str, other: str, proper: dict[str, int]) -> str:
    what = "output" if other.endswith("out") else "input"
    return (
        f"{name}: {hook} would be the {what} of the whole MLP, not its inside: it is a mixture of "
        f"experts, and has no activations of one width inside; to read its {what}, ask for "
        f"{other}\n"
        f"{_there_are(proper)}"
    )


def _no_such_hook(name: str, hook: str, carried: dict[str, int]) -> str:
    """The message: the closest name, and all there are."""
    return (
        f"{name}: no hook {hook!r} that carries a vector a token; {did_you_mean(hook, carried)}\n"
        f"{_there_are(carried)}"
    )


def _there_are(carried: dict[str, int]) -> str:
    """All names, with the blocks' numbers folded together."""
    layers = sorted({int(n) for key in carried for n in re.findall(r"^blocks\.(\d+)\.", key)})
    folded = f"{{0..{layers[-1]}}}" if len(layers) > 1 else "0"
    names = dict.fromkeys(re.sub(r"^blocks\.\d+\.", f"blocks.{folded}.", key) for key in carried)
    return f"the hooks are: {', '.join(names)}"
