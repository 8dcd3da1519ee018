"""Small batches of random events."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lib.data.batch import EventBatch
from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization

MakeBatch = Callable[..., EventBatch]

TINY: dict[str, Any] = {
    "stage_dims": (4, 8),
    "stage_depths": (1, 1),
    "inner_patch": 4,
    "encoder_dim": 16,
    "num_heads": 2,
    "dim_feedforward": 16,
    "num_fusion_layers": 1,
    "drop_path_rate": 0.0,
}


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Settings of a small encoder, to be passed on to a config."""
    return dict(TINY)


@pytest.fixture
def normalization() -> Normalization:
    return Normalization.from_config(NormalizationConfig(sentinel_npho=-0.5, sentinel_time=-2.0))


@pytest.fixture
def make_batch(normalization: Normalization) -> MakeBatch:
    def make(count: int = 4, *, seed: int = 0, padding: int = 0) -> EventBatch:
        generator = torch.Generator().manual_seed(seed)
        npho = torch.rand(count, 4760, generator=generator) * 3000.0
        npho[torch.rand(count, 4760, generator=generator) < 0.05] = 1e10
        time = torch.rand(count, 4760, generator=generator) * 1e-7
        time[torch.rand(count, 4760, generator=generator) < 0.3] = 1e10
        x, valid = normalization.apply(npho, time)
        uniform = torch.rand(count, 7, generator=generator)
        weight = torch.ones(count)
        weight[count - padding :] = 0.0
        return EventBatch(
            x=x,
            valid=valid,
            truth={
                "energyTruth": 0.015 + 0.045 * uniform[:, :1],
                "timeTruth": 2e-8 * (uniform[:, 1:2] - 0.5),
                "emiVec": torch.nn.functional.normalize(
                    torch.stack([-torch.ones(count), uniform[:, 3] - 0.5, 0.5 * uniform[:, 2] - 0.25], dim=1)
                ),
                "nGamma": (5 * uniform[:, :1]).floor(),
                "emiAng": torch.stack([70 + 40 * uniform[:, 2], 60 * (uniform[:, 3] - 0.5)], dim=1),
                "uvwTruth": torch.stack([40 * uniform[:, 4] - 20, 120 * uniform[:, 5] - 60, 20 * uniform[:, 6]], dim=1),
            },
            run=torch.ones(count, dtype=torch.int64),
            event=torch.arange(count),
            weight=weight,
            seed=seed,
        )

    return make
