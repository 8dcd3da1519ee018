"""Photon coefficients against published numbers and limits."""

import numpy as np
import pytest

from lib.simulation.cross_sections import compton, cumulative_coefficients, pair_production, photoelectric


def test_compton_reaches_thomson_at_low_energy() -> None:
    # 0.6652 barn per electron, 54 electrons of 131.29 u; the first-order fall is 2 E / m.
    thomson = 0.6652 * 54 * 0.60221 / 131.29
    assert compton(np.array([1e-3]))[0] == pytest.approx(thomson * (1 - 2e-3 / 0.511), rel=1e-4)


def test_compton_agrees_with_klein_and_nishina_at_the_electron_mass() -> None:
    # sigma(E = m) = 0.4307 of Thomson's, in the closed form evaluated by hand.
    ratio = compton(np.array([0.51099895]))[0] / (0.6652458 * 54 * 0.60221 / 131.29)
    assert ratio == pytest.approx(0.4307, abs=2e-4)


def test_pairs_need_two_electron_masses() -> None:
    assert pair_production(np.array([1.0, 1.02])).tolist() == [0.0, 0.0]
    assert pair_production(np.array([5.0]))[0] == pytest.approx(1.47e-2)


def test_the_attenuation_length_at_52_83_mev_is_5_6_cm() -> None:
    total = float(cumulative_coefficients(np.array([52.83], dtype=np.float32))[2, 0])
    assert 1 / (2.95 * total) == pytest.approx(5.6, abs=0.3)


def test_the_grid_reproduces_the_tables() -> None:
    energy = np.array([0.06, 0.3, 0.9, 3.0, 17.0, 52.83, 250.0])
    cumulative = cumulative_coefficients(energy.astype(np.float32))
    np.testing.assert_allclose(cumulative[0], photoelectric(energy), rtol=5e-3)
    np.testing.assert_allclose(cumulative[1] - cumulative[0], compton(energy), rtol=5e-3)
    np.testing.assert_allclose(cumulative[2] - cumulative[1], pair_production(energy), rtol=5e-3, atol=1e-6)


def test_energies_off_the_grid_take_its_edge() -> None:
    outside = cumulative_coefficients(np.array([0.01, 1000.0], dtype=np.float32))
    edges = cumulative_coefficients(np.array([0.05, 299.9], dtype=np.float32))
    np.testing.assert_allclose(outside, edges, rtol=2e-3)
