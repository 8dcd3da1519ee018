"""The detector drawn for the documentation: its faces unrolled, a cut across the beam and a cut along it, as SVG."""

from typing import Final

import numpy as np

from lib.evaluation.drawing.sensor_layout import Rectangle, sensor_layout
from lib.geometry.sensors import (
    FACE_NAMES,
    INNER_SHAPE,
    OUTER_COARSE_SHAPE,
    SIDE_SHAPE,
    STAGGERED_ROWS,
    FloatArray,
    IndexArray,
    dense_ids,
    nominal_sensors,
)
from lib.report.markup import Markup, element, joined

# In cm, as everything here. Cuts are drawn smaller than the faces, so that both fit beside them.
CUT_SCALE: Final = 0.75
GAP: Final = 14.0
LETTER: Final = 5.0
TARGET: Final = "target"
_COLOURS: Final = dict(zip(FACE_NAMES, ("#0072b2", "#b34700", "#00785a", "#9a3f78", "#6b5d00", "#3d3d9e"), strict=True))
_ARRANGEMENT: Final = {
    "inner": "{} x {} MPPCs".format(*INNER_SHAPE),
    "outer": "{} x {} PMTs, dense patch inside".format(*OUTER_COARSE_SHAPE),
    "us": "{} x {}".format(*SIDE_SHAPE),
    "ds": "{} x {}".format(*SIDE_SHAPE),
    "top": f"staggered rows of {', '.join(map(str, STAGGERED_ROWS))}",
    "bottom": f"staggered rows of {', '.join(map(str, STAGGERED_ROWS))}",
}
_SPOKEN: Final = (
    "Left: the six faces unrolled at true scale; the inner face in the middle, upstream to its left, downstream to its "
    "right, top above, bottom below, the outer face beside them. Right: the same sensors cut across the beam, an arc "
    "around the target, and along the beam."
)


def detector_figure() -> str:
    """Return the drawing as the text of an SVG file."""
    extent = sensor_layout().extent
    right = extent.right + GAP
    cuts, width = _cuts(right, -extent.top - LETTER)
    box = Rectangle(extent.left - GAP, -extent.top - GAP, right + width - extent.left + GAP, extent.height + 2 * GAP)
    drawing = element(
        "svg",
        element("title", _SPOKEN),
        element("rect", x=box.left, y=box.bottom, width=box.width, height=box.height, fill="#ffffff"),
        *(_face(name) for name in FACE_NAMES),
        _axes(extent),
        cuts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"{box.left:.1f} {box.bottom:.1f} {box.width:.1f} {box.height:.1f}",
        font_family="system-ui, sans-serif",
        font_size=LETTER,
        role="img",
    )
    return f"{drawing}\n"


def _face(name: str) -> Markup:
    frame, colour = sensor_layout().frames[name], _COLOURS[name]
    ids = _ids(name)
    sensors = _grid(frame, INNER_SHAPE) if name == "inner" else _discs(ids)
    below = name == "bottom"
    y = -frame.bottom + 1.2 * LETTER if below else -frame.top - 0.4 * LETTER
    return element(
        "g",
        element("rect", x=frame.left, y=-frame.top, width=frame.width, height=frame.height, fill="#f4f6f8"),
        element("g", sensors, stroke=colour, stroke_width=0.25),
        element("text", f"{name}: {_ARRANGEMENT[name]}", x=frame.left, y=round(y, 1), fill=colour),
    )


def _ids(name: str) -> IndexArray:
    return np.flatnonzero(nominal_sensors().face_codes == FACE_NAMES.index(name))


def _grid(frame: Rectangle, shape: tuple[int, int]) -> Markup:
    """Return the lattice of a rectangular face as lines, which take less room than its sensors."""
    rows = (f"M{frame.left:.2f},{-y:.2f}h{frame.width:.2f}" for y in np.linspace(frame.bottom, frame.top, shape[0] + 1))
    columns = (
        f"M{x:.2f},{-frame.top:.2f}v{frame.height:.2f}" for x in np.linspace(frame.left, frame.right, shape[1] + 1)
    )
    return element("path", d="".join([*rows, *columns]), fill="none")


