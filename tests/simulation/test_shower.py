"""Showers conserve energy and momentum, and follow the laws that their particles are drawn from."""

import numpy as np
import pytest

from lib.geometry.coordinates import in_active_xenon, uvw_to_xyz
from lib.simulation.config import XenonConfig
from lib.simulation.electrons import BREMSSTRAHLUNG_CUT, bremsstrahlung_energy, collision_loss, step_electrons
from lib.simulation.particles import ELECTRON_MASS, Particles, deflect, isotropic, join
from lib.simulation.photons import klein_nishina_ratio, pair, scatter, transport_photons
from lib.simulation.shower import Deposits, Showers, simulate_showers

XENON = XenonConfig()
COUNT = 400


def beam(count: int, energy: float, special: bool) -> Particles:
    """Particles flying outwards from a point deep in the xenon."""
    position = np.tile(uvw_to_xyz(np.array([0.0, 0.0, 15.0]))[:, None], count).astype(np.float32)
    direction = np.tile(np.float32([[-1], [0], [0]]), count)
    return Particles(
        np.arange(count),
        position,
        direction,
        np.full(count, energy, np.float32),
        np.zeros(count, np.float32),
        np.full(count, special),
    )


@pytest.fixture(scope="module")
def showers() -> Showers:
    start = np.tile(uvw_to_xyz(np.array([3.0, -10.0, 0.01])), (COUNT, 1))
    direction = start / np.linalg.norm(start, axis=1, keepdims=True)
    energy = np.full(COUNT, 52.83)
    return simulate_showers(np.random.default_rng(1), start, direction, energy, np.full(COUNT, 2.0), xenon=XENON)


def test_no_shower_deposits_more_than_its_energy(showers: Showers) -> None:
    deposited = np.bincount(showers.deposits.event, showers.deposits.energy, minlength=COUNT)
    # A positron that annihilates brings an electron's mass more than pair production took for it: none in sum.
    assert deposited.max() <= 52.83 * 1.0001
    assert np.median(deposited) > 0.95 * 52.83


def test_deposits_lie_in_the_xenon_and_after_the_start(showers: Showers) -> None:
    inside = in_active_xenon(showers.deposits.position.T)
    # The middle of a step that leaves the xenon may lie just outside.
    assert np.mean(inside) > 0.99
    assert showers.deposits.time.min() >= 2.0
    assert np.all(showers.deposits.energy >= 0)


def test_first_interactions_lie_on_the_line_of_flight(showers: Showers) -> None:
    start = uvw_to_xyz(np.array([3.0, -10.0, 0.01]))
    hit = showers.first_interaction[np.isfinite(showers.first_interaction[:, 0])]
    assert len(hit) > 0.95 * COUNT
    flight = hit - start
    sine = np.linalg.norm(np.cross(flight, start), axis=1) / np.linalg.norm(start)
    assert sine.max() < 1e-3


def test_an_empty_beam_gives_no_deposits() -> None:
    nothing = np.zeros((0, 3))
    showers = simulate_showers(np.random.default_rng(1), nothing, nothing, np.zeros(0), np.zeros(0), xenon=XENON)
    assert len(showers.deposits.event) == 0
    assert len(showers.first_interaction) == 0


def test_renumbering_drops_rejected_showers(showers: Showers) -> None:
    number = np.full(COUNT, -1)
    number[7] = 0
    kept = showers.deposits.renumbered(number)
    assert set(kept.event) == {0}
    assert kept.energy.sum() == pytest.approx(showers.deposits.energy[showers.deposits.event == 7].sum())
    assert len(Deposits.join([kept, kept]).event) == 2 * len(kept.event)


def test_interactions_conserve_energy() -> None:
    photons = beam(20_000, 2.0, special=True)
    found = transport_photons(np.random.default_rng(3), photons, XENON.density)
    before = found.interacted.energy.sum(dtype=float)
    after = sum(group.energy.sum(dtype=float) for group in (found.electrons, found.photons, found.local))
    pairs = np.count_nonzero(found.electrons.special)
    assert after + pairs * 2 * float(ELECTRON_MASS) == pytest.approx(before, rel=1e-5)


def test_scattering_conserves_momentum() -> None:
    photons = beam(1000, 3.0, special=False)
    electrons, outgoing = scatter(np.random.default_rng(4), photons)
    momentum = np.sqrt(electrons.energy * (electrons.energy + 2 * ELECTRON_MASS))
    total = electrons.direction * momentum + outgoing.direction * outgoing.energy
    np.testing.assert_allclose(total, photons.direction * 3.0, atol=3e-3)


