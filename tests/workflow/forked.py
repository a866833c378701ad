"""Jobs that start at once: forks of a process that has imported what nearly all of them import.

Six seconds of a job's start are imports of torch, transformers and TransformerLens. Where a test
needs a whole study and not the start of its jobs, `server` gives Snakemake an environment in which
`python -m featflow` is a client of that process. A job runs in a process, a folder and an
environment of its own, with the code of its checkout, as ever. Runs that are killed, SLURM's and
those of tests that compare bytes have nothing to do with this.
"""

import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Not what the stages themselves are made of: numba starts threads, and featflow is the checkout's.
PRELOADED = (
    "pandas",
    "pyarrow.parquet",
    "scipy.sparse",
    "scipy.stats",
    "tyro",
    "torch",
    "transformers.models.mistral.modeling_mistral",
    "transformer_lens.model_bridge",
)

CLIENT = """\
#!{python} -ISE
import json, os, socket, sys
if sys.argv[1:3] != ["-m", "featflow"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
asked = json.dumps({{"argv": sys.argv[3:], "cwd": os.getcwd(), "env": dict(os.environ)}}).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [len(asked).to_bytes(8, "little")], [0, 1, 2])
    server.sendall(asked)
    sys.exit(int(server.recv(4).decode() or 1))
"""


@contextmanager
def server(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which `python -m featflow` is answered by forks.

    Args:
        folder: for the client and the socket.
    """
    (folder / "bin").mkdir(parents=True)
    address, client = str(folder / "socket"), folder / "bin" / "python"
    client.write_text(CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o755)
    # Jobs are bash's children, which reads this before it looks for `python`.
    (folder / "bash_env").write_text(f'export PATH="{folder}/bin:$PATH"\n')
    process = subprocess.Popen([sys.executable, __file__, address])
    try:
        deadline = time.monotonic() + 120
        while not Path(address).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield {"BASH_ENV": str(folder / "bash_env")}
    finally:
        process.terminate()
        process.wait()


def _serve(address: str) -> None:
    for module in PRELOADED:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(address + ".new")
    listening.listen(64)
    os.rename(address + ".new", address)
    while True:
        connection, _ = listening.accept()
        if not os.fork():
            listening.close()
            _answer(connection)
        connection.close()


def _answer(connection: socket.socket) -> None:
    """Run the job that a client asks for, and tell its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, files, *_ = socket.recv_fds(connection, 8, 3)
    asked, wanted = b"", int.from_bytes(length, "little")
    while len(asked) < wanted:
        asked += connection.recv(wanted - len(asked))
    job = os.fork()
    if not job:
        _run(json.loads(asked), files)
    _, status = os.waitpid(job, 0)
    connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _run(request: dict[str, Any], files: list[int]) -> None:
    """Be the job; featflow ends the process itself."""
    import torch

    for file, standard in zip(files, (0, 1, 2), strict=True):
        os.dup2(file, standard)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (stays open)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    sys.path[:0] = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.argv = ["featflow", *request["argv"]]
    try:
        runpy.run_module("featflow", run_name="__main__", alter_sys=True)
    finally:
        sys.excepthook(*sys.exc_info())
        os._exit(1)


if __name__ == "__main__":
    _serve(sys.argv[1])
