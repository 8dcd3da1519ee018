"""Scores of the regression heads."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lib.data.batch import EventBatch
from lib.data.normalization import Normalization
from lib.tasks.config import TASK_NAMES, TasksConfig
from lib.tasks.regression import RegressionTask, tasks_to_balance


class FixedHeads(nn.Module):
    """Says what it is told, and remembers what it was given."""

    def __init__(self, task: RegressionTask, count: int, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.said = {target.name: torch.randn(count, target.head_width, generator=generator) for target in task.targets}
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor, valid: Tensor) -> dict[str, Tensor]:
        self.seen.append((x, valid))
        return self.said


def make_task(normalization: Normalization, dropout: float = 0.0, **tasks: dict[str, Any]) -> RegressionTask:
    return RegressionTask(TasksConfig.model_validate(tasks), normalization, dropout)


def all_targets(normalization: Normalization, dropout: float = 0.0) -> RegressionTask:
    return make_task(normalization, dropout, **{name: {} for name in TASK_NAMES})


def continuous_targets(normalization: Normalization) -> RegressionTask:
    return make_task(normalization, **{name: {} for name in TASK_NAMES if name != "n_gamma"})


def rows(batch: EventBatch, count: int) -> EventBatch:
    truth = {name: value[:count] for name, value in batch.truth.items()}
    tensors = {name: getattr(batch, name)[:count] for name in ("x", "valid", "run", "event", "weight")}
    return replace(batch, truth=truth, **tensors)


def test_the_loss_is_the_weighted_sum_of_the_targets(normalization, make_batch) -> None:
    task = make_task(normalization, energy={"weight": 2.0, "loss_fn": "mse"}, timing={"weight": 0.5, "loss_fn": "l1"})
    batch = make_batch(6)
    model = FixedHeads(task, 6).eval()
    energy = (model.said["energy"] - (batch.truth["energyTruth"] - 0.0375) / 0.013).square().mean()
    time = (model.said["timing"] - batch.truth["timeTruth"] / 1.2e-8).abs().mean()
    output = task.step(model, batch)
    torch.testing.assert_close(output.loss, 2.0 * energy + 0.5 * time, rtol=1e-5, atol=0)
    sums = {name: total / count for name, (total, count) in output.sums.items()}
    torch.testing.assert_close(sums["loss"], output.loss, rtol=1e-6, atol=0)
    torch.testing.assert_close(sums["loss_energy"], energy, rtol=1e-5, atol=0)
    torch.testing.assert_close(sums["loss_timing"], time, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("name", "branch", "beta", "scales"),
    [
        ("angle", "emiAng", 2.0, (12.0, 35.0)),
        ("energy", "energyTruth", 1e-3, (0.013,)),
        ("timing", "timeTruth", 5e-10, (1.2e-8,)),
        ("uvwFI", "uvwTruth", 0.5, (14.0, 39.0, 5.0)),
    ],
)
def test_a_beta_in_the_unit_of_the_target_has_the_closed_form(
    normalization, make_batch, name: str, branch: str, beta: float, scales: tuple[float, ...]
) -> None:
    """Smooth L1 of the physical residual with a physical beta, divided by the scale of each component."""
    task = make_task(normalization, **{name: {"loss_beta": beta}})
    batch = make_batch(8)
    model = FixedHeads(task, 8).eval()
    physical = task.targets[0].to_physical(model.said[name]).double() - batch.truth[branch].double()
    # Some components below the bend, some above.
    physical[:3] *= 0.2 * beta / physical[:3].abs()
    size = physical.abs()
    expected = torch.where(size < beta, 0.5 * size**2 / beta, size - 0.5 * beta) / torch.tensor(scales).double()
    model.said[name] = task.targets[0].to_scaled((batch.truth[branch].double() + physical).float())
    # Truth near the centre keeps seven digits of itself, not of a small residual.
    torch.testing.assert_close(task.step(model, batch).loss.double(), expected.mean(), rtol=1e-3, atol=0)


def test_a_beta_for_the_logarithm_of_the_energy_counts_at_the_centre(normalization, make_batch) -> None:
    task = make_task(normalization, energy={"log_transform": True, "loss_beta": 0.00375})
    batch = make_batch(1)
    residual = 0.05 / 0.4
    beta = 0.1 / 0.4
    model = FixedHeads(task, 1).eval()
    model.said["energy"] = task.targets[0].to_scaled(batch.truth["energyTruth"]) + residual
    torch.testing.assert_close(task.step(model, batch).loss, torch.tensor(0.5 * residual**2 / beta), rtol=1e-4, atol=0)


def test_rows_of_weight_zero_change_neither_loss_nor_sums(normalization, make_batch) -> None:
    task = all_targets(normalization)
    padded = make_batch(6, padding=2)
    model = FixedHeads(task, 6).eval()
    with_padding = task.step(model, padded)
    model.said = {name: value[:4] for name, value in model.said.items()}
    without = task.step(model, rows(padded, 4))
    torch.testing.assert_close(with_padding.loss, without.loss, rtol=1e-6, atol=0)
    assert with_padding.sums.keys() == without.sums.keys()
    for name, (total, count) in without.sums.items():
        torch.testing.assert_close(with_padding.sums[name][0], total, rtol=1e-6, atol=0)
        assert with_padding.sums[name][1] == count == 4


def test_outputs_are_physical_and_detached(normalization, make_batch) -> None:
    task = continuous_targets(normalization)
    batch = make_batch(3)
    model = FixedHeads(task, 3).eval()
    model.said = {target.name: target.to_scaled(batch.truth[target.branch]).requires_grad_() for target in task.targets}
    output = task.step(model, batch)
    assert output.loss.requires_grad
    assert output.loss.item() < 1e-9
    for target in task.targets:
        said = output.outputs[target.name]
        assert not said.requires_grad
        # Rounding at the size of the scale.
        tolerance = 1e-6 * max(target.scale)
        torch.testing.assert_close(said, batch.truth[target.branch], rtol=1e-6, atol=tolerance)


def test_the_truth_that_is_asked_for_is_that_of_the_targets(normalization) -> None:
    assert make_task(normalization, timing={}, angle={}).truth_branches == ["emiAng", "timeTruth"]


@pytest.mark.parametrize("rate", [0.05, 0.4])
def test_channels_drop_out_in_training_at_the_stated_rate_and_look_dead(normalization, make_batch, rate: float) -> None:
    task = all_targets(normalization, dropout=rate)
    batch = make_batch(8)
    model = FixedHeads(task, 8).train()
    torch.manual_seed(0)
    task.step(model, batch)
    x, valid = model.seen[0]
    lost = (batch.valid[..., 0] & ~valid[..., 0])[batch.valid[..., 0]].double()
    # Five standard deviations of a binomial share.
    assert abs(lost.mean().item() - rate) < 5 * (rate * (1 - rate) / len(lost)) ** 0.5
    dropped = batch.valid[..., 0] & ~valid[..., 0]
    assert not valid[dropped].any()
    assert (x[dropped] == torch.tensor([-0.5, -2.0])).all()
    kept = valid[..., 0]
    assert torch.equal(x[kept], batch.x[kept])
    assert torch.equal(valid[kept], batch.valid[kept])


def test_a_sensor_drops_out_of_both_channels_at_once(normalization, make_batch) -> None:
    task = all_targets(normalization, dropout=0.3)
    batch = make_batch(4)
    model = FixedHeads(task, 4).train()
    task.step(model, batch)
    valid = model.seen[0][1]
    has_time = batch.valid[..., 1]
    assert torch.equal(valid[..., 0][has_time], valid[..., 1][has_time])


def test_no_channel_drops_out_in_validation_or_at_rate_zero(normalization, make_batch) -> None:
    batch = make_batch(2)
    for rate, training in ((0.5, False), (0.0, True)):
        task = all_targets(normalization, dropout=rate)
        model = FixedHeads(task, 2).train(training)
        task.step(model, batch)
        assert torch.equal(model.seen[0][0], batch.x)
        assert torch.equal(model.seen[0][1], batch.valid)


def test_the_batch_itself_stays_as_it_was(normalization, make_batch) -> None:
    batch = make_batch(2)
    x, valid = batch.x.clone(), batch.valid.clone()
    task = all_targets(normalization, dropout=0.5)
    task.step(FixedHeads(task, 2).train(), batch)
    assert torch.equal(batch.x, x)
    assert torch.equal(batch.valid, valid)


def test_predicted_errors_are_among_the_outputs(normalization, make_batch) -> None:
    task = make_task(normalization, energy={"loss_fn": "gaussian_nll"}, uvwFI={"loss_fn": "laplace_nll"}, timing={})
    model = FixedHeads(task, 3).eval()
    outputs = task.step(model, make_batch(3)).outputs
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "energy": (3, 1), "timing": (3, 1), "uvwFI": (3, 3), "energy_sigma": (3, 1), "uvwFI_sigma": (3, 3),
    }  # fmt: skip
    assert (outputs["uvwFI_sigma"] > 0).all()


def test_learnt_weights_are_those_of_the_sizes_of_the_losses(normalization, make_batch) -> None:
    """At s = log(loss) the balanced loss of a task is 1 + s, and its gradient along s is zero."""
    task = make_task(normalization, energy={"weight": 2.0}, timing={"loss_fn": "gaussian_nll"})
    batch = make_batch(4)
    model = FixedHeads(task, 4).eval()
    plain = {name: (total / count) for name, (total, count) in task.step(model, batch).sums.items()}
    log_size = plain["loss_energy"].log().detach().requires_grad_()
    model.said["log_size_energy"] = log_size
    output = task.step(model, batch)
    torch.testing.assert_close(output.loss, 2.0 * (1.0 + log_size) + plain["loss_timing"], rtol=1e-5, atol=0)
    output.loss.backward()
    assert abs(log_size.grad.item()) < 1e-5
    total, count = output.sums["loss_weight_energy"]
    torch.testing.assert_close(total / count, 2.0 / plain["loss_energy"], rtol=1e-5, atol=0)
    assert "loss_weight_timing" not in output.sums


def test_likelihoods_keep_their_own_scale() -> None:
    tasks = {"energy": {}, "timing": {"loss_fn": "laplace_nll"}, "uvwFI": {"loss_fn": "gaussian_nll"}, "n_gamma": {}}
    assert tasks_to_balance(TasksConfig.model_validate(tasks)) == ["energy", "n_gamma"]


def test_events_are_mirrored_in_training_alone_and_with_their_truth(normalization, make_batch) -> None:
    tasks = TasksConfig.model_validate({"uvwFI": {}})
    task = RegressionTask(tasks, normalization, 0.0, reflect=True)
    batch = make_batch(16)
    assert task.prepare(batch, training=False).batch is batch
    torch.manual_seed(1)
    mirrored = task.prepare(batch, training=True).batch
    signs = mirrored.truth["uvwTruth"] / batch.truth["uvwTruth"]
    assert {tuple(row) for row in signs.tolist()} == {(u, v, 1.0) for u in (-1.0, 1.0) for v in (-1.0, 1.0)}
    moved = (mirrored.x != batch.x).any(dim=2).any(dim=1)
    assert torch.equal(moved, (signs < 0).any(dim=1))
