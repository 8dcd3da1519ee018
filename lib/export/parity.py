"""Whether an exported file is the same function as the model it was made from."""

from typing import Final

import numpy as np
import torch

from lib.errors import ExportError
from lib.export.exportable import Exportable, ExportedOutput, FloatArray
from lib.export.metadata import Precision
from lib.export.odd_events import KINDS, generate_readings
from lib.export.session import ExportedModel

TOLERANCE = 1e-5
"""Largest difference that is accepted, in units of each output's spread or of its distance from the centre."""

# Eleven bits of the mantissa, and what a few dozen layers make of the last one.
TOLERANCES: Final[dict[Precision, float]] = {"fp32": TOLERANCE, "fp16": 1e-2}

NUM_EVENTS = 500
BATCH_SIZES = (1, 2, 3, 64)


def check_parity(model: Exportable, exported: ExportedModel, *, seed: int = 0) -> dict[str, float]:
    """Compare a model and its exported form on generated events, in batches of several sizes.

    Args:
        model: In evaluation mode, on the CPU, float32.
        exported: Its exported form.
        seed: Of the events.

    Returns:
        Largest ``scaled_difference`` of each output.

    Raises:
        ExportError: If a difference exceeds the tolerance, or if a value is finite in one form alone.
    """
    readings = generate_readings(NUM_EVENTS, np.random.default_rng(seed), model.inputs)
    tolerance = TOLERANCES[exported.metadata.precision]
    largest = {output.name: 0.0 for output in model.outputs}
    # One batch after another: the restored sensors of all events would be 40 MB of each of four arrays.
    for rows in _batches():
        batch = {name: values[rows] for name, values in readings.items()}
        with torch.inference_mode():
            original = model(*(torch.from_numpy(values) for values in batch.values()))
        results = exported.run(**batch)
        for output, expected in zip(model.outputs, original, strict=True):
            per_event = scaled_difference(output, expected.numpy(), results[output.name])
            worst = int(np.argmax(per_event))
            largest[output.name] = max(largest[output.name], float(per_event[worst]))
            if per_event[worst] > tolerance:
                event = rows.start + worst
                raise ExportError(
                    f"Output {output.name!r} of the exported model differs by {per_event[worst]:.2g} of its spread, "
                    f"accepted are {tolerance:g}: {_shown(results[output.name][worst])} against "
                    f"{_shown(expected[worst].numpy())} {output.description().unit} for generated event {event} "
                    f"({KINDS[event % len(KINDS)]}). The file was not written."
                )
    return largest


def scaled_difference(output: ExportedOutput, left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the largest difference of each event, shape (B,), in units of the output's spread.

    An odd event may be predicted many spreads from the centre, where float32 has fewer digits after the point: there
    the unit is the distance from the centre.

    Args:
        output: Supplies centre and spread; for a logarithmic target the spread grows with the value.
        left: Predictions of one form, shape (B, ...), in the output's unit.
        right: Predictions of the other form.

    Returns:
        Infinite where a value is finite in one form alone, or infinite with another sign.
    """
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore"):
        scaled = [output.scaled(values) for values in (left, right)]
        difference = np.abs(scaled[0] - scaled[1]) / np.maximum(1.0, np.abs(scaled[0]))
    comparable = np.isfinite(left) & np.isfinite(right)
    flat = (len(left), -1)
    return np.where(same.reshape(flat), 0.0, np.where(comparable.reshape(flat), difference, np.inf)).max(axis=1)


def _shown(values: FloatArray) -> str:
    return np.array2string(values, threshold=8, edgeitems=2)


def _batches() -> list[slice]:
    """Return the rows of each batch; the sizes follow one another until all events are used."""
    rows: list[slice] = []
    start = 0
    while start < NUM_EVENTS:
        size = BATCH_SIZES[len(rows) % len(BATCH_SIZES)]
        rows.append(slice(start, min(start + size, NUM_EVENTS)))
        start += size
    return rows
