"""The rate of the prediction stream counts the rows that were written."""

import itertools
from pathlib import Path

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.evaluation.restoration.stream_rate import rows_per_second


def test_the_rate_is_rows_over_time_and_leaves_no_file(tmp_path: Path) -> None:
    clock = itertools.count(step=10).__next__
    normalization = Normalization.from_config(NormalizationConfig())
    rate = rows_per_second(tmp_path, normalization, 1000, clock)
    # One batch of 256 events with 5 % of 4760 sensors, in ten seconds.
    assert abs(rate - 256 * 238 / 10) < 100
    assert list(tmp_path.iterdir()) == []
