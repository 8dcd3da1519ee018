"""Predictions go to the disk as they come: a hundred times as many take no more memory."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from lib.export.metadata import ModelMetadata, OutputDescription
from lib.export.prediction_writer import prediction_file

ROOT_FOLDER = Path(__file__).parents[2]
METADATA = ModelMetadata(
    "regressor", ("npho", "time"), (OutputDescription("energy", ("energy",), "GeV", "energyTruth"),),
    "tree", "npho", "time", {}, "", "", "", {},
)  # fmt: skip
BATCH = 1000
# Prints the kilobytes that its process took at most.
PROGRAM = """
import resource, sys
from pathlib import Path
from tests.export.test_flat_predictions import write_rows
write_rows(Path(sys.argv[1]), int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def write_rows(path: Path, rows: int) -> None:
    with prediction_file(path, METADATA) as writer:
        for first in range(0, rows, BATCH):
            event = np.arange(first, first + BATCH)
            writer.write(np.zeros(BATCH, dtype=np.int64), event, {"energy": event[:, None].astype(np.float32)})


def peak_bytes(path: Path, rows: int) -> int:
    tracemalloc.start()
    write_rows(path, rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_ten_times_the_rows_take_no_more_memory(tmp_path: Path) -> None:
    # What is imported at the first file is no part of it.
    write_rows(tmp_path / "p.root", 20_000)
    few, many = (peak_bytes(tmp_path / "p.root", rows) for rows in (20_000, 200_000))
    # Rows that stayed would be 3.6 MB more.
    assert many < few + 500_000


@pytest.mark.slow
def test_ten_million_rows_take_the_memory_of_a_hundred_thousand(tmp_path: Path) -> None:
    def peak_kilobytes(rows: int) -> int:
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path / "p.root"), str(rows)]
        return int(subprocess.run(command, cwd=ROOT_FOLDER, check=True, capture_output=True, text=True).stdout)

    assert peak_kilobytes(10_000_000) < 1.05 * peak_kilobytes(100_000)
