"""What is written down about a step that was skipped."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

# What tells the events of one batch from all others, by name, one row each.
Identity = Mapping[str, Tensor]


@dataclass(frozen=True)
class SkipReport:
    """One skipped step.

    Attributes:
        step: Optimizer step, counted from 0.
        finite: False if loss or gradient was not finite; True if the gradient was far above the usual.
        norm: Gradient norm on this rank.
        loss: Mean loss of the accumulation window over all ranks; NaN if it was not finite.
        batches: Events of each batch of the accumulation window.
        module_norms: Gradient norm of each module, in the order of the model.
        rank: Process of the training that saw these batches.
    """

    step: int
    finite: bool
    norm: float
    loss: float
    batches: Sequence[Identity]
    module_norms: Mapping[str, float]
    rank: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it; numbers that are not finite become text."""
        not_finite = [module for module, norm in self.module_norms.items() if not math.isfinite(norm)]
        return {
            "step": self.step,
            "rank": self.rank,
            "reason": "gradient far above the usual" if self.finite else "loss or gradient not finite",
            "loss": _plain(self.loss),
            "grad_norm": _plain(self.norm),
            "first_module_not_finite": not_finite[0] if not_finite else None,
            "batches": [{name: values.tolist() for name, values in batch.items()} for batch in self.batches],
            "module_norms": {module: _plain(norm) for module, norm in self.module_norms.items()},
        }


def module_norms(names: Sequence[str], norms: Sequence[float]) -> dict[str, float]:
    """Return the gradient norm of each module from those of its parameters.

    Args:
        names: Parameter names, such as ``encoder.stem.weight``.
        norms: Norm of each parameter's gradient.
    """
    squares: dict[str, float] = {}
    for name, norm in zip(names, norms, strict=True):
        module = name.rpartition(".")[0]
        squares[module] = squares.get(module, 0.0) + norm**2
    return {module: math.sqrt(square) for module, square in squares.items()}


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
