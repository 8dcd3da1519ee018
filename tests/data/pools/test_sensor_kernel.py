import shutil

import numpy as np
import pytest
import torch

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.pools.event_rows import RowMemory
from lib.data.pools.sensor_kernel import CompiledKernel, NumpyKernel, sensor_kernel

SCHEMES = {
    "log1p": {},
    "legacy": {"npho_scale": 0.58, "npho_scale2": 1.0, "time_scale": 6.5e-8, "time_shift": 0.5, "npho_threshold": 0.1},
    "sqrt": {"npho_scheme": "sqrt", "sentinel_npho": -2.5},
    "anscombe": {"npho_scheme": "anscombe", "npho_scale": 20000.0, "sentinel_time": -7.0},
    "linear": {"npho_scheme": "linear"},
}
ODD = [np.nan, np.inf, -np.inf, -np.nan, 1e10, -1e10, 9e9, -9e9, 3e38, 0.0, -0.0, -0.374, -0.376, -999.0, -998.0, 100.0]
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


def readings() -> tuple[np.ndarray, np.ndarray]:
    """Photons over ten orders of magnitude, and every odd value in both channels."""
    rng = np.random.default_rng(1)
    npho = (10.0 ** rng.uniform(-4, 6, (9, 4760)) * rng.choice([1, 1, 1, -1], (9, 4760))).astype(np.float32)
    time = rng.normal(0.0, 1e-7, (9, 4760)).astype(np.float32)
    npho[0, : len(ODD)] = ODD
    time[0, 10 : 10 + len(ODD)] = ODD
    npho[0, 10 + len(ODD)] = 99.99
    return npho, time


@needs_compiler
@pytest.mark.parametrize("order", [">f4", "<f4"])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_kernels_agree_with_the_normalization(scheme, compiled, order):
    normalization = Normalization.from_config(NormalizationConfig(**SCHEMES[scheme]))
    npho, time = readings()
    kernel = sensor_kernel(normalization, compiled=compiled)
    assert isinstance(kernel, CompiledKernel if compiled else NumpyKernel)
    sources, targets = np.array([0, 2, 3, 8]), np.array([5, 0, 3, 1])
    into = RowMemory(6, ()).lend()
    kernel.fill(npho.astype(order), time.astype(order), sources, targets, into)
    x, valid = normalization.apply(torch.from_numpy(npho[sources]), torch.from_numpy(time[sources]))
    assert torch.equal(into.valid[targets], valid)
    # Float32 has 1.2e-7 of the value; the logarithms differ in the last bits.
    assert torch.allclose(into.x[targets], x, rtol=1e-6, atol=1e-6)


@needs_compiler
def test_rows_that_are_no_target_are_left_alone():
    kernel = sensor_kernel(Normalization.from_config(NormalizationConfig()), compiled=True)
    into = RowMemory(3, ()).lend()
    into.x.fill_(7.0)
    into.valid.fill_(True)
    npho, time = readings()
    kernel.fill(npho, time, np.array([1]), np.array([1]), into)
    assert (into.x[[0, 2]] == 7.0).all()
    assert into.valid[[0, 2]].all()
    assert not (into.x[1] == 7.0).any()


def test_without_a_compiler_numpy_serves(monkeypatch):
    monkeypatch.setattr("lib.data.pools.sensor_kernel.load_library", lambda source, flags: None)
    kernel = sensor_kernel(Normalization.from_config(NormalizationConfig()), compiled=True)
    assert isinstance(kernel, NumpyKernel)
