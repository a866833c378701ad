"""A small HTTP server that speaks as much of the Hugging Face hub's protocol as its clients use.

What it serves lies in a folder, `datasets/owner/name/...` and `models/owner/name/...`; each
repository has one branch, `main`, and one commit. It keeps a list of the requests it answered.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from tests import servers

KINDS = ("datasets", "models")
INVALID = "hf_invalid"
"""A token that no account has."""


class Request(NamedTuple):
    """A request that was answered: its status, and whether a token came with it."""

    method: str
    path: str
    status: int
    token: bool


class Refusal(Exception):
    """An answer that is an error; the hub names its kind in X-Error-Code."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code = status, code


class Repository(NamedTuple):
    """A data set or a model: its name, and the folder with its files."""

    kind: str
    name: str
    folder: Path

    @property
    def files(self) -> dict[str, Path]:
        """The files by their names below the folder."""
        found = sorted(p for p in self.folder.rglob("*") if p.is_file())
        return {path.relative_to(self.folder).as_posix(): path for path in found}

    @property
    def commit(self) -> str:
        """40 hex digits: a digest of the files."""
        listing = [f"{name} {etag(path)}" for name, path in self.files.items()]
        return hashlib.sha1("\n".join([self.name, *listing]).encode()).hexdigest()


def etag(path: Path) -> str:
    """The hub's name for a file's content."""
    return hashlib.sha1(path.read_bytes()).hexdigest()


class HubServer(servers.Server):
    """The server; `endpoint` goes into HF_ENDPOINT."""

    def __init__(self, root: Path, gated: Mapping[str, str] | None = None):
        """Args: root: the folder served; gated: the token that each gated repository asks for."""
        super().__init__(Handler)
        self.root = root
        self.gated = dict(gated or {})
        self.requests: list[Request] = []
        self.endpoint = self.address

    def repository(self, kind: str, name: str) -> Repository:
        """Raises Refusal as the hub does, which never tells a missing one from a private one."""
        folder = self.root / kind / name
        if not folder.is_dir():
            raise Refusal(401, "RepoNotFound", "Repository not found")
        return Repository(kind, name, folder)

    def check_access(self, repository: Repository, token: str | None) -> None:
        """Raises Refusal when the repository is gated and the token is not the right one."""
        needed = self.gated.get(repository.name)
        if needed and token != needed:
            status = 403 if token else 401
            raise Refusal(status, "GatedRepo", f"Access to {repository.name} is restricted.")


def serving(
    root: Path, gated: Mapping[str, str] | None = None
) -> AbstractContextManager[HubServer]:
    """A running server, shut down when the block ends."""
    return servers.running(HubServer(root, gated))


