"""Gain and offset of physical outputs."""

import pytest
import torch

from lib.models.config import RegressorModelConfig
from lib.models.output_correction import NUM_NODES, EnergyTerms, OutputCorrection
from lib.models.regressor import Regressor


def constant(*values: float) -> torch.Tensor:
    """Return coefficients that do not go with the energy, shape (3, numbers)."""
    return torch.tensor([values, [0.0] * len(values), [0.0] * len(values)], dtype=torch.float64)


def at_nodes(*values: float) -> torch.Tensor:
    """Return gains of errors that are the same at all nodes, shape (16, numbers)."""
    return torch.tensor([values]).repeat(NUM_NODES, 1)


def terms_at(correction: OutputCorrection, *energies: float) -> EnergyTerms:
    return correction.terms({"energy": torch.tensor(energies)[:, None]})


def test_a_fresh_correction_changes_nothing() -> None:
    correction = OutputCorrection({"uvwFI": 6})
    said = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    terms = correction.terms({"uvwFI": torch.ones(5, 6)})
    assert torch.equal(correction.values("uvwFI", said, terms), said)
    assert torch.equal(correction.errors("uvwFI", said, terms), said)


def test_values_take_the_first_columns_and_errors_the_last() -> None:
    correction = OutputCorrection({"uvwFI": 6, "energy": 1})
    gain = torch.arange(1.0, 7.0).log().tolist()
    offset = constant(0.1, 0.2, 0.3, 0.0, 0.0, 0.0)
    correction.set("uvwFI", log_gain=constant(*gain), offset=offset, log_error_gain=at_nodes(*gain))
    ones, terms = torch.ones(2, 3), terms_at(correction, -3.0, 0.5)
    torch.testing.assert_close(correction.values("uvwFI", ones, terms)[1], torch.tensor([1.1, 2.2, 3.3]))
    torch.testing.assert_close(correction.errors("uvwFI", ones, terms)[0], torch.tensor([4.0, 5.0, 6.0]))
    assert correction.values("energy", torch.ones(2, 1), terms).tolist() == [[1.0], [1.0]]


def test_a_correction_is_a_parabola_between_the_energies_and_constant_beyond() -> None:
    correction = OutputCorrection({"timing": 1, "energy": 1})
    correction.set_energies(-2.0, 1.0, torch.linspace(-2.0, 1.0, NUM_NODES))
    offset = torch.tensor([[1.0], [2.0], [3.0]])
    correction.set("timing", log_gain=constant(0.0), offset=offset, log_error_gain=at_nodes(0.0))
    # From -2 to 1 means from -1 to 1: 1 + 2 t + 3 t^2.
    expected = {-9.0: 2.0, -2.0: 2.0, -0.5: 1.0, 0.25: 2.75, 1.0: 6.0, 7.0: 6.0}
    found = correction.values("timing", torch.zeros(6, 1), terms_at(correction, *expected))
    torch.testing.assert_close(found[:, 0], torch.tensor(list(expected.values())))


def test_errors_follow_the_nodes_in_straight_lines_and_stay_beyond_them() -> None:
    correction = OutputCorrection({"timing": 2, "energy": 1})
    nodes = torch.arange(NUM_NODES, dtype=torch.float32)
    nodes[3:] += 4.0  # unevenly
    correction.set_energies(0.0, 1.0, nodes)
    gains = torch.linspace(0.0, 1.5, NUM_NODES)[:, None].repeat(1, 2)  # a tenth more at each
    zeros = torch.zeros(3, 2)
    correction.set("timing", log_gain=zeros, offset=zeros, log_error_gain=gains)
    expected = {-8.0: 0.0, 0.0: 0.0, 1.5: 0.15, 2.0: 0.2, 3.0: 0.22, 7.0: 0.3, 19.0: 1.5, 1e6: 1.5}
    found = correction.errors("timing", torch.ones(8, 1), terms_at(correction, *expected))
    torch.testing.assert_close(found[:, 0].log(), torch.tensor(list(expected.values())))


def test_without_an_energy_constants_are_taken() -> None:
    correction = OutputCorrection({"timing": 2})
    every = torch.tensor([[0.1, 0.2], [5.0, 5.0], [5.0, 5.0]])
    at_first = torch.full((NUM_NODES, 2), 5.0)
    at_first[0] = 0.2
    correction.set("timing", log_gain=every, offset=torch.zeros(3, 2), log_error_gain=at_first)
    terms = correction.terms({"timing": torch.rand(4, 2)})
    torch.testing.assert_close(correction.values("timing", torch.ones(4, 1), terms), torch.full((4, 1), 0.1).exp())
    torch.testing.assert_close(correction.errors("timing", torch.ones(4, 1), terms), torch.full((4, 1), 0.2).exp())


def test_picoseconds_survive_single_precision_and_autocast() -> None:
    correction = OutputCorrection({"timing": 1})
    correction.set("timing", log_gain=constant(0.0), offset=constant(-3e-12), log_error_gain=at_nodes(0.0))
    said = torch.tensor([[1e-9]])
    with torch.autocast("cpu", torch.bfloat16):
        found = correction.values("timing", said, correction.terms({"timing": said}))
    assert found.item() == pytest.approx(0.997e-9, rel=1e-5)


def test_a_correction_travels_with_the_weights_and_is_not_learnt(tiny, normalization) -> None:
    config = RegressorModelConfig(**tiny)
    model, other = (Regressor(config, {"energy": 2}, normalization) for _ in range(2))
    gain = constant(-0.01, 0.2)
    model.correction.set("energy", log_gain=gain, offset=torch.zeros(3, 2), log_error_gain=at_nodes(0.0, 0.2))
    model.correction.set_energies(-3.0, 3.0, torch.linspace(-3.0, 3.0, NUM_NODES))
    other.load_state_dict(model.state_dict())
    terms = terms_at(other.correction, 1.5)
    assert terms.powers.tolist() == [[1.0, 0.5, 0.25]]
    assert other.correction.values("energy", torch.ones(1, 1), terms).item() == pytest.approx(0.99005, abs=1e-5)
    assert not [name for name, _ in other.named_parameters() if name.startswith("correction")]
