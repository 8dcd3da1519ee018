"""Chunks must pass unchanged, with a line now and then where there is no terminal."""

import logging

import numpy as np
import pytest

from lib.data.trees.source import RawChunk
from lib.export.event_progress import show_progress


def chunk(count: int) -> RawChunk:
    empty = np.zeros((count, 1), np.float32)
    return RawChunk(empty, empty, {}, np.arange(count), np.arange(count))


def test_every_chunk_is_passed_on_in_order() -> None:
    chunks = [chunk(3), chunk(2)]
    assert [id(passed) for passed in show_progress(chunks, 5)] == [id(given) for given in chunks]


def test_lines_tell_how_far_it_is_and_the_last_one_how_fast(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        list(show_progress([chunk(3), chunk(2)], 5, seconds_between_lines=0.0))
    assert [record.getMessage().split(",")[0] for record in caplog.records[:2]] == ["3 of 5 events", "5 of 5 events"]
    assert caplog.records[-1].getMessage().startswith("5 events in ")


def test_lines_come_no_more_often_than_wanted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        list(show_progress([chunk(1)] * 20, 20))
    assert len(caplog.records) == 1


def test_nothing_at_all_is_no_division_by_zero(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert list(show_progress([], 0)) == []
    assert caplog.records[-1].getMessage().startswith("0 events in ")
