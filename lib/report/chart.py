"""Small line charts and histograms as inline SVG, in the colours of the page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lib.report.markup import Markup, element, joined

WIDTH: Final = 460.0
HEIGHT: Final = 270.0
# Room for tick labels, axis titles and the legend.
LEFT, RIGHT, TOP, BOTTOM = 62.0, 12.0, 14.0, 46.0
# The style sheet has so many colours and dash patterns for curves.
NUM_STYLES: Final = 6
LEGEND_ROW: Final = 18.0
LETTER_WIDTH: Final = 8.0
LONGEST_LABEL: Final = 44


@dataclass(frozen=True)
class Series:
    """One curve.

    Attributes:
        label: Its name in the legend.
        x: Places along the axis, ascending.
        y: Values; those that are not finite leave a gap.
        errors: Statistical error of each value; none by default.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    errors: Sequence[float] = ()


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    start: float
    stop: float
    logarithmic: bool = False

    def place(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        if not self.logarithmic:
            return _round_steps(self.low, self.high)
        decades = range(math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1)
        factors = (1.0,) if len(decades) > 2 else (1.0, 2.0, 5.0)
        fine = [f * 10.0**d for d in range(decades.start - 1, decades.stop + 1) for f in factors]
        inside = [value for value in fine if self.low <= value <= self.high]
        return inside if len(inside) > 1 else _round_steps(self.low, self.high)


def line_chart(title: str, y_label: str, series: Sequence[Series], *, x_label: str = "epoch") -> Markup:
    """Draw curves; logarithmic where the values span more than a decade.

    Args:
        title: Heading, and name of the figure for screen readers.
        y_label: Quantity and unit of the values.
        series: The curves; at least one has a finite value.
        x_label: What runs along.
    """
    points = [[(x, y) for x, y in zip(one.x, one.y, strict=True) if math.isfinite(y)] for one in series]
    values = [y for curve in points for _, y in curve]
    places = [x for curve in points for x, _ in curve]
    legend, height = _legend([one.label for one in series]) if len(series) > 1 else (Markup(), 0.0)
    x_axis = _Axis(*_widened(min(places), max(places)), LEFT, WIDTH - RIGHT)
    y_axis = _value_axis(values, HEIGHT - BOTTOM, TOP)
    parts = [_frame(x_axis, y_axis, x_label, y_label)]
    for number, (one, curve) in enumerate(zip(series, points, strict=True)):
        bars = _error_bars(one, x_axis, y_axis)
        parts.append(_curve(one.label, curve, (x_axis, y_axis), f"series-{number % NUM_STYLES}", bars))
    return _figure(title, _spoken(series, points), [*parts, legend], HEIGHT + height)


def histogram(title: str, x_label: str, counts: Sequence[float], edges: Sequence[float]) -> Markup:
    """Draw the distribution of a quantity.

    Args:
        title: Heading.
        x_label: Quantity and unit.
        counts: Events per bin, shape (N,).
        edges: Edges of the bins, ascending, shape (N + 1,).
    """
    x_axis = _Axis(edges[0], edges[-1], LEFT, WIDTH - RIGHT)
    y_axis = _Axis(0.0, 1.1 * max([1.0, *counts]), HEIGHT - BOTTOM, TOP)
    outline = [f"M{x_axis.place(edges[0]):.1f},{y_axis.place(0):.1f}"]
    for count, right in zip(counts, edges[1:], strict=True):
        outline.append(f"V{y_axis.place(count):.1f}H{x_axis.place(right):.1f}")
    path = element("path", d="".join([*outline, f"V{y_axis.place(0):.1f}Z"]), class_="bars")
    spoken = f"{title}: {sum(counts):.0f} events between {edges[0]:.3g} and {edges[-1]:.3g}."
    return _figure(title, spoken, [_frame(x_axis, y_axis, x_label, "events"), path], HEIGHT)


def bar_chart(title: str, y_label: str, bars: Mapping[str, tuple[float, float]]) -> Markup:
    """Draw named values side by side, on a logarithmic axis, each with its error.

    Args:
        title: Heading.
        y_label: Quantity and unit of the values.
        bars: Value and error by name; at least one value is positive and finite.
    """
    shown = {name: pair for name, pair in bars.items() if math.isfinite(pair[0]) and pair[0] > 0}
    values = [value for value, _ in shown.values()]
    y_axis = _Axis(min(values) / 2, max(values) * 1.3, HEIGHT - BOTTOM, TOP, logarithmic=True)
    step = (WIDTH - RIGHT - LEFT) / len(shown)
    parts = [_levels(y_axis), _titles("", y_label)]
    for number, (name, (value, error)) in enumerate(shown.items()):
        left, top = LEFT + (number + 0.15) * step, y_axis.place(value)
        height = HEIGHT - BOTTOM - top
        spoken = element("title", f"{name}: {value:.3g} \N{PLUS-MINUS SIGN} {error:.2g}")
        parts.append(element("rect", spoken, x=left, y=top, width=0.7 * step, height=height, class_="bars"))
        middle = left + 0.35 * step
        parts.append(element("text", name, x=middle, y=HEIGHT - BOTTOM + 18, class_="tick middle"))
        ends = [min(max(end, y_axis.low), y_axis.high) for end in (value - error, value + error)]
        low, high = (y_axis.place(end) for end in ends)
        parts.append(element("line", x1=middle, x2=middle, y1=low, y2=high, class_="error"))
    words = ", ".join(f"{name} {value:.3g}" for name, (value, _) in shown.items())
    return _figure(title, f"{title}, {y_label}: {words}.", parts, HEIGHT)


def _figure(title: str, spoken: str, parts: Sequence[Markup], height: float) -> Markup:
    drawing = element("svg", *parts, viewBox=f"0 0 {WIDTH:g} {height:g}", role="img", aria_label=spoken)
    return element("figure", element("figcaption", title), drawing, class_="chart")


def _frame(x_axis: _Axis, y_axis: _Axis, x_label: str, y_label: str) -> Markup:
    parts = [_levels(y_axis), _titles(x_label, y_label)]
    for value in x_axis.ticks():
        text = element("text", _number(value), x=x_axis.place(value), y=HEIGHT - BOTTOM + 18, class_="tick middle")
        parts.append(text)
    return joined(*parts)


def _levels(y_axis: _Axis) -> Markup:
    """Return the horizontal lines of the values with their numbers."""
    parts = []
    for value in y_axis.ticks():
        y = y_axis.place(value)
        parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(element("text", _number(value), x=LEFT - 6, y=y + 4, class_="tick end"))
    return joined(*parts)


def _titles(x_label: str, y_label: str) -> Markup:
    """Return the lower axis and what runs along both."""
    middle, y = 0.5 * (LEFT + WIDTH - RIGHT), 0.5 * (HEIGHT - BOTTOM + TOP)
    return joined(
        element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=HEIGHT - BOTTOM, y2=HEIGHT - BOTTOM, class_="axis"),
        element("text", x_label, x=middle, y=HEIGHT - 8, class_="label middle"),
        element("text", y_label, x=13, y=y, transform=f"rotate(-90 13 {y:g})", class_="label middle"),
    )


