"""What a training would find on this machine, and what it would choose by itself."""

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from lib.training.config import CompileMode, TrainingConfig
from lib.training.machine.automatic import ask_compiler, ask_workers, choose_compile_mode, choose_num_workers
from lib.training.machine.probes import Answer
from lib.training.platform import Platform, recognize_platform
from lib.training.records.mlflow_store import SQLITE
from lib.training.records.tracking import tracking_uri
from lib.training.supervision.memory_limit import tightest_limit
from lib.user_cache import user_cache_folder

GIB: Final = 2**30
# A run of the full-size regressor keeps checkpoints of some GB.
LOW_DISK_BYTES: Final = 5 * GIB
LOW_MEMORY_BYTES: Final = 4 * GIB
ANSWER_SECONDS: Final = 5.0
OLDEST_PYTHON: Final = (3, 11)
COMPILERS: Final = ("cc", "gcc", "clang")

State = Literal["fine", "note", "missing"]
CompilerProbe = Callable[[str, CompileMode], Answer]


@dataclass(frozen=True)
class Fact:
    """One thing about the machine.

    Attributes:
        section: What it belongs to.
        name: What it is.
        value: What was found.
        state: ``missing`` where a training cannot run without it, ``note`` where it would do better with it.
        advice: What to do; empty where nothing need be done.
    """

    section: str
    name: str
    value: str
    state: State = "fine"
    advice: str = ""


@dataclass(frozen=True)
class Accelerator:
    """What torch says of itself.

    Attributes:
        device: cuda or cpu.
        description: Names of the cards, or why torch sees none.
        fault: Why torch cannot be imported; empty if it can.
    """

    device: str
    description: str
    fault: str = ""


def gather_facts(folder: Path, *, probe: bool) -> list[Fact]:
    """Return everything, in the order in which it is told.

    Args:
        folder: Where runs would be written.
        probe: Whether to try compiler and loader processes, which takes up to five minutes the first time.
    """
    machine, accelerator = recognize_platform(), find_accelerator()
    return [
        *version_facts(),
        *machine_facts(machine, accelerator),
        *memory_facts(),
        *disk_facts(folder),
        *store_facts(tracking_uri()),
        *choice_facts(machine, accelerator, probe=probe),
    ]


def version_facts() -> Iterator[Fact]:
    """Yield Python and every required package with its version."""
    python = ".".join(map(str, sys.version_info[:3]))
    old = sys.version_info < OLDEST_PYTHON
    yield Fact(
        "versions", "python", python, "missing" if old else "fine", "Python 3.11 or newer is needed." if old else ""
    )
    for name in required_packages():
        try:
            yield Fact("versions", name, version(name))
        except PackageNotFoundError:
            yield Fact("versions", name, "not installed", "missing", f"pip install -c constraints.txt {name}")


def required_packages() -> list[str]:
    """Return the names of the packages that the suite needs, as its installation says; extras are left out."""
    try:
        lines = requires("xec-ml") or []
    except PackageNotFoundError:
        return ["torch", "numpy", "uproot", "mlflow", "pydantic", "pyyaml"]
    needed = [line for line in lines if "extra ==" not in line]
    return sorted(
        {line.split(";")[0].strip().split("[")[0].split(">")[0].split("=")[0].split("<")[0] for line in needed}
    )


def find_accelerator() -> Accelerator:
    """Return what torch can compute on."""
    try:
        import torch  # noqa: PLC0415
    except (ImportError, OSError) as error:
        return Accelerator("cpu", "unknown", str(error).splitlines()[0])
    if not torch.cuda.is_available():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        return Accelerator("cpu", f"torch sees no GPU ({built})")
    cards = (torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count()))
    return Accelerator("cuda", ", ".join(f"{card.name} ({card.total_memory / GIB:.0f} GiB)" for card in cards))


