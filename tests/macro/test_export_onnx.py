"""The macro must start either way, tell what it wrote, and meet a user's mistake with one message."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lib.cli.entry import run_command
from lib.errors import CheckpointError
from lib.export import model_export
from lib.export.metadata import ModelMetadata, OutputDescription
from lib.export.model_export import ExportOptions, ExportReport
from lib.tasks import restore
from lib.training.records import model_registration
from macro.export_onnx import main

ROOT_FOLDER = Path(__file__).parents[2]
OUTPUTS = (
    OutputDescription("energy", ("energy",), "GeV", "energyTruth"),
    OutputDescription("uvwFI", ("u", "v", "w"), "cm", "uvwTruth"),
)


@pytest.mark.parametrize("program", [["macro/export_onnx.py"], ["-m", "macro.export_onnx"]])
def test_help_is_given_either_way_it_is_called(program: list[str]) -> None:
    command = [sys.executable, *program, "--help"]
    result = subprocess.run(command, cwd=ROOT_FOLDER, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "usage: python macro/export_onnx.py" in result.stdout


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds of its run."""

    kind: str = "regressor"
    run_key: str = "key"
    config: dict[str, Any] = field(default_factory=lambda: {"mlflow": {"experiment": "night"}})


@dataclass(frozen=True)
class Trained:
    """A restored model."""

    path: Path
    averaged: bool
    checkpoint: Saved = field(default_factory=Saved)


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Trained, ExportOptions]]:
    """Replace reading and exporting; what was read, and the options of each export."""
    seen: list[tuple[Trained, ExportOptions]] = []

    def export(trained: Trained, path: Path, options: ExportOptions) -> ExportReport:
        seen.append((trained, options))
        metadata = ModelMetadata("regressor", ("npho", "time"), OUTPUTS, "tree", "npho", "time", {}, "", "", "", {})
        return ExportReport(path, 2_400_000, metadata, {"energy": 3e-7, "uvwFI": 2.0e-6})

    monkeypatch.setattr(restore, "load_trained", Trained)
    monkeypatch.setattr(model_export, "export_model", export)
    return seen


def test_the_summary_names_outputs_units_and_differences(
    exports: list[tuple[Trained, ExportOptions]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["best.pth", "--output", "model.onnx", "--tasks", "energy", "uvwFI"]) == 0
    assert exports == [(Trained(Path("best.pth"), averaged=True), ExportOptions(tasks=["energy", "uvwFI"]))]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("model.onnx: 2.4 MB; ")
    assert lines[1].split() == ["energy", "energy", "GeV", "3.0e-07"]
    assert lines[2].split() == ["uvwFI", "u,", "v,", "w", "cm", "2.0e-06"]


def test_the_last_weights_are_taken_on_request(exports: list[tuple[Trained, ExportOptions]]) -> None:
    assert main(["best.pth", "--output", "model.onnx", "--no-ema"]) == 0
    assert exports == [(Trained(Path("best.pth"), averaged=False), ExportOptions(tasks=[]))]


def test_inpainter_precision_and_opset_are_handed_on(exports: list[tuple[Trained, ExportOptions]]) -> None:
    words = ["--inpainter", "inpainter.pth", "--precision", "fp16", "--opset", "21", "--no-ema"]
    assert main(["best.pth", "--output", "model.onnx", *words]) == 0
    ((_, options),) = exports
    assert (options.precision, options.opset) == ("fp16", 21)
    assert options.inpainter == Trained(Path("inpainter.pth"), averaged=False)


def test_the_file_is_registered_on_request_with_the_run_of_its_checkpoint(
    exports: list[tuple[Trained, ExportOptions]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr(model_registration, "register_export", lambda *words: seen.append(words) or "4")
    assert main(["best.pth", "--output", "model.onnx", "--register"]) == 0
    assert seen == [(Path("model.onnx"), "key", "night", "night_regressor")]
    assert capsys.readouterr().out.splitlines()[-1] == "version 4 of night_regressor in MLflow"


def test_int8_is_refused(exports: list[tuple[Trained, ExportOptions]], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, ["best.pth", "--output", "model.onnx", "--precision", "int8"]) == 2
    assert "Precision int8 is refused" in capsys.readouterr().err
    assert exports == []


def test_a_missing_checkpoint_gives_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [str(tmp_path / "missing.pth"), "--output", str(tmp_path / "model.onnx")]
    assert run_command(main, command) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/missing.pth: no such checkpoint")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(CheckpointError, match=r"cut\.pth: not a checkpoint of this suite, or cut short"):
        main([str(tmp_path / "cut.pth"), "--output", str(tmp_path / "model.onnx")])
    assert not (tmp_path / "model.onnx").exists()
