import numpy as np
import pytest

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.data.npho_count import NphoCount, count_npho
from lib.data.stream import open_stream
from tests.data.root_files import make_events, write_root
from tests.data.test_stream import NORMALIZATION, TRUTH

SQRT = Normalization.from_config(NormalizationConfig(npho_scheme="sqrt"))


@pytest.mark.parametrize("byte_order", ["<f4", ">f4"])
def test_each_value_is_invalid_or_below_the_domain_or_neither(byte_order):
    npho = np.array([[1e10, np.nan, np.inf], [-np.inf, -0.5, 0.0], [-1000.0, 7.0, 9e9]], byte_order)
    assert count_npho(npho, SQRT) == NphoCount(9, 4, 2)
    assert count_npho(npho, NORMALIZATION) == NphoCount(9, 4, 1)


def test_sums_of_parts_are_those_of_the_whole():
    npho = np.random.default_rng(0).normal(size=(10, 50)).astype(np.float32)
    total = NphoCount()
    for part in np.array_split(npho, 3):
        total.add(count_npho(part, SQRT))
    assert total == count_npho(npho, SQRT)
    total.add(NphoCount(5, 1, None))
    assert total.below_domain is None


def test_shares_are_named_by_the_split_and_unknown_ones_are_left_out():
    assert NphoCount(8, 2, 4).metrics("val") == {"val/npho_invalid_share": 0.25, "val/npho_below_domain_share": 0.5}
    assert NphoCount(8, 2, None).metrics("train") == {"train/npho_invalid_share": 0.25}
    assert NphoCount().metrics("train") == {}


def test_the_log_says_what_is_known():
    assert str(NphoCount(8, 2, 4)).startswith("25 % of the photon counts are no value, 50 % lie below the domain")
    assert "the cache does not tell" in str(NphoCount(8, 2, None))
    assert str(NphoCount()) == "no photon count was read"


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("settings", [{}, {"num_workers": 1}, {"cache": "auto"}], ids=str)
def test_the_events_of_an_epoch_are_counted_once(data_config, tmp_path, settings):
    events = make_events(50)
    events["npho"][:10, 20:30] = -3.0
    path = str(write_root(tmp_path / "negative.root", events))
    paths = {"train_path": path, "val_path": path, "cache_dir": str(tmp_path / "cache")}
    config = data_config(**paths, log_invalid_npho=True, cut="event < 40", **settings)
    stream = open_stream(config, SQRT, TRUTH, split="validation", seed=0)
    for _ in range(2):
        list(stream.epoch(0))
        assert stream.npho_count() == NphoCount(40 * 4760, 40, None if settings.get("cache") else 100)
    silent = open_stream(data_config(**paths, **settings), SQRT, TRUTH, split="validation", seed=0)
    list(silent.epoch(0))
    assert silent.npho_count() is None
