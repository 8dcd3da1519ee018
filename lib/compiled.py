"""C sources compiled on first use, for the few loops in which NumPy spends its time moving memory.

Nothing depends on a compiler being there: who asks for a library has a NumPy form of the same function at hand.
"""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from lib.atomic import atomic_path

logger = logging.getLogger(__name__)

_FLAGS = ("-O3", "-march=native", "-ffast-math", "-fPIC", "-shared")


@cache
def load_library(source: Path) -> ctypes.CDLL | None:
    """Return the compiled library of a C file, or None where it cannot be had.

    The library is kept in the user's cache folder, under a name that depends on the source, the flags and the
    processor, so that nodes of different kinds may share a home.

    Args:
        source: The C file.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        logger.info("no C compiler found; %s falls back to NumPy, which is slower", source.name)
        return None
    library = _cache_folder() / f"{source.stem}-{_fingerprint(source, compiler)}.so"
    try:
        if not library.exists():
            with atomic_path(library) as temporary:
                _compile(compiler, source, temporary)
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("%s could not be compiled (%s); NumPy serves instead, which is slower", source.name, error)
        return None


def _compile(compiler: str, source: Path, library: Path) -> None:
    command = [compiler, *_FLAGS, str(source), "-o", str(library), "-lm"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "xec-ml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        # A home that cannot be written, as on some batch nodes.
        folder = Path(tempfile.gettempdir()) / f"xec-ml-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _fingerprint(source: Path, compiler: str) -> str:
    parts = (source.read_text(encoding="utf-8"), compiler, " ".join(_FLAGS), platform.machine(), _processor())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    """Return what tells processors with different instruction sets apart."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.lower().startswith(("flags", "features"))), platform.processor())
