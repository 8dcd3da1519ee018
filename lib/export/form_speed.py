"""How fast the forms of an exported function are."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from lib.export.forms import Form, Readings


@dataclass(frozen=True)
class Speed:
    """How fast a form is.

    Attributes:
        form: The form.
        latency_ms: Median time of one event alone.
        events_per_s: From the median time of a full batch.
    """

    form: str
    latency_ms: float
    events_per_s: float


def measure_speeds(forms: Sequence[Form], readings: Readings, repeat: int) -> list[Speed]:
    """Return the speed of each form, measured in turns, after one run that does not count.

    Args:
        forms: What is measured.
        readings: A full batch.
        repeat: Timed runs, of which the median counts.
    """
    one = {name: values[:1] for name, values in readings.items()}
    times: dict[str, tuple[list[float], list[float]]] = {form.name: ([], []) for form in forms}
    for turn in range(repeat + 1):
        for form in forms:
            for found, batch in zip(times[form.name], (one, readings), strict=True):
                seconds = form.seconds(batch)
                if turn:
                    found.append(seconds)
    count = len(readings["npho"])
    return [
        Speed(name, 1e3 * statistics.median(single), count / statistics.median(full))
        for name, (single, full) in times.items()
    ]
