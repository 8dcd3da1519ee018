"""ONNX Runtime and torch must give the same numbers for every event and every batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.export.model_export import ExportReport
from lib.export.odd_events import FloatArray, generate_events
from lib.export.parity import scaled_difference
from lib.export.physical_regressor import PhysicalOutput, PhysicalRegressor
from lib.export.session import ExportedModel
from lib.models.regressor import Regressor
from lib.tasks.config import TaskConfig, TasksConfig
from lib.tasks.restore import load_trained
from lib.tasks.targets import Target, enabled_targets

# What a damaged or unusual file may hold anywhere.
ODD_VALUES = (0.0, -0.0, 1e10, 9e9, 8.9e9, -9.1e9, 3e38, -3e38, 1e-40, 100.0, 99.99999, np.nan, np.inf, -np.inf)

# Half of what an export accepts, which the weights of this model leave room for.
ACCEPTED = 5e-6


@pytest.fixture(scope="module")
def eager(regressor_checkpoint: Path) -> PhysicalRegressor:
    trained = load_trained(regressor_checkpoint)
    assert isinstance(trained.model, Regressor)
    return PhysicalRegressor(trained.model, trained.normalization, trained.targets).eval()


def predict(eager: PhysicalRegressor, npho: FloatArray, time: FloatArray) -> dict[str, FloatArray]:
    with torch.inference_mode():
        outputs = eager(torch.from_numpy(npho), torch.from_numpy(time))
    return {one.name: output.numpy() for one, output in zip(eager.outputs, outputs, strict=True)}


@given(
    batch=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
    odd=st.lists(st.tuples(st.sampled_from(ODD_VALUES), st.sampled_from(ODD_VALUES)), max_size=6),
    share=st.sampled_from([0.0002, 0.1, 0.9]),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_odd_events_give_the_same_finite_numbers(
    eager: PhysicalRegressor,
    exported: ExportedModel,
    batch: int,
    seed: int,
    odd: list[tuple[float, float]],
    share: float,
) -> None:
    rng = np.random.default_rng(seed)
    npho, time = generate_events(batch, rng)
    for npho_value, time_value in odd:
        npho[rng.random(npho.shape) < share] = npho_value
        time[rng.random(time.shape) < share] = time_value
    expected, got = predict(eager, npho, time), exported.run(npho, time)
    for output in eager.outputs:
        assert np.isfinite(expected[output.name]).all()
        assert scaled_difference(output, expected[output.name], got[output.name]).max() <= ACCEPTED


@pytest.mark.parametrize("batch", [1, 2, 5, 65])
def test_an_event_has_the_same_prediction_in_any_batch(exported: ExportedModel, batch: int) -> None:
    npho, time = generate_events(batch, np.random.default_rng(5))
    together = exported.run(npho, time)
    alone = exported.run(npho[-1:], time[-1:])
    for target in all_targets(logarithmic=True):
        assert together[target.name].shape == (batch, target.width)
        assert (
            scaled_difference(PhysicalOutput(target, "value"), together[target.name][-1:], alone[target.name]).max()
            <= ACCEPTED
        )


def test_predictions_differ_among_events(exported: ExportedModel) -> None:
    # Else the comparisons of this file would compare constants.
    npho, time = generate_events(64, np.random.default_rng(0))
    for target in all_targets(logarithmic=True):
        predicted = exported.run(npho[::8], time[::8])[target.name]
        assert (np.ptp(target.to_scaled(torch.from_numpy(predicted)).numpy(), axis=0) > 0.1).all()


def all_targets(*, logarithmic: bool) -> list[Target]:
    task = TaskConfig()
    return enabled_targets(
        TasksConfig(angle=task, energy=TaskConfig(log_transform=logarithmic), timing=task, uvwFI=task)
    )


@pytest.mark.parametrize("target", all_targets(logarithmic=False), ids=lambda target: target.name)
def test_a_difference_counts_in_units_of_the_spread(target: Target) -> None:
    value = np.asarray([target.centre], np.float32)
    shifted = value + np.asarray(target.scale, np.float32) / 4
    output = PhysicalOutput(target, "value")
    assert scaled_difference(output, value, shifted) == pytest.approx([0.25], rel=1e-5)
    assert scaled_difference(output, value, value) == [0.0]


def test_the_difference_of_an_error_counts_in_units_of_the_spread_too() -> None:
    output = PhysicalOutput(all_targets(logarithmic=True)[1], "error")
    left = np.array([[0.0005]], np.float32)
    assert scaled_difference(output, left, 2 * left) == pytest.approx([0.0005 / (0.0375 * 0.4)], rel=1e-5)


def test_far_from_the_centre_a_difference_counts_relative_to_the_distance() -> None:
    position = PhysicalOutput(all_targets(logarithmic=False)[3], "value")
    values = np.array([[14.0 * 100, 0.0, 5.0], [14.0, 0.0, 5.0]], np.float32)
    shifted = values + np.array([14.0, 0.0, 0.0], np.float32)
    assert scaled_difference(position, values, shifted) == pytest.approx([0.01, 1.0], rel=1e-5)


def test_the_spread_of_a_logarithmic_target_grows_with_the_value() -> None:
    energy = PhysicalOutput(all_targets(logarithmic=True)[1], "value")
    values = np.array([[0.03], [0.05]], np.float32)
    differences = scaled_difference(energy, values, values * np.float32(1.04))
    assert differences == pytest.approx([np.log(1.04) / 0.4] * 2, rel=1e-5)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (np.nan, np.nan, 0.0),
        (np.inf, np.inf, 0.0),
        (np.nan, 1.0, np.inf),
        (1.0, np.inf, np.inf),
        (np.inf, -np.inf, np.inf),
    ],
)
def test_values_that_are_not_finite_must_agree(left: float, right: float, expected: float) -> None:
    timing = PhysicalOutput(all_targets(logarithmic=False)[2], "value")
    values = [np.array([[value]], np.float32) for value in (left, right)]
    assert scaled_difference(timing, *values) == [expected]


def test_the_check_of_the_export_saw_a_real_comparison(report: ExportReport) -> None:
    # Two programs never agree in every bit over 500 events; zeros would mean that one was compared with itself.
    assert max(report.differences.values()) > 0.0
