"""The macros that judge a regressor must give the promised files, from a checkpoint and from its tables alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from lib.baselines.conventional import ConventionalReconstruction
from lib.data.branches import ENERGY, NPHO, TIME, TIME_TRUTH, UVW
from lib.data.config import NormalizationConfig
from lib.data.dead_channels import read_dead_channels
from lib.data.normalization import Normalization
from lib.data.trees.branch_arrays import read_branches
from lib.errors import DataError, UserError
from lib.evaluation import run_report, worst_events
from lib.evaluation.prediction_table import find_tables, read_tables
from lib.evaluation.statistics.bounds import CONTAINMENT
from lib.models.config import RegressorModelConfig
from lib.models.regressor import Regressor
from lib.simulate import main as simulate
from lib.tasks.config import TasksConfig
from lib.tasks.targets import enabled_targets
from lib.training.saving.checkpoint import Checkpoint
from macro.compare_runs import main as compare_runs
from macro.regenerate_resolution_plots import main as regenerate
from macro.validate_regressor import main as validate
from tests.data.root_files import make_events, write_root

TASKS = TasksConfig.model_validate({"energy": {"loss_fn": "gaussian_nll"}, "uvwFI": {}})
MODEL = {
    "stage_dims": (4,), "stage_depths": (1,), "inner_patch": 4, "encoder_dim": 8, "num_heads": 2,
    "dim_feedforward": 8, "num_fusion_layers": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "checkpoint_best.pth"
    normalization = Normalization.from_config(NormalizationConfig())
    config = RegressorModelConfig(**MODEL, hidden_dim=8)
    torch.manual_seed(0)
    model = Regressor(config, {one.name: one.head_width for one in enabled_targets(TASKS)}, normalization)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    about = {"normalization": normalization.as_dict(), "branches": {"npho": "npho", "time": "time"}}
    sections = {"model": config.model_dump(mode="json"), "tasks": TASKS.model_dump(mode="json")}
    Checkpoint(
        kind="regressor", config={**sections, "data": {"tree_name": "tree"}}, about=about, model=model.state_dict(),
        average={}, optimizer={}, epochs_done=1, steps_done=1, schedule_start=0, best=1.0, run_key="", metrics={},
    ).save(path)  # fmt: skip
    write_root(path.with_name("events.root"), make_events(12))
    return path


def run(checkpoint: Path, output: Path, *options: str) -> dict[str, Path]:
    arguments = [str(checkpoint), "--val_path", str(checkpoint.with_name("events.root")), "--output_dir", str(output)]
    assert validate([*arguments, *options]) == 0
    return {path.name: path for path in output.rglob("*") if path.is_file()}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every map of all sensors takes seconds."""
    monkeypatch.setattr(worst_events, "NUM_WORST", 1)
    monkeypatch.setattr(run_report, "draw_saliency", lambda *_: [Figure()])


@pytest.mark.usefixtures("quick")
def test_a_checkpoint_gives_every_file_and_its_tables_give_the_figures_again(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = run(checkpoint, tmp_path / "out", "--run_name", "r")
    assert set(files) == {
        "predictions_energy_r.csv", "predictions_uvwFI_r.csv", "resolution_energy_r.pdf", "resolution_uvwFI_r.pdf",
        "face_weights_r.pdf", "face_weights_r.csv", "saliency_profile_r.pdf", "worst_event_01_r.pdf",
        "worst_events_r.npz",
    }  # fmt: skip
    told = capsys.readouterr().out
    assert "energy (%)" in told
    assert "within the predicted error" in told
    assert regenerate([str(tmp_path / "out"), "--output_dir", str(tmp_path / "again")]) == 0
    assert {path.name for path in (tmp_path / "again").iterdir()} == {
        "resolution_energy_out.pdf",
        "resolution_uvwFI_out.pdf",
    }
    again = capsys.readouterr().out
    assert told.splitlines()[:2] == again.splitlines()[2:4]
    assert compare_runs([str(tmp_path / "out"), "--output", str(tmp_path / "c.pdf")]) == 0
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(UserError, match="have the same name"):
        compare_runs([str(tmp_path / "out"), str(tmp_path / "out")])


@pytest.mark.usefixtures("quick")
def test_conventional_and_bound_stand_beside_the_regressor(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulate(["--output", str(tmp_path / "fit"), "--events", "300", "--seed", "1"])
    (fit,) = (tmp_path / "fit").glob("*.root")
    sample = read_branches(fit, [NPHO, TIME, ENERGY, TIME_TRUTH, UVW], "tree")
    ConventionalReconstruction.fit(sample[NPHO], sample[TIME], sample).save(tmp_path / "conventional.npz")
    names = ("u_mm", "v_mm", "w_mm", "energy_percent", "time_ps")
    rows = [{"name": f"bound.{name}", "value": 0.3} for name in names] + [{"name": CONTAINMENT, "value": 0.4}]
    (tmp_path / "bounds.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    bounds = ("--bounds", str(tmp_path / "bounds.jsonl"))
    run(checkpoint, tmp_path / "out", "--conventional", str(tmp_path / "conventional.npz"), *bounds)
    cores = capsys.readouterr().out.split("core sigma")[-1].splitlines()
    assert cores[0].split() == ["regressor", "conventional", "bound"]
    assert cores[1].split()[0] == "energy"
    assert cores[1].split()[-1] == "0.5"
    with pytest.raises(SystemExit, match="2"):
        run(checkpoint, tmp_path / "out", *bounds)
    assert "--bounds is a column of the table" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_dead_channels_are_not_read(checkpoint: Path, tmp_path: Path) -> None:
    run(checkpoint, tmp_path / "whole")
    (tmp_path / "dead.txt").write_text(" ".join(str(sensor) for sensor in range(2000)))
    run(checkpoint, tmp_path / "dead", "--dead_channels", str(tmp_path / "dead.txt"))
    (whole,), (dead,) = (list(read_tables(find_tables(tmp_path / name, None))) for name in ("whole", "dead"))
    np.testing.assert_array_equal(whole.true["energy"], dead.true["energy"])
    assert not np.allclose(whole.predicted["energy"], dead.predicted["energy"], rtol=1e-3)


def test_a_list_of_dead_channels_may_be_commented(tmp_path: Path) -> None:
    path = tmp_path / "dead.txt"
    path.write_text("# found in 2026\n3, 17\n4759 # the last\n")
    assert read_dead_channels(path).nonzero().flatten().tolist() == [3, 17, 4759]
    path.write_text("4760\n")
    with pytest.raises(DataError, match="'4760' is no sensor id; expected whole numbers from 0 to 4759"):
        read_dead_channels(path)
    with pytest.raises(DataError, match="cannot be read as a list of sensor ids"):
        read_dead_channels(tmp_path / "none.txt")
