"""Dead sensors must be those that the file names, and on request those without a value."""

from pathlib import Path

import numpy as np
import pytest
import uproot

from lib.data.trees.schema import BranchPlan, check_files
from lib.export.event_input import EventInput, entry_ranges


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("recover", [False, True])
def test_dead_sensors_are_named_or_without_value(tmp_path: Path, named: bool, recover: bool) -> None:
    npho = np.ones((3, 4760), np.float32)
    npho[1, 7], npho[2, 8] = 1e10, np.nan
    branches = {"npho": npho, "time": np.zeros_like(npho)}
    expected = np.zeros((3, 4760), np.bool_)
    if named:
        branches["dead"] = np.zeros((3, 4760), np.uint8)
        branches["dead"][0, 5] = expected[0, 5] = True
    if recover:
        expected[1, 7] = expected[2, 8] = True
    with uproot.recreate(tmp_path / "x.root") as file:
        file.mktree("tree", {name: (values.dtype, values.shape[1:]) for name, values in branches.items()})
        file["tree"].extend(branches)
    plan = BranchPlan("tree", "npho", "time")
    files = check_files([tmp_path / "x.root"], plan)
    source = EventInput(files, plan, keep=[], dead=True, recover=recover)
    parts = list(source.read_all(entry_ranges(files, 2), threads=1))
    assert [len(part) for part in parts] == [2, 1]
    np.testing.assert_array_equal(np.concatenate([part.dead for part in parts]), expected)


def test_ranges_never_span_two_files() -> None:
    class File:
        num_entries = 5

    ranges = entry_ranges([File(), File()], 3)
    assert [(it.number, it.file_index, it.start, it.stop) for it in ranges] == [
        (0, 0, 0, 3),
        (1, 0, 3, 5),
        (2, 1, 0, 3),
        (3, 1, 3, 5),
    ]
