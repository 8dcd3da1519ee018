"""From sensor readings to shuffled rows of network inputs: compiled where there is a C compiler, by torch elsewhere."""

import ctypes
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from lib.compiled import load_library
from lib.data.branches import INVALID_ABOVE
from lib.data.event_rows import EventRows
from lib.data.normalization import Normalization
from lib.data.tree_reading import FloatArray
from lib.geometry.sensors import NUM_SENSORS

IndexArray = NDArray[np.intp]

# Events per call of the normalization; temporaries of this size stay in the cache.
_SLICE_EVENTS = 16
# Near the lower end of the logarithm a last bit of the division counts, so nothing may be rearranged.
_FLAGS = ("-fno-math-errno", "-fno-trapping-math")
_SCHEMES = {"log1p": 0, "sqrt": 1, "anscombe": 1, "linear": 2}


class SensorKernel(Protocol):
    """Normalizes readings into rows; may be called by several threads at once."""

    def fill(
        self, npho: FloatArray, time: FloatArray, sources: IndexArray, targets: IndexArray, into: EventRows
    ) -> None:
        """Normalize some events of a piece.

        Args:
            npho: Photons per sensor, shape (n, 4760), float32 of either byte order, contiguous.
            time: Seconds per sensor, like npho.
            sources: Events of the piece, shape (m,).
            targets: Row of each of them, shape (m,).
            into: Its sensors are written.
        """
        ...


def sensor_kernel(normalization: Normalization, *, compiled: bool) -> SensorKernel:
    """Return the fastest kernel that can be had.

    Args:
        normalization: What it applies; every kernel agrees with it within 1e-6.
        compiled: Whether the C form may be used.
    """
    library = load_library(Path(__file__).with_suffix(".c"), _FLAGS) if compiled else None
    return TorchKernel(normalization) if library is None else CompiledKernel(normalization, library)


class TorchKernel:
    """Converts and normalizes a few events at a time."""

    def __init__(self, normalization: Normalization) -> None:
        self._normalization = normalization

    def fill(
        self, npho: FloatArray, time: FloatArray, sources: IndexArray, targets: IndexArray, into: EventRows
    ) -> None:
        """See ``SensorKernel``."""
        x, valid = into.x, into.valid
        rows = torch.from_numpy(targets)
        for start in range(0, len(sources), _SLICE_EVENTS):
            some, here = sources[start : start + _SLICE_EVENTS], rows[start : start + _SLICE_EVENTS]
            native = (torch.from_numpy(values[some].astype(np.float32, copy=False)) for values in (npho, time))
            x[here, :, 0], x[here, :, 1], valid[here, :, 0], valid[here, :, 1] = self._normalization.channels(*native)


class _Constants(ctypes.Structure):
    """``struct constants`` of the C source, field by field."""

    _fields_ = tuple(
        (name, ctypes.c_float)
        for name in (
            "offset",
            "scale",
            "output_scale",
            "domain",
            "threshold",
            "time_scale",
            "time_shift",
            "sentinel_npho",
            "sentinel_time",
            "largest",
        )
    )


class CompiledKernel:
    """One pass in C over the bytes as they lie in the file."""

    def __init__(self, normalization: Normalization, library: ctypes.CDLL) -> None:
        self._scheme = _SCHEMES[normalization.npho_scheme]
        self._constants = _constants(normalization)
        pointer, count = ctypes.c_void_p, ctypes.c_int64
        self._fill_rows = library.fill_rows
        self._fill_rows.restype = None
        self._fill_rows.argtypes = (
            *(pointer, pointer, pointer, pointer, count, ctypes.c_int, pointer, pointer),
            *(ctypes.POINTER(_Constants), ctypes.c_int, ctypes.c_int),
        )

    def fill(
        self, npho: FloatArray, time: FloatArray, sources: IndexArray, targets: IndexArray, into: EventRows
    ) -> None:
        """See ``SensorKernel``."""
        self._fill_rows(
            npho.ctypes.data,
            time.ctypes.data,
            sources.ctypes.data,
            targets.ctypes.data,
            len(sources),
            NUM_SENSORS,
            into.x.data_ptr(),
            into.valid.data_ptr(),
            self._constants,
            self._scheme,
            not npho.dtype.isnative,
        )


def _constants(normalization: Normalization) -> _Constants:
    offset = 0.375 if normalization.npho_scheme == "anscombe" else 0.0
    return _Constants(
        offset,
        normalization.npho_scale + offset,
        normalization.npho_scale2 if normalization.npho_scheme == "log1p" else 1.0,
        normalization.npho_domain,
        normalization.npho_threshold,
        normalization.time_scale,
        normalization.time_shift,
        normalization.sentinel_npho,
        normalization.sentinel_time,
        INVALID_ABOVE,
    )
