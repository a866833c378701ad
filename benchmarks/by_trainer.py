"""Loss and accuracy of a model folder by Hugging Face's Trainer, as its run_clm.py evaluates.

    .venv/bin/python -m benchmarks.by_trainer MODEL TOKENS.safetensors … [--context 128]

A peer of the stages `evaluate` and `sweep`; it reads what they read, and nothing of featflow.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments
from transformers.utils import logging

BATCH = 8
"""Blocks of a forward pass: Trainer's default. With 32 or 64 it is no faster on two cores."""


def evaluated(folder: Path, tokens: list[Path], context: int) -> list[tuple[float, float]]:
    """Loss (nats) and accuracy on the blocks of each file of tokens."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as output:
        settings = TrainingArguments(
            output_dir=output,
            per_device_eval_batch_size=BATCH,
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=torch.cuda.is_available(),
        )
        trainer = Trainer(
            model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
            args=settings,
            compute_metrics=_accuracy,
            preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(-1),
        )
        trainer.log = lambda *_: None  # type: ignore[method-assign]  # what is printed costs time
        found = [trainer.evaluate(_blocks(path, context)) for path in tokens]  # type: ignore[arg-type]
    return [(metrics["eval_loss"], metrics["eval_accuracy"]) for metrics in found]


def _blocks(path: Path, context: int) -> list[dict[str, torch.Tensor]]:
    ids = torch.from_numpy(load_file(path)["input_ids"].astype(np.int64))
    rows = ids[: len(ids) // context * context].view(-1, context)
    return [{"input_ids": row, "labels": row} for row in rows]


def _accuracy(predictions: Any) -> dict[str, float]:
    right = predictions.predictions[:, :-1] == predictions.label_ids[:, 1:]
    return {"accuracy": float(right.mean())}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("tokens", type=Path, nargs="+")
    parser.add_argument("--context", type=int, default=128)
    given = parser.parse_args()
    for path, (loss, accuracy) in zip(
        given.tokens, evaluated(given.model, given.tokens, given.context), strict=True
    ):
        print(f"{path}: loss {loss:.4f}, accuracy {accuracy:.4f}")
