"""Folders of runs, made by hand."""

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from lib.evaluation.drawing.event_display import DisplayedEvent
from lib.evaluation.face_weights import weights_path, write_face_weights
from lib.evaluation.kept_events import KeptEvent, write_kept_events
from lib.evaluation.prediction_table import EventColumns, prediction_tables
from lib.evaluation.statistics.resolution import Quantile
from lib.evaluation.worst_events import events_path
from lib.training.records.journal import Journal
from lib.training.records.run_identity import RunIdentity, save_identity

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"
PARAMETERS = {"training.grad_clip": "1.0", "training.lr": "0.5", "data.train_path": "events"}


def make_run(
    folder: Path,
    *,
    name: str = "run",
    status: str = "FINISHED",
    epochs: int = 3,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Write identity and journal of a run whose losses fall; ``metrics`` are added to each epoch."""
    identity = RunIdentity("xec", name, "key", PARAMETERS, {"kind": "regressor", **(tags or {})})
    folder.mkdir(parents=True, exist_ok=True)
    save_identity(folder, identity, status)
    journal = Journal(folder)
    for epoch in range(1, epochs + 1):
        usual = {"train/loss": 2.0 / epoch, "val/loss": 2.2 / epoch, "train/events_per_second": 100.0}
        journal.append(epoch, {**usual, "grad_norm_p50": 0.5, "train/data_wait_share": 0.05, **(metrics or {})})
    return folder


def add_predictions(
    folder: Path, name: str, num_events: int = 400, *, width: float = 0.02, sigma: float | None = None
) -> None:
    """Write a table of energies that are known to 2 %, with predicted errors of ``sigma`` GeV."""
    rng = np.random.default_rng(1)
    true = rng.uniform(0.04, 0.06, (num_events, 1))
    predicted = {"energy": true * (1 + width * rng.standard_normal((num_events, 1)))}
    if sigma is not None:
        predicted["energy_sigma"] = np.full((num_events, 1), sigma)
    numbers = np.arange(num_events)
    with prediction_tables(folder, name, ["energy"]) as tables:
        tables.write(EventColumns(numbers, numbers, predicted, {"energy": true}))


def add_conventional(folder: Path, name: str) -> None:
    """Write energies of the same events as ``add_predictions``, known to 4 %."""
    (folder / "conventional").mkdir()
    add_predictions(folder / "conventional", name, width=0.04)


def add_face_weights(folder: Path, name: str) -> None:
    """Write how far energies move without the inner and without the outer face."""
    changes = {"inner": (Quantile(40.0, 1.0), "%"), "outer": (Quantile(4.0, 0.5), "%")}
    write_face_weights(weights_path(folder, name), {"energy: energy": changes})


def add_worst(folder: Path, name: str, reason: str = "worst in energy: off by 9 %") -> list[KeptEvent]:
    """Keep two events, one of them without truth and with dead channels, and return them."""
    rng = np.random.default_rng(2)
    npho = rng.exponential(100.0, 4760).astype(np.float32)
    time = rng.normal(5e-9, 1e-9, 4760).astype(np.float32)
    time[:100] = 1e10
    known = DisplayedEvent(npho, time, 7, 11, 0.0528, np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.5, 3.5]))
    npho = npho.copy()
    npho[[3, 4700]] = 1e10
    kept = [
        KeptEvent(known, reason),
        KeptEvent(replace(known, npho=npho, energy_gev=None, uvw=None, predicted_uvw=None), reason),
    ]
    events_path(folder, name).parent.mkdir()
    write_kept_events(events_path(folder, name), kept)
    return kept


def add_skip(folder: Path, reason: str = "loss or gradient not finite") -> None:
    """Write down a skipped step."""
    (folder / "skipped_steps").mkdir()
    content = {"step": 12, "reason": reason, "grad_norm": "nan", "loss": 1.5, "first_module_not_finite": "encoder"}
    (folder / "skipped_steps" / "step_00000012.json").write_text(json.dumps(content))


def add_rollback(folder: Path) -> None:
    """Write down a return to an older state."""
    (folder / "rollbacks").mkdir()
    content = {"step": 40, "to_step": 20, "reason": "the loss rose", "passed_over": 3}
    (folder / "rollbacks" / "step_00000040.json").write_text(json.dumps(content))


def add_ledger(folder: Path, path: str = "events.root", quarantined: int = 0) -> None:
    """Write where the events of one file went."""
    with (folder / "event_ledger.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["split", "path", "read", "used", "cut", "quarantined"])
        writer.writerow(["train", path, 1000, 990 - quarantined, 10, quarantined])
