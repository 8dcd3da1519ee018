"""What is asked of a resumed run is done once, however often its job is requeued."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from lib.cli.resume_options import ResumeOption, is_asked_anew
from lib.cli.schemas import MaeConfig
from lib.cli.training_run import _cpu_threads
from lib.training.config import CheckpointConfig
from lib.training.saving.checkpoint import LAST_NAME, Checkpoint
from tests.cli.test_start_point import checkpoint_of
from tests.training.toy import toy_trainer

OPTIONS = get_args(ResumeOption)


def config(tmp_path: Path, run_name: str | None = "run", **asked: bool) -> MaeConfig:
    return MaeConfig.model_validate(
        {
            "data": {"train_path": "a", "val_path": "b"},
            "checkpoint": {"save_dir": tmp_path, "resume_from": "auto", **asked},
            "mlflow": {"run_name": run_name},
        }
    )


def written_by(settings: dict[str, Any]) -> Checkpoint:
    return checkpoint_of(toy_trainer(), config=settings)


@pytest.mark.parametrize("option", OPTIONS)
def test_a_requeued_run_is_not_asked_again(option: ResumeOption, tmp_path: Path) -> None:
    now, own = config(tmp_path, **{option: True}), tmp_path / "run" / LAST_NAME
    assert is_asked_anew(option, now, written_by(config(tmp_path).model_dump()), own)
    assert not is_asked_anew(option, now, written_by(now.model_dump()), own)
    # What was asked of another run was done there.
    assert is_asked_anew(option, now, written_by(now.model_dump()), tmp_path / "other" / LAST_NAME)


@pytest.mark.parametrize("option", OPTIONS)
def test_what_is_not_set_is_never_asked(option: ResumeOption, tmp_path: Path) -> None:
    assert not is_asked_anew(option, config(tmp_path), written_by({}), tmp_path / "run" / LAST_NAME)


def test_a_run_without_a_name_has_a_new_folder_each_time(tmp_path: Path) -> None:
    now = config(tmp_path, None, refresh_lr=True)
    assert is_asked_anew("refresh_lr", now, written_by(now.model_dump()), tmp_path / LAST_NAME)


def test_every_option_is_a_setting() -> None:
    assert set(OPTIONS) <= set(CheckpointConfig.model_fields)


@pytest.mark.parametrize(
    ("environment", "wanted", "expected"),
    [
        ({"device": "cpu", "threads": "4"}, None, 4),
        ({"device": "cpu", "threads": "4"}, 2, 2),
        ({"device": "NVIDIA", "threads": "4"}, None, None),
        # A checkpoint from before threads were noted.
        ({"device": "cpu"}, None, None),
        (None, None, None),
        (None, 2, 2),
    ],
)
def test_a_resumed_run_computes_with_the_threads_it_had(
    tmp_path: Path, environment: dict[str, str] | None, wanted: int | None, expected: int | None
) -> None:
    resumed: Any = None if environment is None else SimpleNamespace(about={"environment": environment})
    asked = config(tmp_path)
    now = asked.model_copy(update={"training": asked.training.model_copy(update={"cpu_threads": wanted})})
    assert _cpu_threads(now, resumed) == expected
