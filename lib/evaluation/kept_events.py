"""Some events as they were measured, kept in a run's folder so that they can be drawn again without the data."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lib.atomic import atomic_path
from lib.errors import DataError
from lib.evaluation.drawing.event_display import DisplayedEvent
from lib.geometry.sensors import NUM_SENSORS, FloatArray

_WIDTHS: Final = {"npho": (NUM_SENSORS,), "time": (NUM_SENSORS,), "uvw": (3,), "predicted_uvw": (3,)}
_NAMES: Final = (*_WIDTHS, "run", "event", "energy", "reason")


@dataclass(frozen=True, eq=False)
class KeptEvent:
    """An event, and why it was kept."""

    event: DisplayedEvent
    reason: str


def write_kept_events(path: Path, kept: Sequence[KeptEvent]) -> None:
    """Write events as one NumPy archive; truth that is unknown becomes NaN."""
    events = [one.event for one in kept]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            npho=np.array([event.npho for event in events], np.float32).reshape(-1, NUM_SENSORS),
            time=np.array([event.time for event in events], np.float32).reshape(-1, NUM_SENSORS),
            run=np.array([event.run for event in events], np.int64),
            event=np.array([event.event for event in events], np.int64),
            energy=np.array([np.nan if event.energy_gev is None else event.energy_gev for event in events]),
            uvw=_points([event.uvw for event in events]),
            predicted_uvw=_points([event.predicted_uvw for event in events]),
            reason=np.array([one.reason for one in kept], dtype=np.str_),
        )


def read_kept_events(path: Path) -> list[KeptEvent]:
    """Return what ``write_kept_events`` wrote.

    Raises:
        DataError: If the file holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in _NAMES}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read ({error}). Remove it to report without these events.") from error
    count = len(found["run"])
    for name, values in found.items():
        expected = (count, *_WIDTHS.get(name, ()))
        if values.shape != expected:
            raise DataError(f"{path}: {name} has the shape {values.shape}, expected {expected}. Remove the file.")
    return [
        KeptEvent(
            DisplayedEvent(
                npho=found["npho"][row],
                time=found["time"][row],
                run=int(found["run"][row]),
                event=int(found["event"][row]),
                energy_gev=float(found["energy"][row]) if np.isfinite(found["energy"][row]) else None,
                uvw=_point(found["uvw"][row]),
                predicted_uvw=_point(found["predicted_uvw"][row]),
            ),
            str(found["reason"][row]),
        )
        for row in range(count)
    ]


def _points(points: Sequence[FloatArray | None]) -> FloatArray:
    """Return points as rows, shape (N, 3), NaN where unknown."""
    return np.array([np.full(3, np.nan) if point is None else point for point in points]).reshape(-1, 3)


def _point(row: FloatArray) -> FloatArray | None:
    return row if np.isfinite(row).all() else None
