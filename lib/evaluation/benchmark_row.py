"""One measured number, in the form that every benchmark prints."""

import importlib.metadata
import json
import os
import platform
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

_PACKAGES = ("numpy", "torch", "uproot", "onnxruntime")


@cache
def _machine() -> tuple[tuple[str, str | int], ...]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    facts: dict[str, str | int] = {
        "machine": platform.machine(),
        "processor": _processor_name(),
        "cores": os.cpu_count() or 1,
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "python": platform.python_version(),
    }
    return tuple((facts | versions).items())


def machine_context() -> dict[str, str | int | float]:
    """Return machine, threads and versions of this process."""
    return dict(_machine())


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


@dataclass(frozen=True)
class BenchmarkRow:
    """A number with its error and what it is to be compared with.

    Attributes:
        name: What was measured, as the tables of the documentation call it.
        value: The number.
        unit: Its unit.
        error: Its statistical error, where there is one.
        reference: The same quantity of what it is compared with, measured in the same run or required.
        n: How many events or repetitions it rests on.
        context: Machine, threads and versions, and whatever else the number depends on.
    """

    name: str
    value: float
    unit: str
    error: float | None = None
    reference: float | None = None
    n: int | None = None
    context: dict[str, str | int | float] = field(default_factory=machine_context)

    @property
    def ratio(self) -> float | None:
        """Value over reference, None without one."""
        return self.value / self.reference if self.reference else None

    def to_json(self) -> str:
        """Return the row as one line of JSON."""
        values = asdict(self)
        context = values.pop("context")
        return json.dumps(values | {"ratio": self.ratio, "context": context})

    def to_text(self) -> str:
        """Return the row as one line for people."""
        error = "" if self.error is None else f" +- {self.error:.2g}"
        reference = "" if self.reference is None else f"   reference {self.reference:.4g}, ratio {self.ratio:.3f}"
        return f"{self.name:<38} {self.value:10.4g}{error} {self.unit}{reference}"
