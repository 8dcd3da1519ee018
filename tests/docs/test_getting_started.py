"""The commands of README and of the first ten minutes must work as they are written, here with fewer events."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EVENTS = {"20000": "96", "4000": "96", "2000": "32", "500": "32"}


def commands(page: Path) -> list[str]:
    """The commands of a page that Python runs, each in one line."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("python ")]


def small(command: str) -> list[str]:
    """The words of a command with fewer events and one epoch."""
    command = re.sub(r"--events (\d+)", lambda found: f"--events {EVENTS[found[1]]}", command)
    # Trying the compiler and loader processes takes minutes and has tests of its own.
    command += " --no_probe" if "lib.doctor" in command else ""
    command += " --set training.epochs=1" if "lib.train_" in command else ""
    return [sys.executable, *shlex.split(command)[1:]]


def run_all(page: Path, folder: Path) -> None:
    for name in ("configs", "macro", "lib"):
        (folder / name).symlink_to(ROOT / name)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    for words in map(small, commands(page)):
        answer = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, f"{words[1:]}\n{answer.stdout[-2000:]}\n{answer.stderr[-2000:]}"


@pytest.mark.slow
def test_the_first_ten_minutes_end_with_a_page(tmp_path: Path) -> None:
    run_all(ROOT / "docs" / "getting-started.md", tmp_path)
    page = (tmp_path / "artifacts" / "start" / "report.html").read_text(encoding="utf-8")
    assert "finished after 1 epoch" in page
    assert "Worst events" in page


@pytest.mark.slow
def test_the_steps_of_the_readme_end_with_predictions_and_a_picture(tmp_path: Path) -> None:
    run_all(ROOT / "README.md", tmp_path)
    assert {"model.onnx", "predictions.root", "event.png"} <= {path.name for path in tmp_path.iterdir()}
    assert {path.name for path in (tmp_path / "artifacts").iterdir()} == {"my_mae", "my_run", "my_inpainter"}
