"""A SLURM of one node for tests: Debian's daemons, no systemd, no cgroups, pretended A100s.

Everything lies in one folder, but for links in /etc/slurm: the plugin for job steps strips every
SLURM_* variable before its inner srun, so that the default path has to work.
"""

import os
import secrets
import shutil
import socket
import subprocess
import time
from datetime import datetime, timedelta
from pathlib import Path

ETC = Path("/etc/slurm")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
DAEMONS = ("slurmd", "slurmctld", "munged")
GPUS = {"/dev/null": 0, "/dev/zero": 1, "/dev/full": 2, "/dev/random": 3}
"""Device files that are everywhere; without cgroups nothing opens them."""

CONF = """\
ClusterName=featflowtest
SlurmctldHost={node}(127.0.0.1)
SlurmctldPort=16827
SlurmdPort=16828
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.sock,cred_expire=5
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=1,defer_batch
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MinJobAge=3600
KillWait=5
InactiveLimit=0
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=60
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
SlurmdParameters=config_overrides
OverTimeLimit=0
GresTypes=gpu
NodeName={node} NodeAddr=127.0.0.1 CPUs=16 Boards=1 SocketsPerBoard=1 CoresPerSocket=16 \
ThreadsPerCore=1 RealMemory=262144 Gres=gpu:a100:{gpus} State=UNKNOWN
PartitionName=gpu Nodes={node} Default=YES MaxTime=2-00:00:00 DefaultTime=60 DefMemPerCPU=1024 \
State=UP
"""


def missing() -> str | None:
    """Why no cluster can be started here (None: it can)."""
    if os.geteuid() != 0:
        return "starting a SLURM needs root"
    if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"no {', '.join(absent)}: apt install slurm-wlm munge"
    if any((ETC / name).exists() and not (ETC / name).is_symlink() for name in _files()):
        return f"{ETC} belongs to a real SLURM"
    return None


class Cluster:
    """A running one-node SLURM."""

    def __init__(self, root: Path):
        self.root, self.node = root, socket.gethostname().split(".")[0]

    def __enter__(self) -> "Cluster":
        """Start the daemons and wait until a job runs; those of a killed test end first."""
        if (ETC / "slurm.conf").is_symlink():
            former = Cluster((ETC / "slurm.conf").readlink().parent)
            for name in DAEMONS:
                former._stop(name)
        for folder in (self.root, self.root / "state", self.root / "spool"):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
        with open("/etc/hosts", "a+") as hosts:
            hosts.seek(0)
            if self.node not in hosts.read():
                hosts.write(f"127.0.0.1 {self.node}\n")
        self._configure()
        try:
            for name in reversed(DAEMONS):
                self._start(name)
            self._wait_for_a_job()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel what runs, stop the daemons, take the links away."""
        self.scancel(*(job["JobId"] for job in self.jobs()))
        self._end()

    def _end(self) -> None:
        for name in DAEMONS:
            self._stop(name)
        for name in _files():
            if (ETC / name).is_symlink() and (ETC / name).readlink() == self.root / name:
                (ETC / name).unlink()

    def jobs(self) -> list[dict[str, str]]:
        """Every job that SLURM remembers, as scontrol shows it; finished ones too."""
        lines = run("scontrol", "--oneliner", "show", "job").splitlines()
        return [
            dict(word.split("=", 1) for word in line.split() if "=" in word)
            for line in lines
            if line.startswith("JobId=")
        ]

    def scancel(self, *jobs: str) -> None:
        """Cancel jobs."""
        if jobs:
            run("scancel", *jobs)

    def end_soon(self, job: str) -> None:
        """Move a running job's time limit to now; SLURM looks every half a minute."""
        soon = datetime.now() + timedelta(seconds=2)
        run("scontrol", "update", f"jobid={job}", f"endtime={soon:%Y-%m-%dT%H:%M:%S}")

    def restart_slurmd(self) -> None:
        """The node's daemon dies and comes back; its jobs may live on."""
        self._stop("slurmd")
        self._start("slurmd")

    def lose_node(self) -> None:
        """The node is declared down, which requeues its jobs, and comes back."""
        run("scontrol", "update", f"nodename={self.node}", "state=down", "reason=test")
        # a slurmd that registers in the same moment has brought the node back already
        subprocess.run(["scontrol", "update", f"nodename={self.node}", "state=resume"])
        for _ in range(60):
            if run("sinfo", "-h", "-o", "%t").strip() in ("idle", "mix", "alloc"):
                return
            time.sleep(0.5)
        raise RuntimeError("the node did not come back")

    def _configure(self) -> None:
        key = self.root / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        gpus = [f"NodeName={self.node} Name=gpu Type=a100 File={device}\n" for device in GPUS]
        (self.root / "gres.conf").write_text("".join(gpus))
        # slurmd starts its cgroup layer even where nothing uses it
        old = run("slurmctld", "-V").split()[1].split(".")[0] in ("20", "21", "22")
        (self.root / "cgroup.conf").write_text(
            f"CgroupPlugin={'cgroup/v1' if old else 'disabled'}\n"
        )
        conf = CONF.format(root=self.root, node=self.node, gpus=len(GPUS))
        (self.root / "slurm.conf").write_text(conf)
        ETC.mkdir(exist_ok=True)
        for name in _files():
            (ETC / name).unlink(missing_ok=True)
            (ETC / name).symlink_to(self.root / name)

    def _start(self, name: str) -> None:
        flags = []
        if name == "munged":
            flags = ["--force", f"--key-file={self.root}/munge.key"]
            flags += [f"--socket={self.root}/munge.sock", f"--pid-file={self.root}/munged.pid"]
            flags += [f"--log-file={self.root}/munged.log", f"--seed-file={self.root}/munge.seed"]
        subprocess.run([name, *flags], check=True, stdin=subprocess.DEVNULL)

    def _stop(self, name: str) -> None:
        file = self.root / f"{name}.pid"
        if not file.exists():
            return
        pid = int(file.read_text())
        for sent in (15, 9):
            for _ in range(100):
                try:
                    os.kill(pid, sent)
                except ProcessLookupError:
                    return
                time.sleep(0.1)
                sent = 0

    def _wait_for_a_job(self) -> None:
        for _ in range(60):
            tried = subprocess.run(["srun", "-Q", "-t1", "-n1", "true"], timeout=60)
            if tried.returncode == 0:
                return
            time.sleep(1)
        log = (self.root / "slurmd.log").read_text()[-2000:]
        raise RuntimeError(f"SLURM did not come up:\n{log}")


def run(*command: str) -> str:
    """A command's output."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _files() -> tuple[str, ...]:
    return ("slurm.conf", "gres.conf", "cgroup.conf")
