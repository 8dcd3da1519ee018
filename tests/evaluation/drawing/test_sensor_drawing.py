"""Every sensor must be drawn once, in a way that tells a dead channel, one without a value and a zero apart."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure

from lib.evaluation.drawing.sensor_drawing import DEAD_COLOUR, FACE_LABELS, NO_VALUE_COLOUR, draw_sensors, mark_position
from lib.evaluation.drawing.sensor_layout import sensor_layout, unrolled_uvw
from lib.geometry.sensors import FACE_NAMES

LAYOUT = sensor_layout()
DEAD = np.zeros(4760, bool)
DEAD[[5, 4100, 4600]] = True
BLANK = np.array([7, 8, 4200])


def draw(values: np.ndarray) -> Axes:
    axes = Figure().add_subplot()
    draw_sensors(axes, values, dead=DEAD, norm=Normalize(0, 1), colours="viridis")
    return axes


@pytest.fixture(scope="module")
def axes() -> Axes:
    """Axes with zeros, three dead and three blank sensors."""
    values = np.zeros(4760)
    values[BLANK] = [np.nan, np.inf, np.nan]
    return draw(values)


def collections(axes: Axes) -> list[PatchCollection]:
    """Return the coloured, blank and dead sensors."""
    return [found for found in axes.collections if isinstance(found, PatchCollection)]


def drawn_centres(collection: PatchCollection) -> np.ndarray:
    return np.array([path.get_extents().get_points().mean(axis=0) for path in collection.get_paths()])


def test_every_sensor_is_drawn_once_at_its_place(axes: Axes) -> None:
    measured, blank, dead = collections(axes)
    ids = np.concatenate([np.setdiff1d(np.arange(4760), [*np.flatnonzero(DEAD), *BLANK]), BLANK, np.flatnonzero(DEAD)])
    centres = np.concatenate([drawn_centres(found) for found in (measured, blank, dead)])
    assert len(centres) == 4760
    np.testing.assert_allclose(centres, LAYOUT.centres[ids], atol=1e-9)


def test_sensors_have_their_size(axes: Axes) -> None:
    measured, _, _ = collections(axes)
    extents = [measured.get_paths()[index].get_extents() for index in (0, -1)]
    np.testing.assert_allclose([(box.width, box.height) for box in extents], LAYOUT.sizes[[0, -1]], rtol=1e-6)


def test_dead_blank_and_zero_sensors_look_different(axes: Axes) -> None:
    measured, blank, dead = collections(axes)
    zero = measured.to_rgba(0.0)
    colours = [zero, to_rgba(NO_VALUE_COLOUR), to_rgba(DEAD_COLOUR)]
    np.testing.assert_allclose(blank.get_facecolor()[0], colours[1])
    np.testing.assert_allclose(dead.get_facecolor()[0], colours[2])
    # Apart also in lightness, for prints without colour.
    lightness = sorted(np.dot(colour[:3], [0.2126, 0.7152, 0.0722]) for colour in colours)
    assert np.diff(lightness).min() > 0.15


def test_dead_sensors_are_crossed_out(axes: Axes) -> None:
    segments = [s for found in axes.collections if isinstance(found, LineCollection) for s in found.get_segments()]
    assert len(segments) == 2 * DEAD.sum()
    middles = np.unique(np.mean(segments, axis=1).round(6), axis=0)
    np.testing.assert_allclose(middles, np.unique(LAYOUT.centres[DEAD].round(6), axis=0))


def test_colours_follow_the_values() -> None:
    values = np.linspace(0, 1, 4760)
    measured = collections(draw(values))[0]
    np.testing.assert_array_equal(np.asarray(measured.get_array()), values[~DEAD])


def test_the_faces_are_named_and_nothing_is_cut_off(axes: Axes) -> None:
    assert {text.get_text() for text in axes.texts} == {FACE_LABELS[face] for face in FACE_NAMES}
    low, high = axes.viewLim.get_points()
    assert (low < (LAYOUT.centres - 0.5 * LAYOUT.sizes).min(axis=0)).all()
    assert (high > (LAYOUT.centres + 0.5 * LAYOUT.sizes).max(axis=0)).all()
    assert axes.get_aspect() == 1.0


def test_a_position_is_marked_on_the_inner_and_the_outer_face() -> None:
    axes = Figure().add_subplot()
    uvw = np.array([5.0, -20.0, 3.0])
    mark_position(axes, uvw)
    marked = {tuple(np.round(line.get_xydata()[0], 6)) for line in axes.lines}
    assert marked == {tuple(np.round(unrolled_uvw(uvw, face), 6)) for face in ("inner", "outer")}
