"""Writes small ROOT files of the detector's layout."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from numpy.typing import NDArray

from lib.data.branches import NO_VALUE, TRUTH_WIDTHS


def make_events(count: int, *, first_event: int = 0, run: int = 1) -> dict[str, NDArray[Any]]:
    """Random events whose photon count in sensor 0 is 1000 + the event number, so that each can be recognized."""
    rng = np.random.default_rng([run, first_event])
    npho = rng.exponential(60.0, (count, 4760)).astype(np.float32)
    npho[:, 0] = 1000.0 + np.arange(first_event, first_event + count)
    npho[:, 7] = NO_VALUE
    time = rng.normal(0.0, 2e-8, (count, 4760)).astype(np.float32)
    time[:, 8] = NO_VALUE
    truth = {
        name: rng.normal(size=(count, width) if width > 1 else count).astype(np.float32)
        for name, width in TRUTH_WIDTHS.items()
    }
    truth["uvwTruth"][:, 2] += 10.0
    numbers = {"run": np.full(count, run), "event": np.arange(first_event, first_event + count)}
    return {"npho": npho, "time": time, **truth, **numbers}


def write_root(
    path: Path, events: dict[str, Any], *, tree: str = "tree", basket: int = 40, compression: Any = None
) -> Path:
    """Write events as a TTree with ``basket`` events per basket."""
    count = len(events["npho"]) if "npho" in events else len(next(iter(events.values())))
    with uproot.recreate(path, compression=compression) as file:
        if count == 0:
            file.mktree(tree, {name: (values.dtype, values.shape[1:]) for name, values in events.items()})
            return path
        for start in range(0, count, basket):
            rows = {name: values[start : start + basket] for name, values in events.items()}
            if start == 0:
                file.mktree(tree, {name: _branch_type(values) for name, values in events.items()})
            file[tree].extend(rows)
    return path


def change_bytes(path: Path, place: int, content: bytes) -> None:
    """Overwrite a few bytes and keep the time of change, as a failing disk does."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _branch_type(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return (values.dtype, values.shape[1:])
    return values.type.content
