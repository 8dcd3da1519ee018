"""Events must come back as they were kept, and other files must be refused."""

from pathlib import Path

import numpy as np
import pytest

from lib.errors import DataError
from lib.evaluation.kept_events import read_kept_events, write_kept_events
from lib.evaluation.worst_events import events_path, read_worst_events
from tests.report.made_run import add_worst


def test_events_come_back_as_they_were_kept(tmp_path: Path) -> None:
    kept = add_worst(tmp_path, "run", "why")
    for one, found in zip(kept, read_worst_events(tmp_path, "run"), strict=True):
        np.testing.assert_array_equal(found.event.npho, one.event.npho)
        np.testing.assert_array_equal(found.event.time, one.event.time)
        assert (found.event.run, found.event.event, found.reason) == (7, 11, "why")
        assert found.event.energy_gev == one.event.energy_gev
        assert (found.event.uvw is None) == (one.event.uvw is None)
        assert (found.event.predicted_uvw is None) == (one.event.predicted_uvw is None)


def test_no_events_can_be_kept(tmp_path: Path) -> None:
    write_kept_events(tmp_path / "none.npz", [])
    assert read_kept_events(tmp_path / "none.npz") == []
    assert read_worst_events(tmp_path, "other") == []


@pytest.mark.parametrize(("name", "shape"), [("npho", (2, 3)), ("uvw", (1, 3)), ("reason", (5,))])
def test_arrays_of_another_shape_are_refused(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    add_worst(tmp_path, "run")
    path = events_path(tmp_path, "run")
    with np.load(path) as archive:
        content = dict(archive) | {name: np.zeros(shape)}
    np.savez(path, **content)
    with pytest.raises(DataError, match=f"{name} has the shape"):
        read_kept_events(path)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    add_worst(tmp_path, "run")
    path = events_path(tmp_path, "run")
    with np.load(path) as archive:
        content = dict(archive) | {"reason": np.array([{}, {}], dtype=object)}
    np.savez(path, **content)
    with pytest.raises(DataError, match="cannot be read"):
        read_kept_events(path)
