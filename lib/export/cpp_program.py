"""The C++ program of ``macro/cpp``, built against the runtime library that the Python package brings."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from lib.atomic import atomic_path
from lib.errors import ExportError
from lib.export.exportable import FloatArray
from lib.user_cache import user_cache_folder

_FLAGS = ("-std=c++17", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread")


@dataclass(frozen=True)
class CppRun:
    """What the program said.

    Attributes:
        answers: Every number of every event, outputs one after another, shape (n, numbers).
        events_per_s: How many events passed per second, reading and printing left out.
    """

    answers: FloatArray
    events_per_s: float


def build_program(sources: Sequence[Path]) -> Path:
    """Return the program made of some sources; compiled again only where one of them changed.

    Args:
        sources: C++ files; headers beside them count too.

    Raises:
        ExportError: If there is no compiler, or it refuses.
    """
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise ExportError("No C++ compiler was found (c++, g++ or clang++). Install one.")
    library = _runtime_library()
    headers = [header for folder in _folders(sources) for header in sorted(folder.glob("*.h"))]
    content = b"".join(path.read_bytes() for path in (*sources, *headers))
    key = hashlib.sha256(content + f"{library}{compiler}{_FLAGS}".encode()).hexdigest()[:16]
    folder = user_cache_folder() / f"cpp-{key}"
    program = folder / "program"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _link(library, folder / "libonnxruntime.so.1")
        _compile(compiler, sources, folder, program)
    return program


def run_program(program: Path, model: Path, readings: Path, *options: str) -> CppRun:
    """Return the predictions that the program prints.

    Args:
        program: As ``build_program`` returns it.
        model: An exported file.
        readings: As ``write_readings`` writes them.
        options: Further words for the program.

    Raises:
        ExportError: With what the program says, if it ends with an error.
    """
    result = _run(program, model, readings, *options)
    rows = [np.array(line.split(), dtype=np.float32) for line in result.stdout.splitlines()[1:]]
    return CppRun(np.stack(rows), float(result.stderr.split()[0]))


def run_into_file(program: Path, model: Path, readings: Path, num_events: int, *options: str) -> CppRun:
    """Return the predictions of the program, which writes them beside the readings and prints nothing.

    Args:
        program: As ``build_program`` returns it.
        model: An exported file.
        readings: As ``write_readings`` writes them.
        num_events: How many these are.
        options: Further words for the program.

    Raises:
        ExportError: With what the program says, if it ends with an error.
    """
    output = readings.with_suffix(".answers")
    result = _run(program, model, readings, *options, "--output", str(output))
    answers = np.fromfile(output, dtype=np.float32).reshape(num_events, -1)
    return CppRun(answers, float(result.stderr.split()[0]))


def _run(program: Path, *words: Path | str) -> subprocess.CompletedProcess[str]:
    result = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ExportError(f"{program.name}: {result.stderr.strip() or f'ended with code {result.returncode}'}")
    return result


def write_readings(path: Path, npho: FloatArray, time: FloatArray, dead: NDArray[np.bool_] | None = None) -> Path:
    """Write events as the program reads them: float32 photons, times and perhaps dead, event by event.

    Args:
        path: The file.
        npho: Shape (n, 4760).
        time: Shape (n, 4760).
        dead: Shape (n, 4760); only for a model that takes it.
    """
    columns = [npho, time] if dead is None else [npho, time, dead]
    np.stack(columns, axis=1, dtype=np.float32, casting="unsafe").tofile(path)
    return path


def _runtime_library() -> Path:
    folder = Path(onnxruntime.__file__).parent / "capi"
    found = sorted(folder.glob("libonnxruntime.so.1*"))
    if not found:
        raise ExportError(f"{folder}: no libonnxruntime.so.1* in it. The C++ program can be built on Linux only.")
    return found[0]


def _link(library: Path, link: Path) -> None:
    # Several processes may build at once.
    if not link.exists():
        fresh = link.with_name(f".{link.name}.{os.getpid()}")
        fresh.symlink_to(library)
        fresh.replace(link)


def _folders(sources: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(source.parent for source in sources))


def _compile(compiler: str, sources: Sequence[Path], folder: Path, program: Path) -> None:
    with atomic_path(program) as temporary:
        command: list[str | Path] = [compiler, *_FLAGS, *(f"-I{it}" for it in _folders(sources)), *sources]
        command += [folder / "libonnxruntime.so.1", f"-Wl,-rpath,{folder}", "-o", temporary]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise ExportError(f"{sources[0].parent}: {compiler} refuses it:\n{result.stderr[-2000:]}")
