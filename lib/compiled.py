"""C sources compiled on first use, for the few loops in which NumPy spends its time moving memory.

Nothing depends on a compiler being there: who asks for a library has a NumPy form of the same function at hand.
"""

import ctypes
import hashlib
import logging
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

from lib.atomic import atomic_path
from lib.user_cache import user_cache_folder

logger = logging.getLogger(__name__)

_FLAGS = ("-O3", "-march=native", "-fPIC", "-shared")

# Sums may be reordered and roots and divisions approximated. -ffast-math would say the same in one word, but a library
# linked with it makes the whole process flush denormal numbers to zero when it is loaded.
_FREE_MATH = (
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-ffinite-math-only",
    "-fassociative-math",
    "-freciprocal-math",
)


@cache
def load_library(source: Path, math_flags: tuple[str, ...] = _FREE_MATH) -> ctypes.CDLL | None:
    """Return the compiled library of a C file, or None where it cannot be had.

    The library is kept in the user's cache folder, under a name that depends on the source, the flags and the
    processor, so that nodes of different kinds may share a home.

    Args:
        source: The C file.
        math_flags: Freedom that the compiler has with floating-point numbers.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        logger.info("no C compiler found; %s falls back to NumPy, which is slower", source.name)
        return None
    flags = (*_FLAGS, *math_flags)
    library = user_cache_folder() / f"{source.stem}-{_fingerprint(source, compiler, flags)}.so"
    try:
        if not library.exists():
            with atomic_path(library) as temporary:
                _compile([compiler, *flags], source, temporary)
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("%s could not be compiled (%s); NumPy serves instead, which is slower", source.name, error)
        return None


def _compile(command: list[str], source: Path, library: Path) -> None:
    command = [*command, str(source), "-o", str(library), "-lm"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def _fingerprint(source: Path, compiler: str, flags: tuple[str, ...]) -> str:
    parts = (source.read_text(encoding="utf-8"), compiler, " ".join(flags), platform.machine(), _processor())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _processor() -> str:
    """Return what tells processors with different instruction sets apart."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.lower().startswith(("flags", "features"))), platform.processor())
