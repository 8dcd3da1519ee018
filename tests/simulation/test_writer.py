"""Files must hold the same events however they are divided, and never be half written or mixed up."""

from pathlib import Path

import numpy as np
import pytest
import uproot

from lib.simulation.presets import build_config
from lib.simulation.production import Production, RequestError, produce
from lib.simulation.writer import OutputError, write_file


def production(output: Path, **changes: object) -> Production:
    settings = {
        "config": build_config(),
        "output": output,
        "num_events": 60,
        "seed": 2,
        "run": 7,
        "events_per_file": 60,
        "compression": "lz4",
        "num_processes": 1,
    }
    return Production(**(settings | changes))  # type: ignore[arg-type]


def read_all(folder: Path) -> dict[str, np.ndarray]:
    return uproot.concatenate([f"{path}:tree" for path in sorted(folder.glob("*.root"))], library="np")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    produce(production(folder))
    return folder


@pytest.mark.parametrize("compression", ["zstd", "zlib", "lzma", "none"])
def test_events_do_not_depend_on_the_division_into_files_or_the_codec(
    reference: Path, tmp_path: Path, compression: str
) -> None:
    produce(production(tmp_path, num_events=40, events_per_file=25, compression=compression))
    assert len(list(tmp_path.iterdir())) == 2
    expected = read_all(reference)
    for name, values in read_all(tmp_path).items():
        np.testing.assert_array_equal(values, expected[name][:40], err_msg=name)


def test_events_do_not_depend_on_the_number_of_processes(reference: Path, tmp_path: Path) -> None:
    produce(production(tmp_path, events_per_file=30, num_processes=2))
    expected = read_all(reference)
    for name, values in read_all(tmp_path).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_a_file_may_start_in_the_middle_of_a_block_and_end_in_the_next(tmp_path: Path) -> None:
    produce(production(tmp_path, num_events=510, events_per_file=490))
    np.testing.assert_array_equal(read_all(tmp_path)["event"], np.arange(510))


def test_finished_files_are_left_alone(reference: Path) -> None:
    (path,) = reference.iterdir()
    before = path.stat().st_mtime_ns
    produce(production(reference))
    assert path.stat().st_mtime_ns == before


def test_a_file_with_other_events_is_refused(reference: Path) -> None:
    with pytest.raises(OutputError, match=r"other settings .*seed: 2 there, 3 now"):
        produce(production(reference, seed=3))


def test_a_file_of_another_origin_is_refused(tmp_path: Path) -> None:
    (task,) = production(tmp_path).tasks()
    task.path.write_text("notes")
    with pytest.raises(OutputError, match="not a file of the simulation"):
        task.is_done()


def test_an_interrupted_file_leaves_no_trace(tmp_path: Path) -> None:
    (task,) = production(tmp_path, num_events=1000, events_per_file=1000).tasks()
    writing = write_file(task)
    next(writing)
    writing.close()
    assert not list(tmp_path.iterdir())


def test_an_output_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("")
    (task,) = production(place).tasks()
    with pytest.raises(OutputError, match="cannot be written"):
        list(write_file(task))


@pytest.mark.parametrize(
    ("key", "option"),
    [("num_events", "--events"), ("events_per_file", "--events-per-file"), ("num_processes", "--processes")],
)
def test_numbers_without_sense_are_refused(tmp_path: Path, key: str, option: str) -> None:
    with pytest.raises(RequestError, match=f"{option}: expected a number from 1 on, got 0"):
        production(tmp_path, **{key: 0})
