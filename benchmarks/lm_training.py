"""Training tokens a second: Hugging Face's Trainer and featflow's loop, in turns, on one text.

    python benchmarks/lm_training.py [--steps 12] [--rounds 3]

Both train the demo's language model (vocabulary 4,096, hidden 128, MLP 256, one layer, context 128,
32 blocks a step) with AdamW, a cosine schedule and clipping at 1, in bfloat16 autocast where the
hardware multiplies it. The best round of each counts, since other processes only slow one down;
OMP_WAIT_POLICY=PASSIVE keeps the threads from spinning against them. The bound is the time of the
step's matrix products alone, each at the speed that this machine reaches on it.
"""

import argparse
import os
import tempfile
import time

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import (
    MistralConfig,
    MistralForCausalLM,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.utils import logging

from featflow.core.checkpoints import Checkpoints
from featflow.core.config.models import Training
from featflow.core.torch_runtime import device, product_dtype, seeded
from featflow.models.training import train

VOCABULARY, HIDDEN, MLP, HEADS, CONTEXT, BATCH = 4096, 128, 256, 4, 128, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    logging.set_verbosity_error()
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, VOCABULARY, (args.steps * BATCH, CONTEXT), dtype=np.int32)
    runs = {"Hugging Face Trainer": huggingface, "featflow": featflow}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, run in runs.items():
            model = new_model()
            with tempfile.TemporaryDirectory() as folder:
                os.environ["FEATFLOW_CHECKPOINTS"] = folder
                start = time.perf_counter()
                run(model, blocks, folder)
                seconds[name].append(time.perf_counter() - start)
    for name, times in seconds.items():
        print(f"{name:22}{blocks.size / min(times):10,.0f} tokens/s")
    print(f"{'bound of the products':22}{BATCH * CONTEXT / product_seconds():10,.0f} tokens/s")


def new_model() -> MistralForCausalLM:
    seeded(0)
    config = MistralConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=MLP,
        num_hidden_layers=1,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS // 2,
        head_dim=HIDDEN // HEADS,
        max_position_embeddings=CONTEXT,
        sliding_window=None,
    )
    return MistralForCausalLM(config)


def featflow(model: MistralForCausalLM, blocks: np.ndarray, folder: str) -> None:
    with Checkpoints("benchmark") as checkpoints:
        train(model, blocks, Training(batch=BATCH), 0, checkpoints)


def huggingface(model: MistralForCausalLM, blocks: np.ndarray, folder: str) -> None:
    arguments = TrainingArguments(
        output_dir=folder,
        use_cpu=device().type == "cpu",
        bf16=product_dtype("auto", device()) == torch.bfloat16,
        per_device_train_batch_size=BATCH,
        num_train_epochs=1,
        learning_rate=6e-4,
        lr_scheduler_type="cosine",
        weight_decay=0.1,
        max_grad_norm=1.0,
        optim="adamw_torch_fused",
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=Blocks(blocks))
    trainer.remove_callback(PrinterCallback)
    trainer.train()


class Blocks(Dataset):
    """Blocks as the Trainer wants them: the labels are the ids, which the model shifts itself."""

    def __init__(self, blocks: np.ndarray):
        self.ids = torch.from_numpy(blocks.astype(np.int64))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.ids[index], "labels": self.ids[index]}


def product_seconds() -> float:
    """Time of all matrix products of one step, forward and backward (2 + 4 FLOPs a parameter)."""
    rows, dtype = BATCH * CONTEXT, product_dtype("auto", device())
    key_values = HIDDEN // 2
    weights = [(HIDDEN, HIDDEN)] * 2 + [(HIDDEN, key_values)] * 2 + [(HIDDEN, MLP)] * 3
    total = 0.0
    for inner, outer in [*weights, (HIDDEN, VOCABULARY)]:
        x = torch.randn(rows, inner, dtype=dtype, device=device())
        w = torch.randn(inner, outer, dtype=dtype, device=device())
        y = torch.empty(rows, outer, dtype=dtype, device=device())
        total += best(lambda x=x, w=w, y=y: torch.mm(x, w, out=y))
        total += best(lambda w=w, y=y: y @ w.T) + best(lambda x=x, y=y: x.T @ y)
    return total


def best(work, times: int = 8) -> float:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        if device().type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    main()
