"""Figures of restored sensors: errors and biases of models and methods by face and along other quantities."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lib.evaluation.restoration.restoration_table import RestorationTable, Score, binned_scores, face_scores
from lib.evaluation.restoration.restoration_trial import CLUSTER_SIZE, DISTANCE
from lib.geometry.sensors import FloatArray

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
CHARGE: Final = "charge"
_MOST_BIAS: Final = 12.0  # per cent; beyond, nobody asks for the number

Curves = Mapping[str, list[Score]]


@dataclass(frozen=True)
class Named:
    """One model or method of one table.

    Attributes:
        table: The rows.
        name: Its name there.
    """

    table: RestorationTable
    name: str


@dataclass(frozen=True, eq=False)
class Quantity:
    """Something along which errors are looked at.

    Attributes:
        name: Of the column; ``charge`` for the truth itself.
        label: With its unit.
        edges: Bounds of the bins, shape (n + 1,).
        is_logarithmic: How the axis is drawn.
    """

    name: str
    label: str
    edges: FloatArray
    is_logarithmic: bool

    def of(self, table: RestorationTable) -> FloatArray | None:
        """Return the values of each sensor, None where the rows do not tell."""
        return table.truth if self.name == CHARGE else table.beside.get(self.name)


QUANTITIES: Final = (
    Quantity(CHARGE, "photons", np.geomspace(3.0, 3e4, 17), is_logarithmic=True),
    Quantity(DISTANCE, "distance to the centre of the light (cm)", np.linspace(0.0, 130.0, 27), is_logarithmic=False),
    Quantity(
        CLUSTER_SIZE, "missing sensors that touch", np.array([0.5, 1.5, 2.5, 3.5, 5.5, 8.5, 12.5, 25.5, 100.5]),
        is_logarithmic=False,
    ),
)  # fmt: skip


def draw_faces(shown: Mapping[str, Named]) -> Figure:
    """Draw errors and biases on each face, a bar for each model or method."""
    scores = {label: face_scores(one.table, one.name) for label, one in shown.items()}
    faces = list(dict.fromkeys(face for by_face in scores.values() for face in by_face))
    figure = Figure(figsize=(11, 8), layout="constrained")
    errors, biases = figure.subplots(2, 1, sharex=True)
    width = 0.8 / len(scores)
    for number, (label, by_face) in enumerate(scores.items()):
        place = np.arange(len(faces)) + (number - 0.5 * (len(scores) - 1)) * width
        found = [by_face.get(face) for face in faces]
        colour = COLOURS[number % len(COLOURS)]
        _bars(
            errors,
            place,
            [None if one is None else (one.error, one.error_error) for one in found],
            width,
            colour,
            label,
        )
        _bars(biases, place, [None if one is None else (100 * one.bias, 0.0) for one in found], width, colour, label)
    errors.set_ylabel(f"68 % of |restored \N{MINUS SIGN} {_truth_name(shown)}| (photons)")
    biases.set_ylabel("bias (%)")
    biases.axhline(0.0, color="0.4", linewidth=0.8)
    biases.set_xticks(np.arange(len(faces)), faces)
    errors.set_ylim(0.0, 1.25 * errors.get_ylim()[1])
    errors.legend(frameon=False, ncols=4, loc="upper left")
    return figure


def _bars(
    axes: Axes,
    place: FloatArray,
    values: list[tuple[float, float] | None],
    width: float,
    colour: str,
    label: str,
) -> None:
    known = [(x, *value) for x, value in zip(place, values, strict=True) if value is not None]
    x, height, error = (np.array(column) for column in zip(*known, strict=True))
    axes.bar(x, height, width, color=colour, label=label, yerr=error if error.any() else None)


def draw_quantity(shown: Mapping[str, Named], quantity: Quantity) -> Figure | None:
    """Draw relative errors and biases along a quantity; None where no table knows it, or not of enough sensors."""
    scores = {label: _along(one, quantity) for label, one in shown.items()}
    found = {label: bins for label, bins in scores.items() if any(one.count for one in bins)}
    if not found:
        return None
    figure = Figure(figsize=(11, 8), layout="constrained")
    errors, biases = figure.subplots(2, 1, sharex=True)
    for number, (label, bins) in enumerate(found.items()):
        colour = COLOURS[number % len(COLOURS)]
        _line(errors, quantity, bins, lambda score: 100 * score.error / score.mean_truth, colour, label)
        _line(biases, quantity, bins, lambda score: 100 * score.bias, colour, label)
    errors.set_ylabel(f"68 % of |restored \N{MINUS SIGN} {_truth_name(shown)}| over the mean (%)")
    errors.set_yscale("log")
    # Room for the legend, and numbers instead of powers.
    errors.set_ylim(top=2.5 * errors.get_ylim()[1])
    errors.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    errors.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    errors.yaxis.set_minor_formatter(NullFormatter())
    biases.set_ylabel("bias (%)")
    low, high = biases.get_ylim()
    biases.set_ylim(max(low, -_MOST_BIAS), min(high, _MOST_BIAS))
    biases.axhline(0.0, color="0.4", linewidth=0.8)
    biases.set_xlabel(quantity.label)
    if quantity.is_logarithmic:
        biases.set_xscale("log")
    errors.legend(frameon=False, ncols=4, loc="upper right")
    return figure


def _along(one: Named, quantity: Quantity) -> list[Score]:
    values = quantity.of(one.table)
    return [] if values is None else binned_scores(one.table, one.name, values, quantity.edges)


def _line(
    axes: Axes, quantity: Quantity, scores: list[Score], value: Callable[[Score], float], colour: str, label: str
) -> None:
    edges = quantity.edges
    middle = np.sqrt(edges[1:] * edges[:-1]) if quantity.is_logarithmic else 0.5 * (edges[1:] + edges[:-1])
    heights = np.array([value(one) if one.count else np.nan for one in scores])
    axes.plot(middle, heights, "o-", color=colour, markersize=4, linewidth=1.3, label=label)


def _truth_name(shown: Mapping[str, Named]) -> str:
    expected = {one.table.is_expected for one in shown.values()}
    return "truth" if len(expected) > 1 else "expected" if expected.pop() else "measured"


def draw_analysis(shown: Mapping[str, Named]) -> list[Figure]:
    """Draw everything: by face, against charge, distance to the light and size of a gap."""
    along = [draw_quantity(shown, quantity) for quantity in QUANTITIES]
    return [draw_faces(shown), *(figure for figure in along if figure is not None)]
