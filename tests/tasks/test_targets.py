"""Targets and their inverse."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.tasks.config import TASK_NAMES, TasksConfig
from lib.tasks.targets import Target, enabled_targets

ALL = enabled_targets(TasksConfig.model_validate({name: {} for name in TASK_NAMES}))
LOGARITHMIC = enabled_targets(TasksConfig.model_validate({"energy": {"log_transform": True}}))
BY_NAME = pytest.mark.parametrize(
    "target", [*ALL, *LOGARITHMIC], ids=lambda target: f"{target.name}-{target.logarithmic}"
)


@BY_NAME
@given(data=st.data())
def test_the_physical_value_of_what_was_scaled_is_the_value(target: Target, data: st.DataObject) -> None:
    scaled = data.draw(st.lists(st.floats(-4, 4, width=32), min_size=target.width, max_size=target.width))
    value = target.to_physical(torch.tensor([scaled], dtype=torch.float32))
    again = target.to_physical(target.to_scaled(value))
    # A few roundings of float32 at the size of centre and scale.
    for one, two, centre, scale in zip(value[0], again[0], target.centre, target.scale, strict=True):
        tolerance = 4e-7 * (abs(one.item()) if target.logarithmic else abs(centre) + 4 * scale)
        assert abs(one - two).item() <= 2 * tolerance


@BY_NAME
def test_the_centre_becomes_zero_and_one_scale_away_becomes_one(target: Target) -> None:
    centre = torch.tensor([target.centre])
    scale = torch.tensor([target.scale])
    away = centre * torch.exp(scale) if target.logarithmic else centre + scale
    torch.testing.assert_close(target.to_scaled(centre), torch.zeros(1, target.width), rtol=0, atol=0)
    torch.testing.assert_close(target.to_scaled(away), torch.ones(1, target.width), rtol=1e-5, atol=0)


@BY_NAME
def test_physical_values_are_single_precision_also_from_half(target: Target) -> None:
    assert target.to_physical(torch.zeros(3, target.width, dtype=torch.bfloat16)).dtype == torch.float32


@BY_NAME
def test_components_that_are_missing_are_refused(target: Target) -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        target.to_scaled(torch.zeros(2, target.width + 1))


def test_a_time_of_the_trigger_window_is_of_order_one() -> None:
    timing = next(target for target in ALL if target.name == "timing")
    assert abs(timing.to_scaled(torch.tensor([[2e-8]])).item()) == pytest.approx(2e-8 / 1.2e-8, rel=1e-6)


def test_a_logarithmic_energy_is_never_negative() -> None:
    values = LOGARITHMIC[0].to_physical(torch.tensor([[-50.0], [0.0], [2.0]]))
    assert (values > 0).all()
    assert values[2].item() == pytest.approx(0.0375 * math.exp(0.8), rel=1e-6)


def test_the_description_is_plain_and_complete() -> None:
    described = ALL[0].as_dict()
    assert described == {
        "branch": "emiAng", "unit": "deg", "centre": [90.0, 0.0], "scale": [12.0, 35.0], "logarithmic": False,
    }  # fmt: skip


def test_the_energy_is_logarithmic_only_on_request() -> None:
    assert not next(target for target in ALL if target.name == "energy").logarithmic
    assert LOGARITHMIC[0].logarithmic
