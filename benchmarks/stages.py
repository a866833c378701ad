"""Every stage as a command on inputs of any size: its name, and what makes the two."""

from collections.abc import Callable

from benchmarks import comparing, making

STAGES: dict[str, Callable[..., list[str]]] = {
    name: getattr(module, name)
    for module, names in {
        making: (
            "corpus",
            "tokenizer",
            "tokens",
            "train",
            "finetune",
            "sweep",
            "merge",
            "evaluate",
            "activations",
            "sae",
            "metrics",
            "features",
        ),
        comparing: (
            "correlation",
            "shares",
            "transfer",
            "flow",
            "controls",
            "case",
            "interpret",
            "dashboards",
        ),
    }.items()
    for name in names
}
