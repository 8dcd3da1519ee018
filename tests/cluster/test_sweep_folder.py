import json
import os
import sys

import pytest

from lib.cluster import point_run
from lib.cluster.local_run import EXIT_SOME_FAILED, LocalRun
from lib.cluster.point_run import run_point, state_after, tell, training_arguments
from lib.cluster.sweep_config import SweepConfig
from lib.cluster.sweep_folder import PointState, SweepFolder
from lib.cluster.sweep_submission import note_job, open_points, sweep_job, without_queued
from lib.errors import ConfigError

QUICKSTART = "configs/regressor/quickstart.yaml"


def sweep(rates: list[float] | None = None, **settings: object) -> SweepConfig:
    grid = {"training.lr": rates or [1e-4, 2e-4, 3e-4]}
    definition = {"name": "s", "kind": "regressor", "base": QUICKSTART, "grid": grid, **settings}
    return SweepConfig.model_validate_json(json.dumps(definition))


@pytest.fixture
def folder(tmp_path):
    return SweepFolder.create(sweep(), tmp_path)


@pytest.fixture
def trainings(monkeypatch, tmp_path):
    """Take the place of the trainings: each notes its point and ends with the code that the point is given."""
    codes = {}

    def arguments(sweep, folder, point, name, processes=1):
        program = (
            f"open({str(tmp_path / 'seen')!r}, 'a').write('{name} '); raise SystemExit({codes.get(point.index, 0)})"
        )
        return ["-c", program]

    monkeypatch.setattr(point_run, "training_arguments", arguments)
    return codes


def states(folder: SweepFolder) -> list[str]:
    return [folder.state(point.index).state for point in folder.points]


def test_a_sweep_is_found_again_as_it_was(folder):
    again = SweepFolder.open(folder.folder)
    assert again.sweep == folder.sweep
    assert again.points == folder.points
    assert states(again) == ["waiting"] * 3


def test_a_sweep_that_changed_is_refused_with_what_changed(folder, tmp_path):
    assert SweepFolder.create(sweep(), tmp_path).points == folder.points
    with pytest.raises(ConfigError, match=r"other settings:\n.*grid.training.lr: .*\n.*another name"):
        SweepFolder.create(sweep([1e-3]), tmp_path)


def test_a_dry_sweep_writes_nothing(tmp_path):
    SweepFolder.create(sweep(), tmp_path / "new", dry=True)
    assert not (tmp_path / "new").exists()


def test_a_faulty_point_leaves_no_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"training\.lr"):
        SweepFolder.create(sweep([-1.0]), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_without_sweep_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no sweep"):
        SweepFolder.open(tmp_path)


def test_a_point_that_is_not_there_is_refused(folder):
    with pytest.raises(ConfigError, match="no point 3; expected 0 to 2"):
        folder.point(3)


def test_a_damaged_state_is_named(folder):
    folder.write_state(0, PointState())
    (folder.folder / "points" / "0000" / "state.json").write_text("{")
    with pytest.raises(ConfigError, match=r"state.json: damaged"):
        folder.state(0)


@pytest.mark.parametrize(("code", "state"), [(0, "finished"), (1, "failed"), (2, "failed"), (4, "failed"), (75, "stopped"), (137, "stopped")])  # fmt: skip  # noqa: E501
def test_states_after_exit_codes(code, state):
    assert state_after(code) == state


def test_finished_points_are_left_alone_and_failed_ones_wait_for_retry(folder, trainings, tmp_path):
    trainings.update({1: 3, 2: 75})
    assert [run_point(folder, index) for index in range(3)] == [0, 3, 75]
    assert states(folder) == ["finished", "failed", "stopped"]
    assert open_points(folder, retry=False) == [2]
    assert open_points(folder, retry=True) == [1, 2]
    trainings.clear()
    assert [run_point(folder, index) for index in range(3)] == [0, 0, 0]
    assert folder.state(2) == PointState("finished", 2, 0)
    assert (tmp_path / "seen").read_text().split() == ["s_0000", "s_0001", "s_0002", "s_0001", "s_0002"]
    assert tell(folder).count("  finished  ") == 3


def test_a_point_whose_process_died_is_stopped(folder):
    folder.write_state(0, PointState("running", 1))
    assert folder.state(0).state == "stopped"
    with folder.claimed(0):
        folder.write_state(0, PointState("running", 1))
        assert folder.state(0).state == "running"


def test_two_processes_cannot_work_on_one_point(folder):
    with folder.claimed(0), pytest.raises(ConfigError, match="another process"):
        run_point(folder, 0)


def test_a_point_is_trained_by_the_command_of_its_kind(folder):
    arguments = training_arguments(folder.sweep, folder.folder, folder.points[1], "s_0001")
    assert arguments[:4] == ["-m", "lib.train_regressor", "--config", QUICKSTART]
    assert "training.lr=0.0002" in arguments
    assert f'checkpoint.save_dir="{folder.folder}"' in arguments
    assert 'mlflow.tags={"sweep": "s"}' in arguments
    assert arguments[-2:] == ["--resume_from", "auto"]
    assert "--nproc_per_node=4" in training_arguments(folder.sweep, folder.folder, folder.points[1], "s_0001", 4)


def test_a_submitted_point_waits_in_its_job(folder, tmp_path, monkeypatch):
    trainings = tmp_path / "bin"
    trainings.mkdir()
    squeue = trainings / "squeue"
    squeue.write_text("#!/bin/bash\nprintf '17_0\\n17_2\\n'\n")
    squeue.chmod(0o755)
    folder.write_state(1, PointState("failed", 1, 3))
    note_job(folder, [0, 1, 2], "17")
    assert folder.state(1) == PointState("waiting", 1, 3, "17")
    monkeypatch.setenv("PATH", f"{trainings}:{os.environ['PATH']}")
    assert without_queued(folder, [0, 1, 2]) == [1]
    monkeypatch.setenv("PATH", "")
    assert without_queued(folder, [0, 1, 2]) == [0, 1, 2]


def test_the_job_of_a_sweep_runs_its_points(folder, tmp_path):
    job = sweep_job(folder, [0, 2], tmp_path, processes=4)
    assert list(job.array) == [0, 2]
    assert job.arguments == ["-m", "lib.sweep", str(folder.folder), "--point", "{index}", "--processes", "4"]


def test_points_run_side_by_side_on_one_machine(folder, monkeypatch, tmp_path):
    # The points are processes of their own, so what they run is replaced by another interpreter.
    python = tmp_path / "python"
    python.write_text(f'#!/bin/bash\necho "$*" >> {tmp_path}/seen\n[[ "$*" != *"--point 1"* ]]\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert LocalRun(folder, 2).run([0, 1, 2]) == EXIT_SOME_FAILED
    assert len((tmp_path / "seen").read_text().splitlines()) == 3
    assert LocalRun(folder, 2).run([0, 2]) == 0
