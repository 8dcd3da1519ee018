"""Means of an epoch."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lib.training.meters import MeanMeters

INCLUDED, LEFT_OUT = torch.tensor(1.0), torch.tensor(0.0)


def pair(total: float, count: float) -> tuple[Tensor, Tensor]:
    return torch.tensor(total), torch.tensor(count)


@given(st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=7), min_size=1, max_size=8))
def test_means_over_ragged_batches_are_those_of_all_events(batches: list[list[float]]) -> None:
    meters = MeanMeters()
    for batch in batches:
        values = torch.tensor(batch, dtype=torch.float64)
        meters.add({"error": (values.sum(), torch.tensor(len(batch)))})
    events = [value for batch in batches for value in batch]
    # Sums are kept in double precision: what is left is its rounding.
    assert meters.means()["error"] == pytest.approx(math.fsum(events) / len(events), rel=1e-12, abs=1e-10)


def test_many_small_addends_are_not_lost_in_a_large_sum() -> None:
    meters = MeanMeters()
    meters.add({"loss": pair(2.0**24, 1.0)})
    # In single precision 2^24 + 1 is 2^24.
    for _ in range(64):
        meters.add({"loss": pair(1.0, 0.0)})
    assert meters.means()["loss"] == 2**24 + 64


def test_a_batch_that_is_left_out_changes_nothing_even_if_it_is_not_finite() -> None:
    meters = MeanMeters()
    meters.add({"loss": pair(6.0, 3.0)}, included=INCLUDED)
    for value in (math.nan, math.inf, 5.0):
        meters.add({"loss": pair(value, 3.0)}, included=LEFT_OUT)
    assert meters.means() == {"loss": 2.0}


def test_a_metric_without_counts_is_left_out() -> None:
    meters = MeanMeters()
    meters.add({"loss": pair(1.0, 2.0), "time_mae_ns": pair(0.0, 0.0)})
    assert meters.means() == {"loss": 0.5}


def test_metrics_may_differ_from_batch_to_batch() -> None:
    meters = MeanMeters()
    meters.add({"loss": pair(1.0, 1.0)})
    meters.add({"loss": pair(3.0, 1.0), "angle": pair(8.0, 2.0)})
    assert meters.means() == {"loss": 2.0, "angle": 4.0}


def test_nothing_added_gives_no_means() -> None:
    assert MeanMeters().means() == {}


def test_no_graph_is_kept() -> None:
    meters = MeanMeters()
    meters.add({"loss": (torch.ones((), requires_grad=True) * 2, torch.tensor(1))})
    assert not any(total.requires_grad for total in meters._totals.values())
