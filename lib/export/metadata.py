"""What an exported file says about itself: enough to use it without the checkpoint or the code that made it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from lib.errors import ExportError
from lib.geometry.sensors import NUM_SENSORS

FORMAT: Final = "3"

Role: TypeAlias = Literal["value", "error", "probability", "restored", "token"]
Precision: TypeAlias = Literal["fp32", "fp16"]

SENSOR_ORDER: Final = "sensor_id"
INPUT_UNITS: Final = {"npho": "photons", "time": "s", "dead": "flag"}

# Keys of the properties in the file; the prefix keeps them apart from those of other tools.
_PREFIX: Final = "xec_"
_FORMAT_KEY: Final = _PREFIX + "format"


@dataclass(frozen=True)
class OutputDescription:
    """One named output.

    Attributes:
        name: Name of the output in the graph; that of its task.
        labels: Name of each component, in order.
        unit: Unit of the components.
        truth_branch: Branch that holds the same quantity, or what it is an error or a probability of.
        role: What it is: a value, the predicted error of the values beside it, the probability of each class, the
            readings of all sensors with those of dead ones restored, or tokens of an encoder.
    """

    name: str
    labels: tuple[str, ...]
    unit: str
    truth_branch: str
    role: Role = "value"


@dataclass(frozen=True)
class ModelMetadata:
    """The properties of an exported file.

    Attributes:
        kind: What the model is: regressor, encoder, inpainter or inpainted_regressor.
        inputs: Names of its inputs, in the order of the graph.
        outputs: Its outputs, in the order of the graph.
        tree_name: Tree that its training data came from.
        npho_branch: Branch that its input ``npho`` was in training.
        time_branch: Branch that its input ``time`` was in training.
        normalization: Fields of the normalization inside the graph.
        normalization_fingerprint: ``Normalization.fingerprint`` of these.
        config_sha256: SHA-256 of the resolved configuration as canonical JSON.
        revision: Revision of the code that trained the model.
        metrics: Finite metrics of the epoch that was exported.
        branches: Names that branches had in the files of the training, by the names that they have here, where they
            differ.
        training_data: Fingerprint of the files that it was trained on; empty where the checkpoint has none.
        precision: In which floating-point numbers it computes.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[OutputDescription, ...]
    tree_name: str
    npho_branch: str
    time_branch: str
    normalization: dict[str, str | float]
    normalization_fingerprint: str
    config_sha256: str
    revision: str
    metrics: dict[str, float]
    branches: dict[str, str] = field(default_factory=dict)
    training_data: str = ""
    precision: Precision = "fp32"

    def to_properties(self) -> dict[str, str]:
        """Return the properties to store: plain text as it is, everything else as JSON."""
        values = asdict(self)
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
        return {_FORMAT_KEY: FORMAT, **{_PREFIX + name: text for name, text in (texts | self._plain_tables()).items()}}

    def _plain_tables(self) -> dict[str, str]:
        """Return what a reader without JSON needs, such as the C++ library: lines of fields between tabs."""
        outputs = ((it.name, it.role, it.unit, ",".join(it.labels)) for it in self.outputs)
        return {
            "sensor_order": SENSOR_ORDER,
            "num_sensors": str(NUM_SENSORS),
            "input_table": "\n".join(f"{name}\t{INPUT_UNITS[name]}" for name in self.inputs),
            "output_table": "\n".join("\t".join(fields) for fields in outputs),
        }

    def to_json(self) -> str:
        """Return all of it as one JSON object."""
        return json.dumps({"format": FORMAT, **asdict(self)})

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], source: Path) -> "ModelMetadata":
        """Read the properties of a file.

        Args:
            properties: Keys and texts as the file holds them.
            source: The file, for messages.

        Raises:
            ExportError: If the file was not made by this suite, or by a version that wrote something else.
        """
        if _FORMAT_KEY not in properties:
            raise ExportError(
                f"{source}: an ONNX file without this suite's metadata (no property {_FORMAT_KEY!r}; it has: "
                f"{', '.join(sorted(properties)) or 'none'}). Export the model with macro/export_onnx.py."
            )
        if properties[_FORMAT_KEY] != FORMAT:
            raise ExportError(
                f"{source}: metadata of format {properties[_FORMAT_KEY]!r}, expected {FORMAT!r}. Export the model "
                "again with this version of the suite."
            )
        try:
            return cls._from_texts({key.removeprefix(_PREFIX): text for key, text in properties.items()})
        except (KeyError, TypeError, ValueError) as error:
            raise ExportError(
                f"{source}: damaged metadata ({type(error).__name__}: {error}). Export the model again."
            ) from error

    @property
    def values(self) -> tuple[OutputDescription, ...]:
        """Outputs that are compared with the truth: neither errors nor probabilities."""
        return tuple(output for output in self.outputs if output.role == "value")

    @classmethod
    def _from_texts(cls, texts: dict[str, str]) -> "ModelMetadata":
        outputs: list[dict[str, Any]] = json.loads(texts["outputs"])
        return cls(
            kind=texts["kind"],
            inputs=tuple(json.loads(texts["inputs"])),
            outputs=tuple(OutputDescription(**{**output, "labels": tuple(output["labels"])}) for output in outputs),
            tree_name=texts["tree_name"],
            npho_branch=texts["npho_branch"],
            time_branch=texts["time_branch"],
            normalization=dict(json.loads(texts["normalization"])),
            normalization_fingerprint=texts["normalization_fingerprint"],
            config_sha256=texts["config_sha256"],
            revision=texts["revision"],
            metrics=dict(json.loads(texts["metrics"])),
            training_data=texts["training_data"],
            precision=_precision(texts["precision"]),
            branches=dict(json.loads(texts["branches"])),
        )


def _precision(text: str) -> Precision:
    for known in get_args(Precision):
        if text == known:
            return known
    raise ValueError(f"precision {text!r}")
