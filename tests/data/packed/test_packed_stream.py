import numpy as np
import pytest
import torch

from lib.data.config import DataConfig, NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.packed.packed_stream import PackedStream
from lib.data.stream import open_stream
from lib.errors import DataError
from tests.data.root_files import change_bytes, make_events, write_root
from tests.data.test_stream import NORMALIZATION, TRUTH, assert_same, event_numbers


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def open_packed(data_config, cache_dir):
    def make(split="train", seed=3, truth=TRUTH, **settings):
        config = data_config(**{"cache": "auto", "cache_dir": cache_dir, **settings})
        stream = open_stream(config, NORMALIZATION, truth, split=split, seed=seed)
        assert isinstance(stream, PackedStream)
        return stream

    return make


def test_training_sees_each_event_at_most_once(open_packed):
    stream = open_packed()
    seen = event_numbers(list(stream.epoch(0)))
    assert len(seen) == len(set(seen)) == 160 == stream.batches_per_epoch * 16
    assert set(seen) <= set(range(173))


def test_events_of_all_files_meet_in_one_batch(open_packed):
    batches = list(open_packed().epoch(0))
    files = [np.digitize(batch.event, [90, 140]) for batch in batches]
    assert sum(len(set(numbers.tolist())) == 3 for numbers in files) >= 8


def test_validation_equals_that_from_root_files_within_half_a_step(open_packed, data_config):
    packed = list(open_packed("validation").epoch(0))
    read = list(open_stream(data_config(), NORMALIZATION, TRUTH, split="validation", seed=3).epoch(0))
    assert event_numbers(packed) == event_numbers(read)
    for a, b in zip(packed, read, strict=True):
        assert torch.equal(a.valid, b.valid)
        assert torch.allclose(a.x, b.x, atol=2e-5)
        assert torch.equal(a.weight, b.weight)
        assert torch.equal(a.run, b.run)
        assert a.seed == b.seed
        assert all(torch.equal(a.truth[name], b.truth[name]) for name in TRUTH)


@pytest.mark.parametrize("settings", [{"num_threads": 1}, {"num_threads": 5}])
def test_threads_change_neither_order_nor_bytes(open_packed, settings):
    assert_same(list(open_packed(**settings).epoch(1)), list(open_packed().epoch(1)))


def test_the_order_is_a_function_of_seed_and_epoch(open_packed):
    stream = open_packed()
    first = event_numbers(list(stream.epoch(0)))
    assert first == event_numbers(list(stream.epoch(0)))
    assert first != event_numbers(list(stream.epoch(1)))
    assert first != event_numbers(list(open_packed(seed=4).epoch(0)))


@pytest.mark.parametrize("count", [6, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("split", ["train", "validation"])
def test_resuming_anywhere_equals_the_uninterrupted_epoch(open_packed, split, count):
    stream = open_packed(split, batch_size=7)
    whole = list(stream.epoch(2))
    for cursor in np.random.default_rng(0).integers(0, len(whole) + 1, count).tolist():
        assert_same(list(stream.epoch(2, first_batch=cursor)), whole[cursor:])


def test_a_selection_holds_for_packed_events(open_packed):
    stream = open_packed("validation", fiducial={"u_max": 0.5, "v_max": 1.0, "w_min": 0.0})
    uvw = torch.cat([batch.truth["uvwTruth"][batch.weight > 0] for batch in stream.epoch(0)])
    assert 0 < len(uvw) == stream.num_events < 173
    assert (uvw[:, 0].abs() < 0.5).all()


def test_truth_that_is_not_packed_is_refused(open_packed, tmp_path):
    events = make_events(40)
    write_root(tmp_path / "a.root", {**events, "dead": np.zeros((40, 4760), np.float32)})
    with pytest.raises(DataError, match=r"the packed cache does not keep 'dead'. Set data.cache: off"):
        open_packed(truth=("dead",), train_path=str(tmp_path))


def test_a_damaged_row_stops_the_training_by_name(open_packed, tmp_path):
    write_root(tmp_path / "a.root", make_events(40))
    folder = tmp_path / "cache"
    stream = open_packed("validation", val_path=str(tmp_path), cache_dir=str(folder))
    (place,) = folder.glob("*.packed")
    change_bytes(place, 17 * 4760 * 4 + 12, b"\x77")
    with pytest.raises(DataError, match=r"a.root: entry 17 of its packed copy in .*cache is damaged; its sum differs"):
        list(stream.epoch(0))


def test_require_never_builds(data_config, tmp_path):
    config = data_config(cache="require", cache_dir=str(tmp_path / "none"))
    with pytest.raises(DataError, match="3 of 3 files cannot be taken from the cache"):
        open_stream(config, NORMALIZATION, TRUTH, split="train", seed=0)
    assert not (tmp_path / "none").exists()


def test_files_without_run_numbers_get_their_position(tmp_path):
    for index in range(2):
        events = make_events(5)
        write_root(tmp_path / f"{index}.root", {name: events[name] for name in ("npho", "time")})
    paths = {"train_path": str(tmp_path), "val_path": str(tmp_path)}
    config = DataConfig(**paths, batch_size=10, cache="auto", cache_dir=str(tmp_path / "cache"))
    normalization = Normalization.from_config(NormalizationConfig())
    (batch,) = open_stream(config, normalization, (), split="validation", seed=0).epoch(0)
    assert batch.run.tolist() == [0] * 5 + [1] * 5


def test_a_cache_needs_a_place(data_config):
    with pytest.raises(ValueError, match="cache: auto needs cache_dir"):
        data_config(cache="auto")
