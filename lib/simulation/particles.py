"""Particles of many showers side by side, as arrays."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.geometry.coordinates import BoolArray, in_active_xenon
from lib.geometry.sensors import IndexArray

Float32Array = NDArray[np.float32]

SPEED_OF_LIGHT = np.float32(29.9792458)  # cm / ns
ELECTRON_MASS = np.float32(0.51099895)  # MeV


@dataclass(frozen=True)
class Particles:
    """Photons, or electrons and positrons, in flight.

    Attributes:
        event: Shower that each belongs to, shape (n,).
        position: x, y, z in cm, shape (3, n): components first, so that each is contiguous.
        direction: Unit vectors, shape (3, n).
        energy: Energy of a photon, kinetic energy of an electron, MeV, shape (n,).
        time: ns, shape (n,).
        special: True for a photon that has not interacted yet, and for a positron, shape (n,).
    """

    event: IndexArray
    position: Float32Array
    direction: Float32Array
    energy: Float32Array
    time: Float32Array
    special: BoolArray

    def __len__(self) -> int:
        return len(self.event)

    def select(self, chosen: BoolArray | IndexArray) -> "Particles":
        """Return the chosen particles."""
        return Particles(**{name: value[..., chosen] for name, value in self._arrays().items()})

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def join(groups: list[Particles]) -> Particles:
    """Return the particles of several groups as one."""
    return Particles(
        **{
            field.name: np.concatenate([getattr(group, field.name) for group in groups], axis=-1)
            for field in fields(Particles)
        }
    )


def deflect(direction: Float32Array, cosine: Float32Array, azimuth: Float32Array) -> Float32Array:
    """Turn unit vectors by a polar angle.

    Args:
        direction: Shape (3, n).
        cosine: Cosine of the angle to the old direction, shape (n,).
        azimuth: Angle around the old direction, shape (n,).

    Returns:
        Unit vectors, shape (3, n).
    """
    x, y, z = direction
    # A direction along z has no azimuth of its own; the bound keeps the division finite there.
    transverse = np.maximum(np.sqrt(x * x + y * y), np.float32(1e-6))
    sine = np.sqrt(np.maximum(1 - cosine * cosine, 0))
    along, across = sine * np.cos(azimuth) / transverse, sine * np.sin(azimuth) / transverse
    return np.stack(
        [
            x * z * along - y * across + x * cosine,
            y * z * along + x * across + y * cosine,
            z * cosine - transverse * transverse * along,
        ]
    )


def isotropic(rng: np.random.Generator, count: int) -> Float32Array:
    """Draw unit vectors uniformly on the sphere, shape (3, count)."""
    cosine = 2 * rng.random(count, dtype=np.float32) - 1
    sine = np.sqrt(1 - cosine * cosine)
    azimuth = random_azimuth(rng, count)
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine])


def random_azimuth(rng: np.random.Generator, count: int) -> Float32Array:
    """Draw angles uniformly on the circle, shape (count,)."""
    return np.float32(2 * np.pi) * rng.random(count, dtype=np.float32)


def inside_xenon(position: Float32Array) -> BoolArray:
    """Return True for the positions in the active xenon, shape (n,) for positions of shape (3, n)."""
    return in_active_xenon(position.T)
