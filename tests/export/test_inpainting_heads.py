"""Every head of the inpainter must be exported as what it does in torch, for any number of events."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lib.export.model_export import ExportOptions, export_model, exportable
from lib.export.odd_events import generate_readings
from lib.export.parity import scaled_difference
from lib.export.session import ExportedModel
from lib.models.config import InpainterModelConfig
from lib.models.inpainter import Inpainter
from lib.tasks.restore import TrainedModel, load_trained
from tests.export.conftest import TINY
from tests.export.test_other_exports import NORMALIZATION, trained_like

HEADS = ["light_field", "masked_attention", "cross_attention"]
PARITY = 1e-5


def inpainter_with(head_type: str, regressor_checkpoint: Path) -> TrainedModel:
    settings = {**TINY, "hidden_dim": 8, "head_depth": 1, "head_type": head_type}
    if head_type == "light_field":
        settings["light_points"] = 2
    model = Inpainter(InpainterModelConfig.model_validate(settings), NORMALIZATION)
    trained = trained_like(load_trained(regressor_checkpoint), model, "inpainter")
    if model.light is not None:
        # Weights that are drawn and not learnt send the light out of its range, where every model agrees.
        with torch.no_grad():
            for layer in model.light.output_layers:
                for weight in layer.parameters():
                    weight.mul_(0.05)
    return replace(trained, model=model.eval())


@pytest.mark.slow
@pytest.mark.parametrize("head_type", HEADS)
def test_the_exported_head_is_that_of_torch(head_type: str, regressor_checkpoint: Path, tmp_path: Path) -> None:
    trained = inpainter_with(head_type, regressor_checkpoint)
    report = export_model(trained, tmp_path / "inpainter.onnx")
    model, exported = exportable(trained, ExportOptions()), ExportedModel.open(report.path, num_threads=1)
    for count in (1, 5):
        readings = generate_readings(count, np.random.default_rng(count), ("npho", "time", "dead"))
        with torch.inference_mode():
            expected = model(*(torch.from_numpy(values) for values in readings.values()))
        found = exported.run(*readings.values())
        for output, one in zip(model.outputs, expected, strict=True):
            photons = one.numpy()
            assert len(np.unique(photons[readings["dead"]])) > 1, "a constant would agree with anything"
            assert scaled_difference(output, photons, found[output.name]).max() <= PARITY
