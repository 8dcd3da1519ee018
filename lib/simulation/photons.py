"""Photons in xenon: free flight, then photo-effect, Compton scattering or a pair."""

from dataclasses import dataclass, replace

import numpy as np

from lib.geometry.coordinates import BoolArray
from lib.simulation.cross_sections import cumulative_coefficients
from lib.simulation.particles import (
    ELECTRON_MASS,
    SPEED_OF_LIGHT,
    Float32Array,
    Particles,
    deflect,
    inside_xenon,
    join,
    random_azimuth,
)

# A scattered photon below this travels less than a millimetre.
_LOCAL_ENERGY = np.float32(0.06)
# Electrons leave a pair, and photons an electron, at about m / E; wider angles are not followed.
_MAX_PAIR_ANGLE = np.float32(1.5)


@dataclass(frozen=True)
class Interactions:
    """What one interaction of each photon leaves behind.

    Attributes:
        interacted: The photons at the place of their interaction, those that left the xenon excluded.
        electrons: Electrons and positrons set free.
        photons: Scattered photons that fly on.
        local: Scattered photons so soft that their energy stays where they are.
    """

    interacted: Particles
    electrons: Particles
    photons: Particles
    local: Particles


def transport_photons(rng: np.random.Generator, photons: Particles, density: float) -> Interactions:
    """Let each photon fly to its next interaction, and interact.

    Args:
        rng: Source of randomness.
        photons: ``special`` marks those that have not interacted yet.
        density: Of the xenon, g/cm^3.
    """
    coefficients = cumulative_coefficients(photons.energy)
    path = rng.standard_exponential(len(photons), dtype=np.float32) / (coefficients[2] * np.float32(density))
    position = photons.position + photons.direction * path
    inside = inside_xenon(position)
    arrived = replace(photons, position=position, time=photons.time + path / SPEED_OF_LIGHT).select(inside)
    photo, photo_or_compton, total = coefficients[:, inside]
    drawn = rng.random(len(arrived), dtype=np.float32) * total
    absorbed = arrived.select(drawn < photo)
    scattered = arrived.select((drawn >= photo) & (drawn < photo_or_compton))
    converted = arrived.select(drawn >= photo_or_compton)
    recoil, outgoing = scatter(rng, scattered)
    electrons = join([_as_electrons(absorbed), recoil, *pair(rng, converted)])
    soft = outgoing.energy <= _LOCAL_ENERGY
    return Interactions(arrived, electrons, outgoing.select(~soft), outgoing.select(soft))


def _as_electrons(photons: Particles) -> Particles:
    return replace(photons, special=np.zeros(len(photons), dtype=bool))


def pair(rng: np.random.Generator, photons: Particles) -> tuple[Particles, Particles]:
    """Turn photons into electrons and positrons that share the energy above two masses evenly in probability."""
    share = rng.random(len(photons), dtype=np.float32)
    kinetic = np.maximum(photons.energy - 2 * ELECTRON_MASS, 0)
    negative, positive = np.zeros(len(photons), dtype=bool), np.ones(len(photons), dtype=bool)
    electron = replace(photons, direction=forward(rng, photons), energy=kinetic * share, special=negative)
    positron = replace(photons, direction=forward(rng, photons), energy=kinetic * (1 - share), special=positive)
    return electron, positron


def forward(rng: np.random.Generator, parents: Particles) -> Float32Array:
    """Draw directions close to the parents', at angles of the order of m / E; shape (3, n)."""
    angle = ELECTRON_MASS / parents.energy * rng.standard_exponential(len(parents), dtype=np.float32)
    return deflect(parents.direction, np.cos(np.minimum(angle, _MAX_PAIR_ANGLE)), random_azimuth(rng, len(parents)))


def scatter(rng: np.random.Generator, photons: Particles) -> tuple[Particles, Particles]:
    """Scatter photons off electrons at rest; return the recoil electrons and the outgoing photons."""
    reduced = photons.energy / ELECTRON_MASS
    ratio = klein_nishina_ratio(rng, reduced)
    cosine = 1 - (1 - ratio) / (reduced * ratio)
    direction = deflect(photons.direction, cosine, random_azimuth(rng, len(photons)))
    energy = ratio * photons.energy
    recoil = photons.direction * photons.energy - direction * energy
    recoil /= np.maximum(np.sqrt(np.sum(recoil * recoil, axis=0)), np.float32(1e-9))
    charged = np.zeros(len(photons), dtype=bool)
    electrons = replace(photons, direction=recoil, energy=photons.energy - energy, special=charged)
    return electrons, replace(photons, direction=direction, energy=energy, special=charged)


def klein_nishina_ratio(rng: np.random.Generator, reduced: Float32Array) -> Float32Array:
    """Draw the ratio of outgoing to incoming energy in Compton scattering.

    Args:
        rng: Source of randomness.
        reduced: Photon energies in electron masses, shape (n,).

    Source: the composition-rejection method of Butcher and Messel, Nucl. Phys. 20, 15 (1960), as in EGS4.
    """
    lowest = np.float32(1) / (1 + 2 * reduced)
    ratio = np.empty_like(reduced)
    waiting = np.arange(len(reduced))
    while len(waiting):
        low = lowest[waiting]
        trial, accepted = _try_ratio(rng, low, reduced[waiting])
        ratio[waiting[accepted]] = trial[accepted]
        waiting = waiting[~accepted]
    return ratio


def _try_ratio(rng: np.random.Generator, low: Float32Array, reduced: Float32Array) -> tuple[Float32Array, BoolArray]:
    """Return trial ratios drawn from 1/x + x above ``low``, and which are accepted."""
    first, second, choice, keep = rng.random((4, len(low)), dtype=np.float32)
    weight_inverse, weight_linear = -np.log(low), np.float32(0.5) * (1 - low * low)
    trial = np.where(
        choice * (weight_inverse + weight_linear) < weight_inverse,
        low**first,
        np.sqrt(low * low + (1 - low * low) * second),
    )
    transfer = (1 - trial) / (reduced * trial)
    return trial, keep < 1 - trial * transfer * (2 - transfer) / (1 + trial * trial)
