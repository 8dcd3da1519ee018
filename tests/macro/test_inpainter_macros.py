"""The macros about inpainters give the promised files, from a checkpoint and from its rows alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import uproot

from lib.errors import CheckpointError
from macro.analyze_inpainter import main as analyze
from macro.compare_inpainter import main as compare
from macro.recover_dead_channels import main as recover
from macro.show_inpainter_comparison import main as show_inpainter
from macro.show_mae_comparison import main as show_mae
from macro.validate_inpainter import main as validate
from tests.data.root_files import make_events, write_root
from tests.macro.trained_models import save_inpainter, save_mae, save_regressor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run")
    save_inpainter(path / "a.pth")
    save_mae(path / "mae.pth")
    events = make_events(6)
    events["npho"][:, 17] = 1e10
    write_root(path / "events.root", events)
    (path / "dead.txt").write_text("3 17 4400 # of a run\n")
    return path


def test_rows_figures_and_tables_come_of_a_checkpoint_and_of_its_rows(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--val_path", str(folder / "events.root"), "--output_dir", str(tmp_path), "--methods", "neighbours"]
    assert validate([str(folder / "a.pth"), *common, "--dead_channels", str(folder / "dead.txt")]) == 0
    told = capsys.readouterr().out
    assert (tmp_path / "restored_a.pdf").read_bytes().startswith(b"%PDF")
    with uproot.open(tmp_path / "restored_a.root") as file:
        rows = file["tree"].arrays(library="np")
        assert file["metadata"]["epoch"].array(library="np") == [1]
    np.testing.assert_array_equal(np.unique(rows["sensor"]), [3, 7, 17, 4400])
    np.testing.assert_array_equal(rows["is_dead"], np.isin(rows["sensor"], [7, 17]))
    assert analyze([str(tmp_path / "restored_a.root"), "--output", str(tmp_path / "analysis.pdf")]) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == told.splitlines()[:-2]
    assert validate([str(folder / "mae.pth"), *common, "--mask_ratio", "0.6"]) == 0
    both = [str(tmp_path / f"restored_{name}.root") for name in ("a", "mae")]
    assert compare([*both, "--output", str(tmp_path / "comparison.pdf")]) == 0
    headers = [line for line in capsys.readouterr().out.splitlines() if line.startswith("68 %")]
    assert headers[-1].split()[-3:] == ["a", "mae", "neighbours"]
    assert (tmp_path / "comparison.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(("show", "model"), [(show_inpainter, "a.pth"), (show_mae, "mae.pth")])
def test_an_event_is_shown(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], show, model: str) -> None:
    output = tmp_path / "event.png"
    assert show([str(folder / model), str(folder / "events.root"), "--event", "2", "--output", str(output)]) == 0
    assert output.read_bytes().startswith(b"\x89PNG")
    assert "neighbours" in capsys.readouterr().out


def test_a_file_is_recovered_by_a_model(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recover([str(folder / "a.pth"), str(folder / "events.root"), "--output_dir", str(tmp_path)]) == 0
    assert "6 events, 2.0 dead channels each" in capsys.readouterr().out
    with uproot.open(tmp_path / "events.root") as file:
        assert (file["tree"]["npho"].array(library="np")[:, 17] < 1e6).all()


def test_a_regressor_restores_nothing(folder: Path, tmp_path: Path) -> None:
    path = save_regressor(tmp_path / "r.pth")
    with pytest.raises(CheckpointError, match="a regressor training; expected an inpainter or an MAE"):
        validate([str(path), "--val_path", str(folder / "events.root"), "--output_dir", str(tmp_path)])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["validate", "analyze", "compare"])
def test_help_needs_no_torch(name: str) -> None:
    code = f"import sys, macro.{name}_inpainter; assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