def test_scattered_energies_follow_klein_and_nishina() -> None:
    reduced = np.full(200_000, 2.0, dtype=np.float32)
    ratio = klein_nishina_ratio(np.random.default_rng(5), reduced)
    grid = np.linspace(1 / 5, 1, 20_001)
    cosine = 1 - (1 - grid) / (2.0 * grid)
    density = grid + 1 / grid - (1 - cosine**2)
    expected = np.sum(grid * density) / np.sum(density)
    assert ratio.min() >= 1 / 5 - 1e-6
    assert ratio.max() <= 1
    assert np.mean(ratio) == pytest.approx(expected, abs=3e-3)


def test_a_pair_shares_what_two_masses_leave() -> None:
    electron, positron = pair(np.random.default_rng(6), beam(100, 10.0, special=False))
    np.testing.assert_allclose(electron.energy + positron.energy, 10.0 - 2 * ELECTRON_MASS, rtol=1e-5)
    assert positron.special.all()
    assert not electron.special.any()


def test_a_step_conserves_energy() -> None:
    electrons = beam(5000, 20.0, special=False)
    step = step_electrons(np.random.default_rng(7), electrons, XENON)
    after = step.deposits.energy.sum(dtype=float) + step.electrons.energy.sum(dtype=float)
    after += step.photons.energy.sum(dtype=float)
    assert after == pytest.approx(20.0 * 5000, rel=1e-5)


def test_an_electron_at_rest_deposits_next_to_nothing_and_stays_a_number() -> None:
    """A pair's energy may go to one member alone; the other has no velocity to divide by."""
    step = step_electrons(np.random.default_rng(2), beam(50, 0.0, special=False), XENON)
    assert len(step.electrons) == len(step.photons) == 0
    assert np.isfinite(step.deposits.position).all()
    assert (step.deposits.energy > 0).all()
    assert (step.deposits.energy < 1e-5).all()


def test_stopped_positrons_annihilate_back_to_back() -> None:
    step = step_electrons(np.random.default_rng(8), beam(50, 0.2, special=True), XENON)
    assert len(step.electrons) == 0
    assert len(step.photons) == 100
    np.testing.assert_allclose(step.photons.direction[:, :50], -step.photons.direction[:, 50:])
    np.testing.assert_allclose(step.photons.energy, ELECTRON_MASS)


@pytest.mark.parametrize("energy", [0.5, 1.0, 3.0])
def test_energy_loss_is_that_of_xenon(energy: float) -> None:
    tau = energy / float(ELECTRON_MASS)
    beta_squared = 1 - 1 / (1 + tau) ** 2
    # Berger and Seltzer, mean excitation energy 482 eV, without the density effect that sets in above.
    bracket = np.log(tau**2 * (tau + 2) / (2 * (482e-6 / 0.511) ** 2)) + 1 - beta_squared
    bracket += (tau**2 / 8 - (2 * tau + 1) * np.log(2)) / (tau + 1) ** 2
    expected = 0.153537 * 54 / 131.29 / beta_squared * bracket
    loss = collision_loss(np.float32([energy]), np.float32([beta_squared]), 1.0)
    assert loss[0] == pytest.approx(expected, rel=0.2)


def test_bremsstrahlung_stays_between_the_cut_and_the_electron() -> None:
    energy = np.full(50_000, 30.0, dtype=np.float32)
    photon = bremsstrahlung_energy(np.random.default_rng(9), energy)
    assert photon.min() >= BREMSSTRAHLUNG_CUT * 0.999
    assert photon.max() <= 30.0 * 1.001
    grid = np.exp(np.linspace(np.log(0.3), np.log(30.0), 20_001))
    density = 1 - grid / 30 + 0.75 * (grid / 30) ** 2  # per unit of ln k
    assert np.mean(photon) == pytest.approx(np.sum(grid * density) / np.sum(density), rel=0.02)


def test_deflection_keeps_length_and_turns_by_the_angle() -> None:
    rng = np.random.default_rng(10)
    direction = isotropic(rng, 1000)
    direction[:, 0] = [0, 0, 1]
    cosine = rng.uniform(-1, 1, 1000).astype(np.float32)
    turned = deflect(direction, cosine, rng.uniform(0, 6.28, 1000).astype(np.float32))
    np.testing.assert_allclose(np.sum(turned[:, 1:] ** 2, axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(np.sum(turned[:, 1:] * direction[:, 1:], axis=0), cosine[1:], atol=1e-4)


def test_joined_particles_keep_their_order() -> None:
    both = join([beam(2, 1.0, special=True), beam(3, 2.0, special=False)])
    np.testing.assert_array_equal(both.energy, [1, 1, 2, 2, 2])
    assert both.position.shape == (3, 5)
