"""An exported file must become a model that MLflow finds, describes and runs."""

from pathlib import Path

import mlflow
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lib.training.config import MlflowConfig
from lib.training.records.mlflow_model import save_model_folder

# Importing MLflow and what it brings warns of their own futures.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    """A model that adds its two inputs."""
    left, right, total = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in ("npho", "time", "energy")
    )
    graph = helper.make_graph([helper.make_node("Add", ["npho", "time"], ["energy"])], "sum", [left, right], [total])
    path = tmp_path / "run" / "run.onnx"
    path.parent.mkdir()
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def test_the_model_of_mlflow_is_the_same_file_and_predicts(onnx_file: Path) -> None:
    folder = save_model_folder(onnx_file)
    assert (folder / "model.onnx").read_bytes() == onnx_file.read_bytes()
    # A training that goes on exports again.
    assert save_model_folder(onnx_file) == folder
    model = mlflow.pyfunc.load_model(str(folder))
    inputs = {"npho": np.ones((2, 3), np.float32), "time": np.full((2, 3), 2, np.float32)}
    assert (model.predict(inputs)["energy"] == 3).all()


def test_the_signature_names_inputs_outputs_and_a_free_batch(onnx_file: Path) -> None:
    found = mlflow.models.get_model_info(str(save_model_folder(onnx_file))).signature
    assert found is not None
    assert [(tensor.name, tensor.shape, tensor.type) for tensor in found.inputs] == [
        ("npho", (-1, 3), np.dtype("float32")),
        ("time", (-1, 3), np.dtype("float32")),
    ]
    assert found.outputs.input_names() == ["energy"]


def test_a_file_system_without_links_gets_a_copy(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    assert (save_model_folder(onnx_file) / "model.onnx").read_bytes() == onnx_file.read_bytes()


def test_the_registered_name_follows_experiment_and_kind() -> None:
    assert MlflowConfig(experiment="night shift").model_name("mae") == "night_shift_mae"
    assert MlflowConfig(registered_model="photons").model_name("mae") == "photons"
