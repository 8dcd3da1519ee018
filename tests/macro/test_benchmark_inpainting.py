"""The benchmark of inpainters trains for its time, keeps the model, and prints every row of the table."""

import itertools
import json
from pathlib import Path

import pytest

from lib.cli.entry import EXIT_DONE
from lib.geometry.sensors import FACE_NAMES
from lib.simulate import main as simulate
from macro import benchmark_inpainting
from tests.macro.trained_models import save_inpainter, save_regressor

SMALL = ["model.encoder_dim=16", "model.dim_feedforward=16", "model.hidden_dim=4", "model.fovea_dims=[4]"]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    light = ["--seed", "1", "--set", "output.expected_light=true"]
    simulate(["--output", str(folder / "train"), "--events", "100", *light])
    simulate(["--output", str(folder / "test"), "--events", "20", "--set", "dead.number=0", "--run", "4", *light])
    (folder / "val").symlink_to(folder / "test")
    return folder


def rows(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> dict[str, dict[str, float]]:
    assert benchmark_inpainting.main([*arguments, "--json"]) == EXIT_DONE
    return {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}


def test_every_row_has_a_value_and_the_better_conventional_one(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second per step, whatever the machine is busy with: an epoch of 50 steps fits once into 75 seconds.
    monkeypatch.setattr(benchmark_inpainting, "processor_clock", lambda cores: itertools.count().__next__)
    monkeypatch.setattr(benchmark_inpainting, "STREAMED_ROWS", 1000)
    common = ["--data", str(samples), "--clock", "cpu", "--cores", "1"]
    kept = tmp_path / "kept.pth"
    options = ["--minutes", "1.25", "--save", str(kept), "--set", "data.batch_size=2"]
    found = rows(capsys, [*common, *options, *(part for text in SMALL for part in ("--set", text))])
    errors = {f"light_error_68.{face}" for face in FACE_NAMES} | {"dead88.light_error_68.inner"}
    biases = {f"{prefix}npho_bias.{decade}" for prefix in ("", "dead88.") for decade in ("10-100", "100-1000")}
    assert errors | biases | {"rows_per_s"} <= set(found)
    for name in errors:
        assert found[name]["value"] > 0
        assert found[name]["reference"] > 0
    assert found["light_error_68.inner"]["n"] > 20 * 0.04 * 4092
    again = rows(capsys, [*common, "--model", str(kept)])
    assert again["light_error_68.us"] == found["light_error_68.us"], "the kept model is the one that was scored"


@pytest.mark.slow
def test_a_regressor_shows_what_dead_channels_cost(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark_inpainting, "STREAMED_ROWS", 1000)
    inpainter, regressor = save_inpainter(tmp_path / "i.pth"), save_regressor(tmp_path / "r.pth")
    found = rows(capsys, ["--data", str(samples), "--model", str(inpainter), "--regressor", str(regressor)])
    names = {f"{quantity}_with_{dead}{how}" for quantity in ("energy", "u", "v", "w", "distance")
             for dead in ("88_dead", "400_dead", "clusters")
             for how in ("", ".neighbours", ".raw", ".expected")}  # fmt: skip
    names |= {f"{quantity}_moved_by_400_dead{how}" for quantity in ("energy", "w") for how in ("", ".expected")}
    assert names <= set(found)
    assert {found[f"energy_with_{dead}"]["reference"] for dead in ("88_dead", "clusters")} == {
        found["energy_with_400_dead.raw"]["reference"]
    }
