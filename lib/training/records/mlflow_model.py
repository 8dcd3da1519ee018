"""An ONNX file as a model of MLflow: with its signature, loadable by ``mlflow.pyfunc``.

MLflow and ONNX take seconds to import, so they are imported by whoever calls first.
"""

import os
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from onnx import ModelProto, ValueInfoProto

MODEL_FOLDER: Final = "model"
# The name that MLflow's own ONNX flavour gives to the file.
_FILE: Final = "model.onnx"
_REQUIRED: Final = ("onnx", "onnxruntime")


def save_model_folder(onnx_path: Path) -> Path:
    """Write the folder ``model`` beside an ONNX file and return it; the model in it is the same file, byte for byte.

    Args:
        onnx_path: The file, with its weights inside.

    Raises:
        OSError: If the folder cannot be written.
    """
    import mlflow.onnx  # noqa: PLC0415
    import onnx  # noqa: PLC0415

    folder = onnx_path.with_name(MODEL_FOLDER)
    shutil.rmtree(folder, ignore_errors=True)
    model = onnx.load(onnx_path)
    # Named here, for MLflow would start a process of its own to find out what is needed.
    needs = [f"{name}=={version(name)}" for name in _REQUIRED]
    mlflow.onnx.save_model(
        model, str(folder), signature=signature(model), pip_requirements=needs, save_as_external_data=False
    )
    # Written anew the model would have another checksum than the file that users have.
    (folder / _FILE).unlink()
    _link(onnx_path, folder / _FILE)
    return folder


def signature(model: "ModelProto") -> "ModelSignature":
    """Return names, types and shapes of the inputs and outputs of a graph; the free batch size is -1."""
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types.schema import Schema, TensorSpec  # noqa: PLC0415
    from onnx.helper import tensor_dtype_to_np_dtype  # noqa: PLC0415

    def tensor(value: "ValueInfoProto") -> TensorSpec:
        kind = value.type.tensor_type
        shape = tuple(axis.dim_value or -1 for axis in kind.shape.dim)
        return TensorSpec(tensor_dtype_to_np_dtype(kind.elem_type), shape, value.name)

    inputs, outputs = (Schema([tensor(value) for value in side]) for side in (model.graph.input, model.graph.output))
    return ModelSignature(inputs, outputs)


def _link(source: Path, target: Path) -> None:
    """Let a file have a second name, or a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