def _error_bars(one: Series, x_axis: _Axis, y_axis: _Axis) -> list[Markup]:
    """Return a vertical stroke from error below to error above each value, cut at the frame."""
    strokes = []
    for x, y, error in zip(one.x, one.y, one.errors, strict=False):
        if math.isfinite(y) and math.isfinite(error):
            low, high = (min(max(end, y_axis.low), y_axis.high) for end in (y - error, y + error))
            at = x_axis.place(x)
            strokes.append(element("line", x1=at, x2=at, y1=y_axis.place(low), y2=y_axis.place(high), class_="error"))
    return strokes


def _curve(
    label: str, curve: Sequence[tuple[float, float]], axes: tuple[_Axis, _Axis], style: str, bars: Sequence[Markup]
) -> Markup:
    placed = [(axes[0].place(x), axes[1].place(y)) for x, y in curve]
    parts = [element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in placed), class_="curve")]
    # Beyond some dozens of points their marks would hide the curve.
    if len(placed) <= 40:
        parts += [
            element("circle", element("title", f"{label}: {x:g}: {y:.4g}"), cx=round(at, 1), cy=round(up, 1), r=3)
            for (x, y), (at, up) in zip(curve, placed, strict=True)
        ]
    return element("g", *parts, *bars, class_=style)


def _legend(labels: Sequence[str]) -> tuple[Markup, float]:
    """Return the legend below the chart, and its height; labels that do not fit beside each other take rows."""
    parts, x, row = [], LEFT, 0
    for number, label in enumerate(labels):
        text = label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "\N{HORIZONTAL ELLIPSIS}"
        width = 34 + LETTER_WIDTH * len(text)
        if x > LEFT and x + width > WIDTH - RIGHT:
            x, row = LEFT, row + 1
        y = HEIGHT + 6 + LEGEND_ROW * row
        stroke = element("polyline", points=f"{x:g},{y:g} {x + 22:g},{y:g}", class_="curve")
        parts.append(element("g", stroke, class_=f"series-{number % NUM_STYLES}"))
        parts.append(element("text", text, x=x + 28, y=y + 4, class_="tick"))
        x += width
    return joined(*parts), LEGEND_ROW * (row + 1)


def _spoken(series: Sequence[Series], points: Sequence[Sequence[tuple[float, float]]]) -> str:
    """Return the chart in words: first, last and best value of each curve."""
    words = [
        f"{one.label}: {len(curve)} points, from {curve[0][1]:.4g} to {curve[-1][1]:.4g}, lowest "
        f"{min(y for _, y in curve):.4g}"
        for one, curve in zip(series, points, strict=True)
        if curve
    ]
    return ". ".join(words) + "."


def _value_axis(values: Sequence[float], start: float, stop: float) -> _Axis:
    low, high = min(values), max(values)
    if low > 0 and high > 10 * low:
        return _Axis(low / 1.2, high * 1.2, start, stop, logarithmic=True)
    # Counts and shares begin at zero, where that does not flatten the curve.
    if 0 <= low < 0.8 * high:
        low = 0.0
    low, high = _widened(low, high)
    return _Axis(low, high + 0.06 * (high - low), start, stop)


def _widened(low: float, high: float) -> tuple[float, float]:
    if high > low:
        return low, high
    margin = 0.5 * abs(low) or 0.5
    return (low - margin if low < 0 or low > 1 else 0.0), high + margin


def _round_steps(low: float, high: float) -> list[float]:
    """Return between three and seven round numbers of a range."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough)
    return [
        float(number) * step for number in np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def _number(value: float) -> str:
    # Short enough for the room left of the axis.
    text = f"{value:.4g}" if value == 0 or 1e-2 <= abs(value) < 1e4 else f"{value:.2e}".replace(".00e", "e")
    return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-").replace("-", "\N{MINUS SIGN}")
