"""Watches the validation of a regressor: resolutions after each epoch, predictions and figures at the end."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lib.atomic import atomic_path
from lib.data.batch import EventBatch
from lib.evaluation.figure_file import save_figure
from lib.evaluation.figures import draw_resolutions
from lib.evaluation.predictions import TaskPredictions
from lib.evaluation.residuals import task_residuals
from lib.evaluation.resolution import quantile_68
from lib.geometry.coordinates import emission_vector, opening_angle
from lib.tasks.targets import Target
from lib.training.protocol import StepOutput


class ResolutionObserver:
    """Collects predictions and truth of one validation at a time.

    Args:
        targets: What the regressor learns.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = [target for target in targets if target.transform != "classes"]
        self._rows: list[dict[str, Tensor]] = []
        self._last: dict[str, TaskPredictions] = {}

    def validation_batch(self, batch: EventBatch, output: StepOutput) -> None:
        """Take in one batch; rows that only fill it up are left out."""
        real = batch.weight > 0
        columns = {"run": batch.run, "event": batch.event}
        for target in self._targets:
            columns[f"predicted {target.name}"] = output.outputs[target.name]
            columns[f"true {target.name}"] = batch.truth[target.branch]
        self._rows.append({name: values[real].cpu() for name, values in columns.items()})

    def validation_end(self, epoch: int) -> dict[str, float]:  # noqa: ARG002 - the same for every epoch
        """Return the 68th percentiles of the residuals, in the units of the targets (degrees, GeV, s, cm)."""
        columns = {name: torch.cat([rows[name] for rows in self._rows]).numpy() for name in self._rows[0]}
        self._rows = []
        self._last = {
            target.name: TaskPredictions(
                target,
                run=columns["run"],
                event=columns["event"],
                predicted=columns[f"predicted {target.name}"],
                true=columns[f"true {target.name}"],
            )
            for target in self._targets
        }
        metrics: dict[str, float] = {}
        for predictions in self._last.values():
            metrics |= resolution_metrics(predictions)
        return metrics

    def write(self, folder: Path, run_name: str) -> list[Path]:
        """Write predictions and a figure of each target, of the validation that ended last."""
        paths = []
        for name, predictions in self._last.items():
            table = folder / f"predictions_{name}_{run_name}.csv"
            write_predictions(predictions, table)
            figure = folder / f"resolution_{name}_{run_name}.pdf"
            quantities = task_residuals(name, predictions.predicted, predictions.true)
            save_figure(draw_resolutions(f"{name}, {run_name}", quantities), figure)
            paths += [table, figure]
        return paths


def resolution_metrics(predictions: TaskPredictions) -> dict[str, float]:
    """Return what is logged of one target after each validation."""
    residual = predictions.predicted - predictions.true
    match predictions.target.name:
        case "angleVec":
            return {"vector_res_68pct_deg": quantile_68(opening_angle(predictions.predicted, predictions.true)).value}
        case "angle":
            psi = opening_angle(emission_vector(predictions.predicted), emission_vector(predictions.true))
            return {"val_resolution_deg": quantile_68(psi).value}
        case "uvwFI":
            axes = {f"{axis}_res_68pct": quantile_68(residual[:, i]).value for i, axis in enumerate("uvw")}
            return {**axes, "uvw_dist_68pct": quantile_68(np.linalg.norm(residual, axis=1)).value}
    return {f"{predictions.target.name}_res_68pct": quantile_68(residual[:, 0]).value}


def write_predictions(predictions: TaskPredictions, path: Path) -> None:
    """Write one line per event: run, event, then truth and prediction of each component."""
    labels = predictions.target.labels
    columns = [predictions.run, predictions.event, *predictions.true.T, *predictions.predicted.T]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["run", "event", *(f"true_{label}" for label in labels), *(f"pred_{label}" for label in labels)]
        )
        writer.writerows(zip(*(column.tolist() for column in columns), strict=True))
