"""Autocast of the forward pass."""

import pytest
import torch

from lib.training.config import Precision
from lib.training.precision import autocast

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "dtype"), [("none", torch.float32), ("bf16", torch.bfloat16)])
def test_matrix_products_run_in_the_configured_precision(precision: Precision, dtype: torch.dtype) -> None:
    matrix = torch.eye(3)
    with autocast(precision, CPU):
        assert (matrix @ matrix).dtype == dtype
    assert (matrix @ matrix).dtype == torch.float32


def test_sums_stay_in_single_precision() -> None:
    with autocast("bf16", CPU):
        # bf16 has eight bits: 256 + 1 would be 256.
        assert (torch.tensor([256.0, 1.0]).sum()).item() == 257.0
