"""Correcting the outputs of a regressor by what the validation shows."""

import math

import pytest
import torch
from torch import Tensor

from lib.data.batch import EventBatch
from lib.evaluation.correction_fit import FEWEST_EVENTS, CorrectionFit
from lib.models.output_correction import OutputCorrection
from lib.tasks.config import TasksConfig
from lib.tasks.targets import enabled_targets
from lib.training.protocol import StepOutput

TARGETS = enabled_targets(
    TasksConfig.model_validate({
        "energy": {"loss_fn": "gaussian_nll"}, "uvwFI": {"loss_fn": "laplace_nll"}, "timing": {}, "n_gamma": {},
        "angleVec": {"loss_fn": "gaussian_nll"},
    })
)  # fmt: skip
NUM_EVENTS = 20_000
SIGMA = {"energy": 0.013, "uvwFI": 0.25}


def validated(seed: int, num_events: int = NUM_EVENTS) -> tuple[EventBatch, dict[str, Tensor]]:
    """Return events and what a regressor says of them.

    Energies are 1 % high with a leakage tail below, depths 0.2 mm low, times 5 ps late; errors of energies are said to
    be half, and those of positions twice, what they are. The last row only fills up the batch.
    """
    generator = torch.Generator().manual_seed(seed)
    energy = 0.015 + 0.045 * torch.rand(num_events, 1, generator=generator)
    noise = torch.randn(num_events, 6, generator=generator)
    leaked = 0.05 * (torch.rand(num_events, 1, generator=generator) < 0.2) * torch.rand(num_events, 1)
    position = torch.zeros(num_events, 3)
    vector = torch.tensor([[-1.0, 0.0, 0.0]]).repeat(num_events, 1)
    outputs = {
        "energy": energy * (1.01 + SIGMA["energy"] * noise[:, :1] - leaked),
        "energy_sigma": 0.5 * SIGMA["energy"] * energy,
        "uvwFI": SIGMA["uvwFI"] * noise[:, 1:4] - torch.tensor([0.0, 0.0, 0.02]),
        "uvwFI_sigma": torch.full((num_events, 3), 2.0 * SIGMA["uvwFI"]),
        "timing": 6e-11 * noise[:, 4:5] + 5e-12,
        "n_gamma": torch.eye(5)[torch.zeros(num_events, dtype=torch.long)],
        "angleVec": vector + 0.3,
        "angleVec_sigma": vector,
    }
    truth = {"energyTruth": energy, "uvwTruth": position, "timeTruth": torch.zeros(num_events, 1)}
    truth |= {"nGamma": torch.ones(num_events, 1), "emiVec": vector}
    weight = torch.ones(num_events)
    weight[-1] = 0.0
    for values in outputs.values():
        values[-1] = 1e6
    return EventBatch(torch.empty(num_events, 0), torch.empty(num_events, 0), truth, weight, weight, weight, 0), outputs


def corrected(correction: OutputCorrection, outputs: dict[str, Tensor], name: str) -> Tensor:
    """Return corrected values, or errors for a name that ends in _sigma, without the row that fills up."""
    energy = next(target for target in TARGETS if target.name == "energy")
    terms = correction.terms({"energy": energy.to_scaled(outputs["energy"][:-1])})
    task, said = name.removesuffix("_sigma"), outputs[name][:-1]
    return correction.values(task, said, terms) if task == name else correction.errors(task, said, terms)


def at(correction: OutputCorrection, name: str, said: Tensor, energy: float = 0.0) -> Tensor:
    """Return values that were said at one energy, as its target scales it, corrected."""
    return correction.values(name, said, correction.terms({"energy": torch.full((len(said), 1), energy)}))


def errors_at(correction: OutputCorrection, name: str, said: Tensor, energy: float = 0.0) -> Tensor:
    return correction.errors(name, said, correction.terms({"energy": torch.full((len(said), 1), energy)}))


def fitted(batch: EventBatch, outputs: dict[str, Tensor]) -> OutputCorrection:
    correction = OutputCorrection({target.name: target.head_width for target in TARGETS})
    observer = CorrectionFit(TARGETS, correction)
    observer.validation_batch(batch, StepOutput(torch.zeros(()), {}, outputs))
    assert observer.validation_end(0) == {}
    return correction


def test_the_core_of_other_events_is_centred_after_it() -> None:
    correction = fitted(*validated(1))
    batch, outputs = validated(2)
    truth = {name: values[:-1] for name, values in batch.truth.items()}
    found = {name: corrected(correction, outputs, name) for name in ("energy", "uvwFI", "timing")}
    relative = found["energy"] / truth["energyTruth"] - 1.0
    # The tail of a fifth of the events pulls the window of the core by a tenth of its sigma.
    assert abs(relative.median().item()) < 0.2 * SIGMA["energy"]
    # 20 000 events know the mean of a Gaussian to sigma / 141, of which four are allowed in a difference of two.
    assert found["uvwFI"].mean(dim=0).abs().max().item() < 5.6 * SIGMA["uvwFI"] / 141
    assert abs(found["timing"].mean().item()) < 5.6 * 6e-11 / 141


