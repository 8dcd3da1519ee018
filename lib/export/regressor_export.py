"""A trained regressor as one ONNX file."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lib.atomic import atomic_path
from lib.errors import ExportError, nearest
from lib.export.metadata import ModelMetadata, OutputDescription
from lib.export.odd_events import generate_events
from lib.export.onnx_graph import build_graph
from lib.export.parity import check_parity
from lib.export.physical_regressor import PhysicalRegressor, physical_outputs
from lib.export.session import INPUT_NAMES, ExportedModel
from lib.models.regressor import Regressor
from lib.tasks.restore import TrainedModel
from lib.tasks.targets import Target


@dataclass(frozen=True)
class ExportReport:
    """What an export gave.

    Attributes:
        path: The file.
        size_bytes: Its size.
        metadata: What it says about itself.
        differences: Largest difference from the original of each output, in units of its spread.
    """

    path: Path
    size_bytes: int
    metadata: ModelMetadata
    differences: dict[str, float]


def export_regressor(trained: TrainedModel, path: Path, *, tasks: Sequence[str] = ()) -> ExportReport:
    """Write a regressor that takes raw readings and says physical quantities.

    The file appears only if ONNX Runtime gives what torch gives (``lib.export.parity``).

    Args:
        trained: As ``lib.tasks.restore.load_trained`` returns it.
        path: The file to write; a file of that name is replaced.
        tasks: The outputs that are wanted; all by default.

    Raises:
        ExportError: If it is no regressor or lacks a task, if the file cannot be written, or if the two disagree.
    """
    if not isinstance(trained.model, Regressor):
        raise ExportError(
            f"The checkpoint holds the model of an {trained.checkpoint.kind!r} training; expected that of a regressor, "
            "which python -m lib.train_regressor writes."
        )
    targets = _select(trained.targets, tasks)
    model = PhysicalRegressor(trained.model, trained.normalization, targets).eval()
    npho, time = generate_events(4, np.random.default_rng(0))
    examples = dict(zip(INPUT_NAMES, (torch.from_numpy(npho), torch.from_numpy(time)), strict=True))
    metadata = describe(trained, targets)
    names = [output.name for output in model.outputs]
    try:
        with atomic_path(path) as temporary:
            program = build_graph(model, examples, names, metadata.to_properties())
            program.save(temporary, external_data=False)
            exported = ExportedModel.open(temporary, num_threads=torch.get_num_threads(), use_gpu=False)
            differences = check_parity(model, exported)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written ({error.strerror}).") from error
    return ExportReport(path, path.stat().st_size, metadata, differences)


def describe(trained: TrainedModel, targets: Sequence[Target]) -> ModelMetadata:
    """Return what the exported form of a model says about itself.

    Args:
        trained: The model.
        targets: Its outputs.
    """
    checkpoint, normalization = trained.checkpoint, trained.normalization
    canonical = json.dumps(checkpoint.config, sort_keys=True, separators=(",", ":"))
    return ModelMetadata(
        kind=checkpoint.kind,
        outputs=tuple(
            OutputDescription(output.name, output.target.labels, output.target.unit, output.target.branch, output.role)
            for output in physical_outputs(targets)
        ),
        tree_name=checkpoint.config["data"]["tree_name"],
        npho_branch=checkpoint.about["branches"]["npho"],
        time_branch=checkpoint.about["branches"]["time"],
        normalization=normalization.as_dict(),
        normalization_fingerprint=normalization.fingerprint(),
        config_sha256=hashlib.sha256(canonical.encode()).hexdigest(),
        revision=checkpoint.about["revision"],
        # JSON has no word for NaN.
        metrics={name: value for name, value in checkpoint.metrics.items() if math.isfinite(value)},
        branches=checkpoint.config["data"].get("branches", {}),
    )


def _select(targets: Sequence[Target], names: Sequence[str]) -> list[Target]:
    known = {target.name: target for target in targets}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ExportError(f"The model has no task {unknown[0]!r}; nearest: {nearest(unknown[0], known)}.")
    return [target for target in targets if not names or target.name in names]
