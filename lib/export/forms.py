"""One exported function in its three forms: torch, ONNX Runtime in Python, ONNX Runtime in C++."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lib.export.cpp_program import CppRun, run_into_file, write_readings
from lib.export.exportable import Exportable, FloatArray
from lib.export.metadata import ModelMetadata, OutputDescription
from lib.export.session import ExportedModel
from lib.geometry.sensors import NUM_SENSORS

Readings = Mapping[str, NDArray[Any]]
"""Inputs by name, shape (n, 4760) each."""


class Form(Protocol):
    """A form of the function.

    Attributes:
        name: What it is called in tables.
    """

    name: str

    def predict(self, readings: Readings, batch_size: int) -> dict[str, FloatArray]:
        """Return the outputs by name, shape (n, ...), computed in batches."""
        ...

    def seconds(self, readings: Readings) -> float:
        """Return how long the events take as one batch; what is needed once is not counted."""
        ...


class TorchForm:
    """The model of the checkpoint.

    Args:
        model: In evaluation mode.
    """

    name = "torch"

    def __init__(self, model: Exportable) -> None:
        self._model = model

    @torch.inference_mode()
    def predict(self, readings: Readings, batch_size: int) -> dict[str, FloatArray]:
        """Return the outputs by name; see ``Form``."""
        names = [output.name for output in self._model.outputs]
        batches = _batches(readings, batch_size)
        parts = [self._model(*(torch.from_numpy(values) for values in batch.values())) for batch in batches]
        return {name: torch.cat([part[place] for part in parts]).numpy() for place, name in enumerate(names)}

    def seconds(self, readings: Readings) -> float:
        """Return how long a batch takes."""
        start = time.perf_counter()
        self.predict(readings, _count(readings))
        return time.perf_counter() - start


class PythonForm:
    """The file in ONNX Runtime, called from Python.

    Args:
        model: The opened file.
    """

    name = "python"

    def __init__(self, model: ExportedModel) -> None:
        self._model = model

    def predict(self, readings: Readings, batch_size: int) -> dict[str, FloatArray]:
        """Return the outputs by name; see ``Form``."""
        parts = [self._model.run(**batch) for batch in _batches(readings, batch_size)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def seconds(self, readings: Readings) -> float:
        """Return how long a batch takes."""
        start = time.perf_counter()
        self._model.run(**readings)
        return time.perf_counter() - start


class CppForm:
    """The file in ONNX Runtime, called from the C++ program.

    Args:
        program: As ``build_program`` returns it.
        model: The file.
        metadata: What the file says about itself.
        scratch: Folder for what the program reads and writes.
        threads: Of the program.
    """

    name = "cpp"

    def __init__(self, program: Path, model: Path, metadata: ModelMetadata, *, scratch: Path, threads: int) -> None:
        self._program = program
        self._model = model
        self._metadata = metadata
        self._scratch = scratch
        self._threads = threads

    def predict(self, readings: Readings, batch_size: int) -> dict[str, FloatArray]:
        """Return the outputs by name, each event's numbers side by side, shape (n, numbers)."""
        run = self._run(readings, "--batch", str(batch_size))
        widths = self._widths(run.answers.shape[1])
        columns = np.split(run.answers, np.cumsum(widths)[:-1], axis=1)
        return {output.name: values for output, values in zip(self._metadata.outputs, columns, strict=True)}

    def seconds(self, readings: Readings) -> float:
        """Return how long a batch takes, by the clock of the program, which runs it once before."""
        count = _count(readings)
        return count / self._run(readings, "--batch", str(count)).events_per_s

    def _run(self, readings: Readings, *options: str) -> CppRun:
        events = write_readings(self._scratch / "events.bin", **readings)
        threads = ("--threads", str(self._threads))
        return run_into_file(self._program, self._model, events, _count(readings), *options, *threads)

    def _widths(self, total: int) -> list[int]:
        """Return the numbers per event of each output: as many as labels, or one for each sensor; tokens the rest."""
        widths = [_width(output) for output in self._metadata.outputs]
        rest = total - sum(widths)
        return [width or rest for width in widths]


def _width(output: OutputDescription) -> int:
    match output.role:
        case "restored":
            return NUM_SENSORS
        case "token":
            return 0
        case _:
            return len(output.labels)


def _count(readings: Readings) -> int:
    return len(readings["npho"])


def _batches(readings: Readings, batch_size: int) -> list[dict[str, NDArray[Any]]]:
    starts = range(0, _count(readings), batch_size)
    return [{name: values[start : start + batch_size] for name, values in readings.items()} for start in starts]
