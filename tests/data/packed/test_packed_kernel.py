import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.packed.packed_kernel import CompiledPackedKernel, NumpyPackedKernel, PackedSet, packed_kernel
from lib.data.pools.event_rows import EventRows, RowMemory
from lib.data.pools.sensor_kernel import sensor_kernel

SENTINELS = (-1.0, -2.0)
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
both = pytest.mark.parametrize("compiled", [True, False])


def rows_of(x: torch.Tensor, valid: torch.Tensor) -> EventRows:
    rows = RowMemory(len(x), ()).lend()
    rows.x.copy_(x)
    rows.valid.copy_(valid)
    return rows


def example(count: int = 6) -> EventRows:
    rng = np.random.default_rng(4)
    valid = torch.from_numpy(rng.random((count, 4760, 2)) < 0.7)
    x = torch.from_numpy(rng.normal(0.3, 1.0, (count, 4760, 2)).astype(np.float32))
    return rows_of(torch.where(valid, x, torch.tensor(SENTINELS)), valid)


def round_trip(kernel, rows: EventRows) -> EventRows:
    count = len(rows)
    into = RowMemory(count, ()).lend()
    everything = np.arange(count)
    assert kernel.unpack(PackedSet([kernel.pack(rows, count)]), everything, everything, into) == -1
    return into


@needs_compiler
@both
def test_values_are_off_by_half_a_step_at_most(compiled):
    kernel = packed_kernel(SENTINELS, compiled=compiled)
    assert isinstance(kernel, CompiledPackedKernel if compiled else NumpyPackedKernel)
    rows = example()
    found = round_trip(kernel, rows)
    assert torch.equal(found.valid, rows.valid)
    inside = torch.where(rows.valid, rows.x, torch.nan)
    span = torch.from_numpy(np.nanmax(inside.numpy(), axis=1) - np.nanmin(inside.numpy(), axis=1))
    # Beside the rounding of the level, float32 rounds offset and value, 1.2e-7 of a few units each.
    assert ((found.x - rows.x).abs() <= span[:, None] / 131068 + 1e-6).all()
    assert torch.equal(found.x[~rows.valid], rows.x[~rows.valid])


@needs_compiler
def test_both_forms_agree():
    rows = example()
    compiled, plain = (packed_kernel(SENTINELS, compiled=flag) for flag in (True, False))
    first, second = compiled.pack(rows, 5), plain.pack(rows, 5)
    assert len(first) == len(second) == 5
    assert np.allclose(first.scales, second.scales, rtol=1e-6)
    # A level may fall to either side of a half.
    assert np.abs(first.values.astype(int) - second.values).max() <= 1
    into = [RowMemory(5, ()).lend() for _ in range(2)]
    for kernel, target in zip((compiled, plain), into, strict=True):
        kernel.unpack(PackedSet([first]), np.arange(5), np.arange(5), target)
    assert torch.allclose(into[0].x, into[1].x, atol=1e-6)


@needs_compiler
def test_memory_that_begins_anywhere_is_filled_alike():
    kernel = packed_kernel(SENTINELS, compiled=True)
    rows = example()
    expected, into = round_trip(kernel, rows), RowMemory(len(rows), ()).lend()
    odd = replace(
        into,
        x=torch.zeros(rows.x.numel() + 1)[1:].view(rows.x.shape),
        valid=torch.zeros(rows.valid.numel() + 1, dtype=torch.bool)[1:].view(rows.valid.shape),
    )
    everything = np.arange(len(rows))
    assert kernel.unpack(PackedSet([kernel.pack(rows, len(rows))]), everything, everything, odd) == -1
    assert torch.equal(odd.x, expected.x)
    assert torch.equal(odd.valid, expected.valid)


@needs_compiler
@both
def test_events_without_values_or_with_one_value_keep_it(compiled):
    x, valid = torch.full((3, 4760, 2), -1.0), torch.zeros(3, 4760, 2, dtype=torch.bool)
    x[..., 1] = -2.0
    x[1, 17], valid[1, 17] = torch.tensor([3.5, -0.25]), True
    x[2, 5, 0], x[2, 6, 0], valid[2, 5:7, 0] = -1e17, 1e17, True
    found = round_trip(packed_kernel(SENTINELS, compiled=compiled), rows_of(x, valid))
    assert torch.equal(found.valid, valid)
    assert torch.equal(found.x[:2], x[:2])
    assert torch.allclose(found.x[2], x[2], rtol=1e-5)


@needs_compiler
@both
def test_any_flipped_bit_is_noticed(compiled):
    kernel = packed_kernel(SENTINELS, compiled=compiled)
    packed = kernel.pack(example(), 6)
    into = RowMemory(6, ()).lend()
    rng = np.random.default_rng(0)
    for _ in range(20):
        row, sensor, channel, bit = (int(rng.integers(bound)) for bound in (6, 4760, 2, 16))
        packed.values[row, sensor, channel] ^= np.uint16(1 << bit)
        assert kernel.unpack(PackedSet([packed]), np.arange(6)[::-1].copy(), np.arange(6), into) == 5 - row
        packed.values[row, sensor, channel] ^= np.uint16(1 << bit)


@needs_compiler
@both
def test_rows_are_found_in_every_file_of_a_set(compiled):
    kernel = packed_kernel(SENTINELS, compiled=compiled)
    rows = example()
    whole = round_trip(kernel, rows)
    parts = [kernel.pack(rows_of(rows.x[a:b], rows.valid[a:b]), b - a) for a, b in ((0, 1), (1, 4), (4, 6))]
    both_files = PackedSet(parts)
    assert both_files.starts.tolist() == [0, 1, 4, 6]
    assert [part.tolist() for part in both_files.locate(np.array([5, 0, 3]))] == [[2, 0, 1], [1, 0, 2]]
    into = RowMemory(4, ()).lend()
    assert kernel.unpack(both_files, np.array([5, 0, 3]), np.array([0, 3, 1]), into) == -1
    assert torch.equal(into.x[[0, 3, 1]], whole.x[[5, 0, 3]])


@needs_compiler
def test_packing_is_small_against_photon_statistics():
    rng = np.random.default_rng(7)
    normalization = Normalization.from_config(NormalizationConfig())
    expected = 10.0 ** rng.uniform(1.0, 5.0, (4, 4760))
    npho = rng.poisson(expected).astype(np.float32)
    # One sensor of N photoelectrons measures the time to 12 ns / sqrt(N); a tenth of the photons are detected.
    time = rng.normal(0.0, 12e-9 / np.sqrt(0.1 * expected)).astype(np.float32)
    rows = RowMemory(4, ()).lend()
    sensor_kernel(normalization, compiled=True).fill(npho, time, np.arange(4), np.arange(4), rows)
    found = round_trip(packed_kernel(SENTINELS, compiled=True), rows)
    error_npho = normalization.inverse_npho(found.x[..., 0]).numpy() - npho
    error_time = (found.x - rows.x)[..., 1][rows.valid[..., 1]].numpy() * normalization.time_scale
    # Errors add in squares: 2 % of the statistical error widens a resolution by 0.02 %.
    assert np.sqrt(np.mean(error_npho**2 / expected)) < 0.02
    largest = 12e-9 / np.sqrt(0.1 * 1e5)
    assert error_time.std() < 0.06 * largest
