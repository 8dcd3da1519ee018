"""What a model must be better than."""

from dataclasses import replace

import pytest
import torch

from lib.data.batch import EventBatch
from lib.tasks.config import TaskConfig, TasksConfig
from lib.tasks.constant_predictor import TruthMean, VisibleMean
from lib.tasks.targets import enabled_targets
from lib.training.protocol import StepOutput
from tests.tasks.conftest import MakeBatch

TARGETS = enabled_targets(TasksConfig(energy=TaskConfig(), uvwFI=TaskConfig()))


def said(**outputs: torch.Tensor) -> StepOutput:
    return StepOutput(torch.tensor(0.0), {}, outputs)


def truth_of(batch: EventBatch) -> dict[str, torch.Tensor]:
    return {target.name: batch.truth[target.branch] for target in TARGETS}


def compare(batches: list[EventBatch], outputs: list[StepOutput]) -> dict[str, float]:
    constant = TruthMean(TARGETS)
    for batch, output in zip(batches, outputs, strict=True):
        constant.add(batch, output)
    return constant.ratios()


def test_the_mean_of_the_truth_is_as_good_as_itself_over_all_batches(make_batch: MakeBatch) -> None:
    batches = [make_batch(4, seed=1), make_batch(6, seed=2, padding=2)]
    real = [batch.weight > 0 for batch in batches]
    means = {
        target.name: torch.cat(
            [batch.truth[target.branch][rows] for batch, rows in zip(batches, real, strict=True)]
        ).mean(dim=0)
        for target in TARGETS
    }
    outputs = [said(**{name: mean.expand(len(b.x), -1) for name, mean in means.items()}) for b in batches]
    # Means of eight numbers in float32.
    assert compare(batches, outputs) == pytest.approx({"energy": 1.0, "uvwFI": 1.0}, rel=1e-5)


def test_a_perfect_model_has_no_error_and_each_component_counts_alike(make_batch: MakeBatch) -> None:
    batch = make_batch(8)
    truth = truth_of(batch)
    assert compare([batch], [said(**truth)]) == {"energy": 0.0, "uvwFI": 0.0}
    # One of three components is predicted by its mean.
    spoilt = truth["uvwFI"].clone()
    spoilt[:, 1] = spoilt[:, 1].mean()
    assert compare([batch], [said(energy=truth["energy"], uvwFI=spoilt)])["uvwFI"] == pytest.approx(1 / 3)


def test_a_truth_that_never_changes_has_no_ratio(make_batch: MakeBatch) -> None:
    batch = make_batch(4)
    fixed = replace(batch, truth={**batch.truth, "energyTruth": torch.full((4, 1), 0.05)})
    assert set(compare([fixed], [said(**truth_of(fixed))])) == {"uvwFI"}


def test_shares_of_classes_are_the_constant_of_probabilities(make_batch: MakeBatch) -> None:
    targets = enabled_targets(TasksConfig.model_validate({"n_gamma": {}}))
    batch = make_batch(4)
    batch = replace(batch, truth={targets[0].branch: torch.tensor([[0.0], [1.0], [1.0], [1.0]])})
    constant = TruthMean(targets)
    shares = torch.tensor([0.25, 0.75, 0.0, 0.0, 0.0]).expand(4, -1)
    constant.add(batch, said(n_gamma=shares))
    assert constant.ratios() == {"n_gamma": 1.0}


def test_hidden_sensors_are_compared_with_the_mean_of_the_visible_ones(make_batch: MakeBatch) -> None:
    batch = make_batch(3, padding=1)
    hidden = torch.rand(3, 4760, generator=torch.Generator().manual_seed(3)) < 0.3
    visible = batch.valid & ~hidden[..., None]
    mean = torch.stack(
        [torch.stack([batch.x[e, visible[e, :, c], c].mean() for c in range(2)]).expand(4760, 2) for e in range(3)]
    )
    constant = VisibleMean()
    constant.add(batch, said(prediction=mean, hidden=hidden))
    # Sums over thousands of sensors in float32.
    assert constant.ratios() == pytest.approx({"npho": 1.0, "time": 1.0}, rel=1e-4)
    halfway = (mean + batch.x) / 2
    halfway[2] = 1e9
    constant.add(batch, said(prediction=halfway[..., :1], hidden=hidden))
    assert constant.ratios() == pytest.approx({"npho": 0.5}, rel=1e-4)
    assert constant.ratios() == {}
