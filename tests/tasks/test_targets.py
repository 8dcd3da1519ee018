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
INVERTIBLE = [target for target in [*ALL, *LOGARITHMIC] if target.transform in {"linear", "logarithmic"}]
BY_NAME = pytest.mark.parametrize("target", INVERTIBLE, ids=lambda target: f"{target.name}-{target.transform}")
WITH_ERRORS = enabled_targets(
    TasksConfig.model_validate({name: {"loss_fn": "gaussian_nll"} for name in TASK_NAMES if name != "n_gamma"})
)


def target_of(name: str, **settings: object) -> Target:
    (target,) = enabled_targets(TasksConfig.model_validate({name: settings}))
    return target


@BY_NAME
@given(data=st.data())
def test_the_physical_value_of_what_was_scaled_is_the_value(target: Target, data: st.DataObject) -> None:
    scaled = data.draw(st.lists(st.floats(-4, 4, width=32), min_size=target.width, max_size=target.width))
    value = target.to_physical(torch.tensor([scaled], dtype=torch.float32))
    again = target.to_physical(target.to_scaled(value))
    # A few roundings of float32 at the size of centre and scale.
    for one, two, centre, scale in zip(value[0], again[0], target.centre, target.scale, strict=True):
        tolerance = 4e-7 * (abs(one.item()) if target.transform == "logarithmic" else abs(centre) + 4 * scale)
        assert abs(one - two).item() <= 2 * tolerance


@BY_NAME
def test_the_centre_becomes_zero_and_one_scale_away_becomes_one(target: Target) -> None:
    centre = torch.tensor([target.centre])
    scale = torch.tensor([target.scale])
    away = centre * torch.exp(scale) if target.transform == "logarithmic" else centre + scale
    torch.testing.assert_close(target.to_scaled(centre), torch.zeros(1, target.width), rtol=0, atol=0)
    torch.testing.assert_close(target.to_scaled(away), torch.ones(1, target.width), rtol=1e-5, atol=0)


@BY_NAME
def test_physical_values_are_single_precision_also_from_half(target: Target) -> None:
    assert target.to_physical(torch.zeros(3, target.width, dtype=torch.bfloat16)).dtype == torch.float32


@BY_NAME
def test_components_that_are_missing_are_refused(target: Target) -> None:
    with pytest.raises(ValueError, match=r"expected \d columns, one for each of"):
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
        "branch": "emiAng", "unit": "deg", "centre": [90.0, 0.0], "scale": [12.0, 35.0], "transform": "linear",
        "errors": None,
    }  # fmt: skip


def test_the_energy_is_logarithmic_only_on_request() -> None:
    assert target_of("energy").transform == "linear"
    assert LOGARITHMIC[0].transform == "logarithmic"


@pytest.mark.parametrize("target", WITH_ERRORS, ids=lambda target: target.name)
def test_a_predicted_error_is_the_change_of_the_value_by_one_width(target: Target) -> None:
    """An error maps like a small residual: finite differences of the inverse transform, component by component."""
    said = torch.zeros(4, target.head_width, dtype=torch.float64)
    said[:, : target.width] = torch.linspace(-1.0, 1.0, 4)[:, None]
    said[:, target.width :] = -2.0
    sigma = math.exp(10.0 * math.tanh(-0.2))
    for component in range(target.width):
        unit = target.unit_scale(component)
        if target.transform == "direction":
            # Across the direction a vector of length L turns by unit / L.
            raw = torch.tensor(target.centre) + said[:, : target.width] * torch.tensor(target.scale)
            unit = unit / raw.norm(dim=1)
        expected = torch.as_tensor(sigma * unit, dtype=torch.float32).expand(4)
        torch.testing.assert_close(target.to_error(said)[:, component], expected, rtol=1e-5, atol=0)


def test_the_error_of_a_logarithmic_energy_is_relative() -> None:
    target = target_of("energy", loss_fn="gaussian_nll", log_transform=True)
    said = torch.tensor([[-0.5, -3.0], [0.7, -3.0]])
    sigma = math.exp(10.0 * math.tanh(-0.3))
    torch.testing.assert_close(target.to_error(said) / target.to_physical(said), torch.full((2, 1), 0.4 * sigma))


def test_the_error_of_a_laplace_distribution_holds_68_per_cent_of_it() -> None:
    target = target_of("timing", loss_fn="laplace_nll")
    half_width = target.to_error(torch.zeros(1, 2)).item() / target.scale[0]
    assert 1.0 - math.exp(-half_width) == pytest.approx(0.6827, rel=1e-6)


def test_the_error_of_a_student_distribution_holds_68_per_cent_of_it() -> None:
    target = target_of("timing", loss_fn="student_nll")
    half_width = target.to_error(torch.zeros(1, 2)).item() / target.scale[0]
    y = half_width / math.sqrt(3.0)
    assert 2.0 / math.pi * (math.atan(y) + y / (1.0 + y * y)) == pytest.approx(0.6827, rel=1e-5)


def test_the_width_of_a_likelihood_is_bounded_with_a_gradient() -> None:
    target = target_of("timing", loss_fn="gaussian_nll")
    said = torch.tensor([[0.0, -20.0], [0.0, 20.0], [0.0, -1.0]], requires_grad=True)
    widths = target.log_width(said)
    assert widths.abs().max() < 10.0
    widths.sum().backward()
    assert (said.grad[:, 1] > 0.01).all()
    assert widths[2].item() == pytest.approx(-1.0, abs=0.004)


def test_errors_that_are_not_learnt_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="the head of 'timing' says no errors"):
        target_of("timing").to_error(torch.zeros(1, 1))


def test_a_direction_has_length_one_whatever_the_head_says() -> None:
    target = target_of("angleVec")
    vectors = target.to_physical(torch.tensor([[0.0, 0.0, 0.0], [3.0, -2.0, 9.0], [-0.85 / -0.12, 0.0, 0.0]]))
    torch.testing.assert_close(vectors[:2].norm(dim=1), torch.ones(2))
    # A vector of length zero has no direction; it must not become NaN.
    assert torch.isfinite(vectors).all()


@pytest.mark.parametrize(("count", "expected"), [(0.0, 0), (1.0, 1), (4.0, 4), (7.0, 4)])
def test_the_last_class_holds_all_larger_counts(count: float, expected: int) -> None:
    assert target_of("n_gamma").to_scaled(torch.tensor([[count]])).tolist() == [expected]


def test_probabilities_of_classes_add_up() -> None:
    probabilities = target_of("n_gamma").to_physical(torch.randn(5, 5, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(5))
