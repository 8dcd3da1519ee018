"""Gain and offset of physical outputs."""

import pytest
import torch

from lib.models.config import RegressorModelConfig
from lib.models.output_correction import OutputCorrection
from lib.models.regressor import Regressor


def constant(*values: float) -> torch.Tensor:
    """Return coefficients that do not go with the energy, shape (3, numbers)."""
    return torch.tensor([values, [0.0] * len(values), [0.0] * len(values)], dtype=torch.float64)


def powers(correction: OutputCorrection, *energies: float) -> torch.Tensor:
    return correction.powers({"energy": torch.tensor(energies)[:, None]})


def test_a_fresh_correction_changes_nothing() -> None:
    correction = OutputCorrection({"uvwFI": 6})
    said = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    terms = correction.powers({"uvwFI": torch.ones(5, 6)})
    assert torch.equal(correction.values("uvwFI", said, terms), said)
    assert torch.equal(correction.errors("uvwFI", said, terms), said)


def test_values_take_the_first_columns_and_errors_the_last() -> None:
    correction = OutputCorrection({"uvwFI": 6, "energy": 1})
    gain = torch.arange(1.0, 7.0).log().tolist()
    correction.set("uvwFI", log_gain=constant(*gain), offset=constant(0.1, 0.2, 0.3, 0.0, 0.0, 0.0))
    ones, terms = torch.ones(2, 3), powers(correction, -3.0, 0.5)
    torch.testing.assert_close(correction.values("uvwFI", ones, terms)[1], torch.tensor([1.1, 2.2, 3.3]))
    torch.testing.assert_close(correction.errors("uvwFI", ones, terms)[0], torch.tensor([4.0, 5.0, 6.0]))
    assert correction.values("energy", torch.ones(2, 1), terms).tolist() == [[1.0], [1.0]]


def test_a_correction_is_a_parabola_between_the_energies_and_constant_beyond() -> None:
    correction = OutputCorrection({"timing": 1, "energy": 1})
    correction.set_energies(-2.0, 1.0)
    correction.set("timing", log_gain=constant(0.0), offset=torch.tensor([[1.0], [2.0], [3.0]]))
    # From -2 to 1 means from -1 to 1: 1 + 2 t + 3 t^2.
    expected = {-9.0: 2.0, -2.0: 2.0, -0.5: 1.0, 0.25: 2.75, 1.0: 6.0, 7.0: 6.0}
    found = correction.values("timing", torch.zeros(6, 1), powers(correction, *expected))
    torch.testing.assert_close(found[:, 0], torch.tensor(list(expected.values())))


def test_without_an_energy_the_constant_terms_are_taken() -> None:
    correction = OutputCorrection({"timing": 2})
    every = torch.tensor([[0.1, 0.2], [5.0, 5.0], [5.0, 5.0]])
    correction.set("timing", log_gain=every, offset=torch.zeros(3, 2))
    terms = correction.powers({"timing": torch.rand(4, 2)})
    torch.testing.assert_close(correction.values("timing", torch.ones(4, 1), terms), torch.full((4, 1), 0.1).exp())
    torch.testing.assert_close(correction.errors("timing", torch.ones(4, 1), terms), torch.full((4, 1), 0.2).exp())


def test_picoseconds_survive_single_precision_and_autocast() -> None:
    correction = OutputCorrection({"timing": 1})
    correction.set("timing", log_gain=constant(0.0), offset=constant(-3e-12))
    said = torch.tensor([[1e-9]])
    with torch.autocast("cpu", torch.bfloat16):
        found = correction.values("timing", said, correction.powers({"timing": said}))
    assert found.item() == pytest.approx(0.997e-9, rel=1e-5)


def test_a_correction_travels_with_the_weights_and_is_not_learnt(tiny, normalization) -> None:
    config = RegressorModelConfig(**tiny)
    model, other = (Regressor(config, {"energy": 2}, normalization) for _ in range(2))
    model.correction.set("energy", log_gain=constant(-0.01, 0.2), offset=torch.zeros(3, 2))
    model.correction.set_energies(-3.0, 3.0)
    other.load_state_dict(model.state_dict())
    terms = powers(other.correction, 1.5)
    assert terms.tolist() == [[1.0, 0.5, 0.25]]
    assert other.correction.values("energy", torch.ones(1, 1), terms).item() == pytest.approx(0.99005, abs=1e-5)
    assert not [name for name, _ in other.named_parameters() if name.startswith("correction")]
