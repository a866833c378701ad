"""The stages `corpus` and `tokens` beside bare `tokenizers`, on the same text.

    .venv.peers/bin/python -m benchmarks.tokens [--seconds 40] [--json FILE]

The text is Python's own library, copied to a folder. `corpus` finds and reads the files,
normalises, drops duplicates, splits and writes parquet; `tokens` reads parquet, encodes, puts a
document token before each document and writes safetensors, a split at a time. The peer calls
`Tokenizer.encode_batch` on all documents at once, which are in memory already. Both encode on all
cores.
"""

import shutil
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from benchmarks.rows import Row, Run, interleaved, main, medians
from featflow.config.corpora import Files
from featflow.config.tokenizers import Bpe
from featflow.data import corpus, tokenizer, tokens
from featflow.data.documents import batches
from featflow.plan.stages.data import CorpusSlice, TokenizerSlice, TokensSlice

DEFAULT_SECONDS = 40.0
BYTES, VOCABULARY = 8_000_000, 4096
SPLITS = ("train", "validation", "selection")


class Stages:
    """A corpus, its tokenizer, and the stages that are measured, in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        ignored = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__")
        shutil.copytree(sysconfig.get_path("stdlib"), folder / "library", ignore=ignored)
        self._documents = {split: folder / f"{split}.parquet" for split in SPLITS}
        self.tokenizer = folder / "tokenizer.json"
        self.corpus()
        settings = Bpe(kind="bpe", corpora=["python"], vocabulary=VOCABULARY)
        cfg = TokenizerSlice(study="benchmark", tokenizer=settings)
        tokenizer.run(cfg, corpora=[self._documents["train"]], output=self.tokenizer)

    def corpus(self) -> None:
        """Python's library as three files of documents."""
        source = Files(kind="files", paths=[f"{self.folder}/library/**/*.py"], bytes=BYTES)
        cfg = CorpusSlice(study="benchmark", corpus="python", seed=0, source=source)
        corpus.run(cfg, **self._documents)  # type: ignore[arg-type]

    def tokens(self) -> None:
        """The ids of every split."""
        for split in SPLITS:
            cfg = TokensSlice(study="benchmark", corpus="python", split=split)  # type: ignore[arg-type]
            at = {"documents": self._documents[split], "tokenizer": self.tokenizer}
            tokens.run(cfg, **at, output=self._ids(split))

    def both(self) -> None:
        """From files to ids."""
        self.corpus()
        self.tokens()

    def texts(self) -> list[str]:
        """Every document, split after split."""
        return [t for split in SPLITS for some in batches(self._documents[split]) for t in some]

    def ids(self) -> np.ndarray:
        """What `tokens` has written, split after split."""
        return np.concatenate([tokens.read(self._ids(split)).ids for split in SPLITS])

    def _ids(self, split: str) -> Path:
        return self.folder / f"{split}.safetensors"


def measure(seconds: float) -> list[Row]:
    """A row for `tokens`, and one for both stages, within about so many seconds."""
    with tempfile.TemporaryDirectory() as name:
        stages = Stages(Path(name))
        texts = stages.texts()

        def peer() -> list[Encoding]:
            bare = Tokenizer.from_file(str(stages.tokenizer))  # its cache is empty, as the stage's
            bare.encode_special_tokens = True  # as the stage does: `<s>` in a text is text
            return bare.encode_batch(texts, add_special_tokens=False)

        stages.tokens()
        ids = stages.ids()
        expected = [i for encoding in peer() for i in (1, *encoding.ids)]
        assert np.array_equal(ids, expected), "the two do not agree"
        runs: dict[str, Run] = {
            "tokens": stages.tokens,
            "corpus and tokens": stages.both,
            "peer": peer,
        }
        times = medians(interleaved(runs, seconds))
    size = f"{sum(len(text.encode()) for text in texts) / 1e6:.1f} MB of Python"
    return [
        Row(
            what=f"{stage}, {size}",
            beside="tokenizers.encode_batch, text in memory",
            ours=len(ids) / times[stage],
            theirs=len(ids) / times["peer"],
            unit="tokens/s",
            aim=0.8,
            note="files are found, read, hashed, split, written and read again"
            if stage == "corpus and tokens"
            else "parquet read, ids written",
        )
        for stage in ("tokens", "corpus and tokens")
    ]


if __name__ == "__main__":
    main(measure, __doc__, DEFAULT_SECONDS)
