import logging
import time

import pytest

from lib.data.files.file_bytes import LocalBytes
from lib.data.files.paths import resolve_paths
from lib.data.pools.loader_profile import BATCH, DECOMPRESS, NORMALIZE, READ, WAIT, LoaderProfile
from lib.data.stream import open_stream
from lib.data.trees import basket_reader
from lib.data.trees.basket_reader import BasketReader
from lib.data.trees.schema import BranchPlan, check_files
from tests.data.test_stream import NORMALIZATION, TRUTH

PLAN = BranchPlan("tree", "npho", "time")


def profile_of(**seconds) -> LoaderProfile:
    profile = LoaderProfile()
    profile.seconds.update(seconds)
    return profile


@pytest.mark.parametrize(
    ("phase", "setting"),
    [(READ, "disk"), (DECOMPRESS, "LZ4"), (NORMALIZE, "C compiler"), (BATCH, "per basket")],
)
def test_the_bottleneck_is_named_with_what_helps(phase, setting):
    seconds = {READ: 1.0, DECOMPRESS: 1.0, NORMALIZE: 1.0, BATCH: 1.0, WAIT: 3.0, phase: 4.0}
    advice = profile_of(**seconds).advice(10.0)
    assert advice.startswith("30 % of the time")
    assert f"bottleneck is {phase}: " in advice
    assert setting in advice


def test_a_training_that_hardly_waits_is_left_alone():
    assert profile_of(decompress=100.0, wait=2.0).advice(10.0) is None
    assert profile_of(decompress=100.0, wait=2.1).advice(10.0) is not None
    assert LoaderProfile().advice(0.0) is None


def test_time_is_added_up():
    profile = LoaderProfile()
    for _ in range(2):
        with profile.measure(BATCH):
            pass
    assert profile.seconds[BATCH] > 0
    assert profile.seconds[WAIT] == 0


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_that_does_nothing_but_read_is_told_so(data_config, caplog, workers):
    stream = open_stream(data_config(num_workers=workers), NORMALIZATION, TRUTH, split="train", seed=1)
    with caplog.at_level(logging.INFO):
        list(stream.epoch(0))
    told = [record for record in caplog.records if "of the time was spent waiting for data (read " in record.message]
    assert len(told) == 1


def test_waiting_for_the_disk_is_told_apart_from_decompressing(data_config, monkeypatch):
    def slowly(function):
        return lambda *args: time.sleep(0.005) or function(*args)

    monkeypatch.setattr(basket_reader, "_bring_pages", slowly(basket_reader._bring_pages))
    monkeypatch.setattr(LocalBytes, "read", slowly(LocalBytes.read))
    reader = BasketReader(check_files(resolve_paths(data_config().train_path), PLAN))
    profile = LoaderProfile()
    with profile.measure(DECOMPRESS):
        for first in (0, 40):
            reader.rows(0, "npho", first, first + 10)
    profile.move(DECOMPRESS, READ, reader.take_read_seconds())
    assert profile.seconds[READ] >= 0.01
    assert profile.seconds[DECOMPRESS] >= 0
    assert reader.take_read_seconds() == 0.0
