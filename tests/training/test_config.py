"""Settings of the training loop."""

import pytest

from lib.config.document import Document
from lib.config.loading import validate
from lib.config.section import Section
from lib.errors import ConfigError
from lib.training.config import CheckpointConfig, MlflowConfig, TrainingConfig
from lib.training.stability.guard_config import GuardConfig


def check(schema: type[Section], **values: object) -> Section:
    return validate(schema, Document("settings", values, {}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"lr": 1e-4, "lr_min": 1e-3}, r"lr_min must not exceed lr \(0\.0001\)"),
        ({"epochs": 2, "warmup_epochs": 3}, r"warmup_epochs must not exceed epochs \(2\)"),
        ({"plateau_patience": 3}, r"plateau_patience and plateau_factor belong to lr_scheduler plateau"),
        ({"ema_decay": 0.0, "validate_trained_weights": True}, r"validate_trained_weights compares with averaged"),
        ({"lr": 0.0}, r"lr: .*greater than 0, got 0\.0"),
        ({"ema_decay": 1.0}, r"ema_decay: .*less than 1, got 1\.0"),
        ({"grad_clip": 0.0}, r"grad_clip: .*greater than 0"),
        ({"grad_accum_steps": 0}, r"grad_accum_steps: .*greater than or equal to 1"),
        ({"seed": 2**31}, r"seed: .*less than 2147483648"),
        ({"amp": "fp16"}, r"amp: .*'none' or 'bf16'"),
        ({"epoch": 3}, r"epoch: unknown key; nearest: epochs"),
    ],
)
def test_impossible_settings_are_refused_with_place_and_reason(values: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check(TrainingConfig, **values)


def test_a_boolean_is_a_precision_and_a_compile_mode() -> None:
    assert [TrainingConfig(amp=value).precision for value in (True, False, "bf16", "none")] == [
        "bf16", "none", "bf16", "none",
    ]  # fmt: skip
    assert [TrainingConfig(compile=value).compile_mode for value in (True, False, "max-autotune")] == [
        "default", "none", "max-autotune",
    ]  # fmt: skip


def test_no_ceiling_and_no_averaging_can_be_asked_for() -> None:
    config = check(TrainingConfig, grad_clip=None, ema_decay=0)
    assert isinstance(config, TrainingConfig)
    assert config.grad_clip is None
    assert config.ema_decay == 0


def test_a_checkpoint_to_go_on_from_and_one_to_start_from_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="resume_from continues a run and init_from starts one"):
        check(CheckpointConfig, resume_from="a.pth", init_from="b.pth")


def test_a_requeued_run_may_name_what_it_started_from() -> None:
    config = check(CheckpointConfig, resume_from="auto", init_from="b.pth")
    assert isinstance(config, CheckpointConfig)
    assert str(config.init_from) == "b.pth"


@pytest.mark.parametrize("name", ["../x", "/x", "", ".x", "-x", "a b", "$(id)", "a/b", "`x`", "a\n", "x" * 129, "名"])
def test_a_run_name_that_is_no_plain_folder_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="a run name becomes a folder"):
        check(MlflowConfig, run_name=name)


@pytest.mark.parametrize("name", ["mae_2026-01-02", "lr=1e-4", "v1.2+ema", "7", "x" * 128])
def test_a_plain_run_name_is_accepted(name: str) -> None:
    assert MlflowConfig(run_name=name).run_name == name


def test_an_experiment_needs_a_name() -> None:
    with pytest.raises(ConfigError, match=r"experiment: .*at least 1 character"):
        check(MlflowConfig, experiment="")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"window": 16, "active_after": 17}, r"active_after must not exceed window \(16\)"),
        ({"min_spread": 0.6}, r"min_spread must not exceed max_spread \(0\.5\)"),
        ({"clip_sigma": 9.0}, r"clip_sigma must not exceed skip_sigma \(8\.0\)"),
        ({"level_shift_steps": 21}, "level_shift_steps must not exceed max_skips_in_row and window"),
    ],
)
def test_a_guard_that_contradicts_itself_is_refused(values: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check(GuardConfig, **values)


def test_the_rise_has_a_default_for_each_scheduler() -> None:
    rises = [TrainingConfig(lr_scheduler=kind, epochs=20).rise_epochs for kind in ("cosine", "onecycle", "plateau")]
    assert rises == [1.0, 6.0, 1.0]
    assert TrainingConfig(lr_scheduler="onecycle", epochs=20, warmup_epochs=0.5).rise_epochs == 0.5
