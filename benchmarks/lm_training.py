"""Training tokens a second of a language model: featflow beside a minimal loop, and its bounds.

    .venv.peers/bin/python -m benchmarks.lm_training [--seconds 110] [--json FILE]

The paper's model (vocabulary 32,000, hidden 512, MLP 1,024, one layer, context 256) and the demo's
(2,048, 128, 256, one layer, context 128), with AdamW, a cosine schedule and clipping at 1, in
bfloat16 autocast. All start from the same text and take turns, a few steps a turn:

- featflow: the whole loop of the stage, its log and its signals included, but for the states that
  it writes every ten minutes and at the end;
- a minimal loop of nanoGPT's kind (benchmarks/minimal_lm.py), with the attention kernel that is
  fastest for it here;
- Hugging Face's Trainer;
- the matrix products of a step alone, each at the speed that this machine reaches on it.

On a CPU the paper's steps have 16 blocks, not 64, for all alike. On a GPU they have 64, the minimal
loop is compiled as nanoGPT's is, and a row more gives the share of the machine's bfloat16 peak, as
measured on one large product, that the model's own operations are (6 a weight and token, and
attention's).
"""

import os
import tempfile
from collections.abc import Callable
from typing import NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stage does, before torch is loaded

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend
from torch.utils.data import Dataset
from transformers import (
    MistralConfig,
    MistralForCausalLM,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.utils import logging

from benchmarks import minimal_lm, rows
from benchmarks.rows import Row, Run, interleaved, medians
from featflow.config.models import Training
from featflow.models.blocks import Blocks
from featflow.models.training import train
from featflow.runtime.checkpoints import Checkpoints
from featflow.runtime.device import device, product_dtype, seeded

DEFAULT_SECONDS = 110
BACKENDS = {"math": SDPBackend.MATH, "flash": SDPBackend.FLASH_ATTENTION}


class Size(NamedTuple):
    """A model, the blocks of a step, and the steps of a turn."""

    name: str
    vocabulary: int
    hidden: int
    mlp: int
    heads: int
    kv_heads: int
    context: int
    batch: int
    steps: int

    @property
    def tokens(self) -> int:
        """Of a turn."""
        return self.batch * self.context * self.steps

    @property
    def weights(self) -> list[tuple[int, int]]:
        """The matrices that a token is multiplied by: inner and outer size."""
        narrow = self.hidden // self.heads * self.kv_heads
        attention = [(self.hidden, self.hidden)] * 2 + [(self.hidden, narrow)] * 2
        return [
            *attention, *[(self.hidden, self.mlp)] * 2, (self.mlp, self.hidden),
            (self.hidden, self.vocabulary),
        ]  # fmt: skip

    @property
    def flops(self) -> float:
        """Of a turn: 2 a weight and token forward, 4 backward; attention's, of all positions."""
        attention = 2 * self.context * self.hidden
        return 6 * self.tokens * (sum(a * b for a, b in self.weights) + attention)


def sizes() -> list[Size]:
    """Both models."""
    gpu = device().type == "cuda"
    return [
        Size("paper's 35 M model", 32000, 512, 1024, 16, 8, 256, *((64, 40) if gpu else (16, 1))),
        Size("demo's model", 2048, 128, 256, 4, 2, 128, 32, 200 if gpu else 10),
    ]


def measure(seconds: float) -> list[Row]:
    """Two models, in equal times."""
    logging.set_verbosity_error()
    found: list[Row] = []
    for size, share in zip(sizes(), (0.7, 0.3), strict=True):
        found += compare(size, seconds * share * 0.6)  # the rest: setting up, warming up, the bound
    return found


def compare(size: Size, seconds: float) -> list[Row]:
    """The rows of a model."""
    blocks = text(size)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEATFLOW_CHECKPOINTS"] = folder
        fastest, minimal = minimal_loop(size, blocks)
        runs = {
            "featflow": featflow(size, blocks),
            "minimal loop": minimal,
            "Trainer": huggingface(size, blocks, folder),
        }
        took = medians(interleaved(runs, seconds, least=3, sync=sync))
    rate = {name: size.tokens / time for name, time in took.items()}
    bound = size.tokens / (product_seconds(size) * size.steps)
    what = f"LM training, {size.name}"
    others = [
        (f"minimal loop, {fastest} attention", rate["minimal loop"], 0.9),
        ("Hugging Face Trainer", rate["Trainer"], None),
        ("its matrix products alone", bound, None),
    ]
    found = [
        Row(what, name, rate["featflow"], other, "tokens/s", aim) for name, other, aim in others
    ]
    return found + ([utilisation(size, took["featflow"])] if device().type == "cuda" else [])


def text(size: Size) -> np.ndarray:
    """Random blocks (B, L) for one turn."""
    shape = (size.batch * size.steps, size.context)
    return np.random.default_rng(0).integers(0, size.vocabulary, shape, dtype=np.int32)


def mistral(size: Size) -> MistralForCausalLM:
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        intermediate_size=size.mlp,
        num_hidden_layers=1,
        num_attention_heads=size.heads,
        num_key_value_heads=size.kv_heads,
        head_dim=size.hidden // size.heads,
        max_position_embeddings=size.context,
        sliding_window=None,
    )
    return MistralForCausalLM(config)


