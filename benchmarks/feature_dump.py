"""Making a feature dump (LM, encoder, CSR) against the LM and one product alone.

    .venv.peers/bin/python -m benchmarks.feature_dump [--seconds 40] [--json FILE]

featflow runs `encode` of stage features whole: the blocks through TransformerLens's bridge up to
the hook, the encoder, what of it fires, and the rows into the files that become the dump. The bound
is the same batches of blocks through transformers' own modules up to the same point, with its
fastest attention, and one product with the encoder's weights in float32 into memory that is there:
no bias, no ReLU, nothing found, nothing kept. Both use random weights; of the features about 30
fire at a token. Two more rows tell what the files cost: the dump that is put together from its
parts, and read and checked, against a copy of its bytes.

On a GPU the paper's size alone is measured, with more tokens (not measured yet).
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import numpy as np
import torch

from benchmarks import inputs, rows
from benchmarks.inputs import HOOK, Size
from benchmarks.rows import Row
from featflow.artifacts.provenance import Provenance
from featflow.data.windows import Rows, layout
from featflow.features import dump
from featflow.features.dump import Spool
from featflow.features.features import encode
from featflow.models.folder import load_model
from featflow.models.hooked import TOKENS_A_BATCH, HookedModel
from featflow.plan.stages.features import FeaturesSlice
from featflow.runtime.device import device
from featflow.saes import saelens
from featflow.saes.sparse import Codes

DEFAULT_SECONDS = 40

DEMO = Size(hidden=128, width=256, heads=4, vocabulary=2048, context=128, features=1024, firing=22)
PAPER = Size(
    hidden=512, width=1024, heads=16, vocabulary=32_000, context=256, features=16_384, firing=30
)
AIMS = {"cpu": 0.7, "cuda": 0.4}


class _Stop(Exception):
    pass


class Work:
    """A model, an SAE, and blocks of tokens."""

    def __init__(self, size: Size, tokens: int):
        """Args: the sizes; how many tokens the LM reads."""
        folder = inputs.model("base", size)
        self.size, self.where = size, device()
        self.sae = saelens.load(inputs.sae(folder, "main", size), self.where)
        self.hooked = HookedModel.load(folder, HOOK, self.where)
        self.plain = load_model(folder).to(self.where).eval()  # type: ignore[arg-type]
        rng = np.random.default_rng(0)
        shape = tokens // size.context, size.context
        ids = rng.integers(3, size.vocabulary, shape, np.int32).ravel()
        self.blocks = Rows(ids, np.arange(shape[0]), size.windows, np.zeros(0, np.int64))

    @property
    def rows(self) -> int:
        """Rows of the dump."""
        return int(self.blocks.counts().sum())

    def featflow(self) -> Spool:
        """The rows of a dump, in files."""
        spool = Spool(Path(), "bench", self.size.features)
        encode(self.hooked, self.sae, self.blocks, spool)
        return spool

    def bound(self) -> None:
        """The LM and one product."""
        kept = layout(self.size.windows).kept(self.size.window)
        with torch.inference_mode(), self._until_the_hook() as activations:
            for some in self.blocks.batches(TOKENS_A_BATCH):
                ids = torch.from_numpy(self.blocks.ids(some.start, some.stop).astype(np.int64))
                x = activations(ids.to(self.where))
                torch.mm(x[:, kept].flatten(0, 1), self.sae.W_enc, out=self._product(len(ids)))

    def _product(self, count: int) -> torch.Tensor:
        found = count * layout(self.size.windows).windows * self.size.window
        if not hasattr(self, "_kept") or len(self._kept) < found:
            self._kept = torch.empty(found, self.size.features, device=self.where)
        return self._kept[:found]

    @contextmanager
    def _until_the_hook(self) -> Iterator:
        found = []

        def stop(_: object, given: tuple[torch.Tensor]) -> None:
            found.append(given[0])
            raise _Stop

        def activations(ids: torch.Tensor) -> torch.Tensor:
            try:
                self.plain(ids, use_cache=False)
            except _Stop:
                return found.pop()
            raise ValueError("the forward pass never came by the hook")

        end = self.plain.model.layers[0].mlp.down_proj
        handle = end.register_forward_pre_hook(stop)
        try:
            yield activations
        finally:
            handle.remove()


def measure(seconds: float) -> list[Row]:
    """The rows, within about so many seconds."""
    gpu = device().type == "cuda"
    sizes = [(PAPER, 2**20)] if gpu else [(DEMO, 2**15), (PAPER, 2**14)]
    found = []
    for size, tokens in sizes:
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            found += _compared(size, tokens, 0.8 * seconds / len(sizes))
            if size is PAPER:
                found += _files(0.1 * seconds)
    return found


def _compared(size: Size, tokens: int, seconds: float) -> list[Row]:
    work = Work(size, tokens)
    sync = torch.cuda.synchronize if work.where.type == "cuda" else lambda: None
    runs = {"ours": work.featflow, "bound": work.bound}
    times = rows.medians(rows.interleaved(runs, seconds, sync=sync))
    ours, bound = (work.rows / times[name] for name in runs)
    spool = work.featflow()
    l0 = spool.pairs / spool.rows
    what = f"feature dump, n {size.width:,}, m {size.features:,}, L0 {l0:.0f}, float32"
    note = f"LM: {size.layers} layer of {size.hidden}; TransformerLens computes plain attention"
    return [Row(what, "LM + one product", ours, bound, "tokens/s", AIMS[work.where.type], note)]


def _files(seconds: float, count: int = 200_000, firing: int = 30) -> list[Row]:
    """A dump of so many rows: from its parts, and read, against a copy of the file."""
    cfg = FeaturesSlice(
        study="bench",
        model="base",
        sae="main",
        hook=HOOK,
        corpora=["x"],
        windows=PAPER.windows,
        tokens_per_corpus=count,
    )
    provenance, spool = Provenance("features", cfg), Spool(Path(), "files", PAPER.features)
    rng = np.random.default_rng(0)
    steps = rng.integers(1, PAPER.features // firing, (4096, firing))
    indices = np.cumsum(steps, axis=1, dtype=np.int32).ravel()
    values = rng.random(len(indices), np.float32) + np.float32(0.1)
    indptr = np.arange(0, len(indices) + 1, firing)
    for first in range(0, count, 4096):
        spool.add(Codes(indptr, indices, values), first + np.arange(4096))
    runs = {
        "written": lambda: spool.write(Path("dump"), provenance),
        "read": lambda: dump.read(Path("dump"), PAPER.features),
        "copied": lambda: shutil.copyfile("dump", "copy"),
    }
    times = rows.medians(rows.interleaved(runs, seconds))
    size = f"a dump of {spool.rows:,} rows, L0 {firing}"
    return [
        Row(f"{size}, {name}", "a copy of the file", times[name], times["copied"], "s", None, note)
        for name, note in (("written", "from its parts"), ("read", "every row is checked"))
    ]


if __name__ == "__main__":
    rows.main(measure, __doc__, DEFAULT_SECONDS)
