"""An exported model, ready to run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from lib.errors import ExportError
from lib.export.metadata import ModelMetadata
from lib.geometry.sensors import NUM_SENSORS

FloatArray = NDArray[np.float32]

_INPUT_TYPES = {"npho": "tensor(float)", "time": "tensor(float)", "dead": "tensor(bool)"}

# What the runtime raises for a file that is no usable model; they have no common base of their own.
_UNUSABLE = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.InvalidProtobuf,
    runtime_errors.NoModel,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
)
_ERRORS_ONLY = 3  # the runtime's log level


@dataclass(frozen=True, eq=False)
class ExportedModel:
    """A model in ONNX Runtime.

    Attributes:
        metadata: What the file says about itself.
        provider: What computes, such as CPUExecutionProvider.
    """

    metadata: ModelMetadata
    provider: str
    _session: Any

    @classmethod
    def open(cls, path: Path, *, num_threads: int = 0, use_gpu: bool = True) -> "ExportedModel":
        """Load an exported file.

        Args:
            path: The file.
            num_threads: Threads within an operation; 0 takes one per core.
            use_gpu: Compute on a GPU where the runtime has one.

        Raises:
            ExportError: If the file is missing, is no ONNX file, or was not exported by this suite.
        """
        session = _open_session(path, num_threads, _providers(use_gpu=use_gpu))
        metadata = ModelMetadata.from_properties(session.get_modelmeta().custom_metadata_map, path)
        _check_signature(session, metadata, path)
        return cls(metadata, session.get_providers()[0], session)

    def run(self, npho: FloatArray, time: FloatArray, dead: NDArray[np.bool_] | None = None) -> dict[str, FloatArray]:
        """Return the predictions of a batch of any size.

        Args:
            npho: Photons per sensor, shape (B, 4760), float32; 1e10 where there is no value.
            time: Seconds per sensor, shape (B, 4760), float32; 1e10 where there is no value.
            dead: True for the sensors to restore, shape (B, 4760); none if it is left out. A model that restores
                nothing is not told.

        Returns:
            By output name, shape (B, ...), in the units of the metadata.
        """
        readings: dict[str, NDArray[Any]] = {"npho": npho, "time": time}
        if "dead" in self.metadata.inputs:
            readings["dead"] = np.zeros(npho.shape, np.bool_) if dead is None else dead
        names = [output.name for output in self.metadata.outputs]
        return dict(zip(names, self._session.run(names, readings), strict=True))


def _providers(*, use_gpu: bool) -> list[str | tuple[str, dict[str, str]]]:
    if use_gpu and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        # TF32 keeps ten bits of the mantissa: its results would differ from those that the export was checked with.
        return [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]
    return ["CPUExecutionProvider"]


def _open_session(path: Path, num_threads: int, providers: list[str | tuple[str, dict[str, str]]]) -> Any:
    if not path.is_file():
        near = sorted(str(found) for found in path.parent.glob("*.onnx")) if path.parent.is_dir() else []
        raise ExportError(f"{path}: no such model. In its folder: {', '.join(near[:8]) or 'no *.onnx file'}.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = _ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except _UNUSABLE as error:
        cause = " ".join(str(error).split())[:200]
        raise ExportError(f"{path}: cannot be read as an ONNX model ({cause}). Export it again.") from error


def _check_signature(session: Any, metadata: ModelMetadata, path: Path) -> None:
    inputs = {entry.name: (entry.type, *entry.shape[1:]) for entry in session.get_inputs()}
    expected = {name: (_INPUT_TYPES.get(name), NUM_SENSORS) for name in metadata.inputs}
    if inputs != expected:
        raise ExportError(f"{path}: its inputs are {inputs} beside the batch, expected {expected}. Export it again.")
    outputs = [entry.name for entry in session.get_outputs()]
    described = [output.name for output in metadata.outputs]
    if outputs != described:
        raise ExportError(f"{path}: its outputs are {outputs}, but its metadata describe {described}. Export it again.")
