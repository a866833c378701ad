"""A data set of the Hugging Face hub, or a local folder in the hub's layout.

Rows are read file by file, in the data set's order: over the network, or from the hub's cache, into
which the files are downloaded first. No code of a data set is ever run.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featflow.config.corpora import Hub
from featflow.config.errors import FeatflowError
from featflow.data import places
from featflow.data.places import DATA_FILES, SourceError, expand_path, local_path
from featflow.data.readers import text_sizes
from featflow.data.sources import Document, text_of
from featflow.runtime.log import log, progress

# A dry run asks only for local files: it does without seconds of imports.
if TYPE_CHECKING:
    from datasets import DatasetBuilder

    from featflow.data.hub import Repository

SHARD = re.compile(r"-\d+-of-\d+")
"""What tells the files of one table apart."""


def documents(source: Hub, seed: int) -> Iterator[Document]:
    """The documents of the data set's split, in its order; with `sample`, a share of them.

    Args:
        source: the data set.
        seed: chooses the sample, and the files where `files` says how many.

    Raises:
        SourceError: when the data set cannot be opened or read, lacks the column, or has no rows.
    """
    from featflow.data import hub

    name = expand_path(source.dataset, "dataset")
    local = Path(name).is_dir()
    if local and source.revision:
        raise SourceError(f"revision: {source.dataset!r} is a folder, which has none; leave it out")
    label = Path(name).resolve().name if local else name
    repository = hub.Repository("dataset", name, source.revision, "dataset")
    nothing = f"split: {label} has no rows in split {source.split!r}; name another one"
    i = -1
    try:
        for i, (file, row) in enumerate(_rows(source, repository, label, local, seed)):
            if source.sample is None or drawn(i, seed, source.sample):
                text = text_of(row[source.text], "text", f"column {source.text!r} of {label}")
                part_of = SHARD.sub("", file) if source.source is None else str(row[source.source])
                yield Document(text, part_of, f"{label}/{source.split}:{i}")
    except (FeatflowError, MemoryError):
        raise
    except Exception as error:  # datasets, pyarrow and the hub's client have many classes
        message = None if local else hub.explain(error, repository)
        if isinstance(error.__cause__, StopIteration):  # raised by datasets for an empty file
            message = nothing
        raise SourceError(
            message
            or f"dataset: {label} cannot be read: {hub.first_line(error)}; check its files, and "
            f"whether split {source.split!r} has any rows"
        ) from error
    if i < 0:
        raise SourceError(nothing)


def local_files(source: Hub) -> list[Path]:
    """Those of a folder in the hub's layout; none of the hub's."""
    local_path(source.dataset, "dataset")
    return [Path(file) for file in places.local_files(source.dataset, DATA_FILES, "dataset")]


def text_bytes(source: Hub) -> float | None:
    """What a folder's files hold; of a data set on the hub the limit, if there is one."""
    folder = local_path(source.dataset, "dataset")
    if folder is None:
        return source.bytes
    return sum(text_sizes(path for path in folder.rglob("*") if path.is_file()))


def drawn(row: int, seed: int, share: float) -> bool:
    """Whether a row is in the sample: its own draw, whatever else is read.

    A hash of the seed and the row's number, read as a number in [0, 1), is below the share; so a
    larger share holds a smaller one.
    """
    digest = hashlib.sha256(f"{seed}/{row}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def _rows(
    source: Hub, repository: "Repository", label: str, local: bool, seed: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows that are read, each with its file's name in the data set."""
    import numpy as np

    builder = _builder(source, repository, local)
    found = {str(split): files for split, files in (builder.config.data_files or {}).items()}
    if source.split not in found:
        raise SourceError(f"split: {label} has no split {source.split!r}; it has: {_list(found)}")
    files = [str(file) for file in found[source.split]]
    if source.files is not None and source.files < len(files):
        log.info("%s: %s of its %s files", label, source.files, len(files))
        chosen = np.random.default_rng(seed).permutation(len(files))[: source.files]
        files = [files[i] for i in np.sort(chosen)]
    places = files if local or source.streaming else _downloaded(files, repository, label)
    for file, place in zip(files, places, strict=True):
        for row in _rows_of(builder, source, place, label):
            yield _within(file, repository, local), row


def _rows_of(
    builder: "DatasetBuilder", source: Hub, file: str, label: str
) -> Iterator[dict[str, Any]]:
    builder.config.data_files = {source.split: [file]}
    rows = builder.as_streaming_dataset(source.split)
    if rows.features is not None:  # lines of JSON tell their fields only row by row
        _check_columns(source, label, rows.features)
    if hasattr(builder.config, "columns"):  # parquet: the other columns stay where they are
        builder.config.columns = [c for c in (source.text, source.source) if c is not None]
        rows = builder.as_streaming_dataset(source.split)
    for row in rows:
        _check_columns(source, label, row)
        yield row


def _within(file: str, repository: "Repository", local: bool) -> str:
    """A file's name in the data set: hf://datasets/owner/name@commit/name without its beginning."""
    if local:
        return os.path.relpath(file, repository.name)
    return re.sub(r"^.*?@[^/]+/", "", file)


def _check_columns(source: Hub, label: str, columns: dict[str, Any]) -> None:
    for key, name in (("text", source.text), ("source", source.source)):
        if name is not None and name not in columns:
            raise SourceError(f"{key}: {label} has no column {name!r}; it has: {_list(columns)}")


def _builder(source: Hub, repository: "Repository", local: bool) -> "DatasetBuilder":
    """The data set's reader, at one commit, for the config asked for."""
    import datasets

    from featflow.data import hub

    datasets.disable_progress_bars()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # a request that serves nobody here
    datasets.config.STREAMING_OPEN_MAX_RETRIES = 3  # half a minute each
    datasets.config.STREAMING_READ_MAX_RETRIES = 3
    options: dict[str, Any] = {}
    if not local:
        revision = hub.commit(repository)
        log.info("%s: commit %s of %s", source.dataset, revision, hub.constants.ENDPOINT)
        options = {"revision": revision, "token": hub.token("dataset")}
    try:
        return datasets.load_dataset_builder(repository.name, name=source.config, **options)
    except ValueError as error:
        names = datasets.get_dataset_config_names(repository.name, **options)
        if source.config in names or (source.config is None and len(names) < 2):
            raise
        asked = f"no config {source.config!r}; it has" if source.config else "several configs"
        raise SourceError(f"config: {source.dataset!r} has {asked}: {_list(names)}") from error


def _downloaded(urls: list[str], repository: "Repository", label: str) -> list[str]:
    """The files of a split, from the hub's cache or fresh: their paths there."""
    import datasets

    from featflow.data import hub

    options = datasets.DownloadConfig(token=hub.token("dataset"), disable_tqdm=True)
    manager = datasets.DownloadManager(dataset_name=label, download_config=options)
    log.info("%s: %s files, into %s", label, f"{len(urls):,}", hub.constants.HF_HUB_CACHE)
    return [manager.download(url) for url in progress(urls, "files", len(urls))]


def _list(names: Any) -> str:
    return ", ".join(map(str, names)) or "none"
