"""Which sensors are hidden."""

import pytest
import torch
from torch import Tensor

from lib.tasks.masking import batch_generator, count_hidden, draw_hidden

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return batch_generator(seed, CPU)


def rows_with(*counts: int, width: int) -> Tensor:
    """Rows of which the given numbers of sensors, spread at random, are valid."""
    valid = torch.zeros(len(counts), width, dtype=torch.bool)
    for row, count in enumerate(counts):
        valid[row, torch.randperm(width, generator=torch.Generator().manual_seed(row))[:count]] = True
    return valid


@pytest.mark.parametrize("parts", [100, 1000])
def test_the_floor_of_the_ratio_is_exact_for_every_count(parts: int) -> None:
    counts = torch.arange(4761)
    for part in range(1, parts):
        assert torch.equal(count_hidden(counts, part / parts), counts * part // parts), part


@pytest.mark.parametrize("hundredths", [1, 5, 15, 29, 57, 60, 90, 99])
def test_exactly_that_many_sensors_are_hidden(hundredths: int) -> None:
    counts = (0, 1, 2, 3, 7, 10, 50, 99, 100, 237, 1000, 4700, 4760)
    hidden = draw_hidden(rows_with(*counts, width=4760), hundredths / 100, generator())
    assert hidden.sum(dim=1).tolist() == [count * hundredths // 100 for count in counts]


def test_sensors_without_a_value_are_never_drawn() -> None:
    valid = rows_with(*range(0, 60, 3), width=64)
    for seed in range(50):
        assert not (draw_hidden(valid, 0.9, generator(seed)) & ~valid).any()


def test_each_valid_sensor_is_hidden_equally_often() -> None:
    """Chi-square over 30 sensors; sampling without replacement shrinks it by (1 - ratio)."""
    valid = torch.zeros(20_000, 40, dtype=torch.bool)
    valid[:, ::4] = valid[:, 1::4] = valid[:, 2::4] = True
    ratio = 0.3
    times = draw_hidden(valid, ratio, generator(5)).sum(dim=0)[valid[0]].double()
    expected = len(valid) * ratio
    chi_square = ((times - expected) ** 2 / expected).sum().item() / (1 - ratio)
    # 29 degrees of freedom: mean 29, standard deviation 7.6. The distribution leans to the right.
    assert 29 - 3.5 * 7.6 < chi_square < 29 + 5 * 7.6


def test_events_of_a_batch_are_drawn_independently() -> None:
    valid = torch.ones(2, 4760, dtype=torch.bool)
    first, second = draw_hidden(valid, 0.5, generator())
    # Both hide a half; two independent halves share a quarter of 4760 = 1190 with a standard deviation of 17.
    assert abs((first & second).sum().item() - 1190) < 5 * 17.3


def test_the_same_seed_hides_the_same_sensors_and_another_seed_others() -> None:
    valid = rows_with(50, 60, width=64)
    assert torch.equal(draw_hidden(valid, 0.5, generator(3)), draw_hidden(valid, 0.5, generator(3)))
    assert not torch.equal(draw_hidden(valid, 0.5, generator(3)), draw_hidden(valid, 0.5, generator(4)))


def test_drawing_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    draw_hidden(rows_with(50, width=64), 0.5, generator())
    assert torch.equal(torch.rand(3), expected)


def test_the_largest_seed_of_a_batch_is_accepted() -> None:
    assert draw_hidden(rows_with(64, width=64), 0.5, generator(2**63 - 1)).sum() == 32
