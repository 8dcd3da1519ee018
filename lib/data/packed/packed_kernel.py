"""Rows of network inputs to 16 bits per value and back: compiled where there is a C compiler, in NumPy elsewhere."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lib.compiled import load_library
from lib.data.pools.event_rows import EventRows
from lib.geometry.sensors import NUM_SENSORS

NO_VALUE: Final = 65535
LEVELS: Final = 65534
ROW_BYTES: Final = NUM_SENSORS * 2 * 2

IndexArray = NDArray[np.int64]

# Network inputs are finite by construction.
_FLAGS = ("-fno-math-errno", "-fno-trapping-math", "-ffinite-math-only", "-fno-signed-zeros")


@dataclass(frozen=True, eq=False)
class PackedRows:
    """Events in 16 bits per value.

    A value is offset + step * level. It is off by half a step at most: 1/131068 of the range of its event.

    Attributes:
        values: Level of photons and time of each sensor, shape (n, 4760, 2), uint16; 65535 is no value.
        scales: Offset and step of photons and of times, shape (n, 2, 2), float32.
        sums: Sum of the 64-bit words of each row modulo 2^64, shape (n,), uint64; tells whether a row is damaged.
    """

    values: NDArray[np.uint16]
    scales: NDArray[np.float32]
    sums: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.values)


class PackedSet:
    """Packed rows of several files, numbered one after the other.

    Attributes:
        starts: Number of the first row of each file, and of all rows, shape (files + 1,).
        scales: As in ``PackedRows``, of all rows.
        sums: Likewise.
    """

    def __init__(self, files: Sequence[PackedRows]) -> None:
        self._values = [file.values for file in files]
        self._addresses = np.array([values.ctypes.data for values in self._values])
        self.starts = np.cumsum([0, *map(len, files)])
        self.scales = np.concatenate([file.scales for file in files])
        self.sums = np.concatenate([file.sums for file in files])

    def locate(self, rows: IndexArray) -> tuple[IndexArray, IndexArray]:
        """Return the file of each row, and its number within the file."""
        files = np.searchsorted(self.starts, rows, side="right") - 1
        return files, rows - self.starts[files]

    def levels(self, row: int) -> NDArray[np.uint16]:
        """Return one row as it is stored, shape (4760, 2)."""
        files, places = self.locate(np.array([row]))
        return self._values[int(files[0])][int(places[0])]

    def addresses(self, rows: IndexArray) -> IndexArray:
        """Return where rows lie in memory."""
        files, places = self.locate(rows)
        return self._addresses[files] + places * ROW_BYTES


class PackedKernel(Protocol):
    """Packs and unpacks rows; may be used by several threads."""

    def pack(self, rows: EventRows, count: int) -> PackedRows:
        """Return the first rows of a batch packed."""
        ...

    def unpack(self, packed: PackedSet, sources: IndexArray, targets: IndexArray, into: EventRows) -> int:
        """Unpack rows.

        Args:
            packed: Where they are.
            sources: Row of ``packed``, shape (n,).
            targets: Row of ``into`` that each becomes, shape (n,).
            into: Its sensors are written.

        Returns:
            Position of the first row whose sum differs, which is where unpacking ended; -1 when all are sound.
        """
        ...


def packed_kernel(sentinels: tuple[float, float], *, compiled: bool) -> PackedKernel:
    """Return the fastest kernel that can be had.

    Args:
        sentinels: Network inputs of sensors without photons and without time.
        compiled: Whether the C form may be used.
    """
    library = load_library(Path(__file__).with_name("packed_rows.c"), _FLAGS) if compiled else None
    values = np.array(sentinels, np.float32)
    return NumpyPackedKernel(values) if library is None else CompiledPackedKernel(values, library)


class NumpyPackedKernel:
    """Row by row."""

    def __init__(self, sentinels: NDArray[np.float32]) -> None:
        self._sentinels = sentinels

    def pack(self, rows: EventRows, count: int) -> PackedRows:
        """See ``PackedKernel``."""
        values = np.full((count, NUM_SENSORS, 2), NO_VALUE, np.uint16)
        scales = np.zeros((count, 2, 2), np.float32)
        for event in range(count):
            for channel in range(2):
                valid = rows.valid[event, :, channel].numpy()
                x = rows.x[event, :, channel].numpy()[valid]
                if len(x):
                    low, high = x.min(), x.max()
                    step = (high - low) / np.float32(LEVELS)
                    levels = (x - low) / step + np.float32(0.5) if step > 0 else np.zeros_like(x)
                    values[event, valid, channel] = np.clip(levels, 0, LEVELS)
                    scales[event, channel] = low, step
        return PackedRows(values, scales, row_sums(values))

    def unpack(self, packed: PackedSet, sources: IndexArray, targets: IndexArray, into: EventRows) -> int:
        """See ``PackedKernel``."""
        x, is_valid = into.x.numpy(), into.valid.numpy()
        for position, (source, target) in enumerate(zip(sources, targets, strict=True)):
            levels = packed.levels(source)
            if row_sums(levels[None])[0] != packed.sums[source]:
                return position
            valid = np.not_equal(levels, NO_VALUE, out=is_valid[target])
            offset, step = packed.scales[source].T
            x[target] = np.where(valid, offset + step * levels, self._sentinels)
        return -1


class CompiledPackedKernel:
    """One pass in C over each row."""

    def __init__(self, sentinels: NDArray[np.float32], library: ctypes.CDLL) -> None:
        self._sentinels = sentinels
        pointer, count = ctypes.c_void_p, ctypes.c_int64
        self._pack = library.pack_rows
        self._pack.restype = None
        self._pack.argtypes = (pointer, pointer, count, ctypes.c_int, pointer, pointer, pointer)
        self._unpack = library.unpack_rows
        self._unpack.restype = count
        self._unpack.argtypes = (
            *(pointer, pointer, pointer, pointer, count, ctypes.c_int),
            *(pointer, pointer, pointer),
        )

    def pack(self, rows: EventRows, count: int) -> PackedRows:
        """See ``PackedKernel``."""
        packed = PackedRows(
            np.empty((count, NUM_SENSORS, 2), np.uint16),
            np.empty((count, 2, 2), np.float32),
            np.empty(count, np.uint64),
        )
        arrays = (array.ctypes.data for array in (packed.values, packed.scales, packed.sums))
        self._pack(rows.x.data_ptr(), rows.valid.data_ptr(), count, 2 * NUM_SENSORS, *arrays)
        return packed

    def unpack(self, packed: PackedSet, sources: IndexArray, targets: IndexArray, into: EventRows) -> int:
        """See ``PackedKernel``."""
        arrays = (packed.addresses(sources), packed.scales[sources], packed.sums[sources], targets)
        places = (array.ctypes.data for array in arrays)
        outputs = (into.x.data_ptr(), into.valid.data_ptr(), self._sentinels.ctypes.data)
        return self._unpack(*places, len(sources), 2 * NUM_SENSORS, *outputs)


def row_sums(values: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """Return the sum of the 64-bit words of each row modulo 2^64, shape (n,), of levels of shape (n, 4760, 2)."""
    return values.reshape(len(values), -1).view(np.uint64).sum(axis=1, dtype=np.uint64)
