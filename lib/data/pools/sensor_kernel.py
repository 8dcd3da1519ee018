"""From sensor readings to shuffled rows of network inputs: compiled where there is a C compiler, by NumPy elsewhere."""

import ctypes
import threading
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lib.compiled import load_library
from lib.data.branches import INVALID_ABOVE
from lib.data.normalization import Normalization
from lib.data.pools.event_rows import EventRows
from lib.data.trees.tree_reading import FloatArray
from lib.geometry.sensors import NUM_SENSORS

IndexArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

_LARGEST = np.float32(INVALID_ABOVE)

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
    return NumpyKernel(normalization) if library is None else CompiledKernel(normalization, library)


class _Scratch(threading.local):
    """Arrays that each thread has for itself."""

    def __init__(self) -> None:
        shape = (3, _SLICE_EVENTS, NUM_SENSORS)
        self.floats: FloatArray = np.empty(shape, np.float32)
        self.booleans: BoolArray = np.empty(shape, np.bool_)


class NumpyKernel:
    """Normalizes a few events at a time in memory of the thread; new arrays would cost more than what they hold."""

    def __init__(self, normalization: Normalization) -> None:
        self._normalization = normalization
        self._scratch = _Scratch()

    def fill(
        self, npho: FloatArray, time: FloatArray, sources: IndexArray, targets: IndexArray, into: EventRows
    ) -> None:
        """See ``SensorKernel``."""
        x, valid = into.x.numpy(), into.valid.numpy()
        # NaN and infinities are expected; what they become is replaced.
        with np.errstate(invalid="ignore", over="ignore"):
            for start in range(0, len(sources), _SLICE_EVENTS):
                some, rows = sources[start : start + _SLICE_EVENTS], targets[start : start + _SLICE_EVENTS]
                floats, booleans = self._scratch.floats[:, : len(some)], self._scratch.booleans[:, : len(some)]
                for place, source in enumerate(some):
                    floats[0, place], floats[1, place] = npho[source], time[source]
                self._normalize(floats, booleans)
                for place, row in enumerate(rows):
                    x[row, :, 0], x[row, :, 1] = floats[:2, place]
                    valid[row, :, 0], valid[row, :, 1] = booleans[:2, place]

    def _normalize(self, floats: FloatArray, booleans: BoolArray) -> None:
        """Do what ``Normalization.channels`` does, in place.

        Args:
            floats: Photons, times and a place for intermediates, shape (3, n, 4760).
            booleans: Becomes what is valid of photons and times, and an intermediate, shape (3, n, 4760).
        """
        constants = self._normalization
        npho, time, spare = floats
        npho_valid, time_valid, condition = booleans
        not_above = np.less_equal(npho, _LARGEST, out=npho_valid)
        np.logical_not(not_above & (npho >= np.float32(constants.npho_domain)), out=condition)
        npho_valid &= npho > -np.inf
        np.less_equal(np.abs(time, out=spare), _LARGEST, out=time_valid)
        time_valid &= npho >= np.float32(constants.npho_threshold)
        time_valid &= npho_valid
        np.copyto(npho, np.float32(0.0), where=condition)
        self._transform(npho)
        np.copyto(npho, np.float32(constants.sentinel_npho), where=np.logical_not(npho_valid, out=condition))
        time /= np.float32(constants.time_scale)
        time -= np.float32(constants.time_shift)
        np.copyto(time, np.float32(constants.sentinel_time), where=np.logical_not(time_valid, out=condition))

    def _transform(self, npho: FloatArray) -> None:
        scale = np.float32(self._normalization.npho_scale)
        scheme = self._normalization.npho_scheme
        if scheme == "anscombe":
            npho += np.float32(0.375)
            scale += np.float32(0.375)
        npho /= scale
        if scheme == "log1p":
            np.log1p(npho, out=npho)
            npho /= np.float32(self._normalization.npho_scale2)
        elif scheme != "linear":
            np.sqrt(npho, out=npho)


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
