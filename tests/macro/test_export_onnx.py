"""The macro must start either way, tell what it wrote, and meet a user's mistake with one message."""

import subprocess
import sys
from pathlib import Path

import pytest

from lib.cli.entry import run_command
from lib.errors import CheckpointError
from lib.export import regressor_export
from lib.export.metadata import ModelMetadata, OutputDescription
from lib.export.regressor_export import ExportReport
from lib.tasks import restore
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


def test_the_summary_names_outputs_units_and_differences(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seen: list[object] = []

    def export(trained: object, path: Path, *, tasks: list[str]) -> ExportReport:
        seen.extend([trained, path, tasks])
        metadata = ModelMetadata("regressor", OUTPUTS, "tree", "npho", "time", {}, "", "", "", {})
        return ExportReport(path, 2_400_000, metadata, {"energy": 3e-7, "uvwFI": 2.0e-6})

    monkeypatch.setattr(restore, "load_trained", lambda path: f"trained from {path.name}")
    monkeypatch.setattr(regressor_export, "export_regressor", export)
    output = tmp_path / "model.onnx"
    assert main(["best.pth", "--output", str(output), "--tasks", "energy", "uvwFI"]) == 0
    assert seen == ["trained from best.pth", output, ["energy", "uvwFI"]]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{output}: 2.4 MB; ")
    assert lines[1].split() == ["energy", "energy", "GeV", "3.0e-07"]
    assert lines[2].split() == ["uvwFI", "u,", "v,", "w", "cm", "2.0e-06"]


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
