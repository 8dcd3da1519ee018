"""What a checkpoint holds, and how its weights find their way into a model."""

import logging
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from lib.errors import CheckpointError
from lib.training.saving.sealed_file import Content, read_sealed, write_sealed
from lib.training.stability.rollback import copied

logger = logging.getLogger(__name__)

FORMAT = 2
BEST_NAME = "checkpoint_best.pth"
LAST_NAME = "checkpoint_last.pth"
SHOWN_FAULTS = 12


@dataclass(frozen=True)
class Checkpoint:
    """Everything that is needed to go on with a run, or to use its model.

    Attributes:
        kind: What was trained: mae, regressor or inpainter.
        config: The resolved configuration, plain values.
        about: What else belongs to the model: normalization, targets, code revision; plain values.
        model: Weights and buffers by name.
        average: Averaged weights by name; empty without averaging.
        optimizer: State of the optimizer.
        epochs_done: Finished epochs.
        steps_done: Optimizer steps, skipped ones included.
        schedule_start: Step at which the learning-rate schedule began.
        best: Lowest validation loss so far.
        run_key: Tells the run from all others, in MLflow too.
        metrics: Metrics of the last finished epoch.
        batches_done: Batches that were used up of the epoch under way.
        epoch_sums: What that epoch has summed up so far.
        guard: What the guard knows of usual gradients; empty for a model without a training.
    """

    kind: str
    config: dict[str, Any]
    about: dict[str, Any]
    model: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, Any]
    epochs_done: int
    steps_done: int
    schedule_start: int
    best: float
    run_key: str
    metrics: dict[str, float]
    batches_done: int = 0
    epoch_sums: dict[str, Any] = field(default_factory=dict)
    guard: dict[str, Any] = field(default_factory=dict)

    def on_host(self) -> Self:
        """Return a copy in host memory that no further step changes.

        It costs as much memory as weights, averages and moments together, until it is written.
        """
        rollback = self.guard.get("rollback", {})
        # Kept states are in host memory and never change.
        moving = {name: value for name, value in self.guard.items() if name != "rollback"}
        course = {name: value for name, value in rollback.items() if name != "kept"}
        kept = {"rollback": {**copied(course), "kept": rollback["kept"]}} if rollback else {}
        return replace(
            self,
            model=copied(self.model),
            average=copied(self.average),
            optimizer=copied(self.optimizer),
            epoch_sums=copied(self.epoch_sums),
            guard={**copied(moving), **kept},
        )

    def without_kept_states(self) -> Self:
        """Return the same checkpoint without the older states that the guard may go back to.

        These are most of its size. A run that goes on from it keeps its first state at its first look.
        """
        rollback = self.guard.get("rollback")
        if rollback is None:
            return self
        return replace(self, guard={**self.guard, "rollback": {**rollback, "kept": []}})

    def save(self, path: Path) -> None:
        """Write the checkpoint as one sealed file, whole or not at all."""
        content: Content = {field.name: getattr(self, field.name) for field in fields(self)}
        write_sealed(path, {"format": FORMAT, **content})

    @classmethod
    def load(cls, path: Path, device: torch.device | str = "cpu") -> Self:
        """Read and verify a checkpoint.

        Raises:
            CheckpointError: If the file is missing, damaged, or of another format.
        """
        content = read_sealed(path, device)
        expected = {field.name for field in fields(cls)}
        found = content.pop("format", None)
        if found != FORMAT or set(content) != expected:
            raise CheckpointError(
                f"{path}: format {found!r} with keys {sorted(content)}; expected format {FORMAT} "
                f"with {sorted(expected)}. It was written by another version of the suite."
            )
        return cls(**content)  # type: ignore[arg-type]

    @property
    def inference_weights(self) -> dict[str, Tensor]:
        """The averaged weights where there are some, else the trained ones; buffers included."""
        return {**self.model, **self.average}


def load_weights(model: nn.Module, weights: dict[str, Tensor], source: Path) -> None:
    """Put weights into a model of the same architecture.

    Raises:
        CheckpointError: Naming each missing, superfluous or differently shaped parameter.
    """
    own = model.state_dict()
    faults = [f"missing {name}" for name in sorted(own.keys() - weights.keys())]
    faults += [f"unknown {name}" for name in sorted(weights.keys() - own.keys())]
    faults += [
        f"{name}: model {tuple(own[name].shape)}, checkpoint {tuple(weights[name].shape)}"
        for name in sorted(own.keys() & weights.keys())
        if own[name].shape != weights[name].shape
    ]
    if faults:
        shown = _shortened(faults)
        raise CheckpointError(
            f"{source}: belongs to another architecture, {len(faults)} parameters differ:\n  {shown}\n"
            "Make the model section of the configuration match the checkpoint's, or take over the "
            "weights that fit with --init_from."
        )
    model.load_state_dict(weights)


def initialize_from(model: nn.Module, weights: dict[str, Tensor], source: Path, *, part: str) -> None:
    """Take over the weights of one part of a model, and of whatever else fits by name and shape.

    Args:
        model: The model to initialize.
        weights: Weights of another model.
        source: Where they come from, for messages.
        part: Prefix of the part that must fit completely, such as ``encoder.``.

    Raises:
        CheckpointError: If any weight of the part is missing, superfluous or of another shape.
    """
    own = model.state_dict()
    fitting = {name: w for name, w in weights.items() if name in own and own[name].shape == w.shape}
    unfit = [
        f"{name}: model {_shape(own, name)}, checkpoint {_shape(weights, name)}"
        for name in sorted(own.keys() | weights.keys())
        if name.startswith(part) and name not in fitting
    ]
    if unfit:
        shown = _shortened(unfit)
        raise CheckpointError(
            f"{source}: its {part.rstrip('.')} is of another architecture, {len(unfit)} parameters differ:\n  {shown}\n"
            "Make the model section of the configuration match the checkpoint's."
        )
    model.load_state_dict(fitting, strict=False)
    fresh = sorted({name.split(".")[0] for name in own.keys() - fitting.keys()})
    logger.info(
        "initialized %d of %d parameters from %s; new: %s", len(fitting), len(own), source, ", ".join(fresh) or "none"
    )


def _shape(weights: dict[str, Tensor], name: str) -> str:
    return str(tuple(weights[name].shape)) if name in weights else "has none"


def _shortened(faults: list[str]) -> str:
    more = [f"... and {len(faults) - SHOWN_FAULTS} more"] if len(faults) > SHOWN_FAULTS else []
    return "\n  ".join(faults[:SHOWN_FAULTS] + more)