def test_corrected_errors_hold_the_share_that_they_should() -> None:
    correction = fitted(*validated(1))
    batch, outputs = validated(2)
    for name, branch in (("energy", "energyTruth"), ("uvwFI", "uvwTruth")):
        residual = corrected(correction, outputs, name) - batch.truth[branch][:-1]
        errors = corrected(correction, outputs, name + "_sigma")
        coverage = (residual.abs() <= errors).double().mean(dim=0)
        # Both samples know a share of 0.68 to 0.0033; four of the two together.
        torch.testing.assert_close(coverage, torch.full_like(coverage, 0.6827), atol=0.019, rtol=0)


def test_energies_are_moved_by_a_factor_and_positions_by_a_length() -> None:
    correction = fitted(*validated(1))
    assert at(correction, "energy", torch.tensor([[0.0], [1.0]])).flatten().tolist() == [
        0.0,
        pytest.approx(1 / 1.01, rel=3e-3),
    ]
    moved = at(correction, "uvwFI", torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))[:, 2].tolist()
    assert moved == [pytest.approx(0.02, abs=0.008), pytest.approx(1.02, abs=0.008)]


def test_classes_and_vectors_stay_as_they_are() -> None:
    correction = fitted(*validated(1))
    assert at(correction, "n_gamma", torch.ones(1, 5)).tolist() == [[1.0] * 5]
    assert at(correction, "angleVec", torch.ones(1, 3)).tolist() == [[1.0] * 3]
    assert errors_at(correction, "angleVec", torch.ones(1, 3)).tolist() == [[1.0] * 3]


def test_too_few_events_correct_nothing() -> None:
    correction = fitted(*validated(1, FEWEST_EVENTS))
    assert errors_at(correction, "uvwFI", torch.ones(1, 3)).tolist() == [[1.0] * 3]


