"""The macro must draw any event of a file, and refuse what it cannot draw in words."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import uproot

from lib.errors import DataError, UserError
from lib.evaluation.drawing.event_reading import read_event
from macro.show_event import main

NUM_EVENTS = 3
ROOT_FOLDER = Path(__file__).parents[2]


def write_file(path: Path, *, truth: bool = True, dead: bool = False) -> Path:
    rng = np.random.default_rng(5)
    branches = {
        "npho": rng.exponential(100.0, (NUM_EVENTS, 4760)).astype(np.float32),
        "time": rng.normal(5e-9, 1e-9, (NUM_EVENTS, 4760)).astype(np.float32),
        "run": np.full(NUM_EVENTS, 7),
        "event": np.arange(100, 100 + NUM_EVENTS),
    }
    if truth:
        branches["energyTruth"] = np.full(NUM_EVENTS, 0.05283, np.float32)
        branches["uvwTruth"] = np.tile(np.array([1, 2, 3], np.float32), (NUM_EVENTS, 1))
    if dead:
        branches["dead"] = np.zeros((NUM_EVENTS, 4760), np.uint8)
        branches["dead"][:, [3, 4200]] = 1
    with uproot.recreate(path) as file:
        file.mktree("tree", {name: (values.dtype, values.shape[1:]) for name, values in branches.items()})
        file["tree"].extend(branches)
    return path


@pytest.fixture(scope="module")
def data_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_file(tmp_path_factory.mktemp("data") / "events.root")


def test_an_event_is_read_with_its_truth(data_file: Path) -> None:
    event = read_event(data_file, 2, "tree")
    assert (event.run, event.event) == (7, 102)
    assert event.energy_gev == pytest.approx(0.05283)
    np.testing.assert_array_equal(event.uvw, [1, 2, 3])
    assert event.npho.shape == event.time.shape == (4760,)
    assert not np.array_equal(event.npho, read_event(data_file, 1, "tree").npho)


def test_real_data_without_truth_and_with_dead_channels_are_read(tmp_path: Path) -> None:
    event = read_event(write_file(tmp_path / "data.root", truth=False, dead=True), 0, "tree")
    assert event.energy_gev is None
    assert event.uvw is None
    np.testing.assert_array_equal(np.flatnonzero(event.dead), [3, 4200])


@pytest.mark.parametrize("suffix", [".png", ".pdf"])
def test_a_figure_is_written(data_file: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / f"event{suffix}"
    assert main([str(data_file), "--event", "1", "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"wrote {output}\n"
    assert output.stat().st_size > 10_000


@pytest.mark.parametrize("entry", [-1, NUM_EVENTS])
def test_an_event_out_of_range_is_refused_with_the_range(data_file: Path, entry: int) -> None:
    with pytest.raises(DataError, match=rf"no event {entry}; the tree 'tree' holds the events 0-2"):
        read_event(data_file, entry, "tree")


def test_a_missing_file_and_a_missing_tree_are_refused(data_file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.root: no such file"):
        read_event(tmp_path / "nowhere.root", 0, "tree")
    with pytest.raises(DataError, match="no tree 'tre'; nearest: tree"):
        read_event(data_file, 0, "tre")


def test_a_wrong_suffix_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"event.gif: cannot write a figure as '.gif'"):
        main([str(tmp_path / "nowhere.root"), "--output", str(tmp_path / "event.gif")])


@pytest.mark.parametrize("command", [["macro/show_event.py"], ["-m", "macro.show_event"]])
def test_the_macro_runs_as_script_and_as_module_and_exits_with_2(command: list[str], tmp_path: Path) -> None:
    arguments = [sys.executable, *command, str(tmp_path / "nowhere.root")]
    finished = subprocess.run(arguments, cwd=ROOT_FOLDER, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert finished.stderr.startswith("error: ")
    assert "Traceback" not in finished.stderr
