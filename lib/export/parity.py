"""Whether an exported file is the same function as the model it was made from."""

from collections.abc import Sequence

import numpy as np
import torch

from lib.errors import ExportError
from lib.export.odd_events import KINDS, FloatArray, generate_events
from lib.export.physical_regressor import PhysicalOutput, PhysicalRegressor
from lib.export.session import ExportedModel

TOLERANCE = 1e-5
"""Largest difference that is accepted, in units of each output's spread or of its distance from the centre."""

NUM_EVENTS = 500
BATCH_SIZES = (1, 2, 3, 64)


def check_parity(model: PhysicalRegressor, exported: ExportedModel, *, seed: int = 0) -> dict[str, float]:
    """Compare a model and its exported form on generated events, in batches of several sizes.

    Args:
        model: In evaluation mode, on the CPU.
        exported: Its exported form.
        seed: Of the events.

    Returns:
        Largest ``scaled_difference`` of each output.

    Raises:
        ExportError: If a difference exceeds the tolerance, or if a value is finite in one form alone.
    """
    npho, time = generate_events(NUM_EVENTS, np.random.default_rng(seed))
    eager, other = _predict_in_torch(model, npho, time), _predict_exported(exported, npho, time)
    differences: dict[str, float] = {}
    for output in model.outputs:
        target, original, result = output.target, eager[output.name], other[output.name]
        per_event = scaled_difference(output, original, result)
        worst = int(np.argmax(per_event))
        differences[output.name] = float(per_event[worst])
        if per_event[worst] > TOLERANCE:
            raise ExportError(
                f"Output {output.name!r} of the exported model differs by {per_event[worst]:.2g} of its spread, "
                f"accepted are {TOLERANCE:g}: {result[worst]} against {original[worst]} {target.unit} for generated "
                f"event {worst} ({KINDS[worst % len(KINDS)]}). The file was not written."
            )
    return differences


def scaled_difference(output: PhysicalOutput, left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the largest difference of each event, shape (B,), in units of the target's spread.

    An odd event may be predicted many spreads from the centre, where float32 has fewer digits after the point: there
    the unit is the distance from the centre.

    Args:
        output: Supplies centre and spread; for a logarithmic target the spread grows with the value.
        left: Predictions of one form, shape (B, width), in the target's unit.
        right: Predictions of the other form.

    Returns:
        Infinite where a value is finite in one form alone, or infinite with another sign.
    """
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    scaled = [_scaled(output, values) for values in (left, right)]
    with np.errstate(invalid="ignore"):
        difference = np.abs(scaled[0] - scaled[1]) / np.maximum(1.0, np.abs(scaled[0]))
    comparable = np.isfinite(left) & np.isfinite(right)
    return np.where(same, 0.0, np.where(comparable, difference, np.inf)).max(axis=1)


def _scaled(output: PhysicalOutput, values: FloatArray) -> FloatArray:
    if output.role == "value":
        return output.target.to_scaled(torch.as_tensor(values, dtype=torch.float64)).numpy()
    # Errors and probabilities have their zero at zero.
    return values.astype(np.float64) / np.array([output.target.unit_scale(i) for i in range(output.target.width)])


def _batches() -> list[slice]:
    """Return the rows of each batch; the sizes follow one another until all events are used."""
    rows: list[slice] = []
    start = 0
    while start < NUM_EVENTS:
        size = BATCH_SIZES[len(rows) % len(BATCH_SIZES)]
        rows.append(slice(start, min(start + size, NUM_EVENTS)))
        start += size
    return rows


def _predict_in_torch(model: PhysicalRegressor, npho: FloatArray, time: FloatArray) -> dict[str, FloatArray]:
    with torch.inference_mode():
        parts = [model(torch.from_numpy(npho[rows]), torch.from_numpy(time[rows])) for rows in _batches()]
    return _joined([output.name for output in model.outputs], [[value.numpy() for value in part] for part in parts])


def _predict_exported(exported: ExportedModel, npho: FloatArray, time: FloatArray) -> dict[str, FloatArray]:
    names = [output.name for output in exported.metadata.outputs]
    return _joined(names, [list(exported.run(npho[rows], time[rows]).values()) for rows in _batches()])


def _joined(names: Sequence[str], parts: list[list[FloatArray]]) -> dict[str, FloatArray]:
    return {name: np.concatenate(columns) for name, columns in zip(names, zip(*parts, strict=True), strict=True)}
