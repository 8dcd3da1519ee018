"""Settings of the tasks."""

import re

import pytest

from lib.config.document import Document
from lib.config.loading import validate
from lib.config.section import Section
from lib.errors import ConfigError
from lib.tasks.config import RegressorTrainingConfig, TasksConfig
from lib.tasks.restoration_config import RestorationTrainingConfig

MOVED = [
    (RegressorTrainingConfig, "loss_fn", "tasks.<name>.loss_fn"),
    (RegressorTrainingConfig, "loss_beta", "tasks.<name>.loss_beta"),
    (RegressorTrainingConfig, "mask_ratio", "model.mask_ratio"),
    (RestorationTrainingConfig, "mask_ratio", "model.mask_ratio"),
]


def check(schema: type[Section], **values: object) -> Section:
    return validate(schema, Document("settings", values, {}))  # type: ignore[arg-type]


@pytest.mark.parametrize("tasks", [{}, {"angle": {"enabled": False}}, {"energy": None}])
def test_no_enabled_target_is_refused(tasks: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="enable at least one of angle, energy, timing, uvwFI, angleVec, n_gamma"):
        check(TasksConfig, **tasks)


@pytest.mark.parametrize("name", ["angle", "timing", "uvwFI"])
def test_the_logarithm_of_what_can_be_negative_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"log_transform is for energy alone; {name} can be negative"):
        check(TasksConfig, **{name: {"log_transform": True}})


def test_the_logarithm_of_the_energy_is_accepted() -> None:
    assert TasksConfig.model_validate({"energy": {"log_transform": True}}).enabled()["energy"].log_transform


def test_targets_come_in_fixed_order_and_without_those_switched_off() -> None:
    tasks = TasksConfig.model_validate({"uvwFI": {}, "timing": {"enabled": False}, "energy": {}, "angle": {}})
    assert list(tasks.enabled()) == ["angle", "energy", "uvwFI"]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"timing": {"loss_fn": "relative_l1"}}, "timing: loss_fn relative_l1 does not fit this target"),
        ({"energy": {"loss_fn": "cosine"}}, "energy: loss_fn cosine does not fit .* gaussian_nll, huber"),
        ({"n_gamma": {"loss_fn": "mse"}}, "n_gamma: loss_fn mse does not fit this target; expected one of cross_entr"),
        ({"energy": {"loss_fn": "relative_mse", "log_transform": True}}, "makes residuals relative already"),
        ({"energy": {"loss_fn": "l1", "loss_beta": 0.1}}, "loss_beta is not used by l1; remove it"),
        ({"angle": {"loss_fn": "laplace_nll", "loss_beta": 0.1}}, "loss_beta is not used by laplace_nll"),
        ({"angle": {"loss_fn": "gaussian_nll", "loss_beta": 2.0}}, "is a power from 0 .* to 1"),
        ({"angle": {"loss_beta": 0.0}}, "loss_beta of smooth_l1 must be above 0"),
    ],
)
def test_losses_and_betas_that_do_not_fit_are_refused(tasks: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(TasksConfig, **tasks)


def test_a_plain_likelihood_is_accepted() -> None:
    tasks = TasksConfig.model_validate({"energy": {"loss_fn": "gaussian_nll", "loss_beta": 0.0}})
    assert tasks.enabled()["energy"].loss_beta == 0.0


def test_directions_and_classes_have_losses_of_their_own() -> None:
    tasks = TasksConfig.model_validate({"angleVec": {}, "n_gamma": {}}).enabled()
    assert [task.loss_fn for task in tasks.values()] == ["cosine", "cross_entropy"]


def test_a_beta_that_the_restoration_does_not_use_is_refused() -> None:
    with pytest.raises(ConfigError, match="loss_beta is not used by mse; remove it, or choose smooth_l1 or huber"):
        check(RestorationTrainingConfig, loss_fn="mse", loss_beta=0.2)


@pytest.mark.parametrize(("schema", "key", "place"), MOVED)
def test_a_key_that_moved_names_its_new_place(schema: type[Section], key: str, place: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key}: .*lives elsewhere now; write {re.escape(place)}"):
        check(schema, **{key: 0.5})


def test_every_moved_key_is_tested_here() -> None:
    declared = {
        (schema, key) for schema in (RegressorTrainingConfig, RestorationTrainingConfig) for key in schema.moved_keys
    }
    assert declared == {(schema, key) for schema, key, _ in MOVED}


@pytest.mark.parametrize(
    ("schema", "key", "value"),
    [
        (RegressorTrainingConfig, "channel_dropout_rate", 1.0),
        (RegressorTrainingConfig, "channel_dropout_rate", -0.1),
        (RestorationTrainingConfig, "loss_beta", 0.0),
        (RestorationTrainingConfig, "loss_fn", "l2"),
    ],
)
def test_impossible_values_are_refused_with_their_place(schema: type[Section], key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"{key}: .*got {value!r}"):
        check(schema, **{key: value})
