"""What a training takes of its machine, under the names that MLflow shows as system metrics."""

import time
from typing import Final

import torch

from lib.training.machine.memory import GIB, peak_host_bytes

SYSTEM_METRICS: Final = frozenset({"system/cpu_cores", "system/host_memory_gib", "system/gpu_memory_gib"})


class SystemMeter:
    """Measures from one reading to the next."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def read(self) -> dict[str, float]:
        """Return cores in use by this process since the last reading, and the largest memory so far in GiB."""
        wall, cpu = time.monotonic(), time.process_time()
        cores = (cpu - self._cpu) / max(wall - self._wall, 1e-9)
        self._wall, self._cpu = wall, cpu
        metrics = {"system/cpu_cores": cores, "system/host_memory_gib": peak_host_bytes() / GIB}
        if torch.cuda.is_available():
            metrics["system/gpu_memory_gib"] = torch.cuda.max_memory_allocated() / GIB
        return metrics
