"""What packing does to the resolutions of the conventional reconstruction."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from lib.baselines.conventional import ConventionalReconstruction
from lib.data.branches import ENERGY, NO_VALUE, NPHO, TIME, TIME_TRUTH, UVW
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.packed.packed_kernel import PackedSet, packed_kernel
from lib.data.pools.event_rows import EventRows, RowMemory
from lib.data.pools.sensor_kernel import sensor_kernel
from lib.simulation.events import EventSimulator
from lib.simulation.presets import build_config
from macro.validate_simulation import blocks, residuals

NORMALIZATION = Normalization.from_config(NormalizationConfig())
SENTINELS = (NORMALIZATION.sentinel_npho, NORMALIZATION.sentinel_time)


def simulated(seed: int, num_events: int) -> dict[str, np.ndarray]:
    parts = list(blocks(EventSimulator(build_config(), seed, run=1), num_events))
    return {name: np.concatenate([part[name] for part in parts]) for name in (NPHO, TIME, ENERGY, TIME_TRUTH, UVW)}


def read_back(events: dict[str, np.ndarray], rows: EventRows) -> dict[str, np.ndarray]:
    """Return the events with the readings that network inputs stand for."""
    npho, time = NORMALIZATION.inverse_npho(rows.x[..., 0]), NORMALIZATION.inverse_time(rows.x[..., 1])
    readings = (
        torch.where(valid, value, NO_VALUE) for value, valid in zip((npho, time), rows.valid.unbind(-1), strict=True)
    )
    return events | dict(zip((NPHO, TIME), (values.numpy() for values in readings), strict=True))


def normalized_and_packed(events: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    count = len(events[NPHO])
    memory, index = RowMemory(count, ()), np.arange(count)
    rows, unpacked = memory.lend(), memory.lend()
    sensor_kernel(NORMALIZATION, compiled=True).fill(events[NPHO], events[TIME], index, index, rows)
    kernel = packed_kernel(SENTINELS, compiled=True)
    assert kernel.unpack(PackedSet([kernel.pack(rows, count)]), index, index, unpacked) == -1
    yield read_back(events, rows)
    yield read_back(events, unpacked)


@pytest.mark.slow
def test_the_cache_changes_no_resolution_by_more_than_a_five_hundredth():
    sample, events = simulated(1, 3000), simulated(2, 4000)
    reconstruction = ConventionalReconstruction.fit(sample[NPHO], sample[TIME], sample)
    normalized, packed = (residuals(reconstruction, one) for one in normalized_and_packed(events))
    for name, before in normalized.items():
        width = np.quantile(np.abs(before - np.median(before)), 0.68)
        moved = np.abs(packed[name] - before)
        # Fits of a few events jump by any rounding of their input, also the last bit of a float32: they tell nothing.
        usual = moved[moved <= np.quantile(moved, 0.98)]
        # What is independent adds up in squares: a resolution of 1 becomes sqrt(1 + r^2).
        assert np.hypot(1.0, np.sqrt(np.mean(usual**2)) / width) - 1 < 0.002, name
        # The jumps go both ways and do not widen the core.
        after = np.quantile(np.abs(packed[name] - np.median(packed[name])), 0.68)
        assert abs(after / width - 1) < 0.005, name
