"""The command must answer for its options before it starts anything heavy."""

import subprocess
import sys
from pathlib import Path

import pytest
import uproot

from lib.cli.entry import EXIT_DONE, EXIT_USER_ERROR, run_command
from lib.simulate import main

ROOT_FOLDER = Path(__file__).parents[1]


def test_help_imports_neither_torch_nor_uproot_nor_numpy() -> None:
    code = (
        "import sys\n"
        "from lib.simulate import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(bool({'torch', 'uproot', 'numpy'} & set(sys.modules)))\n"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT_FOLDER, capture_output=True, check=False).returncode == 0
    )


def test_options_reach_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    arguments = ["--output", str(tmp_path), "--events", "5", "--seed", "9", "--run", "3", "--compression", "none"]
    arguments += ["--set", "energy.value=20.0", "--set", "output.expected_light=true"]
    assert run_command(main, arguments) == EXIT_DONE
    with uproot.open(tmp_path / "events_000003_0000.root") as file:
        events = file["tree"].arrays(library="np")
    assert set(events["run"]) == {3}
    assert events["energyTruth"] == pytest.approx(0.020)
    assert events["nphoExpected"].shape == (5, 4760)


def test_a_mistake_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--output", str(tmp_path), "--events", "5", "--seed", "1", "--set", "energy.knd=mono"]
    assert run_command(main, arguments) == EXIT_USER_ERROR
    assert "nearest: kind" in capsys.readouterr().err
