"""Kill a study at random moments, again and again, and see whether anything is lost.

    .venv/bin/python -m tests.torture --kills 50 --seed 0

The tiny study is built once undisturbed. Then it is built in another folder and killed at seeded
random moments, each time in one of four ways; the same command is given again until the study is
complete, and then from nothing once more until all kills are spent. After each completed build
every artifact must have the undisturbed bytes, and no temporary file or checkpoint may be left.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.workflow.conftest import ROOT, SNAKEMAKE, copy_checkout, snakemake

WAYS = {
    "snakemake and all its jobs, SIGKILL": ("group", signal.SIGKILL),
    "snakemake alone, SIGKILL: its jobs live on": ("main", signal.SIGKILL),
    "one stage, SIGKILL": ("stage", signal.SIGKILL),
    "one stage, SIGTERM": ("stage", signal.SIGTERM),
}
COMMAND = [str(SNAKEMAKE), "--profile", "local"]


def main() -> None:
    """Print a line a kill, and the sums; exit code 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--longest", type=float, default=12.0, help="seconds between kills, at most"
    )
    asked = parser.parse_args()
    os.environ["FEATFLOW_CHECKPOINT_SECONDS"] = "0.2"
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    config = ROOT / "tests/workflow/tiny.yaml"
    undisturbed = copy_checkout(folder / "undisturbed", config)
    started = time.monotonic()
    result = snakemake(undisturbed, "--profile", "local")
    assert result.returncode == 0, result.stdout + result.stderr
    print(f"undisturbed: {time.monotonic() - started:.0f} s", flush=True)
    killed = copy_checkout(folder / "killed", config)
    faults = Torture(undisturbed, killed, asked.seed, asked.longest).run(asked.kills)
    shutil.rmtree(folder)
    sys.exit(1 if faults else 0)


class Torture:
    """A study that is built and killed."""

    def __init__(self, undisturbed: Path, killed: Path, seed: int, longest: float):
        self.undisturbed, self.killed, self.longest = undisturbed, killed, longest
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()

    def run(self, kills: int) -> int:
        """Build and kill; the number of faults."""
        self.kills = kills
        faults = builds = 0
        while sum(self.counts.values()) < kills or not builds:
            while self.start(last=sum(self.counts.values()) >= kills):
                pass
            builds += 1
            found = self.faults()
            faults += len(found)
            print(f"build {builds} complete: {len(found)} faults", *found, sep="\n  ", flush=True)
            for name in ("results", "logs", ".snakemake", ".featflow"):
                shutil.rmtree(self.killed / name, ignore_errors=True)
        print(f"{sum(self.counts.values())} kills, {builds} builds, {self.resumed()} resumed")
        print(*(f"  {count:3} {way}" for way, count in self.counts.items()), sep="\n")
        print(f"{faults} faults")
        return faults

    def start(self, last: bool) -> bool:
        """Give the command once, and kill while it runs; whether it has to be given again."""
        log = open(self.killed / "torture.log", "ab")  # noqa: SIM115 (the process has it)
        process = subprocess.Popen(
            COMMAND, cwd=self.killed, stdout=log, stderr=log, start_new_session=True
        )
        struck = False
        while not last and sum(self.counts.values()) < self.kills:
            try:
                process.wait(self.random.uniform(1, self.longest))
                break
            except subprocess.TimeoutExpired:
                struck |= self.kill(process)
        if process.wait() == 0:
            return False
        if struck:
            return True
        text = (self.killed / "torture.log").read_text(errors="replace")
        raise SystemExit(f"the command failed without having been killed:\n{text[-3000:]}")

    def kill(self, process: subprocess.Popen[bytes]) -> bool:
        """Kill in one of the ways; snakemake goes on with what does not need a killed stage."""
        way = self.random.choice(list(WAYS))
        whom, number = WAYS[way]
        stages = self.stages()
        if whom == "stage":
            if not stages:
                return False
            victim = self.random.choice(stages)
            way = f"{way} ({command_of(victim)[3:4]})"
            with suppress(ProcessLookupError):
                os.kill(victim, number)
        elif whom == "main":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
            for stage in stages:  # those of a run that was killed before, too
                with suppress(ProcessLookupError):
                    os.kill(stage, signal.SIGKILL)
        self.counts[way.split(" (")[0]] += 1
        print(f"kill {sum(self.counts.values())}: {way}", flush=True)
        return True

    def stages(self) -> list[int]:
        """The processes of stages that run in the folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                here = Path(os.readlink(entry / "cwd")) == self.killed
            except OSError:
                continue
            if here and command_of(int(entry.name))[1:3] == ["-m", "featflow"]:
                found.append(int(entry.name))
        return sorted(found)

    def resumed(self) -> int:
        """How often a log says that a stage went on from a checkpoint."""
        logs = (self.killed / "torture.log").read_text(errors="replace")
        return logs.count("resuming after step")

    def faults(self) -> list[str]:
        """What differs from the undisturbed study, and what is left over."""
        mine, theirs = artifacts(self.killed), artifacts(self.undisturbed)
        names = sorted(mine.keys() | theirs.keys())
        differing = [f"differs: {n}" for n in names if mine.get(n) != theirs.get(n)]
        work = self.killed / ".featflow"
        left = [p for p in (self.killed / "results").rglob("*") if p.name.endswith(".tmp")]
        left += [p for p in work.rglob("*") if p.is_file()]
        return differing + [f"left over: {path}" for path in left]


def artifacts(folder: Path) -> dict[str, bytes]:
    """Every file of the results, by its name."""
    files = (path for path in (folder / "results").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def command_of(pid: int) -> list[str]:
    """The words of a process's command; none if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


if __name__ == "__main__":
    main()
