"""The macro must rebuild a page, compare runs, and refuse other folders in words."""

from pathlib import Path

import pytest

from lib.cli.entry import run_command
from lib.cli.run_defaults import default_settings
from macro.make_report import main
from tests.report.made_run import make_run


def test_the_page_of_a_run_is_written_into_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(make_run(tmp_path / "run"))]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run" / "report.html")
    # The run asks for another learning rate than the default.
    assert default_settings("regressor")["training.lr"] in (tmp_path / "run" / "report.html").read_text()


def test_several_runs_are_compared(tmp_path: Path) -> None:
    folders = [str(make_run(tmp_path / name, name=name)) for name in ("first", "second")]
    assert main([*folders, "--output", str(tmp_path / "both.html")]) == 0
    assert "2 runs compared" in (tmp_path / "both.html").read_text()


def test_a_folder_without_a_run_is_the_users_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "first", name="first")
    assert run_command(main, [str(tmp_path / "frist")]) == 2
    assert f"no folder of a run, which would hold run.json; nearest in {tmp_path}: first." in capsys.readouterr().err


def test_defaults_are_those_of_the_kind() -> None:
    assert default_settings("mae")["kind"] == "mae"
    assert "data.batch_size" in default_settings("regressor")
    assert "data.train_path" not in default_settings("regressor")
    assert default_settings("another") == {}
