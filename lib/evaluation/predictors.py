"""Models that predict physical quantities from raw readings, whatever they were stored as."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from lib.errors import CheckpointError
from lib.export.physical_regressor import PhysicalRegressor
from lib.export.session import ExportedModel
from lib.geometry.sensors import FloatArray
from lib.models.regressor import Regressor
from lib.tasks.restore import TrainedModel, load_trained


class Predictor(Protocol):
    """Predicts events.

    Attributes:
        truth_branches: Branch of the truth of each task that is predicted, in order.
        input_branches: Branches of photon counts and times that it was trained on.
        tree_name: Tree that they were in.
    """

    truth_branches: dict[str, str]
    input_branches: tuple[str, str]
    tree_name: str

    def predict(self, npho: Tensor, time: Tensor) -> dict[str, FloatArray]:
        """Return predictions by name, errors as ``<task>_sigma``, shape (B, width), for readings of shape (B, 4760)."""
        ...


class TorchPredictor:
    """The model of a checkpoint.

    Args:
        trained: A regressor, as ``lib.tasks.restore.load_trained`` returns it.
        source: Where it comes from, for messages.
        device: Where it computes.

    Raises:
        CheckpointError: If it is no regressor.
    """

    def __init__(self, trained: TrainedModel, source: Path, device: torch.device) -> None:
        if not isinstance(trained.model, Regressor):
            raise CheckpointError(f"{source}: holds the model of an {trained.checkpoint.kind} training, no regressor.")
        checkpoint = trained.checkpoint
        self.trained = trained
        self.model = PhysicalRegressor(trained.model, trained.normalization, trained.targets).eval().to(device)
        self.truth_branches = {target.name: target.branch for target in trained.targets}
        self.input_branches = (checkpoint.about["branches"]["npho"], checkpoint.about["branches"]["time"])
        self.tree_name = checkpoint.config["data"]["tree_name"]
        self.device = device

    @torch.inference_mode()
    def predict(self, npho: Tensor, time: Tensor) -> dict[str, FloatArray]:
        """Return predictions by name; see ``Predictor``."""
        values = self.model(npho.to(self.device), time.to(self.device))
        names = [output.name for output in self.model.outputs]
        return {name: value.cpu().numpy() for name, value in zip(names, values, strict=True)}


class ExportedPredictor:
    """An exported file.

    Args:
        model: The opened file.
    """

    def __init__(self, model: ExportedModel) -> None:
        metadata = model.metadata
        self._model = model
        self.truth_branches = {one.name: one.truth_branch for one in metadata.outputs if one.role != "error"}
        self.input_branches = (metadata.npho_branch, metadata.time_branch)
        self.tree_name = metadata.tree_name

    def predict(self, npho: Tensor, time: Tensor) -> dict[str, FloatArray]:
        """Return predictions by name; see ``Predictor``."""
        return dict(self._model.run(npho.cpu().numpy(), time.cpu().numpy()))


def open_predictor(path: Path, device: torch.device) -> TorchPredictor | ExportedPredictor:
    """Return the model of a checkpoint, or of a file that ends in .onnx."""
    if path.suffix == ".onnx":
        return ExportedPredictor(ExportedModel.open(path))
    return TorchPredictor(load_trained(path), path, device)


def predicted_tasks(predictor: Predictor) -> Sequence[str]:
    """Return the tasks that are predicted, in order."""
    return tuple(predictor.truth_branches)
