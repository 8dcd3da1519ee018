import numpy as np
import pytest
import torch

from lib.data.batch import EventBatch
from lib.data.branches import NO_VALUE
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.stream import open_stream
from tests.data.root_files import make_events, write_root

CPU = torch.device("cpu")
ODD = [NO_VALUE, np.nan, np.inf, -np.inf, -20.0, -0.3, 0.0, 99.0, 101.0, 3e4, 8.9e9, -1e10]
SCHEMES = ["log1p", "sqrt", "anscombe", "linear"]


@pytest.fixture
def odd_folder(tmp_path):
    """A file with every combination of odd photon counts and odd times."""
    events = make_events(20)
    pairs = np.array([(npho, time) for npho in ODD for time in (NO_VALUE, np.nan, np.inf, -1e10, 0.0, 3e-8)])
    events["npho"][:, : len(pairs)], events["time"][:, : len(pairs)] = pairs.T
    write_root(tmp_path / "odd.root", events)
    return str(tmp_path)


def batches(config, normalization, split="train") -> list[EventBatch]:
    return list(open_stream(config, normalization, ("energyTruth",), split=split, seed=1).epoch(0))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("threshold", [0.0, 100.0])
def test_the_device_makes_of_readings_what_the_loader_makes(data_config, odd_folder, scheme, threshold, compiled):
    normalization = Normalization.from_config(
        NormalizationConfig(npho_scheme=scheme, npho_threshold=threshold, sentinel_npho=-3.0, sentinel_time=-7.0)
    )
    settings = {"train_path": odd_folder, "batch_size": 8, "compiled": compiled}
    expected = batches(data_config(**settings), normalization)
    raw = batches(data_config(**settings, normalize_on="device"), normalization)
    assert len(raw) == len(expected) > 0
    for one, other in zip(raw, expected, strict=True):
        assert one.pending == normalization
        moved = one.to(CPU)
        assert moved.pending is None
        assert torch.equal(moved.valid, other.valid)
        assert torch.equal(moved.event, other.event)
        # 1e-6 of the value where a linear scheme makes millions of 8.9e9 photons.
        assert torch.allclose(moved.x, other.x, rtol=1e-6, atol=1e-6)
        assert torch.isfinite(moved.x).all()


def test_readings_travel_as_they_were_measured(data_config, root_folder):
    events = make_events(90)
    always = Normalization.from_config(NormalizationConfig(npho_threshold=-1e30))
    # Sensor 7 has no photon count, and so no time.
    events["time"][:, 7] = NO_VALUE
    batch = batches(data_config(normalize_on="device"), always, "validation")[0]
    assert np.array_equal(batch.x[..., 0], events["npho"][:16])
    assert np.array_equal(batch.x[..., 1], events["time"][:16])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_micro_batches_padding_and_processes_normalize_alike(data_config):
    normalization = Normalization.from_config(NormalizationConfig())
    expected = batches(data_config(), normalization, "validation")[-1]
    raw = batches(data_config(normalize_on="device", num_workers=1), normalization, "validation")[-1]
    assert torch.equal(raw.weight, expected.weight)
    part = raw.rows(2, 5).to(CPU)
    assert torch.allclose(part.x, expected.x[2:5], atol=1e-6)
    assert torch.equal(part.valid, expected.valid[2:5])


def test_events_of_the_cache_are_normalized_already(data_config, tmp_path):
    normalization = Normalization.from_config(NormalizationConfig())
    settings = {"cache": "auto", "cache_dir": str(tmp_path)}
    expected, found = (
        batches(data_config(**settings, normalize_on=where), normalization) for where in ("loader", "device")
    )
    for one, other in zip(found, expected, strict=True):
        assert one.pending is None
        assert torch.equal(one.x, other.x)
