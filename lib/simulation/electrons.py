"""Electrons and positrons in xenon: steps with energy loss, multiple scattering, bremsstrahlung and annihilation."""

from dataclasses import dataclass, replace

import numpy as np

from lib.simulation.config import XenonConfig
from lib.simulation.particles import (
    ELECTRON_MASS,
    SPEED_OF_LIGHT,
    Float32Array,
    Particles,
    deflect,
    inside_xenon,
    isotropic,
    join,
    random_azimuth,
)
from lib.simulation.photons import forward

_STEP = np.float32(0.35)  # cm, far below the radiation length
_BRAKING_SHARE, _MIN_STEP = np.float32(0.25), np.float32(0.02)  # a step costs at most about a quarter of the energy
_STOP_ENERGY = np.float32(0.35)  # MeV; the range left is below a millimetre
_NEGLIGIBLE = np.float32(1e-3)  # MeV
_LEAST_ENERGY = np.float32(1e-6)  # MeV
BREMSSTRAHLUNG_CUT = np.float32(0.3)  # MeV; softer photons are part of the energy loss


@dataclass(frozen=True)
class ElectronStep:
    """What one step of each electron does.

    Attributes:
        deposits: Position (middle of the step), energy and time of what is deposited; other fields are not used.
        electrons: Electrons that go on.
        photons: Photons radiated, and those of annihilations at rest.
    """

    deposits: Particles
    electrons: Particles
    photons: Particles


def step_electrons(rng: np.random.Generator, electrons: Particles, xenon: XenonConfig) -> ElectronStep:
    """Move each electron by one step.

    Args:
        rng: Source of randomness.
        electrons: ``special`` marks positrons.
        xenon: The material.
    """
    # Once in a million events a pair gives one of its members nothing at all, and an electron at rest has no velocity.
    energy = np.maximum(electrons.energy, _LEAST_ENERGY)
    electrons = replace(electrons, energy=energy)
    stopping = energy < _STOP_ENERGY
    beta_squared = 1 - np.square(1 + energy / ELECTRON_MASS) ** np.float32(-1)
    stopping_power = collision_loss(energy, beta_squared, xenon.density)
    length = np.minimum(_STEP, _BRAKING_SHARE * energy / stopping_power + _MIN_STEP)
    length[stopping] = 0
    loss = np.minimum(stopping_power * length, energy)
    loss[stopping] = energy[stopping]

    direction = _scatter(rng, electrons, beta_squared, length / np.float32(xenon.radiation_length))
    middle = electrons.position + 0.5 * length * electrons.direction
    deposits = replace(electrons, position=middle, energy=loss)
    moved = replace(
        electrons,
        position=middle + 0.5 * length * direction,
        direction=direction,
        energy=energy - loss,
        time=electrons.time + length / SPEED_OF_LIGHT,
    )
    radiated = _radiate(rng, moved, length / np.float32(xenon.radiation_length))
    going = ~stopping & (moved.energy > _NEGLIGIBLE) & inside_xenon(moved.position)
    photons = join([radiated, *_annihilate(rng, electrons.select(stopping & electrons.special))])
    return ElectronStep(deposits, moved.select(going), photons)


def collision_loss(energy: Float32Array, beta_squared: Float32Array, density: float) -> Float32Array:
    """Return the energy lost to collisions in MeV/cm, shape (n,), for kinetic energies in MeV.

    Source: a plain approximation, within twenty percent of Berger and Seltzer's formula for xenon (ICRU 37, 1984).
    """
    return np.float32(1.02 * density) / beta_squared * (1 + np.float32(0.075) * np.log1p(energy))


def _scatter(
    rng: np.random.Generator, electrons: Particles, beta_squared: Float32Array, thickness: Float32Array
) -> Float32Array:
    """Return directions after multiple scattering in ``thickness`` radiation lengths, shape (3, n).

    Source: the Gaussian core of Moliere scattering in Highland's form without its logarithm, PDG review, "Passage of
        particles through matter".
    """
    momentum = np.sqrt(electrons.energy * (electrons.energy + 2 * ELECTRON_MASS))
    width = np.float32(13.6) / (momentum * np.sqrt(beta_squared)) * np.sqrt(np.maximum(thickness, np.float32(1e-7)))
    angle = np.minimum(width, np.float32(1.2)) * np.sqrt(2 * rng.standard_exponential(len(electrons), dtype=np.float32))
    return deflect(
        electrons.direction, np.cos(np.minimum(angle, np.float32(np.pi))), random_azimuth(rng, len(electrons))
    )


def _radiate(rng: np.random.Generator, electrons: Particles, thickness: Float32Array) -> Particles:
    """Draw bremsstrahlung photons; the energies of ``electrons`` are lowered in place.

    Source: complete screening, dN/dk = (4/3 - 4y/3 + y^2) / (X0 k) with y = k / E (PDG review), reduced towards low
        energies where screening is incomplete.
    """
    energy = electrons.energy
    low = BREMSSTRAHLUNG_CUT / np.maximum(energy, 2 * BREMSSTRAHLUNG_CUT)
    spectrum = -np.float32(4 / 3) * (np.log(low) + 1 - low) + np.float32(0.5) * (1 - low * low)
    screening = np.clip(np.float32(0.62) + np.float32(0.1) * np.log(np.maximum(energy, 1)), 0, 1)
    emits = (energy > 2 * BREMSSTRAHLUNG_CUT) & (
        rng.random(len(energy), dtype=np.float32) < thickness * spectrum * screening
    )
    chosen = np.flatnonzero(emits)
    emitters = electrons.select(chosen)
    photon_energy = bremsstrahlung_energy(rng, emitters.energy)
    energy[chosen] -= photon_energy
    return replace(
        emitters,
        direction=forward(rng, emitters),
        energy=photon_energy,
        special=np.zeros(len(chosen), dtype=bool),
    )


def bremsstrahlung_energy(rng: np.random.Generator, energy: Float32Array) -> Float32Array:
    """Draw photon energies above the cut from (1 - y + 3 y^2 / 4) / k, for electrons of these energies in MeV."""
    drawn = np.empty_like(energy)
    waiting = np.arange(len(energy))
    while len(waiting):
        parent = energy[waiting]
        flat, keep = rng.random((2, len(waiting)), dtype=np.float32)
        trial = BREMSSTRAHLUNG_CUT * (parent / BREMSSTRAHLUNG_CUT) ** flat
        share = trial / parent
        accepted = keep < 1 - share + np.float32(0.75) * share * share
        drawn[waiting[accepted]] = trial[accepted]
        waiting = waiting[~accepted]
    return drawn


def _annihilate(rng: np.random.Generator, positrons: Particles) -> tuple[Particles, Particles]:
    """Return the two photons of positrons annihilating at rest."""
    direction = isotropic(rng, len(positrons))
    energy = np.full(len(positrons), ELECTRON_MASS)
    photon = replace(positrons, direction=direction, energy=energy, special=np.zeros(len(positrons), dtype=bool))
    return photon, replace(photon, direction=-direction)