class Handler(servers.Handler):
    """One request: find the repository, then answer what is asked of it."""

    server: HubServer

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._route(unquote(urlsplit(self.path).path), body)
        except Refusal as refusal:
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": str(refusal)}
            self._json({"error": str(refusal)}, refusal.status, headers)

    def _route(self, path: str, body: bytes) -> None:
        parts = path.strip("/").split("/")
        if self._token() == INVALID:
            raise Refusal(401, "", "Invalid credentials in Authorization header")
        if parts[0] == "api" and len(parts) >= 4 and parts[1] in KINDS:
            repository = self.server.repository(parts[1], "/".join(parts[2:4]))
            self._api(repository, parts[4:], body)
            return
        kind = "datasets" if parts[0] == "datasets" else "models"
        name, rest = parts[kind == "datasets" :][:2], parts[kind == "datasets" :][2:]
        if len(name) == 2 and len(rest) >= 3 and rest[0] == "resolve":
            self._file(self.server.repository(kind, "/".join(name)), rest[1], "/".join(rest[2:]))
            return
        raise Refusal(404, "NotFound", f"nothing at {path}")

    def _api(self, repository: Repository, what: list[str], body: bytes) -> None:
        """The calls of HfApi: info, tree, paths-info, refs, auth-check."""
        verb, rest = (what[0], what[1:]) if what else ("revision", ["main"])
        if verb == "auth-check":
            self.server.check_access(repository, self._token())
            self._json({})
        elif verb == "refs":
            main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repository.commit}
            self._json({"branches": [main], "converts": [], "tags": []})
        elif verb == "revision":
            self._revision(repository, "/".join(rest))
            self._json(self._info(repository))
        elif verb == "tree":
            self._revision(repository, rest[0])
            recursive = "recursive=true" in urlsplit(self.path).query.lower()
            self._json(_tree(repository, "/".join(rest[1:]), recursive))
        elif verb == "paths-info":
            self._revision(repository, rest[0])
            asked = _form(body).get("paths", [])
            known = _tree(repository, "", recursive=True)
            self._json([entry for entry in known if entry["path"] in asked])
        else:
            raise Refusal(404, "NotFound", f"no call {verb}")

    def _info(self, repository: Repository) -> dict[str, Any]:
        gated = "auto" if repository.name in self.server.gated else False
        return {
            "_id": repository.commit[:24],
            "id": repository.name,
            "sha": repository.commit,
            "private": False,
            "gated": gated,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "siblings": [{"rfilename": name} for name in repository.files],
        }

    def _file(self, repository: Repository, revision: str, name: str) -> None:
        """A file's bytes, or the part that Range asks for."""
        self._revision(repository, revision)
        self.server.check_access(repository, self._token())
        if name not in repository.files:
            raise Refusal(404, "EntryNotFound", f"no file {name}")
        path = repository.files[name]
        content = path.read_bytes()
        headers = {
            "ETag": f'"{etag(path)}"',
            "X-Repo-Commit": repository.commit,
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        }
        if asked := self.headers.get("Range"):
            first, last = asked.removeprefix("bytes=").split("-")
            start, stop = int(first), min(int(last or len(content)) + 1, len(content))
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            self._send(content[start:stop], 206, headers)
        else:
            self._send(content, 200, headers)

    def _revision(self, repository: Repository, revision: str) -> None:
        if revision not in ("main", repository.commit):
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")

    def _token(self) -> str | None:
        header = self.headers.get("Authorization")
        return header.removeprefix("Bearer ") if header else None

    def _json(self, content: object, status: int = 200, headers: dict[str, str] | None = None):
        kind = {"Content-Type": "application/json"}
        self._send(json.dumps(content).encode(), status, {**kind, **(headers or {})})

    def _send(self, content: bytes, status: int, headers: Mapping[str, str]) -> None:
        request = Request(self.command, self.path, status, self._token() is not None)
        self.server.requests.append(request)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _tree(repository: Repository, below: str, recursive: bool) -> list[dict[str, Any]]:
    """Files and folders below a folder of the repository, as the hub lists them."""
    prefix = f"{below}/" if below else ""
    inside = {n: p for n, p in repository.files.items() if n.startswith(prefix)}
    folders = {
        prefix + "/".join(name[len(prefix) :].split("/")[:depth])
        for name in inside
        for depth in range(1, name[len(prefix) :].count("/") + 1)
    }
    if below and not inside:
        raise Refusal(404, "EntryNotFound", f"no folder {below}")
    entries = [{"type": "directory", "path": f, "oid": "0" * 40, "size": 0} for f in folders]
    for name, path in inside.items():
        size = path.stat().st_size
        entries.append({"type": "file", "path": name, "oid": etag(path), "size": size})
    direct = [e for e in entries if "/" not in str(e["path"])[len(prefix) :]]
    return sorted(entries if recursive else direct, key=lambda entry: str(entry["path"]))


def _form(body: bytes) -> dict[str, Any]:
    """A body of JSON, or of a form."""
    try:
        return json.loads(body)
    except json.JSONDecodeError:
        return parse_qs(body.decode())
