"""Photons must add up, never be negative, and have no holes where sensors are dead."""

import numpy as np
import pytest
import torch

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.geometry.sensors import NUM_MPPC, nominal_sensors
from lib.models.photons import FilledPhotons, box_sum, pmt_neighbour_weights

SCHEMES = ["log1p", "sqrt", "anscombe", "linear"]


def filled(npho, scheme="linear"):
    normalization = Normalization.from_config(NormalizationConfig(npho_scheme=scheme))
    return FilledPhotons(normalization)(*normalization.apply(npho, torch.zeros_like(npho)))


def test_a_box_sum_counts_the_neighbours_on_the_image() -> None:
    counts = box_sum(torch.ones(1, 4, 5))[0]
    assert counts.tolist() == [[4, 6, 6, 6, 4], [6, 9, 9, 9, 6], [6, 9, 9, 9, 6], [4, 6, 6, 6, 4]]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_measured_photons_come_back_whatever_the_normalization(scheme) -> None:
    npho = torch.rand(2, 4760) * 5000.0
    torch.testing.assert_close(filled(npho, scheme), npho, rtol=1e-4, atol=0.1)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_negative_counts_are_dark(scheme) -> None:
    assert filled(torch.full((1, 4760), -3.0), scheme).abs().max() < 1e-3


@pytest.mark.parametrize("scheme", SCHEMES)
def test_next_to_nothing_is_nothing(scheme) -> None:
    assert not filled(torch.full((1, 4760), 1e-5), scheme).any()


def test_absurd_counts_are_those_of_a_saturated_sensor() -> None:
    npho = torch.tensor([[8e9, 2e6] * 2380])
    torch.testing.assert_close(filled(npho), torch.full((1, 4760), 1e6))


def test_uniform_light_on_each_face_stays_uniform_around_dead_sensors() -> None:
    npho = 100.0 * (1.0 + torch.tensor(nominal_sensors().face_codes)).float()[None]
    alive = npho.clone()
    alive[0, torch.rand(4760) < 0.3] = 1e10
    torch.testing.assert_close(filled(alive), npho)


def test_where_most_sensors_are_hidden_the_wider_neighbourhood_fills() -> None:
    npho = torch.full((1, 4760), 1e10)
    npho[0, 46 * 44 + 22] = 90.0
    image = filled(npho)[0, :NUM_MPPC].reshape(93, 44)
    expected = torch.zeros(93, 44)
    expected[44:49, 20:25] = 90.0
    torch.testing.assert_close(image, expected)


def test_what_stands_at_a_dead_sensor_is_not_seen() -> None:
    npho = torch.rand(1, 4760) * 1000.0
    normalization = Normalization.from_config(NormalizationConfig())
    x, valid = normalization.apply(npho, torch.zeros_like(npho))
    valid[0, ::7] = False
    spoilt = torch.where(valid, x, torch.tensor(float("nan")))
    fill = FilledPhotons(normalization)
    assert torch.equal(fill(spoilt, valid), fill(x, valid))


def test_pmts_are_filled_from_their_own_face() -> None:
    weights = pmt_neighbour_weights().numpy()
    faces = nominal_sensors().face_codes[NUM_MPPC:]
    rows, columns = np.nonzero(weights)
    assert (faces[rows] == faces[columns]).all()
    assert (rows != columns).all()
    assert (np.count_nonzero(weights, axis=1) == 12).all()
