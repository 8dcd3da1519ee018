"""A run as its folder tells it: identity, metrics, skips, rollbacks, ledger, profile, predictions and worst events."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lib.data.choice.quarantine import LedgerRow
from lib.errors import DataError
from lib.evaluation.face_weights import read_face_weights, weights_path
from lib.evaluation.kept_events import KeptEvent
from lib.evaluation.prediction_table import evaluate_tables, find_tables
from lib.evaluation.reference import FOLDER_NAME as CONVENTIONAL_FOLDER
from lib.evaluation.statistics.resolution import Quantile, ResolutionSummary
from lib.evaluation.task_evaluation import TaskEvaluation
from lib.evaluation.worst_events import read_worst_events
from lib.training.machine.profiler import TABLE_NAME
from lib.training.records.journal import JOURNAL_NAME, Record, read_journal
from lib.training.records.recorder import ROLLBACK_FOLDER, SKIPPED_FOLDER
from lib.training.records.run_identity import RunIdentity, load_identity
from lib.training.saving.checkpoint import BEST_NAME, Checkpoint

LEDGER_NAME: Final = "event_ledger.csv"


@dataclass(frozen=True)
class Incident:
    """A skipped step, or a return to an older state.

    Attributes:
        step: Optimizer step, from 0.
        reason: Why, in words.
        detail: What else was written down of it.
    """

    step: int
    reason: str
    detail: str


@dataclass(frozen=True, eq=False)
class RunFolder:
    """A run.

    Attributes:
        folder: Where everything about it lies.
        identity: Name, settings and tags.
        status: RUNNING, FINISHED, FAILED or KILLED.
        records: Metrics of each epoch, at least one.
        skips: Skipped steps in order.
        rollbacks: Returns to an older state in order.
        ledger: Where the events of each file went, with the split of each.
        profile: Table of the parts of a step; empty where none was measured.
        num_parameters: Weights of the model; None without checkpoint.
        tasks: Evaluation of the predictions by task; empty where there are none.
        conventional: The same of the conventional reconstruction of the same events; empty where it was not run.
        face_weights: Change of each prediction when a face is not read, by quantity and face; empty where not measured.
        worst: Events that were predicted worst; empty where none were kept.
    """

    folder: Path
    identity: RunIdentity
    status: str
    records: Sequence[Record]
    skips: Sequence[Incident]
    rollbacks: Sequence[Incident]
    ledger: Sequence[tuple[str, LedgerRow]]
    profile: str
    num_parameters: int | None
    tasks: Mapping[str, TaskEvaluation]
    conventional: Mapping[str, TaskEvaluation]
    face_weights: Mapping[str, Mapping[str, tuple[Quantile, str]]]
    worst: Sequence[KeptEvent]

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.identity.run_name

    @property
    def kind(self) -> str:
        """What is trained: mae, regressor or inpainter."""
        return self.identity.tags.get("kind", "unknown")

    @property
    def last(self) -> Mapping[str, float]:
        """Metrics of the last epoch."""
        return self.records[-1].metrics

    @property
    def best(self) -> Record:
        """Epoch of the lowest validation loss."""
        return min(self.records, key=lambda record: _or_infinite(record.metrics.get("val/loss", math.nan)))

    def curve(self, metric: str) -> list[float]:
        """Return a metric of each epoch, NaN where it is missing."""
        return [record.metrics.get(metric, math.nan) for record in self.records]

    def resolutions(self) -> list[ResolutionSummary]:
        """Return the resolution of every quantity that was predicted."""
        return [summary for task in self.tasks.values() for summary in task.summaries()]

    def conventional_resolutions(self) -> list[ResolutionSummary]:
        """Return the resolution of every quantity that was reconstructed conventionally."""
        return [summary for task in self.conventional.values() for summary in task.summaries()]


def read_run(folder: Path) -> RunFolder:
    """Return the run of a folder.

    Raises:
        DataError: If the folder holds no run, or no finished epoch, or a file of it cannot be read.
    """
    identity, status = load_identity(folder)
    records = read_journal(folder / JOURNAL_NAME)
    if not records:
        raise DataError(f"{folder / JOURNAL_NAME}: holds no finished epoch, so there is nothing to report yet.")
    return RunFolder(
        folder=folder,
        identity=identity,
        status=status,
        records=records,
        skips=[_skip(one) for one in _incidents(folder / SKIPPED_FOLDER)],
        rollbacks=[_rollback(one) for one in _incidents(folder / ROLLBACK_FOLDER)],
        ledger=_ledger(folder / LEDGER_NAME),
        profile=_text(folder / TABLE_NAME),
        num_parameters=_num_parameters(folder / BEST_NAME),
        tasks=_tasks(folder, identity.run_name),
        conventional=_tasks(folder / CONVENTIONAL_FOLDER, identity.run_name),
        face_weights=read_face_weights(weights_path(folder, identity.run_name)),
        worst=read_worst_events(folder, identity.run_name),
    )


def run_labels(runs: Sequence[RunFolder]) -> list[str]:
    """Return what tells runs apart on one page: their names, or their folders where two have the same name."""
    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return names
    folders = [str(run.folder) for run in runs]
    return [
        name if names.count(name) == 1 else f"{name} ({folder})" + f" #{number}" * (folders.count(folder) > 1)
        for number, (name, folder) in enumerate(zip(names, folders, strict=True), start=1)
    ]


def _incidents(folder: Path) -> list[dict[str, object]]:
    found = []
    for path in sorted(folder.glob("step_*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read ({error}). Remove it to report without it.") from error
        if not (isinstance(content, dict) and isinstance(content.get("step"), int)):
            raise DataError(f"{path}: expected an object with the number of a step. Remove it to report without it.")
        found.append(content)
    return found


def _skip(content: Mapping[str, object]) -> Incident:
    detail = f"gradient norm {content.get('grad_norm')}, loss {content.get('loss')}"
    module = content.get("first_module_not_finite")
    return Incident(_step(content), str(content.get("reason")), detail + (f", first in {module}" if module else ""))


def _rollback(content: Mapping[str, object]) -> Incident:
    detail = f"back to step {content.get('to_step')}, {content.get('passed_over')} batches passed over"
    return Incident(_step(content), str(content.get("reason")), detail)


def _step(content: Mapping[str, object]) -> int:
    return int(str(content["step"]))


def _ledger(path: Path) -> list[tuple[str, LedgerRow]]:
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                (
                    row["split"],
                    LedgerRow(row["path"], *(int(row[key]) for key in ("read", "used", "cut", "quarantined"))),
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is no ledger of events ({error!r}). Remove it to report without it.") from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _num_parameters(best: Path) -> int | None:
    """Return how many floating-point values the best model has; integer maps of sensors are no weights."""
    if not best.exists():
        return None
    model = Checkpoint.load(best).model
    return sum(tensor.numel() for tensor in model.values() if tensor.is_floating_point())


def _tasks(folder: Path, run_name: str) -> Mapping[str, TaskEvaluation]:
    if not any(folder.glob(f"predictions_*_{run_name}.csv")):
        return {}
    return evaluate_tables(find_tables(folder, run_name)).tasks


def _or_infinite(value: float) -> float:
    return value if math.isfinite(value) else math.inf