def test_events_of_unknown_truth_are_left_out() -> None:
    batch, outputs = validated(1)
    batch.truth["timeTruth"][: NUM_EVENTS // 2] = 1e10
    batch.truth["uvwTruth"][:] = 1e10
    correction = fitted(batch, outputs)
    assert at(correction, "timing", torch.zeros(1, 1)).item() == pytest.approx(-5e-12, abs=2.5e-12)
    assert at(correction, "uvwFI", torch.zeros(1, 3)).tolist() == [[0.0] * 3]


def test_pedestals_without_energy_and_errors_of_zero_are_left_out() -> None:
    batch, outputs = validated(1)
    batch.truth["energyTruth"][::3] = 0.0
    outputs["uvwFI_sigma"][::3] = 0.0
    correction = fitted(batch, outputs)
    assert at(correction, "energy", torch.ones(1, 1)).item() == pytest.approx(1 / 1.01, rel=3e-3)
    # Said twice as large as they are; two thirds of the events know it to 0.7 %.
    assert errors_at(correction, "uvwFI", torch.ones(1, 3))[0].tolist() == [pytest.approx(0.5, rel=0.03)] * 3


def test_energies_that_are_not_learnt_keep_their_factor() -> None:
    batch, outputs = validated(1)
    outputs["energy"] *= 1e-6
    assert at(fitted(batch, outputs), "energy", torch.ones(1, 1)).item() == 1.0


def test_each_validation_is_fitted_by_itself() -> None:
    correction = OutputCorrection({target.name: target.head_width for target in TARGETS})
    observer = CorrectionFit(TARGETS, correction)
    for shift in (1.0, 0.0):
        batch, outputs = validated(1)
        outputs["uvwFI"] += shift
        observer.validation_batch(batch, StepOutput(torch.zeros(()), {}, outputs))
        observer.validation_end(0)
    assert abs(at(correction, "uvwFI", torch.zeros(1, 3))[0, 0].item()) < 0.01
    observer.validation_end(1)
    assert abs(at(correction, "uvwFI", torch.zeros(1, 3))[0, 0].item()) < 0.01


def test_bias_and_errors_are_followed_over_the_spectrum() -> None:
    batch, outputs = validated(1)
    energy = batch.truth["energyTruth"]
    place = (energy - 0.0375) / 0.0225  # -1 at 15 MeV, 1 at 60 MeV
    outputs["energy"] = energy * torch.exp(0.02 * place**2 + SIGMA["energy"] * torch.randn(energy.shape))
    outputs["uvwFI"] += 0.1 * place
    outputs["uvwFI_sigma"] *= torch.exp(-0.3 * place)
    outputs["timing"] -= 2e-11 * place
    correction = fitted(batch, outputs)
    for where in (-0.9, 0.0, 0.68, 0.9):
        scaled = where * 0.0225 / 0.013
        assert at(correction, "energy", torch.ones(1, 1), scaled).item() == pytest.approx(1 - 0.02 * where**2, abs=2e-3)
        shift = at(correction, "uvwFI", torch.zeros(1, 3), scaled)[0, 0].item()
        # Known to 0.25 / 141 on average and twice as badly at the ends; four of these.
        assert shift == pytest.approx(-0.1 * where, abs=0.015)
        time = at(correction, "timing", torch.zeros(1, 1), scaled).item()
        assert time == pytest.approx(2e-11 * where - 5e-12, abs=4e-12)
        factor = errors_at(correction, "uvwFI", torch.ones(1, 3), scaled)[0, 0].item()
        assert factor == pytest.approx(0.5 * math.exp(0.3 * where), rel=0.04)


def test_predicted_errors_are_followed_over_a_step_at_the_end_of_the_spectrum() -> None:
    batch, outputs = validated(1)
    at_end = (batch.truth["energyTruth"] > 0.0565).expand(-1, 3)
    outputs["uvwFI_sigma"] = torch.where(at_end, outputs["uvwFI_sigma"] / 2, outputs["uvwFI_sigma"])
    outputs["energy"][:-1] = batch.truth["energyTruth"][:-1]
    correction = fitted(batch, outputs)
    # A bin is 2.8 MeV wide and holds 1250 events, which know the factor to 2.2 %; four of these.
    for mev, expected in ((20.0, 0.5), (45.0, 0.5), (52.83, 0.5), (59.5, 1.0)):
        factor = errors_at(correction, "uvwFI", torch.ones(1, 3), (mev - 37.5) / 13.0)[0].tolist()
        assert factor == [pytest.approx(expected, rel=0.09)] * 3, mev


def test_a_sample_of_one_energy_beside_the_spectrum_decides_there() -> None:
    batch, outputs = validated(1)
    line = torch.arange(NUM_EVENTS) % 2 == 0
    batch.truth["energyTruth"][line] = 0.0528
    noise = torch.randn(NUM_EVENTS, 1, generator=torch.Generator().manual_seed(3))
    outputs["energy"] = batch.truth["energyTruth"] * (1.0 + SIGMA["energy"] * noise)
    outputs["uvwFI_sigma"][line] *= 0.8
    correction = fitted(batch, outputs)
    # 10 000 events of the line and 600 of the spectrum around it.
    factor = errors_at(correction, "uvwFI", torch.ones(1, 3), (52.8 - 37.5) / 13.0)[0].tolist()
    assert factor == [pytest.approx(0.5 / 0.8, rel=0.04)] * 3


def test_nodes_with_few_known_truths_take_what_lies_between_others() -> None:
    batch, outputs = validated(1)
    middle = (batch.truth["energyTruth"] - 0.0375).abs() < 0.004
    batch.truth["uvwTruth"][middle.expand(-1, 3)] = 1e10
    factor = errors_at(fitted(batch, outputs), "uvwFI", torch.ones(1, 3))[0].tolist()
    assert factor == [pytest.approx(0.5, rel=0.08)] * 3


def test_a_single_energy_leaves_constants() -> None:
    batch, outputs = validated(1)
    batch.truth["energyTruth"][:] = 0.0528
    outputs["energy"] = 0.0528 * (1.01 + SIGMA["energy"] * torch.randn(NUM_EVENTS + 0, 1))
    correction = fitted(batch, outputs)
    factors = [at(correction, "energy", torch.ones(1, 1), scaled).item() for scaled in (-5.0, 1.18, 5.0)]
    assert factors == [pytest.approx(1 / 1.01, rel=1e-3)] * 3


def test_without_the_energy_among_the_targets_corrections_are_constants() -> None:
    batch, outputs = validated(1)
    targets = [target for target in TARGETS if target.name == "timing"]
    correction = OutputCorrection({"timing": 1})
    observer = CorrectionFit(targets, correction)
    observer.validation_batch(batch, StepOutput(torch.zeros(()), {}, {"timing": outputs["timing"]}))
    observer.validation_end(0)
    terms = correction.terms({"timing": torch.zeros(1, 1)})
    assert correction.values("timing", torch.zeros(1, 1), terms).item() == pytest.approx(-5e-12, abs=2.5e-12)


def test_errors_that_hold_exactly_nothing_are_left_alone() -> None:
    batch, outputs = validated(1)
    batch.truth["uvwTruth"][:] = 0.0
    outputs["uvwFI"][:] = 0.0
    assert errors_at(fitted(batch, outputs), "uvwFI", torch.ones(1, 3)).tolist() == [[1.0] * 3]
