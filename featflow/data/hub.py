"""The Hugging Face hub: what it holds, the token it asks for, and its errors in words that help.

The token of gated repositories comes from the environment's HF_TOKEN alone; it reaches no file, no
log and no message. No code of a repository is ever run.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import disable_progress_bars

from featflow.data.places import SourceError
from featflow.plan.programs import fetch

Kind = Literal["dataset", "model"]
WORDS = {"dataset": "data set", "model": "model"}
TIMEOUT = 20
"""Seconds to wait for the hub's first answer."""
BUSY = (429, 500, 502, 503, 504)
"""Answers that say: later."""
FULL = (errno.ENOSPC, errno.EDQUOT)

disable_progress_bars()  # they fill logs; runtime.progress says how far it is


class Repository(NamedTuple):
    """A repository of the hub, the revision that is wanted, and the config key that names it."""

    kind: Kind
    name: str
    revision: str | None
    key: str

    @property
    def page(self) -> str:
        """Where a person accepts its terms."""
        prefix = "datasets/" if self.kind == "dataset" else ""
        return f"{constants.ENDPOINT}/{prefix}{self.name}"


def token(key: str) -> str | Literal[False]:
    """The environment's HF_TOKEN; False, and no login stored elsewhere, where it is not set.

    Args:
        key: of the config, for the error.

    Raises:
        SourceError: when it cannot be a token; libraries would show it in their message.
    """
    value = os.environ.get("HF_TOKEN", "").strip()
    if not re.fullmatch(r"[!-~]*", value):
        raise SourceError(f"{key}: HF_TOKEN holds characters that no token has; set it anew")
    return value or False


def commit(repository: Repository) -> str:
    """The commit that the revision stands for; asks the hub, and whether it lets us read.

    Raises:
        SourceError: when the hub cannot be reached, or refuses.
    """
    api = HfApi(token=token(repository.key))
    with explained(repository):
        info = api.repo_info(
            repository.name,
            repo_type=repository.kind,
            revision=repository.revision,
            timeout=TIMEOUT,
        )
        if info.gated:
            api.auth_check(repository.name, repo_type=repository.kind)
    assert info.sha is not None
    return info.sha


def folder(repository: Repository, patterns: list[str]) -> Path:
    """A folder with those files of the repository whose names match, from the hub's cache or fresh.

    Raises:
        SourceError: when they cannot be had.
    """
    with explained(repository):
        found = snapshot_download(
            repository.name,
            repo_type=repository.kind,
            revision=repository.revision,
            allow_patterns=patterns,
            token=token(repository.key),
        )
    return Path(found)


@contextmanager
def explained(repository: Repository) -> Iterator[None]:
    """The errors of the hub and its libraries as a SourceError that says what to do.

    Errors that are not about the hub pass through.
    """
    try:
        yield
    except Exception as error:
        if message := explain(error, repository):
            raise SourceError(message) from error
        raise


def explain(error: BaseException, at: Repository) -> str | None:
    """What an error of the hub means, and what to do; None where it is about something else."""
    chain = list(_chain(error))
    if any(isinstance(cause, OSError) and cause.errno in FULL for cause in chain):
        return (
            f"{at.key}: no room for {at.name!r} in the hub's cache, {constants.HF_HUB_CACHE}: free "
            f"some, or move the cache by the environment variable HF_HOME"
        )
    for kinds, words in EXPLAINED:
        for cause in chain:
            if isinstance(cause, kinds):
                return _without_token(words(cause, at))
    return None


def first_line(error: BaseException) -> str:
    """What an error says, in one line and without the token."""
    lines = str(error).strip().splitlines()
    return _without_token(lines[0].strip() if lines else type(error).__name__)


def _without_token(text: str) -> str:
    secret = os.environ.get("HF_TOKEN", "").strip()
    return text.replace(secret, "<HF_TOKEN>") if secret else text


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it was raised from: libraries wrap the hub's."""
    while error is not None:
        yield error
        error = error.__cause__


def _gated(error: BaseException, at: Repository) -> str:
    state = "the account of HF_TOKEN has no access" if token(at.key) else "HF_TOKEN is not set"
    return (
        f"{at.key}: {at.name!r} is gated, and {state}: accept its terms at {at.page}, "
        f"and set the environment variable HF_TOKEN to a token of that account"
    )


def _no_repository(error: BaseException, at: Repository) -> str:
    return (
        f"{at.key}: there is no {WORDS[at.kind]} {at.name!r} on the hub ({constants.ENDPOINT}), "
        f"and no such folder here; check the name, and set HF_TOKEN if it is private"
    )


def _no_revision(error: BaseException, at: Repository) -> str:
    known = ""
    with suppress(Exception):  # only a help
        refs = HfApi(token=token(at.key)).list_repo_refs(at.name, repo_type=at.kind)
        names = ", ".join(ref.name for ref in [*refs.branches, *refs.tags])
        known = f"; it has: {names}, and its commits"
    return f"revision: {at.name!r} has no branch, tag or commit {at.revision!r}{known}"


def _offline(error: BaseException, at: Repository) -> str:
    return (
        f"{at.key}: HF_HUB_OFFLINE is set, and {at.name!r} is not in the hub's cache: unset it on "
        f"a machine with a network, and run `{fetch()}` there"
    )


def _refused(error: BaseException, at: Repository) -> str:
    assert isinstance(error, HfHubHTTPError)
    status = error.response.status_code if error.response is not None else 0
    if status in (401, 403) and token(at.key):
        return f"{at.key}: the hub does not accept the token in HF_TOKEN; set it anew, or unset it"
    if status in BUSY:
        return f"{at.key}: the hub ({constants.ENDPOINT}) answers {status}; try again later"
    return f"{at.key}: {at.name!r}: the hub answers: {first_line(error)}"


def _unreachable(error: BaseException, at: Repository) -> str:
    reason = next(e for e in reversed(list(_chain(error))) if str(e))
    return (
        f"{at.key}: the hub cannot be reached for {at.name!r} ({constants.ENDPOINT}: "
        f"{first_line(reason)}): run `{fetch()}` on a machine with a network; "
        "HF_ENDPOINT names another address of the hub"
    )


def _bad_name(error: BaseException, at: Repository) -> str:
    return f"{at.key}: {at.name!r} is no folder here, and no `owner/name` of the hub"


Words = Callable[[BaseException, Repository], str]
Row = tuple[type | tuple[type, ...], Words]
EXPLAINED: list[Row] = [  # the first that fits: classes before those that they inherit from
    (GatedRepoError, _gated),
    (RepositoryNotFoundError, _no_repository),
    (RevisionNotFoundError, _no_revision),
    (OfflineModeIsEnabled, _offline),
    (HFValidationError, _bad_name),
    (HfHubHTTPError, _refused),
    ((HTTPError, LocalEntryNotFoundError, ConnectionError), _unreachable),
]
