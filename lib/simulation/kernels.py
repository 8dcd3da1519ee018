"""The two inner loops of the simulation: compiled where there is a C compiler, in NumPy elsewhere.

Both forms agree to rounding; on one machine always the same one runs.
"""

import ctypes
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np

from lib.compiled import load_library
from lib.geometry.sensors import IndexArray
from lib.simulation.particles import Float32Array

_MAX_COUNT = 20


@dataclass(frozen=True)
class LightConstants:
    """What the light of a source depends on beside the geometry.

    Attributes:
        attenuation: Loss of direct light, 1/cm.
        slowness: Time per length of light, ns/cm.
        grazing: Angular response at 90 degrees.
        slope: Its rise with the cosine of the angle of incidence, up to 1.
        min_square: Squared distance below which a source counts as this far, cm^2.
    """

    attenuation: float
    slowness: float
    grazing: float
    slope: float
    min_square: float

    def as_array(self) -> Float32Array:
        """Return the constants in the order of the attributes."""
        return np.array([self.attenuation, self.slowness, self.grazing, self.slope, self.min_square], dtype=np.float32)


class Kernels(Protocol):
    """The loops."""

    def direct_light(
        self, sensors: Float32Array, sources: Float32Array, bounds: IndexArray, constants: LightConstants
    ) -> tuple[Float32Array, Float32Array]:
        """Return the light of point sources on every sensor, with the sensor's size to second order.

        Args:
            sensors: Rows x, y, z, normal x, y, z, spread and area share, shape (8, sensors).
            sources: Rows x, y, z, photons and time, sorted by event, shape (5, sources).
            bounds: Sources of event k are those from bounds[k] to bounds[k + 1], shape (n + 1,).
            constants: See there.

        Returns:
            Photons, and photons times arrival time in ns, each of shape (n, sensors).
        """
        ...

    def poisson_counts(self, mean: Float32Array, uniform: Float32Array) -> Float32Array:
        """Return Poisson counts by inversion of uniform numbers, of the same shape; means up to about 4."""
        ...


class NumpyKernels:
    """The loops in NumPy."""

    def direct_light(
        self, sensors: Float32Array, sources: Float32Array, bounds: IndexArray, constants: LightConstants
    ) -> tuple[Float32Array, Float32Array]:
        """See ``Kernels``."""
        photons = np.empty((len(bounds) - 1, sensors.shape[1]), dtype=np.float32)
        moments = np.empty_like(photons)
        for event, (start, end) in enumerate(pairwise(bounds)):
            own = sources[:, start:end]
            share, distance = point_response(own[:3, :, None] - sensors[:3, None], sensors, constants)
            share *= own[3][:, None]
            photons[event] = share.sum(axis=0)
            share *= own[4][:, None] + np.float32(constants.slowness) * distance
            moments[event] = share.sum(axis=0)
        return photons, moments

    def poisson_counts(self, mean: Float32Array, uniform: Float32Array) -> Float32Array:
        """See ``Kernels``."""
        probability = np.exp(-mean)
        cumulative = probability.copy()
        counts = np.zeros_like(mean)
        for count in range(1, _MAX_COUNT + 1):
            counts += uniform > cumulative
            probability *= mean * np.float32(1 / count)
            cumulative += probability
        return counts


class CompiledKernels:
    """The loops in C.

    Args:
        library: The compiled ``kernels.c``.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        floats = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")
        integers = np.ctypeslib.ndpointer(np.int64, flags="C_CONTIGUOUS")
        size = ctypes.c_int64
        self._direct_light = library.direct_light
        self._direct_light.argtypes = [floats, size, floats, size, integers, size, floats, floats, floats]
        self._direct_light.restype = None
        self._poisson_counts = library.poisson_counts
        self._poisson_counts.argtypes = [floats, floats, size, floats]
        self._poisson_counts.restype = None

    def direct_light(
        self, sensors: Float32Array, sources: Float32Array, bounds: IndexArray, constants: LightConstants
    ) -> tuple[Float32Array, Float32Array]:
        """See ``Kernels``."""
        photons = np.empty((len(bounds) - 1, sensors.shape[1]), dtype=np.float32)
        moments = np.empty_like(photons)
        self._direct_light(
            np.ascontiguousarray(sensors),
            sensors.shape[1],
            np.ascontiguousarray(sources),
            sources.shape[1],
            np.ascontiguousarray(bounds, dtype=np.int64),
            len(photons),
            constants.as_array(),
            photons,
            moments,
        )
        return photons, moments

    def poisson_counts(self, mean: Float32Array, uniform: Float32Array) -> Float32Array:
        """See ``Kernels``."""
        counts = np.empty_like(mean)
        self._poisson_counts(np.ascontiguousarray(mean), np.ascontiguousarray(uniform), mean.size, counts)
        return counts


def point_response(
    offset: Float32Array, sensors: Float32Array, constants: LightConstants
) -> tuple[Float32Array, Float32Array]:
    """Return the share of a source's light that a sensor accepts, its size taken to second order.

    Args:
        offset: From sensor to source, cm, shape (3, ...).
        sensors: As for ``Kernels.direct_light``; the sensors on the last axis of ``offset``.
        constants: See there.

    Returns:
        The share, and the distance in cm, each of shape (...).

    Source: Taylor expansion over the surface, whose second moment along each side is ``spread``, of h / d^3, and of
        h^2 / d^4 where the angular response rises with the cosine. Where a sensor is so near that the series ends
        badly, its inverse is used, and no sensor sees more than half of the light.
    """
    square = np.maximum(np.sum(offset * offset, axis=0), np.float32(constants.min_square))
    distance = np.sqrt(square)
    cosine = np.maximum(np.sum(offset * sensors[3:6].reshape(3, *_broadcast(offset, sensors)), axis=0), 0) / distance
    slope, cosine_square = np.float32(constants.slope), cosine * cosine
    accepted = np.float32(constants.grazing) + slope * cosine
    tilt = np.where(accepted < 1, slope * cosine * (np.float32(3.5) - np.float32(4.5) * cosine_square) / accepted, 0)
    change = sensors[6] / square * (np.float32(4.5) - np.float32(7.5) * cosine_square + tilt)
    size = np.where(change > 0, 1 + change, 1 / (1 - change))
    share = np.minimum(sensors[7] * cosine / square * size, np.float32(0.5))
    return share * np.minimum(accepted, 1) * np.exp(-np.float32(constants.attenuation) * distance), distance


def _broadcast(offset: Float32Array, sensors: Float32Array) -> tuple[int, ...]:
    return (1,) * (offset.ndim - sensors.ndim) + sensors.shape[1:]


def available_kernels() -> Kernels:
    """Return the compiled loops, or those in NumPy where they cannot be had."""
    library = load_library(Path(__file__).with_name("kernels.c"))
    return NumpyKernels() if library is None else CompiledKernels(library)