def machine_facts(machine: Platform, accelerator: Accelerator) -> Iterator[Fact]:
    """Yield platform, GPU, C compiler and SLURM."""
    yield Fact("machine", "platform", machine.describe())
    if accelerator.fault:
        advice = "Install it anew as the README says: make test makes a virtual environment."
        yield Fact("machine", "torch", f"cannot be imported: {accelerator.fault}", "missing", advice)
    unseen = bool(machine.gpus) and accelerator.device == "cpu"
    advice = "The driver shows a GPU: install torch with CUDA, and look at CUDA_VISIBLE_DEVICES." if unseen else ""
    yield Fact("machine", "gpu", accelerator.description, "note" if unseen else "fine", advice)
    compiler = next((found for name in COMPILERS if (found := shutil.which(name))), None)
    if compiler:
        yield Fact("machine", "C compiler", compiler)
    else:
        yield Fact(
            "machine", "C compiler", "none", "note", "NumPy serves instead, slower; install gcc or load its module."
        )
    sbatch = shutil.which("sbatch")
    yield Fact("machine", "SLURM", sbatch or "sbatch not found; scan_param/ works where it is")


def memory_facts() -> Iterator[Fact]:
    """Yield the limit of memory that is nearest."""
    use = tightest_limit()
    if use is None:
        yield Fact("memory", "limit", "the system tells none")
        return
    text = f"{use.used / GIB:.1f} of {use.limit / GIB:.1f} GiB used, limited by {use.name}"
    low = use.limit - use.used < LOW_MEMORY_BYTES
    advice = "Little is free: end what else runs, ask for more, or lower data.batch_size." if low else ""
    yield Fact("memory", "limit", text, "note" if low else "fine", advice)


def disk_facts(folder: Path) -> Iterator[Fact]:
    """Yield free space where runs and caches go."""
    for name, place in (("runs", folder), ("cache", user_cache_folder())):
        try:
            free = shutil.disk_usage(place).free
        except OSError as error:
            yield Fact("disk", name, f"{place}: {error.strerror}", "missing", "Go to a folder that exists.")
            continue
        if not os.access(place, os.W_OK):
            yield Fact(
                "disk", name, f"{place}: cannot be written", "missing", "Set checkpoint.save_dir to another folder."
            )
            continue
        low = free < LOW_DISK_BYTES
        advice = "Checkpoints of the full-size models take some GB; make room." if low else ""
        yield Fact("disk", name, f"{place}: {free / GIB:.0f} GiB free", "note" if low else "fine", advice)


def store_facts(uri: str) -> Iterator[Fact]:
    """Yield where MLflow tracks runs, and whether it can; a training goes on without it.

    Args:
        uri: Tracking store.
    """
    fault = _store_fault(uri)
    advice = "Trainings run without it and keep their records; set MLFLOW_TRACKING_URI." if fault else ""
    yield Fact("MLflow", "store", f"{uri}: {fault or 'can be reached'}", "note" if fault else "fine", advice)


def _store_fault(uri: str) -> str:
    """Return why a store cannot be used, as far as a look from outside tells; empty if it can."""
    parts = urlsplit(uri)
    if uri.startswith(SQLITE):
        path = Path(uri.removeprefix(SQLITE)).absolute()
        place = path if path.exists() else path.parent
        return "" if os.access(place, os.W_OK) else f"{place} is missing or cannot be written"
    if parts.scheme in {"http", "https"} and parts.hostname:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            socket.create_connection((parts.hostname, port), timeout=ANSWER_SECONDS).close()
        except OSError as error:
            return f"no answer ({error})"
    return ""


def choice_facts(machine: Platform, accelerator: Accelerator, *, probe: bool) -> Iterator[Fact]:
    """Yield what a training with the default configuration chooses here, with its reason."""
    config = TrainingConfig() if probe else TrainingConfig(compile_probe=False)
    compiled = choose_compile_mode(config, machine, accelerator.device, ask_compiler)
    yield Fact("choices", "training.compile", f"{compiled.mode}, because: {compiled.reason}")
    if probe:
        workers = str(choose_num_workers(machine, ask_workers))
    else:
        workers = f"at most {choose_num_workers(machine, lambda: Answer(True))}, not probed"
    yield Fact("choices", "data.num_workers", workers)
    overlay = Path("configs/platform") / f"{machine.kind}.yaml"
    known = "is made for this machine; give it after --config" if overlay.exists() else "no file for this machine"
    yield Fact("choices", "platform file", f"{overlay}: {known}")
