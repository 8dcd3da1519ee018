"""What stands around the network must bring raw readings in and physical quantities out."""

import copy
import math

import pytest
import torch

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.export.physical_regressor import PhysicalRegressor
from lib.models.config import RegressorModelConfig
from lib.models.output_correction import NUM_NODES
from lib.models.regressor import Regressor
from lib.tasks.config import TaskConfig, TasksConfig
from lib.tasks.targets import Target, enabled_targets, head_scales


@pytest.fixture(scope="module")
def targets() -> list[Target]:
    task = TaskConfig()
    return enabled_targets(TasksConfig(angle=task, energy=task, timing=task, uvwFI=task))


@pytest.fixture(scope="module")
def normalization() -> Normalization:
    return Normalization.from_config(NormalizationConfig(npho_scheme="sqrt"))


@pytest.fixture(scope="module")
def regressor(targets: list[Target], normalization: Normalization) -> Regressor:
    torch.manual_seed(0)
    config = RegressorModelConfig(
        stage_dims=(8,), stage_depths=(1,), encoder_dim=16, num_heads=2, dim_feedforward=16, num_fusion_layers=0
    )
    widths = {target.name: target.width for target in targets}
    return Regressor(config, widths, normalization, scales=head_scales(targets)).eval()


def test_it_is_the_regressor_on_normalized_readings(
    regressor: Regressor, normalization: Normalization, targets: list[Target]
) -> None:
    npho, time = 500 * torch.rand(3, 4760), 1e-8 * torch.randn(3, 4760)
    npho[0, :100] = 1e10
    outputs = PhysicalRegressor(regressor, normalization, targets)(npho, time)
    scaled = regressor(*normalization.apply(npho, time))
    for target, output in zip(targets, outputs, strict=True):
        assert output.shape == (3, target.width)
        torch.testing.assert_close(target.to_scaled(output), scaled[target.name], rtol=0, atol=1e-5)


def test_outputs_follow_the_order_of_the_targets_asked_for(
    regressor: Regressor, normalization: Normalization, targets: list[Target]
) -> None:
    readings = torch.rand(2, 4760), torch.zeros(2, 4760)
    whole = PhysicalRegressor(regressor, normalization, targets)(*readings)
    chosen = PhysicalRegressor(regressor, normalization, [targets[3], targets[1]])(*readings)
    torch.testing.assert_close(chosen, (whole[3], whole[1]))


def test_a_head_without_anchor_that_says_zero_means_the_centre(
    regressor: Regressor, normalization: Normalization, targets: list[Target]
) -> None:
    silent = copy.deepcopy(regressor)
    silent.scales = {}
    for head in silent.heads.values():
        torch.nn.init.zeros_(head.out.weight)
    outputs = PhysicalRegressor(silent, normalization, targets)(torch.rand(1, 4760), torch.zeros(1, 4760))
    for target, output in zip(targets, outputs, strict=True):
        assert output[0].tolist() == pytest.approx(target.centre)


def test_the_correction_of_the_validation_is_applied(
    regressor: Regressor, normalization: Normalization, targets: list[Target]
) -> None:
    corrected = copy.deepcopy(regressor)
    still, shift = torch.zeros(3, 3), torch.tensor([[0.0, 0.1, -0.2], [0.0] * 3, [0.0] * 3])
    corrected.correction.set("uvwFI", log_gain=still, offset=shift, log_error_gain=torch.zeros(NUM_NODES, 3))
    # Above its range, where the linear term counts fully.
    corrected.correction.set_energies(-1e3, -1e2, torch.linspace(-1e3, -1e2, NUM_NODES))
    rising, zeros = torch.tensor([[0.0], [-0.01], [0.0]]), torch.zeros(NUM_NODES, 1)
    corrected.correction.set("energy", log_gain=rising, offset=torch.zeros(3, 1), log_error_gain=zeros)
    readings = torch.rand(2, 4760), torch.zeros(2, 4760)
    before, after = (PhysicalRegressor(model, normalization, targets)(*readings) for model in (regressor, corrected))
    torch.testing.assert_close(after[3] - before[3], torch.tensor([[0.0, 0.1, -0.2]]).repeat(2, 1), rtol=0, atol=1e-5)
    torch.testing.assert_close(after[1], math.exp(-0.01) * before[1])
    torch.testing.assert_close((after[0], after[2]), (before[0], before[2]))
