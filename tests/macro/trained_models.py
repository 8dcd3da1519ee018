"""Checkpoints of small models with random weights, for macros that want trained ones."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.models.config import InpainterModelConfig, MaeModelConfig, RegressorModelConfig
from lib.models.inpainter import Inpainter
from lib.models.mae import MaskedAutoencoder
from lib.models.regressor import Regressor
from lib.tasks.config import TasksConfig
from lib.tasks.targets import enabled_targets
from lib.training.saving.checkpoint import Checkpoint

SMALL = {
    "stage_dims": (4,), "stage_depths": (1,), "inner_patch": 4, "encoder_dim": 8, "num_heads": 2,
    "dim_feedforward": 8, "num_fusion_layers": 1,
}  # fmt: skip
NORMALIZATION = Normalization.from_config(NormalizationConfig())


def save_inpainter(path: Path, **settings: Any) -> Path:
    """Write an inpainter of the light field."""
    torch.manual_seed(0)
    config = InpainterModelConfig.model_validate(SMALL | {"hidden_dim": 4, "head_type": "light_field"} | settings)
    return _save(path, "inpainter", Inpainter(config, NORMALIZATION), {"model": config.model_dump(mode="json")})


def save_mae(path: Path) -> Path:
    """Write a masked autoencoder."""
    torch.manual_seed(0)
    config = MaeModelConfig.model_validate(SMALL | {"decoder_dim": 8})
    return _save(path, "mae", MaskedAutoencoder(config, NORMALIZATION), {"model": config.model_dump(mode="json")})


def save_regressor(path: Path) -> Path:
    """Write a regressor of energy and position."""
    torch.manual_seed(0)
    config = RegressorModelConfig.model_validate(SMALL | {"hidden_dim": 8})
    tasks = TasksConfig.model_validate({"energy": {}, "uvwFI": {}})
    model = Regressor(config, {one.name: one.head_width for one in enabled_targets(tasks)}, NORMALIZATION)
    return _save(path, "regressor", model, {"model": config.model_dump(mode="json"), "tasks": tasks.model_dump()})


def _save(path: Path, kind: str, model: nn.Module, sections: dict[str, Any]) -> Path:
    about = {"normalization": NORMALIZATION.as_dict(), "branches": {"npho": "npho", "time": "time"}}
    Checkpoint(
        kind=kind, config={**sections, "data": {"tree_name": "tree"}}, about=about, model=model.state_dict(),
        average={}, optimizer={}, epochs_done=1, steps_done=1, schedule_start=0, best=1.0, run_key="", metrics={},
    ).save(path)  # fmt: skip
    return path
