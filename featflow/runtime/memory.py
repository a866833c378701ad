"""How much memory there is for this process."""

import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def available(process: Path = Path("/proc/self/cgroup"), groups: Path = CGROUPS) -> int:
    """Bytes that this process may hold: the machine's memory, or less where its job has a limit.

    Args:
        process: the file that names the process's control groups.
        groups: where these are (version 2, or 1).
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        lines = process.read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        return machine
    limits = [machine]
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers in ("", "memory"):
            top = groups / "memory" if controllers else groups
            file = "memory.limit_in_bytes" if controllers else "memory.max"
            own = top / name.lstrip("/")
            limits += [_limit(folder / file) for folder in (own, *own.parents)]
    return min(limit for limit in limits if limit)


def _limit(file: Path) -> int:
    """The number in a file; 0 where there is none."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0
