"""Small models and random events."""

import pytest
import torch

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization

TINY = {
    "stage_dims": (4, 8),
    "stage_depths": (1, 1),
    "inner_patch": 4,
    "encoder_dim": 16,
    "num_heads": 2,
    "dim_feedforward": 16,
    "num_fusion_layers": 1,
    "fovea_patch": 3,
    "fovea_dims": (4, 8),
    "fovea_depths": (1, 1),
}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Keep operations of a few microseconds from waiting for a second core."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def tiny() -> dict[str, object]:
    """Settings of a small encoder, to be passed on to a config."""
    return dict(TINY)


@pytest.fixture
def normalization() -> Normalization:
    return Normalization.from_config(NormalizationConfig())


@pytest.fixture
def events(normalization):
    """x and valid of three events in which some sensors and more times are missing."""
    npho = torch.rand(3, 4760) * 3000.0
    time = torch.rand(3, 4760) * 1e-7
    npho[torch.rand(3, 4760) < 0.05] = 1e10
    time[torch.rand(3, 4760) < 0.3] = 1e10
    return normalization.apply(npho, time)


def awaken(model: torch.nn.Module) -> torch.nn.Module:
    """Give every weight a sizeable random value, so that each input and each layer leaves a visible trace."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


@pytest.fixture
def awakened():
    return awaken
