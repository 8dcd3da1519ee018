"""A SLURM cluster of one node with fake GPUs, from the system's packages, without systemd."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "sinfo")
PROJECT = Path(__file__).parents[2]

CONFIGURATION = """\
ClusterName=onenode
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# Credentials that live for seconds let a requeued job start again soon.
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
AccountingStorageType=accounting_storage/none
JobRequeue=1
KillWait=20
OverTimeLimit=0
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 NodeHostname={host} CPUs={cpus} Gres=gpu:2 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=60 State=UP
PartitionName=high Nodes={host} MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF State=UP
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Cluster:
    """The running cluster and what tests ask of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(folder / "slurm.conf"),
            "XEC_PYTHON": sys.executable,
            "PYTHONPATH": str(PROJECT),
            "OMP_NUM_THREADS": "1",
            "NUM_GPUS": "0",
            "CPUS": "1",
            "PARTITION": "low",
        }

    def call(self, *command: str, **environment: str) -> str:
        variables = {**self.environment, **environment}
        done = subprocess.run(
            command, capture_output=True, text=True, env=variables, cwd=PROJECT, check=False, timeout=180
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def jobs(self) -> list[str]:
        return self.call("squeue", "--noheader", "--array", "--format=%i %T").splitlines()

    def job_of(self, name: str) -> str:
        """Return the id of the job of a name."""
        return self.call("squeue", "--noheader", f"--name={name}", "--format=%i").strip()

    def limit_time(self, name: str, minutes: int) -> None:
        """Let a job have at most so many minutes more, and a little less than that."""
        used = self.call("squeue", "--noheader", f"--name={name}", "--format=%M").strip()
        # Hours only come before minutes.
        *hours, passed, _seconds = (int(part) for part in used.split(":"))
        limit = 60 * sum(hours) + passed + minutes
        self.call("scontrol", "update", f"JobId={self.job_of(name)}", f"TimeLimit={limit}")

    @contextmanager
    def held(self, name: str) -> Iterator[list[psutil.Process]]:
        """Stop the trainings of a run for the length of the block, so that none ends before it is to."""
        trainings = [
            process
            for process in psutil.process_iter(["cmdline"])
            if f'mlflow.run_name="{name}"' in (command := process.info["cmdline"] or [])
            and any(part.startswith("lib.train_") for part in command)
            and "lib.launch" not in command
        ]
        assert trainings, f"no process trains {name}"
        for process in trainings:
            process.suspend()
        try:
            yield trainings
        finally:
            for process in trainings:
                process.resume()

    def wait_until_told(self, trainings: list[psutil.Process]) -> None:
        """Wait until SIGUSR1 has come to stopped processes; SLURM looks at its limits twice a minute."""
        bit = 1 << (signal.SIGUSR1 - 1)

        def is_told(process: psutil.Process) -> bool:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            pending = {line.partition(":")[0]: int(line.partition(":")[2], 16) for line in lines if "Pnd:" in line}
            return any(value & bit for value in pending.values())

        self.wait(lambda: all(is_told(process) for process in trainings), 120, "the signal before the end")

    def wait_until_empty(self, seconds: float = 300) -> None:
        self.wait(lambda: not self.jobs(), seconds, "jobs to end")

    def wait(self, condition, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}; {self.jobs()}"
            time.sleep(0.2)


def start(folder: Path) -> Cluster:
    host = socket.gethostname().split(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    options = {"socket": "munge.sock", "pid-file": "munge.pid", "key-file": "munge.key", "log-file": "munge.log"}
    places = [f"--{name}={folder / file}" for name, file in options.items()]
    subprocess.run(["munged", "--force", f"--seed-file={folder / 'seed'}", *places], check=True)
    for number in (0, 1):
        os.mknod(folder / f"gpu{number}", 0o20666, os.makedev(1, 3))
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-1]\n")
    text = CONFIGURATION.format(
        folder=folder, host=host, cpus=os.cpu_count(), controller_port=free_port(), node_port=free_port()
    )
    (folder / "slurm.conf").write_text(text)
    cluster = Cluster(folder)
    subprocess.run(["slurmctld", "-f", str(folder / "slurm.conf")], check=True, env=cluster.environment)
    subprocess.run(["slurmd", "-f", str(folder / "slurm.conf"), "-N", host], check=True, env=cluster.environment)
    cluster.wait(lambda: "idle" in cluster.call("sinfo", "--noheader", "--format=%t"), 60, "the node to be ready")
    return cluster


def stop(cluster: Cluster) -> None:
    subprocess.run(["scancel", "--user=root"], env=cluster.environment, check=False)
    for name in ("slurmd.pid", "slurmctld.pid", "munge.pid"):
        path = cluster.folder / name
        if path.exists():
            os.kill(int(path.read_text()), signal.SIGTERM)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and the packages slurm-wlm and munge; missing: {', '.join(missing) or 'root'}")
    folder = tmp_path_factory.mktemp("slurm")
    # The daemons talk through sockets whose paths must be short, and munge wants no folder that others can write.
    folder.parent.chmod(0o755)
    folder.chmod(0o755)
    running = start(folder)
    yield running
    stop(running)
