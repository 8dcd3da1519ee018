"""The compiled loops must do what their NumPy forms do, and both what they promise."""

import numpy as np
import pytest

from lib.geometry.coordinates import uvw_to_xyz
from lib.geometry.sensors import nominal_sensors
from lib.simulation.config import XenonConfig
from lib.simulation.kernels import CompiledKernels, Kernels, NumpyKernels, available_kernels
from lib.simulation.optics import light_constants, receiver_rows
from lib.simulation.particles import Float32Array

CONSTANTS = light_constants(XenonConfig())


def random_sources(count: int) -> Float32Array:
    rng = np.random.default_rng(1)
    uvw = rng.uniform((-23, -65, 0.05), (23, 65, 40), (count, 3))
    return np.stack([*uvw_to_xyz(uvw).T, rng.uniform(1, 2, count), rng.uniform(0, 3, count)]).astype(np.float32)


@pytest.fixture(params=["numpy", "compiled"])
def kernels(request: pytest.FixtureRequest) -> Kernels:
    if request.param == "numpy":
        return NumpyKernels()
    found = available_kernels()
    if not isinstance(found, CompiledKernels):
        pytest.skip("no C compiler on this machine")
    return found


def test_compiled_light_equals_that_of_numpy() -> None:
    sources, bounds = random_sources(40), np.array([0, 10, 10, 40])
    receivers = receiver_rows(nominal_sensors())
    for compiled, plain in zip(
        available_kernels().direct_light(receivers, sources, bounds, CONSTANTS),
        NumpyKernels().direct_light(receivers, sources, bounds, CONSTANTS),
        strict=True,
    ):
        # Forty terms in single precision, in another order.
        np.testing.assert_allclose(compiled, plain, rtol=2e-5, atol=1e-9)


def test_events_without_sources_are_dark(kernels: Kernels) -> None:
    photons, moments = kernels.direct_light(
        receiver_rows(nominal_sensors()), random_sources(3), np.array([0, 0, 3]), CONSTANTS
    )
    assert not photons[0].any()
    assert not moments[0].any()
    assert photons[1].any()


def test_light_arrives_by_its_distance(kernels: Kernels) -> None:
    source = np.array([[-70.0], [0.0], [0.0], [1.0], [2.0]], dtype=np.float32)
    receivers = receiver_rows(nominal_sensors())
    photons, moments = kernels.direct_light(receivers, source, np.array([0, 1]), CONSTANTS)
    seen = photons[0] > 0
    distance = np.linalg.norm(receivers[:3].T - source[:3, 0], axis=1)
    expected = 2.0 + distance * 1.80 / 29.9792458
    np.testing.assert_allclose(moments[0, seen] / photons[0, seen], expected[seen], rtol=1e-5)


def test_no_sensor_sees_more_than_half_of_the_light(kernels: Kernels) -> None:
    table = nominal_sensors()
    touching = table.positions + 0.2 * table.normals + [0.0, 0.0, 0.5]
    sources = np.stack([*touching.T, np.ones(4760), np.zeros(4760)]).astype(np.float32)[:, 4000:4400]
    photons, _ = kernels.direct_light(receiver_rows(table), sources, np.arange(401), CONSTANTS)
    assert photons.max() <= 0.5


def test_counts_follow_poisson(kernels: Kernels) -> None:
    rng = np.random.default_rng(2)
    mean = np.repeat(np.float32([0.01, 0.5, 2.0, 4.0]), 100_000)
    counts = kernels.poisson_counts(mean, rng.random(len(mean), dtype=np.float32)).reshape(4, -1)
    levels = np.array([0.01, 0.5, 2.0, 4.0])
    # Five errors of mean and variance.
    np.testing.assert_allclose(counts.mean(axis=1), levels, atol=5 * np.sqrt(levels / 1e5).max())
    np.testing.assert_allclose(counts.var(axis=1), levels, rtol=0.05, atol=5e-3)
    assert np.mean(counts[1] == 0) == pytest.approx(np.exp(-0.5), abs=0.01)


def test_the_largest_uniform_number_gives_a_finite_count(kernels: Kernels) -> None:
    uniform = np.full(3, np.nextafter(np.float32(1), np.float32(0)))
    assert np.all(kernels.poisson_counts(np.float32([0.0, 1.0, 4.0]), uniform) <= 20)
