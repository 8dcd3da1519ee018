"""The benchmark of resolutions trains for its time and prints every row of the table."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lib.cli import timed_training
from lib.cli.entry import EXIT_DONE
from lib.cli.timed_training import processor_clock
from lib.errors import ConfigError
from lib.simulate import main as simulate
from lib.tasks.restore import load_trained
from macro import benchmark_resolution

SMALL = [
    "model.encoder_dim=16",
    "model.dim_feedforward=16",
    "model.hidden_dim=8",
    "model.fovea_dims=[4]",
    "data.batch_size=4",
]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    for run, name in enumerate(["train", "fit"]):
        simulate(["--output", str(folder / name), "--events", "400", "--seed", "1", "--run", str(run)])
    for name in ("val", "test", "test_alive"):
        (folder / name).symlink_to(folder / "fit")
    return folder


def arguments(samples: Path, minutes: float) -> list[str]:
    options = ["--data", str(samples), "--minutes", str(minutes), "--clock", "cpu", "--cores", "1", "--json"]
    return [*options, *(part for text in SMALL for part in ("--set", text))]


def test_every_row_has_a_value_and_the_conventional_one(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = dict.fromkeys(["energy", "u", "v", "w", "time"], 0.7)
    monkeypatch.setattr(benchmark_resolution, "bounds", lambda seed: limits)
    # A second per step, whatever the machine is busy with: an epoch of 100 steps fits 1.5 times into 150 seconds.
    monkeypatch.setattr(timed_training, "processor_clock", lambda cores: itertools.count().__next__)
    kept = tmp_path / "kept.pth"
    assert benchmark_resolution.main([*arguments(samples, 2.5), "--save", str(kept)]) == EXIT_DONE
    found = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    names = {name for name, _ in benchmark_resolution.ROWS.values()}
    dead = {f"dead_channels.{name}" for name in names}
    components = ["theta", "phi", "energy", "time", "u", "v", "w"]
    errors = {f"{what}.{name}" for what in ("calibration", "coverage") for name in components}
    assert set(found) == names | dead | set(benchmark_resolution.BIASES.values()) | errors
    for name in names:
        assert found[name]["value"] > 0
        assert found[name]["reference"] > 0
        assert found[name]["n"] == 400
        # The same events stand for both here.
        assert found[f"dead_channels.{name}"]["ratio"] == pytest.approx(1.0)
    # Errors were corrected on the same 400 events, which know a share to 0.023.
    assert found["coverage.u"]["value"] == pytest.approx(0.6827, abs=0.01)
    assert found["energy_core_percent"]["context"]["bound"] == 0.7
    assert found["time_core_ps"]["context"]["epochs"] == 2
    trained = load_trained(kept)
    assert trained.checkpoint.steps_done == 150
    assert [target.name for target in trained.targets] == ["angle", "energy", "timing", "uvwFI"]


@pytest.mark.slow
def test_bounds_lie_below_what_is_reached() -> None:
    limits = benchmark_resolution.bounds(1)
    # Photon statistics of 0.42 % and what leaks out.
    assert 0.42 < limits["energy"] < 1.0
    assert limits["time"] == pytest.approx(46.0, rel=0.1)


def test_a_time_too_short_for_a_step_is_refused(samples: Path) -> None:
    with pytest.raises(ConfigError, match="one step takes"):
        benchmark_resolution.main(arguments(samples, 1e-6))


def test_the_processor_clock_counts_work_and_not_waiting() -> None:
    one, two = processor_clock(1), processor_clock(2)
    assert 0 < two() < one()


def test_the_threads_of_torch_are_set_up_before_it_is_imported() -> None:
    code = "import sys, macro.benchmark_resolution; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
