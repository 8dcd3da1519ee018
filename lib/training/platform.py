"""The machine that a training runs on, recognized without torch and without touching the GPU."""

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

PlatformKind = Literal["cpu", "a100", "h100", "h200", "gh200", "gpu"]

ARM_MACHINES = frozenset({"aarch64", "arm64"})
_DRIVER_FOLDER = Path("/proc/driver/nvidia/gpus")
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class SlurmAllocation:
    """What SLURM gave to the job, on one node.

    Attributes:
        job_id: Number of the job.
        nodes: Nodes of the job.
        tasks: Processes of the job.
        cores: Cores of one task; None where SLURM does not say.
        memory_bytes: Memory on this node; None where SLURM does not say.
    """

    job_id: str
    nodes: int
    tasks: int
    cores: int | None
    memory_bytes: int | None


@dataclass(frozen=True)
class Platform:
    """A node, as far as choices depend on it.

    Attributes:
        kind: Which of the known machines it is; ``gpu`` is any other NVIDIA card.
        machine: Instruction set, such as x86_64 or aarch64.
        gpus: Name of each card.
        cores: Cores that this process may use.
        memory_bytes: Memory that the job may use on this node.
        slurm: The job, if it is one.
    """

    kind: PlatformKind
    machine: str
    gpus: tuple[str, ...]
    cores: int
    memory_bytes: int
    slurm: SlurmAllocation | None

    @property
    def is_arm(self) -> bool:
        """Whether the processor is an Arm one."""
        return self.machine in ARM_MACHINES

    def describe(self) -> str:
        """Return the machine in a few words."""
        cards = f"{len(self.gpus)} x {self.gpus[0]}" if self.gpus else "no GPU"
        job = f", SLURM job {self.slurm.job_id} on {self.slurm.nodes} nodes" if self.slurm else ""
        return f"{self.kind} ({self.machine}, {cards}, {self.cores} cores, {self.memory_bytes / 2**30:.0f} GiB{job})"


def recognize_platform(environment: Mapping[str, str] | None = None) -> Platform:
    """Return the machine that this process runs on.

    Args:
        environment: Variables that SLURM sets; by default those of the process.
    """
    environment = os.environ if environment is None else environment
    machine, gpus, slurm = platform.machine(), gpu_names(), slurm_allocation(environment)
    memory = min(psutil.virtual_memory().total, *_memory_limits(slurm))
    cores = min(len(os.sched_getaffinity(0)), slurm.cores if slurm and slurm.cores else 10**9)
    return Platform(platform_kind(machine, gpus), machine, gpus, cores, memory, slurm)


def platform_kind(machine: str, gpus: tuple[str, ...]) -> PlatformKind:
    """Return which machine has this instruction set and these cards."""
    if not gpus:
        return "cpu"
    name = gpus[0].upper()
    # The Hopper of a Grace-Hopper node calls itself GH200, or H100 on some drivers.
    if "GH200" in name or (machine in ARM_MACHINES and ("H100" in name or "H200" in name)):
        return "gh200"
    known: tuple[PlatformKind, ...] = ("h200", "h100", "a100")
    return next((kind for kind in known if kind.upper() in name), "gpu")


def gpu_names(driver_folder: Path = _DRIVER_FOLDER) -> tuple[str, ...]:
    """Return the name of each NVIDIA card that the driver shows."""
    names = []
    for path in sorted(driver_folder.glob("*/information")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        names += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return tuple(names) or _ask_driver()


def _ask_driver() -> tuple[str, ...]:
    """Return what nvidia-smi says; in some containers the driver's folder is empty."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())


def slurm_allocation(environment: Mapping[str, str]) -> SlurmAllocation | None:
    """Return what the variables of a SLURM job say, or None outside a job."""
    if "SLURM_JOB_ID" not in environment:
        return None
    cores = _number(environment, "SLURM_CPUS_PER_TASK")
    per_core, on_node = _number(environment, "SLURM_MEM_PER_CPU"), _number(environment, "SLURM_CPUS_ON_NODE")
    # SLURM counts memory in MiB; 0 asks for the whole node.
    mebibytes = _number(environment, "SLURM_MEM_PER_NODE") or (per_core or 0) * (on_node or 0)
    return SlurmAllocation(
        job_id=environment["SLURM_JOB_ID"],
        nodes=_number(environment, "SLURM_JOB_NUM_NODES") or 1,
        tasks=_number(environment, "SLURM_NTASKS") or 1,
        cores=cores,
        memory_bytes=mebibytes * 2**20 or None,
    )


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "")
    return int(text) if text.isdigit() else None


def _memory_limits(slurm: SlurmAllocation | None) -> list[int]:
    limits = [slurm.memory_bytes] if slurm and slurm.memory_bytes else []
    try:
        text = _MEMORY_LIMIT.read_text(encoding="utf-8").strip()
    except OSError:
        text = "max"
    return [*limits, *([int(text)] if text.isdigit() else []), 2**63]
