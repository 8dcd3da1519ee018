"""The export: a trained model as one ONNX file."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lib.atomic import atomic_path
from lib.config.flat import config_hash
from lib.errors import ExportError, nearest
from lib.export.exportable import Exportable
from lib.export.half_precision import compute_in_half
from lib.export.metadata import ModelMetadata, Precision
from lib.export.odd_events import generate_readings
from lib.export.onnx_graph import OPSET, OPSETS, build_graph
from lib.export.parity import check_parity
from lib.export.physical_encoder import PhysicalEncoder
from lib.export.physical_inpainter import InpaintedRegressor, PhysicalInpainter
from lib.export.physical_regressor import PhysicalRegressor
from lib.export.session import ExportedModel
from lib.models.inpainter import Inpainter
from lib.models.mae import MaskedAutoencoder
from lib.models.regressor import Regressor
from lib.tasks.restore import TrainedModel
from lib.tasks.targets import Target


@dataclass(frozen=True)
class ExportOptions:
    """What is exported.

    Attributes:
        tasks: The outputs of a regressor that are wanted; all by default.
        inpainter: Restores dead sensors before the regressor sees them.
        precision: In which floating-point numbers the heavy operations compute; inputs and outputs are float32.
        opset: Version of the operations.
    """

    tasks: Sequence[str] = ()
    inpainter: TrainedModel | None = None
    precision: Precision = "fp32"
    opset: int = OPSET


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


def export_model(trained: TrainedModel, path: Path, options: ExportOptions | None = None) -> ExportReport:
    """Write a model that takes raw readings and says physical quantities.

    The file appears only if ONNX Runtime gives what torch gives (``lib.export.parity``).

    Args:
        trained: As ``lib.tasks.restore.load_trained`` returns it.
        path: The file to write; a file of that name is replaced.
        options: Which parts of it, and how.

    Raises:
        ExportError: If the options do not fit the model, if the file cannot be written, or if the two disagree.
    """
    options = options or ExportOptions()
    if options.opset not in OPSETS:
        raise ExportError(f"Opset {options.opset}: expected {OPSETS.start} to {OPSETS.stop - 1}.")
    model = exportable(trained, options).eval()
    readings = generate_readings(4, np.random.default_rng(0), model.inputs)
    examples = {name: torch.from_numpy(values) for name, values in readings.items()}
    metadata = describe(trained, model, options.precision)
    names = [output.name for output in model.outputs]
    try:
        with atomic_path(path) as temporary:
            program = build_graph(model, examples, names, metadata.to_properties(), opset=options.opset)
            if options.precision == "fp16":
                compute_in_half(program.model, {name for name, _ in model.named_buffers()})
            program.save(temporary, external_data=False)
            exported = ExportedModel.open(temporary, num_threads=torch.get_num_threads(), use_gpu=False)
            differences = check_parity(model, exported)
    except OSError as error:
        raise ExportError(f"{path}: cannot be written ({error.strerror}).") from error
    return ExportReport(path, path.stat().st_size, metadata, differences)


def exportable(trained: TrainedModel, options: ExportOptions) -> Exportable:
    """Return the function of raw readings that a trained model is.

    Args:
        trained: The model.
        options: Which parts of it, perhaps with an inpainter before it.

    Raises:
        ExportError: If the options do not fit the model.
    """
    model, normalization = trained.model, trained.normalization
    if isinstance(model, Regressor):
        regressor = PhysicalRegressor(model, normalization, _select(trained.targets, options.tasks))
        if options.inpainter is None:
            return regressor
        return InpaintedRegressor(_inpainter_for(trained, options.inpainter), regressor)
    if options.tasks or options.inpainter:
        raise ExportError(
            f"The checkpoint holds the model of an {trained.checkpoint.kind!r} training; tasks and an inpainter before "
            "it are for a regressor, which python -m lib.train_regressor writes."
        )
    if isinstance(model, MaskedAutoencoder):
        return PhysicalEncoder(model.encoder, normalization)
    return PhysicalInpainter(model, normalization)


def _inpainter_for(regressor: TrainedModel, inpainter: TrainedModel) -> PhysicalInpainter:
    if not isinstance(inpainter.model, Inpainter):
        raise ExportError(
            f"The inpainter's checkpoint holds the model of a {inpainter.checkpoint.kind!r} training; expected that of "
            "an inpainter, which python -m lib.train_inpainter writes."
        )
    branches = [it.checkpoint.about["branches"] for it in (inpainter, regressor)]
    if branches[0] != branches[1]:
        raise ExportError(
            f"The inpainter was trained on the branches {branches[0]}, the regressor on {branches[1]}: what one "
            "restores the other does not understand. Train both on the same."
        )
    return PhysicalInpainter(inpainter.model, inpainter.normalization)


def describe(trained: TrainedModel, model: Exportable, precision: Precision = "fp32") -> ModelMetadata:
    """Return what the exported form of a model says about itself.

    Args:
        trained: The model as it was trained; behind an inpainter, the regressor.
        model: The function that is exported.
        precision: In which floating-point numbers it computes.
    """
    checkpoint, normalization = trained.checkpoint, trained.normalization
    return ModelMetadata(
        kind=model.kind,
        inputs=model.inputs,
        outputs=tuple(output.description() for output in model.outputs),
        tree_name=checkpoint.config["data"]["tree_name"],
        npho_branch=checkpoint.about["branches"]["npho"],
        time_branch=checkpoint.about["branches"]["time"],
        normalization=normalization.as_dict(),
        normalization_fingerprint=normalization.fingerprint(),
        config_sha256=config_hash(checkpoint.config),
        revision=checkpoint.about["revision"],
        # JSON has no word for NaN.
        metrics={name: value for name, value in checkpoint.metrics.items() if math.isfinite(value)},
        branches=checkpoint.config["data"].get("branches", {}),
        training_data=checkpoint.about.get("training_data", ""),
        precision=precision,
    )


def _select(targets: Sequence[Target], names: Sequence[str]) -> list[Target]:
    known = {target.name: target for target in targets}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ExportError(f"The model has no task {unknown[0]!r}; nearest: {nearest(unknown[0], known)}.")
    return [target for target in targets if not names or target.name in names]
