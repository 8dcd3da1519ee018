"""A traced module must take any batch and carry its properties, and nothing of the machine that made it."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from lib.export.onnx_graph import OPSET, build_graph
from lib.geometry.sensors import NUM_MPPC
from lib.models.neighbour_mean import NeighbourMean


class SumAndProduct(nn.Module):
    """Two outputs of two inputs, through a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Linear(3, 2)

    def forward(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        return self.matrix(left + right), self.matrix(left * right)


@pytest.fixture(scope="module")
def module() -> SumAndProduct:
    torch.manual_seed(0)
    return SumAndProduct().eval()


@pytest.fixture(scope="module")
def file(module: SumAndProduct, tmp_path_factory: pytest.TempPathFactory) -> Path:
    examples = {"left": torch.ones(4, 3), "right": torch.ones(4, 3)}
    path = tmp_path_factory.mktemp("graph") / "g.onnx"
    build_graph(module, examples, ["sum", "product"], {"colour": "blue", "size": "[1, 2]"}).save(path)
    return path


@pytest.mark.parametrize("batch", [1, 2, 3, 64])
def test_any_batch_gives_the_outputs_by_name(module: SumAndProduct, file: Path, batch: int) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    left, right = torch.randn(2, batch, 3, generator=torch.Generator().manual_seed(batch))
    product, total = session.run(["product", "sum"], {"left": left.numpy(), "right": right.numpy()})
    expected = module(left, right)
    torch.testing.assert_close(torch.from_numpy(total), expected[0].detach())
    torch.testing.assert_close(torch.from_numpy(product), expected[1].detach())


def test_properties_and_opset_are_in_the_file(file: Path) -> None:
    model = onnx.load(file)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"colour": "blue", "size": "[1, 2]"}
    assert [entry.version for entry in model.opset_import if not entry.domain] == [OPSET]


def test_no_trace_of_the_code_is_in_the_file(file: Path) -> None:
    content = file.read_bytes()
    assert b"test_onnx_graph" not in content
    assert b"SumAndProduct" not in content
    assert b"stack_trace" not in content


class FirstGuess(nn.Module):
    """The inpainter's first guess for all sensors of an event."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = NeighbourMean()

    def forward(self, features: Tensor) -> tuple[Tensor]:
        return (self.mean(features),)


def test_a_mean_over_all_sensors_keeps_its_digits(tmp_path: Path) -> None:
    # All sensors of the other faces are dead, so that the mean over the event stands in there.
    features = torch.ones(2, 4760, 4)
    features[..., :2] = 1.6933229
    features[:, NUM_MPPC:] = 0.0
    build_graph(FirstGuess().eval(), {"features": features}, ["guess"], {}).save(tmp_path / "mean.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "mean.onnx", providers=["CPUExecutionProvider"])
    (guess,) = session.run(None, {"features": features.numpy()})
    # A few roundings of float32; a sum of 4092 like numbers one by one is wrong by a hundred.
    np.testing.assert_allclose(guess[:, NUM_MPPC:], np.float32(1.6933229), rtol=4e-7)
