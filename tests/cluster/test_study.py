import json
import math
import textwrap

import pytest
from optuna.trial import TrialState

from lib.cluster import child_process, study
from lib.cluster.study import open_study, run_worker, trial_settings
from lib.cluster.sweep_config import SweepConfig
from lib.cluster.sweep_folder import SweepFolder

# Optuna says of part of its own interface that it may change.
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

# Ten epochs of a loss that falls towards the squared distance from lr = 1e-3 in decades.
TRAINING = textwrap.dedent(
    """
    import json, math, pathlib, sys, time
    folder, lr, pause, code = pathlib.Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    folder.mkdir(parents=True, exist_ok=True)
    for epoch in range(1, 11):
        loss = (math.log10(lr) + 3) ** 2 + 1 / epoch
        with (folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": epoch, "time_ms": 0, "metrics": {"val/loss": loss}}) + "\\n")
        time.sleep(pause)
    sys.exit(code)
    """
)


class Trainings:
    """What the trainings of a test do."""

    pause = 0.0
    code = 0


@pytest.fixture
def trainings(monkeypatch):
    what = Trainings()

    def arguments(sweep, folder, point, name, processes=1):
        return ["-c", TRAINING, str(folder / name), str(point.settings["training.lr"]), str(what.pause), str(what.code)]

    monkeypatch.setattr(study, "training_arguments", arguments)
    monkeypatch.setattr(child_process, "LOOK_SECONDS", 0.02)
    return what


def make_sweep(tmp_path, **settings: object) -> SweepFolder:
    space = {"training.lr": {"low": 1e-5, "high": 1e-1, "log": True}}
    optuna = {"trials": 6, "space": space, "pruning": False, **settings}
    definition = {"name": "s", "kind": "regressor", "base": "configs/regressor/quickstart.yaml", "optuna": optuna}
    return SweepFolder.create(SweepConfig.model_validate_json(json.dumps(definition)), tmp_path)


def trials(folder: SweepFolder):
    assert folder.sweep.optuna is not None
    return open_study(folder.folder, folder.sweep.optuna, "s").get_trials()


def run(folder: SweepFolder, worker: int = 0) -> int:
    with folder.claimed(worker):
        return run_worker(folder, worker)


def test_a_study_ends_with_the_trials_asked_for_and_their_best_losses(tmp_path, trainings):
    folder = make_sweep(tmp_path)
    assert run(folder) == 0
    done = trials(folder)
    assert [trial.state for trial in done] == [TrialState.COMPLETE] * 6
    for trial in done:
        expected = (math.log10(trial.params["training.lr"]) + 3) ** 2 + 0.1
        assert trial.value == pytest.approx(expected)
    assert run(folder) == 0
    assert len(trials(folder)) == 6


def test_a_second_worker_adds_to_the_same_study(tmp_path, trainings):
    folder = make_sweep(tmp_path, workers=2)
    assert len(folder.points) == 2
    study = open_study(folder.folder, folder.sweep.optuna, "s")
    study.ask()
    assert run(folder, 1) == 0
    assert [trial.state for trial in trials(folder)] == [TrialState.RUNNING] + [TrialState.COMPLETE] * 5


def test_hopeless_trials_are_ended_early(tmp_path, trainings):
    trainings.pause = 0.1
    folder = make_sweep(tmp_path, trials=8, pruning=True, warmup_epochs=2)
    assert run(folder) == 0
    ended = [trial for trial in trials(folder) if trial.state == TrialState.PRUNED]
    kept = [trial for trial in trials(folder) if trial.state == TrialState.COMPLETE]
    assert ended
    assert len(ended) + len(kept) == 8
    assert all(2 < len(trial.intermediate_values) < 10 for trial in ended)
    assert min(trial.value for trial in kept) < min(min(trial.intermediate_values.values()) for trial in ended)


def test_a_worker_that_was_stopped_takes_up_its_own_trial(tmp_path, trainings):
    folder = make_sweep(tmp_path, trials=2)
    trainings.code = 75
    assert run(folder) == 75
    (left,) = trials(folder)
    assert left.state == TrialState.RUNNING
    trainings.code = 0
    assert run(folder) == 0
    done = trials(folder)
    assert [trial.state for trial in done] == [TrialState.COMPLETE] * 2
    assert done[0].params == left.params


def test_a_sweep_whose_first_trials_all_fail_ends_with_their_code(tmp_path, trainings):
    trainings.code = 2
    folder = make_sweep(tmp_path)
    assert run(folder) == 2
    assert [trial.state for trial in trials(folder)] == [TrialState.FAIL]


def test_a_list_can_be_a_choice(tmp_path):
    space = {"model.stage_dims": {"choice": [[16, 32], [32, 64]]}, "training.lr": {"low": 0.1, "high": 0.2}}
    search = make_sweep(tmp_path, space=space).sweep.optuna
    settings = trial_settings(search, {"model.stage_dims": 1, "training.lr": 0.15})
    assert settings == {"model.stage_dims": [32, 64], "training.lr": 0.15}
