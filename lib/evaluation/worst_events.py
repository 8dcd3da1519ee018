"""The events that are predicted worst, found while they pass by."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from lib.evaluation.drawing.event_display import DisplayedEvent, draw_event
from lib.evaluation.drawing.figure_file import save_figure
from lib.evaluation.kept_events import KeptEvent, read_kept_events, write_kept_events
from lib.evaluation.raw_events import RawBatch
from lib.evaluation.statistics.residuals import task_residuals
from lib.geometry.sensors import FloatArray

NUM_WORST: Final = 10
FOLDER_NAME: Final = "worst_events"
# Residuals count in units of what a good reconstruction reaches at 52.8 MeV, so that tasks can be compared.
_USUAL: Final = {"energy": 1.5, "time": 60.0, "distance": 6.0, "opening angle": 3.3}


@dataclass(order=True)
class _Ranked:
    score: float
    order: int
    event: DisplayedEvent = field(compare=False)
    reason: str = field(compare=False)


class WorstEvents:
    """Keeps the ten events with the largest residual in any task.

    Residuals count in units of 1.5 % (energy), 60 ps, 6 mm (distance) and 3.3 degrees (opening angle).
    """

    def __init__(self) -> None:
        self._kept: list[_Ranked] = []
        self._seen = 0

    def add(self, batch: RawBatch, predicted: Mapping[str, FloatArray]) -> None:
        """Take in a batch and its predictions by task name."""
        scores = _scores(predicted, batch.true)
        if not scores:
            return
        names = list(scores)
        table = np.nan_to_num(np.stack(list(scores.values()), axis=1), nan=0.0, posinf=0.0, neginf=0.0)
        for row in np.argsort(-table.max(axis=1))[:NUM_WORST].tolist():
            column = int(table[row].argmax())
            event = _displayed(batch, row, predicted.get("uvwFI"))
            self._offer(float(table[row, column]), names[column], event)

    def write(self, folder: Path, run_name: str) -> list[Path]:
        """Write ``worst_events/worst_event_<NN>_<run>.pdf``, the worst first, and return the paths.

        The events themselves go to ``worst_events_<run>.npz`` beside them, for the page of the run.
        """
        ranked = sorted(self._kept, reverse=True)
        paths = [events_path(folder, run_name)]
        write_kept_events(paths[0], [KeptEvent(found.event, found.reason) for found in ranked])
        for rank, found in enumerate(ranked, start=1):
            path = folder / FOLDER_NAME / f"worst_event_{rank:02d}_{run_name}.pdf"
            figure = draw_event(found.event)
            figure.text(0.99, 0.962, found.reason, ha="right", va="center", fontsize=12)
            save_figure(figure, path)
            paths.append(path)
        return paths

    def _offer(self, score: float, name: str, event: DisplayedEvent) -> None:
        self._seen += 1
        if len(self._kept) == NUM_WORST and score <= self._kept[0].score:
            return
        unit = {"energy": "%", "time": "ps", "distance": "mm", "opening angle": "deg"}[name]
        reason = f"worst in {name}: off by {score * _USUAL[name]:.3g} {unit}"
        ranked = _Ranked(score, -self._seen, event, reason)
        push = heapq.heappush if len(self._kept) < NUM_WORST else heapq.heappushpop
        push(self._kept, ranked)


def events_path(folder: Path, run_name: str) -> Path:
    """Return where the worst events of a run are kept."""
    return folder / FOLDER_NAME / f"worst_events_{run_name}.npz"


def read_worst_events(folder: Path, run_name: str) -> list[KeptEvent]:
    """Return the worst events of a run, the worst first; none where none were kept.

    Raises:
        DataError: If their file cannot be read.
    """
    path = events_path(folder, run_name)
    return read_kept_events(path) if path.exists() else []


def _scores(predicted: Mapping[str, FloatArray], true: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return the size of the residuals in their usual units by quantity, shape (N,)."""
    tasks = [task for task in ("angle", "energy", "timing", "uvwFI") if task in predicted]
    residuals = [found for task in tasks for found in task_residuals(task, predicted[task], true[task])]
    return {found.name: np.abs(found.values) / _USUAL[found.name] for found in residuals if found.name in _USUAL}


def _displayed(batch: RawBatch, row: int, predicted_uvw: FloatArray | None) -> DisplayedEvent:
    return DisplayedEvent(
        npho=batch.npho[row].numpy().copy(),
        time=batch.time[row].numpy().copy(),
        run=int(batch.run[row]),
        event=int(batch.event[row]),
        energy_gev=float(batch.true["energy"][row, 0]) if "energy" in batch.true else None,
        uvw=batch.true["uvwFI"][row].astype(np.float64) if "uvwFI" in batch.true else None,
        predicted_uvw=None if predicted_uvw is None else predicted_uvw[row].astype(np.float64),
    )
