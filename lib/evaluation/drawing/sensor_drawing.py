"""Drawing one quantity of all sensors on the unrolled detector."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Ellipse, Patch, Rectangle
from numpy.typing import NDArray

from lib.evaluation.drawing.sensor_layout import sensor_layout, unrolled_uvw
from lib.geometry.sensors import FloatArray

BoolArray = NDArray[np.bool_]

DEAD_COLOUR: Final = "#b5bcc4"
NO_VALUE_COLOUR: Final = "#f1f3f5"
FRAME_COLOUR: Final = "#c3c9d0"
LABEL_COLOUR: Final = "#5b6570"
# Shapes of the true and of the predicted point.
TRUE_MARKER: Final = "o"
PREDICTED_MARKER: Final = "D"

FACE_LABELS: Final = {
    "inner": "inner (MPPC)",
    "outer": "outer",
    "us": "upstream",
    "ds": "downstream",
    "top": "top",
    "bottom": "bottom",
}


def draw_sensors(
    axes: Axes, values: FloatArray, *, dead: BoolArray, norm: Normalize, colours: str | Colormap
) -> PatchCollection:
    """Draw every sensor once: coloured by its value, blank without one, grey and crossed out if dead.

    Args:
        axes: Where to; gets the extent of the detector and no ticks.
        values: Quantity per sensor, shape (4760,); not finite: no value.
        dead: True for dead channels, shape (4760,); their value is not shown.
        norm: From values to the range of colours.
        colours: Colour map; should hold no neutral grey, which marks the sensors that say nothing.

    Returns:
        The coloured sensors, for a colour bar.
    """
    shown = ~dead & np.isfinite(values)
    measured = PatchCollection(_patches(shown), norm=norm, cmap=colours, edgecolor="face", linewidth=0.15)
    measured.set_array(values[shown])
    blank = PatchCollection(_patches(~shown & ~dead), facecolor=NO_VALUE_COLOUR, edgecolor="#dde1e5", linewidth=0.3)
    crossed = PatchCollection(_patches(dead), facecolor=DEAD_COLOUR, edgecolor="none")
    for collection in (measured, blank, crossed):
        axes.add_collection(collection, autolim=False)
    _cross_out(axes, dead)
    _draw_frames(axes)
    return measured


def mark_position(axes: Axes, uvw: FloatArray, marker: str = TRUE_MARKER) -> None:
    """Mark a point of the xenon on the inner face in front of it and on the outer face behind it.

    Args:
        axes: Axes on which sensors were drawn.
        uvw: Detector coordinates in cm, shape (3,).
        marker: Its shape, so that truth and prediction are told apart without colour.
    """
    for face in ("inner", "outer"):
        x, y = unrolled_uvw(uvw, face)
        # Black on white shows on any colour; the ring leaves the shower's core visible.
        for colour, width in (("white", 3.6), ("black", 1.6)):
            axes.plot([x], [y], marker, markersize=17, fillstyle="none", color=colour, markeredgewidth=width)


def _patches(selected: BoolArray) -> list[Patch]:
    layout = sensor_layout()
    patches: list[Patch] = []
    for sensor in np.flatnonzero(selected):
        (x, y), (width, height) = layout.centres[sensor], layout.sizes[sensor]
        if layout.is_disc[sensor]:
            patches.append(Ellipse((x, y), width, height))
        else:
            patches.append(Rectangle((x - 0.5 * width, y - 0.5 * height), width, height))
    return patches


def _cross_out(axes: Axes, selected: BoolArray) -> None:
    layout = sensor_layout()
    # A line that suits a photomultiplier would fill an MPPC.
    for discs, width in ((True, 0.8), (False, 0.25)):
        some = selected & (layout.is_disc == discs)
        centres, reach = layout.centres[some][:, None], 0.3 * layout.sizes[some][:, None]
        rising, falling = np.array([[-1, -1], [1, 1]]), np.array([[-1, 1], [1, -1]])
        lines = np.concatenate([centres + reach * rising, centres + reach * falling])
        axes.add_collection(LineCollection(list(lines), colors="white", linewidths=width), autolim=False)


def _draw_frames(axes: Axes) -> None:
    layout = sensor_layout()
    for face, frame in layout.frames.items():
        corner = (frame.left, frame.bottom)
        axes.add_patch(Rectangle(corner, frame.width, frame.height, fill=False, edgecolor=FRAME_COLOUR, linewidth=0.6))
        axes.text(frame.left, frame.top + 1.0, FACE_LABELS[face], va="bottom", fontsize=9, color=LABEL_COLOUR)
    axes.set_xlim(layout.extent.left - 2, layout.extent.right + 2)
    # Room for the names of the topmost faces.
    axes.set_ylim(layout.extent.bottom - 2, layout.extent.top + 6)
    axes.set_aspect("equal")
    axes.set_axis_off()
