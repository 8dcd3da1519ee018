"""The benchmark must measure the function that it names, and print every number that the documentation promises."""

import json
from pathlib import Path

import numpy as np
import pytest

from lib.cli.entry import run_command
from lib.export.cpp_program import write_readings
from lib.export.model_export import ExportOptions, ExportReport, exportable
from lib.export.odd_events import FloatArray
from lib.export.physical_regressor import PhysicalRegressor
from lib.export.session import ExportedModel
from lib.tasks.restore import load_trained
from macro import benchmark_inference
from macro.benchmark_inference import Bench, main, parity_rows

NAMES = [
    "onnx.latency_ms.batch1",
    "onnx.events_per_s.batch8",
    "onnx.events_per_s.batch64",
    "cpp.events_per_s.batch8",
    "parity.python",
    "parity.cpp",
    "infer.events_per_s",
    "infer_loss",
]


@pytest.fixture(scope="module")
def bench(report: ExportReport, regressor_checkpoint: Path) -> Bench:
    model = exportable(load_trained(regressor_checkpoint), ExportOptions()).eval()
    assert isinstance(model, PhysicalRegressor)
    exported = ExportedModel.open(report.path, num_threads=1, use_gpu=False)
    return Bench(model, exported, exported, report.path, threads=1, repeat=1)


def test_every_number_is_printed_with_what_it_is_compared_with(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark_inference, "build", lambda *_: bench)
    assert main(["--events", "24", "--threads", "1", "--repeat", "1", "--json"]) == 0
    rows = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert list(rows) == NAMES
    # Of so few events reading takes about as long as nothing.
    assert rows.pop("infer_loss")["value"] < 100
    assert all(row["value"] > 0 and row["reference"] > 0 for row in rows.values())
    assert max(rows["parity.python"]["value"], rows["parity.cpp"]["value"]) <= 1e-5
    assert rows["infer.events_per_s"]["n"] == 24


def test_a_form_that_differs_shows(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_others(path: Path, npho: FloatArray, time: FloatArray) -> Path:
        return write_readings(path, npho * np.float32(1.01), time)

    monkeypatch.setattr(benchmark_inference, "write_readings", write_others)
    rows = {row.name: row.value for row in parity_rows(bench, 9, tmp_path)}
    assert rows["parity.python"] <= 1e-5 < rows["parity.cpp"]


def test_an_unknown_preset_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, ["--preset", "bsae"]) == 2
    assert "no such preset; nearest: base" in capsys.readouterr().err
