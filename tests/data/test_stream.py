import numpy as np
import pytest
import torch
from pydantic import ValidationError

from lib.data.batch import EventBatch
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.pools.pool import PoolDataset, PoolInProgress
from lib.data.stream import EventStream, open_stream
from lib.errors import DataError

NORMALIZATION = Normalization.from_config(NormalizationConfig())
TRUTH = ("energyTruth", "uvwTruth")


def training(config, seed=3) -> EventStream:
    return open_stream(config, NORMALIZATION, TRUTH, split="train", seed=seed)


def validation(config) -> EventStream:
    return open_stream(config, NORMALIZATION, TRUTH, split="validation", seed=3)


def event_numbers(batches: list[EventBatch]) -> list[int]:
    return torch.cat([batch.event[batch.weight > 0] for batch in batches]).tolist()


def assert_same(first: list[EventBatch], second: list[EventBatch]) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a.seed == b.seed
        for name in ("x", "valid", "run", "event", "weight"):
            assert torch.equal(getattr(a, name), getattr(b, name)), name
        assert all(torch.equal(a.truth[name], b.truth[name]) for name in TRUTH)


def test_training_sees_each_event_at_most_once_and_drops_only_the_rest(data_config):
    stream = training(data_config())
    seen = event_numbers(list(stream.epoch(0)))
    assert len(seen) == len(set(seen)) == 160 == stream.batches_per_epoch * 16
    assert set(seen) <= set(range(173))


def test_validation_sees_every_event_once_in_the_order_of_the_files(data_config):
    assert event_numbers(list(validation(data_config()).epoch(0))) == list(range(173))


def test_padding_has_weight_zero_and_repeats_a_real_event(data_config):
    stream = validation(data_config())
    last = list(stream.epoch(0))[-1]
    assert stream.batches_per_epoch == 11
    assert last.num_events == 16
    assert last.weight.tolist() == [1.0] * 13 + [0.0] * 3
    assert last.event[13:].tolist() == [last.event[0].item()] * 3


def test_sensors_truth_and_numbers_of_an_event_stay_together(data_config, root_folder):
    import uproot

    files = [uproot.open(path)["tree"] for path in sorted(root_folder.glob("*.root"))]
    uvw = np.concatenate([tree["uvwTruth"].array(library="np") for tree in files])
    for batch in training(data_config()).epoch(1):
        photons = NORMALIZATION.inverse_npho(batch.x[:, 0, 0])
        # Float32 keeps log1p of a thousand within 1e-6, which is 0.005 photons.
        assert torch.allclose(photons, 1000.0 + batch.event, atol=0.02)
        assert np.array_equal(batch.truth["uvwTruth"], uvw[batch.event])
        assert batch.truth["energyTruth"].shape == (16, 1)
        assert not batch.valid[:, 7].any()
        assert not batch.valid[:, 8, 1].any()


def test_epochs_and_seeds_differ_and_repeat(data_config):
    stream = training(data_config())
    first, second = event_numbers(list(stream.epoch(0))), event_numbers(list(stream.epoch(1)))
    assert first != second
    assert first == event_numbers(list(stream.epoch(0)))
    assert first != event_numbers(list(training(data_config(), seed=4).epoch(0)))


def test_batch_seeds_differ_between_batches_and_epochs(data_config):
    stream = training(data_config())
    seeds = [batch.seed for epoch in (0, 1) for batch in stream.epoch(epoch)]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("settings", [{"num_threads": 1}, {"num_threads": 4}])
def test_threads_change_neither_order_nor_bytes(data_config, settings):
    assert_same(list(training(data_config(**settings)).epoch(2)), list(training(data_config()).epoch(2)))


# The warning counts cores of the machine on which the test happens to run.
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_neither_order_nor_bytes(data_config, workers):
    stream = training(data_config(num_workers=workers))
    expected = training(data_config())
    for epoch in (0, 1):
        assert_same(list(stream.epoch(epoch)), list(expected.epoch(epoch)))
    # Abandoning an epoch and resuming within the next reuses the same processes.
    next(stream.epoch(2))
    assert_same(list(stream.epoch(3, first_batch=5)), list(expected.epoch(3))[5:])


def test_the_order_does_not_depend_on_how_files_are_listed(data_config, root_folder):
    listed = [str(path) for path in sorted(root_folder.glob("*.root"), reverse=True)]
    assert_same(list(training(data_config(train_path=listed)).epoch(0)), list(training(data_config()).epoch(0)))


