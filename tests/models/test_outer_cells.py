"""Averages between sensors and cells of the outer face."""

import pytest
import torch

from lib.geometry.outer_grid import outer_grid
from lib.models.outer_cells import GRID_SHAPE, cells_to_sensors, sensors_to_cells


@pytest.mark.parametrize("matrix", [cells_to_sensors(), sensors_to_cells()])
def test_every_average_is_one_and_reads_everything(matrix) -> None:
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(len(matrix)))
    assert (matrix.sum(dim=0) > 0).all()


def test_a_sensor_reads_the_cells_it_covers() -> None:
    # Each fine cell carries the mean of the pooled cell it lies in.
    pooled = torch.rand(GRID_SHAPE)
    fine = pooled.repeat_interleave(3, 0).repeat_interleave(3, 1)
    grid = outer_grid()
    expected = torch.stack([fine[torch.tensor(grid.sensor_ids == sensor)].mean() for sensor in grid.covered_ids])
    torch.testing.assert_close(cells_to_sensors() @ pooled.flatten(), expected)