def featflow(size: Size, blocks: np.ndarray) -> Run:
    """The stage's loop, with its deterministic kernels, which the others do without."""
    model = mistral(size)

    def run() -> None:
        seeded(0)
        with Unwritten("benchmark") as checkpoints:
            settings = Training(batch=size.batch, precision="bfloat16")
            train(model, Blocks([blocks]), settings, 0, checkpoints)
        torch.use_deterministic_algorithms(False)

    return run


class Unwritten(Checkpoints):
    """Checkpoints that are not written: a turn is much shorter than the time between two."""

    def save(self, *_: object) -> None:
        """Nothing."""


def minimal_loop(size: Size, blocks: np.ndarray) -> tuple[str, Run]:
    """The minimal loop, with the attention kernel that is the faster one in it, and its name."""
    runs = {name: plain(size, blocks, backend) for name, backend in BACKENDS.items()}
    times = {n: min(t) for n, t in interleaved(runs, 0, least=2, sync=sync).items()}
    fastest = min(times, key=lambda name: times[name])
    return fastest, runs[fastest]


def plain(size: Size, blocks: np.ndarray, backend: SDPBackend) -> Run:
    torch.manual_seed(0)
    shape = (size.vocabulary, size.hidden, size.mlp, 1, size.heads, size.kv_heads, size.context)
    model = minimal_lm.Mistral(*shape).to(device())
    parameters = list(model.parameters())
    forward: Callable[[Tensor], Tensor] = model
    if device().type == "cuda":
        forward = torch.compile(model)
    return lambda: minimal_lm.train(forward, parameters, blocks, size.batch, size.steps, backend)


def huggingface(size: Size, blocks: np.ndarray, folder: str) -> Run:
    """The Trainer with the same settings, and nothing of what it does beside."""
    model = mistral(size)
    arguments = TrainingArguments(
        output_dir=folder,
        use_cpu=device().type == "cpu",
        bf16=True,
        per_device_train_batch_size=size.batch,
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

    def run() -> None:
        trainer = Trainer(model=model, args=arguments, train_dataset=Rows(blocks))
        trainer.remove_callback(PrinterCallback)
        trainer.train()

    return run


class Rows(Dataset):
    """Blocks as the Trainer wants them: the labels are the ids, which the model shifts itself."""

    def __init__(self, blocks: np.ndarray):
        self.ids = torch.from_numpy(blocks.astype(np.int64))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self.ids[index], "labels": self.ids[index]}


def product_seconds(size: Size) -> float:
    """All products with a weight of one step, forward and backward, each at its best."""
    count, where, dtype = size.batch * size.context, device(), product_dtype("auto", device())
    total = 0.0
    for inner, outer in size.weights:
        made = {"dtype": dtype, "device": where}
        x, w = torch.randn(count, inner, **made), torch.randn(outer, inner, **made)
        y, dx, dw = torch.empty(count, outer, **made), torch.empty_like(x), torch.empty_like(w)
        products = {
            "forward": lambda x=x, w=w, y=y: torch.mm(x, w.T, out=y),
            "to the input": lambda y=y, w=w, dx=dx: torch.mm(y, w, out=dx),
            "to the weight": lambda y=y, x=x, dw=dw: torch.mm(y.T, x, out=dw),
        }
        times = interleaved(products, seconds=0, least=3, sync=sync)
        total += sum(map(min, times.values()))
    return total


def utilisation(size: Size, seconds: float) -> Row:
    """The model's own operations a second beside the machine's peak."""
    n = 8192
    a, b = (torch.randn(n, n, dtype=torch.bfloat16, device=device()) for _ in range(2))
    c = torch.empty_like(a)
    times = interleaved({"peak": lambda: torch.mm(a, b, out=c)}, 1.0, least=20, sync=sync)
    rate, peak = size.flops / seconds / 1e12, 2 * n**3 / min(times["peak"]) / 1e12
    aim = 0.4 if size.hidden >= 512 else None
    what = f"LM training, {size.name}, model FLOPs"
    return Row(what, "bfloat16 peak, one large product", rate, peak, "TFLOP/s", aim)


def sync() -> None:
    if device().type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    rows.main(measure, __doc__, DEFAULT_SECONDS)
