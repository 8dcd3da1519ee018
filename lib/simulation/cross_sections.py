"""How photons interact in xenon: photo-effect, Compton scattering and pair production."""

from functools import cache

import numpy as np

from lib.geometry.sensors import FloatArray
from lib.simulation.particles import ELECTRON_MASS, Float32Array

_ATOMIC_NUMBER, _ATOMIC_MASS = 54, 131.29
_AVOGADRO_BARN = 0.60221  # Avogadro's number times a barn, cm^2/mol
_CLASSICAL_RADIUS_SQUARED = 0.0794078  # barn

# Mass attenuation coefficients in cm^2/g at these energies in MeV.
# Source: approximate values after NIST XCOM, element 54; pairs in the fields of nucleus and electrons together.
_ENERGIES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0)
_PHOTO = (11, 1.65, 0.53, 0.24, 0.078, 0.019, 5.8e-3, 3.5e-3, 1.6e-3, 9e-4, 5e-4, 2.5e-4, 1e-4, 5e-5, 2e-5, 1e-5, 3e-6)
_PAIR_ENERGIES = _ENERGIES[7:]
_PAIR = (1e-6, 6e-4, 2.3e-3, 7.0e-3, 1.47e-2, 2.68e-2, 3.93e-2, 5.60e-2, 6.60e-2, 7.9e-2)
_PAIR_THRESHOLD = 2 * float(ELECTRON_MASS) + 0.01

# The table is looked up on an even grid of ln(E).
_LOG_LOW, _LOG_HIGH, _GRID = np.log(0.05), np.log(300.0), 2048


def compton(energy: FloatArray) -> FloatArray:
    """Return the Compton coefficient in cm^2/g for photon energies in MeV.

    Source: Klein and Nishina, Z. Phys. 52, 853 (1929), integrated over angle, on free electrons.
    """
    k = energy / float(ELECTRON_MASS)
    log_term = np.log1p(2 * k)
    bracket = (1 + k) / k**2 * (2 * (1 + k) / (1 + 2 * k) - log_term / k)
    bracket += log_term / (2 * k) - (1 + 3 * k) / (1 + 2 * k) ** 2
    return 2 * np.pi * _CLASSICAL_RADIUS_SQUARED * bracket * _ATOMIC_NUMBER * _AVOGADRO_BARN / _ATOMIC_MASS


def photoelectric(energy: FloatArray) -> FloatArray:
    """Return the photoelectric coefficient in cm^2/g for photon energies in MeV, from 0.05 to 300."""
    return np.exp(np.interp(np.log(energy), np.log(_ENERGIES), np.log(_PHOTO)))


def pair_production(energy: FloatArray) -> FloatArray:
    """Return the pair production coefficient in cm^2/g for photon energies in MeV, up to 300."""
    value = np.exp(np.interp(np.log(energy), np.log(_PAIR_ENERGIES), np.log(_PAIR)))
    return np.where(energy > _PAIR_THRESHOLD, value, 0.0)


@cache
def _table() -> Float32Array:
    """Return cumulative coefficients (photo, photo + Compton, total) on the grid, shape (3, grid)."""
    energy = np.exp(np.linspace(_LOG_LOW, _LOG_HIGH, _GRID))
    parts = np.stack([photoelectric(energy), compton(energy), pair_production(energy)])
    return np.cumsum(parts, axis=0).astype(np.float32)


def cumulative_coefficients(energy: Float32Array) -> Float32Array:
    """Return the coefficients of photo-effect, photo-effect or Compton, and any interaction.

    Args:
        energy: Photon energies in MeV, shape (n,); outside 0.05 to 300 the edge of the table serves.

    Returns:
        cm^2/g, shape (3, n).
    """
    table = _table()
    place = (np.log(energy) - np.float32(_LOG_LOW)) * np.float32((_GRID - 1) / (_LOG_HIGH - _LOG_LOW))
    place = np.clip(place, 0, _GRID - 1.001)
    low = place.astype(np.intp)
    fraction = place - low.astype(np.float32)
    return table[:, low] * (1 - fraction) + table[:, low + 1] * fraction
