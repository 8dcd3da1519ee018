import logging

import pytest

from lib.data.loader_profile import BATCH, DECOMPRESS, NORMALIZE, WAIT, LoaderProfile
from lib.data.stream import open_stream
from tests.data.test_stream import NORMALIZATION, TRUTH


def profile_of(**seconds) -> LoaderProfile:
    profile = LoaderProfile()
    profile.seconds.update(seconds)
    return profile


@pytest.mark.parametrize(
    ("phase", "setting"), [(DECOMPRESS, "LZ4"), (NORMALIZE, "C compiler"), (BATCH, "events per basket")]
)
def test_the_bottleneck_is_named_with_what_helps(phase, setting):
    seconds = {DECOMPRESS: 1.0, NORMALIZE: 1.0, BATCH: 1.0, WAIT: 3.0, phase: 4.0}
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
    assert "of the time was spent waiting for data (decompress " in caplog.text
