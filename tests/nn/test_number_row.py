"""Numbers beside the columns of a batch."""

import pytest
import torch

from lib.nn.number_row import number_row


def test_numbers_are_a_row_of_the_type_of_their_columns() -> None:
    row = number_row((1.5, -2.0), torch.zeros(7, 2, dtype=torch.float64))
    torch.testing.assert_close(row, torch.tensor([[1.5, -2.0]], dtype=torch.float64), rtol=0, atol=0)


def test_a_column_is_not_repeated() -> None:
    with pytest.raises(ValueError, match=r"expected 2 columns, one for each of \(1.5, -2.0\); got 1"):
        number_row((1.5, -2.0), torch.zeros(7, 1))
