"""Gradients, masks and dropout do not depend on how a batch is cut."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from lib.data.normalization import Normalization
from lib.models.config import InpainterModelConfig, MaeModelConfig, RegressorModelConfig
from lib.models.inpainter import Inpainter
from lib.models.mae import MaskedAutoencoder
from lib.models.regressor import Regressor
from lib.tasks.config import RegressorTrainingConfig, TaskConfig, TasksConfig
from lib.tasks.regression import RegressionTask
from lib.tasks.restoration import RestorationTask
from lib.tasks.restoration_config import RestorationTrainingConfig
from lib.training.batch_runner import BatchRunner
from lib.training.protocol import StepOutput
from lib.training.random_state import seed_step

from .conftest import MakeBatch

TASKS = TasksConfig(energy=TaskConfig(), uvwFI=TaskConfig(weight=0.5))


def assembled(kind: str, settings: Mapping[str, Any], normalization: Normalization) -> tuple[nn.Module, Any, Any]:
    """Return model, task and training section; every kind of randomness is switched on."""
    torch.manual_seed(3)
    if kind == "regressor":
        task = RegressionTask(TASKS, normalization, 0.2)
        model: nn.Module = Regressor(RegressorModelConfig(**settings), {"energy": 1, "uvwFI": 3}, normalization)
        return model, task, RegressorTrainingConfig(amp="none", channel_dropout_rate=0.2)
    training = RestorationTrainingConfig(amp="none")
    task = RestorationTask(0.4, 2, normalization, training)
    if kind == "mae":
        return MaskedAutoencoder(MaeModelConfig(**settings), normalization), task, training
    return Inpainter(InpainterModelConfig(**settings), normalization), task, training


@pytest.mark.parametrize("kind", ["regressor", "mae", "inpainter"])
def test_gradients_losses_and_draws_are_those_of_the_whole_batch(
    kind: str, tiny: dict[str, Any], normalization: Normalization, make_batch: MakeBatch
) -> None:
    model, task, config = assembled(kind, tiny | {"drop_path_rate": 0.4, "stage_depths": (1, 2)}, normalization)
    model.train()
    batch = make_batch(7, padding=1)
    results: list[tuple[StepOutput, torch.Tensor]] = []
    for micro_batch in (7, 3, 1):
        runner = BatchRunner(
            model,
            task,
            config.model_copy(update={"micro_batch": micro_batch, "grad_accum_steps": 2}),
            torch.device("cpu"),
        )

        def begin() -> None:
            seed_step(0, 11)
            model.zero_grad()

        window = runner.accumulate(iter([batch, replace(batch, seed=5)]), begin, 0)
        gradients = [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
        results.append((window.outputs[1], torch.cat(gradients).double()))
    whole, whole_gradient = results[0]
    for output, gradient in results[1:]:
        torch.testing.assert_close(output.loss, whole.loss, rtol=1e-6, atol=0)
        for name, (total, count) in whole.sums.items():
            torch.testing.assert_close(output.sums[name][0], total, rtol=1e-5, atol=1e-6)
            assert output.sums[name][1] == count
        # Sums of float32 in another order.
        assert (gradient - whole_gradient).norm() < 1e-6 * whole_gradient.norm()


def test_validation_sees_every_event_in_order(
    tiny: dict[str, Any], normalization: Normalization, make_batch: MakeBatch
) -> None:
    model, task, config = assembled("mae", tiny, normalization)
    model.eval()
    batch = make_batch(5)
    outputs = [
        BatchRunner(model, task, config.model_copy(update={"micro_batch": size}), torch.device("cpu")).evaluate(batch)
        for size in (5, 2)
    ]
    assert torch.equal(outputs[0].outputs["hidden"], outputs[1].outputs["hidden"])
    torch.testing.assert_close(outputs[0].outputs["prediction"], outputs[1].outputs["prediction"])
