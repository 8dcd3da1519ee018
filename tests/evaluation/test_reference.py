"""The conventional reconstruction beside a regressor: fitted where it can be, and left out in words where not."""

import logging
from pathlib import Path

import numpy as np
import pytest

from lib.data.branches import EMISSION_ANGLE, ENERGY, TIME_TRUTH, UVW
from lib.data.config import DataConfig
from lib.evaluation.prediction_table import evaluate_tables
from lib.evaluation.raw_events import RawEvents
from lib.evaluation.reference import fit_conventional, write_conventional
from lib.simulation.events import EventSimulator
from lib.simulation.presets import build_config
from tests.data.root_files import make_events, write_root

BRANCHES = {"energy": ENERGY, "timing": TIME_TRUTH, "uvwFI": UVW, "angle": EMISSION_ANGLE}
NUM_TRAINED = 400


def config_of(folder: Path) -> DataConfig:
    return DataConfig(train_path=str(folder / "train.root"), val_path=str(folder / "val.root"), batch_size=32)


def test_the_validation_events_are_reconstructed_by_what_was_fitted_to_the_others(tmp_path: Path) -> None:
    block = EventSimulator(build_config(), seed=5, run=1).block(0)
    # One truth is unknown; such events are not fitted to.
    block[ENERGY] = np.where(np.arange(len(block[ENERGY])) == 3, 1e10, block[ENERGY]).astype(np.float32)
    for name, part in (("train", slice(NUM_TRAINED)), ("val", slice(NUM_TRAINED, None))):
        write_root(tmp_path / f"{name}.root", {key: values[part] for key, values in block.items()})
    fitted = fit_conventional(config_of(tmp_path))
    assert fitted is not None
    events = RawEvents(config_of(tmp_path), BRANCHES)
    paths = write_conventional(fitted, events, tmp_path, "run", [*BRANCHES, "n_gamma"])
    assert [path.parent.name for path in paths] == ["conventional"] * 4
    evaluation = evaluate_tables(dict(zip(BRANCHES, paths, strict=True)))
    found = {one.name: one.quantile.value for task in evaluation.tasks.values() for one in task.summaries()}
    # Hundred events at 52.83 MeV; twice what more events give.
    assert found["energy"] < 5
    assert found["distance"] < 20
    assert found["time"] < 150


def test_tasks_that_it_cannot_do_leave_no_folder(tmp_path: Path) -> None:
    for name in ("train", "val"):
        write_root(tmp_path / f"{name}.root", make_events(8))
    events = RawEvents(config_of(tmp_path), {"n_gamma": "nGamma"})
    assert write_conventional(None, events, tmp_path, "run", ["n_gamma"]) == []  # type: ignore[arg-type]
    assert not (tmp_path / "conventional").exists()


@pytest.mark.parametrize("lacking", [None, UVW])
def test_too_few_events_or_no_truth_is_one_line_of_the_log(
    tmp_path: Path, lacking: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("train", "val"):
        events = {key: values for key, values in make_events(40).items() if key != lacking}
        write_root(tmp_path / f"{name}.root", events)
    with caplog.at_level(logging.INFO, "lib.evaluation.reference"):
        assert fit_conventional(config_of(tmp_path)) is None
    assert "no comparison with the conventional reconstruction" in caplog.text
    assert (lacking or "300 events or more") in caplog.text