def _discs(ids: IndexArray) -> Markup:
    layout, dense = sensor_layout(), set(dense_ids().ravel().tolist())
    return joined(
        *(
            element(
                "circle",
                cx=round(float(layout.centres[sensor, 0]), 1),
                cy=round(-float(layout.centres[sensor, 1]), 1),
                r=round(float(layout.sizes[sensor, 0]) / 2, 2),
                fill="#f2c063" if sensor in dense else "none",
            )
            for sensor in ids.tolist()
        )
    )


def _axes(extent: Rectangle) -> Markup:
    """Return arrows of u and v in the corner below upstream."""
    x, y = extent.left + 4, -extent.bottom - 6
    return joined(
        _arrow(x, y, 20, 0, "u = z"),
        _arrow(x, y, 0, -20, "v = 64.97 phi"),
    )


def _arrow(x: float, y: float, dx: float, dy: float, text: str) -> Markup:
    tip = (x + dx, y + dy)
    # Two short strokes, each turned by 30 degrees from the shaft.
    strokes = "".join(
        f"M{tip[0]:.1f},{tip[1]:.1f}l{-0.12 * dx + side * 0.07 * dy:.1f},{-0.12 * dy - side * 0.07 * dx:.1f}"
        for side in (-1, 1)
    )
    return element(
        "g",
        element(
            "path", d=f"M{x:.1f},{y:.1f}l{dx:.1f},{dy:.1f}{strokes}", stroke="#16202a", fill="none", stroke_width=0.6
        ),
        element("text", text, x=round(tip[0] + (2 if dx else -2), 1), y=round(tip[1] + (1.5 if dx else -2), 1)),
    )


def _cuts(left: float, top: float) -> tuple[Markup, float]:
    """Return both cuts, one below the other, and their width."""
    x, y, z = nominal_sensors().positions.T
    radius = np.hypot(x, y)
    across = _cut(np.stack([x, y], axis=1), ("inner", "outer", "top", "bottom"), "across the beam: x, y")
    along = _cut(np.stack([z, radius], axis=1), ("inner", "outer", "us", "ds"), "along the beam: z, radius")
    first, size = across
    second, second_size = along
    gap = size[1] + 2.2 * LETTER
    placed = joined(
        element("g", first, transform=f"translate({left:.1f} {top + LETTER:.1f})"),
        element("g", second, transform=f"translate({left:.1f} {top + LETTER + gap:.1f})"),
    )
    return placed, max(size[0], second_size[0], 90.0)


def _cut(points: FloatArray, faces: tuple[str, ...], title: str) -> tuple[Markup, tuple[float, float]]:
    """Return the sensors of some faces seen along an axis, with the target or the beam, and the size.

    Args:
        points: Place of each sensor in the plane of the cut, shape (4760, 2).
        faces: Which are seen edge-on.
        title: Heading.
    """
    shown = {face: np.unique(points[_ids(face)].round(1), axis=0) for face in faces}
    everything = np.concatenate([*shown.values(), np.zeros((1, 2))])
    low, high = everything.min(axis=0) - 3, everything.max(axis=0) + 3

    def place(point: FloatArray) -> tuple[float, float]:
        return round(CUT_SCALE * (point[0] - low[0]), 1), round(CUT_SCALE * (high[1] - point[1]), 1)

    dots = [
        element("path", d="".join("M{},{}h0".format(*place(point)) for point in found), stroke=_COLOURS[face])
        for face, found in shown.items()
    ]
    at = place(np.zeros(2))
    target = joined(
        element("circle", cx=at[0], cy=at[1], r=1.2, fill="#16202a"),
        element("text", TARGET, x=at[0] - 2.5, y=at[1] - 2.5, text_anchor="end"),
    )
    size = CUT_SCALE * (high - low)
    body = joined(
        element("text", title, x=0, y=0),
        element("g", *dots, stroke_width=1.6, stroke_linecap="round", transform=f"translate(0 {LETTER:g})"),
        element("g", target, transform=f"translate(0 {LETTER:g})"),
    )
    return body, (float(size[0]), float(size[1]))
