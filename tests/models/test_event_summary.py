"""The summary must be finite for whatever comes, and blind to what is not valid."""

import numpy as np
import pytest
import torch

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.geometry.sensors import nominal_sensors
from lib.models.event_summary import NUM_SUMMARY_FEATURES, Summarizer, face_moments


def summarize(npho, time, scheme="log1p", *, fit=False):
    normalization = Normalization.from_config(NormalizationConfig(npho_scheme=scheme))
    return Summarizer(17, normalization, fit=fit)(*normalization.apply(npho, time))


def test_moments_are_sums_centroids_and_squares_of_each_face() -> None:
    table = nominal_sensors()
    photons = np.random.default_rng(0).uniform(0, 100, 4760)
    moments = (photons @ face_moments().double().numpy()).reshape(6, 7)
    for code in range(6):
        here = table.face_codes == code
        place = (table.positions[here] - table.positions[here].mean(axis=0)) / 20.0
        expected = [photons[here].sum(), *(photons[here] @ place), *(photons[here] @ place**2)]
        np.testing.assert_allclose(moments[code], expected, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("scheme", ["log1p", "sqrt", "anscombe", "linear"])
@pytest.mark.parametrize(
    ("npho", "time"),
    [(1e10, 1e10), (0.0, 0.0), (-50.0, 1e10), (8e9, 8e9), (float("nan"), float("inf")), (1e-30, -8e9)],
)
def test_whatever_comes_the_summary_is_finite(scheme, npho, time) -> None:
    summary = summarize(torch.full((2, 4760), npho), torch.full((2, 4760), time), scheme)
    assert summary.features.shape == (2, NUM_SUMMARY_FEATURES)
    fitted = summarize(torch.full((2, 4760), npho), torch.full((2, 4760), time), scheme, fit=True)
    for part in (*summary[:4], summary.image, *fitted[:4], fitted.image, *fitted.fitted):
        assert torch.isfinite(part).all()


def test_more_light_of_the_same_kind_changes_the_amount_alone() -> None:
    npho = torch.rand(1, 4760) * 2000.0 + 200.0
    time = torch.full((1, 4760), 1e10)
    once, twice = summarize(npho, time, "linear"), summarize(2 * npho, time, "linear")
    difference = (twice.features - once.features)[0]
    assert float(difference[0]) == pytest.approx(np.log(2.0), abs=1e-4)
    assert difference[1:].abs().max() < 1e-3
    torch.testing.assert_close(twice.uvw, once.uvw, rtol=1e-4, atol=1e-3)


def test_a_later_event_has_a_later_time_and_the_same_features() -> None:
    npho, time = torch.rand(1, 4760) * 2000.0 + 200.0, torch.rand(1, 4760) * 1e-9
    early, late = summarize(npho, time), summarize(npho, time + 1e-8)
    assert float(late.time - early.time) == pytest.approx(1e-8, abs=2e-14)
    torch.testing.assert_close(late.features, early.features, rtol=1e-3, atol=2e-3)


def test_dead_sensors_change_little() -> None:
    rows, columns = torch.meshgrid(torch.arange(93.0), torch.arange(44.0), indexing="ij")
    npho = torch.full((1, 4760), 300.0)
    npho[0, :4092] = (2e4 / (4.0 + ((rows - 50) ** 2 + (columns - 20) ** 2)).pow(1.5)).flatten() + 50.0
    time = torch.zeros(1, 4760)
    whole, dead = summarize(npho, time), npho.clone()
    dead[0, torch.randperm(4760, generator=torch.Generator().manual_seed(7))[:88]] = 1e10
    holed = summarize(dead, time)
    assert float(holed.photons / whole.photons) == pytest.approx(1.0, abs=0.003)
    torch.testing.assert_close(holed.uvw, whole.uvw, rtol=0, atol=0.1)
