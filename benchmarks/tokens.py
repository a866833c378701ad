"""The tokens stage beside bare `tokenizers`: the same text, in one run.

    python benchmarks/tokens.py [--megabytes 8] [--repeats 5]

The stage reads parquet, encodes, puts a document token before each document, and writes
safetensors. The peer calls `Tokenizer.encode_batch` on all documents at once, which are in memory
already. Both use the cores that RAYON_NUM_THREADS leaves them; the text is Python's own library.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from featflow.core.config.corpora import Files
from featflow.core.config.tokenizers import Bpe
from featflow.core.slices import CorpusSlice, TokenizerSlice, TokensSlice
from featflow.data import corpus, tokenizer, tokens
from featflow.data.documents import batches


def prepared(folder: Path, size: int) -> tuple[Path, Path]:
    """A corpus of `size` bytes and a tokenizer trained on it."""
    source = Files(kind="files", paths=["{stdlib}/**/*.py"], exclude=["**/test/**"], bytes=size)
    splits = {s: folder / f"{s}.parquet" for s in ("train", "validation", "selection")}
    corpus.run(CorpusSlice(study="benchmark", corpus="python", seed=0, source=source), **splits)
    file = folder / "tokenizer.json"
    settings = Bpe(kind="bpe", corpora=["python"], vocabulary=4096)
    cfg = TokenizerSlice(study="benchmark", tokenizer=settings)
    tokenizer.run(cfg, corpora=[splits["train"]], output=file)
    return splits["train"], file


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print tokens a second of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        documents, file = prepared(Path(name), int(options.megabytes * 1e6))
        output = Path(name, "tokens.safetensors")
        cfg = TokensSlice(study="benchmark", corpus="python", split="train")
        texts = [text for batch in batches(documents) for text in batch]
        bare = Tokenizer.from_file(str(file))
        bare.encode_special_tokens = True  # as the stage does: `<s>` in a text is text

        def stage() -> None:
            tokens.run(cfg, documents=documents, tokenizer=file, output=output)

        def peer() -> list:
            return bare.encode_batch(texts, add_special_tokens=False)

        timed = [(seconds(stage), seconds(peer)) for _ in range(options.repeats + 1)][1:]
        ids = tokens.read(output).ids
        expected = [i for encoding in peer() for i in (1, *encoding.ids)]
        assert np.array_equal(ids, expected), "the two do not agree"
        ours, theirs = (min(column) for column in zip(*timed, strict=True))
        print(f"{len(ids):,} tokens of {len(texts):,} documents, best of {options.repeats}")
        print(f"featflow tokens           {len(ids) / ours:12,.0f} tokens/s")
        print(f"tokenizers.encode_batch   {len(ids) / theirs:12,.0f} tokens/s")
        print(f"featflow / encode_batch   {theirs / ours:12.2f}")


if __name__ == "__main__":
    main()
