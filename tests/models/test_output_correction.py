"""Gain and offset of physical outputs."""

import pytest
import torch

from lib.models.config import RegressorModelConfig
from lib.models.output_correction import OutputCorrection
from lib.models.regressor import Regressor


def test_a_fresh_correction_changes_nothing() -> None:
    correction = OutputCorrection({"uvwFI": 6})
    said = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(correction.values("uvwFI", said), said)
    assert torch.equal(correction.errors("uvwFI", said), said)


def test_values_take_the_first_columns_and_errors_the_last() -> None:
    correction = OutputCorrection({"uvwFI": 6, "energy": 1})
    gain, offset = torch.arange(1.0, 7.0), torch.tensor([0.1, 0.2, 0.3, 0.0, 0.0, 0.0])
    correction.set("uvwFI", gain=gain, offset=offset)
    ones = torch.ones(2, 3)
    torch.testing.assert_close(correction.values("uvwFI", ones)[1], torch.tensor([1.1, 2.2, 3.3]))
    torch.testing.assert_close(correction.errors("uvwFI", ones)[0], torch.tensor([4.0, 5.0, 6.0]))
    assert correction.values("energy", torch.ones(2, 1)).tolist() == [[1.0], [1.0]]


def test_picoseconds_survive_single_precision() -> None:
    correction = OutputCorrection({"timing": 1})
    correction.set("timing", gain=torch.ones(1), offset=torch.tensor([-3e-12], dtype=torch.float64))
    assert correction.values("timing", torch.tensor([[1e-9]])).item() == pytest.approx(0.997e-9, rel=1e-5)


def test_a_correction_travels_with_the_weights_and_is_not_learnt(tiny, normalization) -> None:
    config = RegressorModelConfig(**tiny)
    model, other = (Regressor(config, {"energy": 2}, normalization) for _ in range(2))
    model.correction.set("energy", gain=torch.tensor([0.99, 1.2]), offset=torch.zeros(2))
    other.load_state_dict(model.state_dict())
    assert other.correction.values("energy", torch.ones(1, 1)).item() == pytest.approx(0.99)
    assert not [name for name, _ in other.named_parameters() if name.startswith("correction")]
