"""The mean time must be that of the conventional reconstruction, and ignore what does not belong to it."""

import numpy as np
import pytest
import torch

from lib.baselines.timing_mean import CONSTANT, SLOWNESS, STATISTICS, mean_time
from lib.geometry.coordinates import uvw_to_xyz
from lib.geometry.sensors import nominal_sensors
from lib.models.arrival import ArrivalTimes
from lib.models.window import BrightestWindow

UVW = np.array([[3.0, -10.0, 6.0]])


@pytest.fixture
def photons():
    generator = torch.Generator().manual_seed(2)
    return torch.rand(1, 4760, generator=generator) * 4000.0 + 600.0


def times_from(uvw, start_ns):
    way = np.linalg.norm(nominal_sensors().positions - uvw_to_xyz(uvw)[:, None], axis=2)
    return torch.as_tensor(start_ns + SLOWNESS * way, dtype=torch.float32)


def arrive(photons, time_ns, timed=None, uvw=UVW):
    timed = torch.ones_like(photons, dtype=torch.bool) if timed is None else timed
    xyz = torch.as_tensor(uvw_to_xyz(uvw), dtype=torch.float32)
    return ArrivalTimes()(photons, time_ns, timed, xyz, BrightestWindow(17)(photons))


def test_it_is_the_mean_of_the_conventional_reconstruction(photons) -> None:
    noise = torch.randn(1, 4760, generator=torch.Generator().manual_seed(3)) * 0.5
    time_ns = times_from(UVW, 7.0) + noise
    expected = mean_time(photons.double().numpy(), time_ns.double().numpy() * 1e-9, UVW)
    # Float32 keeps 1e-6 of 50 ns; the rejections, once here and twice there, differ in a sensor or two.
    assert float(arrive(photons, time_ns).mean) == pytest.approx(expected[0], abs=2e-3)


def test_its_scatter_is_what_the_errors_say(photons) -> None:
    sigma = (STATISTICS**2 / (photons * 0.08) + CONSTANT**2).sqrt()
    sigma[:, 4092:] = (STATISTICS**2 / (photons[:, 4092:] * 0.16) + CONSTANT**2).sqrt()
    noise = torch.randn(1, 4760, generator=torch.Generator().manual_seed(4)) * sigma
    walk_free = times_from(UVW, 0.0) + noise
    # The walk was not put in, and is taken out: at most 1.5 / sqrt(48) ns against errors of 1 ns and more.
    assert float(arrive(photons, walk_free).chi_square) == pytest.approx(1.0, abs=0.1)


def test_sensors_that_another_photon_reached_do_not_count(photons) -> None:
    time_ns = times_from(UVW, 7.0)
    clean = arrive(photons, time_ns).mean
    early = time_ns.clone()
    early[:, 100:400] -= 60.0
    assert float(arrive(photons, early).mean - clean) == pytest.approx(0.0, abs=0.02)


def test_groups_add_up_to_the_whole(photons) -> None:
    time_ns = times_from(UVW, 5.0) + torch.randn(1, 4760, generator=torch.Generator().manual_seed(5))
    arrival = arrive(photons, time_ns)
    faces = (arrival.group_offsets * arrival.group_weights)[:, :6].sum()
    assert abs(float(faces)) < 1e-2 * float(arrival.group_weights[:, :6].sum())


def test_without_times_there_is_no_time(photons) -> None:
    arrival = arrive(photons, torch.zeros(1, 4760), timed=torch.zeros(1, 4760, dtype=torch.bool))
    assert float(arrival.mean) == 0.0
    assert all(torch.isfinite(part).all() for part in arrival)


def test_absurd_times_stay_finite(photons) -> None:
    time_ns = times_from(UVW, 0.0)
    time_ns[:, ::3] = 9e18
    assert all(torch.isfinite(part).all() for part in arrive(photons, time_ns))
