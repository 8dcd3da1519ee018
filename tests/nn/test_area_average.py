"""Averaging matrices."""

import pytest
import torch

from lib.nn.area_average import area_average_matrix, grid_average_matrix


@pytest.mark.parametrize(("num_in", "num_out"), [(12, 4), (47, 4), (11, 3), (4, 24), (3, 14), (4, 4)])
def test_rows_sum_to_one_and_every_input_counts_equally(num_in, num_out) -> None:
    matrix = area_average_matrix(num_in, num_out)
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(num_out))
    torch.testing.assert_close(matrix.sum(dim=0), torch.full((num_in,), num_out / num_in))


def test_it_is_plain_pooling_where_sizes_divide() -> None:
    image = torch.randn(1, 1, 12, 8)
    expected = torch.nn.functional.avg_pool2d(image, (3, 2))
    torch.testing.assert_close(grid_average_matrix((12, 8), (4, 4)) @ image.flatten(), expected.flatten())


def test_a_cell_across_a_border_is_shared_by_overlap() -> None:
    expected = torch.tensor([[2 / 3, 1 / 3, 0.0], [0.0, 1 / 3, 2 / 3]])
    torch.testing.assert_close(area_average_matrix(3, 2), expected)
