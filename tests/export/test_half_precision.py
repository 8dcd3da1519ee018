"""Float16 must hold trained weights alone: sums of photons do not fit into it."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch

from lib.export.half_precision import HEAVY, compute_in_half
from lib.export.model_export import ExportOptions, ExportReport, exportable
from lib.export.odd_events import generate_events
from lib.export.parity import TOLERANCES, scaled_difference
from lib.export.session import ExportedModel
from lib.tasks.restore import load_trained


@pytest.fixture(scope="module")
def fixed(regressor_checkpoint: Path) -> set[str]:
    model = exportable(load_trained(regressor_checkpoint), ExportOptions())
    return {name for name, _ in model.named_buffers()}


@pytest.fixture(scope="module")
def half(report: ExportReport, fixed: set[str]) -> ir.Model:
    model = ir.load(report.path)
    compute_in_half(model, fixed)
    return model


def operands(model: ir.Model) -> list[list[ir.Value]]:
    return [[value for value in node.inputs if value is not None] for node in model.graph if node.op_type in HEAVY]


def test_products_that_sum_stay_in_float32(half: ir.Model, fixed: set[str]) -> None:
    sums = [values for values in operands(half) if any(value.name in fixed for value in values)]
    # The face networks' averages, the outer grid, moments, times by face and neighbours of PMTs.
    assert len(sums) >= 10
    ones = [
        values
        for values in operands(half)
        if any(it.const_value is not None and it.shape.numpy()[:2] == (1, 1) for it in values if it.is_initializer())
    ]
    assert len(ones) >= 6  # a sum of squares in each block
    for values in (*sums, *ones):
        assert all(value.dtype == ir.DataType.FLOAT for value in values)


def test_trained_weights_are_in_float16(half: ir.Model, report: ExportReport) -> None:
    types = [[value.dtype for value in values] for values in operands(half)]
    assert sum(ir.DataType.FLOAT16 in each for each in types) > 2 * sum(ir.DataType.FLOAT in each for each in types)
    for each in types:
        assert len(set(each)) == 1


def test_the_file_is_smaller_and_close(
    half: ir.Model, report: ExportReport, regressor_checkpoint: Path, tmp_path: Path
) -> None:
    ir.save(half, tmp_path / "half.onnx")
    assert (tmp_path / "half.onnx").stat().st_size < report.size_bytes
    npho, time = generate_events(16, np.random.default_rng(1))
    predicted = ExportedModel.open(tmp_path / "half.onnx", num_threads=1).run(npho, time)
    model = exportable(load_trained(regressor_checkpoint), ExportOptions()).eval()
    with torch.inference_mode():
        expected = model(torch.from_numpy(npho), torch.from_numpy(time))
    for output, values in zip(model.outputs, expected, strict=True):
        assert scaled_difference(output, values.numpy(), predicted[output.name]).max() <= TOLERANCES["fp16"]
