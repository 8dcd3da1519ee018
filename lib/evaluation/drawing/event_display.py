"""One event on the unrolled detector: photons and time of every sensor, and where the photon converted."""

from dataclasses import dataclass
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lib.data.branches import INVALID_ABOVE
from lib.evaluation.drawing.sensor_drawing import (
    DEAD_COLOUR,
    FRAME_COLOUR,
    LABEL_COLOUR,
    NO_VALUE_COLOUR,
    PREDICTED_MARKER,
    TRUE_MARKER,
    BoolArray,
    draw_sensors,
    mark_position,
)
from lib.geometry.sensors import FloatArray

FIGURE_SIZE: Final = (16.0, 7.9)

# Both maps are perceptually uniform and can be read with any colour vision. The palest end of the first would vanish on
# white paper.
NPHO_MAP: Final = ListedColormap(mpl.colormaps["inferno"](np.linspace(0.0, 0.92, 256)))
TIME_MAP: Final = mpl.colormaps["viridis"]

# Decades of the photon scale: below a thousandth of the brightest sensor there is only noise to see.
NPHO_DECADES: Final = 3.0
# Share of sensors within the time scale, so that late light on the far faces does not stretch it.
TIME_QUANTILE: Final = 0.9


@dataclass(frozen=True, eq=False)
class DisplayedEvent:
    """An event to be drawn.

    Attributes:
        npho: Photons per sensor, shape (4760,); beyond 9e9 or not finite: the channel is dead.
        time: Time per sensor in s, shape (4760,); beyond 9e9 or not finite: no time.
        run: Run number.
        event: Event number.
        energy_gev: True energy of the photon, None where unknown.
        uvw: True first interaction in cm, shape (3,), None where unknown.
        predicted_uvw: Predicted first interaction in cm, shape (3,), None where none was predicted.
    """

    npho: FloatArray
    time: FloatArray
    run: int
    event: int
    energy_gev: float | None = None
    uvw: FloatArray | None = None
    predicted_uvw: FloatArray | None = None

    @property
    def dead(self) -> BoolArray:
        """True for channels without photon count, shape (4760,)."""
        return ~_measured(self.npho)

    @property
    def timed(self) -> BoolArray:
        """True for living channels with a time, shape (4760,)."""
        return _measured(self.time) & ~self.dead


def _measured(values: FloatArray) -> BoolArray:
    return np.isfinite(values) & (np.abs(values) < INVALID_ABOVE)


def draw_event(event: DisplayedEvent) -> Figure:
    """Draw photons (left) and time (right) of one event on the unrolled detector."""
    figure = Figure(figsize=FIGURE_SIZE, facecolor="white")
    npho_axes, time_axes = (figure.add_axes((left, 0.045, 0.43, 0.85)) for left in (0.008, 0.506))
    dead = event.dead

    # A logarithm has no place for zero nor for the negatives of pedestal subtraction: they show the lowest colour.
    scale, lowest = npho_scale(event)
    photons = draw_sensors(npho_axes, np.maximum(event.npho, lowest), dead=dead, norm=scale, colours=NPHO_MAP)
    _add_colour_bar(figure, npho_axes, photons, "photons", extend="min")

    time_ns, median = centred_time_ns(event)
    times = draw_sensors(time_axes, time_ns, dead=dead, norm=time_scale(time_ns), colours=TIME_MAP)
    _add_colour_bar(figure, time_axes, times, "time after the median (ns)", extend="both")

    for axes in (npho_axes, time_axes):
        for marker, point in ((TRUE_MARKER, event.uvw), (PREDICTED_MARKER, event.predicted_uvw)):
            if point is not None:
                mark_position(axes, point, marker)
    _add_titles(figure, event, median)
    _add_legend(figure, event)
    return figure


def npho_scale(event: DisplayedEvent) -> tuple[LogNorm, float]:
    """Return the logarithmic scale of photon counts up to the brightest sensor, and its lower end."""
    brightest = max(float(np.max(event.npho, initial=1.0, where=~event.dead)), 10.0)
    lowest = brightest * 10**-NPHO_DECADES
    return LogNorm(lowest, brightest), lowest


def centred_time_ns(event: DisplayedEvent) -> tuple[FloatArray, float]:
    """Return sensor times around their median, and the median.

    Returns:
        Time after the median in ns, shape (4760,), NaN where there is none; and the median in ns, NaN without times.
    """
    time_ns = np.where(event.timed, event.time.astype(np.float64), np.nan) * 1e9
    if not event.timed.any():
        return time_ns, float("nan")
    median = float(np.nanmedian(time_ns))
    return time_ns - median, median


def time_scale(time_ns: FloatArray) -> Normalize:
    """Return the linear, symmetric scale of centred times in ns."""
    distance = np.abs(time_ns[np.isfinite(time_ns)])
    half_width = max(float(np.quantile(distance, TIME_QUANTILE)), 0.1) if distance.size else 1.0
    return Normalize(-half_width, half_width)


def _add_colour_bar(figure: Figure, axes: Axes, sensors: PatchCollection, label: str, *, extend: str) -> None:
    box = axes.get_position()
    bar_axes = figure.add_axes((box.x1 + 0.004, box.y0 + 0.06, 0.009, box.height - 0.12))
    bar = figure.colorbar(sensors, cax=bar_axes, extend=extend)
    bar.set_label(label, fontsize=12)
    bar.ax.tick_params(labelsize=10)


def _add_titles(figure: Figure, event: DisplayedEvent, median_ns: float) -> None:
    parts = [f"run {event.run}, event {event.event}"]
    if event.energy_gev is not None:
        parts.append(f"$E$ = {1e3 * event.energy_gev:.2f} MeV")
    if event.uvw is not None:
        parts.append("($u$, $v$, $w$) = ({:.2f}, {:.2f}, {:.2f}) cm".format(*event.uvw))
    total, num_timed = float(np.sum(event.npho, where=~event.dead)), np.count_nonzero(event.timed)
    photons = f"{total:,.0f} photons in {np.count_nonzero(~event.dead)} channels"
    times = f"{num_timed} channels with a time, median {median_ns:.2f} ns" if num_timed else "no channel has a time"
    figure.text(0.012, 0.962, _with_minus("    ".join(parts)), fontsize=17, va="center")
    figure.text(0.012, 0.915, _with_minus(photons), fontsize=12, va="center", color=LABEL_COLOUR)
    figure.text(0.510, 0.915, _with_minus(times), fontsize=12, va="center", color=LABEL_COLOUR)


def _with_minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def _add_legend(figure: Figure, event: DisplayedEvent) -> None:
    handles: list[Patch | Line2D] = [
        Patch(facecolor=DEAD_COLOUR, label=f"dead channel ({np.count_nonzero(event.dead)})"),
        Patch(facecolor=NO_VALUE_COLOUR, edgecolor=FRAME_COLOUR, label="no time"),
    ]
    points = ((TRUE_MARKER, event.uvw, "true"), (PREDICTED_MARKER, event.predicted_uvw, "predicted"))
    for marker, point, name in points:
        if point is not None:
            sign = Line2D([], [], marker=marker, markersize=11, fillstyle="none", color="black", linestyle="none")
            sign.set_label(f"{name} first interaction")
            handles.append(sign)
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.005, 0.0), ncols=4, frameon=False, fontsize=11)
