"""One small regressor, exported once; and the metadata of one that was never trained."""

import fcntl
import logging
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch import nn

from lib.data.config import NormalizationConfig
from lib.data.normalization import Normalization
from lib.export.metadata import ModelMetadata, OutputDescription
from lib.export.model_export import ExportReport, export_model
from lib.export.session import ExportedModel
from lib.models.config import RegressorModelConfig
from lib.models.regressor import Regressor
from lib.tasks.config import ClassTaskConfig, DirectionTaskConfig, TaskConfig, TasksConfig
from lib.tasks.restore import load_trained
from lib.tasks.targets import enabled_targets, head_scales
from lib.training.saving.checkpoint import Checkpoint

T = TypeVar("T")

TINY = {
    "stage_dims": (8,),
    "stage_depths": (1,),
    "encoder_dim": 16,
    "num_heads": 2,
    "dim_feedforward": 16,
    "num_fusion_layers": 1,
    "point_fit": True,
}
TASKS = TasksConfig(
    angle=TaskConfig(),
    energy=TaskConfig(log_transform=True, loss_fn="gaussian_nll"),
    timing=TaskConfig(),
    uvwFI=TaskConfig(loss_fn="laplace_nll"),
    angleVec=DirectionTaskConfig(),
    n_gamma=ClassTaskConfig(),
)


def save_checkpoint(model: nn.Module, config: dict[str, object], path: Path) -> Path:
    normalization = Normalization.from_config(NormalizationConfig())
    about = {
        "normalization": normalization.as_dict(),
        "branches": {"npho": "npho", "time": "relative_time"},
        "revision": "0123456789ab",
    }
    Checkpoint(
        kind=str(config["kind"]),
        config=config,
        about=about,
        model=model.state_dict(),
        average={},
        optimizer={},
        epochs_done=1,
        steps_done=1,
        schedule_start=0,
        best=1.0,
        run_key="",
        metrics={"val/loss": 0.5, "val/broken": float("nan")},
    ).save(path)
    return path


def made_once(path: Path, make: Callable[[], T]) -> T:
    """Return what is kept at a path; the first process of the session that asks for it makes it."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            path.write_bytes(pickle.dumps(make()))
        return pickle.loads(path.read_bytes())


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that every process of this test session sees."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "exports"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Networks as small as these spend their time waiting for a second thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def metadata() -> ModelMetadata:
    return ModelMetadata(
        kind="regressor",
        inputs=("npho", "time"),
        outputs=(
            OutputDescription("energy", ("energy",), "GeV", "energyTruth"),
            OutputDescription("uvwFI", ("u", "v", "w"), "cm", "uvwTruth"),
        ),
        tree_name="tree",
        npho_branch="relative_npho",
        time_branch="relative_time",
        normalization={"npho_scheme": "sqrt", "npho_scale": 0.58},
        normalization_fingerprint="0123456789ab",
        config_sha256="f" * 64,
        revision="unknown",
        metrics={"val/loss": 0.1},
    )


@pytest.fixture(scope="session")
def regressor_checkpoint(shared_folder: Path) -> Path:
    """An untrained regressor of all tasks, whose heads speak as loudly as those of a trained one."""
    path = shared_folder / "checkpoint_best.pth"
    return made_once(shared_folder / "checkpoint.pickle", lambda: save_regressor(path))


def save_regressor(path: Path) -> Path:
    torch.manual_seed(0)
    config = RegressorModelConfig(**TINY, hidden_dim=8)
    targets = enabled_targets(TASKS)
    normalization = Normalization.from_config(NormalizationConfig())
    widths = {target.name: target.head_width for target in targets}
    model = Regressor(config, widths, normalization, scales=head_scales(targets))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            # Larger than after most trainings: sums cancel and roundings grow, so that parity is a hard test.
            nn.init.normal_(parameter, std=0.3)
    values = {
        "kind": "regressor",
        "data": {"tree_name": "tree", "branches": {"npho": "my_npho"}},
        "model": config.model_dump(mode="json"),
        "tasks": TASKS.model_dump(mode="json"),
    }
    return save_checkpoint(model, values, path)


@pytest.fixture(scope="session")
def logged_export(regressor_checkpoint: Path, shared_folder: Path) -> tuple[ExportReport, list[str]]:
    """The export of that regressor, which takes half a minute, and what was logged at a training's level meanwhile."""
    return made_once(shared_folder / "report.pickle", lambda: export_and_listen(regressor_checkpoint))


@pytest.fixture(scope="session")
def report(logged_export: tuple[ExportReport, list[str]]) -> ExportReport:
    return logged_export[0]


@pytest.fixture(scope="session")
def export_log(logged_export: tuple[ExportReport, list[str]]) -> list[str]:
    return logged_export[1]


def export_and_listen(regressor_checkpoint: Path) -> tuple[ExportReport, list[str]]:
    export_log: list[str] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: export_log.append(record.getMessage())
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        report = export_model(load_trained(regressor_checkpoint), regressor_checkpoint.with_name("model.onnx"))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return report, export_log


@pytest.fixture(scope="session")
def exported(report: ExportReport) -> ExportedModel:
    return ExportedModel.open(report.path, num_threads=1)
