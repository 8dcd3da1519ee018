"""What an exported file says about itself: enough to use it without the checkpoint or the code that made it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from lib.errors import ExportError

FORMAT: Final = "2"

OutputRole: TypeAlias = Literal["value", "error", "probability"]

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
        role: What it is: a value, the predicted error of the values beside it, or the probability of each class.
    """

    name: str
    labels: tuple[str, ...]
    unit: str
    truth_branch: str
    role: OutputRole = "value"


@dataclass(frozen=True)
class ModelMetadata:
    """The properties of an exported file.

    Attributes:
        kind: What the model is: regressor.
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
    """

    kind: str
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

    def to_properties(self) -> dict[str, str]:
        """Return the properties to store: plain text as it is, everything else as JSON."""
        values = asdict(self)
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
        return {_FORMAT_KEY: FORMAT, **{_PREFIX + name: text for name, text in texts.items()}}

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
            outputs=tuple(OutputDescription(**{**output, "labels": tuple(output["labels"])}) for output in outputs),
            tree_name=texts["tree_name"],
            npho_branch=texts["npho_branch"],
            time_branch=texts["time_branch"],
            normalization=dict(json.loads(texts["normalization"])),
            normalization_fingerprint=texts["normalization_fingerprint"],
            config_sha256=texts["config_sha256"],
            revision=texts["revision"],
            metrics=dict(json.loads(texts["metrics"])),
            # Files of before branches could have other names lack it.
            branches=dict(json.loads(texts.get("branches", "{}"))),
        )