@pytest.mark.parametrize("count", [6, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("open_split", [training, validation])
def test_resuming_anywhere_equals_the_uninterrupted_epoch(data_config, open_split, count):
    # Files of 90, 50 and 33 events in pools of 64: cursors lie within pools, at their borders and across files.
    streams = [open_split(data_config(batch_size=size)) for size in (3, 10)]
    wholes = [list(stream.epoch(4)) for stream in streams]
    rng = np.random.default_rng(0)
    for turn in range(count):
        stream, whole = streams[turn % 2], wholes[turn % 2]
        cursor = int(rng.integers(0, len(whole) + 1))
        assert_same(list(stream.epoch(4, first_batch=cursor)), whole[cursor:])


def test_resuming_does_not_read_what_lies_before(data_config, root_folder, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(root_folder, folder)
    stream = validation(data_config(val_path=str(folder)))
    (folder / "part_0.root").unlink()
    assert event_numbers(list(stream.epoch(0, first_batch=9))) == list(range(144, 173))


def test_batches_may_be_larger_than_pools(data_config):
    stream = validation(data_config(batch_size=150, chunksize=32))
    assert [batch.num_events for batch in stream.epoch(0)] == [150, 150]
    assert event_numbers(list(stream.epoch(0))) == list(range(173))


def test_fewer_events_than_a_batch_are_refused_in_training(data_config):
    with pytest.raises(DataError, match=r"173 selected events in 3 files .* one batch of 500. Lower data.batch_size"):
        training(data_config(batch_size=500))


def test_beginning_a_second_epoch_ends_the_first(data_config):
    stream = training(data_config())
    first = stream.epoch(0)
    next(first)
    next(stream.epoch(1))
    with pytest.raises(RuntimeError, match="another epoch of this stream was begun"):
        list(first)


def test_a_fiducial_volume_restricts_the_events(data_config):
    config = data_config(fiducial={"u_max": 0.5, "v_max": 1.0, "w_min": 0.0})
    stream = open_stream(config, NORMALIZATION, TRUTH, split="validation", seed=0)
    batches = list(stream.epoch(0))
    uvw = torch.cat([batch.truth["uvwTruth"][batch.weight > 0] for batch in batches])
    assert 0 < len(uvw) == stream.num_events < 173
    assert (uvw[:, 0].abs() < 0.5).all()
    assert (uvw[:, 1].abs() < 1.0).all()
    assert sum(selection.num_cut for selection in stream.selections) == 173 - len(uvw)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_vanishes_is_named_without_a_traceback(data_config, root_folder, tmp_path, workers):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(root_folder, folder)
    stream = validation(data_config(val_path=str(folder), num_workers=workers))
    (folder / "part_1.root").unlink()
    with pytest.raises(DataError, match=r"part_1.root: no such file") as caught:
        list(stream.epoch(0))
    assert "Traceback" not in str(caught.value)


def test_the_global_random_state_is_left_alone(data_config):
    before = torch.get_rng_state()
    list(training(data_config()).epoch(0))
    assert torch.equal(before, torch.get_rng_state())


def test_energy_and_expressions_restrict_the_events(data_config):
    config = data_config(energy_range=[-0.5, 0.5], cut="abs(uvwTruth[0]) < 1 and event < 100")
    stream = open_stream(config, NORMALIZATION, TRUTH, split="validation", seed=0)
    batches = list(stream.epoch(0))
    energy, uvw = (torch.cat([batch.truth[name][batch.weight > 0] for batch in batches]) for name in TRUTH)
    assert 0 < len(energy) == stream.num_events < 100
    assert (energy.abs() <= 0.5).all()
    assert (uvw[:, 0].abs() < 1.0).all()


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("settings", [{}, {"num_workers": 1}, {"cache": "auto"}], ids=str)
def test_weights_follow_their_events_in_training_alone(data_config, tmp_path, settings):
    reweighting = {"quantities": ["event"], "bins": 2, "max_weight": 100.0}
    config = data_config(reweighting=reweighting, cut="event < 60 or event >= 143", cache_dir=str(tmp_path), **settings)
    batches = list(training(config).epoch(0))
    # 60 events lie in the lower half of 0 to 172, 30 in the upper one: 90 / 2 / 60 and 90 / 2 / 30.
    expected = [torch.where(batch.event < 86, 0.75, 1.5) for batch in batches]
    assert all(torch.allclose(batch.weight, weight) for batch, weight in zip(batches, expected, strict=True))
    assert {batch.weight[0].item() for batch in validation(config).epoch(0)} == {1.0}


def test_chunks_are_limited_so_that_memory_is(data_config, monkeypatch):
    expected = list(training(data_config(chunksize=64)).epoch(0))
    monkeypatch.setattr("lib.data.pools.root_stream.MAX_POOL_EVENTS", 64)
    assert_same(list(training(data_config(chunksize=10**6)).epoch(0)), expected)


def test_faulty_cuts_are_refused_with_the_configuration(data_config):
    with pytest.raises(ValueError, match=r"'energyTruth\.real' cannot be used"):
        data_config(cut="energyTruth.real > 1")
    with pytest.raises(ValueError, match="the lower bound must lie below the upper one"):
        data_config(energy_range=[2.0, 1.0])
    with pytest.raises(ValueError, match="not an expression"):
        data_config(reweighting={"quantities": ["energyTruth <"]})


def test_the_next_pool_is_begun_before_the_last_blocks_of_one_are_waited_for(data_config, monkeypatch):
    told = []
    begin, result = PoolDataset.begin, PoolInProgress.result
    monkeypatch.setattr(PoolDataset, "begin", lambda *args: told.append("begin") or begin(*args))
    monkeypatch.setattr(PoolInProgress, "result", lambda pool: told.append("wait") or result(pool))
    stream = training(data_config())
    batches = stream.epoch(0)
    next(batches)
    assert told == ["begin", "begin", "wait"]
    batches.close()
    # Whatever the abandoned epoch had begun does not disturb the next one.
    assert_same(list(stream.epoch(0)), list(training(data_config()).epoch(0)))


@pytest.mark.parametrize("prefetch_chunks", [1, 3])
def test_as_many_chunks_as_asked_for_are_prepared_ahead(data_config, monkeypatch, prefetch_chunks):
    begun = []
    original = PoolDataset.begin
    monkeypatch.setattr(PoolDataset, "begin", lambda *arguments: begun.append(1) or original(*arguments))
    reference = list(training(data_config(chunksize=16)).epoch(0))
    begun.clear()
    batches = training(data_config(chunksize=16, prefetch_chunks=prefetch_chunks)).epoch(0)
    first = [next(batches)]
    assert len(begun) == 1 + prefetch_chunks
    assert_same(first + list(batches), reference)


def test_chunks_ahead_are_asked_for_in_one_way(data_config):
    with pytest.raises(ValidationError, match="with num_workers: 2 set prefetch_factor"):
        data_config(num_workers=2, prefetch_chunks=3)
