"""Workers that share an Optuna study: each proposes a trial, trains it, and tells how it went.

The study is a journal file, which any number of processes and nodes may append to. A worker that is told to stop
keeps its trial, and takes it up again when it is started next.
"""

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from lib.atomic import atomic_path
from lib.cli.entry import EXIT_DONE, EXIT_REQUEUE
from lib.cluster.child_process import run_child
from lib.cluster.expansion import Point, run_name
from lib.cluster.point_run import state_after, training_arguments
from lib.cluster.sweep_config import Choice, Interval, Setting, SettingKey, StudySearch
from lib.cluster.sweep_folder import SweepFolder
from lib.training.records.journal import JOURNAL_NAME, read_journal

logger = logging.getLogger(__name__)

STUDY_NAME = "study.journal"


def open_study(folder: Path, search: StudySearch, name: str, worker: int = 0) -> optuna.Study:
    """Return the study of a sweep, made by whoever comes first."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        study_name=name,
        storage=JournalStorage(JournalFileBackend(str(folder / STUDY_NAME))),
        # Workers with the same seed would propose the same points.
        sampler=optuna.samplers.TPESampler(seed=search.seed + worker, multivariate=True),
        # Epochs are counted from 1, and the pruner begins at the step that it is given.
        pruner=optuna.pruners.MedianPruner(n_warmup_steps=search.warmup_epochs + 1),
        direction="minimize",
        load_if_exists=True,
    )


def run_worker(folder: SweepFolder, worker: int, processes: int = 1) -> int:
    """Train trials until the study has as many as were asked for.

    Returns:
        0 when the study is done, 75 if the worker was told to stop, the training's code if every trial fails.
    """
    search = folder.sweep.optuna
    assert search is not None
    study = open_study(folder.folder, search, folder.sweep.name, worker)
    note = folder.folder / "points" / f"{worker:04d}" / "trial.json"
    while (trial := _own_trial(study, note) or _next_trial(study, search, note)) is not None:
        code = _train(folder, study, trial, processes)
        if state_after(code) == "stopped":
            return EXIT_REQUEUE
        note.unlink()
        if code != EXIT_DONE and not _any_complete(study):
            return code
    return EXIT_DONE


def _next_trial(study: optuna.Study, search: StudySearch, note: Path) -> optuna.Trial | None:
    """Return a new trial with its settings, or None if there are enough."""
    if len(study.get_trials(deepcopy=False)) >= search.trials:
        return None
    trial = study.ask()
    if trial.number >= search.trials:
        # Another worker asked in the same moment.
        study.tell(trial.number, state=TrialState.FAIL)
        return None
    for key, where in search.space.items():
        _suggest(trial, key, where)
    with atomic_path(note) as path:
        path.write_text(json.dumps(trial.number) + "\n", encoding="utf-8")
    return trial


def _own_trial(study: optuna.Study, note: Path) -> optuna.Trial | None:
    """Return the trial that this worker left when it was stopped, or None."""
    if not note.exists():
        return None
    frozen = study.get_trials()[json.loads(note.read_text(encoding="utf-8"))]
    # A trial that was told just before the worker was killed needs nothing more.
    if frozen.state != TrialState.RUNNING:
        note.unlink()
        return None
    # The public way to a trial by its id is its constructor.
    return optuna.Trial(study, frozen._trial_id)


def _suggest(trial: optuna.Trial, key: SettingKey, where: Interval | Choice) -> None:
    if isinstance(where, Choice):
        # Optuna takes scalars alone; a list travels as its position.
        trial.suggest_categorical(key, list(range(len(where.choice))))
    elif where.integer:
        trial.suggest_int(key, int(where.low), int(where.high), log=where.log)
    else:
        trial.suggest_float(key, where.low, where.high, log=where.log)


def trial_settings(search: StudySearch, parameters: dict[str, object]) -> dict[SettingKey, Setting]:
    """Return the settings that the parameters of a trial stand for."""
    return {
        key: where.choice[int(str(parameters[key]))] if isinstance(where, Choice) else _number(parameters[key])
        for key, where in search.space.items()
    }


def _number(value: object) -> int | float:
    assert isinstance(value, int | float)
    return value


def _train(folder: SweepFolder, study: optuna.Study, trial: optuna.Trial, processes: int) -> int:
    """Train a trial and tell the study how it ended, unless it was stopped."""
    search = folder.sweep.optuna
    assert search is not None
    name = run_name(folder.sweep, trial.number)
    point = Point(trial.number, {**folder.sweep.fixed, **trial_settings(search, trial.params)})
    told = set(study.get_trials()[trial.number].intermediate_values)
    watch = TrialWatch(trial, search, folder.folder / name / JOURNAL_NAME, told)
    arguments = training_arguments(folder.sweep, folder.folder, point, name, processes)
    code = run_child(arguments, watch=watch.look if search.pruning else None)
    if watch.is_pruned:
        study.tell(trial.number, state=TrialState.PRUNED)
        return EXIT_DONE
    if state_after(code) != "stopped":
        best = watch.best()
        failed = code != EXIT_DONE or not math.isfinite(best)
        study.tell(trial.number, None if failed else best, state=TrialState.FAIL if failed else TrialState.COMPLETE)
    return code


@dataclass(eq=False)
class TrialWatch:
    """Follows the journal of a trial's run.

    Attributes:
        trial: Is told the metric of each epoch.
        search: Names the metric.
        journal: The run's journal.
        told: Epochs that the study knows.
        is_pruned: Whether the study wants no more of the trial.
    """

    trial: optuna.Trial
    search: StudySearch
    journal: Path
    told: set[int]
    is_pruned: bool = False

    def look(self) -> bool:
        """Report what is new; return True if the trial shall be ended."""
        for step, value in self._values():
            if math.isfinite(value) and step not in self.told:
                self.trial.report(value, step)
                self.told.add(step)
        self.is_pruned = self.trial.should_prune()
        return self.is_pruned

    def best(self) -> float:
        """Return the smallest value of the metric; infinite without one."""
        return min((value for _, value in self._values() if math.isfinite(value)), default=math.inf)

    def _values(self) -> list[tuple[int, float]]:
        metric = self.search.metric
        records = (record for record in read_journal(self.journal) if metric in record.metrics)
        return [(record.step, record.metrics[metric]) for record in records]


def _any_complete(study: optuna.Study) -> bool:
    return any(trial.state in {TrialState.COMPLETE, TrialState.PRUNED} for trial in study.get_trials(deepcopy=False))
