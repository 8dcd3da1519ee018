"""Models out of checkpoints."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lib.data.normalization import Normalization
from lib.errors import CheckpointError, ConfigError
from lib.models.config import EncoderConfig, InpainterModelConfig, MaeModelConfig, RegressorModelConfig
from lib.models.inpainter import Inpainter
from lib.models.mae import MaskedAutoencoder
from lib.models.regressor import Regressor
from lib.tasks.config import TasksConfig
from lib.tasks.restore import load_trained
from lib.tasks.targets import enabled_targets, head_scales
from lib.training.saving.checkpoint import Checkpoint

TASKS = TasksConfig.model_validate({"energy": {"log_transform": True}, "uvwFI": {}, "timing": {"enabled": False}})


def perturbed(model: nn.Module, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: parameter.detach() + 0.1 * torch.randn(parameter.shape, generator=generator)
        for name, parameter in model.named_parameters()
    }


def checkpoint_of(
    kind: str, config: EncoderConfig, model: nn.Module, normalization: Normalization, average: dict[str, Tensor]
) -> Checkpoint:
    sections: dict[str, Any] = {"model": config.model_dump(mode="json"), "tasks": TASKS.model_dump(mode="json")}
    return Checkpoint(
        kind=kind,
        config=sections,
        about={"normalization": normalization.as_dict()},
        model=model.state_dict(),
        average=average,
        optimizer={},
        epochs_done=1,
        steps_done=8,
        schedule_start=0,
        best=0.5,
        run_key="k",
        metrics={},
    )


def make_regressor(normalization: Normalization, config: RegressorModelConfig) -> Regressor:
    widths = {target.name: target.head_width for target in enabled_targets(TASKS)}
    model = Regressor(config, widths, normalization, scales=head_scales(enabled_targets(TASKS)))
    model.load_state_dict(perturbed(model, 1), strict=False)
    return model.eval()


@pytest.mark.parametrize("outer_mode", ["finegrid", "split"])
def test_a_restored_regressor_says_exactly_the_same(
    tmp_path: Path, normalization, make_batch, tiny, outer_mode: str
) -> None:
    config = RegressorModelConfig(**tiny, hidden_dim=8, outer_mode=outer_mode)
    model = make_regressor(normalization, config)
    checkpoint_of("regressor", config, model, normalization, {}).save(tmp_path / "a.pth")
    trained = load_trained(tmp_path / "a.pth")
    assert isinstance(trained.model, Regressor)
    assert not trained.model.training
    assert trained.normalization == normalization
    assert trained.targets == enabled_targets(TASKS)
    batch = make_batch(2)
    with torch.no_grad():
        expected, got = model(batch.x, batch.valid), trained.model(batch.x, batch.valid)
    assert list(got) == ["energy", "uvwFI"]
    assert all(torch.equal(got[name], value) for name, value in expected.items())


def test_averaged_weights_go_before_trained_ones(tmp_path: Path, normalization, tiny) -> None:
    config = RegressorModelConfig(**tiny, hidden_dim=8)
    model = make_regressor(normalization, config)
    average = perturbed(model, 2)
    checkpoint_of("regressor", config, model, normalization, average).save(tmp_path / "a.pth")
    weights = load_trained(tmp_path / "a.pth").model.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in average.items())


def test_restorers_return_as_their_own_kind_without_targets(tmp_path: Path, normalization, make_batch, tiny) -> None:
    batch = make_batch(2)
    hidden = batch.valid[..., 0]
    mae_config = MaeModelConfig(**tiny, decoder_dim=4)
    inpainter_config = InpainterModelConfig(**tiny, hidden_dim=4, head_depth=1)
    models: list[tuple[str, EncoderConfig, nn.Module]] = [
        ("mae", mae_config, MaskedAutoencoder(mae_config, normalization).eval()),
        ("inpainter", inpainter_config, Inpainter(inpainter_config, normalization).eval()),
    ]
    for kind, config, model in models:
        checkpoint_of(kind, config, model, normalization, {}).save(tmp_path / f"{kind}.pth")
        trained = load_trained(tmp_path / f"{kind}.pth")
        assert type(trained.model) is type(model)
        assert trained.targets == []
        with torch.no_grad():
            assert torch.equal(trained.model(batch.x, batch.valid, hidden), model(batch.x, batch.valid, hidden))


def test_a_kind_that_is_unknown_is_refused(tmp_path: Path, normalization, tiny) -> None:
    config = RegressorModelConfig(**tiny, hidden_dim=8)
    checkpoint = checkpoint_of("regressor", config, make_regressor(normalization, config), normalization, {})
    replace(checkpoint, kind="diffusion").save(tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="holds a 'diffusion'; expected a regressor, mae or inpainter"):
        load_trained(tmp_path / "a.pth")


def test_settings_that_this_version_does_not_know_name_the_file(tmp_path: Path, normalization, tiny) -> None:
    config = RegressorModelConfig(**tiny, hidden_dim=8)
    checkpoint = checkpoint_of("regressor", config, make_regressor(normalization, config), normalization, {})
    checkpoint.config["model"]["future"] = 1
    checkpoint.save(tmp_path / "a.pth")
    with pytest.raises(ConfigError, match=r"a\.pth, model section.*\n.*future: unknown key"):
        load_trained(tmp_path / "a.pth")
